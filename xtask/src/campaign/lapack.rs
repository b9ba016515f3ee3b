//! LAPACK over npublas: svd, solve, eigh and inv by Debian's NumPy, whose LAPACK is the reference
//! and calls whatever BLAS there is.

use crate::calls::Call;
use crate::numpy::Numpy;
use crate::table::Table;
use crate::tally::Tally;
use crate::tree::Tree;
use crate::ways::{Load, Way};
use anyhow::{Result, ensure};
use serde::Deserialize;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(3000);

/// How much worse than OpenBLAS's a residual may be.
const FACTOR: f64 = 2.0;

/// A line of the report of `lapack.py`.
#[derive(Debug, Deserialize)]
struct Residual {
    routine: String,
    what: String,
    residual: f64,
}

/// On the CPU and on the NPU, beside the OpenBLAS inside NumPy's own wheel.
pub fn run(tree: &Tree) -> Result<Tally> {
    let (theirs, _) = residuals(tree, Numpy::Two, Way::Own)?;
    let (cpu, cpu_calls) = residuals(tree, Numpy::Debian, Way::Cpu)?;
    let (npu, npu_calls) = residuals(tree, Numpy::Debian, Way::Sim(None))?;

    let mut tally = Tally::default();
    let heading =
        ["routine", "residual", "OpenBLAS", "reference on CPU", "on NPU", "over OpenBLAS"];
    let mut table = Table::new(2, &heading);
    ensure!(theirs.len() == cpu.len() && cpu.len() == npu.len(), "reports differ in length");
    for ((theirs, cpu), npu) in theirs.iter().zip(&cpu).zip(&npu) {
        let ratio = npu.residual / theirs.residual;
        let number = |x: f64| format!("{x:.4}");
        table.row(vec![
            npu.routine.clone(),
            npu.what.clone(),
            number(theirs.residual),
            number(cpu.residual),
            number(npu.residual),
            format!("{ratio:.2}"),
        ]);
        let name = format!("{} {}", npu.routine, npu.what);
        for (place, residual) in [("CPU", cpu.residual), ("NPU", npu.residual)] {
            let limit = FACTOR * theirs.residual;
            let good = residual <= limit;
            let result = if good { Ok(()) } else { Err(anyhow::anyhow!("{residual} > {limit}")) };
            tally.note(&format!("{name} on the {place}"), result);
        }
    }
    println!("\nResiduals over n·eps, float64, 600×600:\n");
    table.print();
    println!();
    for (place, calls) in [("CPU", &cpu_calls), ("NPU", &npu_calls)] {
        let on_npu = calls.iter().filter(|call| call.on_npu()).count();
        println!("on the {place}: {} calls of dgemm, {on_npu} by the NPU", calls.len());
    }
    let used = npu_calls.iter().any(Call::on_npu);
    let used = if used { Ok(()) } else { Err(anyhow::anyhow!("no product by the NPU")) };
    tally.note("the NPU is used", used);
    Ok(tally)
}

fn residuals(tree: &Tree, numpy: Numpy, way: Way) -> Result<(Vec<Residual>, Vec<Call>)> {
    let python = numpy.python(tree)?;
    let dir = tree.scratch("lapack", false)?;
    let report = dir.join("report.json");
    let mut script = numpy.command(&python);
    script.arg(tree.source("tests/python/lapack.py")).arg(&report);
    println!("running tests/python/lapack.py: {}, {way:?}", numpy.name());
    let run = way.run(tree, &script, Load::Preload, &dir, LIMIT)?;
    let text = std::fs::read_to_string(&report)?;
    let lines = text.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    Ok((lines, run.calls.into_iter().filter(|call| call.routine == "dgemm").collect()))
}
