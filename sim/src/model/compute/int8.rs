//! int8 products: 32 kernels against all positions, exact.

use super::unit::Unit;
#[cfg(target_arch = "x86_64")]
use super::x86;

/// Kernels of one output group.
pub const LANES: usize = 32;
/// Positions that a kernel function computes at once; features are padded to a multiple.
pub const ROWS: usize = 8;
/// Channels of one weight block.
const CHANNELS: usize = 32;

/// int8 features, row-major, padded with zero rows.
#[derive(Debug)]
pub struct Features {
    unit: Unit,
    rows: usize,
    channels: usize,
    values: Vec<i8>,
}

impl Features {
    /// Takes `rows` positions of `channels` bytes each. `unit` must be available.
    pub fn new(unit: Unit, rows: usize, channels: usize, bytes: &[u8]) -> Self {
        let mut values = vec![0; rows.next_multiple_of(ROWS) * channels];
        for (value, &byte) in values.iter_mut().zip(&bytes[..rows * channels]) {
            *value = byte as i8;
        }
        Features { unit, rows, channels, values }
    }

    /// Positions.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Sums of all positions with the kernels of one output group.
    pub fn multiply(&self, weights: &[u8]) -> Vec<i32> {
        let mut sums = vec![[0; LANES]; self.values.len() / self.channels];
        match self.unit {
            Unit::Portable => {
                let pairs = pairs(weights);
                self.blocks(&mut sums, |rows, sums| portable(rows, &pairs, sums));
            }
            #[cfg(target_arch = "x86_64")]
            Unit::Avx2 => {
                let pairs = pairs(weights);
                // SAFETY: the unit is available, so AVX2 is there.
                self.blocks(&mut sums, |rows, sums| unsafe { x86::int8_avx2(rows, &pairs, sums) });
            }
            #[cfg(target_arch = "x86_64")]
            Unit::Avx512 => {
                let quads = quads(weights);
                // SAFETY: the unit is available, so AVX-512F and AVX-512VNNI are there.
                self.blocks(&mut sums, |rows, sums| unsafe {
                    x86::int8_avx512(rows, &quads, sums);
                });
            }
        }
        let mut sums = sums.into_flattened();
        sums.truncate(self.rows * LANES);
        sums
    }

    /// Calls `kernel` for every [`ROWS`] positions.
    fn blocks(
        &self,
        sums: &mut [[i32; LANES]],
        kernel: impl Fn([&[i8]; ROWS], &mut [[i32; LANES]; ROWS]),
    ) {
        let rows = self.values.chunks_exact(ROWS * self.channels);
        for (rows, sums) in rows.zip(sums.as_chunks_mut().0) {
            kernel(std::array::from_fn(|row| &rows[row * self.channels..][..self.channels]), sums);
        }
    }
}

/// Weights as 16-bit integers, two channels of a kernel side by side, kernels next to each other.
fn pairs(weights: &[u8]) -> Vec<[i16; 2 * LANES]> {
    let mut pairs = vec![[0; 2 * LANES]; weights.len() / (2 * LANES)];
    interleave(weights, |channel, lane, weight| {
        pairs[channel / 2][2 * lane + channel % 2] = i16::from(weight as i8);
    });
    pairs
}

/// Weights with four channels of a kernel side by side, kernels next to each other, offset by 128
/// so that they are unsigned.
#[cfg(target_arch = "x86_64")]
fn quads(weights: &[u8]) -> Vec<[u8; 4 * LANES]> {
    let mut quads = vec![[0; 4 * LANES]; weights.len() / (4 * LANES)];
    interleave(weights, |channel, lane, weight| {
        quads[channel / 4][4 * lane + channel % 4] = weight ^ 0x80;
    });
    quads
}

/// Calls `place(channel, kernel, weight)` for every weight of the blocks.
#[inline(always)]
fn interleave(weights: &[u8], mut place: impl FnMut(usize, usize, u8)) {
    for (block, weights) in weights.as_chunks::<{ LANES * CHANNELS }>().0.iter().enumerate() {
        for (lane, weights) in weights.as_chunks::<CHANNELS>().0.iter().enumerate() {
            for (channel, &weight) in weights.iter().enumerate() {
                place(block * CHANNELS + channel, lane, weight);
            }
        }
    }
}

/// Plain Rust.
fn portable(rows: [&[i8]; ROWS], pairs: &[[i16; 2 * LANES]], sums: &mut [[i32; LANES]; ROWS]) {
    for (row, sums) in rows.into_iter().zip(sums) {
        for (features, weights) in row.as_chunks::<2>().0.iter().zip(pairs) {
            let [even, odd] = features.map(i32::from);
            *sums = std::array::from_fn(|lane| {
                let (first, second) = (weights[2 * lane], weights[2 * lane + 1]);
                sums[lane] + even * i32::from(first) + odd * i32::from(second)
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(len: usize, seed: u32) -> Vec<u8> {
        let mut state = seed;
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        };
        (0..len).map(|_| next()).collect()
    }

    /// The definition, straight from the layout of the weight blocks.
    fn slow(rows: usize, channels: usize, features: &[u8], weights: &[u8]) -> Vec<i32> {
        let at = |k: usize, n: usize| (k / 32) * 1024 + n * 32 + k % 32;
        let mut sums = Vec::new();
        for m in 0..rows {
            for n in 0..LANES {
                let product = |k| {
                    i32::from(features[m * channels + k] as i8) * i32::from(weights[at(k, n)] as i8)
                };
                sums.push((0..channels).map(product).sum());
            }
        }
        sums
    }

    #[test]
    fn every_unit_agrees_with_the_definition() {
        for unit in Unit::available() {
            for (rows, channels) in [(1, 32), (7, 64), (8, 32), (17, 96), (40, 1024)] {
                let features = pattern(rows * channels, rows as u32);
                let weights = pattern(LANES * channels, 77);
                let got = Features::new(unit, rows, channels, &features).multiply(&weights);
                let expected = slow(rows, channels, &features, &weights);
                assert_eq!(got, expected, "{unit:?} {rows}x{channels}");
            }
        }
    }

    #[test]
    fn the_longest_sum_of_the_largest_products_is_exact() {
        let channels = 16384;
        for unit in Unit::available() {
            for (feature, weight) in [(0x80, 0x80), (0x80, 0x7f), (0x7f, 0x80), (0x7f, 0x7f)] {
                let features = vec![feature; channels];
                let weights = vec![weight; channels * LANES];
                let got = Features::new(unit, 1, channels, &features).multiply(&weights);
                let one = i32::from(feature as i8) * i32::from(weight as i8);
                assert_eq!(got, [one * channels as i32; LANES], "{unit:?}");
            }
        }
    }
}
