//! What people and CI run in this workspace.

mod aarch64;
mod calls;
mod campaign;
mod chaos;
mod chroot;
mod clients;
mod demo;
mod headers;
mod jobs;
mod kernels;
mod needs;
mod numpy;
mod peers;
mod shell;
mod stage;
mod table;
mod tally;
mod test;
mod tree;
mod ways;

use campaign::Campaign;
use clap::{Parser, Subcommand};
use std::path::PathBuf;
use std::process::ExitCode;
use tree::Tree;

/// Tasks of the npublas workspace. Each installs what it needs, and says so.
#[derive(Debug, Parser)]
#[command(bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Run one NumPy script on NumPy's own BLAS, on the CPU, on the simulated NPU and on one
    /// that loses a job, and compare
    Demo,
    /// Run every test there is, and count
    Test,
    /// Run the tests for aarch64 in a Debian 12 below the target folder, emulated, and count them
    /// there and here; needs root
    Aarch64,
    /// Run what takes too long for every run of the tests
    Campaign {
        /// Which
        #[command(subcommand)]
        campaign: Campaign,
    },
    /// Lay out an install tree: lib, include, bin
    Stage {
        /// Where to; made when it is not there
        dir: PathBuf,
    },
    /// Run other authors' NPU programs on the simulator
    Clients {
        /// Folder with build.sh and gates.txt
        dir: PathBuf,
        /// Only the programs of this group, whatever group it is
        #[arg(long)]
        group: Option<String>,
    },
    /// Fetch and build other BLAS libraries, and print the `npublas bench` that measures beside them
    Peers,
    /// Write include/npublas.h from the sources
    Headers {
        /// Only compare; fail when the file is out of date
        #[arg(long)]
        check: bool,
    },
}

fn main() -> ExitCode {
    let done = Tree::find().and_then(|tree| match Arguments::parse().task {
        Task::Demo => demo::run(&tree),
        Task::Test => test::run(&tree),
        Task::Aarch64 => aarch64::run(&tree),
        Task::Campaign { campaign } => campaign::run(&tree, campaign),
        Task::Stage { dir } => stage::run(&tree, &dir),
        Task::Clients { dir, group } => clients::run(&tree, &dir, group.as_deref()),
        Task::Peers => peers::run(&tree),
        Task::Headers { check: false } => headers::write(&tree),
        Task::Headers { check: true } => headers::check(&tree),
    });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}
