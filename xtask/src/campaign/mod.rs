//! Longer comparisons with other people's programs and tests.

pub mod numpy_tests;
pub mod numpys;
pub mod testers;

mod differential;

use crate::tree::Tree;
use anyhow::{Result, bail};
use clap::ValueEnum;

/// A comparison.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum Campaign {
    /// Every form of a product in every NumPy: which symbol, where computed, whether right
    Numpys,
    /// NumPy's own tests of linalg and multiarray
    NumpyTests,
    /// The testers of the reference BLAS, Level 3, Fortran and CBLAS
    Testers,
    /// 3,000 random calls beside the reference BLAS, between fences
    Differential,
}

/// Runs it, on the CPU and on a simulated NPU; fails when something failed.
pub fn run(tree: &Tree, campaign: Campaign) -> Result<()> {
    println!("building the libraries, npublas and npu-sim");
    tree.build()?;
    let tally = match campaign {
        Campaign::Numpys => numpys::run(tree)?,
        Campaign::NumpyTests => numpy_tests::run(tree)?,
        Campaign::Testers => {
            let (tally, table) = testers::run(tree, testers::Input::Whole)?;
            table.print();
            tally
        }
        Campaign::Differential => differential::run(tree)?,
    };
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
