//! Where a caller says what there is to do, and what helpers do from waking to sleep.

use super::berths::Berths;
use std::cell::UnsafeCell;
use std::fmt;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// How long a helper without work waits for more before it goes to sleep. To wake it takes 10 to
/// 80 µs, longer than many a product, and calls often follow each other closely.
pub(super) const LINGER: Duration = Duration::from_micros(100);

/// Looks at the notice, some ten microseconds, before others may have the core between two of them.
const EAGER_LOOKS: u32 = 1_000;

/// Jobs after which others may have the core, however closely the next one follows: a second caller,
/// say, that nobody knows of before it has one. Without that it may wait for a whole time slice. To
/// offer the core costs a fifth of the shortest job.
const JOBS_AT_ONCE: u64 = 64;

/// Where the caller says what there is to do.
///
/// `state` holds a number of the job from bit 17 on, the bit `OPEN`, and below it how many helpers
/// are at work on it. A helper enters by counting itself while the job is open; the caller closes
/// the job and waits until nobody is counted.
pub(super) struct Notice {
    state: AtomicU64,
    job: UnsafeCell<Option<Job>>,
    /// Callers inside a call that is large enough for threads, and [`CLAIMED`] while one of them
    /// has the helpers.
    callers: AtomicUsize,
    /// Threads that shall work at a time, callers included.
    count: usize,
    /// Helpers that look at the notice now and then.
    pub awake: AtomicUsize,
    /// Where helpers wake.
    pub berths: Berths,
}

/// One share of the work, to be called by every helper that comes. Only good while the job is open
/// or has helpers in it.
type Job = *const (dyn Fn() + Sync);

// SAFETY: `job` is written by the caller that has the helpers, and only while the job is closed and
// nobody is counted; it is read by helpers that are counted. The job itself is `Sync`.
unsafe impl Sync for Notice {}
// SAFETY: as above.
unsafe impl Send for Notice {}

impl fmt::Debug for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Notice { state, callers, awake, .. } = self;
        let mut notice = f.debug_struct("Notice");
        notice.field("state", state).field("callers", callers).field("awake", awake).finish()
    }
}

const OPEN: u64 = 1 << 16;
const NEXT: u64 = 1 << 17;

/// Above every number of callers.
const CLAIMED: usize = 1 << (usize::BITS - 1);

impl Notice {
    /// For `count` threads, of which `count - 1` are helpers.
    pub fn new(count: usize) -> Self {
        Notice {
            state: AtomicU64::new(0),
            job: UnsafeCell::new(None),
            callers: AtomicUsize::new(0),
            count,
            awake: AtomicUsize::new(0),
            berths: Berths::new(count - 1),
        }
    }

    /// Opens a job; dropping the result closes it and waits for those in it.
    ///
    /// # Safety
    /// Only the caller that has the helpers may, one job at a time, and the job outlives the
    /// result.
    pub unsafe fn open<'a>(&'a self, job: &'a (dyn Fn() + Sync)) -> Opened<'a> {
        // SAFETY: changes a lifetime; the caller vouches that the job lives while it is open.
        let job = unsafe { std::mem::transmute::<&'a (dyn Fn() + Sync), Job>(job) };
        // SAFETY: the last job is closed and nobody is in it, so nobody reads.
        unsafe { *self.job.get() = Some(job) };
        let state = self.state.load(Ordering::Relaxed);
        self.state.store((state & !(NEXT - 1)).wrapping_add(NEXT) | OPEN, Ordering::Release);
        Opened(self)
    }

    /// What a helper does from when it is woken until it goes to sleep again.
    pub fn serve(&self) {
        self.berths.arrive();
        let mut last = None;
        let mut idle: Option<Instant> = None;
        let mut looks = 0;
        loop {
            let state = self.state.load(Ordering::Acquire);
            let number = state & !(NEXT - 1);
            let enters = state & OPEN != 0
                && last != Some(number)
                && self
                    .state
                    .compare_exchange(state, state + 1, Ordering::Acquire, Ordering::Relaxed)
                    .is_ok();
            if enters {
                // SAFETY: this helper is counted in an open job, so the caller keeps it alive.
                if let Some(job) = unsafe { *self.job.get() } {
                    // SAFETY: likewise.
                    unsafe { (*job)() };
                }
                self.state.fetch_sub(1, Ordering::Release);
                (last, idle, looks) = (Some(number), None, 0);
                if (number / NEXT).is_multiple_of(JOBS_AT_ONCE) {
                    std::thread::yield_now();
                }
            } else if looks < EAGER_LOOKS {
                looks += 1;
                std::hint::spin_loop();
            } else if idle.get_or_insert_with(Instant::now).elapsed() < LINGER {
                std::thread::yield_now();
            } else {
                break;
            }
        }
        self.awake.fetch_sub(1, Ordering::Relaxed);
    }

    /// Counts a caller in, and claims the helpers for it unless another caller has them or all
    /// threads are callers' own.
    pub fn enter(&self) -> Claim<'_> {
        let others = self.callers.fetch_add(1, Ordering::Acquire) & !CLAIMED;
        let helpers = (self.count - 1).saturating_sub(others);
        let is_claimed =
            helpers > 0 && self.callers.fetch_or(CLAIMED, Ordering::Acquire) & CLAIMED == 0;
        Claim { notice: self, helpers: if is_claimed { helpers } else { 0 } }
    }
}

/// An open job.
pub(super) struct Opened<'a>(&'a Notice);

impl Drop for Opened<'_> {
    fn drop(&mut self) {
        self.0.state.fetch_and(!OPEN, Ordering::Relaxed);
        let mut looks = 0;
        while self.0.state.load(Ordering::Acquire) & (OPEN - 1) != 0 {
            looks += 1;
            if looks < EAGER_LOOKS { std::hint::spin_loop() } else { std::thread::yield_now() }
        }
    }
}

/// A caller inside, with the helpers or without; dropping it gives them back.
#[derive(Debug)]
pub(super) struct Claim<'a> {
    notice: &'a Notice,
    /// How many helpers it may have; 0 when they are not its own.
    pub helpers: usize,
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        let claim = if self.helpers > 0 { CLAIMED } else { 0 };
        self.notice.callers.fetch_sub(claim + 1, Ordering::Release);
    }
}
