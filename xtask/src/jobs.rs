//! The trace of npu-sim: one JSON object per job.

use anyhow::{Context, Result};
use serde::Deserialize;
use std::path::Path;

/// One job that was submitted to the simulated device.
#[derive(Debug, Clone, Deserialize)]
pub struct Job {
    /// Its number in the order of submission.
    pub job: u64,
    /// Core that ran it; `None` if none did.
    pub core: Option<usize>,
    /// `done`, `dropped`, `timed_out` or `killed`.
    pub outcome: String,
    /// The failure on order that struck it.
    pub fault: Option<String>,
    /// Predicted time on the real device.
    pub predicted_seconds: f64,
}

/// A line of the trace; those that are about no job say what a program did wrong elsewhere.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Line {
    Job(Job),
    Warning {
        #[serde(rename = "warning")]
        _text: String,
    },
}

impl Job {
    /// Whether the chip refused its stream: it did not complete, and nobody had ordered that.
    pub fn refused(&self) -> bool {
        self.outcome == "timed_out" && self.fault.is_none()
    }

    /// Whether the driver dropped it without a word.
    pub fn dropped(&self) -> bool {
        self.outcome == "dropped"
    }
}

/// All jobs of a trace file, in the order of their submission.
pub fn read(trace: &Path) -> Result<Vec<Job>> {
    let text = std::fs::read_to_string(trace)
        .with_context(|| format!("the simulator's trace {}", trace.display()))?;
    let mut jobs = Vec::new();
    for line in text.lines() {
        let line = serde_json::from_str(line).with_context(|| format!("in a trace: {line}"))?;
        if let Line::Job(job) = line {
            jobs.push(job);
        }
    }
    jobs.sort_by_key(|job: &Job| job.job);
    Ok(jobs)
}

/// How long the device is predicted to take for these jobs: cores work side by side.
pub fn device_seconds(jobs: &[Job]) -> f64 {
    let cores = jobs.iter().filter_map(|job| job.core).max().map_or(0, |last| last + 1);
    let busy = |core| {
        let mine = jobs.iter().filter(|job| job.core == Some(core));
        mine.map(|job| job.predicted_seconds).sum()
    };
    (0..cores).map(busy).fold(0.0, f64::max)
}
