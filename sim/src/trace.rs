//! What was run: one JSON object per job in a file, a summary for people, and the log on stderr.

use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::fs::File;
use std::io::{self, Write};
use std::sync::Mutex;

use serde::Serialize;

use crate::model::TaskReport;
use crate::sync::lock;

/// How much the log says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub enum Level {
    /// Nothing.
    Quiet,
    /// What keeps the simulator from working.
    Error,
    /// Also what a program did wrong: each refused stream, each dropped job, once per reason.
    Warn,
    /// Also every job and every open file.
    Info,
    /// Also every call.
    Debug,
}

/// How a job ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// All its tasks completed.
    Done,
    /// The driver dropped it without a word.
    Dropped,
    /// The chip did not complete it: 500 ms on its core.
    TimedOut,
    /// Its process died while it was queued.
    Killed,
}

/// Neighbouring tasks of one kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TaskKind {
    /// The model's one line about them.
    pub kind: String,
    /// How many.
    pub tasks: usize,
}

/// One job, as the trace file has it.
#[derive(Debug, Clone, Serialize)]
pub struct JobRecord {
    /// Number of the job, from 1, in the order of submission.
    pub job: u64,
    /// Number of the open file that submitted it, from 1.
    pub file: u64,
    /// Core that ran it; absent if none did.
    pub core: Option<usize>,
    /// How it ended.
    pub outcome: Outcome,
    /// Why it did not complete, when it did not.
    pub reason: Option<String>,
    /// The failure on order that struck it.
    pub fault: Option<String>,
    /// Tasks submitted.
    pub tasks: usize,
    /// Tasks completed.
    pub tasks_done: usize,
    /// Multiply-accumulates of the completed tasks.
    pub macs: u64,
    /// Bytes that they fetched.
    pub bytes_read: u64,
    /// Bytes that they wrote.
    pub bytes_written: u64,
    /// Predicted time on the board, from submission to the wake-up of the waiter.
    pub predicted_seconds: f64,
    /// What the tasks were; equal neighbours are counted.
    pub what: Vec<TaskKind>,
    /// What the hardware would garble.
    pub warnings: Vec<String>,
}

impl JobRecord {
    /// A job that no core has run yet.
    pub fn new(job: u64, file: u64, tasks: usize) -> Self {
        JobRecord {
            job,
            file,
            core: None,
            outcome: Outcome::Done,
            reason: None,
            fault: None,
            tasks,
            tasks_done: 0,
            macs: 0,
            bytes_read: 0,
            bytes_written: 0,
            predicted_seconds: 0.0,
            what: Vec::new(),
            warnings: Vec::new(),
        }
    }

    /// Adds a completed task.
    pub fn add(&mut self, report: TaskReport) {
        self.tasks_done += 1;
        self.macs += report.macs;
        self.bytes_read += report.bytes_read;
        self.bytes_written += report.bytes_written;
        self.predicted_seconds += report.seconds;
        self.warnings.extend(report.warnings);
        match self.what.last_mut() {
            Some(last) if last.kind == report.what => last.tasks += 1,
            _ => self.what.push(TaskKind { kind: report.what, tasks: 1 }),
        }
    }
}

/// Sums over all jobs.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Totals {
    /// Jobs that a core took.
    pub jobs: u64,
    /// Tasks that completed.
    pub tasks: u64,
    /// Multiply-accumulates.
    pub macs: u64,
    /// Bytes fetched.
    pub bytes_read: u64,
    /// Bytes written.
    pub bytes_written: u64,
    /// Predicted busy time of each core, seconds.
    pub core_seconds: BTreeMap<usize, f64>,
    /// Jobs whose stream the chip did not complete.
    pub refused: u64,
    /// Jobs that ran into the time-out: the refused ones, and those made to.
    pub timed_out: u64,
    /// Jobs that the driver dropped.
    pub dropped: u64,
    /// Jobs killed with their process.
    pub killed: u64,
    /// Failures on order that struck a job.
    pub faults: u64,
    /// Warnings.
    pub warnings: u64,
}

/// Where everything worth telling goes. Never the command's stdout.
#[derive(Debug)]
pub struct Journal {
    level: Level,
    file: Option<Mutex<File>>,
    totals: Mutex<Totals>,
    named: Mutex<HashSet<String>>,
}

impl Journal {
    /// A journal that logs up to `level` and writes the trace to `file`.
    pub fn new(level: Level, file: Option<File>) -> Self {
        Journal {
            level,
            file: file.map(Mutex::new),
            totals: Mutex::default(),
            named: Mutex::default(),
        }
    }

