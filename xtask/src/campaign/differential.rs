//! The random calls of `tests/differential`, many of them.

use crate::needs::{self, Package};
use crate::shell;
use crate::tally::Tally;
use crate::tree::Tree;
use anyhow::Result;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(3000);

/// On the CPU and on the NPU.
pub fn run(tree: &Tree) -> Result<Tally> {
    const CALLS: &str = "3000";
    needs::packages(&[Package::BLAS])?;
    let mut tally = Tally::default();
    for (place, offload) in [("CPU", "never"), ("NPU", "always")] {
        let mut test = match place {
            "NPU" => tree.cargo_on_npu(&["--"], &["test", "--package", "npublas"]),
            _ => tree.cargo(&["test", "--package", "npublas"]),
        };
        test.args(["--test", "differential", "--", "--show-output"]);
        test.env("DIFFERENTIAL_CALLS", CALLS).env("NPUBLAS_OFFLOAD", offload);
        test.env("NPUBLAS_FORBID_SKIP", "1");
        let log = tree.scratch("differential", true)?.join(place);
        let done = shell::keep(&test, LIMIT, &log).and_then(|done| done.succeeded());
        if let Ok(done) = &done {
            println!("{CALLS} calls on the {place}, {:.0} s:", done.time.as_secs_f64());
            for line in done.text.lines().filter(|line| line.contains("gemm: ")) {
                println!("  {line}");
            }
        }
        tally.note(&format!("differential test on the {place}"), done.map(|_| ()));
    }
    Ok(tally)
}
