//! What the library says when asked: one line per call, and a log about devices.
//!
//! Nothing is printed unless the configuration asks for it, except warnings about a device that
//! had to be retired. Every line is one `write` to standard error.

use crate::config::Level;
use crate::mode::{Mode, Policy};
use crate::route::Reason;
use std::fmt::{self, Write as _};
use std::time::Duration;

/// Says `message` on standard error when `configured` asks for messages of this `level`.
pub fn log(configured: Level, level: Level, message: &dyn fmt::Display) {
    if level <= configured {
        say(&format!("npublas: {message}\n"));
    }
}

/// One line about one call, in `key=value` words that scripts can split at spaces.
#[derive(Debug)]
pub struct CallLine<'a> {
    /// Routine with its type letter, such as `sgemm`.
    pub routine: &'a str,
    /// m, n, k.
    pub shape: (usize, usize, usize),
    /// What it was allowed; said where it is not the default.
    pub policy: Policy,
    /// Where it ran and why there.
    pub report: &'a Report,
    /// From the door to the return.
    pub time: Duration,
}

/// Where a call ran, and why there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The decision of the router, or what overruled it.
    pub reason: Reason,
    /// What the NPU did; `None` when the CPU computed the call.
    pub npu: Option<NpuLine>,
    /// Scheme in whose integers the CPU computed the call, or what the NPU left of it.
    pub host: Option<&'static str>,
}

/// What the NPU did for one call.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct NpuLine {
    /// Name of the scheme.
    pub scheme: &'static str,
    /// Jobs submitted, retries included.
    pub jobs: u64,
    /// Tasks in them.
    pub tasks: u64,
    /// Blocks of C that had to be submitted a second time.
    pub retried: u64,
    /// Blocks of C that the CPU computed because the device failed twice.
    pub repaired: u64,
    /// Rows and columns of C that the CPU computed because of what is in the operands.
    pub spared: u64,
    /// Elements of C that the CPU computed because the scheme's certificate did not prove them.
    pub doubtful: u64,
}

impl NpuLine {
    /// Adds what another part of the same call did.
    pub fn add(&mut self, other: &NpuLine) {
        if !other.scheme.is_empty() {
            self.scheme = other.scheme;
        }
        self.jobs += other.jobs;
        self.tasks += other.tasks;
        self.retried += other.retried;
        self.repaired += other.repaired;
        self.spared += other.spared;
        self.doubtful += other.doubtful;
    }
}

impl fmt::Display for CallLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (m, n, k) = self.shape;
        let Report { reason, npu, host } = self.report;
        let route = if npu.is_some() { "npu" } else { "cpu" };
        let routine = self.routine;
        write!(f, "NPUBLAS {routine} m={m} n={n} k={k} route={route} reason={reason}")?;
        let Policy { mode, reproducible } = self.policy;
        if mode != Mode::default() {
            write!(f, " mode={}", mode.name())?;
        }
        if reproducible {
            write!(f, " reproducible=on")?;
        }
        if let Some(npu) = npu {
            write!(
                f,
                " scheme={} jobs={} tasks={} retried={} repaired={} spared={} doubtful={}",
                npu.scheme,
                npu.jobs,
                npu.tasks,
                npu.retried,
                npu.repaired,
                npu.spared,
                npu.doubtful
            )?;
        }
        if let Some(scheme) = host {
            write!(f, " host={scheme}")?;
        }
        write!(f, " ms={:.3}", self.time.as_secs_f64() * 1e3)
    }
}

/// Prints the line of one call.
pub fn call(line: &CallLine<'_>) {
    let mut text = String::new();
    // Writing to a `String` cannot fail.
    let _ = writeln!(text, "{line}");
    say(&text);
}

/// One `write`, so that lines of several threads and processes do not mix. A closed standard
/// error is nobody's fault. No lock: another thread might hold it while this one forks, and the
/// child would wait for ever.
pub(crate) fn say(text: &str) {
    // SAFETY: the pointer is valid for as many bytes as are stated.
    unsafe { libc::write(libc::STDERR_FILENO, text.as_ptr().cast(), text.len()) };
}
