//! 16-bit products, in double precision.
//!
//! A product of two halves has 22 significant bits and one of two 16-bit integers 31, so double
//! precision holds products exactly, and their sums as long as the bits do not spread too far.
//! For integers they never do. For halves the spread of every 32 operands is known beforehand;
//! where it is too large, `exact` sums with integers instead.

use half::f16;

use super::Sums;
use super::exact::{self, Spread};
use super::unit::Unit;
#[cfg(target_arch = "x86_64")]
use super::x86;
use crate::model::precision::Input;

/// Kernels of one output group.
pub const LANES: usize = 16;
/// Positions computed at once; features are padded to a multiple.
pub const ROWS: usize = 4;
/// Channels of one weight block, and products of one exact sum.
const CHANNELS: usize = 32;

/// Features as doubles, row-major, padded with zero rows.
#[derive(Debug)]
pub struct Features {
    unit: Unit,
    input: Input,
    rows: usize,
    channels: usize,
    values: Vec<f64>,
    /// For each position, for each 32 channels.
    spreads: Vec<Spread>,
}

/// Weights of one output group, channel by channel, kernels side by side.
struct Weights {
    values: Vec<[f64; LANES]>,
    /// For each 32 channels, for each kernel.
    spreads: Vec<[Spread; LANES]>,
}

impl Features {
    /// Takes `rows` positions of `channels` elements each. `unit` must be available.
    pub fn new(unit: Unit, input: Input, rows: usize, channels: usize, bytes: &[u8]) -> Self {
        let mut values = vec![0.0; rows.next_multiple_of(ROWS) * channels];
        for (value, &bytes) in values[..rows * channels].iter_mut().zip(bytes.as_chunks().0) {
            *value = widen(input, bytes);
        }
        let spreads = match input {
            Input::Fp16 => values.chunks_exact(CHANNELS).map(Spread::of).collect(),
            Input::Int8 | Input::Int16 => Vec::new(),
        };
        Features { unit, input, rows, channels, values, spreads }
    }

    /// Positions.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Sums of all positions with the kernels of one output group.
    pub fn multiply(&self, weights: &[u8]) -> Sums {
        let weights = Weights::new(self.input, self.channels, weights);
        match self.input {
            Input::Fp16 => Sums::Float(self.blocks(|first, sums| {
                self.float_block(first, &weights, sums);
            })),
            Input::Int8 | Input::Int16 => Sums::Int(self.blocks(|first, sums| {
                // at most 16384 products of at most 2^30: exact, and `as` saturates
                let wide = self.accumulate(first, 0, &weights.values);
                *sums = wide.map(|row| row.map(|sum| sum as i32));
            })),
        }
    }

    /// Calls `block(first position, its sums)` for every [`ROWS`] positions.
    fn blocks<T: Copy + Default>(&self, block: impl Fn(usize, &mut [[T; LANES]; ROWS])) -> Vec<T> {
        let mut sums = vec![[T::default(); LANES]; self.values.len() / self.channels];
        for (index, sums) in sums.as_chunks_mut().0.iter_mut().enumerate() {
            block(index * ROWS, sums);
        }
        let mut sums = sums.into_flattened();
        sums.truncate(self.rows * LANES);
        sums
    }

    /// Group sums, each rounded once, added in single precision.
    fn float_block(&self, first: usize, weights: &Weights, sums: &mut [[f32; LANES]; ROWS]) {
        let groups = self.channels / CHANNELS;
        for (group, kernels) in weights.spreads.iter().enumerate() {
            let channel = group * CHANNELS;
            let weights = &weights.values[channel..][..CHANNELS];
            let mut group_sums = self.accumulate(first, channel, weights);
            for (row, group_sums) in group_sums.iter_mut().enumerate() {
                let position = self.spreads[(first + row) * groups + group];
                for (lane, sum) in group_sums.iter_mut().enumerate() {
                    if !exact::fits(position, kernels[lane]) {
                        let features = self.row(first + row, channel, CHANNELS);
                        *sum = exact::sum(features, weights.iter().map(|w| w[lane]));
                    }
                }
            }
            for (sum, &group_sum) in
                sums.as_flattened_mut().iter_mut().zip(group_sums.as_flattened())
            {
                *sum += group_sum as f32;
            }
        }
    }

