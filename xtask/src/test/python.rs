//! Unmodified NumPy on npublas.

use super::Bench;
use crate::calls::Call;
use crate::campaign::numpys;
use crate::numpy::Numpy;
use crate::shell;
use crate::tally::Tally;
use crate::ways::{Load, Run, Way};
use anyhow::{Result, ensure};
use serde::Deserialize;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(300);

fn script(bench: &Bench<'_>, name: &str) -> Command {
    let mut script = shell::command(&bench.python);
    script.arg(bench.tree.source("tests/python").join(name));
    script
}

fn run(bench: &Bench<'_>, way: Way, script: &Command, dir: &Path) -> Result<Run> {
    way.run(bench.tree, script, Load::Preload, dir, LIMIT)
}

/// Fails when the program said anything at all.
fn silent(run: &Run) -> Result<()> {
    ensure!(run.finished.text.is_empty(), "it was not silent:\n{}", run.finished.tail());
    Ok(())
}

/// Every form of a product in every NumPy.
pub fn forms(bench: &Bench<'_>) -> Result<Tally> {
    let mut tally = Tally::default();
    for numpy in Numpy::ALL {
        let checked = numpys::check(bench.tree, numpy, &mut Vec::new());
        let checked = checked.unwrap_or_else(|error| Tally::of("forms", Err(error)));
        tally.add(checked.prefixed(numpy.name()));
    }
    Ok(tally)
}

/// The report of `faults.py`: what npublas counted.
#[derive(Debug, Deserialize)]
struct Counters {
    cpu_calls: usize,
    npu_calls: usize,
    jobs: usize,
    retried: usize,
    repaired: usize,
}

/// What a fault must leave behind.
#[derive(Debug, Clone, Copy)]
enum Trail {
    /// Blocks of C that were computed again.
    Mended,
    /// Blocks that were computed again, or calls declined because of the device.
    MendedOrDeclined,
    /// Calls on the CPU, for want of a device.
    NoDevice,
}

impl Trail {
    fn is_in(self, calls: &[Call], counted: &Counters) -> bool {
        let mended = counted.retried + counted.repaired > 0;
        let declined = |call: &Call| !call.on_npu() && call.text("reason").starts_with("device:");
        match self {
            Trail::Mended => mended && counted.cpu_calls == 0,
            Trail::MendedOrDeclined => mended || calls.iter().any(declined),
            Trail::NoDevice => calls.iter().all(|call| call.text("reason") == "no-device"),
        }
    }
}

/// Whatever the device does, the results are right, the process lives, and trace and counters
/// tell.
pub fn faults(bench: &Bench<'_>) -> Result<Tally> {
    const FAULTS: [(&str, Trail); 5] = [
        ("drop@2", Trail::Mended),
        ("timeout@2", Trail::Mended),
        ("bitflip@2", Trail::Mended),
        ("errno=EIO:submit@2", Trail::MendedOrDeclined),
        ("errno=EACCES:open", Trail::NoDevice),
    ];
    let mut tally = Tally::default();
    for (fault, trail) in FAULTS {
        tally.note(fault, survives(bench, fault, trail));
    }
    Ok(tally)
}

fn survives(bench: &Bench<'_>, fault: &'static str, trail: Trail) -> Result<()> {
    let dir = bench.tree.scratch("faults", false)?;
    let report = dir.join("report.json");
    let mut script = script(bench, "faults.py");
    script.arg(&report);
    let Run { finished, calls, .. } = run(bench, Way::Sim(Some(fault)), &script, &dir)?;

    let counted: Counters = serde_json::from_str(&std::fs::read_to_string(&report)?)?;
    let sum = |key| calls.iter().map(|call| call.number(key)).sum::<usize>();
    let on_npu = calls.iter().filter(|call| call.on_npu()).count();
    ensure!(
        counted.npu_calls == on_npu
            && counted.cpu_calls == calls.len() - on_npu
            && [counted.retried, counted.repaired] == ["retried", "repaired"].map(sum)
            // A call that is declined after a submit shows its jobs in the counters alone.
            && counted.jobs >= sum("jobs"),
        "trace and counters differ: {counted:?}\n{}",
        finished.tail()
    );
    ensure!(trail.is_in(&calls, &counted), "no trace of it: {counted:?}\n{}", finished.tail());
    Ok(())
}

/// Parent and child multiply in both orders, again and again, without a hang.
pub fn forks(bench: &Bench<'_>) -> Result<Tally> {
    const ROUNDS: usize = 100;
    // Two products in each round of either kind, and one between them.
    const PRODUCTS: usize = 4 * ROUNDS + 1;
    let mut script = script(bench, "forks.py");
    script.arg(ROUNDS.to_string());
    let dir = bench.tree.scratch("forks", false)?;

    let mut tally = Tally::default();
    let plain = run(bench, Way::Plain, &script, &dir).and_then(|run| silent(&run));
    tally.note("CPU", plain);
    let sim = run(bench, Way::Sim(None), &script, &dir).and_then(|run| {
        let on_npu = run.calls.iter().filter(|call| call.on_npu()).count();
        ensure!(on_npu == PRODUCTS, "{on_npu} products by the NPU, not {PRODUCTS}");
        Ok(())
    });
    tally.note("NPU", sim);
    Ok(tally)
}
