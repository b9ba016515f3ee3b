//! A long run of mixed products: memory, descriptors and mappings must not grow.

use crate::chaos::{self, On, Programs};
use crate::table::Table;
use crate::tree::Tree;
use anyhow::{Context, Result, ensure};
use std::time::Duration;

/// Until then everything may grow: pools fill, threads start.
const FIRST: u64 = 60;

/// What the process held at one time.
#[derive(Debug, Clone, Copy)]
struct Sample {
    second: u64,
    calls: u64,
    resident_kib: u64,
    descriptors: u64,
    mappings: u64,
}

impl Sample {
    fn parse(line: &str) -> Option<Sample> {
        let mut numbers = line.strip_prefix("AT ")?.split(' ');
        let mut number = || numbers.next()?.rsplit('=').next()?.parse().ok();
        Some(Sample {
            second: number()?,
            calls: number()?,
            resident_kib: number()?,
            descriptors: number()?,
            mappings: number()?,
        })
    }
}

/// Runs for `seconds` on a simulated device and prints a line per minute.
pub fn run(tree: &Tree, seconds: u64) -> Result<()> {
    let programs = Programs::build(tree, &["soak"])?;
    let command = programs.command("soak", &[&seconds.to_string()]);
    let limit = Duration::from_secs(seconds + 120);
    let finished = programs.run(&command, On::Sim(&[]), &[], limit, "soak")?;
    chaos::ended_well(&finished)?;
    let samples: Vec<Sample> = finished.text.lines().filter_map(Sample::parse).collect();

    let mut table = Table::new(0, &["s", "products", "resident KiB", "descriptors", "mappings"]);
    for samples in samples.chunk_by(|a, b| a.second / 60 == b.second / 60) {
        // The most of every minute.
        let most = |of: fn(&Sample) -> u64| samples.iter().map(of).max().unwrap_or(0).to_string();
        table.row(vec![
            most(|s| s.second),
            most(|s| s.calls),
            most(|s| s.resident_kib),
            most(|s| s.descriptors),
            most(|s| s.mappings),
        ]);
    }
    table.print();

    let later: Vec<Sample> = samples.into_iter().filter(|s| s.second > FIRST).collect();
    let (before, after) = later.split_at(later.len() / 2);
    let most = |half: &[Sample], of: fn(&Sample) -> u64| half.iter().map(of).max();
    for (what, of, slack) in [
        ("resident KiB", (|s: &Sample| s.resident_kib) as fn(&Sample) -> u64, 4096),
        ("descriptors", |s| s.descriptors, 0),
        ("mappings", |s| s.mappings, 8),
    ] {
        let before = most(before, of).context("too short a run to tell")?;
        let after = most(after, of).context("too short a run to tell")?;
        ensure!(after <= before + slack, "{what} grew from {before} to {after}");
    }
    println!("no growth after the first minute");
    Ok(())
}
