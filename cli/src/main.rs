//! The command `npublas`.

mod bench;
mod info;
mod run;

use clap::{Parser, Subcommand};
use std::path::PathBuf;
use std::process::ExitCode;

/// Show what this machine has for npublas, and run programs on it.
#[derive(Debug, Parser)]
#[command(name = "npublas", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Show the CPU kernels, the settings in force and the NPU, or why it cannot be used
    Info,
    /// Run a program whose large matrix products go to the NPU
    Run(run::Arguments),
    /// Measure the CPU's matrix products beside those of other BLAS libraries
    Bench(bench::Arguments),
    /// The processes that `bench` starts
    #[command(name = bench::worker::COMMAND, hide = true)]
    BenchWorker { library: PathBuf, threads: usize, callers: usize },
}

fn main() -> ExitCode {
    match Arguments::parse().command {
        Command::Info => {
            print!("{}", info::Info::gather());
            ExitCode::SUCCESS
        }
        Command::Run(arguments) => {
            // Returns only when the program could not be started.
            let error = run::run(&arguments);
            eprintln!("npublas: {error}");
            // The shell's code for a command that it cannot find or start.
            ExitCode::from(127)
        }
        Command::Bench(arguments) => exit_code(bench::run(&arguments)),
        Command::BenchWorker { library, threads, callers } => {
            exit_code(bench::worker::run(&library, threads, callers))
        }
    }
}

fn exit_code(done: Result<(), String>) -> ExitCode {
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("npublas: {error}");
            ExitCode::FAILURE
        }
    }
}
