//! Other authors' NPU programs on the simulator: what ran on a board must run there too.
//!
//! Their folder is given, never part of this repository: `build.sh OUT` builds the programs into
//! OUT, and `gates.txt` has one per line, after the name of its group.

use crate::jobs::{self, Job};
use crate::needs::{self, Package};
use crate::shell::{self, Finished};
use crate::table::Table;
use crate::tally::Tally;
use crate::tree::Tree;
use anyhow::{Context, Result, bail, ensure};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The groups that run when none is named: the programs that must pass.
const GROUPS: [&str; 4] = ["uapi", "int8", "fp16", LIFE];

/// The group whose verdicts are about the kernel: only the simulator has to survive it.
const LIFE: &str = "life";

/// The verdict on a program that ended with 2: it found that it cannot run here.
const SKIPPED: &str = "skipped";

const LIMIT: Duration = Duration::from_secs(300);

/// A line of `gates.txt`.
#[derive(Debug)]
struct Gate<'a> {
    group: &'a str,
    program: &'a str,
    arguments: Vec<&'a str>,
}

/// Builds the simulator and the programs of `dir`, and runs them.
pub fn run(tree: &Tree, dir: &Path, group: Option<&str>) -> Result<()> {
    tree.build()?;
    let tally = check(tree, dir, group)?;
    println!("{tally}");
    if !tally.failed.is_empty() {
        bail!("FAILED:\n{}", tally.failed.join("\n"));
    }
    Ok(())
}

/// Builds the programs of `dir` and runs those of `group`, or those that must pass, on the
/// simulator as it is built; prints a table.
pub fn check(tree: &Tree, dir: &Path, group: Option<&str>) -> Result<Tally> {
    needs::packages(&[Package::GCC, Package::LIBC, Package::LIBDRM])?;
    let list = dir.join("gates.txt");
    let list = std::fs::read_to_string(&list).with_context(|| list.display().to_string())?;
    let gates = gates(&list, group);
    ensure!(!gates.is_empty(), "gates.txt has no program of that group");
    let built = build(tree, dir)?;

    let logs = tree.scratch("clients-logs", false)?;
    let mut tally = Tally::default();
    let heading = ["group", "program", "verdict", "seconds", "jobs", "dropped", "refused"];
    let mut table = Table::new(3, &heading);
    for (number, gate) in gates.iter().enumerate() {
        let log = logs.join(format!("{number}-{}", gate.program));
        let (finished, jobs) = simulate(tree, &built, gate, &log)?;
        let name = format!("{} {}", gate.program, gate.arguments.join(" ")).trim().to_owned();
        let judged = judge(gate, &finished, &jobs);
        let verdict = *judged.as_ref().unwrap_or(&"FAILED");
        match judged {
            Ok(SKIPPED) => tally.skip(&name, "the program skipped itself"),
            judged => tally.note(&name, judged.map(|_| ())),
        }
        let count = |of: fn(&Job) -> bool| jobs.iter().filter(|job| of(job)).count().to_string();
        table.row(vec![
            gate.group.to_owned(),
            name,
            verdict.to_owned(),
            format!("{:.1}", finished.time.as_secs_f64()),
            count(|_| true),
            count(Job::dropped),
            count(Job::refused),
        ]);
    }
    println!();
    table.print();
    Ok(tally)
}

/// The programs of `group`, or of [`GROUPS`].
fn gates<'a>(list: &'a str, group: Option<&str>) -> Vec<Gate<'a>> {
    let wanted = |name: &str| group.map_or(GROUPS.contains(&name), |group| group == name);
    let lines = list.lines().filter(|line| !line.starts_with('#'));
    lines
        .filter_map(|line| {
            let mut words = line.split_whitespace();
            let (group, program) = (words.next()?, words.next()?);
            wanted(group).then(|| Gate { group, program, arguments: words.collect() })
        })
        .collect()
}

/// Builds the programs; returns the folder that they are in.
fn build(tree: &Tree, dir: &Path) -> Result<PathBuf> {
    let out = tree.scratch("clients", true)?;
    let mut build = shell::command("bash");
    build.arg(dir.join("build.sh")).arg(&out);
    shell::keep(&build, LIMIT, &out.join("build.log"))?.succeeded()?;
    Ok(out)
}

/// Runs one program on the simulator.
fn simulate(
    tree: &Tree,
    built: &Path,
    gate: &Gate<'_>,
    log: &Path,
) -> Result<(Finished, Vec<Job>)> {
    let trace = log.with_extension("json");
    let mut command = shell::command(tree.release("npu-sim"));
    command.arg("--summary").arg("--trace").arg(&trace).arg("--");
    command.arg(built.join(gate.program)).args(&gate.arguments).current_dir(built);
    let finished = shell::keep(&command, LIMIT, log)?;
    Ok((finished, jobs::read(&trace)?))
}

/// `passed` or `skipped`, or why it failed.
fn judge(gate: &Gate<'_>, finished: &Finished, jobs: &[Job]) -> Result<&'static str> {
    // The simulator's last words; without them it did not live to the end.
    ensure!(finished.text.contains("predicted device time"), "npu-sim died\n{}", finished.tail());
    if gate.group == LIFE {
        return Ok("passed");
    }
    let refused = jobs.iter().filter(|job| job.refused()).count();
    ensure!(refused == 0, "{refused} streams were refused\n{}", finished.tail());
    match finished.status.code() {
        Some(0) => Ok("passed"),
        Some(2) => Ok(SKIPPED),
        _ => bail!("{}\n{}", finished.status, finished.tail()),
    }
}
