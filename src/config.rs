//! What the user asked for: the environment, read once.
//!
//! | variable | values | default | meaning |
//! |---|---|---|---|
//! | `NPUBLAS_DEVICE` | `auto`, `none`, a path | `auto` | which device node to use |
//! | `NPUBLAS_OFFLOAD` | `auto`, `never`, `always` | `auto` | when to use it; `always` overrules the cost model, never the guard |
//! | `NPUBLAS_NPU_CORES` | 1 to 16 | the chip's | how many NPU cores to use at once |
//! | `NPUBLAS_NUM_THREADS` | 1 to 1024 | the CPUs this process may use | CPU threads; `OPENBLAS_NUM_THREADS`, then `OMP_NUM_THREADS` stand in |
//! | `NPUBLAS_CPU_KERNEL` | `portable`, `neon`, `avx2`, `avx512`, `avx512-halves` | the best there is | CPU kernels; may only lower |
//! | `NPUBLAS_COMPUTE_MODE` | `standard`, `strict`, `fast`, `low`, `fp16`, `fp16x2` | `standard` | how exact products on the NPU are to be |
//! | `NPUBLAS_REPRODUCIBLE` | `on`, `off` | `off` | bits that follow from shape and data alone, never from measured times |
//! | `NPUBLAS_VERIFY` | `on`, `off` | `on` | verification of device results; `off` is for tests of the tests |
//! | `NPUBLAS_PROFILE` | `rk3588` | `rk3588` | named set of constants of the cost model |
//! | `NPUBLAS_VERBOSE` | `0`, `1` | `0` | one line per call on standard error |
//! | `NPUBLAS_LOG` | `off`, `error`, `warn`, `info`, `debug` | `warn` | what the library reports about devices on standard error |
//!
//! A bad value is named once on standard error and ignored.

use crate::mode::{Mode, Policy};
use std::path::PathBuf;

/// Every knob, with its value after defaults.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// `NPUBLAS_DEVICE`.
    pub device: Device,
    /// `NPUBLAS_OFFLOAD`.
    pub offload: Offload,
    /// `NPUBLAS_NPU_CORES`; `None`: as many as the chip has.
    pub npu_cores: Option<usize>,
    /// `NPUBLAS_NUM_THREADS` and its stand-ins; `None`: as many as this process may use.
    pub threads: Option<usize>,
    /// `NPUBLAS_CPU_KERNEL`; `None`: the best that this CPU runs.
    pub cpu_kernel: Option<String>,
    /// `NPUBLAS_COMPUTE_MODE`.
    pub mode: Mode,
    /// `NPUBLAS_REPRODUCIBLE`.
    pub reproducible: bool,
    /// `NPUBLAS_VERIFY`.
    pub verify: bool,
    /// `NPUBLAS_PROFILE`.
    pub profile: String,
    /// `NPUBLAS_VERBOSE`.
    pub verbose: bool,
    /// `NPUBLAS_LOG`.
    pub log: Level,
}

/// Which device node to use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Device {
    /// The first one found.
    Auto,
    /// None at all.
    None,
    /// This one.
    Path(PathBuf),
}

/// When to use the NPU.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Offload {
    /// When the cost model expects it to be faster.
    Auto,
    /// Never.
    Never,
    /// Whenever the call is of a supported kind and the guard accepts it.
    Always,
}

/// How much [`trace::log`](crate::trace::log) says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Nothing.
    Off,
    /// Values that were ignored.
    Error,
    /// A device that failed or was retired.
    Warn,
    /// What was found and chosen.
    Info,
    /// Every retry.
    Debug,
}

impl Level {
    /// The level of this name.
    pub fn named(name: &str) -> Option<Level> {
        Some(match name {
            "off" => Level::Off,
            "error" => Level::Error,
            "warn" => Level::Warn,
            "info" => Level::Info,
            "debug" => Level::Debug,
            _ => return None,
        })
    }
}

impl Default for Config {
    fn default() -> Self {
        Config {
            device: Device::Auto,
            offload: Offload::Auto,
            npu_cores: None,
            threads: None,
            cpu_kernel: None,
            mode: Mode::Standard,
            reproducible: false,
            verify: true,
            profile: "rk3588".into(),
            verbose: false,
            log: Level::Warn,
        }
    }
}

