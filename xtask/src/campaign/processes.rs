//! Forks, pools, threads, exits, and the library opened and closed: no hang, every result right.

use crate::chaos::{self, On, Programs};
use crate::numpy::Numpy;
use crate::shell;
use crate::tally::Tally;
use crate::tree::Tree;
use anyhow::Result;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

const PROGRAMS: [&str; 4] = ["forks", "threads", "exits", "reload"];

/// How much of everything.
#[derive(Debug)]
struct Extent {
    forks: usize,
    pools: usize,
    /// Of 64 threads.
    seconds: u64,
    exits: usize,
    limit: Duration,
}

const WHOLE: Extent =
    Extent { forks: 1000, pools: 100, seconds: 120, exits: 25, limit: Duration::from_secs(1500) };

const SHORT: Extent =
    Extent { forks: 40, pools: 4, seconds: 4, exits: 2, limit: Duration::from_secs(200) };

/// The whole campaign.
pub fn run(tree: &Tree) -> Result<()> {
    let python = Numpy::Two.python(tree)?;
    chaos::conclude(&tally(tree, &python, &WHOLE, true)?)
}

/// A little of everything.
pub fn few(tree: &Tree, python: &Path) -> Result<Tally> {
    tally(tree, python, &SHORT, false)
}

fn tally(tree: &Tree, python: &Path, extent: &Extent, loud: bool) -> Result<Tally> {
    let programs = Programs::build(tree, &PROGRAMS)?;
    let library = programs.library().display().to_string();
    let (forks, seconds) = (extent.forks.to_string(), extent.seconds.to_string());
    let mut pools = shell::command(tree.release("npublas"));
    pools.args(["run", "--"]).arg(python).arg(tree.source("tests/python/pools.py"));
    pools.arg(extent.pools.to_string());
    // Two at once share the device.
    let mut pair = shell::command("sh");
    pair.args(["-c", "\"$0\" 4 \"$1\" & \"$0\" 4 \"$1\" && wait $!"]);
    let shorter = (extent.seconds / 4).max(2).to_string();
    pair.arg(programs.command("threads", &[]).get_program()).arg(&shorter);

    let mut works: Vec<(String, Command)> = vec![
        (format!("{forks} forks from 8 threads"), programs.command("forks", &[&forks, "8"])),
        (format!("64 threads for {seconds} s"), programs.command("threads", &["64", &seconds])),
        (format!("two processes for {shorter} s"), pair),
        ("100 times dlopen and dlclose".into(), programs.command("reload", &[&library])),
        (format!("{} pools of multiprocessing", extent.pools), pools),
    ];
    for way in ["exit", "return", "last"] {
        for round in 0..extent.exits {
            let after = (7 + 37 * round % 400).to_string();
            let name = format!("exit in the middle of calls: {way} after {after} ms");
            works.push((name, programs.command("exits", &[way, &after])));
        }
    }
    let mut tally = Tally::default();
    for (name, command) in &works {
        for (place, on) in [("CPU", On::Cpu), ("NPU", On::Sim(&[]))] {
            let finished = programs.run(command, on, &[], extent.limit, "processes")?;
            let name = format!("{name}, {place}");
            let result = chaos::ended_well(&finished);
            if loud {
                let said = finished.text.lines().last().unwrap_or("");
                let verdict = if result.is_ok() { "right" } else { "FAILED" };
                println!("{name}: {verdict}, {:.1} s  {said}", finished.time.as_secs_f64());
            }
            tally.note(&name, result);
        }
    }
    Ok(tally)
}