    /// Channels of one position.
    fn row(&self, row: usize, first: usize, count: usize) -> &[f64] {
        &self.values[row * self.channels + first..][..count]
    }

    /// Sums of [`ROWS`] positions from `row` on, over the channels of `weights`, which start at
    /// `channel`.
    fn accumulate(
        &self,
        row: usize,
        channel: usize,
        weights: &[[f64; LANES]],
    ) -> [[f64; LANES]; ROWS] {
        let rows = std::array::from_fn(|i| self.row(row + i, channel, weights.len()));
        let mut sums = [[0.0; LANES]; ROWS];
        match self.unit {
            Unit::Portable => portable(rows, weights, &mut sums),
            // SAFETY: the unit is available, so AVX2 and FMA are there.
            #[cfg(target_arch = "x86_64")]
            Unit::Avx2 => unsafe { x86::wide_avx2(rows, weights, &mut sums) },
            // SAFETY: the unit is available, so AVX-512F is there.
            #[cfg(target_arch = "x86_64")]
            Unit::Avx512 => unsafe { x86::wide_avx512(rows, weights, &mut sums) },
        }
        sums
    }
}

impl Weights {
    fn new(input: Input, channels: usize, bytes: &[u8]) -> Self {
        let mut values = vec![[0.0; LANES]; channels];
        let mut spreads = Vec::new();
        for (block, bytes) in bytes.chunks_exact(2 * LANES * CHANNELS).enumerate() {
            let values = &mut values[block * CHANNELS..][..CHANNELS];
            for (lane, bytes) in bytes.chunks_exact(2 * CHANNELS).enumerate() {
                for (value, &bytes) in values.iter_mut().zip(bytes.as_chunks().0) {
                    value[lane] = widen(input, bytes);
                }
            }
            if input == Input::Fp16 {
                let kernel = |lane: usize| -> [f64; CHANNELS] {
                    std::array::from_fn(|channel| values[channel][lane])
                };
                spreads.push(std::array::from_fn(|lane| Spread::of(&kernel(lane))));
            }
        }
        Weights { values, spreads }
    }
}

/// Plain Rust. Products are exact, so fused and separate additions give the same sums.
fn portable(rows: [&[f64]; ROWS], weights: &[[f64; LANES]], sums: &mut [[f64; LANES]; ROWS]) {
    for (row, sums) in rows.into_iter().zip(sums) {
        for (feature, weights) in row.iter().zip(weights) {
            *sums = std::array::from_fn(|lane| sums[lane] + feature * weights[lane]);
        }
    }
}

/// One operand as a double.
fn widen(input: Input, bytes: [u8; 2]) -> f64 {
    match input {
        Input::Fp16 => f16::from_le_bytes(bytes).to_f64(),
        Input::Int8 | Input::Int16 => f64::from(i16::from_le_bytes(bytes)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn halves(count: usize, seed: u32, spread: u16) -> Vec<u8> {
        let mut state = seed;
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let bits = (state >> 16) as u16;
            // exponents 15 - spread / 2 … 15 + spread / 2
            let exponent = 15 - spread / 2 + (bits >> 10) % (spread + 1);
            bits & 0x83ff | exponent << 10
        };
        (0..count).flat_map(|_| next().to_le_bytes()).collect()
    }

    #[test]
    fn every_unit_gives_the_same_bits() {
        for input in [Input::Int16, Input::Fp16] {
            for (rows, channels) in [(1, 32), (6, 64), (13, 320)] {
                for spread in [0, 6, 14, 28] {
                    let features = halves(rows * channels, 1, spread);
                    let weights = halves(LANES * channels, 2, spread);
                    let sums = Unit::available().into_iter().map(|unit| {
                        Features::new(unit, input, rows, channels, &features).multiply(&weights)
                    });
                    let sums: Vec<Sums> = sums.collect();
                    assert!(sums.windows(2).all(|pair| pair[0] == pair[1]), "{input:?} {spread}");
                }
            }
        }
    }
}
