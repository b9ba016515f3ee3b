//! Compute modes: how exact a caller wants its products, from which the NPU path chooses schemes.
//!
//! | mode | single precision | double precision | worst on ordinary data |
//! |---|---|---|---|
//! | standard | (k_eff + 2)·u·P | the same | 3 ε·P: as a native product |
//! | strict | (k_eff + 2)·u·P | the same | 0.6 ε·P: better than a native product |
//! | fast | (k_eff + 2)·u·P | the same | 10 ε·P, in double precision 3 |
//! | low | 2^-12·k·max a·max b | 2^-35·k·max a·max b | 2^10 ε·P, in double precision 2^17 |
//! | fp16 | 2^-9·P + 2^-37·k·max a·max b | as low | 2^13 ε·P, in double precision as low |
//! | fp16x2 | (k/31 + 15)·u·P + 2^-43·k·max a·max b, and 2^-14·P in every 16th column | as standard | 10 ε·P, in double precision 3 |
//!
//! These bound the error of an entry of A·B, before α, β and the last rounding. u is 2^-24 in
//! single and 2^-53 in double precision, ε = 2u; P = Σ_l |a_il||b_lj|; k_eff is the smaller number
//! of non-zeros in row i of A and column j of B; max a and max b are the largest magnitudes in
//! those. A complex number counts as two real ones. Ordinary are uniform and normal numbers with
//! k ≥ 64.
//!
//! In the first three modes the [guard](crate::npu::guard) proves the bound for every call. In
//! mode low it holds for all finite data: with s digits the largest magnitude of a line becomes
//! 0.996·2^(8s-2) or more, so that rounding costs 1.004·2^-(8s-2) of k·max a·max b, and each
//! dropped product of weight p + q = s + 2 costs 1.008 times as much; one is dropped of two digits,
//! and of five there are four and some lighter ones.
//!
//! In the modes fp16 and fp16x2 it holds for all finite data, on a chip whose sums are what others
//! found on boards, see [`fp16`](crate::npu::scheme::fp16): one or two halves stand for an element,
//! and the chip adds their products in its own way. Their bits may differ from device to device.
//! So a reproducible call is served by integers, as in mode low and as in mode standard, and so is
//! double precision.
//!
//! A mode is a permission, not a demand: where the NPU declines, and wherever the CPU is faster,
//! the CPU computes the call as in mode standard. A reproducible call is the exception: there the
//! CPU computes the integers that the NPU would. NaN, infinities and signed zeros are the same in
//! all modes.

/// How exact the products of a caller are to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Mode {
    /// The error bound of a conventional product, and as accurate as one on ordinary data.
    #[default]
    Standard,
    /// The same bound, and more accurate than a conventional product on ordinary data.
    Strict,
    /// The error bound of a conventional product and no more.
    Fast,
    /// A bound by the largest magnitudes of rows and columns.
    Low,
    /// The chip's own half precision for single precision; as mode low for double precision.
    Fp16,
    /// Two halves of the chip for each element of single precision, three products; as mode
    /// standard for double precision.
    Fp16x2,
}

impl Mode {
    /// All of them.
    pub const ALL: [Mode; 6] =
        [Mode::Standard, Mode::Strict, Mode::Fast, Mode::Low, Mode::Fp16, Mode::Fp16x2];

    /// The name in `NPUBLAS_COMPUTE_MODE`.
    pub fn name(self) -> &'static str {
        match self {
            Mode::Standard => "standard",
            Mode::Strict => "strict",
            Mode::Fast => "fast",
            Mode::Low => "low",
            Mode::Fp16 => "fp16",
            Mode::Fp16x2 => "fp16x2",
        }
    }

    /// The mode of this name.
    pub fn named(name: &str) -> Option<Mode> {
        Mode::ALL.into_iter().find(|mode| mode.name() == name)
    }

    /// The mode itself, or the one that serves in its place where half precision does not:
    /// in double precision, and in reproducible calls, for its bits are the device's own.
    pub fn in_integers(self) -> Mode {
        match self {
            Mode::Fp16 => Mode::Low,
            Mode::Fp16x2 => Mode::Standard,
            mode => mode,
        }
    }

    /// Whether every entry must provably meet the bound of a conventional product.
    pub fn is_guarded(self) -> bool {
        matches!(self, Mode::Standard | Mode::Strict | Mode::Fast)
    }
}

/// What a call may do to its numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Policy {
    /// The compute mode.
    pub mode: Mode,
    /// Whether the bits of the result must follow from shape and data alone, never from
    /// measured times.
    pub reproducible: bool,
}

/// What somebody set of a policy; `None` leaves a field to who was asked before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Settings {
    /// The compute mode.
    pub mode: Option<Mode>,
    /// See [`Policy::reproducible`].
    pub reproducible: Option<bool>,
}

impl Settings {
    /// Nothing is set.
    pub const NONE: Settings = Settings { mode: None, reproducible: None };

    /// `policy` with what is set in its place.
    pub fn over(self, policy: Policy) -> Policy {
        Policy {
            mode: self.mode.unwrap_or(policy.mode),
            reproducible: self.reproducible.unwrap_or(policy.reproducible),
        }
    }

    /// As a number that fits an atomic; 0 when nothing is set.
    pub(crate) fn bits(self) -> u16 {
        let mode = self.mode.map_or(0, |mode| mode as u16 + 1);
        let reproducible = self.reproducible.map_or(0, |on| u16::from(on) + 1);
        reproducible << 8 | mode
    }

    /// The settings of which [`Settings::bits`] made `bits`.
    pub(crate) fn from_bits(bits: u16) -> Settings {
        let [mode, reproducible] = bits.to_le_bytes().map(usize::from);
        Settings {
            mode: mode.checked_sub(1).and_then(|i| Mode::ALL.get(i).copied()),
            reproducible: reproducible.checked_sub(1).map(|on| on == 1),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_order_are_unambiguous() {
        for (i, mode) in Mode::ALL.into_iter().enumerate() {
            assert_eq!(mode as usize, i);
            assert_eq!(Mode::named(mode.name()), Some(mode));
        }
        assert_eq!(Mode::named("quick"), None);
    }

    #[test]
    fn settings_survive_as_numbers() {
        assert_eq!(Settings::NONE.bits(), 0);
        for mode in Mode::ALL.map(Some).into_iter().chain([None]) {
            for reproducible in [None, Some(false), Some(true)] {
                let settings = Settings { mode, reproducible };
                assert_eq!(Settings::from_bits(settings.bits()), settings);
            }
        }
    }

    #[test]
    fn what_is_set_goes_over_what_was() {
        let policy = Policy { mode: Mode::Fast, reproducible: true };
        assert_eq!(Settings::NONE.over(policy), policy);
        let strict = Settings { mode: Some(Mode::Strict), reproducible: None };
        assert_eq!(strict.over(policy), Policy { mode: Mode::Strict, reproducible: true });
        let off = Settings { mode: None, reproducible: Some(false) };
        assert_eq!(off.over(policy), Policy { mode: Mode::Fast, reproducible: false });
    }
}
