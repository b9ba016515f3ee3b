//! One NumPy script, four ways, one table.

use crate::calls::Call;
use crate::jobs::{self, Job};
use crate::numpy::Numpy;
use crate::shell;
use crate::table::Table;
use crate::tree::Tree;
use crate::ways::{Load, Run, Way};
use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;
use std::collections::VecDeque;
use std::path::Path;
use std::time::Duration;

/// The ways and their names in the table.
const WAYS: [(&str, Way); 4] = [
    ("NumPy's own BLAS", Way::Own),
    ("npublas on the CPU", Way::Cpu),
    ("npublas on npu-sim", Way::Sim(None)),
    ("the same, a job lost", Way::Sim(Some("drop@2"))),
];

/// The largest error that passes, in units of eps·|A||B|.
const LIMIT: f64 = 6.0;

/// One line of the script's report.
#[derive(Debug, Deserialize)]
struct Product {
    data: String,
    m: usize,
    n: usize,
    k: usize,
    seconds: f64,
    error: f64,
}

/// A product with what the traces say about it.
#[derive(Debug)]
struct Row {
    product: Product,
    /// The call that computed it; none in NumPy's own way.
    call: Option<Call>,
    /// The jobs of that call.
    jobs: Vec<Job>,
}

impl Row {
    fn on_npu(&self) -> bool {
        self.call.as_ref().is_some_and(Call::on_npu)
    }

    /// Blocks of C for which the first attempt of the NPU was not good enough.
    fn mended(&self) -> usize {
        self.call.as_ref().map_or(0, |call| call.number("retried") + call.number("repaired"))
    }
}

/// Runs the demonstration; fails when the NPU was not used or a result is not good enough.
pub fn run(tree: &Tree) -> Result<()> {
    let python = Numpy::Two.python(tree)?;
    println!("building the libraries, npublas and npu-sim");
    tree.build()?;
    let dir = tree.scratch("demo", false)?;
    let mut ways = Vec::new();
    for (name, way) in WAYS {
        println!("running examples/numpy_demo.py: {name}");
        ways.push(multiply(tree, &python, way, &dir).with_context(|| name)?);
    }
    println!();
    print(&ways);
    println!();
    judge(&ways)
}

/// Runs the script one way.
fn multiply(tree: &Tree, python: &Path, way: Way, dir: &Path) -> Result<Vec<Row>> {
    let report = dir.join("report.json");
    let mut script = shell::command(python);
    script.arg(tree.source("examples/numpy_demo.py")).arg(&report).arg(dir);
    let Run { calls, jobs, .. } =
        way.run(tree, &script, Load::Preload, dir, Duration::from_secs(600))?;

    // The script computes its references in float64 where they are missing; those are no part of
    // the comparison.
    let mut calls: VecDeque<Call> = calls.into_iter().filter(|c| c.routine == "sgemm").collect();
    let mut jobs = VecDeque::from(jobs);
    let mut rows = Vec::new();
    for line in std::fs::read_to_string(&report)?.lines() {
        let product: Product = serde_json::from_str(line)?;
        let call = calls.pop_front();
        ensure!(
            call.as_ref().is_none_or(|c| c.has_shape(product.m, product.n, product.k)),
            "the trace has another call where {line} should be: {call:?}"
        );
        ensure!(call.is_some() || way == Way::Own, "{line} did not reach npublas");
        let mine = call.as_ref().map_or(0, |call| call.number("jobs"));
        ensure!(mine <= jobs.len(), "npublas reports more jobs than the simulator saw");
        rows.push(Row { product, call, jobs: jobs.drain(..mine).collect() });
    }
    ensure!(jobs.is_empty(), "the simulator saw {} jobs that npublas does not report", jobs.len());
    Ok(rows)
}

fn print(ways: &[Vec<Row>]) {
    println!(
        "C = AB in float32, each product computed once. The error is the largest of |C - AB| over\n\
         eps·|A||B|, both in float64, with eps = 2^-23. The time under npu-sim is that of the\n\
         simulator; \"device ms\" is what it predicts for the NPU of an RK3588, host work not\n\
         included. Nothing here was measured on a board.\n"
    );
    let heading =
        ["m×n×k", "data", "computed by", "route", "jobs", "tasks", "wall ms", "device ms", "error"];
    let mut table = Table::new(4, &heading);
    for product in 0..ways[0].len() {
        for ((name, way), rows) in WAYS.iter().zip(ways) {
            let mut cells = cells(name, &rows[product]);
            // Said once for all ways.
            if *way != Way::Own {
                cells[..2].fill(String::new());
            }
            table.row(cells);
        }
        table.row(Vec::new());
    }
    table.print();
}

fn cells(way: &str, row: &Row) -> Vec<String> {
    let Product { data, m, n, k, seconds, error } = &row.product;
    let none = || "–".to_owned();
    let of_call = |what: &dyn Fn(&Call) -> String| row.call.as_ref().map_or_else(none, what);
    let of_npu = |what: String| if row.on_npu() { what } else { none() };
    vec![
        format!("{m}×{n}×{k}"),
        data.clone(),
        way.to_owned(),
        // The CPU has no scheme.
        of_call(&|call| [call.text("route"), call.text("scheme")].join(" ").trim_end().to_owned()),
        of_npu(of_call(&|call| call.text("jobs").to_owned())),
        of_npu(of_call(&|call| call.text("tasks").to_owned())),
        format!("{:.1}", seconds * 1e3),
        of_npu(format!("{:.2}", jobs::device_seconds(&row.jobs) * 1e3)),
        format!("{error:.2}"),
    ]
}

/// Says what the table shows; fails when it shows something that must not be.
fn judge(ways: &[Vec<Row>]) -> Result<()> {
    for ((name, way), rows) in WAYS.iter().zip(ways) {
        let worst = rows.iter().map(|row| row.product.error).fold(0.0, f64::max);
        let on_npu = rows.iter().filter(|row| row.on_npu()).count();
        let mended: usize = rows.iter().map(Row::mended).sum();
        print!("{name}: largest error {worst:.2}");
        if let Way::Sim(fault) = way {
            print!("; {on_npu} of {} products by the NPU", rows.len());
            if fault.is_some() {
                print!("; blocks computed again: {mended}");
            }
        }
        println!();
    }
    for ((name, way), rows) in WAYS.iter().zip(ways) {
        for row in rows {
            let Product { data, m, n, k, error, .. } = &row.product;
            let what = format!("{name}, {m}×{n}×{k}, {data}");
            if error.is_nan() || *error > LIMIT {
                bail!("FAILED: {what}: the error is {error}, the limit {LIMIT}");
            }
            if matches!(way, Way::Sim(_)) && !row.on_npu() {
                let reason = row.call.as_ref().map_or("", |call| call.text("reason"));
                bail!("FAILED: {what}: the NPU was not used ({reason})");
            }
        }
        let mended: usize = rows.iter().map(Row::mended).sum();
        if matches!(way, Way::Sim(Some(_))) && mended == 0 {
            bail!("FAILED: {name}: no job was lost");
        }
    }
    println!(
        "PASSED: the NPU computed every product it was given, also around the lost job, and no\n\
         error exceeds {LIMIT}."
    );
    Ok(())
}
