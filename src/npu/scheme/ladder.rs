//! Which schemes serve a call: the one place that knows.

use super::Scheme;
use super::ozaki_int8::{I_3S8P, I_4S10P};
use crate::mode::Mode;

/// The schemes for products of the type with this [`LETTER`](crate::scalar::Scalar::LETTER) in
/// this mode, cheapest first: the first one that the guard accepts is used. None where the NPU
/// path does not serve the type.
///
/// The choice depends on nothing else, so the bits of a result do not either.
pub fn ladder(letter: char, mode: Mode) -> &'static [&'static Scheme] {
    match (letter, mode) {
        ('s', Mode::Strict) => const { &[&I_4S10P] },
        ('s', Mode::Standard | Mode::Fast | Mode::Low | Mode::Fp16) => {
            const { &[&I_3S8P, &I_4S10P] }
        }
        _ => &[],
    }
}
