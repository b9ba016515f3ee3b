//! The library's own thread pool: the caller and its helpers share out tickets.

mod berths;
mod notice;

use notice::{Claim, LINGER, Notice};
use std::ffi::c_void;
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Instant;

/// A number of threads that work together: the calling thread and the workers of a private
/// rayon pool, started when they are first wanted. A pool belongs to the process that made it;
/// [`crate::runtime`] makes a new one in a forked child.
///
/// The helpers serve one caller at a time. A second caller does not queue: it works alone. Nor
/// does the caller wait for a helper that has not come by the time the work is done. Inside a
/// parallel region of OpenMP, or on a worker of rayon, whose threads have the cores already, every
/// caller works alone.
#[derive(Debug)]
pub struct Threads {
    helpers: OnceLock<Option<rayon::ThreadPool>>,
    notice: Arc<Notice>,
    seats: Box<[Seat]>,
    openmp: OpenMp,
    haste: Haste,
}

/// The tickets that one thread takes first, so that what it computes lies together: the number of
/// the next. When its own are gone a thread takes those of others.
#[derive(Debug, Default)]
#[repr(align(64))]
struct Seat(AtomicUsize);

impl Threads {
    /// The calling thread and `count - 1` helpers. Where the system refuses to start a thread
    /// the caller stays alone.
    pub fn new(count: usize) -> Self {
        let count = count.max(1);
        Threads {
            helpers: OnceLock::new(),
            notice: Arc::new(Notice::new(count)),
            seats: (0..count).map(|_| Seat::default()).collect(),
            openmp: OpenMp::default(),
            haste: Haste::new(),
        }
    }

    /// The calling thread alone.
    pub fn alone() -> Self {
        Threads::new(1)
    }

    /// How many threads take part at most, the caller included; at least 1.
    pub fn count(&self) -> usize {
        self.seats.len()
    }

    /// The calling thread with the helpers, if they are free.
    pub fn crew(&self) -> Crew<'_> {
        self.crew_if(|free| free > 0)
    }

    /// As [`Threads::crew`], but for work that is hardly longer than it takes to wake a sleeper:
    /// with helpers that are awake, or when such calls follow each other closely.
    pub fn crew_at_hand(&self) -> Crew<'_> {
        self.crew_if(|free| {
            if free == 0 {
                self.haste.forget();
                return false;
            }
            self.notice.awake.load(Ordering::Relaxed) > 0 || self.haste.is_worth_waking()
        })
    }

    /// `wants_helpers` is told how many are free.
    fn crew_if(&self, wants_helpers: impl Fn(usize) -> bool) -> Crew<'_> {
        let claim = (self.count() > 1).then(|| self.notice.enter());
        let free = claim.as_ref().map_or(0, |claim| claim.helpers);
        let may = || rayon::current_thread_index().is_none() && !self.openmp.is_parallel();
        let helpers = if wants_helpers(free) && may() { free } else { 0 };
        Crew { threads: self, helpers, _claim: claim }
    }

    /// Has `wanted` helpers awake, or soon so.
    fn wake(&self, wanted: usize) {
        let awake = self.notice.awake.load(Ordering::Relaxed);
        if awake >= wanted {
            return;
        }
        let Some(pool) = self.helpers.get_or_init(|| self.start()) else { return };
        self.notice.berths.bar();
        for _ in awake..wanted {
            self.notice.awake.fetch_add(1, Ordering::Relaxed);
            let notice = Arc::clone(&self.notice);
            pool.spawn(move || notice.serve());
        }
    }

    #[cold]
    fn start(&self) -> Option<rayon::ThreadPool> {
        let notice = Arc::clone(&self.notice);
        rayon::ThreadPoolBuilder::new()
            .num_threads(self.count() - 1)
            .thread_name(|i| format!("npublas-{i}"))
            .start_handler(move |i| notice.berths.settle(i))
            .build()
            .ok()
    }

    /// [`Crew::for_each`] with all helpers that are free.
    pub fn for_each(&self, tickets: usize, work: impl Fn(usize) + Sync) {
        self.crew().for_each(tickets, work);
    }

    /// [`Crew::for_each_with`] with all helpers that are free.
    pub fn for_each_with<S>(
        &self,
        tickets: usize,
        init: impl Fn() -> S + Sync,
        work: impl Fn(&mut S, usize) + Sync,
    ) {
        self.crew().for_each_with(tickets, init, work);
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

/// A caller with the helpers that are its own until this is dropped, for one round of tickets after
/// another.
#[derive(Debug)]
pub struct Crew<'a> {
    threads: &'a Threads,
    helpers: usize,
    _claim: Option<Claim<'a>>,
}

