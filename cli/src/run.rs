//! `npublas run`: becomes the program, with the library in front of its own BLAS.

use clap::builder::PossibleValuesParser;
use clap::{Args, ValueEnum};
use npublas::mode::Mode;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What `npublas run` is told.
#[derive(Debug, Args)]
#[command(after_help = "\
npublas sets LD_PRELOAD and the variables of the options, then becomes the program: exit status\n\
and signals are the program's own.\n\n\
Example: npublas run --offload always --verbose -- python3 script.py")]
pub struct Arguments {
    /// Simulate the NPU, for machines without one
    #[arg(long)]
    sim: bool,
    /// When to use the NPU; `always` overrules the cost model, never the error bound
    #[arg(long, value_enum, value_name = "WHEN")]
    offload: Option<Offload>,
    /// How exact products on the NPU are to be
    #[arg(long, value_name = "MODE", value_parser = PossibleValuesParser::new(Mode::ALL.map(Mode::name)))]
    mode: Option<String>,
    /// Print one line per BLAS call on standard error
    #[arg(long)]
    verbose: bool,
    /// The device node to use, or `none`
    #[arg(long, value_name = "PATH")]
    device: Option<OsString>,
    /// The program and its arguments
    #[arg(last = true, required = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Offload {
    Auto,
    Always,
    Never,
}

/// Why the program could not be started.
#[derive(Debug)]
pub enum Error {
    /// Where this program lies is unknown.
    Own(io::Error),
    /// A file that is installed with this program is missing; these are the places.
    Missing([PathBuf; 2]),
    /// The system did not start it.
    Start(OsString, io::Error),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Own(error) => write!(f, "where is this program? {error}"),
            Error::Missing([here, there]) => {
                write!(f, "neither {} nor {} is there", here.display(), there.display())
            }
            Error::Start(program, error) => {
                write!(f, "cannot start {}: {error}", program.to_string_lossy())
            }
        }
    }
}

/// Becomes the program; returns only when that fails.
pub fn run(arguments: &Arguments) -> Error {
    match command(arguments) {
        Ok(mut command) => {
            let error = command.exec();
            Error::Start(command.get_program().to_owned(), error)
        }
        Err(error) => error,
    }
}

fn command(arguments: &Arguments) -> Result<Command, Error> {
    let own = std::env::current_exe().map_err(Error::Own)?;
    if arguments.sim {
        // Inside the simulation stands this program again, so that the simulator itself runs
        // without the library.
        let mut command = Command::new(beside(&own, "npu-sim", "../bin/npu-sim")?);
        command.arg("--").arg(&own).arg("run").args(options(arguments)).arg("--");
        command.args(&arguments.command);
        return Ok(command);
    }
    let library = library(&own)?;
    let mut command = Command::new(&arguments.command[0]);
    command.args(&arguments.command[1..]);
    command.env("LD_PRELOAD", in_front(&library, std::env::var_os("LD_PRELOAD").as_deref()));
    if let Some(offload) = arguments.offload {
        command.env("NPUBLAS_OFFLOAD", offload.name());
    }
    if let Some(mode) = &arguments.mode {
        command.env("NPUBLAS_COMPUTE_MODE", mode);
    }
    if arguments.verbose {
        command.env("NPUBLAS_VERBOSE", "1");
    }
    if let Some(device) = &arguments.device {
        command.env("NPUBLAS_DEVICE", device);
    }
    Ok(command)
}

/// The library that belongs to the program at `own`.
pub fn library(own: &Path) -> Result<PathBuf, Error> {
    beside(own, "libnpublas.so", "../lib/libnpublas.so")
}

impl Offload {
    fn name(self) -> &'static str {
        match self {
            Offload::Auto => "auto",
            Offload::Always => "always",
            Offload::Never => "never",
        }
    }
}

/// The options again, without `--sim`.
fn options(arguments: &Arguments) -> Vec<OsString> {
    let mut options: Vec<OsString> = Vec::new();
    if let Some(offload) = arguments.offload {
        options.extend(["--offload", offload.name()].map(Into::into));
    }
    if let Some(mode) = &arguments.mode {
        options.extend(["--mode".into(), mode.into()]);
    }
    if arguments.verbose {
        options.push("--verbose".into());
    }
    if let Some(device) = &arguments.device {
        options.extend(["--device".into(), device.clone()]);
    }
    options
}

/// A file that lies beside this program, as Cargo leaves it, or where an install tree has it.
fn beside(own: &Path, built: &str, installed: &str) -> Result<PathBuf, Error> {
    let dir = own.parent().unwrap_or(Path::new("/"));
    let places = [dir.join(built), dir.join(installed)];
    match places.iter().find_map(|place| place.canonicalize().ok()) {
        Some(found) => Ok(found),
        None => Err(Error::Missing(places)),
    }
}

/// A preload list with `library` before what was there.
fn in_front(library: &Path, before: Option<&OsStr>) -> OsString {
    let mut list = library.as_os_str().to_owned();
    if let Some(before) = before.filter(|before| !before.is_empty()) {
        list.push(":");
        list.push(before);
    }
    list
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_existing_preload_stays() {
        let library = Path::new("/lib/libnpublas.so");
        assert_eq!(in_front(library, None), "/lib/libnpublas.so");
        assert_eq!(in_front(library, Some("".as_ref())), "/lib/libnpublas.so");
        assert_eq!(in_front(library, Some("a.so b.so".as_ref())), "/lib/libnpublas.so:a.so b.so");
    }

    #[test]
    fn a_missing_library_is_named_with_both_places() {
        let error = library(Path::new("/nowhere/bin/npublas")).expect_err("there is none");
        let text = error.to_string();
        assert!(text.contains("/nowhere/bin/libnpublas.so"), "{text}");
        assert!(text.contains("/nowhere/bin/../lib/libnpublas.so"), "{text}");
    }
}
