//! The one test command: every test there is, counted.

mod cargo;
mod command;
mod examples;
pub mod libtest;
mod python;

use crate::campaign::testers::{self, Input};
use crate::campaign::{faults, processes, surroundings};
use crate::clients;
use crate::headers;
use crate::kernels;
use crate::needs::{self, Package};
use crate::numpy::Numpy;
use crate::shell;
use crate::stage;
use crate::table::Table;
use crate::tally::Tally;
use crate::tree::Tree;
use anyhow::{Result, bail};
use std::io::Write as _;
use std::path::PathBuf;
use std::time::Instant;

/// What the steps share.
#[derive(Debug)]
struct Bench<'a> {
    tree: &'a Tree,
    /// A Python with NumPy.
    python: PathBuf,
    /// An install tree of the release build.
    stage: PathBuf,
}

/// A step: its name and what it does. An error of a step is one failed test.
type Step = (&'static str, fn(&Bench<'_>) -> Result<Tally>);

/// In this order: what is quick to tell comes first, and the build before what needs it.
const STEPS: &[Step] = &[
    ("format", cargo::format),
    ("clippy", cargo::clippy),
    ("release build", build),
    ("kernels", cpu_kernels),
    ("cargo test", cargo::test),
    ("header", header),
    ("command", command::test),
    ("examples", examples::test),
    ("NumPy forms", python::forms),
    ("BLAS testers", blas_testers),
    ("faults", python::faults),
    ("forks", python::forks),
    ("campaign faults", |bench| faults::few(bench.tree)),
    ("campaign processes", |bench| processes::few(bench.tree, &bench.python)),
    ("campaign surroundings", |bench| surroundings::test(bench.tree)),
    ("device tests", cargo::test_devices),
    ("larger pages", cargo::test_pages),
    ("failing device", cargo::test_failing),
    ("clients", other_clients),
];

/// Runs everything; fails when something failed.
pub fn run(tree: &Tree) -> Result<()> {
    needs::packages(&[Package::GCC, Package::LIBC, Package::BINUTILS, Package::BLAS])?;
    let python = Numpy::Two.python(tree)?;
    let bench = Bench { tree, python, stage: tree.scratch("stage", false)? };

    let mut table = Table::new(1, &["step", "passed", "failed", "not run", "seconds"]);
    let mut total = Tally::default();
    for &(name, step) in STEPS {
        print!("{name} … ");
        // Only a prompt: a closed terminal is found out soon enough.
        let _ = std::io::stdout().flush();
        let start = Instant::now();
        let tally = step(&bench).unwrap_or_else(|error| Tally::of(name, Err(error)));
        let seconds = start.elapsed().as_secs_f64();
        println!("{tally}, {seconds:.0} s");
        for failure in &tally.failed {
            println!("  FAILED {}", failure.replace('\n', "\n    "));
        }
        let counts = [tally.passed, tally.failed.len(), tally.skipped.len()];
        let mut cells = vec![name.to_owned()];
        cells.extend(counts.map(|count| count.to_string()));
        cells.push(format!("{seconds:.0}"));
        table.row(cells);
        total.add(tally.prefixed(name));
    }

    println!();
    table.print();
    println!();
    for failure in &total.failed {
        println!("failed: {}", failure.lines().next().unwrap_or(""));
    }
    for skipped in &total.skipped {
        println!("not run: {skipped}");
    }
    println!("{total}");
    if !total.failed.is_empty() {
        bail!("FAILED");
    }
    Ok(())
}

fn build(bench: &Bench<'_>) -> Result<Tally> {
    let built = bench.tree.build().and_then(|()| stage::lay_out(bench.tree, &bench.stage));
    Ok(Tally::of("build and stage", built))
}

fn cpu_kernels(bench: &Bench<'_>) -> Result<Tally> {
    let library = bench.tree.release("libnpublas.so").display().to_string();
    kernels::check(shell::command("objdump"), &library)
}

fn header(bench: &Bench<'_>) -> Result<Tally> {
    Ok(Tally::of("include/npublas.h", headers::check(bench.tree)))
}

fn blas_testers(bench: &Bench<'_>) -> Result<Tally> {
    testers::run(bench.tree, Input::Short).map(|(tally, _)| tally)
}

/// Other authors' programs, where there are any.
fn other_clients(bench: &Bench<'_>) -> Result<Tally> {
    let given = std::env::var_os("NPUBLAS_SUITES").map(PathBuf::from);
    let dir = given.unwrap_or_else(|| bench.tree.source("../shared/suites"));
    if dir.join("gates.txt").exists() {
        return clients::check(bench.tree, &dir, None);
    }
    let mut tally = Tally::default();
    tally.skip("other authors' programs", "no folder of them; NPUBLAS_SUITES can name one");
    Ok(tally)
}
