//! Packing: digit planes of some lines become panels that the micro-kernel reads in order.
//!
//! A panel holds W lines: MR rows of A or NR columns of B. It is cut into pieces along the inner
//! dimension, and a piece into digit planes. One plane of one piece is, for each run of digits,
//! the runs of all W lines side by side. A plane of rows has a header in front: what the sums of
//! each row start with.
//!
//! Where digits of B are kept with an offset, d + 128, a sum of (d + 128) · a is too large by
//! 128 · Σ a: the header of the row takes that away beforehand.

use super::dot::Digit;

/// Digits per plane are a multiple of this.
pub const ALIGN: usize = 32;

/// What panels are made of, so that every plane is aligned.
#[derive(Debug, Clone, Copy)]
#[repr(C, align(64))]
pub(super) struct CacheLine([u8; 64]);

impl CacheLine {
    pub const ZERO: CacheLine = CacheLine([0; 64]);
    pub const BYTES: usize = 64;
}

/// Cache lines in front of a plane of rows: room for 16 numbers of 32 bits.
pub(super) const HEADER: usize = 1;

/// The packed digits of MR rows of A.
#[derive(Debug)]
pub struct Rows(pub(super) Vec<CacheLine>);

/// The packed digits of NR columns of B.
#[derive(Debug)]
pub struct Columns(pub(super) Vec<CacheLine>);

/// Packs one plane of one piece: `(digits, pitch, length, out)`. Digit l of line w is
/// `digits[w * pitch + l]`, l below `length`, which is a multiple of the run.
pub(super) type Pack = fn(&[i8], usize, usize, &mut [CacheLine]);

/// [`Pack`] for W rows that will meet columns of digits B.
pub(super) fn pack_rows<A: Digit, B: Digit, const W: usize, const RUN: usize>(
    digits: &[i8],
    pitch: usize,
    length: usize,
    out: &mut [CacheLine],
) {
    const { assert!(W * size_of::<i32>() <= HEADER * CacheLine::BYTES && A::OFFSET == 0) }
    let (header, out) = out.split_at_mut(HEADER);
    for (w, start) in header[0].0.as_chunks_mut().0.iter_mut().enumerate().take(W) {
        let sum: i32 = match B::OFFSET {
            0 => 0,
            _ => digits[w * pitch..][..length].iter().map(|&digit| i32::from(digit)).sum(),
        };
        *start = (-B::OFFSET * sum).to_ne_bytes();
    }
    pack::<A, W, RUN>(digits, pitch, length, out);
}

/// [`Pack`] for W columns.
pub(super) fn pack_columns<B: Digit, const W: usize, const RUN: usize>(
    digits: &[i8],
    pitch: usize,
    length: usize,
    out: &mut [CacheLine],
) {
    pack::<B, W, RUN>(digits, pitch, length, out);
}

fn pack<D: Digit, const W: usize, const RUN: usize>(
    digits: &[i8],
    pitch: usize,
    length: usize,
    out: &mut [CacheLine],
) {
    let out = as_digits::<D>(out);
    for w in 0..W {
        let line = &digits[w * pitch..][..length];
        for (run, out) in line.as_chunks::<RUN>().0.iter().zip(out.chunks_exact_mut(W * RUN)) {
            for (out, &digit) in out[w * RUN..][..RUN].iter_mut().zip(run) {
                *out = D::of(digit);
            }
        }
    }
}

/// Memory for packed digits as such.
fn as_digits<D: Digit>(out: &mut [CacheLine]) -> &mut [D] {
    let count = size_of_val(out) / size_of::<D>();
    // SAFETY: cache lines are bytes, aligned for any digit, and every pattern of bits is a digit
    // of each of the types, all of which are plain integers.
    unsafe { std::slice::from_raw_parts_mut(out.as_mut_ptr().cast(), count) }
}
