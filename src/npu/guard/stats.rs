//! Statistics of one line: integers only, and none that depends on the order of the elements.

use super::THRESHOLDS;
use crate::npu::scheme::fixed::Fixed;
use crate::npu::scheme::real::{Real, Word};
use crate::npu::scheme::{LineScan, MAX_DIGITS, Scheme};
use crate::npu::widest::widest;

/// Elements whose leading parts are kept at hand while they are counted.
const BLOCK: usize = 1024;

/// Bytes that are counted side by side, each in a byte: at most 255 times.
const LANES: usize = 64;

/// Digits whose squares surely sum up within a u32.
const RUN: usize = 65_536;

/// Tier-1 statistics of one line under a scheme; integers only.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LineStats {
    /// c_p: elements whose F reaches the p-th threshold.
    pub(super) counts: [u32; THRESHOLDS.len()],
    /// Elements that are not zero.
    pub(super) nonzeros: usize,
    /// λ: the unit of F is 2^λ.
    pub(super) trailing: u32,
    /// Σ (F + 1) over the non-zeros, an upper bound of ‖X‖₁ in units of F.
    pub(super) norm: u64,
    /// ‖d_p‖₂, rounded up, of the planes that meet a dropped product; 0 of the others.
    pub(super) roots: [u64; MAX_DIGITS],
    /// Whether rounding to integers changed an element.
    pub(super) inexact: bool,
}

impl LineStats {
    /// Statistics of `line`, whose scan is `scan`, whose exponent is `exponent` and whose planes
    /// under `scheme` are `planes` with pitch `pitch`.
    pub fn of<R: Real>(
        line: &[R],
        scan: &LineScan<R>,
        exponent: i32,
        scheme: &Scheme,
        planes: &[i8],
        pitch: usize,
    ) -> LineStats {
        let trailing = scheme.trailing_bits(exponent, scan);
        let (counts, sum) = count(line, exponent - trailing as i32);
        let mut stats = LineStats {
            counts,
            nonzeros: scan.nonzeros,
            trailing,
            norm: sum + scan.nonzeros as u64,
            roots: [0; MAX_DIGITS],
            inexact: is_inexact(line, exponent),
        };
        stats.take_in(scheme, planes, pitch);
        stats
    }

    /// Makes these the statistics of another line, too, of the same magnitudes, whose planes are
    /// `planes`: a negative number may have greater digits.
    pub fn take_in(&mut self, scheme: &Scheme, planes: &[i8], pitch: usize) {
        // A plane that meets any dropped product meets one with the last plane.
        let last = scheme.value_planes();
        for p in (1..=last).filter(|&p| scheme.drops(p, last) || scheme.drops(last, p)) {
            let square = sum_of_squares(&planes[(p - 1) * pitch..p * pitch]);
            self.roots[p - 1] = self.roots[p - 1].max(root_up(square));
        }
    }

    /// Whether all elements are zero.
    pub fn is_zero(&self) -> bool {
        self.nonzeros == 0
    }

    /// F of every element of the line of these statistics, whose exponent is `exponent`: numbers
    /// of 0 … 127, whose product with those of another line may prove an entry, see
    /// [`Certificate`](super::Certificate). `out` is as long as the line, or longer and filled up with zeros.
    pub fn leading<R: Real>(&self, line: &[R], exponent: i32, out: &mut [i8]) {
        let (parts, rest) = out.split_at_mut(line.len());
        leading(line, exponent - self.trailing as i32, parts);
        rest.fill(0);
    }
}

widest! {
    fn leading<R: Real>(line: &[R], exponent: i32, out: &mut [i8]) => leading_parts;
}

widest! {
    /// Counts of F over the thresholds, where F is the element times 2^exponent without its
    /// fraction, and the sum of all F.
    fn count<R: Real>(line: &[R], exponent: i32) -> ([u32; THRESHOLDS.len()], u64) => count_any;
}

#[inline(always)]
fn count_any<R: Real>(line: &[R], exponent: i32) -> ([u32; THRESHOLDS.len()], u64) {
    let (mut counts, mut total) = ([0; THRESHOLDS.len()], 0);
    for block in line.chunks(BLOCK) {
        // Behind a short block there are zeros, which reach no threshold.
        let mut leading = [0; BLOCK];
        leading_parts(block, exponent, &mut leading);
        let sum: u32 = leading[..block.len()].iter().map(|&f| u32::from(f.cast_unsigned())).sum();
        total += u64::from(sum);
        let groups = &leading.as_chunks().0[..block.len().div_ceil(LANES)];
        for (count, threshold) in counts.iter_mut().zip(THRESHOLDS) {
            *count += count_from(groups, threshold as i8);
        }
    }
    (counts, total)
}

