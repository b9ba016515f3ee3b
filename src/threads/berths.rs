//! Where helpers wake: on another CPU than the caller's.
//!
//! A scheduler may put a woken thread on the CPU of the one that woke it, although others are
//! idle: some like to keep CPUs asleep, and a helper that slept looks like little work. There it
//! waits until the caller's time slice ends, milliseconds later, while the caller computes alone.
//! So the caller bars its own CPU to the sleepers before it wakes them. As soon as a helper runs
//! it lifts the bar, and is free to be moved like any other thread.

use std::sync::atomic::{AtomicI32, Ordering};

/// The places of all helpers of a pool.
pub(super) struct Berths(Box<[Berth]>);

/// The place of one helper.
struct Berth {
    /// The helper's number for the kernel, 0 until it has come once.
    thread: AtomicI32,
    /// The CPU that is barred to it, or [`NONE`].
    barred: AtomicI32,
}

/// Most helpers that are kept off a CPU.
const MOST: usize = 7;

/// No CPU.
const NONE: i32 = -1;

impl Berths {
    pub fn new(helpers: usize) -> Self {
        let berth = || Berth { thread: AtomicI32::new(0), barred: AtomicI32::new(NONE) };
        Berths((0..helpers).map(|_| berth()).collect())
    }

    /// Tells the place of the calling helper, which has the number `index`.
    pub fn settle(&self, index: usize) {
        // SAFETY: asks for a number.
        self.0[index].thread.store(unsafe { libc::gettid() }, Ordering::Relaxed);
    }

    /// Keeps the helpers off the calling thread's CPU until they have woken. Does nothing where
    /// the system does not let it, nor with many helpers: one of them more or less is not worth two
    /// calls of the kernel for each. Only for the caller that has the helpers.
    pub fn bar(&self) {
        if self.0.len() > MOST {
            return;
        }
        // SAFETY: asks for a number.
        let cpu = unsafe { libc::sched_getcpu() };
        for berth in &self.0 {
            let thread = berth.thread.load(Ordering::Relaxed);
            // What is barred already stays so until it is lifted: nobody would remember two.
            let (free, relaxed) = (NONE, Ordering::Relaxed);
            if thread == 0 || berth.barred.compare_exchange(free, cpu, relaxed, relaxed).is_err() {
                continue;
            }
            if !change(thread, cpu, Change::Remove) {
                berth.barred.store(NONE, Ordering::Relaxed);
            } else if berth.barred.load(Ordering::Relaxed) == NONE {
                // The helper came just before that, and found nothing to lift.
                change(thread, cpu, Change::Add);
            }
        }
    }

    /// Lifts the bar, on the helper itself.
    pub fn arrive(&self) {
        let own = rayon::current_thread_index().and_then(|index| self.0.get(index));
        let barred = own.map_or(NONE, |berth| berth.barred.swap(NONE, Ordering::Relaxed));
        if barred != NONE {
            change(0, barred, Change::Add);
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Change {
    Add,
    Remove,
}

/// Changes on which CPUs a thread may run, by one; returns whether it did. The last CPU stays.
fn change(thread: libc::pid_t, cpu: i32, change: Change) -> bool {
    let Some(cpu) = usize::try_from(cpu).ok().filter(|&cpu| cpu < libc::CPU_SETSIZE as usize)
    else {
        return false;
    };
    // SAFETY: a set is plain bits, read and written within its size; the CPU is one of its own.
    unsafe {
        let mut cpus: libc::cpu_set_t = std::mem::zeroed();
        let size = size_of_val(&cpus);
        if libc::sched_getaffinity(thread, size, &mut cpus) != 0 {
            return false;
        }
        match change {
            Change::Add => libc::CPU_SET(cpu, &mut cpus),
            Change::Remove => {
                if !libc::CPU_ISSET(cpu, &cpus) || libc::CPU_COUNT(&cpus) == 1 {
                    return false;
                }
                libc::CPU_CLR(cpu, &mut cpus);
            }
        }
        libc::sched_setaffinity(thread, size, &cpus) == 0
    }
}
