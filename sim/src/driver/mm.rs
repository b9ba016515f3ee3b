//! The range allocator that DRM uses for IOVAs and for mmap offsets.
//!
//! Programs see its choices (`dma_address`, `offset`), so it places every range exactly where the
//! kernel's `drm_mm` would in its default mode, best fit: the smallest hole that is large enough;
//! among holes of one size the one that came into being last; within the hole, its lowest aligned
//! address. A hole that alignment makes too small is passed over for the next larger one.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

/// Ranges of one address space: those in use, and the holes between them.
#[derive(Debug)]
pub struct RangeAllocator {
    /// Ranges in use: start to size.
    used: BTreeMap<u64, u64>,
    /// Holes by address: start to (size, age).
    holes: BTreeMap<u64, (u64, u64)>,
    /// The same holes in the order in which an allocation tries them.
    by_size: BTreeSet<(u64, Reverse<u64>, u64)>,
    /// Age of the next hole; larger is younger.
    next_age: u64,
    start: u64,
    end: u64,
}

impl RangeAllocator {
    /// An empty space of `size` addresses from `start`.
    pub fn new(start: u64, size: u64) -> Self {
        let mut space = RangeAllocator {
            used: BTreeMap::new(),
            holes: BTreeMap::new(),
            by_size: BTreeSet::new(),
            next_age: 0,
            start,
            end: start + size,
        };
        space.add_hole(start, size);
        space
    }

    /// Takes `size` addresses at a multiple of `alignment`; `None` when no hole fits or `size` is
    /// 0 (the kernel: `ENOSPC` for both).
    pub fn insert(&mut self, size: u64, alignment: u64) -> Option<u64> {
        if size == 0 {
            return None;
        }
        let (hole, hole_size, start) = self
            .by_size
            .range((size, Reverse(u64::MAX), 0)..)
            .find_map(|&(hole_size, _, hole)| {
                let start = hole.next_multiple_of(alignment);
                (start + size <= hole + hole_size).then_some((hole, hole_size, start))
            })?;
        self.remove_hole(hole);
        self.used.insert(start, size);
        if start > hole {
            self.add_hole(hole, start - hole);
        }
        let (end, hole_end) = (start + size, hole + hole_size);
        if end < hole_end {
            self.add_hole(end, hole_end - end);
        }
        Some(start)
    }

    /// Gives back the range that starts at `start`; it joins the holes beside it into one new
    /// hole. Without effect when no range starts there.
    pub fn remove(&mut self, start: u64) {
        let Some(size) = self.used.remove(&start) else { return };
        let hole_start = self.used.range(..start).next_back().map_or(self.start, |(s, z)| s + z);
        let hole_end = self.used.range(start + size..).next().map_or(self.end, |(s, _)| *s);
        if hole_start < start {
            self.remove_hole(hole_start);
        }
        if hole_end > start + size {
            self.remove_hole(start + size);
        }
        self.add_hole(hole_start, hole_end - hole_start);
    }

    /// The range in use that contains `address`: its start and size.
    pub fn lookup(&self, address: u64) -> Option<(u64, u64)> {
        let (&start, &size) = self.used.range(..=address).next_back()?;
        (address < start + size).then_some((start, size))
    }

    fn add_hole(&mut self, start: u64, size: u64) {
        let age = self.next_age;
        self.next_age += 1;
        self.holes.insert(start, (size, age));
        self.by_size.insert((size, Reverse(age), start));
    }

    fn remove_hole(&mut self, start: u64) {
        if let Some((size, age)) = self.holes.remove(&start) {
            self.by_size.remove(&(size, Reverse(age), start));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: u64 = 4096;

    #[test]
    fn first_range_is_at_the_bottom_and_zero_size_fails() {
        let mut space = RangeAllocator::new(0, 1 << 32);
        assert_eq!(space.insert(0, PAGE), None);
        assert_eq!(space.insert(5000, PAGE), Some(0));
        assert_eq!(space.insert(PAGE, PAGE), Some(2 * PAGE), "rounded up by alignment");
        assert_eq!(space.lookup(4999), Some((0, 5000)));
        assert_eq!(space.lookup(5000), None);
    }

    #[test]
    fn an_unaligned_remainder_is_too_small_for_a_page() {
        let mut space = RangeAllocator::new(0, 1 << 32);
        space.insert(5000, PAGE);
        space.insert(PAGE, PAGE);
        // The hole 5000..8192 has 3192 bytes, but its only page boundary is its end.
        assert_eq!(space.insert(100, PAGE), Some(3 * PAGE));
    }

    #[test]
    fn the_smallest_hole_wins_and_the_youngest_among_equals() {
        let mut space = RangeAllocator::new(0, 64 * PAGE);
        let ranges: Vec<u64> = (0..8).map(|_| space.insert(4 * PAGE, PAGE).unwrap()).collect();
        space.remove(ranges[1]);
        space.remove(ranges[5]);
        space.remove(ranges[3]);
        assert_eq!(space.insert(2 * PAGE, PAGE), Some(ranges[3]), "freed last");
        assert_eq!(space.insert(4 * PAGE, PAGE), Some(ranges[5]), "an exact fit");
        assert_eq!(space.insert(PAGE, PAGE), Some(ranges[3] + 2 * PAGE), "the smallest hole");
        assert_eq!(space.insert(3 * PAGE, PAGE), Some(ranges[1]));
    }

    #[test]
    fn freed_neighbours_join() {
        let mut space = RangeAllocator::new(PAGE, 3 * PAGE);
        let ranges: Vec<u64> = (0..3).map(|_| space.insert(PAGE, PAGE).unwrap()).collect();
        assert_eq!(space.insert(1, 1), None);
        for range in [ranges[0], ranges[2], ranges[1]] {
            space.remove(range);
        }
        space.remove(ranges[1]);
        assert_eq!(space.insert(3 * PAGE, PAGE), Some(PAGE));
    }

    #[test]
    fn random_use_never_overlaps_and_ends_empty() {
        let mut space = RangeAllocator::new(0, 1 << 24);
        let mut live: Vec<(u64, u64)> = Vec::new();
        let mut seed = 1u64;
        let mut random = move |below: u64| {
            seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (seed >> 33) % below
        };
        for _ in 0..4000 {
            if live.is_empty() || random(3) > 0 {
                let size = 1 + random(60_000);
                if let Some(start) = space.insert(size, PAGE) {
                    assert!(start % PAGE == 0);
                    assert!(live.iter().all(|&(s, z)| start + size <= s || s + z <= start));
                    live.push((start, size));
                }
            } else {
                let (start, _) = live.swap_remove(random(live.len() as u64) as usize);
                space.remove(start);
            }
        }
        for (start, _) in live {
            space.remove(start);
        }
        assert_eq!(space.insert(1 << 24, PAGE), Some(0));
    }
}
