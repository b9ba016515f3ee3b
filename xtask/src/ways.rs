//! The ways in which one and the same program can get its products computed.

use crate::calls::Call;
use crate::jobs::{self, Job};
use crate::shell::{self, Finished};
use crate::tree::Tree;
use anyhow::Result;
use std::ffi::OsString;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// Who computes a program's products.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// The BLAS that the program came with.
    Own,
    /// npublas as it is without any setting.
    Plain,
    /// npublas on the CPU, traced.
    Cpu,
    /// npublas on the simulated NPU, whatever the cost model thinks, traced; with a fault of the
    /// device or with none.
    Sim(Option<&'static str>),
}

/// How a program comes to npublas.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Load {
    /// `npublas run` puts it in front of what the program would load.
    Preload,
    /// The program is linked to it.
    Linked,
}

/// What came of a program.
#[derive(Debug)]
pub struct Run {
    /// What it said.
    pub finished: Finished,
    /// The BLAS calls it made, where the way traces them.
    pub calls: Vec<Call>,
    /// The jobs that reached the simulated device.
    pub jobs: Vec<Job>,
}

impl Way {
    /// Runs `program` for at most `limit`; what it says is kept in `dir`. Fails when it fails.
    pub fn run(
        self,
        tree: &Tree,
        program: &Command,
        load: Load,
        dir: &Path,
        limit: Duration,
    ) -> Result<Run> {
        let trace = dir.join("jobs.json");
        let mut words = self.simulator(tree, &trace);
        if load == Load::Preload {
            words.extend(self.preloader(tree));
        }
        words.push(program.get_program().to_owned());
        words.extend(program.get_args().map(ToOwned::to_owned));
        let mut command = shell::command(&words[0]);
        command.args(&words[1..]);
        for (name, value) in program.get_envs() {
            if let Some(value) = value {
                command.env(name, value);
            }
        }
        if load == Load::Linked
            && let Some(offload) = self.offload()
        {
            command.env("NPUBLAS_OFFLOAD", offload).env("NPUBLAS_VERBOSE", "1");
        }
        let finished = shell::keep(&command, limit, &dir.join("output"))?.succeeded()?;
        let calls = Call::in_text(&finished.text);
        let jobs = if matches!(self, Way::Sim(_)) { jobs::read(&trace)? } else { Vec::new() };
        Ok(Run { finished, calls, jobs })
    }

    /// The policy of the traced ways.
    fn offload(self) -> Option<&'static str> {
        match self {
            Way::Own | Way::Plain => None,
            Way::Cpu => Some("never"),
            Way::Sim(_) => Some("always"),
        }
    }

    /// `npu-sim … --` for the ways that have one.
    fn simulator(self, tree: &Tree, trace: &Path) -> Vec<OsString> {
        let Way::Sim(fault) = self else { return Vec::new() };
        let mut words = vec![tree.release("npu-sim").into(), "--trace".into(), trace.into()];
        if let Some(fault) = fault {
            words.extend(["--fault".into(), fault.into()]);
        }
        words.push("--".into());
        words
    }

    /// `npublas run … --` for the ways that have one.
    fn preloader(self, tree: &Tree) -> Vec<OsString> {
        if self == Way::Own {
            return Vec::new();
        }
        let mut words: Vec<OsString> = vec![tree.release("npublas").into(), "run".into()];
        if let Some(offload) = self.offload() {
            words.extend(["--offload", offload, "--verbose"].map(Into::into));
        }
        words.push("--".into());
        words
    }
}
