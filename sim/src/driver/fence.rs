//! Completion of a job, and waiting for it.

use std::sync::{Condvar, Mutex};
use std::time::{Duration, Instant};

use super::Client;
use crate::sync::lock;

/// How often a sleeping wait asks whether its caller was interrupted.
const POLL: Duration = Duration::from_millis(2);

/// Signalled once, when its job has finished, timed out or was killed. A waiter cannot tell which:
/// the driver's wait looks at "signalled" only.
#[derive(Debug, Default)]
pub struct Fence {
    signalled: Mutex<bool>,
    changed: Condvar,
}

/// How a wait ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wait {
    /// The fence is signalled.
    Signalled,
    /// The deadline passed first.
    TimedOut,
    /// A signal for the calling thread, or its death, came first.
    Interrupted,
}

impl Fence {
    /// Marks the job as over and wakes every waiter.
    pub fn signal(&self) {
        *lock(&self.signalled) = true;
        self.changed.notify_all();
    }

    /// Whether the job is over.
    pub fn is_signalled(&self) -> bool {
        *lock(&self.signalled)
    }

    /// Sleeps until the fence is signalled, `deadline` (`None`: never) or an interruption.
    pub fn wait(&self, deadline: Option<Instant>, client: &dyn Client) -> Wait {
        while !self.is_signalled() {
            let left = deadline.map_or(POLL, |at| at.saturating_duration_since(Instant::now()));
            if left.is_zero() {
                return Wait::TimedOut;
            }
            if client.interrupted() {
                return Wait::Interrupted;
            }
            let signalled = lock(&self.signalled);
            if !*signalled {
                // Poisoned or not, the loop looks at the value again.
                drop(self.changed.wait_timeout(signalled, left.min(POLL)));
            }
        }
        Wait::Signalled
    }
}
