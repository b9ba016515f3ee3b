//! The tests on the other CPU family, emulated, and what is not the same there as here.

use crate::chroot::{Chroot, RUNNER, TARGET};
use crate::kernels;
use crate::shell;
use crate::table::Table;
use crate::tally::Tally;
use crate::test::libtest;
use crate::tree::Tree;
use anyhow::{Result, bail};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

/// No build and no run of the tests takes this long; an emulated CPU is slow.
const LIMIT: Duration = Duration::from_secs(3600);

/// npu-sim runs an empty command in a moment, or never.
const PATIENCE: Duration = Duration::from_secs(60);

/// What is tested: all but the tasks themselves, which run on the machine of whoever builds.
const TESTED: [&str; 4] = ["test", "--workspace", "--exclude", "xtask"];

/// Test programs by name, each with the names of its tests.
type Programs = BTreeMap<String, BTreeSet<String>>;

/// Runs the tests for aarch64 and prints how many there are there and here; fails when one fails.
pub fn run(tree: &Tree) -> Result<()> {
    let chroot = Chroot::ready(tree)?;
    let dir = tree.scratch("aarch64", true)?;

    println!("counting the tests here");
    let here = list(tree.cargo(&TESTED), &dir.join("list-here"))?;
    println!("building for {TARGET}, and counting the tests there");
    let start = Instant::now();
    let there = list(chroot.cargo(&TESTED), &dir.join("list-there"))?;
    println!("{:.0} s; running them with {RUNNER}", start.elapsed().as_secs_f64());
    let start = Instant::now();
    let mut tests = chroot.cargo(&TESTED);
    tests.args(["--no-fail-fast", "--", "--show-output"]);
    let done = shell::keep(&tests, LIMIT, &dir.join("output"))?;
    let mut tally = libtest::count(&done, |_| true)?;
    println!("{:.0} s", start.elapsed().as_secs_f64());

    println!();
    compare(&here, &there);
    println!();
    simulator(&chroot, &dir, &mut tally)?;
    println!("building the library for a look at its kernels");
    let build = chroot.cargo(&["build", "--release", "--package", "npublas"]);
    shell::keep(&build, LIMIT, &dir.join("release"))?.succeeded()?;
    let mut objdump = chroot.command(&[]);
    objdump.arg("aarch64-linux-gnu-objdump");
    tally.add(kernels::check(objdump, &chroot.release("libnpublas.so"))?);
    for failure in &tally.failed {
        println!("FAILED {}", failure.replace('\n', "\n  "));
    }
    for skipped in &tally.skipped {
        println!("not run: {skipped}");
    }
    println!("not run: xtask: its tests are for the machine that builds");
    println!("tests here {}, there {}; there: {tally}", count(&here), count(&there));
    if !tally.failed.is_empty() {
        bail!("FAILED");
    }
    Ok(())
}

/// The tests that a `cargo test` would run.
fn list(mut cargo: Command, log: &Path) -> Result<Programs> {
    cargo.args(["--", "--list"]);
    Ok(programs(&shell::keep(&cargo, LIMIT, log)?.succeeded()?.text))
}

/// Reads what `cargo test -- --list` prints.
fn programs(text: &str) -> Programs {
    let mut programs = Programs::new();
    let mut program = String::new();
    for line in text.lines() {
        let word = line.trim_start();
        let running = word.strip_prefix("Running ").and_then(|it| it.split_once(" ("));
        if let Some((source, path)) = running {
            // "Running [unittests ]SOURCE (…/deps/NAME-HASH)".
            let source = source.strip_prefix("unittests ").unwrap_or(source);
            let name = path.rsplit('/').next().unwrap_or(path);
            let name = name.rsplit_once('-').map_or(name, |(name, _)| name);
            program = format!("{name}, {source}");
        } else if let Some(name) = word.strip_prefix("Doc-tests ") {
            program = format!("{name}, documentation");
        } else if let Some(test) = line.strip_suffix(": test") {
            programs.entry(program.clone()).or_default().insert(test.to_owned());
        }
    }
    programs
}

fn count(programs: &Programs) -> usize {
    programs.values().map(BTreeSet::len).sum()
}

/// Prints the number of tests of each program, and the names of those that are not in both places.
fn compare(here: &Programs, there: &Programs) {
    let none = BTreeSet::new();
    let names: BTreeSet<&String> = here.keys().chain(there.keys()).collect();
    let mut table = Table::new(1, &["test program", "here", "there"]);
    let mut alone = Vec::new();
    for name in names {
        let [here, there] = [here, there].map(|programs| programs.get(name).unwrap_or(&none));
        table.row(vec![name.clone(), here.len().to_string(), there.len().to_string()]);
        alone.extend(here.difference(there).map(|test| format!("only here: {name}: {test}")));
        alone.extend(there.difference(here).map(|test| format!("only there: {name}: {test}")));
    }
    table.print();
    println!();
    for line in alone {
        println!("{line}");
    }
}

/// Finds out whether npu-sim can serve programs there. The tests that want a device have skipped
/// themselves already, each with a word of its own; this has the reason.
fn simulator(chroot: &Chroot, dir: &Path, tally: &mut Tally) -> Result<()> {
    let attempt = chroot.emulate("npu-sim", &["--", "true"]);
    let done = shell::keep(&attempt, PATIENCE, &dir.join("npu-sim"))?;
    if done.status.success() {
        // Then there is no excuse any more.
        bail!("npu-sim runs under qemu-user: the tests that want a device must be run on it");
    }
    println!(
        "NOT RUN: THE DEVICE PART. npu-sim was built for {TARGET}, but cannot supervise a program\n\
         under qemu-user: the tests that want a device skipped themselves."
    );
    tally.skip("npu-sim under qemu-user", &format!("{}: {}", done.status, done.text.trim()));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_read_by_program() {
        let text = "\
     Running unittests src/lib.rs (target/debug/deps/npublas-0123)
a::zero: test
a::one: test

2 tests, 0 benchmarks
     Running tests/house.rs (/build/debug/deps/house-4567)
0 tests, 0 benchmarks
   Doc-tests npu_sim
src/lib.rs - (line 7): test
";
        let programs = programs(text);
        assert_eq!(count(&programs), 3);
        assert_eq!(programs["npublas, src/lib.rs"].len(), 2);
        assert!(programs["npu_sim, documentation"].contains("src/lib.rs - (line 7)"));
    }
}
