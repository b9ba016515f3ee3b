//! Turns a tile of a strided operand: what lies side by side becomes the lines of a strip.

use crate::npu::widest::widest;

/// Lines of a strip: a strided operand is read in whole cache lines.
pub const STRIP: usize = 32;

/// Elements of a line that are turned at once: a cache line of them.
pub const DEPTH: usize = 16;

/// Elements of a line that are turned without leaving the registers.
const RUN: usize = 4;

/// Some elements of all lines of a strip: `tile[l][i]` is element l of line i.
pub type Tile = [[f32; STRIP]; DEPTH];

widest! {
    /// Writes line i of the tile to `out[i · pitch..]`, for all lines.
    pub fn transpose(tile: &Tile, out: &mut [f32], pitch: usize) => transpose_any;
}

#[inline(always)]
fn transpose_any(tile: &Tile, out: &mut [f32], pitch: usize) {
    for l in (0..DEPTH).step_by(RUN) {
        let [a, b, c, d] = std::array::from_fn(|depth| &tile[l + depth]);
        // All runs first, then their places: so the compiler turns the first loop into shuffles.
        let mut runs = [[0.0; RUN]; STRIP];
        for i in 0..STRIP {
            runs[i] = [a[i], b[i], c[i], d[i]];
        }
        for (i, run) in runs.iter().enumerate() {
            out[i * pitch + l..][..RUN].copy_from_slice(run);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::npu::widest::Width;

    #[test]
    fn every_width_turns_every_element() {
        let tile: Tile =
            std::array::from_fn(|l| std::array::from_fn(|i| (l * STRIP + i) as f32 - 99.5));
        let pitch = 21;
        Width::each(|| {
            let mut out = vec![0.0; STRIP * pitch];
            transpose(&tile, &mut out, pitch);
            for i in 0..STRIP {
                for l in 0..pitch {
                    let expected = tile.get(l).map_or(0.0, |across| across[i]);
                    assert_eq!(out[i * pitch + l], expected);
                }
            }
        });
    }
}
