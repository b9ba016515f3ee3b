//! Complex products by three real ones.
//!
//! Residues are exact, so nothing is lost in differences: with D₁ = Σ a_r b_r, D₂ = Σ a_i b_i and
//! D₃ = Σ (a_r + a_i)(b_r + b_i), all modulo p, the real part of Σ a b is D₁ - D₂ and the
//! imaginary part D₃ - D₁ - D₂: three products per modulus, where real lines of doubled length
//! take four. A line has 3 N planes, N of its real parts, N of its imaginary parts and N of their
//! sums, and every group is one product of two planes of the same number.
//!
//! By Cauchy and Schwarz both parts are within ±P/2 if both lines, as 2k real numbers each, are
//! shorter than √(P/2): that is their [`exponent`](super::exponent()). D₃ itself is only ever
//! known modulo P. So the results are those of the lines of doubled length, to the bit.

use super::join::join_any;
use super::split::split_any;
use super::{MODULI, MOST};
use crate::npu::scheme::Real;
use crate::npu::widest::widest;

/// Real numbers that are split at once.
const STRIP: usize = 512;

/// Outputs that are joined at once.
const COLS: usize = 64;

widest! {
    /// Splits one line of complex numbers, real and imaginary parts in turn, into planes of
    /// centred residues: plane p (1-based) goes to `planes[(p - 1) * pitch..]`, one residue for
    /// each complex number and zeros up to `pitch`. See [`split()`](super::split()).
    pub fn split_pairs<R: Real>(
        line: &[R],
        exponent: i32,
        residues: usize,
        pitch: usize,
        planes: &mut [i8],
    ) => split_pairs_any;
}

#[inline(always)]
fn split_pairs_any<R: Real>(
    line: &[R],
    exponent: i32,
    residues: usize,
    pitch: usize,
    planes: &mut [i8],
) {
    let len = line.len() / 2;
    assert!(line.len() == 2 * len && len <= pitch && planes.len() == 3 * residues * pitch);
    let mut both = [[0; STRIP]; MOST];
    for (strip, some) in line.chunks(STRIP).enumerate() {
        split_any(some, exponent, residues, STRIP, both[..residues].as_flattened_mut());
        let (start, len) = (strip * (STRIP / 2), some.len() / 2);
        for (p, (both, modulus)) in both.iter().zip(&MODULI[..residues]).enumerate() {
            for (i, part) in parts(both, *modulus as i16).iter().enumerate() {
                let plane = &mut planes[(i * residues + p) * pitch..][..pitch];
                plane[start..][..len].copy_from_slice(&part[..len]);
            }
        }
    }
    for plane in planes.chunks_exact_mut(pitch.max(1)) {
        plane[len..].fill(0);
    }
}

/// Centred residues of real and imaginary parts in turn, apart; and those of their sums.
#[inline(always)]
fn parts(both: &[i8; STRIP], modulus: i16) -> [[i8; STRIP / 2]; 3] {
    let (least, most) = (-(modulus / 2), (modulus - 1) / 2);
    let (mut real, mut imaginary, mut total) = ([0; STRIP / 2], [0; STRIP / 2], [0; STRIP / 2]);
    for (l, pair) in both.as_chunks().0.iter().enumerate() {
        // In one word, so that vectors are of words throughout.
        let pair = i16::from_le_bytes(pair.map(i8::cast_unsigned));
        let (re, im) = (pair << 8 >> 8, pair >> 8);
        let sum = re.wrapping_add(im);
        let above = if sum > most { modulus } else { 0 };
        let below = if sum < least { modulus } else { 0 };
        let centred = sum.wrapping_sub(above).wrapping_add(below);
        (real[l], imaginary[l], total[l]) = (re as i8, im as i8, centred as i8);
    }
    [real, imaginary, total]
}

widest! {
    /// Joins the sums of one row of C into real and imaginary parts of the product, in turn, before
    /// α and β, see [`join()`](super::join()): `sums` holds all those of D₁, then of D₂ and of D₃,
    /// each modulus by modulus.
    ///
    /// Sums of 2^49 and more, which no device should return, give some number or NaN, never a
    /// panic.
    pub fn join_pairs(
        residues: usize,
        sums: &[i64],
        row_exponent: i32,
        col_exponents: &[i32],
        out: &mut [f64],
    ) => join_pairs_any;
}

