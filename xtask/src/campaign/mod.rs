//! Campaigns: what takes too long for every run of the tests, or needs other people's programs.
//! Short versions of most are among the tests.

pub mod faults;
pub mod numpy_tests;
pub mod numpys;
pub mod processes;
pub mod soak;
pub mod surroundings;
pub mod testers;

mod accuracy;
mod differential;
mod hpcc;
mod lapack;

use crate::tally::Tally;
use crate::tree::Tree;
use anyhow::{Result, bail};
use clap::Subcommand;

/// A campaign.
#[derive(Debug, Clone, Copy, Subcommand)]
pub enum Campaign {
    /// Every form of a product in every NumPy: which symbol, where computed, whether right
    Numpys,
    /// NumPy's own tests of linalg and multiarray
    NumpyTests,
    /// The testers of the reference BLAS, Level 3, Fortran and CBLAS
    Testers,
    /// Accuracy on the NPU: every type and mode, all families of data, 2,000 random calls of each
    /// type, with the tables of docs/accuracy.md
    Accuracy,
    /// svd, solve, eigh and inv of Debian's NumPy, whose LAPACK calls npublas, beside OpenBLAS
    Lapack,
    /// Debian's HPC Challenge, two MPI processes that share one simulated NPU
    Hpcc,
    /// 3,000 random calls beside the reference BLAS, between fences
    Differential,
    /// Every kind of failure of the device at each of twenty positions
    Faults,
    /// Forks, pools of processes, many threads, exits in the middle of calls
    Processes,
    /// Products with something missing: descriptors, memory, threads, files, system calls
    Surroundings,
    /// Mixed products for a long time, and what the process holds meanwhile
    Soak {
        /// How long
        #[arg(long, default_value_t = 10)]
        minutes: u64,
    },
}

/// Builds what is needed and runs a campaign; fails when something is not as it must be.
pub fn run(tree: &Tree, campaign: Campaign) -> Result<()> {
    println!("building the libraries, npublas and npu-sim");
    tree.build()?;
    match campaign {
        Campaign::Numpys => conclude(&numpys::run(tree)?),
        Campaign::NumpyTests => conclude(&numpy_tests::run(tree)?),
        Campaign::Testers => {
            let (tally, table) = testers::run(tree, testers::Input::Whole)?;
            table.print();
            conclude(&tally)
        }
        Campaign::Accuracy => conclude(&accuracy::run(tree)?),
        Campaign::Lapack => conclude(&lapack::run(tree)?),
        Campaign::Hpcc => conclude(&hpcc::run(tree)?),
        Campaign::Differential => conclude(&differential::run(tree)?),
        Campaign::Faults => faults::run(tree),
        Campaign::Processes => processes::run(tree),
        Campaign::Surroundings => surroundings::run(tree),
        Campaign::Soak { minutes } => soak::run(tree, minutes * 60),
    }
}

/// Names what failed and what could not run, and counts.
fn conclude(tally: &Tally) -> Result<()> {
    for failure in &tally.failed {
        println!("FAILED {failure}");
    }
    for skipped in &tally.skipped {
        println!("not run: {skipped}");
    }
    println!("{tally}");
    if !tally.failed.is_empty() {
        bail!("FAILED");
    }
    Ok(())
}
