//! Which schemes serve a call: the one place that knows.

use super::Scheme;
use super::crt_int8::{II_12, II_15, II_16};
use super::fp16::{FP16, FP16X2};
use super::ozaki_int8::{I_2S3P, I_3S6P, I_3S8P, I_4S10P, I_5S15P, I_7S28P, I_8S36P};
use crate::mode::Mode;

/// From this size on, in all three dimensions, 15 residues cost less than 28 digit products: the
/// products grow with the third power of the size, what the host does for each residue with the
/// second. By the cost model of the RK3588, whose figure is 1890.
const LARGE: usize = 1900;

/// The schemes for real products of m × n × k in single or double precision, by
/// [`Real::PRECISION`], in this mode, cheapest first: the first one that the guard accepts is
/// used. Complex products are real ones of twice the n and k.
///
/// The choice depends on nothing else, so the bits of a result do not either.
///
/// [`Real::PRECISION`]: super::Real::PRECISION
pub fn ladder(
    precision: u32,
    mode: Mode,
    (m, n, k): (usize, usize, usize),
) -> &'static [&'static Scheme] {
    let large = m.min(n).min(k) >= LARGE;
    match (precision == f32::MANTISSA_DIGITS, mode) {
        (true, Mode::Standard) => const { &[&I_3S8P, &I_4S10P] },
        (true, Mode::Strict) => const { &[&I_4S10P] },
        (true, Mode::Fast) => const { &[&I_3S6P, &I_3S8P, &I_4S10P] },
        (true, Mode::Low) => const { &[&I_2S3P] },
        (true, Mode::Fp16) => const { &[&FP16] },
        (true, Mode::Fp16x2) => const { &[&FP16X2] },
        // Nothing below seven digits meets the bound that mode fast promises, too.
        // Halves hold less than doubles: see [`Mode::in_integers`].
        (false, Mode::Standard | Mode::Fast | Mode::Fp16x2) if large => const { &[&II_15, &II_16] },
        (false, Mode::Standard | Mode::Fast | Mode::Fp16x2) => const { &[&I_7S28P, &I_8S36P] },
        (false, Mode::Strict) if large => const { &[&II_16] },
        (false, Mode::Strict) => const { &[&I_8S36P] },
        (false, Mode::Low | Mode::Fp16) if large => const { &[&II_12] },
        (false, Mode::Low | Mode::Fp16) => const { &[&I_5S15P] },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PRECISIONS: [u32; 2] = [f32::MANTISSA_DIGITS, f64::MANTISSA_DIGITS];
    const SHAPES: [(usize, usize, usize); 3] = [(1, 1, 1), (4000, 4000, 1899), (1900, 1900, 1900)];

    #[test]
    fn every_mode_climbs_to_more_products_of_the_right_precision() {
        for precision in PRECISIONS {
            for (mode, shape) in Mode::ALL.into_iter().flat_map(|m| SHAPES.map(|s| (m, s))) {
                let schemes = ladder(precision, mode, shape);
                assert!(!schemes.is_empty(), "{precision} {mode:?}");
                assert!(schemes.iter().all(|scheme| scheme.precision == precision));
                assert!(schemes.is_sorted_by(|a, b| a.products() < b.products()));
            }
        }
    }

    #[test]
    fn doubles_have_the_integers_that_stand_for_halves() {
        for shape in SHAPES {
            for mode in Mode::ALL {
                let names = |mode| ladder(f64::MANTISSA_DIGITS, mode, shape).iter().map(|s| s.name);
                assert!(names(mode).eq(names(mode.in_integers())), "{mode:?}");
            }
        }
    }

    #[test]
    fn guarded_modes_end_where_strict_does() {
        for precision in PRECISIONS {
            for shape in SHAPES {
                let last = |mode| ladder(precision, mode, shape).last().map(|scheme| scheme.name);
                for mode in Mode::ALL.into_iter().filter(|mode| mode.is_guarded()) {
                    assert_eq!(last(mode), last(Mode::Strict), "{precision} {mode:?}");
                }
            }
        }
    }
}
