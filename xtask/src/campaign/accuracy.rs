//! The whole acceptance set of accuracy, many random calls of every type, and as many reproducible
//! ones in every way of computing them.

use crate::numpy::Numpy;
use crate::shell;
use crate::tally::Tally;
use crate::test::libtest;
use crate::tree::Tree;
use anyhow::Result;
use std::time::Duration;

/// Random calls of each type.
const CALLS: &str = "2000";

const LIMIT: Duration = Duration::from_secs(7200);

/// On the simulated NPU; the tables are those of `docs/accuracy.md`.
pub fn run(tree: &Tree) -> Result<Tally> {
    let python = Numpy::Two.python(tree)?;
    let mut test = tree.cargo_on_npu(&["--"], &["test", "--package", "npublas"]);
    let tests = ["--test", "device_accuracy", "--test", "device_reproducible"];
    test.args(tests).args(["--no-fail-fast", "--"]);
    test.args(["--show-output", "--test-threads", "1"]);
    test.env("NPUBLAS_TEST_ACCURACY", "whole").env("NPUBLAS_TEST_CALLS", CALLS);
    test.env("NPUBLAS_FORBID_SKIP", "1").env("NPUBLAS_OFFLOAD", "always");
    test.env("NPUBLAS_PEER", Numpy::openblas(&python)?);
    println!("running the acceptance set and twice {CALLS} random calls of each type");
    let done = shell::keep(&test, LIMIT, &tree.scratch("accuracy", true)?.join("output"))?;
    for (test, said) in libtest::said(&done.text) {
        println!("\n{test}\n\n{}\n", said.join("\n").trim());
    }
    println!("{:.0} s", done.time.as_secs_f64());
    libtest::count(&done, |_| true)
}
