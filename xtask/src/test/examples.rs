//! The C and the Rust example, with and without a device.

use super::Bench;
use crate::shell;
use crate::tally::Tally;
use crate::ways::{Load, Way};
use anyhow::{Result, ensure};
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(60);

/// Builds the C example against the install tree, as a program of somebody else would be, and
/// runs both examples.
pub fn test(bench: &Bench<'_>) -> Result<Tally> {
    let dir = bench.tree.scratch("examples", false)?;
    let lib = bench.stage.join("lib");
    let built = dir.join("gemm");
    let mut gcc = shell::command("gcc");
    gcc.args(["-std=c99", "-Wall", "-Wextra", "-Werror"]);
    gcc.arg(bench.tree.source("examples/c/gemm.c")).arg("-o").arg(&built);
    gcc.arg("-I").arg(bench.stage.join("include")).arg("-L").arg(&lib).arg("-lblas");
    shell::keep(&gcc, LIMIT, &dir.join("gcc"))?.succeeded()?;
    let mut c = shell::command(&built);
    c.env("LD_LIBRARY_PATH", &lib);
    // `cargo test` has built it.
    let rust = shell::command(bench.tree.debug("examples/rust_gemm"));

    let mut tally = Tally::default();
    for (name, program, calls) in [("C", &c, 2), ("Rust", &rust, 1)] {
        for (place, way) in [("CPU", Way::Cpu), ("NPU", Way::Sim(None))] {
            let dir = bench.tree.scratch(&format!("examples/{name}-{place}"), false)?;
            let result = way.run(bench.tree, program, Load::Linked, &dir, LIMIT).and_then(|run| {
                let text = run.finished.text;
                let right = text.matches("entries are right").count();
                let there = run.calls.iter().filter(|call| call.on_npu() == (place == "NPU"));
                ensure!(right == calls && there.count() == calls, "it said:\n{text}");
                Ok(())
            });
            tally.note(&format!("{name} on the {place}"), result);
        }
    }
    Ok(tally)
}
