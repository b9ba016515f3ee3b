//! Which schemes serve a call: the one place that knows.

use super::Scheme;
use super::ozaki_int8::{I_2S3P, I_3S6P, I_3S8P, I_4S10P, I_5S15P, I_7S28P, I_8S36P};
use crate::mode::Mode;

/// The schemes for products of the type with this [`LETTER`](crate::scalar::Scalar::LETTER) in
/// this mode, cheapest first: the first one that the guard accepts is used. None where the NPU
/// path does not serve the type.
///
/// The choice depends on nothing else, so the bits of a result do not either. Complex products
/// are products of real ones.
pub fn ladder(letter: char, mode: Mode) -> &'static [&'static Scheme] {
    match (letter, mode) {
        ('s' | 'c', Mode::Standard) => const { &[&I_3S8P, &I_4S10P] },
        ('s' | 'c', Mode::Strict) => const { &[&I_4S10P] },
        ('s' | 'c', Mode::Fast) => const { &[&I_3S6P, &I_3S8P, &I_4S10P] },
        ('s' | 'c', Mode::Low | Mode::Fp16) => const { &[&I_2S3P] },
        // Nothing below seven digits meets the bound that mode fast promises, too.
        ('d' | 'z', Mode::Standard | Mode::Fast) => const { &[&I_7S28P, &I_8S36P] },
        ('d' | 'z', Mode::Strict) => const { &[&I_8S36P] },
        ('d' | 'z', Mode::Low | Mode::Fp16) => const { &[&I_5S15P] },
        _ => &[],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_mode_climbs_to_more_products_of_the_right_precision() {
        for (letter, precision) in [('s', 24), ('c', 24), ('d', 53), ('z', 53)] {
            for mode in Mode::ALL {
                let schemes = ladder(letter, mode);
                assert!(!schemes.is_empty(), "{letter} {mode:?}");
                assert!(schemes.iter().all(|scheme| scheme.precision == precision));
                assert!(schemes.is_sorted_by(|a, b| a.products() < b.products()));
            }
        }
        assert!(ladder('h', Mode::Standard).is_empty());
    }

    #[test]
    fn guarded_modes_end_where_strict_does() {
        for letter in ['s', 'd', 'c', 'z'] {
            let last = |mode| ladder(letter, mode).last().map(|scheme| scheme.name);
            for mode in Mode::ALL.into_iter().filter(|mode| mode.is_guarded()) {
                assert_eq!(last(mode), last(Mode::Strict), "{letter} {mode:?}");
            }
        }
    }
}
