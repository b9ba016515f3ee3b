//! The order of B in memory.

use crate::npu::chip::Arithmetic;

/// Columns of a block of packed B: the kernels that the chip works on at once.
pub const fn block_cols(arithmetic: Arithmetic) -> usize {
    match arithmetic {
        Arithmetic::Int8 => 32,
        Arithmetic::Fp16 => 16,
    }
}

/// Depth of a block of packed B.
pub const BLOCK_DEPTH: usize = 32;

/// Bytes of a block of packed B.
const BLOCK: usize = 1024;

/// Packs a block of B, see [`Chip::pack_b_block`](crate::npu::chip::Chip::pack_b_block).
///
/// With w columns to a block, a packed tile is `[cols / w][depth / 32][w columns][32 deep]`
/// elements: every run of 32 elements of a column stays together, and the runs of w neighbouring
/// columns form a block of 1 KiB.
///
/// # Panics
/// When a column ends behind `columns`, or `dst` is not 1 KiB.
pub fn pack_b_block(arithmetic: Arithmetic, columns: &[u8], pitch: usize, dst: &mut [u8]) {
    assert!(dst.len() == BLOCK, "a block of {} bytes", dst.len());
    // With the length known to the compiler, a run is a few moves.
    match arithmetic {
        Arithmetic::Int8 => pack_runs::<{ BLOCK_DEPTH }>(columns, pitch, dst),
        Arithmetic::Fp16 => pack_runs::<{ 2 * BLOCK_DEPTH }>(columns, pitch, dst),
    }
}

fn pack_runs<const RUN: usize>(columns: &[u8], pitch: usize, dst: &mut [u8]) {
    for (col, to) in dst.as_chunks_mut::<RUN>().0.iter_mut().enumerate() {
        to.copy_from_slice(&columns[col * pitch..][..RUN]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The manual formula: place of element (k, n) in a tile of the given depth.
    fn index(arithmetic: Arithmetic, k: usize, n: usize, depth: usize) -> usize {
        let w = if arithmetic == Arithmetic::Int8 { 32 } else { 16 };
        (n / w) * w * depth + (k / 32) * w * 32 + (n % w) * 32 + k % 32
    }

    fn byte(k: usize, n: usize, part: usize) -> u8 {
        (k.wrapping_mul(37) ^ n.wrapping_mul(101) ^ part << 7) as u8
    }

    #[test]
    fn every_element_is_where_the_formula_puts_it() {
        let sizes = [(32, 32), (64, 32), (32, 96), (96, 64), (3072, 32), (160, 1024)];
        for (arithmetic, (depth, cols)) in
            Arithmetic::ALL.iter().flat_map(|e| sizes.map(|s| (*e, s)))
        {
            let bytes = arithmetic.bytes();
            let pitch = depth * bytes + 5;
            let mut columns = vec![99; cols * pitch];
            for n in 0..cols {
                for at in 0..depth * bytes {
                    columns[n * pitch + at] = byte(at / bytes, n, at % bytes);
                }
            }
            // As the trait puts a tile together: strip by strip, block by block.
            let mut tile = vec![0u8; depth * cols * bytes];
            let width = block_cols(arithmetic);
            let mut blocks = tile.chunks_exact_mut(width * BLOCK_DEPTH * bytes);
            for n in (0..cols).step_by(width) {
                for k in (0..depth).step_by(BLOCK_DEPTH) {
                    let block = blocks.next().unwrap();
                    pack_b_block(arithmetic, &columns[n * pitch + k * bytes..], pitch, block);
                }
            }
            for n in 0..cols {
                for k in 0..depth {
                    for part in 0..bytes {
                        let at = index(arithmetic, k, n, depth) * bytes + part;
                        assert_eq!(tile[at], byte(k, n, part), "{arithmetic:?} k={k} n={n}");
                    }
                }
            }
        }
    }

    #[test]
    fn misuse_panics() {
        let panics = |arithmetic, len: usize, pitch: usize, dst: usize| {
            let run = move || pack_b_block(arithmetic, &vec![0; len], pitch, &mut vec![0; dst]);
            std::panic::catch_unwind(run).is_err()
        };
        let int8 = Arithmetic::Int8;
        assert!(panics(int8, 31 * 40 + 31, 40, 1024), "a short column");
        assert!(panics(int8, 2048, 40, 1023) && panics(int8, 2048, 40, 2048), "not a block");
        assert!(!panics(int8, 31 * 40 + 32, 40, 1024));
        assert!(panics(Arithmetic::Fp16, 15 * 80 + 63, 80, 1024), "a short column");
        assert!(!panics(Arithmetic::Fp16, 15 * 80 + 64, 80, 1024));
    }
}
