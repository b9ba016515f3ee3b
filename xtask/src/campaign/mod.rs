//! Campaigns: what takes too long for every run of the tests. Short versions are among them.

mod differential;
pub mod numpy_tests;
pub mod numpys;
pub mod testers;

use crate::tally::Tally;
use crate::tree::Tree;
use anyhow::{Result, bail};
use clap::Subcommand;

/// A campaign.
#[derive(Debug, Subcommand)]
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

/// Builds what is needed and runs a campaign; fails when something is not as it must be.
pub fn run(tree: &Tree, campaign: &Campaign) -> Result<()> {
    tree.build()?;
    match campaign {
        Campaign::Numpys => judge(numpys::run(tree)?),
        Campaign::NumpyTests => judge(numpy_tests::run(tree)?),
        Campaign::Testers => judge(testers::run(tree)?),
        Campaign::Differential => judge(differential::run(tree)?),
    }
}

/// Says what was counted; fails when something failed.
fn judge(tally: Tally) -> Result<()> {
    for failure in &tally.failed {
        println!("FAILED {failure}");
    }
    println!("{tally}");
    if !tally.failed.is_empty() {
        bail!("FAILED");
    }
    Ok(())
}
