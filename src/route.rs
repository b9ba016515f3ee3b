//! The decision CPU or NPU: a pure function of the shape, the policy and a cost profile.

use crate::config::Offload;
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

/// Constants of the cost model for one machine, all in seconds, bytes and operations.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Profile {
    /// Name in `NPUBLAS_PROFILE`.
    pub name: &'static str,
    /// NPU cores.
    pub cores: f64,
    /// int8 multiply-accumulates per second and core that the MAC array sustains.
    pub macs_per_core: f64,
    /// Bytes of the convolution buffer that hold the resident operand.
    pub resident: f64,
    /// DRAM bandwidth that all NPU cores together can pull.
    pub npu_bandwidth: f64,
    /// Cost of one submit.
    pub submit: f64,
    /// Cost of one task.
    pub task: f64,
    /// DRAM bandwidth of the whole machine.
    pub dram_bandwidth: f64,
    /// Bandwidth of the CPU cores together.
    pub cpu_bandwidth: f64,
    /// sgemm rate of the CPU, flop/s.
    pub cpu_sgemm: f64,
    /// Passes over A, B and C that a CPU product pays on top of its arithmetic.
    pub cpu_passes: f64,
    /// CPU cycles per second usable for splitting and recombining.
    pub cpu_cycles: f64,
    /// Cache maintenance of device buffers, bytes/s.
    pub sync_bandwidth: f64,
    /// Share of the host work that cannot overlap the device's.
    pub exposed: f64,
    /// The NPU is asked when its predicted time is below this share of the CPU's.
    pub margin: f64,
}

impl Profile {
    /// RK3588 with the NPU at 1 GHz and four Cortex-A76. Figures of others' measurements and of
    /// the technical reference manual, chapter 36; none was measured by this project.
    pub const RK3588: Profile = Profile {
        name: "rk3588",
        cores: 3.0,
        macs_per_core: 1024.0 * 1e9 * 0.85,
        resident: 288.0 * 1024.0,
        npu_bandwidth: 22e9,
        submit: 60e-6,
        task: 4e-6,
        dram_bandwidth: 25e9,
        cpu_bandwidth: 15e9,
        cpu_sgemm: 123e9,
        cpu_passes: 1.5,
        cpu_cycles: 4.0 * 2.3e9 * 0.7,
        sync_bandwidth: 10e9,
        exposed: 1.0 / 8.0,
        margin: 0.8,
    };

    /// The profile of this name.
    pub fn named(name: &str) -> Option<&'static Profile> {
        [&Profile::RK3588].into_iter().find(|p| p.name == name)
    }

    /// Predicted seconds of an sgemm on the CPU.
    pub fn cpu_seconds(&self, m: usize, n: usize, k: usize) -> f64 {
        let [m, n, k] = [m, n, k].map(|x| x as f64);
        2.0 * m * n * k / self.cpu_sgemm
            + self.cpu_passes * (m * k + k * n + m * n) * 4.0 / self.cpu_bandwidth
    }

    /// Predicted seconds of an sgemm on the NPU with the 3-slice, 8-product scheme, host and
    /// device work overlapping block by block.
    pub fn npu_seconds(&self, m: usize, n: usize, k: usize) -> f64 {
        const SLICES: f64 = 3.0;
        const GROUPS: [f64; 4] = [1.0, 2.0, 3.0, 2.0];
        // CPU cycles per operand element: statistics, quantisation, digits, layout; and per
        // element of C: recombination of four outputs.
        const SPLIT_CYCLES: f64 = 1.4 + 0.14 * SLICES + 0.5;
        const JOIN_CYCLES: f64 = 1.2 + 0.3 * GROUPS.len() as f64;
        let [m, n, k] = [m, n, k].map(|x| x as f64);
        let rows = (self.resident / (k * GROUPS[2])).clamp(8.0, 1022.0);
        let blocks = (m / rows).ceil();
        let products: f64 = GROUPS.iter().sum();
        let outputs = GROUPS.len() as f64;
        let operands = m * k + k * n;

        let mac = products * m * n * k / (self.cores * self.macs_per_core);
        let pulled = products * k * (m + n * blocks);
        let written = outputs * 4.0 * m * n;
        let overhead = self.submit + self.task * outputs * blocks / self.cores;
        let device = mac.max((pulled + written) / self.npu_bandwidth) + overhead;

        let split_bytes = operands * (4.0 + SLICES);
        let join_bytes = written + m * n * 4.0;
        let cycles = operands * SPLIT_CYCLES + m * n * JOIN_CYCLES + written / 4.0 * 0.3;
        let sync = (operands * SLICES + written) / self.sync_bandwidth;
        let host =
            ((split_bytes + join_bytes) / self.cpu_bandwidth).max(cycles / self.cpu_cycles) + sync;
        let dram = (pulled + written + split_bytes + join_bytes) / self.dram_bandwidth;
        device.max(host).max(dram) + self.exposed * host
    }
}

/// Decides for a product of m × k by k × n. `served` says whether the NPU path knows the
/// element type at all.
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
            if profile.npu_seconds(m, n, k) < profile.margin * profile.cpu_seconds(m, n, k) {
                Route::Npu(Reason::Faster)
            } else {
                Route::Cpu(Reason::Small)
            }
        }
    }
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
