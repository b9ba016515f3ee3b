//! Campaigns: what takes too long for every run of the tests. Short versions are among them.

pub mod faults;
pub mod processes;
pub mod soak;
pub mod surroundings;

use crate::tree::Tree;
use anyhow::Result;
use clap::Subcommand;

/// A campaign.
#[derive(Debug, Subcommand)]
pub enum Campaign {
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
pub fn run(tree: &Tree, campaign: &Campaign) -> Result<()> {
    tree.build()?;
    match campaign {
        Campaign::Faults => faults::run(tree),
        Campaign::Processes => processes::run(tree),
        Campaign::Surroundings => surroundings::run(tree),
        Campaign::Soak { minutes } => soak::run(tree, minutes * 60),
    }
}
