//! Whether the device is worth asking: it is left alone for good when it keeps failing, and for a
//! while when other processes keep it busy.

use crate::config::Level;
use crate::npu::driver::DriverError;
use crate::route::Reason;
use crate::trace::{self, NpuLine};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// A device with this many marks is left alone for good.
const MOST_MARKS: u32 = 6;

/// Marks for a call some of which the device failed to compute.
const FAILED: u32 = 2;

/// Marks for a call that it computed at the second attempt. Were they none, a device with one
/// core that hangs would cost half a second per call for ever: the next attempt mostly meets
/// another core. Every call without trouble takes one mark back.
const FALTERED: u32 = 1;

/// How long a busy device is left alone, at first and at most. It doubles from wait to wait, so
/// that waiting in vain takes a small share of the time.
const REST: (Duration, Duration) = (Duration::from_secs(2), Duration::from_secs(64));

/// What this process knows of its device.
#[derive(Debug)]
pub struct Health {
    opened: Instant,
    /// Failures, and how long ago they were.
    marks: AtomicU32,
    /// Calls in a row that waited in vain.
    waits: AtomicU32,
    /// Until when it is left alone, in milliseconds from `opened`.
    rests_until: AtomicU64,
}

/// What the driver refused during one call.
#[derive(Debug, Default)]
pub struct Troubles {
    gone: bool,
    overdue: bool,
    failed: bool,
}

impl Troubles {
    /// Takes note of a failure; says it where that is asked for. Returns the reason that the
    /// call's trace gets when it falls to the CPU.
    pub fn note(&mut self, error: &DriverError, log: Level) -> Reason {
        trace::log(log, Level::Info, error);
        match error {
            DriverError::Gone => self.gone = true,
            DriverError::TimedOut => self.overdue = true,
            // No fault of the device, and the next call may be smaller.
            DriverError::NoMemory(_) => {}
            _ => self.failed = true,
        }
        Reason::Device(match error {
            DriverError::NoMemory(_) => "memory",
            DriverError::TimedOut => "timeout",
            DriverError::Gone => "gone",
            DriverError::Open(_) | DriverError::WrongDriver(_) => "open",
            DriverError::Call(call, _) => call,
        })
    }
}

impl Health {
    /// A device that nothing is known of yet.
    pub fn new() -> Health {
        Health {
            opened: Instant::now(),
            marks: AtomicU32::new(0),
            waits: AtomicU32::new(0),
            rests_until: AtomicU64::new(0),
        }
    }

    /// Why the device must not be asked now, if so.
    pub fn unfit(&self) -> Option<Reason> {
        if self.marks.load(Ordering::Relaxed) >= MOST_MARKS {
            return Some(Reason::Retired);
        }
        let rests = self.opened.elapsed().as_millis() < self.rests_until();
        rests.then_some(Reason::Busy)
    }

    fn rests_until(&self) -> u128 {
        self.rests_until.load(Ordering::Relaxed).into()
    }

    /// Draws the conclusions of one call, of which the device computed anything at all if
    /// `served`. Says so once when the device is given up.
    pub fn judge(&self, troubles: &Troubles, line: &NpuLine, served: bool, log: Level) {
        const KEEPS_FAILING: &str = "the NPU keeps failing";
        if troubles.gone {
            self.mark(MOST_MARKS, "the NPU is gone", log);
        } else if troubles.overdue {
            let waits = self.waits.fetch_add(1, Ordering::Relaxed);
            let rest = REST.0.saturating_mul(1 << waits.min(16)).min(REST.1);
            let until = (self.opened.elapsed() + rest).as_millis();
            self.rests_until.store(until.try_into().unwrap_or(u64::MAX), Ordering::Relaxed);
        } else if troubles.failed || line.repaired > 0 {
            self.mark(FAILED, KEEPS_FAILING, log);
        } else if line.retried > 0 {
            self.mark(FALTERED, KEEPS_FAILING, log);
        } else if served {
            self.waits.store(0, Ordering::Relaxed);
            let less = |marks: u32| marks.checked_sub(1);
            // Nothing to take back is all right too.
            let _ = self.marks.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
        }
    }

    fn mark(&self, marks: u32, what: &str, log: Level) {
        let before = self.marks.fetch_add(marks, Ordering::Relaxed);
        if before < MOST_MARKS && before + marks >= MOST_MARKS {
            let what = format!("{what}; this process computes on the CPU");
            trace::log(log, Level::Warn, &what);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(health: &Health, error: DriverError) -> Option<Reason> {
        let mut troubles = Troubles::default();
        troubles.note(&error, Level::Off);
        health.judge(&troubles, &NpuLine::default(), false, Level::Off);
        health.unfit()
    }

    /// Calls until the device is retired, when their lines are these again and again.
    fn calls_until_retired(lines: &[NpuLine]) -> Option<usize> {
        let health = Health::new();
        (1..100).find(|call| {
            let line = &lines[call % lines.len()];
            health.judge(&Troubles::default(), line, true, Level::Off);
            health.unfit() == Some(Reason::Retired)
        })
    }

    #[test]
    fn a_device_that_keeps_failing_retires_and_successes_make_up_for_failures() {
        let clean = NpuLine::default();
        let faltered = NpuLine { retried: 3, ..clean };
        let failed = NpuLine { retried: 2, repaired: 1, ..clean };
        assert_eq!(calls_until_retired(&[failed]), Some(3));
        assert_eq!(calls_until_retired(&[faltered]), Some(6));
        assert_eq!(calls_until_retired(&[clean, faltered]), None);
        assert_eq!(calls_until_retired(&[clean, clean, failed]), None);
        let health = Health::new();
        let failure = || DriverError::Call("x", "EIO".into());
        assert_eq!([(); 2].map(|()| after(&health, failure())), [None, None]);
        assert_eq!(after(&health, failure()), Some(Reason::Retired));
    }

    #[test]
    fn a_device_that_is_gone_is_not_asked_again() {
        assert_eq!(after(&Health::new(), DriverError::Gone), Some(Reason::Retired));
    }

    #[test]
    fn a_busy_device_rests_and_short_memory_is_no_fault_of_it() {
        assert_eq!(after(&Health::new(), DriverError::TimedOut), Some(Reason::Busy));
        assert_eq!(after(&Health::new(), DriverError::NoMemory(String::new())), None);
    }
}
