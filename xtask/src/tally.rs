//! Counting what passed, what failed and what could not run.

use anyhow::Result;
use std::fmt;

/// What came of a number of tests.
#[derive(Debug, Default)]
pub struct Tally {
    /// How many passed.
    pub passed: usize,
    /// What failed, each with its reason.
    pub failed: Vec<String>,
    /// What could not run, each with its reason.
    pub skipped: Vec<String>,
}

impl Tally {
    /// The tally of a single test.
    pub fn of(name: &str, result: Result<()>) -> Tally {
        let mut tally = Tally::default();
        tally.note(name, result);
        tally
    }

    /// Counts one test.
    pub fn note(&mut self, name: &str, result: Result<()>) {
        match result {
            Ok(()) => self.passed += 1,
            Err(error) => self.failed.push(format!("{name}: {error:#}")),
        }
    }

    /// Counts one test that could not run.
    pub fn skip(&mut self, name: &str, reason: &str) {
        self.skipped.push(format!("{name}: {reason}"));
    }

    /// The same with `step` in front of what failed or could not run.
    pub fn prefixed(mut self, step: &str) -> Tally {
        for name in self.failed.iter_mut().chain(&mut self.skipped) {
            *name = format!("{step}: {name}");
        }
        self
    }

    /// Adds what another one counted.
    pub fn add(&mut self, other: Tally) {
        self.passed += other.passed;
        self.failed.extend(other.failed);
        self.skipped.extend(other.skipped);
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Tally { passed, failed, skipped } = self;
        write!(f, "{passed} passed, {} failed, {} skipped", failed.len(), skipped.len())
    }
}