#[inline(always)]
fn join_pairs_any(
    residues: usize,
    sums: &[i64],
    row_exponent: i32,
    col_exponents: &[i32],
    out: &mut [f64],
) {
    let cols = col_exponents.len();
    assert!(sums.len() == 3 * residues * cols && out.len() == 2 * cols);
    let (mut real, mut imaginary) = ([0; MOST * COLS], [0; MOST * COLS]);
    for start in (0..cols).step_by(COLS) {
        let width = COLS.min(cols - start);
        let (real, imaginary) = (&mut real[..residues * width], &mut imaginary[..residues * width]);
        let parts = real.chunks_exact_mut(width).zip(imaginary.chunks_exact_mut(width));
        for (p, parts) in parts.enumerate() {
            let of = |d: usize| &sums[(d * residues + p) * cols + start..][..width];
            subtract([of(0), of(1), of(2)], parts);
        }
        let exponents = &col_exponents[start..][..width];
        let mut values = [[0.0; COLS]; 2];
        for (values, sums) in values.iter_mut().zip([real, imaginary]) {
            join_any(residues, sums, row_exponent, exponents, &mut values[..width]);
        }
        let out = out[2 * start..].as_chunks_mut().0;
        for ((out, re), im) in out.iter_mut().zip(values[0]).zip(values[1]).take(width) {
            *out = [re, im];
        }
    }
}