impl Config {
    /// Reads the knobs through `lookup`; also returns one sentence per value that is no good.
    pub fn from_env(lookup: impl Fn(&str) -> Option<String>) -> (Config, Vec<String>) {
        let mut config = Config::default();
        let mut complaints = Vec::new();
        {
            let mut read = |name: &str, accept: &mut dyn FnMut(&str) -> bool| -> bool {
                let Some(value) = lookup(name).filter(|v| !v.is_empty()) else { return false };
                let good = accept(&value);
                if !good {
                    complaints.push(format!("{name}={value} is not a value of it; ignored"));
                }
                good
            };
            read("NPUBLAS_DEVICE", &mut |v| {
                config.device = match v {
                    "auto" => Device::Auto,
                    "none" => Device::None,
                    path if path.starts_with('/') => Device::Path(path.into()),
                    _ => return false,
                };
                true
            });
            read("NPUBLAS_OFFLOAD", &mut |v| {
                config.offload = match v {
                    "auto" => Offload::Auto,
                    "never" => Offload::Never,
                    "always" => Offload::Always,
                    _ => return false,
                };
                true
            });
            read("NPUBLAS_NPU_CORES", &mut |v| set_number(&mut config.npu_cores, v, 16));
            // The first of these that is set well decides; what joblib and others set counts.
            let _ = read("NPUBLAS_NUM_THREADS", &mut |v| set_number(&mut config.threads, v, 1024))
                || read("OPENBLAS_NUM_THREADS", &mut |v| set_number(&mut config.threads, v, 1024))
                || read("OMP_NUM_THREADS", &mut |v| {
                    // A list gives one number per nesting level; BLAS is the outermost.
                    set_number(&mut config.threads, v.split(',').next().unwrap_or(v), 1024)
                });
            read("NPUBLAS_CPU_KERNEL", &mut |v| {
                config.cpu_kernel = Some(v.to_owned());
                crate::cpu::kernel::NAMES.contains(&v)
            });
            read("NPUBLAS_COMPUTE_MODE", &mut |v| match Mode::named(v) {
                Some(mode) => {
                    config.mode = mode;
                    true
                }
                None => false,
            });
            read("NPUBLAS_REPRODUCIBLE", &mut |v| set_switch(&mut config.reproducible, v));
            read("NPUBLAS_VERIFY", &mut |v| set_switch(&mut config.verify, v));
            read("NPUBLAS_PROFILE", &mut |v| {
                let known = crate::profile::Profile::named(v).is_some();
                if known {
                    config.profile = v.to_owned();
                }
                known
            });
            read("NPUBLAS_VERBOSE", &mut |v| set_switch(&mut config.verbose, v));
            read("NPUBLAS_LOG", &mut |v| match Level::named(v) {
                Some(level) => {
                    config.log = level;
                    true
                }
                None => false,
            });
        }
        if config.cpu_kernel.as_deref().is_some_and(|k| !crate::cpu::kernel::NAMES.contains(&k)) {
            config.cpu_kernel = None;
        }
        (config, complaints)
    }

    /// What calls may do to their numbers, unless a function said otherwise.
    pub fn policy(&self) -> Policy {
        Policy { mode: self.mode, reproducible: self.reproducible }
    }
}

fn set_number(field: &mut Option<usize>, value: &str, max: usize) -> bool {
    let number = value.trim().parse().ok().filter(|n| (1..=max).contains(n));
    if number.is_some() {
        *field = number;
    }
    number.is_some()
}

fn set_switch(field: &mut bool, value: &str) -> bool {
    match value {
        "1" | "on" | "yes" | "true" => *field = true,
        "0" | "off" | "no" | "false" => *field = false,
        _ => return false,
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    fn parse(pairs: &[(&str, &str)]) -> (Config, Vec<String>) {
        let map: HashMap<_, _> = pairs.iter().copied().collect();
        Config::from_env(|name| map.get(name).map(|v| (*v).to_owned()))
    }

    #[test]
    fn nothing_set_is_the_default() {
        assert_eq!(parse(&[]), (Config::default(), vec![]));
    }

    #[test]
    fn bad_values_are_named_and_ignored() {
        let (config, complaints) = parse(&[
            ("NPUBLAS_OFFLOAD", "sometimes"),
            ("NPUBLAS_NUM_THREADS", "0"),
            ("NPUBLAS_CPU_KERNEL", "mmx"),
            ("NPUBLAS_DEVICE", "accel0"),
            ("NPUBLAS_PROFILE", "moon"),
            ("NPUBLAS_COMPUTE_MODE", "Fast"),
            ("NPUBLAS_REPRODUCIBLE", "2"),
        ]);
        assert_eq!(config, Config::default());
        assert_eq!(complaints.len(), 7, "{complaints:?}");
    }

    #[test]
    fn the_policy_is_read() {
        let (config, complaints) =
            parse(&[("NPUBLAS_COMPUTE_MODE", "fast"), ("NPUBLAS_REPRODUCIBLE", "on")]);
        assert_eq!(complaints, [""; 0]);
        assert_eq!(config.policy(), Policy { mode: Mode::Fast, reproducible: true });
    }

    #[test]
    fn thread_variables_have_an_order() {
        let of = |pairs: &[(&str, &str)]| parse(pairs).0.threads;
        assert_eq!(of(&[("OMP_NUM_THREADS", "3,2")]), Some(3));
        assert_eq!(of(&[("OMP_NUM_THREADS", "3"), ("OPENBLAS_NUM_THREADS", "4")]), Some(4));
        assert_eq!(of(&[("OPENBLAS_NUM_THREADS", "4"), ("NPUBLAS_NUM_THREADS", "5")]), Some(5));
        assert_eq!(of(&[("OPENBLAS_NUM_THREADS", "4"), ("NPUBLAS_NUM_THREADS", "x")]), Some(4));
    }
}
