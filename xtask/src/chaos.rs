//! The programs of tests/chaos: small C programs that check their own products, linked to
//! `libblas.so.3`, and run with or without a simulated device.

use crate::needs::{self, Package};
use crate::shell::{self, Finished};
use crate::stage;
use crate::tally::Tally;
use crate::tree::Tree;
use anyhow::{Result, bail, ensure};
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

/// The built programs, and where they run.
#[derive(Debug)]
pub struct Programs<'a> {
    tree: &'a Tree,
    dir: PathBuf,
    lib: PathBuf,
}

/// How a program runs.
#[derive(Debug, Clone, Copy)]
pub enum On<'a> {
    /// Without a device and without a setting.
    Cpu,
    /// With every product offered to a simulated device; options of npu-sim.
    Sim(&'a [String]),
}

impl<'a> Programs<'a> {
    /// Builds some programs against an install tree of their own, from the release build.
    pub fn build(tree: &'a Tree, names: &[&str]) -> Result<Programs<'a>> {
        needs::packages(&[Package::GCC, Package::LIBC])?;
        let dir = tree.scratch("chaos", true)?;
        let stage = dir.join("stage");
        stage::lay_out(tree, &stage)?;
        let lib = stage.join("lib");
        for name in names {
            let mut gcc = shell::command("gcc");
            gcc.args(["-std=gnu11", "-O2", "-Wall", "-Wextra", "-Werror"]);
            gcc.arg(tree.source("tests/chaos").join(format!("{name}.c")));
            gcc.arg("-o").arg(dir.join(name)).arg("-I").arg(stage.join("include"));
            gcc.arg("-L").arg(&lib).args(["-lblas", "-lpthread", "-ldl"]);
            shell::keep(&gcc, Duration::from_secs(60), &dir.join("gcc"))?.succeeded()?;
        }
        Ok(Programs { tree, dir, lib })
    }

    /// The preload library, for who opens it.
    pub fn library(&self) -> PathBuf {
        self.lib.join("libnpublas.so")
    }

    /// A program and its arguments.
    pub fn command(&self, name: &str, arguments: &[&str]) -> Command {
        let mut command = shell::command(self.dir.join(name));
        command.args(arguments);
        command
    }

    /// Runs a command for at most `limit`; `log` names the file of what it says.
    pub fn run(
        &self,
        command: &Command,
        on: On<'_>,
        environment: &[(&str, &str)],
        limit: Duration,
        log: &str,
    ) -> Result<Finished> {
        let mut run = match on {
            On::Cpu => shell::command(command.get_program()),
            On::Sim(options) => {
                let mut simulator = shell::command(self.tree.release("npu-sim"));
                simulator.args(options).arg("--").arg(command.get_program());
                simulator.env("NPUBLAS_OFFLOAD", "always");
                simulator
            }
        };
        run.args(command.get_args()).env("LD_LIBRARY_PATH", &self.lib);
        run.envs(environment.iter().copied());
        shell::keep(&run, limit, &self.dir.join(format!("{log}.log")))
    }
}

/// The exit status of `timeout` for a command that it had to end.
const ENDED: [i32; 2] = [124, 137];

/// Fails when the program did: with what kind of end.
pub fn ended_well(finished: &Finished) -> Result<()> {
    match finished.status.code() {
        Some(0) => {}
        Some(code) if ENDED.contains(&code) => bail!("it hung\n{}", finished.tail()),
        _ => bail!("{}\n{}", finished.status, finished.tail()),
    }
    // What npu-sim says when a file is closed with jobs on it.
    ensure!(!finished.text.contains("kernel bug"), "a rude end\n{}", finished.tail());
    Ok(())
}

/// As [`ended_well`], and nothing was said.
pub fn ended_in_silence(finished: &Finished) -> Result<()> {
    ended_well(finished)?;
    ensure!(finished.text.is_empty(), "it was not silent:\n{}", finished.tail());
    Ok(())
}

/// Prints what came of a campaign; fails when something failed.
pub fn conclude(tally: &Tally) -> Result<()> {
    for skipped in &tally.skipped {
        println!("NOT RUN: {skipped}");
    }
    println!("{tally}");
    if !tally.failed.is_empty() {
        bail!("FAILED:\n{}", tally.failed.join("\n"));
    }
    Ok(())
}
