//! The library's own thread pool: the caller and its helpers share out tickets.

use std::cell::UnsafeCell;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long a helper without work waits for more before it goes to sleep. To wake it takes 10 to
/// 80 µs, longer than many a product, and calls often follow each other closely.
const LINGER: Duration = Duration::from_micros(100);

/// Looks at the notice, some ten microseconds, before others may have the core between two of them.
const EAGER_LOOKS: u32 = 1_000;

/// A number of threads that work together: the calling thread and the workers of a private
/// rayon pool. A pool belongs to the process that made it; [`crate::runtime`] makes a new one
/// in a forked child.
///
/// The helpers serve one caller at a time. A second caller does not queue: it works alone. Nor
/// does the caller wait for a helper that has not come by the time the work is done.
#[derive(Debug)]
pub struct Threads {
    helpers: Option<rayon::ThreadPool>,
    count: usize,
    taken: AtomicBool,
    notice: Arc<Notice>,
}

/// Where the caller says what there is to do.
///
/// `state` holds a number of the job from bit 17 on, the bit `OPEN`, and below it how many helpers
/// are at work on it. A helper enters by counting itself while the job is open; the caller closes
/// the job and waits until nobody is counted.
struct Notice {
    state: AtomicU64,
    /// Helpers that look at the notice now and then.
    awake: AtomicUsize,
    job: UnsafeCell<Option<Job>>,
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
        f.debug_struct("Notice").field("state", &self.state).field("awake", &self.awake).finish()
    }
}

const OPEN: u64 = 1 << 16;
const NEXT: u64 = 1 << 17;

impl Notice {
    fn new() -> Self {
        Notice { state: AtomicU64::new(0), awake: AtomicUsize::new(0), job: UnsafeCell::new(None) }
    }

    /// Opens a job; dropping the result closes it and waits for those in it.
    ///
    /// # Safety
    /// Only the caller that has the helpers may, and the job outlives the result.
    unsafe fn open<'a>(&'a self, job: &'a (dyn Fn() + Sync)) -> Opened<'a> {
        // SAFETY: changes a lifetime; the caller vouches that the job lives while it is open.
        let job = unsafe { std::mem::transmute::<&'a (dyn Fn() + Sync), Job>(job) };
        // SAFETY: the last job is closed and nobody is in it, so nobody reads.
        unsafe { *self.job.get() = Some(job) };
        let state = self.state.load(Ordering::Relaxed);
        self.state.store((state & !(NEXT - 1)).wrapping_add(NEXT) | OPEN, Ordering::Release);
        Opened(self)
    }

    /// What a helper does from when it is woken until it goes to sleep again.
    fn serve(&self) {
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
}

/// An open job.
struct Opened<'a>(&'a Notice);

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

impl Threads {
    /// The calling thread and `count - 1` helpers. Where the system refuses to start a thread
    /// the caller stays alone.
    pub fn new(count: usize) -> Self {
        let helpers = count.saturating_sub(1);
        let pool = (helpers > 0)
            .then(|| {
                rayon::ThreadPoolBuilder::new()
                    .num_threads(helpers)
                    .thread_name(|i| format!("npublas-{i}"))
                    .build()
                    .ok()
            })
            .flatten();
        let count = if pool.is_some() { count } else { 1 };
        let (taken, notice) = (AtomicBool::new(false), Arc::new(Notice::new()));
        Threads { helpers: pool, count, taken, notice }
    }

    /// The calling thread alone.
    pub fn alone() -> Self {
        Threads::new(1)
    }

    /// How many threads take part, the caller included; at least 1.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Calls `work(ticket)` once for every ticket below `tickets`, on all threads, in no fixed
    /// order, and returns when the last one is done. Tickets are handed out one by one, so
    /// uneven work and uneven cores balance themselves. A panic in a helper ends the process.
    pub fn for_each(&self, tickets: usize, work: impl Fn(usize) + Sync) {
        self.for_each_with(tickets, || (), |(), ticket| work(ticket));
    }

