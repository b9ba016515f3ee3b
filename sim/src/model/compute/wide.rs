//! 16-bit products, in double precision.
//!
//! A product of two halves has 22 significant bits and one of two 16-bit integers 31, so double
//! precision holds products exactly, and their sums as long as the bits do not spread too far.
//! For integers they never do. For halves the spread of every 32 operands is known beforehand;
//! where it is too large, `exact` sums with integers instead.

use half::f16;

use super::Sums;
use super::exact::{self, Spread};
use crate::model::precision::Input;

/// Kernels of one output group.
const LANES: usize = 16;
/// Positions computed at once; features are padded to a multiple.
const ROWS: usize = 4;
/// Channels of one weight block, and products of one exact sum.
const CHANNELS: usize = 32;

/// Features as doubles, row-major, padded with zero rows.
#[derive(Debug)]
pub struct Features {
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
    /// Takes `rows` positions of `channels` elements each.
    pub fn new(input: Input, rows: usize, channels: usize, bytes: &[u8]) -> Self {
        let mut values = vec![0.0; rows.next_multiple_of(ROWS) * channels];
        for (value, &bytes) in values[..rows * channels].iter_mut().zip(bytes.as_chunks().0) {
            *value = widen(input, bytes);
        }
        let spreads = match input {
            Input::Fp16 => values.chunks_exact(CHANNELS).map(Spread::of).collect(),
            Input::Int8 | Input::Int16 => Vec::new(),
        };
        Features { input, rows, channels, values, spreads }
    }

    /// Positions.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Sums of all positions with the kernels of one output group.
    pub fn multiply(&self, weights: &[u8]) -> Sums {
        let weights = Weights::new(self.input, self.channels, weights);
        match self.input {
            Input::Fp16 => Sums::Float(self.blocks(&weights, |first, rows, weights, sums| {
                self.float_block(first, rows, weights, sums);
            })),
            Input::Int8 | Input::Int16 => {
                Sums::Int(self.blocks(&weights, |_, rows, weights, sums| {
                    integer_block(rows, weights, sums);
                }))
            }
        }
    }

    /// Calls `block(first row, its rows of features, weights, sums)` for every [`ROWS`] rows.
    fn blocks<T: Clone + Default>(
        &self,
        weights: &Weights,
        block: impl Fn(usize, &[f64], &Weights, &mut [T]),
    ) -> Vec<T> {
        let mut sums = vec![T::default(); self.values.len() / self.channels * LANES];
        let rows = self.values.chunks_exact(ROWS * self.channels);
        for (index, (rows, sums)) in rows.zip(sums.chunks_exact_mut(ROWS * LANES)).enumerate() {
            block(index * ROWS, rows, weights, sums);
        }
        sums.truncate(self.rows * LANES);
        sums
    }

    /// Group sums, each rounded once, added in single precision.
    fn float_block(&self, first: usize, rows: &[f64], weights: &Weights, sums: &mut [f32]) {
        let groups = self.channels / CHANNELS;
        for group in 0..groups {
            let weights_of_group = &weights.values[group * CHANNELS..][..CHANNELS];
            let mut exact_sums = [[0.0; LANES]; ROWS];
            accumulate(rows, group * CHANNELS, weights_of_group, &mut exact_sums);
            let kernels = &weights.spreads[group];
            for (row, group_sums) in exact_sums.iter_mut().enumerate() {
                let position = self.spreads[(first + row) * groups + group];
                for (lane, sum) in group_sums.iter_mut().enumerate() {
                    if !exact::fits(position, kernels[lane]) {
                        let features = &rows[row * self.channels + group * CHANNELS..][..CHANNELS];
                        *sum = exact::sum(features, weights_of_group.iter().map(|w| w[lane]));
                    }
                }
                for (sum, &exact) in sums[row * LANES..].iter_mut().zip(group_sums.iter()) {
                    *sum += exact as f32;
                }
            }
        }
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

/// Sums of integers: at most 16384 products of at most 2^30, exact in double precision.
fn integer_block(rows: &[f64], weights: &Weights, sums: &mut [i32]) {
    let mut wide = [[0.0; LANES]; ROWS];
    accumulate(rows, 0, &weights.values, &mut wide);
    for (sum, &wide) in sums.iter_mut().zip(wide.as_flattened()) {
        *sum = wide as i32; // saturates
    }
}

/// Adds the products of [`ROWS`] rows, from channel `first` on, with `weights`.
fn accumulate(
    rows: &[f64],
    first: usize,
    weights: &[[f64; LANES]],
    sums: &mut [[f64; LANES]; ROWS],
) {
    #[cfg(target_arch = "x86_64")]
    {
        if is_x86_feature_detected!("avx512f") {
            // SAFETY: AVX-512F was just found.
            return unsafe { accumulate_avx512(rows, first, weights, sums) };
        }
        if is_x86_feature_detected!("avx2") {
            // SAFETY: AVX2 was just found.
            return unsafe { accumulate_avx2(rows, first, weights, sums) };
        }
    }
    accumulate_body(rows, first, weights, sums);
}

/// [`accumulate_body`] compiled for AVX-512.
///
/// # Safety
/// The machine must have AVX-512F.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f")]
unsafe fn accumulate_avx512(
    rows: &[f64],
    first: usize,
    weights: &[[f64; LANES]],
    sums: &mut [[f64; LANES]; ROWS],
) {
    accumulate_body(rows, first, weights, sums);
}

/// [`accumulate_body`] compiled for AVX2.
///
/// # Safety
/// The machine must have AVX2.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
unsafe fn accumulate_avx2(
    rows: &[f64],
    first: usize,
    weights: &[[f64; LANES]],
    sums: &mut [[f64; LANES]; ROWS],
) {
    accumulate_body(rows, first, weights, sums);
}

#[inline(always)]
fn accumulate_body(
    rows: &[f64],
    first: usize,
    weights: &[[f64; LANES]],
    sums: &mut [[f64; LANES]; ROWS],
) {
    let channels = rows.len() / ROWS;
    let rows: [&[f64]; ROWS] =
        std::array::from_fn(|row| &rows[row * channels + first..][..weights.len()]);
    let mut local = *sums;
    for (channel, weights) in weights.iter().enumerate() {
        for (row, sums) in rows.iter().zip(&mut local) {
            let feature = row[channel];
            for (sum, weight) in sums.iter_mut().zip(weights) {
                *sum += feature * weight;
            }
        }
    }
    *sums = local;
}

/// One operand as a double.
fn widen(input: Input, bytes: [u8; 2]) -> f64 {
    match input {
        Input::Fp16 => f16::from_le_bytes(bytes).to_f64(),
        Input::Int8 | Input::Int16 => f64::from(i16::from_le_bytes(bytes)),
    }
}
