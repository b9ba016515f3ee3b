//! Statistics of one line: integers only, and none that depends on the order of the elements.

use super::THRESHOLDS;
use crate::npu::scheme::float::{BELOW_2_31, Fixed, INFINITY, MAGNITUDE, ORDINARY, pow2};
use crate::npu::scheme::{MAX_SLICES, Scheme};
use crate::npu::widest::widest;

/// Elements whose leading parts are kept at hand while they are counted.
const BLOCK: usize = 1024;

/// Bytes that are counted side by side, each in a byte: at most 255 times.
const LANES: usize = 64;

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
    /// ‖d_p‖₂, rounded up, of the planes that meet a dropped product; 0 of the others.
    pub(super) roots: [u64; MAX_SLICES],
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
        let mut roots = [0; MAX_SLICES];
        for p in 1..=scheme.slices {
            if (1..=scheme.slices).any(|q| scheme.drops(p, q) || scheme.drops(q, p)) {
                roots[p - 1] = root_up(sum_of_squares(plane(p)));
            }
        }
        // |X| is at most |d_1| units of the leading digit and 128 of every other.
        let others = 128 * (((1u128 << lead) - 1) / 255);
        let norm =
            (u128::from(sum_of_magnitudes(plane(1))) << lead) + others * scan.nonzeros as u128;
        LineStats { counts, nonzeros: scan.nonzeros, norm, roots, inexact: lost != 0 }
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
        // Behind a short block there are zeros, which reach no threshold.
        let mut leading = [0; BLOCK];
        lost |= if ORDINARY.contains(&exponent) {
            leading_of_ordinary(block, exponent, lead, &mut leading)
        } else {
            leading_of_any(block, exponent, lead, &mut leading)
        };
        let groups = &leading.as_chunks().0[..block.len().div_ceil(LANES)];
        for (count, threshold) in counts.iter_mut().zip(THRESHOLDS) {
            *count += count_from(groups, threshold as i8);
        }
    }
    (counts, lost)
}

/// F of every element, and a number that is 0 iff every element times 2^exponent is an integer.
/// In single precision, for exponents that are [`ORDINARY`].
#[inline(always)]
fn leading_of_ordinary(line: &[f32], exponent: i32, lead: u32, out: &mut [i8; BLOCK]) -> u32 {
    let (up, down) = (pow2(exponent) as f32, pow2(-exponent) as f32);
    let mut lost = 0;
    for (leading, x) in out.iter_mut().zip(line) {
        let magnitude = x.to_bits() & MAGNITUDE;
        let scaled = (f32::from_bits(magnitude) * up).min(BELOW_2_31);
        // SAFETY: at least 0, below 2^31, and no NaN, which the minimum takes away.
        let whole = unsafe { scaled.to_int_unchecked::<i32>() };
        // Compared as bits, for a subnormal element may count as zero in arithmetic.
        lost |= (whole as f32 * down).to_bits() ^ magnitude;
        *leading = (whole >> lead) as i8;
    }
    lost
}

/// As [`leading_of_ordinary`], for any exponent, in integers.
#[inline(always)]
fn leading_of_any(line: &[f32], exponent: i32, lead: u32, out: &mut [i8; BLOCK]) -> u32 {
    let mut lost = 0;
    for (leading, x) in out.iter_mut().zip(line) {
        let fixed = Fixed::scale(x.to_bits(), exponent);
        lost |= fixed.fraction();
        *leading = fixed.truncate(lead) as i8;
    }
    lost
}

/// How many of at most 255 · [`LANES`] numbers are `threshold` or more.
#[inline(always)]
fn count_from(groups: &[[i8; LANES]], threshold: i8) -> u32 {
    let mut counts = [0u8; LANES];
    for group in groups {
        for (count, &leading) in counts.iter_mut().zip(group) {
            *count = count.wrapping_add(u8::from(leading >= threshold));
        }
    }
    counts.iter().map(|&count| u32::from(count)).sum()
}

widest! {
    fn sum_of_magnitudes(plane: &[i8]) -> u64 => sum_of_magnitudes_any;
}

