//! A count that many threads raise at once.

use std::sync::atomic::{AtomicU64, Ordering};

/// Places that the threads are spread over.
const PLACES: usize = 16;

/// A count with a place for each of some threads. A single word would wander from core to core
/// with every tiny product, which takes several times as long as the product.
#[derive(Debug)]
pub struct Count([Place; PLACES]);

/// One part of a count, apart from the others' cache lines and from those that are fetched with
/// them.
#[derive(Debug)]
#[repr(align(128))]
struct Place(AtomicU64);

impl Count {
    /// Nothing counted yet.
    pub const fn new() -> Self {
        Count([const { Place(AtomicU64::new(0)) }; PLACES])
    }

    /// Counts one more.
    #[inline(always)]
    pub fn raise(&self) {
        // Stacks tell threads apart, without anything to look up; if two share a place, or one
        // thread uses two, it only takes longer.
        let here = 0_u8;
        let stack = (&raw const here) as u64 >> 16;
        let place = stack.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (u64::BITS - PLACES.ilog2());
        self.0[place as usize].0.fetch_add(1, Ordering::Relaxed);
    }

    /// How many there were.
    pub fn total(&self) -> u64 {
        self.0.iter().map(|place| place.0.load(Ordering::Relaxed)).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_thread_is_forgotten() {
        let count = Count::new();
        std::thread::scope(|scope| {
            for _ in 0..40 {
                scope.spawn(|| (0..1000).for_each(|_| count.raise()));
            }
        });
        assert_eq!(count.total(), 40_000);
    }
}
