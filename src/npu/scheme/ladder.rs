//! Which schemes serve a call: the one place that knows.

use super::Scheme;
use super::crt_int8::{II_12, II_12_3M, II_15, II_15_3M, II_16, II_16_3M, II_16_C};
use super::fp16::{FP16, FP16X2};
use super::ozaki_int8::{
    I_2S3P, I_3S6P, I_3S6P_C, I_3S8P, I_4S10P, I_4S10P_C, I_5S15P, I_7S28P, I_8S36P, I_8S36P_C,
};
use crate::mode::Mode;

/// From this size on, in all three dimensions, 15 residues cost less than 28 digit products, for
/// elements of one and of two real numbers: the products grow with the third power of the size,
/// what the host does for each residue with the second. By the cost model of the RK3588, whose
/// figures for squares are 1890, and 1150 with three products of residues for four of digits.
const LARGE: [usize; 2] = [1900, 1150];

/// The schemes for products of m × n × k elements, each of so many `parts`, real numbers of single
/// or double precision, by [`Real::PRECISION`]; in this mode, cheapest first: the first one that
/// the guard accepts is used. One with a certificate comes right behind the same without it.
///
/// The choice depends on nothing else, so the bits of a result do not either.
///
/// [`Real::PRECISION`]: super::Real::PRECISION
pub fn ladder(
    precision: u32,
    parts: usize,
    mode: Mode,
    (m, n, k): (usize, usize, usize),
) -> &'static [&'static Scheme] {
    use Mode::{Fast, Fp16, Fp16x2, Low, Standard, Strict};
    let large = (m.min(n).min(k) >= LARGE[parts - 1]).then_some(parts);
    match (precision == f32::MANTISSA_DIGITS, mode, large) {
        (true, Standard, _) => const { &[&I_3S8P, &I_4S10P, &I_4S10P_C] },
        (true, Strict, _) => const { &[&I_4S10P] },
        (true, Fast, _) => const { &[&I_3S6P, &I_3S6P_C, &I_3S8P, &I_4S10P, &I_4S10P_C] },
        (true, Low, _) => const { &[&I_2S3P] },
        (true, Fp16, _) => const { &[&FP16] },
        (true, Fp16x2, _) => const { &[&FP16X2] },
        // Nothing below seven digits meets the bound that mode fast promises, too.
        // Halves hold less than doubles: see [`Mode::in_integers`].
        (false, Standard | Fast | Fp16x2, None) => const { &[&I_7S28P, &I_8S36P, &I_8S36P_C] },
        (false, Standard | Fast | Fp16x2, Some(1)) => const { &[&II_15, &II_16, &II_16_C] },
        (false, Standard | Fast | Fp16x2, Some(_)) => const { &[&II_15_3M, &II_16_3M] },
        (false, Strict, None) => const { &[&I_8S36P] },
        (false, Strict, Some(1)) => const { &[&II_16] },
        (false, Strict, Some(_)) => const { &[&II_16_3M] },
        (false, Low | Fp16, None) => const { &[&I_5S15P] },
        (false, Low | Fp16, Some(1)) => const { &[&II_12] },
        (false, Low | Fp16, Some(_)) => const { &[&II_12_3M] },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Precisions with parts.
    const TYPES: [(u32, usize); 4] = [
        (f32::MANTISSA_DIGITS, 1),
        (f64::MANTISSA_DIGITS, 1),
        (f32::MANTISSA_DIGITS, 2),
        (f64::MANTISSA_DIGITS, 2),
    ];
    const SHAPES: [(usize, usize, usize); 5] =
        [(1, 1, 1), (4000, 4000, 1149), (1150, 1150, 1150), (4000, 4000, 1899), (1900, 1900, 1900)];

    #[test]
    fn every_mode_climbs_to_more_products_of_the_right_precision() {
        for (precision, parts) in TYPES {
            for (mode, shape) in Mode::ALL.into_iter().flat_map(|m| SHAPES.map(|s| (m, s))) {
                let schemes = ladder(precision, parts, mode, shape);
                assert!(!schemes.is_empty(), "{precision} {mode:?}");
                assert!(schemes.iter().all(|scheme| scheme.precision == precision));
                assert!(schemes.iter().all(|scheme| parts % scheme.parts() == 0));
                assert!(schemes.is_sorted_by(|a, b| a.products() < b.products()));
            }
        }
    }

    #[test]
    fn doubles_have_the_integers_that_stand_for_halves() {
        for (parts, shape) in [1, 2].into_iter().flat_map(|parts| SHAPES.map(|s| (parts, s))) {
            for mode in Mode::ALL {
                let of = |mode| ladder(f64::MANTISSA_DIGITS, parts, mode, shape).iter();
                let names = |mode| of(mode).map(|scheme| scheme.name);
                assert!(names(mode).eq(names(mode.in_integers())), "{mode:?}");
            }
        }
    }

    #[test]
    fn guarded_modes_end_where_strict_does_but_for_certificates() {
        for (precision, parts) in TYPES {
            for shape in SHAPES {
                let last = |mode| {
                    let mut schemes = ladder(precision, parts, mode, shape).iter();
                    schemes.rfind(|scheme| !scheme.certificate).map(|scheme| scheme.name)
                };
                for mode in Mode::ALL.into_iter().filter(|mode| mode.is_guarded()) {
                    assert_eq!(last(mode), last(Mode::Strict), "{precision} {mode:?}");
                }
            }
        }
    }

    #[test]
    fn large_products_of_double_precision_are_those_of_residues() {
        let first = |parts, shape| ladder(53, parts, Mode::Standard, shape)[0].name;
        let (digits, pairs) = ("I-7s28p", "II-15-3m");
        let real = SHAPES.map(|shape| first(1, shape));
        assert_eq!(real, [digits, digits, digits, digits, "II-15"]);
        let complex = SHAPES.map(|shape| first(2, shape));
        assert_eq!(complex, [digits, digits, pairs, pairs, pairs]);
    }

    #[test]
    fn a_certificate_follows_the_same_numbers_without_it() {
        for (precision, parts) in TYPES {
            for (mode, shape) in Mode::ALL.into_iter().flat_map(|m| SHAPES.map(|s| (m, s))) {
                let schemes = ladder(precision, parts, mode, shape);
                assert!(!schemes[0].certificate);
                for pair in schemes.windows(2).filter(|pair| pair[1].certificate) {
                    assert!(!matches!(mode, Mode::Strict | Mode::Low | Mode::Fp16), "{mode:?}");
                    let plain = pair[0];
                    let groups = plain.groups.len();
                    assert_eq!((plain.numbers, plain.certificate), (pair[1].numbers, false));
                    assert_eq!(plain.groups, &pair[1].groups[..groups]);
                    let own: Vec<_> = pair[1].groups[groups..].iter().collect();
                    let plane = pair[1].planes();
                    assert!(own.len() == 1 && own[0].products().eq([(plane, plane)]));
                    assert!(
                        pair[1].dropped().eq(plain.dropped()) && pair[1].max_k() == plain.max_k()
                    );
                }
            }
        }
    }
}
