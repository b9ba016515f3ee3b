//! Whether there is memory for the host's share of a call.
//!
//! Rust ends the process when a vector cannot grow, and a BLAS call must not do that. So a call
//! asks for as much as its vectors will hold in one piece, gives it back, and leaves the product
//! to the CPU, which needs much less, when it is refused. Another thread may take the memory in
//! between: this is for processes with a limit, not for the last byte of a machine.
//!
//! It asks the kernel, not the allocator: what glibc has free in the heap of the calling thread does
//! not serve the helpers, which under a limit have no heap of their own and map every vector.

use super::doubts::Doubts;
use super::transpose::STRIP;
use crate::npu::scheme::{Element, Scheme};
use memmap2::MmapOptions;

/// What small things need together: commands, lists of blocks, log lines.
const SMALL_THINGS: usize = 1 << 20;

/// Bytes per line of an operand: what packing finds out about it, twice while strips are joined and
/// once more from the scheme before, and what a certificate makes of it.
const PER_LINE: usize = 768;

/// Bytes that a thread needs for each group of a scheme beside what grows with the product: sums of
/// some rows.
const PER_GROUP: usize = 128 << 10;

/// Narrowest tile of C whose rows each get a projection.
const TILE: usize = 1024;

/// Whether the memory for a product of m × n × k elements under any of the schemes can be had, the
/// buffers of a device among it, `mapped` bytes: they are mapped before the last vector grows.
pub fn is_there<T: Element>(
    shape: (usize, usize, usize),
    schemes: &[&Scheme],
    col_align: usize,
    threads: usize,
    mapped: usize,
) -> bool {
    let needed = |scheme: &&Scheme| needed(scheme.shape::<T>(shape), scheme, col_align, threads);
    let bytes = schemes.iter().map(needed).max();
    MmapOptions::new().len(mapped + bytes.unwrap_or(0)).map_anon().is_ok()
}

/// A generous estimate, for integer products of m × n × k. What grows with the sum is scratch of
/// every thread: strips of numbers and their digits, projections of 64 bits and their limbs.
fn needed(
    (m, n, k): (usize, usize, usize),
    scheme: &Scheme,
    col_align: usize,
    threads: usize,
) -> usize {
    let numbers = (STRIP + 1) * scheme.parts() * size_of::<f64>();
    let per_depth = numbers + scheme.bytes() * (col_align + 3 * size_of::<u64>());
    let scratch = threads * ((k + 64) * per_depth + scheme.groups.len() * PER_GROUP);
    let tiles = n.div_ceil(TILE) + 1;
    let projections = tiles * (2 * m + scheme.bytes() * k) * size_of::<u64>();
    let doubts = if scheme.certificate { Doubts::bytes(m, n) } else { 0 };
    scratch + projections + doubts + PER_LINE * (m + n) + SMALL_THINGS
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::npu::scheme::ozaki_int8::{I_3S8P, I_4S10P};

    #[test]
    fn ordinary_products_have_room_and_absurd_ones_do_not() {
        let schemes = [&I_3S8P, &I_4S10P];
        assert!(is_there::<f32>((1000, 1000, 1000), &schemes, 32, 4, 0));
        assert!(!is_there::<f32>((1 << 30, 1 << 30, 1 << 20), &schemes, 32, 4, 0));
    }
}
