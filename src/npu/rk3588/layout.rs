//! The order of B in memory.

/// Columns of a block of packed B: the kernels that the chip works on at once.
pub const BLOCK_COLS: usize = 32;
/// Depth of a block of packed B.
pub const BLOCK_DEPTH: usize = 32;
const BLOCK: usize = BLOCK_COLS * BLOCK_DEPTH;

/// Writes column `col` of a tile of B into the packed tile `dst`, see
/// [`Chip::pack_b_line`](crate::npu::chip::Chip::pack_b_line).
///
/// A packed tile is `[cols / 32][depth / 32][32 columns][32 deep]` bytes: every run of 32
/// elements of a column stays together, and the runs of 32 neighbouring columns form a block of
/// 1 KiB.
///
/// # Panics
/// When the depth (the length of `line`) is not a positive multiple of 32, `dst` is not a whole
/// number of groups of 32 columns of that depth, or `col` is not in `dst`.
pub fn pack_b_line(line: &[i8], col: usize, dst: &mut [u8]) {
    let depth = line.len();
    assert!(depth > 0 && depth.is_multiple_of(BLOCK_DEPTH), "a column of {depth} elements");
    let group = BLOCK_COLS * depth;
    assert!(dst.len().is_multiple_of(group), "a tile of {} bytes, depth {depth}", dst.len());
    assert!(col < dst.len() / depth, "column {col} of {}", dst.len() / depth);

    let group_start = col / BLOCK_COLS * group;
    let blocks = dst[group_start..group_start + group].chunks_exact_mut(BLOCK);
    let in_block = col % BLOCK_COLS * BLOCK_DEPTH;
    for (run, block) in line.chunks_exact(BLOCK_DEPTH).zip(blocks) {
        let out = &mut block[in_block..in_block + BLOCK_DEPTH];
        for (to, from) in out.iter_mut().zip(run) {
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
            let mut tile = vec![0u8; depth * cols];
            // Last column first: the order must not matter.
            for n in (0..cols).rev() {
                let line: Vec<i8> = (0..depth).map(|k| element(k, n)).collect();
                pack_b_line(&line, n, &mut tile);
            }
            for n in 0..cols {
                for k in 0..depth {
                    assert_eq!(tile[index(k, n, depth)] as i8, element(k, n), "k={k} n={n}");
                }
            }
        }
    }

    #[test]
    fn other_columns_are_not_touched() {
        let (depth, cols, col) = (64, 64, 37);
        let mut tile = vec![0x55u8; depth * cols];
        pack_b_line(&vec![-1; depth], col, &mut tile);
        for n in 0..cols {
            for k in 0..depth {
                let expected = if n == col { 0xff } else { 0x55 };
                assert_eq!(tile[index(k, n, depth)], expected, "k={k} n={n}");
            }
        }
    }

    #[test]
    fn misuse_panics() {
        let panics = |depth: usize, col: usize, len: usize| {
            let run = move || pack_b_line(&vec![0; depth], col, &mut vec![0; len]);
            std::panic::catch_unwind(run).is_err()
        };
        assert!(panics(0, 0, 1024), "no depth");
        assert!(panics(33, 0, 33 * 32), "depth");
        assert!(panics(32, 32, 32 * 32), "column");
        assert!(panics(32, 0, 32 * 31), "tile");
        assert!(panics(32, 0, 0), "empty tile");
        assert!(!panics(32, 31, 32 * 32));
    }
}
