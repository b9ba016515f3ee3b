//! The commands of an install tree, as people use them.

use super::Bench;
use crate::calls::Call;
use crate::shell::{self, Finished};
use crate::tally::Tally;
use anyhow::{Result, ensure};
use std::os::unix::process::ExitStatusExt;
use std::process::Command;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(60);

/// `npublas info` and `npublas run`, with and without a device.
pub fn test(bench: &Bench<'_>) -> Result<Tally> {
    let mut tally = Tally::default();
    tally.note("info", info(bench));
    tally.note("info with a device", info_with_a_device(bench));
    tally.note("run --sim", run_on_the_simulator(bench));
    tally.note("run passes the end on", run_passes_the_end_on(bench));
    Ok(tally)
}

/// A command of the install tree.
fn installed(bench: &Bench<'_>, name: &str, arguments: &[&str]) -> Command {
    let mut command = shell::command(bench.stage.join("bin").join(name));
    command.args(arguments);
    command
}

fn keep(bench: &Bench<'_>, command: &Command) -> Result<Finished> {
    shell::keep(command, LIMIT, &bench.tree.scratch("command", false)?.join("output"))
}

fn info(bench: &Bench<'_>) -> Result<()> {
    let said = keep(bench, &installed(bench, "npublas", &["info"]))?.succeeded()?.text;
    let library = bench.stage.join("lib/libnpublas.so");
    for word in [library.display().to_string(), "portable kernels".into(), "in use".into()] {
        ensure!(said.contains(&word), "{word:?} is missing:\n{said}");
    }
    Ok(())
}

fn info_with_a_device(bench: &Bench<'_>) -> Result<()> {
    for (fault, word) in
        [("drop@2", "driver rocket, RK3588, 3 of 3 cores"), ("errno=EACCES:open", "EACCES")]
    {
        let mut sim = installed(bench, "npu-sim", &["--fault", fault, "--"]);
        sim.arg(bench.stage.join("bin/npublas")).arg("info");
        let said = keep(bench, &sim)?.succeeded()?.text;
        ensure!(said.contains(word), "{word:?} is missing:\n{said}");
    }
    Ok(())
}

fn run_on_the_simulator(bench: &Bench<'_>) -> Result<()> {
    const PRODUCT: &str =
        "import numpy as np; a = np.ones((96, 96), np.float32); assert ((a @ a) == 96).all()";
    let run = ["run", "--sim", "--offload", "always", "--mode", "strict", "--verbose", "--"];
    let mut command = installed(bench, "npublas", &run);
    command.arg(&bench.python).args(["-c", PRODUCT]);
    let said = keep(bench, &command)?.succeeded()?.text;
    let calls = Call::in_text(&said);
    ensure!(calls.len() == 1 && calls[0].on_npu(), "it said:\n{said}");
    ensure!(said.contains(" mode=strict "), "the mode is missing:\n{said}");
    Ok(())
}

fn run_passes_the_end_on(bench: &Bench<'_>) -> Result<()> {
    let end = |arguments: &[&str]| -> Result<_> {
        // Not by `shell::keep`: timeout(1) would stand between us and the signal.
        Ok(installed(bench, "npublas", arguments).status()?)
    };
    let status = end(&["run", "--", "sh", "-c", "exit 7"])?;
    ensure!(status.code() == Some(7), "exit 7 became {status}");
    let status = end(&["run", "--", "sh", "-c", "kill -TERM $$"])?;
    ensure!(status.signal() == Some(15), "SIGTERM became {status}");
    let status = end(&["run", "--sim", "--", "sh", "-c", "exit 7"])?;
    ensure!(status.code() == Some(7), "exit 7 on the simulator became {status}");
    Ok(())
}
