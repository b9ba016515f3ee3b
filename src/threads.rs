//! The library's own thread pool: the caller and its helpers share out tickets.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

/// A number of threads that work together: the calling thread and the workers of a private
/// rayon pool. A pool belongs to the process that made it; [`crate::runtime`] makes a new one
/// in a forked child.
///
/// The helpers serve one caller at a time. A second caller does not queue: it works alone.
#[derive(Debug)]
pub struct Threads {
    helpers: Option<rayon::ThreadPool>,
    count: usize,
    taken: AtomicBool,
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
        Threads { helpers: pool, count, taken: AtomicBool::new(false) }
    }

    /// The calling thread alone.
    pub fn alone() -> Self {
        Threads { helpers: None, count: 1, taken: AtomicBool::new(false) }
    }

    /// How many threads take part, the caller included; at least 1.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Calls `work(ticket)` once for every ticket below `tickets`, on all threads, in no fixed
    /// order, and returns when the last one is done. Tickets are handed out one by one, so
    /// uneven work and uneven cores balance themselves.
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
            let mut scratch = init();
            loop {
                let ticket = next.fetch_add(1, Ordering::Relaxed);
                if ticket >= tickets {
                    break;
                }
                work(&mut scratch, ticket);
            }
        };
        match self.helpers.as_ref().filter(|_| tickets > 1).zip(self.take()) {
            Some((pool, _taken)) => pool.in_place_scope(|scope| {
                for _ in 0..(self.count - 1).min(tickets - 1) {
                    scope.spawn(|_| take_tickets());
                }
                take_tickets();
            }),
            None => take_tickets(),
        }
    }

    /// Claims the helpers, unless another caller has them.
    fn take(&self) -> Option<Taken<'_>> {
        (!self.taken.swap(true, Ordering::Acquire)).then_some(Taken(&self.taken))
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
}
