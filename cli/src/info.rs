//! `npublas info`: what npublas would do in a process with this environment.

use crate::run;
use npublas::config::{Config, Device, Offload};
use npublas::cpu::Kernels;
use npublas::cpu::caches::{self, Core};
use npublas::cpu::kernel::{self, Family};
use npublas::npu::chip::Chip;
use npublas::npu::driver::Driver;
use npublas::npu::drm::{self, Found};
use npublas::npu::rk3588::Rk3588;
use npublas::{Scalar, c32, c64, runtime};
use std::fmt;

/// Everything that is shown.
#[derive(Debug)]
pub struct Info {
    library: String,
    config: &'static Config,
    threads: usize,
    found: Vec<Found>,
}

impl Info {
    /// Looks at the machine and at the environment.
    pub fn gather() -> Info {
        let own = std::env::current_exe().map_err(run::Error::Own);
        let library = match own.and_then(|own| run::library(&own)) {
            Ok(path) => path.display().to_string(),
            Err(error) => error.to_string(),
        };
        let config = runtime::config();
        let found = drm::find(&config.device);
        Info { library, config, threads: runtime::threads().count(), found }
    }

    fn kernels(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let family = kernel::chosen(self.config.cpu_kernel.as_deref()).get();
        let chosen = family.name();
        writeln!(f, "CPU")?;
        for family in kernel::families() {
            let state = match family.name() {
                name if name == chosen => "in use",
                _ if family.is_available() => "available",
                _ => "not for this CPU",
            };
            writeln!(f, "  {:<24}{state}", format!("{} kernels", family.name()))?;
        }
        writeln!(f, "  {:<24}{}", "threads", self.threads)?;
        for core in caches::here().cores() {
            Self::core(f, core, family)?;
        }
        Ok(())
    }

    /// A kind of core, and the blocks into which one thread cuts a large product there.
    fn core(f: &mut fmt::Formatter<'_>, core: &Core, family: &Family) -> fmt::Result {
        let levels = core.caches;
        let l3 = levels.l3.map_or("none".to_owned(), |l3| l3.to_string());
        writeln!(f, "  {:<24}{}", "core", core.name().unwrap_or("of unknown type"))?;
        writeln!(f, "  {:<24}{}; {}; {l3} ({})", "L1; L2; L3", levels.l1, levels.l2, core.source)?;
        for (letter, blocks) in [
            (f32::LETTER, blocks::<f32>(family, core)),
            (f64::LETTER, blocks::<f64>(family, core)),
            (c32::LETTER, blocks::<c32>(family, core)),
            (c64::LETTER, blocks::<c64>(family, core)),
        ] {
            writeln!(f, "  {:<24}{blocks}", format!("{letter}gemm MC, KC, NC"))?;
        }
        Ok(())
    }

    fn settings(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "settings")?;
        for (name, value) in settings(self.config) {
            writeln!(f, "  {name:<24}{value}")?;
        }
        Ok(())
    }

    fn devices(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "NPU")?;
        if self.found.is_empty() {
            let why = match self.config.device {
                Device::None => "NPUBLAS_DEVICE=none",
                _ => "no node /dev/accel/accel0 to accel15; the CPU computes everything",
            };
            writeln!(f, "  {:<24}{why}", "none")?;
        }
        for Found { path, result } in &self.found {
            // The node may answer to its name and still not give a context.
            let usable = match result {
                Ok(driver) => driver.open(path).map(|_| *driver),
                Err(error) => Err(error.clone()),
            };
            let state = match usable {
                Ok(driver) => self.describe(driver),
                Err(error) => format!("unusable: {error}"),
            };
            writeln!(f, "  {:<24}{state}", path.display().to_string())?;
        }
        Ok(())
    }

    /// A usable device in a few words. The driver does not tell which chip it drives.
    fn describe(&self, driver: &dyn Driver) -> String {
        let chip = Rk3588;
        let cores = chip.cores();
        let used = self.config.npu_cores.map_or(cores, |wanted| wanted.min(cores));
        format!("driver {}, {}, {used} of {cores} cores", driver.name(), chip.name())
    }
}

impl fmt::Display for Info {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "npublas {}", env!("CARGO_PKG_VERSION"))?;
        writeln!(f, "  {:<24}{}", "library", self.library)?;
        self.kernels(f)?;
        self.settings(f)?;
        self.devices(f)
    }
}

/// The sizes of the blocks of one type.
fn blocks<T: Kernels>(family: &Family, core: &Core) -> String {
    let kernel = T::of(family);
    let kc = kernel.blocking().kc;
    let sizes = kernel.sizes(kc, core, 1);
    format!("{}, {kc}, {}", sizes.mc, sizes.nc)
}

/// Every knob with the value in force.
fn settings(config: &Config) -> Vec<(&'static str, String)> {
    // Without `..`: a knob that is missing here does not compile.
    let Config {
        device,
        offload,
        npu_cores,
        threads,
        cpu_kernel,
        mode,
        reproducible,
        verify,
        profile,
        verbose,
        log,
    } = config;
    let device = match device {
        Device::Auto => "auto".to_owned(),
        Device::None => "none".to_owned(),
        Device::Path(path) => path.display().to_string(),
    };
    let offload = match offload {
        Offload::Auto => "auto",
        Offload::Never => "never",
        Offload::Always => "always",
    };
    let number = |n: &Option<usize>, all: &str| n.map_or(all.to_owned(), |n| n.to_string());
    let switch = |on: bool, [yes, no]: [&str; 2]| if on { yes } else { no }.to_owned();
    vec![
        ("NPUBLAS_DEVICE", device),
        ("NPUBLAS_OFFLOAD", offload.to_owned()),
        ("NPUBLAS_NPU_CORES", number(npu_cores, "the chip's")),
        ("NPUBLAS_NUM_THREADS", number(threads, "the CPUs this process may use")),
        ("NPUBLAS_CPU_KERNEL", cpu_kernel.clone().unwrap_or("the best there is".to_owned())),
        ("NPUBLAS_COMPUTE_MODE", mode.name().to_owned()),
        ("NPUBLAS_REPRODUCIBLE", switch(*reproducible, ["on", "off"])),
        ("NPUBLAS_VERIFY", switch(*verify, ["on", "off"])),
        ("NPUBLAS_PROFILE", profile.clone()),
        ("NPUBLAS_VERBOSE", switch(*verbose, ["1", "0"])),
        ("NPUBLAS_LOG", format!("{log:?}").to_lowercase()),
    ]
}