#[inline(always)]
fn sum_of_magnitudes_any(plane: &[i8]) -> u64 {
    // A lane takes at most 256 magnitudes of at most 128.
    let mut total = 0;
    for run in plane.chunks(256 * LANES) {
        let mut sums = [0u16; LANES];
        let (groups, rest) = run.as_chunks::<LANES>();
        for group in groups {
            for (sum, digit) in sums.iter_mut().zip(group) {
                *sum = sum.wrapping_add(u16::from(digit.unsigned_abs()));
            }
        }
        total += sums.iter().map(|&sum| u64::from(sum)).sum::<u64>();
        total += rest.iter().map(|digit| u64::from(digit.unsigned_abs())).sum::<u64>();
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

/// The square root, rounded up.
fn root_up(square: u64) -> u64 {
    let root = square.isqrt();
    root + u64::from(root * root < square)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::npu::scheme::ozaki_int8::{I_3S8P, I_4S10P, exponent, split};
    use crate::npu::widest::Width;

    /// Lines of every length class, with zeros, spikes, subnormal numbers and -128 digits.
    fn lines() -> Vec<Vec<f32>> {
        let mut lines = Vec::new();
        for len in [0, 1, 7, 8, 33, 1023, 1024, 1025, 5000] {
            let wave = |i: usize| ((i * i + len) as f32).sin();
            lines.push((0..len).map(wave).collect());
            lines.push((0..len).map(|i| if i % 3 == 0 { -0.0 } else { wave(i).powi(9) }).collect());
            lines.push((0..len).map(|i| (i % 5) as f32 * 32640.0 - 65408.0).collect());
            lines.push((0..len).map(|i| f32::from_bits((i as u32 % 77) << 9)).collect());
            lines.push(vec![0.0; len]);
        }
        lines
    }

    #[test]
    fn a_scan_sees_every_element() {
        for line in lines() {
            let scan = LineScan::of(&line);
            assert_eq!(scan.max_abs, line.iter().fold(0f32, |max, x| max.max(x.abs())));
            assert_eq!(scan.nonzeros, line.iter().filter(|x| **x != 0.0).count());
            assert!(scan.finite);
            for place in [0, line.len() / 2, line.len().saturating_sub(1)] {
                for bad in [f32::NAN, -f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
                    let mut line = line.clone();
                    if let Some(x) = line.get_mut(place) {
                        *x = bad;
                        assert!(!LineScan::of(&line).finite);
                    }
                }
            }
        }
    }

    #[test]
    fn statistics_are_what_they_say() {
        for line in lines() {
            for scheme in [&I_3S8P, &I_4S10P] {
                let (slices, pitch) = (scheme.slices, line.len().next_multiple_of(32));
                let scan = LineScan::of(&line);
                let e = exponent(scan.max_abs, slices);
                let mut planes = vec![0; slices * pitch];
                split(&line, e, slices, pitch, &mut planes);
                let stats = LineStats::of(&line, &scan, e, scheme, &planes, pitch);

                let scaled: Vec<f64> = line.iter().map(|&x| f64::from(x) * 2f64.powi(e)).collect();
                let unit = 256f64.powi(slices as i32 - 1);
                for (count, threshold) in stats.counts.iter().zip(THRESHOLDS) {
                    let reach = |x: &&f64| (x.abs() / unit).trunc() >= f64::from(threshold);
                    assert_eq!(*count as usize, scaled.iter().filter(reach).count());
                }
                assert!(scaled.iter().all(|x| x.abs() / unit < 128.0));
                assert_eq!(stats.inexact, scaled.iter().any(|x| x.fract() != 0.0));
                assert_eq!(stats.nonzeros, scan.nonzeros);
                let norm: f64 = scaled.iter().map(|x| x.round_ties_even().abs()).sum();
                assert!(norm <= stats.norm as f64);
                assert!(stats.norm as f64 <= norm + 1.01 * unit * scan.nonzeros as f64);
                for p in 1..=slices {
                    let digits = &planes[(p - 1) * pitch..p * pitch];
                    let square: u64 = digits.iter().map(|&d| i64::from(d).pow(2) as u64).sum();
                    let root = stats.roots[p - 1];
                    if (1..=slices).any(|q| scheme.drops(p, q)) {
                        assert!(root * root >= square && (root == 0 || (root - 1).pow(2) < square));
                    } else {
                        assert_eq!(root, 0);
                    }
                }
            }
        }
    }

    #[test]
    fn integers_and_floating_point_agree() {
        for line in lines() {
            let max = line.iter().fold(0f32, |max, x| max.max(x.abs()));
            for slices in [3, 4] {
                let (own, lead) = (exponent(max, slices), 8 * (slices as u32 - 1));
                for exponent in [own, own - 1, own - 40].map(|e| e.clamp(-120, 120).min(own)) {
                    for block in line.chunks(BLOCK) {
                        let (mut one, mut other) = ([0; BLOCK], [0; BLOCK]);
                        let lost = leading_of_ordinary(block, exponent, lead, &mut one);
                        let same = leading_of_any(block, exponent, lead, &mut other);
                        assert_eq!((one, lost == 0), (other, same == 0), "2^{exponent}");
                    }
                }
            }
        }
    }

    #[test]
    fn every_instruction_set_gives_the_same_numbers() {
        for line in lines() {
            let digits: Vec<i8> = line.iter().map(|x| x.to_bits() as i8).collect();
            Width::each(|| {
                assert_eq!(scan(&line), scan_any(&line));
                for (exponent, lead) in [(20, 16), (-120, 16), (120, 24), (121, 16), (170, 24)] {
                    let expected = count_any(&line, exponent, lead);
                    assert_eq!(count(&line, exponent, lead), expected, "2^{exponent}");
                }
                assert_eq!(sum_of_magnitudes(&digits), sum_of_magnitudes_any(&digits));
                assert_eq!(sum_of_squares(&digits), sum_of_squares_any(&digits));
            });
        }
    }

    #[test]
    fn sums_of_the_greatest_digits_do_not_wrap() {
        let digits = vec![-128i8; 200_001];
        assert_eq!(sum_of_magnitudes(&digits), 128 * 200_001);
        assert_eq!(sum_of_squares(&digits), 16_384 * 200_001);
        let ones = vec![1.0f32; 200_001];
        assert_eq!(LineScan::of(&ones).nonzeros, 200_001);
        assert_eq!(count(&ones, 22, 16).0[0], 200_001);
    }
}