    /// Says `message` on stderr when the log is that talkative.
    pub fn say(&self, level: Level, message: impl fmt::Display) {
        if level <= self.level {
            // One write, so that lines of several threads do not mix; stderr may be closed.
            let _ = io::stderr().write_all(format!("npu-sim: {message}\n").as_bytes());
        }
    }

    /// Counts a warning and adds it to the trace; says the first one of its `kind`.
    pub fn warn(&self, kind: &str, details: &str) {
        lock(&self.totals).warnings += 1;
        let message = format!("{kind}: {details}");
        self.say_once(kind, &message);
        #[derive(Serialize)]
        struct Warning<'a> {
            warning: &'a str,
        }
        self.write(&Warning { warning: &message });
    }

    /// Adds one job to the trace and the totals.
    pub fn job(&self, job: &JobRecord) {
        self.add(job);
        self.write(job);
        if let Some(reason) = job.reason.as_deref().filter(|_| job.fault.is_none()) {
            let verdict = match job.outcome {
                Outcome::Done | Outcome::Killed => "job ended",
                Outcome::Dropped => "the driver drops a job",
                Outcome::TimedOut => "the chip refuses a stream",
            };
            let message = format!("{verdict}: {reason}");
            self.say_once(&message, &message);
        }
        for warning in &job.warnings {
            self.say_once(warning, warning);
        }
        self.say(Level::Info, Line(job));
    }

    /// The sums so far.
    pub fn totals(&self) -> Totals {
        lock(&self.totals).clone()
    }

    /// Says the first message of its kind.
    fn say_once(&self, kind: &str, message: &str) {
        if lock(&self.named).insert(kind.to_owned()) {
            self.say(Level::Warn, message);
        }
    }

    fn add(&self, job: &JobRecord) {
        let mut totals = lock(&self.totals);
        if let Some(core) = job.core {
            totals.jobs += 1;
            *totals.core_seconds.entry(core).or_default() += job.predicted_seconds;
        }
        totals.tasks += job.tasks_done as u64;
        totals.macs += job.macs;
        totals.bytes_read += job.bytes_read;
        totals.bytes_written += job.bytes_written;
        totals.faults += u64::from(job.fault.is_some());
        totals.warnings += job.warnings.len() as u64;
        match job.outcome {
            Outcome::Done => {}
            Outcome::Dropped => totals.dropped += 1,
            Outcome::Killed => totals.killed += 1,
            Outcome::TimedOut => {
                totals.timed_out += 1;
                totals.refused += u64::from(job.fault.is_none());
            }
        }
    }

    fn write(&self, line: &impl Serialize) {
        let Some(file) = &self.file else { return };
        let Ok(mut text) = serde_json::to_vec(line) else { return };
        text.push(b'\n');
        if let Err(error) = lock(file).write_all(&text) {
            self.say_once("trace", &format!("the trace file is incomplete: {error}"));
        }
    }
}

/// One job on one line, for people.
struct Line<'a>(&'a JobRecord);

impl fmt::Display for Line<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let job = self.0;
        write!(f, "job {} of file {}", job.job, job.file)?;
        if let Some(core) = job.core {
            write!(f, " on core {core}")?;
        }
        write!(f, ": {:?}, {}/{} tasks", job.outcome, job.tasks_done, job.tasks)?;
        write!(f, ", {} MACs, {:.1} us", job.macs, job.predicted_seconds * 1e6)?;
        for what in &job.what {
            write!(f, "; {} x {}", what.tasks, what.kind)?;
        }
        if let Some(reason) = &job.reason {
            write!(f, " ({reason})")?;
        }
        Ok(())
    }
}

impl fmt::Display for Totals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "npu-sim: {} jobs, {} tasks, {} MACs, {} bytes read, {} bytes written",
            self.jobs, self.tasks, self.macs, self.bytes_read, self.bytes_written
        )?;
        write!(f, "npu-sim: predicted device time")?;
        for (core, seconds) in &self.core_seconds {
            write!(f, " core {core}: {:.3} ms,", seconds * 1e3)?;
        }
        let total = self.core_seconds.values().fold(0.0, |sum, seconds| sum + seconds);
        writeln!(f, " total: {:.3} ms", total * 1e3)?;
        write!(
            f,
            "npu-sim: {} refused, {} dropped, {} timed out, {} killed, {} faults, {} warnings",
            self.refused, self.dropped, self.timed_out, self.killed, self.faults, self.warnings
        )
    }
}
