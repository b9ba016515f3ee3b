//! The decision CPU or NPU: a pure function of the shape, the policy and a cost profile.

use crate::config::Offload;
use crate::profile::Profile;
use std::fmt;

/// Where a call runs.
#[derive(Debug, Clone, PartialEq)]
pub enum Route {
    /// The CPU computes it.
    Cpu(Reason),
    /// The NPU is asked; it may still decline.
    Npu(Reason),
}

/// Why a call ran where it ran. Prints as one word, for the trace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// `NPUBLAS_OFFLOAD=never`.
    Never,
    /// `NPUBLAS_OFFLOAD=always`.
    Always,
    /// The cost model expects the NPU to be faster.
    Faster,
    /// The cost model expects the CPU to be faster.
    Small,
    /// The NPU path does not serve this element type.
    Type,
    /// No usable device.
    NoDevice,
    /// All contexts of the device are taken by other calls, or other processes keep it busy.
    Busy,
    /// The device failed too often in this process.
    Retired,
    /// An operand, α or β is infinite or NaN.
    NonFinite,
    /// No scheme of the ladder proves the error bound for these data.
    Guard,
    /// The inner dimension exceeds what the schemes can sum exactly.
    Depth,
    /// Too little memory for the work of the host.
    Memory,
    /// The process is about to end.
    Exit,
    /// Buffers could not be had, or a call of the driver failed.
    Device(&'static str),
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Reason::Never => "never",
            Reason::Always => "always",
            Reason::Faster => "faster",
            Reason::Small => "small",
            Reason::Type => "type",
            Reason::NoDevice => "no-device",
            Reason::Busy => "busy",
            Reason::Retired => "retired",
            Reason::NonFinite => "non-finite",
            Reason::Guard => "guard",
            Reason::Depth => "depth",
            Reason::Memory => "memory",
            Reason::Exit => "exit",
            Reason::Device(what) => return write!(f, "device:{what}"),
        })
    }
}

/// Decides for a product of m × k by k × n. `served` says whether the NPU path knows the
/// element type at all.
#[inline(always)]
pub fn choose(
    (m, n, k): (usize, usize, usize),
    served: bool,
    offload: Offload,
    profile: &Profile,
) -> Route {
    match offload {
        Offload::Never => Route::Cpu(Reason::Never),
        _ if !served => Route::Cpu(Reason::Type),
        Offload::Always => Route::Npu(Reason::Always),
        // The cheapest test first: nothing this small ever pays, and small calls are counted in
        // nanoseconds.
        Offload::Auto if m < 32 || n < 32 || k < 32 => Route::Cpu(Reason::Small),
        Offload::Auto => {
            if pays(m, n, k, profile) {
                Route::Npu(Reason::Faster)
            } else {
                Route::Cpu(Reason::Small)
            }
        }
    }
}

/// Whether the cost model expects the NPU to be faster.
#[inline(never)]
fn pays(m: usize, n: usize, k: usize, profile: &Profile) -> bool {
    profile.npu_seconds(m, n, k) < profile.margin * profile.cpu_seconds(m, n, k)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn auto(m: usize, n: usize, k: usize) -> Route {
        choose((m, n, k), true, Offload::Auto, &Profile::RK3588)
    }

    #[test]
    fn large_squares_go_to_the_npu_and_small_ones_do_not() {
        assert_eq!(auto(16, 1024, 1024), Route::Cpu(Reason::Small));
        assert_eq!(auto(128, 128, 128), Route::Cpu(Reason::Small));
        assert_eq!(auto(512, 512, 512), Route::Npu(Reason::Faster));
        assert_eq!(auto(1024, 1024, 1024), Route::Npu(Reason::Faster));
    }

    #[test]
    fn the_square_crossover_is_where_the_model_puts_it() {
        // 3s8p costs a third more products than 3s6p, whose published crossover is 192 pipelined.
        let crossover =
            (64..1024).step_by(16).find(|&n| auto(n, n, n) == Route::Npu(Reason::Faster));
        assert!(crossover.is_some_and(|n| (192..=384).contains(&n)), "{crossover:?}");
    }

    #[test]
    fn the_policy_overrules_the_model_but_not_the_type() {
        let of = |offload, served| choose((8, 8, 8), served, offload, &Profile::RK3588);
        assert_eq!(of(Offload::Always, true), Route::Npu(Reason::Always));
        assert_eq!(of(Offload::Always, false), Route::Cpu(Reason::Type));
        assert_eq!(of(Offload::Never, true), Route::Cpu(Reason::Never));
    }
}