impl Crew<'_> {
    /// How many threads work on a round of tickets at most, the caller included; at least 1.
    pub fn count(&self) -> usize {
        self.helpers + 1
    }

    /// Calls `work(ticket)` once for every ticket below `tickets`, on all threads, and returns when
    /// the last one is done. Each thread takes tickets that follow each other, one by one, and
    /// then what others have left, so that uneven work and uneven cores balance themselves. A
    /// panic in a helper ends the process.
    pub fn for_each(&mut self, tickets: usize, work: impl Fn(usize) + Sync) {
        self.for_each_with(tickets, || (), |(), ticket| work(ticket));
    }

    /// As [`Crew::for_each`], with a value of its own for each thread that takes part: scratch
    /// memory, made by `init` on that thread.
    pub fn for_each_with<S>(
        &mut self,
        tickets: usize,
        init: impl Fn() -> S + Sync,
        work: impl Fn(&mut S, usize) + Sync,
    ) {
        let helpers = self.helpers.min(tickets.saturating_sub(1));
        let seats = &self.threads.seats[..helpers + 1];
        let first = |seat: usize| {
            let count = seats.len();
            tickets / count * seat + tickets % count * seat / count
        };
        let take_tickets = |own: usize| {
            // Who comes too late makes nothing.
            let mut scratch = None;
            for seat in (own..seats.len()).chain(0..own) {
                loop {
                    let ticket = seats[seat].0.fetch_add(1, Ordering::Relaxed);
                    if ticket >= first(seat + 1) {
                        break;
                    }
                    work(scratch.get_or_insert_with(&init), ticket);
                }
            }
        };
        if helpers == 0 {
            let mut scratch = None;
            (0..tickets).for_each(|ticket| work(scratch.get_or_insert_with(&init), ticket));
            return;
        }
        for (i, seat) in seats.iter().enumerate() {
            seat.0.store(first(i), Ordering::Relaxed);
        }
        let come = AtomicUsize::new(0);
        let job = || take_tickets((1 + come.fetch_add(1, Ordering::Relaxed)) % seats.len());
        // SAFETY: the helpers are this crew's, which is borrowed alone, and the job is closed
        // before the end of this function, in a panic too.
        let _opened = unsafe { self.threads.notice.open(&job) };
        self.threads.wake(helpers);
        take_tickets(0);
    }
}

/// How closely short calls follow each other, as far as they found the helpers asleep.
#[derive(Debug)]
struct Haste {
    start: Instant,
    /// When the last one came, in nanoseconds from the start.
    last: AtomicU64,
    /// How many came in close succession.
    streak: AtomicU32,
}

/// So many short calls in succession wake a helper: it would be idle after fewer, and its waking
/// costs the caller as much as one of them.
const STREAK: u32 = 8;

impl Haste {
    fn new() -> Self {
        Haste { start: Instant::now(), last: AtomicU64::new(0), streak: AtomicU32::new(0) }
    }

    /// Starts anew: a caller found no helper free, so that one that others wake between its calls
    /// would only take its core.
    fn forget(&self) {
        // Most often there is nothing to write, and other callers keep the line.
        if self.streak.load(Ordering::Relaxed) != 0 {
            self.streak.store(0, Ordering::Relaxed);
        }
    }

