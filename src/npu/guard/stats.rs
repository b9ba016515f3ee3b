//! Statistics of one line: integers only, and none that depends on the order of the elements.

use super::THRESHOLDS;
use crate::npu::scheme::float::{Fixed, INFINITY, MAGNITUDE};
use crate::npu::scheme::{MAX_SLICES, Scheme};
use crate::npu::widest::widest;

/// Elements whose leading parts are kept at hand while they are counted, a multiple of
/// [`LANES`] and at most 255 of them.
const BLOCK: usize = 2048;

/// Counters that run side by side.
const LANES: usize = 32;

/// Digits whose squares surely sum up within a u32.
const RUN: usize = 65_536;

/// What one pass over a line tells, before its exponent is known.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LineScan {
    /// Largest magnitude; meaningless when not finite.
    pub max_abs: f32,
    /// Whether every element is finite.
    pub finite: bool,
    /// Elements that are not zero.
    pub nonzeros: usize,
}

impl LineScan {
    /// Scans one line.
    pub fn of(line: &[f32]) -> LineScan {
        let (max, nonzeros) = scan(line);
        LineScan { max_abs: f32::from_bits(max), finite: max < INFINITY, nonzeros }
    }
}

/// Tier-1 statistics of one line under a scheme; integers only.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LineStats {
    /// c_p: elements whose F reaches the p-th threshold.
    pub(super) counts: [u32; THRESHOLDS.len()],
    /// Elements that are not zero.
    pub(super) nonzeros: usize,
    /// Upper bound of ‖X‖₁.
    pub(super) norm: u128,
    /// ‖d_p‖₂² of the planes that meet a dropped product; 0 of the others.
    pub(super) squares: [u64; MAX_SLICES],
    /// Whether rounding to integers changed an element.
    pub(super) inexact: bool,
}

impl LineStats {
    /// Statistics of `line`, whose scan is `scan`, whose exponent is `exponent` and whose digit
    /// planes under `scheme` are `planes` with pitch `pitch`.
    pub fn of(
        line: &[f32],
        scan: &LineScan,
        exponent: i32,
        scheme: &Scheme,
        planes: &[i8],
        pitch: usize,
    ) -> LineStats {
        let lead = 8 * (scheme.slices as u32 - 1);
        let (counts, lost) = count(line, exponent, lead);
        let plane = |p: usize| &planes[(p - 1) * pitch..p * pitch];
        let mut squares = [0; MAX_SLICES];
        for p in 1..=scheme.slices {
            if scheme.dropped().any(|(first, second)| first == p || second == p) {
                squares[p - 1] = sum_of_squares(plane(p));
            }
        }
        // |X| is at most |d_1| units of the leading digit and 128 of every other.
        let others = 128 * (((1u128 << lead) - 1) / 255);
        let norm =
            (u128::from(sum_of_magnitudes(plane(1))) << lead) + others * scan.nonzeros as u128;
        LineStats { counts, nonzeros: scan.nonzeros, norm, squares, inexact: lost != 0 }
    }
}

widest! {
    /// The largest magnitude, as bits, and the number of non-zeros.
    fn scan(line: &[f32]) -> (u32, usize) => scan_any;
}

#[inline(always)]
fn scan_any(line: &[f32]) -> (u32, usize) {
    let (mut max, mut nonzeros) = (0, 0);
    for run in line.chunks(RUN) {
        let (mut run_max, mut count) = (0i32, 0i32);
        for x in run {
            let magnitude = (x.to_bits() & MAGNITUDE) as i32;
            run_max = run_max.max(magnitude);
            count = count.wrapping_add(i32::from(magnitude != 0));
        }
        max = max.max(run_max);
        nonzeros += count as usize;
    }
    (max as u32, nonzeros)
}

widest! {
    /// Counts of F over the thresholds, where F is the element times 2^exponent over 2^lead,
    /// and a number that is 0 iff every element times 2^exponent is an integer.
    fn count(line: &[f32], exponent: i32, lead: u32) -> ([u32; THRESHOLDS.len()], u32)
        => count_any;
}

#[inline(always)]
fn count_any(line: &[f32], exponent: i32, lead: u32) -> ([u32; THRESHOLDS.len()], u32) {
    let mut counts = [0; THRESHOLDS.len()];
    let mut lost = 0;
    for block in line.chunks(BLOCK) {
        let mut leading = [0u8; BLOCK];
        for (leading, x) in leading.iter_mut().zip(block) {
            let fixed = Fixed::scale(x.to_bits(), exponent);
            lost |= fixed.fraction();
            *leading = fixed.truncate(lead) as u8;
        }
        // Behind a short block there are zeros, which reach no threshold.
        let leading = &leading[..block.len().next_multiple_of(LANES)];
        for (count, threshold) in counts.iter_mut().zip(THRESHOLDS) {
            *count += count_from(leading, threshold);
        }
    }
    (counts, lost)
}

/// How many of `values`, at most 255 times [`LANES`], are `threshold` or more.
#[inline(always)]
fn count_from(values: &[u8], threshold: u8) -> u32 {
    let mut lanes = [0u8; LANES];
    for values in values.as_chunks::<LANES>().0 {
        for i in 0..LANES {
            lanes[i] = lanes[i].wrapping_add(u8::from(values[i] >= threshold));
        }
    }
    lanes.iter().map(|&lane| u32::from(lane)).sum()
}

widest! {
    fn sum_of_magnitudes(plane: &[i8]) -> u64 => sum_of_magnitudes_any;
}

#[inline(always)]
fn sum_of_magnitudes_any(plane: &[i8]) -> u64 {
    let mut total = 0;
    for run in plane.chunks(RUN) {
        let mut sum = 0u32;
        for digit in run {
            sum = sum.wrapping_add(u32::from(digit.unsigned_abs()));
        }
        total += u64::from(sum);
    }
    total
}

widest! {
    fn sum_of_squares(plane: &[i8]) -> u64 => sum_of_squares_any;
}

#[inline(always)]
fn sum_of_squares_any(plane: &[i8]) -> u64 {
    let mut total = 0;
    for run in plane.chunks(RUN) {
        let mut sum = 0i32;
        for &digit in run {
            sum = sum.wrapping_add(i32::from(digit).wrapping_mul(i32::from(digit)));
        }
        total += sum as u64;
    }
    total
}
