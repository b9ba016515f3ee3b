//! The command `npu-sim`: runs another command with an NPU in sight.

use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::process::{Command, exit};
use std::sync::Arc;

use clap::Parser;
use npu_sim::driver::{Config, Node, machine_page};
use npu_sim::fault::{Faults, Rule};
use npu_sim::front::seccomp;
use npu_sim::model::{Core, Machine};
use npu_sim::trace::{Journal, Level};

/// Runs COMMAND, unmodified, so that it finds an RK3588 NPU at /dev/accel/accel0.
///
/// The exit status is the command's, 128 plus the number of the signal that killed it, 127 or 126
/// when it cannot be found or started, 125 when the simulator itself fails.
#[derive(Debug, Parser)]
#[command(version)]
struct Options {
    /// Number of NPU cores
    #[arg(long, value_name = "N", default_value_t = 3,
          value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..=64))]
    cores: usize,
    /// NPU clock of the predicted times
    #[arg(long, value_name = "F", default_value_t = 1000.0, value_parser = positive)]
    clock_mhz: f64,
    /// Page size of the emulated kernel: a power of two up to 65536, no less than this machine's
    #[arg(long, value_name = "BYTES", default_value_t = machine_page(), value_parser = page_size)]
    page_size: u64,
    /// Write one JSON object per job to FILE
    #[arg(long, value_name = "FILE")]
    trace: Option<PathBuf>,
    /// Let something fail: drop, timeout, bitflip, late=MS, stuck, short or errno=NAME:CALL, each
    /// with @N, @N+ or @all (the default); CALL is open, mmap, version, gem_close, create_bo,
    /// submit, prep_bo, fini_bo or any. Repeatable
    #[arg(long, value_name = "KIND[@WHEN]")]
    fault: Vec<Rule>,
    /// Print sums over all jobs to stderr at the end
    #[arg(long)]
    summary: bool,
    /// How much to say on stderr
    #[arg(long, value_name = "LEVEL", value_enum, default_value_t = Level::Warn)]
    log: Level,
    /// Say nothing on stderr, not even about refused streams
    #[arg(long, conflicts_with = "log")]
    quiet: bool,
    /// The command and its arguments
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
    command: Vec<std::ffi::OsString>,
}

fn positive(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(value) if value > 0.0 && value.is_finite() => Ok(value),
        _ => Err("not a positive number".into()),
    }
}

fn page_size(text: &str) -> Result<u64, String> {
    match text.parse::<u64>() {
        Ok(size) if size.is_power_of_two() && (machine_page()..=1 << 16).contains(&size) => {
            Ok(size)
        }
        _ => Err("not the size of a page that this machine can emulate".into()),
    }
}

fn main() {
    let options = Options::parse();
    let level = if options.quiet { Level::Quiet } else { options.log };
    let trace = options.trace.as_ref().map(|path| match File::create(path) {
        Ok(file) => file,
        Err(error) => fail(125, format_args!("{}: {error}", path.display())),
    });
    let journal = Arc::new(Journal::new(level, trace));
    let config = Config {
        cores: options.cores,
        page: options.page_size,
        faults: Faults::new(options.fault),
        journal: journal.clone(),
    };
    let machine = Machine { clock_mhz: options.clock_mhz };
    let node = match Node::new(config, |_| Core::new(machine)) {
        Ok(node) => Arc::new(node),
        Err(error) => fail(125, format_args!("cannot start the cores: {error}")),
    };
    let (name, arguments) = (&options.command[0], &options.command[1..]);
    let status = match seccomp::run(node.clone(), Command::new(name).args(arguments)) {
        Ok(status) => status,
        Err(error) => {
            let status = match error.raw_os_error() {
                Some(_) if error.kind() == io::ErrorKind::NotFound => 127,
                Some(_) if error.kind() == io::ErrorKind::PermissionDenied => 126,
                _ => 125,
            };
            fail(status, format_args!("{}: {error}", name.display()))
        }
    };
    if options.summary {
        eprintln!("{}", journal.totals());
        eprintln!("npu-sim: {} failures on order struck", node.faults().struck());
    }
    exit(status);
}

fn fail(status: i32, message: std::fmt::Arguments<'_>) -> ! {
    eprintln!("npu-sim: {message}");
    exit(status)
}
