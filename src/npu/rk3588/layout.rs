//! The order of B in memory.

/// Columns of a block of packed B: the kernels that the chip works on at once.
pub const BLOCK_COLS: usize = 32;
/// Depth of a block of packed B.
pub const BLOCK_DEPTH: usize = 32;

/// Packs a block of B, see [`Chip::pack_b_block`](crate::npu::chip::Chip::pack_b_block).
///
/// A packed tile is `[cols / 32][depth / 32][32 columns][32 deep]` bytes: every run of 32
/// elements of a column stays together, and the runs of 32 neighbouring columns form a block of
/// 1 KiB.
///
/// # Panics
/// When a column ends behind `columns`, or `dst` is not 1 KiB.
pub fn pack_b_block(columns: &[i8], pitch: usize, dst: &mut [u8]) {
    let (runs, rest) = dst.as_chunks_mut::<BLOCK_DEPTH>();
    assert!(runs.len() == BLOCK_COLS && rest.is_empty(), "a block of {} runs", runs.len());
    for (col, to) in runs.iter_mut().enumerate() {
        let from = &columns[col * pitch..][..BLOCK_DEPTH];
        for (to, from) in to.iter_mut().zip(from) {
            *to = from.cast_unsigned();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The manual formula: byte of element (k, n) in a tile of the given depth.
    fn index(k: usize, n: usize, depth: usize) -> usize {
        (n / 32) * 32 * depth + (k / 32) * 32 * 32 + (n % 32) * 32 + k % 32
    }

    fn element(k: usize, n: usize) -> i8 {
        (k.wrapping_mul(37) ^ n.wrapping_mul(101)) as u8 as i8
    }

    #[test]
    fn every_element_is_where_the_formula_puts_it() {
        for (depth, cols) in [(32, 32), (64, 32), (32, 96), (96, 64), (3072, 32), (160, 1024)] {
            let pitch = depth + 5;
            let mut columns = vec![99; cols * pitch];
            for n in 0..cols {
                for k in 0..depth {
                    columns[n * pitch + k] = element(k, n);
                }
            }
            // As the trait puts a tile together: strip by strip, block by block.
            let mut tile = vec![0u8; depth * cols];
            let mut blocks = tile.chunks_exact_mut(BLOCK_COLS * BLOCK_DEPTH);
            for n in (0..cols).step_by(BLOCK_COLS) {
                for k in (0..depth).step_by(BLOCK_DEPTH) {
                    pack_b_block(&columns[n * pitch + k..], pitch, blocks.next().unwrap());
                }
            }
            for n in 0..cols {
                for k in 0..depth {
                    assert_eq!(tile[index(k, n, depth)] as i8, element(k, n), "k={k} n={n}");
                }
            }
        }
    }

    #[test]
    fn misuse_panics() {
        let panics = |len: usize, pitch: usize, dst: usize| {
            let run = move || pack_b_block(&vec![0; len], pitch, &mut vec![0; dst]);
            std::panic::catch_unwind(run).is_err()
        };
        assert!(panics(31 * 40 + 31, 40, 1024), "a short column");
        assert!(panics(2048, 40, 1023) && panics(2048, 40, 2048), "not a block");
        assert!(!panics(31 * 40 + 32, 40, 1024));
    }
}
