//! Turns a tile of a strided operand: what lies side by side becomes the lines of a strip.

use crate::npu::widest::widest;
use crate::scalar::Scalar;

/// Lines of a strip: a strided operand is read in whole cache lines.
pub const STRIP: usize = 32;

/// Elements of a line that are turned at once: a cache line of the smallest ones.
pub const DEPTH: usize = 16;

/// Elements of a line that are turned without leaving the registers.
const RUN: usize = 4;

/// Some elements of all lines of a strip: `tile[l][i]` is element l of line i.
pub type Tile<T> = [[T; STRIP]; DEPTH];

widest! {
    /// Writes line i of the tile to `out[i · pitch..]`, for all lines.
    pub fn transpose<T: Scalar>(tile: &Tile<T>, out: &mut [T], pitch: usize) => transpose_any;
}

#[inline(always)]
fn transpose_any<T: Scalar>(tile: &Tile<T>, out: &mut [T], pitch: usize) {
    for l in (0..DEPTH).step_by(RUN) {
        let [a, b, c, d] = std::array::from_fn(|depth| &tile[l + depth]);
        // All runs first, then their places: so the compiler turns the first loop into shuffles.
        let mut runs = [[T::ZERO; RUN]; STRIP];
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
    use crate::scalar::c64;

    #[test]
    fn every_width_turns_every_element() {
        turns(|x| x as f32);
        turns(|x| x);
        turns(|x| c64::new(x, 1.0 - x));
    }

    fn turns<T: Scalar>(number: impl Fn(f64) -> T) {
        let tile: Tile<T> =
            std::array::from_fn(|l| std::array::from_fn(|i| number((l * STRIP + i) as f64 - 99.5)));
        let pitch = 21;
        Width::each(|| {
            let mut out = vec![T::ZERO; STRIP * pitch];
            transpose(&tile, &mut out, pitch);
            for i in 0..STRIP {
                for l in 0..pitch {
                    let expected = tile.get(l).map_or(T::ZERO, |across| across[i]);
                    assert_eq!(out[i * pitch + l], expected);
                }
            }
        });
    }
}