    /// Notes a call; whether it was the last of many.
    fn is_worth_waking(&self) -> bool {
        let now = self.start.elapsed().as_nanos() as u64;
        let since = now.saturating_sub(self.last.swap(now, Ordering::Relaxed));
        let is_close = u128::from(since) < LINGER.as_nanos();
        let streak = if is_close { self.streak.load(Ordering::Relaxed) + 1 } else { 0 };
        let is_worth = streak >= STREAK;
        self.streak.store(if is_worth { 0 } else { streak }, Ordering::Relaxed);
        is_worth
    }
}

/// Asks whether the program is inside a parallel region of OpenMP.
#[derive(Debug, Default)]
struct OpenMp {
    /// For so many questions the process is taken to have no OpenMP library, as it had none.
    absent: AtomicU32,
}

/// Questions without a search for the library after one in vain: a search takes longer than to
/// reach a helper.
const ABSENCE: u32 = 64;

impl OpenMp {
    /// Asks whatever OpenMP library the process has.
    fn is_parallel(&self) -> bool {
        let absent = self.absent.load(Ordering::Relaxed);
        if absent > 0 {
            self.absent.store(absent - 1, Ordering::Relaxed);
            return false;
        }
        // SAFETY: looks up a name.
        let symbol = unsafe { libc::dlsym(libc::RTLD_DEFAULT, c"omp_in_parallel".as_ptr()) };
        if symbol.is_null() {
            self.absent.store(ABSENCE, Ordering::Relaxed);
            return false;
        }
        // SAFETY: that is the signature of this function in every OpenMP library.
        unsafe { std::mem::transmute::<*mut c_void, extern "C" fn() -> libc::c_int>(symbol)() != 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicBool;
    use std::time::Duration;

    #[test]
    fn calls_that_find_no_helper_free_wake_none() {
        let haste = Haste::new();
        // Closer than any scheduler allows for: only the streak counts.
        for round in 0..3 {
            for _ in 1..STREAK {
                haste.last.store(u64::MAX, Ordering::Relaxed);
                assert!(!haste.is_worth_waking(), "round {round}");
            }
            haste.forget();
        }
        for call in 1..=STREAK {
            haste.last.store(u64::MAX, Ordering::Relaxed);
            assert_eq!(haste.is_worth_waking(), call == STREAK);
        }
    }

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

    /// A crew whose helper sleeps through some rounds, or comes in the middle of one, does every
    /// ticket once, and each round is done before the next begins.
    #[test]
    fn rounds_follow_each_other_whenever_the_helpers_come() {
        for count in [2, 3, 5] {
            let threads = Threads::new(count);
            for pause in [Duration::ZERO, 3 * LINGER] {
                for tickets in [1, 2, 7, 64] {
                    std::thread::sleep(pause);
                    let mut crew = threads.crew();
                    let done: Vec<AtomicUsize> =
                        (0..tickets).map(|_| AtomicUsize::new(0)).collect();
                    for round in 0..20 {
                        crew.for_each(tickets, |ticket| {
                            assert_eq!(done[ticket].fetch_add(1, Ordering::Relaxed), round);
                        });
                        assert!(done.iter().all(|done| done.load(Ordering::Relaxed) == round + 1));
                    }
                }
            }
        }
    }

    #[test]
    fn helpers_belong_to_one_caller_at_a_time() {
        let threads = Threads::new(3);
        let (first, second) = (threads.crew(), threads.crew());
        assert_eq!((first.count(), second.count()), (3, 1));
        drop(first);
        // One of three threads is another caller's.
        let third = threads.crew();
        assert_eq!(third.count(), 2);
        drop((second, third));
        assert_eq!(threads.crew().count(), 3);
    }

    #[test]
    fn short_work_wakes_nobody_unless_it_comes_often() {
        let threads = Threads::new(2);
        assert_eq!(threads.crew_at_hand().count(), 1);
        // Whether calls follow each other closely is up to the machine.
        let mut calls = 0..1_000_000;
        assert!(calls.any(|_| threads.crew_at_hand().count() == 2), "in quick succession");
    }

    #[test]
    fn a_worker_of_rayon_works_alone() {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(2).build().unwrap();
        let threads = Threads::new(2);
        assert_eq!(pool.install(|| threads.crew().count()), 1);
        assert_eq!(threads.crew().count(), 2);
    }
}