/// F of every element, for as many as `out` has room for.
#[inline(always)]
fn leading_parts<R: Real>(line: &[R], exponent: i32, out: &mut [i8]) {
    if R::ORDINARY.contains(&exponent) {
        let scale = R::pow2(exponent);
        for (leading, &x) in out.iter_mut().zip(line) {
            // SAFETY: a magnitude and a power of two.
            *leading = unsafe { R::of_bits(x.magnitude()).leading(scale) };
        }
    } else {
        for (leading, &x) in out.iter_mut().zip(line) {
            *leading = Fixed::scale(x, exponent).truncate().low_byte().cast_signed();
        }
    }
}

widest! {
    /// Whether any element times 2^exponent is not an integer.
    fn is_inexact<R: Real>(line: &[R], exponent: i32) -> bool => is_inexact_any;
}

#[inline(always)]
fn is_inexact_any<R: Real>(line: &[R], exponent: i32) -> bool {
    // Most lines show it at once.
    line.chunks(LANES).any(|few| is_inexact_block(few, exponent))
}

#[inline(always)]
fn is_inexact_block<R: Real>(line: &[R], exponent: i32) -> bool {
    let mut lost = R::Word::ZERO;
    if R::ORDINARY.contains(&exponent) {
        let (up, down) = (R::pow2(exponent), R::pow2(-exponent));
        for &x in line {
            lost = lost | R::of_bits(x.magnitude()).beside(up, down);
        }
    } else {
        for &x in line {
            lost = lost | Fixed::scale(x, exponent).fraction();
        }
    }
    lost != R::Word::ZERO
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
    use crate::npu::scheme::{crt_int8, ozaki_int8};
    use crate::npu::widest::Width;

    /// Lines of every length class, with zeros, spikes, subnormal numbers and -128 digits.
    fn doubles() -> Vec<Vec<f64>> {
        let mut lines = Vec::new();
        for len in [0, 1, 7, 8, 33, 1023, 1024, 1025, 5000] {
            let wave = |i: usize| ((i * i + len) as f64).sin();
            lines.push((0..len).map(wave).collect());
            lines.push((0..len).map(|i| if i % 3 == 0 { -0.0 } else { wave(i).powi(9) }).collect());
            lines.push((0..len).map(|i| (i % 5) as f64 * 32640.0 - 65408.0).collect());
            lines.push((0..len).map(|i| f64::from_bits((i as u64 % 77) << 9)).collect());
            lines.push((0..len).map(|i| wave(i) * 2f64.powi(1010)).collect());
            lines.push(vec![0.0; len]);
        }
        lines
    }

    fn singles() -> Vec<Vec<f32>> {
        let narrow = |line: Vec<f64>| line.iter().map(|&x| (x as f32).clamp(-3e38, 3e38)).collect();
        let mut lines: Vec<Vec<f32>> = doubles().into_iter().map(narrow).collect();
        lines.push((0..1025).map(|i| f32::from_bits((i % 77) << 9)).collect());
        lines
    }

    /// |x| · 2^e as a number of 2^-64, where it is below 2^63; what is lost shows in the last
    /// bit.
    fn scaled<R: Real>(x: R, e: i32) -> u128 {
        let implicit = 1 << (R::PRECISION - 1);
        let (field, fraction) =
            (x.magnitude().to_u64() / implicit, x.magnitude().to_u64() % implicit);
        let mantissa = u128::from(fraction + if field == 0 { 0 } else { implicit });
        let up = 64 + field.max(1) as i32 - 1 + R::LEAST + e;
        if up >= 0 { mantissa << up } else { u128::from(mantissa != 0) }
    }

    fn check<R: Real>(lines: &[Vec<R>], schemes: &[&Scheme]) {
        for line in lines {
            for scheme in schemes {
                let (count, pitch) = (scheme.planes(), line.len().next_multiple_of(32));
                let scan = LineScan::of(line);
                let e = scheme.exponent(line, &scan);
                let mut planes = vec![0; count * pitch];
                scheme.split(line, e, pitch, &mut planes);
                let stats = LineStats::of(line, &scan, e, scheme, &planes, pitch);

                let scaled: Vec<u128> = line.iter().map(|&x| scaled(x, e)).collect();
                let leading = |x: &u128| x >> (64 + stats.trailing);
                for (count, threshold) in stats.counts.iter().zip(THRESHOLDS) {
                    let reach = |x: &&u128| leading(x) >= u128::from(threshold);
                    assert_eq!(*count as usize, scaled.iter().filter(reach).count());
                }
                let most = scaled.iter().map(leading).max().unwrap_or(0);
                assert!(most < 128 && (most >= 63 || scan.nonzeros == 0), "{}", scheme.name);
                assert_eq!(stats.inexact, scaled.iter().any(|x| *x as u64 != 0));
                assert_eq!(stats.nonzeros, scan.nonzeros);
                // Ties may be rounded either way; neither is above the bound.
                let whole = |x: &u128| (x + (1 << 63)) >> 64;
                let norm: u128 = scaled.iter().map(whole).sum();
                let bound = u128::from(stats.norm) << stats.trailing;
                assert!(
                    norm <= bound && bound <= norm + ((scan.nonzeros as u128) << stats.trailing)
                );
                for p in 1..=count.min(MAX_DIGITS) {
                    let digits = &planes[(p - 1) * pitch..p * pitch];
                    let square: u64 = digits.iter().map(|&d| i64::from(d).pow(2) as u64).sum();
                    let root = stats.roots[p - 1];
                    if (1..=count).any(|q| scheme.drops(p, q)) {
                        assert!(root * root >= square && (root == 0 || (root - 1).pow(2) < square));
                    } else {
                        assert_eq!(root, 0);
                    }
                }
            }
        }
    }

    #[test]
    fn a_line_and_its_negative_differ_in_their_digits_only() {
        let mut differ = 0;
        for line in singles() {
            let negative: Vec<f32> = line.iter().map(|x| -x).collect();
            for scheme in [&ozaki_int8::I_3S8P, &ozaki_int8::I_4S10P] {
                let (scan, pitch) = (LineScan::of(&line), line.len());
                let e = scheme.exponent(&line, &scan);
                let stats = |line: &[f32]| {
                    let mut planes = vec![0; scheme.planes() * pitch];
                    scheme.split(line, e, pitch, &mut planes);
                    (LineStats::of(line, &scan, e, scheme, &planes, pitch), planes)
                };
                let ((first, _), (second, planes)) = (stats(&line), stats(&negative));
                let mut both = first;
                both.take_in(scheme, &planes, pitch);
                let roots = std::array::from_fn(|p| first.roots[p].max(second.roots[p]));
                assert_eq!(both, LineStats { roots, ..first });
                assert_eq!(both, LineStats { roots, ..second });
                differ += usize::from(first.roots != second.roots);
            }
        }
        assert!(differ > 0);
    }

    #[test]
    fn statistics_are_what_they_say() {
        let of = |precision: u32| {
            let all = ozaki_int8::SCHEMES.into_iter().chain(crt_int8::SCHEMES);
            all.filter(move |scheme| scheme.precision == precision).collect::<Vec<_>>()
        };
        check(&singles(), &of(24));
        check(&doubles(), &of(53));
    }

    /// Exponents that take the greatest elements from 127 down to nothing.
    fn check_arithmetic<R: Real>(lines: &[Vec<R>], bits: &[i32]) {
        for line in lines.iter().filter(|line| LineScan::of(line).nonzeros > 0) {
            let own = 6 - LineScan::of(line).max_abs.ilog2();
            let limits = (*R::ORDINARY.start(), *R::ORDINARY.end());
            for e in [own, own - 1, own - 40].map(|e| e.clamp(limits.0, limits.1)) {
                if e > own {
                    continue;
                }
                let mut fast = vec![0; line.len()];
                leading_parts(line, e, &mut fast);
                let slow = line.iter().map(|&x| Fixed::scale(x, e).truncate().to_u64());
                assert!(fast.iter().map(|&f| f as u64).eq(slow), "2^{e}");
            }
            for e in bits.iter().map(|bits| own + bits).filter(|e| R::ORDINARY.contains(e)) {
                let lost = line.iter().any(|&x| Fixed::scale(x, e).fraction() != R::Word::ZERO);
                assert_eq!(is_inexact_any(line, e), lost, "2^{e}");
            }
        }
    }

    #[test]
    fn integers_and_floating_point_agree() {
        check_arithmetic(&singles(), &[-40, 0, 8, 16, 23]);
        check_arithmetic(&doubles(), &[-40, 0, 32, 48, 55]);
    }

    fn check_widths<R: Real>(lines: &[Vec<R>], exponents: &[i32]) {
        for line in lines {
            let digits: Vec<i8> = line.iter().map(|x| x.bits().low_byte().cast_signed()).collect();
            Width::each(|| {
                for &e in exponents {
                    assert_eq!(count(line, e), count_any(line, e), "2^{e}");
                    assert_eq!(is_inexact(line, e), is_inexact_any(line, e), "2^{e}");
                }
                assert_eq!(sum_of_squares(&digits), sum_of_squares_any(&digits));
            });
        }
    }

    #[test]
    fn every_instruction_set_gives_the_same_numbers() {
        let tame = |line: &Vec<f32>| line.iter().all(|x| x.abs() < 1e6);
        let singles: Vec<Vec<f32>> = singles().into_iter().filter(tame).collect();
        check_widths(&singles, &[-10, -14, -100, -101]);
        let tame = |line: &Vec<f64>| line.iter().all(|x| x.abs() < 1e6);
        let doubles: Vec<Vec<f64>> = doubles().into_iter().filter(tame).collect();
        check_widths(&doubles, &[-14, -20, -960, -961]);
    }

    #[test]
    fn sums_of_the_greatest_digits_do_not_wrap() {
        let digits = vec![-128i8; 200_001];
        assert_eq!(sum_of_squares(&digits), 16_384 * 200_001);
        assert_eq!(count(&vec![1.5f32; 200_001], 6), ([200_001; 13], 96 * 200_001));
    }
}
