//! The arithmetic, bit by bit.
//!
//! * int8: exact; no sum of 16384 products leaves 32 bits.
//! * int16: exact in wide accumulators, saturated to 32 bits when it leaves them.
//! * fp16: every aligned group of 32 products is summed exactly and rounded once to single
//!   precision, to nearest even; the group sums are added in order of k, each addition rounded
//!   likewise, from 0. Subnormals count in full.
//!
//! Where the chip is not characterised, the model is IEEE 754: infinities and NaN (quiet and
//! positive, whatever came in), overflow of single precision to infinity, and of the narrowing to
//! half precision, which rounds to nearest even, to infinity too. The rare low bit of kernels
//! 0, 16, 32 … that boards show in fp16 is not modelled: which inputs it strikes is not known.

mod exact;
mod int8;
mod unit;
mod wide;
#[cfg(target_arch = "x86_64")]
mod x86;

use half::f16;

use super::dpu::{Converter, Dpu};
use super::precision::{Input, Output};

/// The features of a task, ready to be multiplied by one output group of kernels after another.
#[derive(Debug)]
pub enum Features {
    /// int8 operands.
    Int8(int8::Features),
    /// 16-bit operands, integers or halves.
    Wide(wide::Features),
}

/// Accumulators of one output group, position by position, kernels side by side.
#[derive(Debug, PartialEq)]
pub enum Sums {
    /// Integer products.
    Int(Vec<i32>),
    /// Float products.
    Float(Vec<f32>),
}

impl Features {
    /// Takes `rows` positions of `channels` elements each, row-major, as they lie in memory.
    pub fn new(input: Input, rows: usize, channels: usize, bytes: &[u8]) -> Self {
        let unit = unit::Unit::best();
        match input {
            Input::Int8 => Features::Int8(int8::Features::new(unit, rows, channels, bytes)),
            Input::Int16 | Input::Fp16 => {
                Features::Wide(wide::Features::new(unit, input, rows, channels, bytes))
            }
        }
    }

    /// Positions.
    pub fn rows(&self) -> usize {
        match self {
            Features::Int8(features) => features.rows(),
            Features::Wide(features) => features.rows(),
        }
    }

    /// Multiplies all positions by one output group of kernels, given as its weight blocks:
    /// for each 32 channels, for each kernel, the 32 weights.
    pub fn multiply(&self, weights: &[u8]) -> Sums {
        match self {
            Features::Int8(features) => Sums::Int(features.multiply(weights)),
            Features::Wide(features) => features.multiply(weights),
        }
    }
}

/// Converts sums to the DPU's output type, in the order they come in.
pub fn write_results(sums: Sums, dpu: &Dpu, results: &mut [u8]) {
    match (sums, dpu.output) {
        (Sums::Int(sums), Output::Int32) => {
            each(&sums, results, |sum| dpu.converter.apply(sum).to_le_bytes());
        }
        (Sums::Int(sums), Output::Fp32) => each(&sums, results, |sum| (sum as f32).to_le_bytes()),
        (Sums::Int(sums), Output::Fp16) => {
            each(&sums, results, |sum| f16::from_f32(sum as f32).to_le_bytes());
        }
        (Sums::Float(sums), Output::Fp16) => {
            each(&sums, results, |sum| canonical_half(sum).to_le_bytes());
        }
        (Sums::Float(sums), Output::Int32 | Output::Fp32) => {
            each(&sums, results, |sum| canonical(sum).to_le_bytes());
        }
    }
}

/// Converts one element after the other.
fn each<T: Copy, const BYTES: usize>(
    sums: &[T],
    results: &mut [u8],
    convert: impl Fn(T) -> [u8; BYTES],
) {
    for (result, &sum) in results.as_chunks_mut().0.iter_mut().zip(sums) {
        *result = convert(sum);
    }
}

/// One NaN for all: which one a float unit makes depends on the machine that runs the model.
fn canonical(value: f32) -> f32 {
    if value.is_nan() { f32::from_bits(0x7fc0_0000) } else { value }
}

/// Narrows to half precision, to nearest even.
fn canonical_half(value: f32) -> f16 {
    if value.is_nan() { f16::from_bits(0x7e00) } else { f16::from_f32(value) }
}

impl Converter {
    /// The converter on one sum.
    fn apply(self, sum: i32) -> i32 {
        if self == (Converter { scale: 1, shift: 0, ties_away: self.ties_away, offset: 0 }) {
            return sum;
        }
        let scaled = i128::from(sum) * i128::from(self.scale);
        let shifted = scaled >> self.shift;
        let rest = scaled - (shifted << self.shift);
        let half = (1i128 << self.shift) >> 1;
        let up = match rest.cmp(&half) {
            _ if self.shift == 0 => false,
            std::cmp::Ordering::Less => false,
            std::cmp::Ordering::Greater => true,
            std::cmp::Ordering::Equal if self.ties_away => scaled >= 0,
            std::cmp::Ordering::Equal => shifted & 1 == 1,
        };
        let value = shifted + i128::from(up) + i128::from(self.offset);
        value.clamp(i32::MIN.into(), i32::MAX.into()) as i32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_converter_rounds_as_asked_and_saturates() {
        let even = Converter { scale: 1, shift: 1, ties_away: false, offset: 0 };
        let away = Converter { ties_away: true, ..even };
        let halves = [-5, -3, -1, 1, 3, 5, 4];
        assert_eq!(halves.map(|x| even.apply(x)), [-2, -2, 0, 0, 2, 2, 2]);
        assert_eq!(halves.map(|x| away.apply(x)), [-3, -2, -1, 1, 2, 3, 2]);
        let large = Converter { scale: i16::MIN, shift: 0, ties_away: false, offset: 1 };
        assert_eq!(large.apply(i32::MIN), i32::MAX);
        assert_eq!(large.apply(i32::MAX), i32::MIN);
        assert_eq!(large.apply(1), -32767);
        let tiny = Converter { shift: 63, ..large };
        assert_eq!([tiny.apply(i32::MIN), tiny.apply(-1), tiny.apply(0)], [1, 1, 1]);
    }

    #[test]
    fn narrowing_goes_to_even_and_overflows_to_infinity() {
        for (single, half) in [
            (1.0 + 1.0 / 2048.0, 0x3c00),
            (1.0 + 3.0 / 2048.0, 0x3c02),
            (65519.0, 0x7bff),
            (65520.0, 0x7c00),
            (-1e30, 0xfc00),
            (2.0f32.powi(-25), 0x0000),
            (2.0f32.powi(-25) * 1.5, 0x0001),
            (-f32::NAN, 0x7e00),
        ] {
            assert_eq!(canonical_half(single).to_bits(), half, "{single}");
        }
    }
}
