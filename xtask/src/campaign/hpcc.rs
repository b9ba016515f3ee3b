//! Debian's HPC Challenge, two MPI processes that share one simulated NPU.

use crate::calls::Call;
use crate::needs::{self, Package};
use crate::numpy::reference_blas;
use crate::shell;
use crate::table::Table;
use crate::tally::Tally;
use crate::tree::Tree;
use crate::ways::{Load, Way};
use anyhow::{Context, Result, ensure};
use std::fs;
use std::path::Path;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(1800);

/// The input that comes with the package.
const INPUT: &str = "/usr/share/doc/hpcc/examples/_hpccinf.txt";

/// MPI processes.
const RANKS: usize = 2;

/// On the CPU and on the NPU: every check of the benchmark passes, that of HPL among them, and on
/// the NPU both processes had products computed there.
pub fn run(tree: &Tree) -> Result<Tally> {
    needs::packages(&[Package::BLAS, Package::HPCC, Package::OPENMPI])?;
    let mut tally = Tally::default();
    let heading = ["with", "process", "dgemm calls", "by the NPU", "HPL residual", "seconds"];
    let mut table = Table::new(1, &heading);
    for (place, way) in [("CPU", Way::Cpu), ("NPU", Way::Sim(None))] {
        tally.note(&format!("HPCC on the {place}"), challenge(tree, place, way, &mut table));
    }
    table.print();
    Ok(tally)
}

fn challenge(tree: &Tree, place: &str, way: Way, table: &mut Table) -> Result<()> {
    let dir = tree.scratch("hpcc", false)?;
    let input = fs::read_to_string(INPUT).with_context(|| INPUT)?;
    fs::write(dir.join("hpccinf.txt"), for_ranks(&input)?)?;
    // It reads and writes where it is.
    let mut program = shell::command("sh");
    program.args(["-c", "cd \"$0\" && exec \"$@\""]).arg(&dir);
    program.args(["mpirun", "--tag-output", "--oversubscribe", "-np", &RANKS.to_string(), "hpcc"]);
    program.env("LD_LIBRARY_PATH", reference_blas()).env("OMP_NUM_THREADS", "1");
    // Otherwise it refuses to be started by root.
    program.env("OMPI_ALLOW_RUN_AS_ROOT", "1").env("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1");
    let run = way.run(tree, &program, Load::Preload, &dir, LIMIT)?;
    let residual = judge(&dir)?;
    for rank in 0..RANKS {
        let tag = format!("[1,{rank}]<stderr>:");
        let lines = run.finished.text.lines().filter_map(|line| line.strip_prefix(&tag));
        let calls = Call::in_text(&lines.collect::<Vec<_>>().join("\n"));
        let on_npu = calls.iter().filter(|call| call.on_npu()).count();
        table.row(vec![
            place.to_owned(),
            rank.to_string(),
            calls.len().to_string(),
            on_npu.to_string(),
            residual.clone(),
            format!("{:.0}", run.finished.time.as_secs_f64()),
        ]);
        ensure!(!calls.is_empty(), "process {rank} did not call npublas");
        ensure!(way == Way::Cpu || on_npu > 0, "the NPU was not used by process {rank}");
    }
    Ok(())
}

/// The input for a grid of one by two processes.
fn for_ranks(input: &str) -> Result<String> {
    let mut changed = 0;
    let lines = input.lines().map(|line| match line.split_whitespace().nth(1) {
        Some("Ps") => (changed += 1, "1 Ps".to_owned()).1,
        Some("Qs") => (changed += 1, format!("{RANKS} Qs")).1,
        _ => line.to_owned(),
    });
    let text = lines.map(|line| line + "\n").collect();
    ensure!(changed == 2, "{INPUT} has no Ps and Qs");
    Ok(text)
}

/// Fails where a check failed; the residual of HPL.
fn judge(dir: &Path) -> Result<String> {
    let report = fs::read_to_string(dir.join("hpccoutf.txt")).context("hpccoutf.txt")?;
    ensure!(report.contains("\nSuccess=1"), "it did not come to its end:\n{report}");
    let failed = report.lines().find(|line| line.contains("FAILED") && !line.contains(" 0 "));
    ensure!(failed.is_none(), "{failed:?}");
    let residual = report.lines().find(|line| line.starts_with("||Ax-b||")).context("no HPL")?;
    ensure!(residual.ends_with("PASSED"), "{residual}");
    let number = residual.split('=').next_back().and_then(|rest| rest.split_whitespace().next());
    Ok(number.context("no residual")?.to_owned())
}
