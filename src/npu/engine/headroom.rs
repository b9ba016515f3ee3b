//! Whether there is memory for the host's share of a call.
//!
//! Rust ends the process when a vector cannot grow, and a BLAS call must not do that. So a call
//! asks for as much as its vectors will hold in one piece, gives it back, and leaves the product
//! to the CPU, which needs much less, when it is refused. Another thread may take the memory in
//! between: this is for processes with a limit, not for the last byte of a machine.

use super::transpose::STRIP;
use crate::npu::scheme::Scheme;

/// What small things need together: commands, lists of blocks, log lines.
const SMALL_THINGS: usize = 1 << 20;

/// Bytes per line of an operand: what packing finds out about it, twice while strips are joined.
const PER_LINE: usize = 512;

/// Bytes that a thread needs beside what grows with the product: sums of some rows.
const PER_THREAD: usize = 1 << 20;

/// Narrowest tile of C whose rows each get a projection, and the most that a task of the device
/// takes.
const TILE: usize = 1024;
const ROWS: usize = 128;
const DEPTH: usize = 3072;

/// Whether the memory for a product of shape (m, n, k) under any of the schemes can be had, the
/// buffers of so many lanes of a device among it: they are mapped before the last vector grows.
pub fn is_there(
    shape: (usize, usize, usize),
    schemes: &[&Scheme],
    col_align: usize,
    threads: usize,
    lanes: usize,
) -> bool {
    let needed = |scheme: &&Scheme| {
        needed(shape, scheme, col_align, threads) + buffers(shape, scheme, col_align, lanes)
    };
    let bytes = schemes.iter().map(needed).max();
    Vec::<u8>::new().try_reserve_exact(bytes.unwrap_or(0)).is_ok()
}

/// A generous estimate. What grows with the sum is scratch of every thread: strips of numbers and
/// their digits, projections of 64 bits and their limbs.
fn needed(
    (m, n, k): (usize, usize, usize),
    scheme: &Scheme,
    col_align: usize,
    threads: usize,
) -> usize {
    let per_depth =
        (STRIP + 1) * size_of::<f64>() + scheme.planes() * (col_align + 3 * size_of::<u64>());
    let scratch = threads * ((k + 64) * per_depth + PER_THREAD);
    let tiles = n.div_ceil(TILE) + 1;
    let projections = tiles * (2 * m + scheme.planes() * k) * size_of::<u64>();
    scratch + projections + PER_LINE * (m + n) + SMALL_THINGS
}

/// Bytes of the buffers of a device; an estimate as generous. Each lane holds one operand whole,
/// and the results of two blocks.
fn buffers(
    (m, n, k): (usize, usize, usize),
    scheme: &Scheme,
    col_align: usize,
    lanes: usize,
) -> usize {
    let (n, k) = (n + col_align, k + 64);
    let operands = lanes * m.max(n) * k * scheme.products() + m.min(n) * k * scheme.products();
    let sections: usize = scheme.groups.iter().map(|g| (g.count * k).div_ceil(DEPTH)).sum();
    let results = 2 * lanes * m.min(ROWS) * n.min(TILE) * size_of::<i32>() * sections;
    operands * usize::from(lanes > 0) + results
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::npu::scheme::ozaki_int8::{I_3S8P, I_4S10P};

    #[test]
    fn ordinary_products_have_room_and_absurd_ones_do_not() {
        let schemes = [&I_3S8P, &I_4S10P];
        assert!(is_there((1000, 1000, 1000), &schemes, 32, 4, 3));
        assert!(!is_there((1 << 30, 1 << 30, 1 << 20), &schemes, 32, 4, 3));
    }
}
