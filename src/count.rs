//! A count that many threads raise at once.

use std::arch::asm;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// Places that the threads are spread over.
const PLACES: usize = 64;

/// A count whose places belong to one thread each. A single word would wander from core to core
/// with every tiny product, and to lock even a word of one's own takes a fifth of the time of one.
#[derive(Debug)]
pub struct Count {
    places: [Place; PLACES],
    /// What threads count that found their places taken.
    others: AtomicU64,
}

/// The count of one thread, apart from the others' cache lines and from those that are fetched with
/// them.
#[derive(Debug)]
#[repr(align(128))]
struct Place {
    /// The number of the thread; 0 until there is one.
    owner: AtomicUsize,
    /// Written by the owner only. A thread that gets the number of one that has ended goes on where
    /// that stopped.
    count: AtomicU64,
}

impl Count {
    /// Nothing counted yet.
    pub const fn new() -> Self {
        Count { places: [const { Place::unowned() }; PLACES], others: AtomicU64::new(0) }
    }

    /// Counts one more.
    #[inline(always)]
    pub fn raise(&self) {
        let me = thread();
        let place = self.place(me);
        if place.owner.load(Ordering::Relaxed) == me {
            place.raise();
        } else {
            self.raise_elsewhere(me);
        }
    }

    /// [`Count::raise`] of a thread without a place.
    #[cold]
    fn raise_elsewhere(&self, me: usize) {
        let place = self.place(me);
        match place.owner.compare_exchange(0, me, Ordering::Relaxed, Ordering::Relaxed) {
            Ok(_) => place.raise(),
            Err(_) => _ = self.others.fetch_add(1, Ordering::Relaxed),
        }
    }

    /// The only place that a thread may own.
    #[inline(always)]
    fn place(&self, thread: usize) -> &Place {
        // Threads lie some pages apart.
        let mixed = (thread as u64 >> 6).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        &self.places[(mixed >> (u64::BITS - PLACES.ilog2())) as usize]
    }

    /// How many there were.
    pub fn total(&self) -> u64 {
        let places = self.places.iter().map(|place| place.count.load(Ordering::Relaxed));
        places.sum::<u64>() + self.others.load(Ordering::Relaxed)
    }
}

impl Place {
    const fn unowned() -> Self {
        Place { owner: AtomicUsize::new(0), count: AtomicU64::new(0) }
    }

    /// By the owner only.
    #[inline(always)]
    fn raise(&self) {
        self.count.store(self.count.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
    }
}

/// A number that no other living thread of the process has: the address of what it has of its own,
/// where the thread pointer points (x86-64 psABI, section 3.4.6; Arm: `TPIDR_EL0`).
#[inline(always)]
fn thread() -> usize {
    let pointer: usize;
    // SAFETY: reads a word that every thread has, and which never changes.
    #[cfg(target_arch = "x86_64")]
    unsafe {
        asm!("mov {}, fs:0", out(reg) pointer, options(nostack, preserves_flags, readonly));
    }
    // SAFETY: reads a register that user mode may read.
    #[cfg(target_arch = "aarch64")]
    unsafe {
        asm!("mrs {}, tpidr_el0", out(reg) pointer, options(nostack, preserves_flags, nomem));
    }
    pointer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_thread_is_forgotten() {
        let count = Count::new();
        // More threads than places, at once and one after another.
        for _ in 0..2 {
            std::thread::scope(|scope| {
                for _ in 0..2 * PLACES {
                    scope.spawn(|| (0..1000).for_each(|_| count.raise()));
                }
            });
        }
        assert_eq!(count.total(), 4 * PLACES as u64 * 1000);
    }
}
