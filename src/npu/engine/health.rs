//! Whether the device is worth asking: it is left alone for good when it keeps failing, and for a
//! while when other processes keep it busy.

use crate::config::Level;
use crate::npu::driver::DriverError;
use crate::route::Reason;
use crate::trace;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Calls in a row that the device must fail to be left alone for good.
const RETIRE_AFTER: u32 = 3;

/// How long a busy device is left alone, at first and at most. It doubles from wait to wait, so
/// that waiting in vain takes a small share of the time.
const REST: (Duration, Duration) = (Duration::from_secs(2), Duration::from_secs(64));

/// What this process knows of its device.
#[derive(Debug)]
pub struct Health {
    opened: Instant,
    /// Calls in a row that the device failed.
    failures: AtomicU32,
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
            failures: AtomicU32::new(0),
            waits: AtomicU32::new(0),
            rests_until: AtomicU64::new(0),
        }
    }

    /// Why the device must not be asked now, if so.
    pub fn unfit(&self) -> Option<Reason> {
        if self.failures.load(Ordering::Relaxed) >= RETIRE_AFTER {
            return Some(Reason::Retired);
        }
        let rests = self.opened.elapsed().as_millis() < self.rests_until();
        rests.then_some(Reason::Busy)
    }

    fn rests_until(&self) -> u128 {
        self.rests_until.load(Ordering::Relaxed).into()
    }

    /// Draws the conclusions of one call: `repaired` blocks of it had to be computed on the CPU,
    /// and the device computed some of it when `served`. Says so once when the device is given up.
    pub fn judge(&self, troubles: &Troubles, repaired: u64, served: bool, log: Level) {
        if troubles.gone {
            self.fail(RETIRE_AFTER, "the NPU is gone", log);
        } else if troubles.overdue {
            let waits = self.waits.fetch_add(1, Ordering::Relaxed);
            let rest = REST.0.saturating_mul(1 << waits.min(16)).min(REST.1);
            let until = (self.opened.elapsed() + rest).as_millis();
            self.rests_until.store(until.try_into().unwrap_or(u64::MAX), Ordering::Relaxed);
        } else if troubles.failed || repaired > 0 {
            self.fail(1, &format!("the NPU failed {RETIRE_AFTER} calls in a row"), log);
        } else if served {
            self.failures.store(0, Ordering::Relaxed);
            self.waits.store(0, Ordering::Relaxed);
        }
    }

    fn fail(&self, by: u32, what: &str, log: Level) {
        let before = self.failures.fetch_add(by, Ordering::Relaxed);
        if before < RETIRE_AFTER && before + by >= RETIRE_AFTER {
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
        health.judge(&troubles, 0, false, Level::Off);
        health.unfit()
    }

    #[test]
    fn three_failures_in_a_row_retire_and_a_success_forgives() {
        let health = Health::new();
        let failure = || DriverError::Call("x", "EIO".into());
        assert_eq!(after(&health, failure()), None);
        assert_eq!(after(&health, failure()), None);
        health.judge(&Troubles::default(), 0, true, Level::Off);
        assert_eq!(after(&health, failure()), None);
        health.judge(&Troubles::default(), 2, true, Level::Off);
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
