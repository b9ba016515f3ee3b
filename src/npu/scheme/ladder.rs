//! Which schemes serve a call: the one place that knows.

use super::Scheme;
use super::ozaki_int8::{I_2S3P, I_3S6P, I_3S8P, I_4S10P, I_5S15P, I_7S28P, I_8S36P};
use crate::mode::Mode;

/// The schemes for products of real numbers of 24 or 53 bits, or of complex numbers of such
/// parts, in this mode, cheapest first: the first one that the guard accepts is used.
///
/// The choice depends on nothing else, so the bits of a result do not either.
pub fn ladder(precision: u32, mode: Mode) -> &'static [&'static Scheme] {
    match (precision == f32::MANTISSA_DIGITS, mode) {
        (true, Mode::Standard) => const { &[&I_3S8P, &I_4S10P] },
        (true, Mode::Strict) => const { &[&I_4S10P] },
        (true, Mode::Fast) => const { &[&I_3S6P, &I_3S8P, &I_4S10P] },
        (true, Mode::Low | Mode::Fp16) => const { &[&I_2S3P] },
        (false, Mode::Standard | Mode::Fast) => const { &[&I_7S28P, &I_8S36P] },
        (false, Mode::Strict) => const { &[&I_8S36P] },
        (false, Mode::Low | Mode::Fp16) => const { &[&I_5S15P] },
    }
}
