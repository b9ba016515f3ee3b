//! The tests that Cargo runs.

use super::{Bench, libtest};
use crate::numpy::Numpy;
use crate::shell::{self, Finished};
use crate::tally::Tally;
use anyhow::Result;
use std::process::Command;
use std::time::Duration;

/// No run of Cargo takes this long, builds included.
const LIMIT: Duration = Duration::from_secs(1200);

/// Whether the sources are formatted.
pub fn format(bench: &Bench<'_>) -> Result<Tally> {
    let done = keep(bench, "format", &bench.tree.cargo(&["fmt", "--all", "--check"]))?;
    Ok(Tally::of("cargo fmt --check", done.succeeded().map(|_| ())))
}

/// Whether clippy has nothing to say.
pub fn clippy(bench: &Bench<'_>) -> Result<Tally> {
    let clippy = ["clippy", "--quiet", "--workspace", "--all-targets", "--", "-D", "warnings"];
    let done = keep(bench, "clippy", &bench.tree.cargo(&clippy))?;
    Ok(Tally::of("cargo clippy", done.succeeded().map(|_| ())))
}

/// All tests of the workspace, but for those that want a device.
pub fn test(bench: &Bench<'_>) -> Result<Tally> {
    let test = ["test", "--workspace", "--no-fail-fast", "--", "--show-output"];
    let done = keep(bench, "test", &bench.tree.cargo(&test))?;
    // `test_devices` runs those with a device and counts them.
    libtest::count(&done, |file| !file.starts_with(DEVICE_TESTS))
}

/// Names of the test files that want a device start with this.
const DEVICE_TESTS: &str = "tests/device_";

/// This one is worth running both ways.
const DIFFERENTIAL: &str = "differential";

/// The tests that want a device, on a simulated one; none of them may skip itself.
pub fn test_devices(bench: &Bench<'_>) -> Result<Tally> {
    test_on(bench, "device-tests", &["--"], &["--test", DIFFERENTIAL], &[])
}

/// The same on kernels with pages of 16 and of 64 KiB, as Arm machines have them, but for the many
/// random calls, which are about numbers.
pub fn test_pages(bench: &Bench<'_>) -> Result<Tally> {
    let preload = bench.tree.scratch("pages", false)?.join("page_size.so");
    let mut gcc = shell::command("gcc");
    gcc.args(["-Wall", "-Wextra", "-Werror", "-shared", "-fPIC"]);
    gcc.arg(bench.tree.source("tests/page_size.c")).arg("-o").arg(&preload).arg("-ldl");
    shell::pass(gcc)?;
    let preload = format!("LD_PRELOAD={}", preload.display());
    let own = shell::command("getconf").arg("PAGESIZE").output()?.stdout;
    let own: usize = String::from_utf8_lossy(&own).trim().parse()?;
    let mut tally = Tally::default();
    for size in [16384, 65536].into_iter().filter(|&size| size > own) {
        let size = &size.to_string();
        // The program must believe what the kernel under it pretends.
        let fake = format!("FAKE_PAGE_SIZE={size}");
        let words = ["--page-size", size, "--", "env", &preload, &fake];
        let name = format!("device-tests-{size}");
        let skip = ["--skip", "random_calls", "--skip", "the_acceptance_set", "--skip", "one_hash"];
        tally.add(test_on(bench, &name, &words, &[], &skip)?.prefixed(&format!("{size} bytes")));
    }
    Ok(tally)
}

/// Reproducible calls on a device that loses a block and its second attempt now and then, and at
/// last every one: the CPU computes what it leaves.
pub fn test_failing(bench: &Bench<'_>) -> Result<Tally> {
    // With so many cores in use, the second attempt is as many jobs later.
    let lost = (20..1200).step_by(9).zip([1, 2, 3].into_iter().cycle());
    let lost = lost.flat_map(|(job, cores)| [job, job + cores]);
    let lost = lost.map(|job| format!("--fault=drop@{job}"));
    let faults: Vec<String> = lost.chain(["--fault=drop@1200+".into()]).collect();
    let mut words: Vec<&str> = faults.iter().map(String::as_str).collect();
    words.extend(["--", "env", "NPUBLAS_TEST_CALLS=70"]);
    test_on(bench, "device-tests-failing", &words, &[], &["one_hash_for_all"])
}

/// Runs the tests that want a device, and `more`, as `npu-sim WORDS PROGRAM … ARGUMENTS`.
fn test_on(
    bench: &Bench<'_>,
    name: &str,
    words: &[&str],
    more: &[&str],
    arguments: &[&str],
) -> Result<Tally> {
    // All packages, as `test` has built them: another choice would be another build.
    let mut test = bench.tree.cargo_on_npu(words, &["test", "--workspace"]);
    test.args(["--test", "device_*"]).args(more).args(["--no-fail-fast", "--"]);
    // One at a time: they share one device, and some make it fail.
    test.args(["--show-output", "--test-threads", "1"]).args(arguments);
    test.env("NPUBLAS_FORBID_SKIP", "1").env("NPUBLAS_OFFLOAD", "always");
    test.env("NPUBLAS_PEER", Numpy::openblas(&bench.python)?);
    let done = keep(bench, name, &test)?;
    libtest::count(&done, |_| true)
}

fn keep(bench: &Bench<'_>, name: &str, command: &Command) -> Result<Finished> {
    shell::keep(command, LIMIT, &bench.tree.scratch(name, false)?.join("output"))
}