    /// As [`Threads::for_each`], with a value of its own for each thread that takes part:
    /// scratch memory, made by `init` on that thread.
    pub fn for_each_with<S>(
        &self,
        tickets: usize,
        init: impl Fn() -> S + Sync,
        work: impl Fn(&mut S, usize) + Sync,
    ) {
        let next = AtomicUsize::new(0);
        let take_tickets = || {
            let take = || Some(next.fetch_add(1, Ordering::Relaxed)).filter(|&t| t < tickets);
            // Who comes too late makes nothing.
            let Some(first) = take() else { return };
            let mut scratch = init();
            work(&mut scratch, first);
            while let Some(ticket) = take() {
                work(&mut scratch, ticket);
            }
        };
        match self.helpers.as_ref().filter(|_| tickets > 1).zip(self.take()) {
            Some((pool, _taken)) => {
                // SAFETY: the helpers were just taken, and the job is closed before the end of
                // this block, in a panic too.
                let _opened = unsafe { self.notice.open(&take_tickets) };
                // Those that are awake see it; sleepers are woken.
                let wanted = (self.count - 1).min(tickets - 1);
                for _ in self.notice.awake.load(Ordering::Relaxed)..wanted {
                    self.notice.awake.fetch_add(1, Ordering::Relaxed);
                    let notice = Arc::clone(&self.notice);
                    pool.spawn(move || notice.serve());
                }
                take_tickets();
            }
            None => take_tickets(),
        }
    }

    /// Claims the helpers, unless another caller has them.
    fn take(&self) -> Option<Taken<'_>> {
        // Lazily: a claim that is made and dropped would give back what another caller has.
        (!self.taken.swap(true, Ordering::Acquire)).then(|| Taken(&self.taken))
    }

    /// As [`Threads::for_each_with`]; returns what `work` made of each ticket, in ticket order.
    pub fn map<S, R: Send>(
        &self,
        tickets: usize,
        init: impl Fn() -> S + Sync,
        work: impl Fn(&mut S, usize) -> R + Sync,
    ) -> Vec<R> {
        let results: Vec<Mutex<Option<R>>> = (0..tickets).map(|_| Mutex::new(None)).collect();
        self.for_each_with(tickets, init, |scratch, ticket| {
            let result = work(scratch, ticket);
            *results[ticket].lock().unwrap_or_else(PoisonError::into_inner) = Some(result);
        });
        results
            .into_iter()
            .map(|slot| slot.into_inner().unwrap_or_else(PoisonError::into_inner))
            .map(|result| result.expect("every ticket was taken"))
            .collect()
    }
}

/// Whether the program is inside a parallel region of OpenMP, whose threads have the cores already.
/// Asks whatever OpenMP library the process has.
pub fn host_is_parallel() -> bool {
    // SAFETY: looks up a name.
    let symbol = unsafe { libc::dlsym(libc::RTLD_DEFAULT, c"omp_in_parallel".as_ptr()) };
    if symbol.is_null() {
        return false;
    }
    // SAFETY: that is the signature of this function in every OpenMP library.
    unsafe {
        std::mem::transmute::<*mut libc::c_void, extern "C" fn() -> libc::c_int>(symbol)() != 0
    }
}

/// The claim on the helpers; dropping it gives them back.
struct Taken<'a>(&'a AtomicBool);

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_ticket_is_taken_once_and_results_keep_their_order() {
        for count in [1, 2, 5] {
            let threads = Threads::new(count);
            for tickets in [0, 1, 2, 3, 100] {
                let taken = threads.map(
                    tickets,
                    || 0_u32,
                    |own, ticket| {
                        *own += 1;
                        ticket
                    },
                );
                assert_eq!(taken, (0..tickets).collect::<Vec<_>>());
            }
        }
    }

    /// Jobs in quick succession and after a rest, from several callers at once: nobody works for a
    /// job that is over.
    #[test]
    fn jobs_that_follow_each_other_do_not_mix() {
        let threads = Threads::new(3);
        std::thread::scope(|scope| {
            for caller in 0..4_usize {
                let threads = &threads;
                scope.spawn(move || {
                    for round in 0..2_000_usize {
                        let sum = AtomicUsize::new(0);
                        threads.for_each(5, |ticket| {
                            sum.fetch_add(caller + round * ticket, Ordering::Relaxed);
                        });
                        assert_eq!(sum.into_inner(), 5 * caller + 10 * round);
                        if round % 500 == 0 {
                            std::thread::sleep(3 * LINGER);
                        }
                    }
                });
            }
        });
    }

    #[test]
    fn a_panic_of_the_caller_leaves_nothing_open() {
        let threads = Threads::new(2);
        let caller = std::thread::current().id();
        let has_come = AtomicBool::new(false);
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            threads.for_each(2, |_| {
                if std::thread::current().id() == caller {
                    has_come.store(true, Ordering::Relaxed);
                    panic!("meant to happen");
                }
                while !has_come.load(Ordering::Relaxed) {
                    std::thread::yield_now();
                }
            });
        }));
        assert!(result.is_err());
        assert_eq!(threads.map(3, || (), |(), ticket| ticket), [0, 1, 2]);
    }
}
