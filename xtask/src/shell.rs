//! Running other programs.

use anyhow::{Context, Result, bail};
use std::ffi::OsStr;
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// A command that inherits the environment, but for what steers BLAS libraries: what a task
/// measures must not depend on who started it.
pub fn command(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    command.stdin(Stdio::null());
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("NPUBLAS_") || name == "LD_PRELOAD" {
            command.env_remove(name);
        }
    }
    command
}

/// The command as a person would type it.
pub fn describe(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}

/// Runs a command whose output people shall see.
pub fn pass(mut command: Command) -> Result<()> {
    let status = command.status().with_context(|| format!("starting {}", describe(&command)))?;
    if !status.success() {
        bail!("{} ended with {status}", describe(&command));
    }
    Ok(())
}

/// What a command left behind.
#[derive(Debug)]
pub struct Finished {
    /// The command.
    pub command: String,
    /// How it ended.
    pub status: ExitStatus,
    /// Standard output and standard error in the order in which they were written.
    pub text: String,
    /// How long it took.
    pub time: Duration,
}

impl Finished {
    /// Fails with what the command said unless it succeeded.
    pub fn succeeded(self) -> Result<Finished> {
        if !self.status.success() {
            bail!("{} ended with {}\n{}", self.command, self.status, self.tail());
        }
        Ok(self)
    }

    /// The end of what it said, for a report.
    pub fn tail(&self) -> String {
        const LINES: usize = 40;
        let lines: Vec<&str> = self.text.lines().collect();
        lines[lines.len().saturating_sub(LINES)..].join("\n")
    }
}

/// Runs a command for at most `limit` and keeps what it says in the file `log` too.
///
/// A command that takes longer is ended together with its children, and the status says so.
pub fn keep(command: &Command, limit: Duration, log: &Path) -> Result<Finished> {
    // coreutils' timeout puts the command into a process group of its own and ends all of it.
    let mut timed = Command::new("timeout");
    timed.arg("--kill-after=10").arg(limit.as_secs().to_string());
    timed.arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => timed.env(name, value),
            None => timed.env_remove(name),
        };
    }
    if let Some(dir) = command.get_current_dir() {
        timed.current_dir(dir);
    }
    let file = std::fs::File::create(log).with_context(|| format!("making {}", log.display()))?;
    timed.stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file);
    let start = Instant::now();
    let status = timed.status().with_context(|| format!("starting {}", describe(command)))?;
    let time = start.elapsed();
    let text = String::from_utf8_lossy(&std::fs::read(log)?).into_owned();
    Ok(Finished { command: describe(command), status, text, time })
}