/// D₁ - D₂ and D₃ - D₁ - D₂.
#[inline(always)]
fn subtract(sums: [&[i64]; 3], (real, imaginary): (&mut [i64], &mut [i64])) {
    let sums = sums[0].iter().zip(sums[1]).zip(sums[2]);
    for (((&first, &second), &third), (re, im)) in sums.zip(real.iter_mut().zip(imaginary)) {
        *re = first.wrapping_sub(second);
        *im = third.wrapping_sub(first.wrapping_add(second));
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{Draw, own, whole};
    use super::super::{FEWEST, join, split};
    use super::*;
    use crate::npu::widest::Width;

    #[test]
    fn sums_of_residues_are_residues_of_sums() {
        for modulus in MODULI {
            let (least, most) = (-(modulus as i16 / 2), (modulus as i16 - 1) / 2);
            let each = || least..=most;
            let pairs = each().flat_map(|x| each().map(move |y| [x as i8, y as i8]));
            let pairs: Vec<[i8; 2]> = pairs.collect();
            for some in pairs.chunks(STRIP / 2) {
                let mut both = [0; STRIP];
                both[..2 * some.len()].copy_from_slice(some.as_flattened());
                let [real, imaginary, total] = parts(&both, modulus as i16);
                for (l, &[x, y]) in some.iter().enumerate() {
                    assert_eq!((real[l], imaginary[l]), (x, y));
                    let excess = i16::from(x) + i16::from(y) - i16::from(total[l]);
                    assert!(excess % modulus as i16 == 0);
                    assert!((least..=most).contains(&total[l].into()));
                }
            }
        }
    }

    /// The conjugate of a line, and the line times i and conjugated: with them a row has the real
    /// and the imaginary part of its product with the line.
    fn doubled(line: &[f64]) -> [Vec<f64>; 2] {
        let pairs = || line.as_chunks::<2>().0.iter();
        [
            pairs().flat_map(|&[re, im]| [re, -im]).collect(),
            pairs().flat_map(|&[re, im]| [im, re]).collect(),
        ]
    }

    fn dots(row: &[i8], col: &[i8], pitch: usize) -> Vec<i64> {
        let dot = |(x, y): (&[i8], &[i8])| -> i64 {
            x.iter().zip(y).map(|(&x, &y)| i64::from(x) * i64::from(y)).sum()
        };
        row.chunks(pitch).zip(col.chunks(pitch)).map(dot).collect()
    }

    /// Both parts of the product of two lines by three products per modulus, by four, and by
    /// 128-bit integers.
    fn check(row: &[f64], col: &[f64], residues: usize) {
        let (e, f) = (own(row, residues), own(col, residues));
        let k = row.len() / 2;
        let pitch = k.next_multiple_of(32).max(32);
        let pairs = |line: &[f64], exponent| {
            let mut planes = vec![0x55; 3 * residues * pitch];
            split_pairs(line, exponent, residues, pitch, &mut planes);
            assert!(planes.chunks(pitch).all(|plane| plane[k..].iter().all(|r| *r == 0)));
            planes
        };
        let mut by_three = [f64::NAN; 2];
        let sums = dots(&pairs(row, e), &pairs(col, f), pitch);
        join_pairs(residues, &sums, e, &[f], &mut by_three);

        let reals = |line: &[f64], exponent| {
            let mut planes = vec![0; residues * 2 * pitch];
            split(line, exponent, residues, 2 * pitch, &mut planes);
            planes
        };
        for (line, by_three) in doubled(col).iter().zip(by_three) {
            let mut by_four = [f64::NAN];
            let sums = dots(&reals(row, e), &reals(line, f), 2 * pitch);
            join(residues, &sums, e, &[f], &mut by_four);
            assert_eq!(by_three.to_bits(), by_four[0].to_bits());
            let product =
                |(&x, &y): (&f64, &f64)| i128::from(whole(x, e)) * i128::from(whole(y, f));
            let exact: i128 = row.iter().zip(line).map(product).sum();
            assert_eq!(by_three, exact as f64 * 2f64.powi(-e - f));
        }
    }

    #[test]
    fn both_parts_are_exact_and_those_of_doubled_lines() {
        let mut draw = Draw(21);
        for residues in FEWEST..=MOST {
            for k in [0, 1, 2, 31, 33, 200, 255, 256, 257] {
                let mut line = || (0..2 * k).map(|_| draw.unit()).collect::<Vec<f64>>();
                let (row, col) = (line(), line());
                check(&row, &col, residues);
                check(&row, &vec![0.0; 2 * k], residues);
                // One part of the product is as great as it can be, of either sign.
                for col in doubled(&row) {
                    check(&row, &col, residues);
                    check(&row, &col.iter().map(|x| -x).collect::<Vec<_>>(), residues);
                }
                check(&row, &row, residues);
            }
        }
    }

    #[test]
    fn exponents_belong_to_their_columns() {
        let (row, cols) = ([3.0, -1.0], [[5.0, 7.0], [0.0, -0.5], [1e-3, 9.0]]);
        let residues = 15;
        let planes = |line: &[f64], e| {
            let mut planes = vec![0; 3 * residues];
            split_pairs(line, e, residues, 1, &mut planes);
            planes
        };
        for count in [1, 3, COLS, COLS + 1, 3 * COLS + 2] {
            let lines: Vec<[f64; 2]> = (0..count).map(|j| cols[j % cols.len()]).collect();
            let exponents: Vec<i32> = lines.iter().map(|line| own(line, residues)).collect();
            let e = own(&row, residues);
            let mut sums = vec![0; 3 * residues * count];
            for (j, line) in lines.iter().enumerate() {
                let found = dots(&planes(&row, e), &planes(line, exponents[j]), 1);
                for (g, sum) in found.into_iter().enumerate() {
                    sums[g * count + j] = sum;
                }
            }
            let mut out = vec![f64::NAN; 2 * count];
            join_pairs(residues, &sums, e, &exponents, &mut out);
            for (&[re, im], value) in lines.iter().zip(out.as_chunks::<2>().0) {
                let expected = [3.0f64.mul_add(re, im), 3.0f64.mul_add(im, -re)];
                assert_eq!(*value, expected);
            }
        }
    }

    #[test]
    fn sums_that_no_device_should_return_do_no_harm() {
        for residues in FEWEST..=MOST {
            let sums: Vec<i64> = (0..9 * residues)
                .map(|i| [i64::MAX, i64::MIN, -1, 1 << 51, -1 << 52][i % 5])
                .collect();
            join_pairs(residues, &sums, 0, &[0, 1, 2], &mut [0.0; 6]);
        }
    }

    #[test]
    fn every_instruction_set_gives_the_same_bits() {
        let mut draw = Draw(8);
        let (cols, pitch) = (131, 448);
        for residues in [6, 10, 15, 16] {
            let line: Vec<f64> = (0..2 * 333).map(|_| draw.unit()).collect();
            let e = own(&line, residues);
            let mut plain = vec![1; 3 * residues * pitch];
            split_pairs_any(&line, e, residues, pitch, &mut plain);
            let sums: Vec<i64> =
                (0..3 * residues * cols).map(|_| draw.bits() as i64 >> 24).collect();
            let exponents: Vec<i32> = (0..cols as i32).collect();
            let mut joined = vec![0.0; 2 * cols];
            join_pairs_any(residues, &sums, 3, &exponents, &mut joined);
            Width::each(|| {
                let mut wide = vec![2; 3 * residues * pitch];
                split_pairs(&line, e, residues, pitch, &mut wide);
                assert_eq!(wide, plain);
                let mut values = vec![1.0; 2 * cols];
                join_pairs(residues, &sums, 3, &exponents, &mut values);
                assert_eq!(values, joined);
            });
        }
    }
}
