//! The library's own thread pool: the caller and its helpers share out tickets.

use std::sync::atomic::{AtomicUsize, Ordering};

/// A number of threads that work together: the calling thread and the workers of a private
/// rayon pool. A pool belongs to the process that made it; [`crate::runtime`] makes a new one
/// in a forked child.
#[derive(Debug)]
pub struct Threads {
    helpers: Option<rayon::ThreadPool>,
    count: usize,
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
        Threads { helpers: pool, count }
    }

    /// The calling thread alone.
    pub fn alone() -> Self {
        Threads { helpers: None, count: 1 }
    }

    /// How many threads take part, the caller included; at least 1.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Calls `work(ticket)` once for every ticket below `tickets`, on all threads, in no fixed
    /// order, and returns when the last one is done. Tickets are handed out one by one, so
    /// uneven work and uneven cores balance themselves.
    pub fn for_each(&self, tickets: usize, work: impl Fn(usize) + Sync) {
        let next = AtomicUsize::new(0);
        let take_tickets = || {
            loop {
                let ticket = next.fetch_add(1, Ordering::Relaxed);
                if ticket >= tickets {
                    break;
                }
                work(ticket);
            }
        };
        match &self.helpers {
            Some(pool) if tickets > 1 => pool.in_place_scope(|scope| {
                for _ in 0..(self.count - 1).min(tickets - 1) {
                    scope.spawn(|_| take_tickets());
                }
                take_tickets();
            }),
            _ => take_tickets(),
        }
    }
}
