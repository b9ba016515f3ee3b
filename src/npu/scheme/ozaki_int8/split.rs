//! From elements to digits.

use crate::npu::scheme::fixed::Fixed;
use crate::npu::scheme::real::{Real, Word};
use crate::npu::widest::widest;

/// Elements that [`split`] handles at once.
const BLOCK: usize = 64;

/// The exponent e of a line whose largest magnitude is `max_abs` (finite): every element times
/// 2^e, rounded, fits `slices` digits. 0 for a line of zeros.
///
/// 2^e takes the maximum into [2^(8s-2), 2^(8s-1)), or one binade lower where its mantissa is
/// above the leading bits of 0x7F7F…7F, the greatest number of balanced digits: 0xFEFEFE or
/// 0x1FDFDFDFDFDFDF. The comparison is one of integers because 0x7F7F7F7F7F7F7F has no exact
/// double.
pub fn exponent<R: Real>(max_abs: R, slices: usize) -> i32 {
    let bits = max_abs.magnitude();
    debug_assert!(bits < R::INFINITE);
    if max_abs.is_zero() {
        return 0;
    }
    // max_abs = mantissa · 2^power with a mantissa of PRECISION bits, subnormal numbers too.
    let implicit = 1 << (R::PRECISION - 1);
    let (field, fraction) = (bits.to_u64() / implicit, bits.to_u64() % implicit);
    let (mantissa, power) = match field {
        0 => {
            let missing = fraction.leading_zeros() - (64 - R::PRECISION);
            (fraction << missing, R::LEAST - missing as i32)
        }
        _ => (implicit + fraction, field as i32 - 1 + R::LEAST),
    };
    let greatest = 0x7F7F_7F7F_7F7F_7F7F >> (63 - R::PRECISION);
    8 * slices as i32 - 1 - R::PRECISION as i32 - power - i32::from(mantissa > greatest)
}

widest! {
    /// Splits one line into digit planes, see [`Scheme::split`]. Leading digits are at least
    /// -127.
    pub fn split<R: Real>(
        line: &[R],
        exponent: i32,
        slices: usize,
        pitch: usize,
        planes: &mut [i8],
    ) => split_any;
}

#[inline(always)]
fn split_any<R: Real>(line: &[R], exponent: i32, slices: usize, pitch: usize, planes: &mut [i8]) {
    assert!(line.len() <= pitch && planes.len() == slices * pitch);
    assert!(8 * slices <= R::Word::BITS as usize, "too many slices for the type");
    let (blocks, tail) = line.as_chunks();
    for (i, block) in blocks.iter().enumerate() {
        let biased = biased(block, exponent, slices);
        for p in 0..slices {
            let digits = &mut planes[p * pitch + i * BLOCK..][..BLOCK];
            write_plane(&biased, slices - 1 - p, digits);
        }
    }
    let mut block = [R::ZERO; BLOCK];
    block[..tail.len()].copy_from_slice(tail);
    let biased = biased(&block, exponent, slices);
    for p in 0..slices {
        let rest = &mut planes[p * pitch..][line.len() - tail.len()..pitch];
        write_plane(&biased, slices - 1 - p, &mut rest[..tail.len()]);
        rest[tail.len()..].fill(0);
    }
}

/// The digits of some elements, as the bytes of one number each.
#[inline(always)]
fn biased<R: Real>(elements: &[R; BLOCK], exponent: i32, slices: usize) -> [R::Word; BLOCK] {
    // With 0x80 added to every digit at once, the bytes of the sum are the digits plus 0x80: no
    // digit borrows from the next.
    let offset = R::Word::of(0x8080_8080_8080_8080 >> (64 - 8 * slices));
    let mut words = nearest(elements, exponent);
    for word in &mut words {
        *word = word.wrapping_add(offset) ^ offset;
    }
    words
}

/// Writes one byte of some numbers, counted from the lowest.
#[inline(always)]
fn write_plane<W: Word>(words: &[W; BLOCK], byte: usize, digits: &mut [i8]) {
    for (digit, word) in digits.iter_mut().zip(words) {
        *digit = word.wrapping_shr(8 * byte as u32).low_byte().cast_signed();
    }
}

/// The integers nearest to some elements times 2^exponent, ties to even, as two's complement.
#[inline(always)]
fn nearest<R: Real>(elements: &[R; BLOCK], exponent: i32) -> [R::Word; BLOCK] {
    let mut whole = [R::Word::ZERO; BLOCK];
    if R::ORDINARY.contains(&exponent) {
        // What is subnormal, before or after, is rounded to zero.
        let scale = R::pow2(exponent);
        for (whole, x) in whole.iter_mut().zip(elements) {
            *whole = x.nearest(scale);
        }
    } else {
        for (whole, x) in whole.iter_mut().zip(elements) {
            let magnitude = Fixed::scale(*x, exponent).round();
            let negative = x.bits() != x.magnitude();
            *whole = if negative { R::Word::ZERO.wrapping_sub(magnitude) } else { magnitude };
        }
    }
    whole
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::npu::widest::Width;

    /// Σ_p 127 · 256^(s-p), the greatest magnitude of s digits.
    fn limit(slices: usize) -> u128 {
        127 * ((1u128 << (8 * slices)) - 1) / 255
    }

    /// The integer nearest to |x| · 2^e, by wide integers, for products below 2^64.
    fn quantised<R: Real>(x: R, e: i32) -> u128 {
        let implicit = 1 << (R::PRECISION - 1);
        let (field, fraction) =
            (x.magnitude().to_u64() / implicit, x.magnitude().to_u64() % implicit);
        let mantissa = u128::from(fraction + if field == 0 { 0 } else { implicit });
        let up = (field.max(1) as i32 - 1 + R::LEAST + e).max(-64);
        let units = mantissa << (64 + up);
        let (whole, rest) = (units >> 64, units as u64);
        whole + u128::from(rest > 1 << 63 || rest == 1 << 63 && whole % 2 == 1)
    }

    fn planes<R: Real>(line: &[R], exponent: i32, slices: usize) -> Vec<Vec<i8>> {
        let pitch = line.len().next_multiple_of(32);
        let mut planes = vec![0x55; slices * pitch];
        split(line, exponent, slices, pitch, &mut planes);
        planes.chunks(pitch.max(1)).map(<[i8]>::to_vec).collect()
    }

    fn check_exponents<R: Real>(maxima: &[R], slices: &[usize], slack: bool) {
        for &max in maxima {
            for &slices in slices {
                let e = exponent(max, slices);
                assert_eq!(exponent(-max, slices), e);
                assert!(quantised(max, e) <= limit(slices), "{max:?} {slices}");
                let greater = quantised(max, e + 1);
                assert!(slack || greater > limit(slices), "{max:?} {slices}");
            }
        }
    }

    #[test]
    fn exponent_is_the_greatest_that_fits() {
        let mantissas = [0x80_0000u32, 0x80_0001, 0xFE_FEFD, 0xFE_FEFE, 0xFE_FEFF, 0xFF_FFFF];
        let single = |m: u32| move |power| (f64::from(m) * 2f64.powi(power)) as f32;
        for m in mantissas {
            let maxima = [-149, -126, -24, 0, 1, 104].map(single(m));
            // With two slices 0xFEFEFF would fit as well; one rule serves all.
            check_exponents(&maxima, &[2], m == 0xFE_FEFF);
            check_exponents(&maxima, &[3, 4], false);
        }
        let limit = 0x1F_DFDF_DFDF_DFDFu64;
        for m in [1 << 52, (1 << 52) + 1, limit - 1, limit, limit + 1, (1 << 53) - 1] {
            let maxima = [1, 2, 700, 1023, 1024, 2046]
                .map(|field| f64::from_bits(field << 52 | m & ((1 << 52) - 1)));
            check_exponents(&maxima, &[5], m == limit + 1);
            check_exponents(&maxima, &[7, 8], false);
        }
        assert_eq!((exponent(0f32, 3), exponent(-0f32, 3), exponent(-0f64, 7)), (0, 0, 0));
        // Fewer bits, all the way down.
        (0..23).for_each(|bit| assert_eq!(exponent(f32::from_bits(1 << bit), 3), 171 - bit));
        (0..52).for_each(|bit| assert_eq!(exponent(f64::from_bits(1 << bit), 7), 1128 - bit));
    }

    /// Checks the digits of lines of these elements, scaled so that every exponent occurs.
    fn check_digits<R: Real>(line: &[R], slices: &[usize]) {
        for len in [0, 1, 31, 32, 33, line.len()] {
            let line = &line[..len];
            let max = line.iter().map(|x| x.magnitude()).max().unwrap_or(R::Word::ZERO);
            for &slices in slices {
                let e = exponent(R::of_bits(max), slices);
                for e in [e, e - 3] {
                    let planes = planes(line, e, slices);
                    for (l, &x) in line.iter().enumerate() {
                        let whole = planes.iter().fold(0, |v, p| 256 * v + i128::from(p[l]));
                        let exact = quantised(x, e) as i128;
                        let negative = x.bits() != x.magnitude();
                        let exact = if negative { -exact } else { exact };
                        assert_eq!(whole, exact, "{x:?} {slices}");
                        assert!(planes[0][l] >= -127);
                    }
                    assert!(planes.iter().flat_map(|plane| &plane[len..]).all(|d| *d == 0));
                }
            }
        }
    }

    #[test]
    fn digits_add_up_to_the_rounded_element() {
        let mut state = 1u64;
        let bits: Vec<u64> = (0..1003)
            .map(|_| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(99);
                state.rotate_left(25)
            })
            .collect();
        // Elements of any magnitude up to the greatest that a line is said to have.
        for top in [254, 200, 127, 70, 30, 9, 3, 1, 0] {
            let single = |bits: &u64| {
                let field = (bits >> 32) as u32 % (top + 1);
                f32::from_bits(*bits as u32 & 0x807F_FFFF | field << 23)
            };
            check_digits(&bits.iter().map(single).collect::<Vec<_>>(), &[2, 3, 4]);
        }
        for top in [2046, 1100, 1023, 500, 150, 80, 60, 9, 3, 1, 0] {
            let double = |bits: &u64| {
                let field = (bits.rotate_left(9) % 190).min(top);
                f64::from_bits(bits & 0x800F_FFFF_FFFF_FFFF | (top - field) << 52)
            };
            check_digits(&bits.iter().map(double).collect::<Vec<_>>(), &[2, 3, 4, 5, 7, 8]);
        }
    }

    #[test]
    fn the_greatest_mantissas_do_not_wrap() {
        // 0xFEFEFE is 0x7F7F7F in three slices; 0xFEFEFF would round to 0x7F7F80, whose digits
        // are all wrong.
        let digits = |x: f32| {
            let planes = planes(&[x, -x], exponent(x, 3), 3);
            (planes[0][0], planes[1][0], planes[2][0], planes[0][1])
        };
        let at = |mantissa: u32| f32::from_bits(0x3F00_0000 | mantissa & 0x7F_FFFF);
        assert_eq!(digits(at(0xFE_FEFE)), (127, 127, 127, -127));
        assert_eq!(digits(at(0xFE_FEFF)), (64, -64, -64, -64));
        assert_eq!(digits(at(0xFF_FFFF)), (64, 0, 0, -64));
        // X = 0x7F7F7F7F7F7F80 would pass a comparison with 127 · (256^7 - 1) / 255 as doubles.
        let wide = |mantissa: u64| {
            let x = f64::from_bits(mantissa & 0xF_FFFF_FFFF_FFFF | 1023 << 52);
            planes(&[x], exponent(x, 7), 7).iter().map(|plane| plane[0]).collect::<Vec<_>>()
        };
        assert_eq!(wide(0x1F_DFDF_DFDF_DFDF), [127, 127, 127, 127, 127, 127, 124]);
        assert_eq!(wide(0x1F_DFDF_DFDF_DFE0), [64, -64, -64, -64, -64, -64, -64]);
    }

    fn check_widths<R: Real>(line: &[R], max: R, slices: usize) {
        let (pitch, e) = (800, exponent(max, slices));
        let mut plain = vec![2; slices * pitch];
        split_any(line, e, slices, pitch, &mut plain);
        Width::each(|| {
            let mut wide = vec![1; slices * pitch];
            split(line, e, slices, pitch, &mut wide);
            assert_eq!(wide, plain);
        });
    }

    #[test]
    fn every_instruction_set_gives_the_same_digits() {
        // Zeros and subnormal numbers in some blocks, a tail behind the last.
        let wave = |i: usize| if i % 100 > 96 { 0.0 } else { ((i * i) as f64).sin() * 3e-3 };
        let line: Vec<f64> = (0..777).map(wave).collect();
        for (slices, shrink) in [(2, 1.0), (3, 1.0), (4, 1.0), (3, 2f32.powi(-120))] {
            let line: Vec<f32> = line.iter().map(|&x| x as f32 * shrink).collect();
            check_widths(&line, 3e-3 * shrink, slices);
        }
        for (slices, shrink) in [(5, 1.0), (7, 1.0), (8, 1.0), (7, 2f64.powi(-1015))] {
            let line: Vec<f64> = line.iter().map(|x| x * shrink).collect();
            check_widths(&line, 3e-3 * shrink, slices);
        }
    }
}
