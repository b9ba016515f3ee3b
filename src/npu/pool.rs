//! The lanes of a device and their buffers.

use super::driver::{Buffer, Context, DriverError};
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Bytes of spare buffers that a lane keeps between calls.
const SPARE_BYTES: usize = 128 << 20;

/// How many spare buffers those may be: each is a mapping, of which a process may have some 65,000
/// in all. A call takes five.
const SPARE_BUFFERS: usize = 32;

/// How long a spare buffer may wait for a call that wants it.
const IDLE: Duration = Duration::from_secs(5);

/// One open context with the buffers it keeps for the next call.
///
/// A lane keeps at most one core busy. Its buffers are of no use to another lane: each context
/// has an address space of its own. Spare buffers are bounded in bytes and in age; nothing runs
/// in the background, so it is the next call that gives old ones back.
#[derive(Debug)]
pub struct Lane {
    /// The open node.
    pub context: Box<dyn Context>,
    /// Buffers that wait for a call, the one that waits longest first.
    spare: VecDeque<Spare>,
    /// Buffers that a job may still read or write because a wait for it failed.
    stuck: Vec<Box<dyn Buffer>>,
}

#[derive(Debug)]
struct Spare {
    buffer: Box<dyn Buffer>,
    since: Instant,
}

impl Lane {
    /// A lane over a freshly opened context.
    pub fn new(context: Box<dyn Context>) -> Self {
        Lane { context, spare: VecDeque::new(), stuck: Vec::new() }
    }

    /// A buffer of at least `len` bytes and less than twice that: the kernel's cache maintenance
    /// always covers the whole buffer. Its contents are anything.
    pub fn take(&mut self, len: usize) -> Result<Box<dyn Buffer>, DriverError> {
        let class = size_class(len, self.context.granule());
        let bytes = |i: usize| self.spare[i].buffer.len();
        let best = (0..self.spare.len())
            .filter(|&i| (len..class.saturating_mul(2)).contains(&bytes(i)))
            .min_by_key(|&i| bytes(i));
        match best.and_then(|i| self.spare.remove(i)) {
            Some(spare) => Ok(spare.buffer),
            None => self.context.allocate(class).or_else(|_| {
                // Spare buffers of other sizes may be what fills the address space.
                self.spare.clear();
                self.context.allocate(class)
            }),
        }
    }

    /// Takes a buffer back that no job uses any more. The oldest spare buffers make room for it.
    pub fn give(&mut self, buffer: Box<dyn Buffer>) {
        let mut kept: usize = self.spare.iter().map(|spare| spare.buffer.len()).sum();
        while (kept + buffer.len() > SPARE_BYTES || self.spare.len() >= SPARE_BUFFERS)
            && let Some(oldest) = self.spare.pop_front()
        {
            kept -= oldest.buffer.len();
        }
        if buffer.len() <= SPARE_BYTES {
            self.spare.push_back(Spare { buffer, since: Instant::now() });
        }
    }

    /// Gives spare buffers back to the system that no call wanted for a while.
    pub fn trim(&mut self) {
        let fresh = self.spare.iter().position(|spare| spare.since.elapsed() < IDLE);
        self.spare.drain(..fresh.unwrap_or(self.spare.len()));
    }

    /// Keeps buffers that a job may still use until [`Lane::if_free`] finds that it does not.
    pub fn keep_stuck(&mut self, buffers: impl IntoIterator<Item = Box<dyn Buffer>>) {
        self.stuck.extend(buffers);
    }

    /// The lane itself, unless a job of an earlier call may still be on the device.
    pub fn if_free(&mut self) -> Option<&mut Lane> {
        let now = Instant::now();
        if self.stuck.iter().any(|buffer| buffer.to_host(now).is_err()) {
            return None;
        }
        self.stuck.clear();
        Some(self)
    }

    /// Waits at most until `deadline` for jobs of earlier calls, then until the kernel has let go
    /// of them.
    pub fn settle(&mut self, deadline: Instant) {
        for buffer in &self.stuck {
            // Whatever the answer, there is no more to be done about it.
            let _ = buffer.to_host(deadline);
        }
        self.context.drain();
    }
}

/// Rounds a length up so that calls of similar shapes share buffers: to a sixteenth of the next
/// power of two, or to whole granules where those are larger.
fn size_class(len: usize, granule: usize) -> usize {
    let step = (len.next_power_of_two() / 16).max(granule);
    len.max(1).next_multiple_of(step)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::npu::driver::Job;
    use std::any::Any;

    /// Two pages each of 4, 16 and 64 KiB.
    const GRANULES: [usize; 3] = [8 << 10, 32 << 10, 128 << 10];

    /// Makes buffers, but for their contents.
    #[derive(Debug)]
    struct Maker {
        granule: usize,
    }

    impl Context for Maker {
        fn granule(&self) -> usize {
            self.granule
        }

        fn allocate(&mut self, len: usize) -> Result<Box<dyn Buffer>, DriverError> {
            Ok(Box::new(Length(len.max(1).next_multiple_of(self.granule))))
        }

        fn submit(&mut self, _: &Job<'_>) -> Result<(), DriverError> {
            Err(DriverError::Gone)
        }

        fn drain(&mut self) {}
    }

    #[derive(Debug)]
    struct Length(usize);

    impl Buffer for Length {
        fn iova(&self) -> u32 {
            0
        }
        fn len(&self) -> usize {
            self.0
        }
        fn write(&self, _: usize, _: &[u8]) {}
        fn read(&self, _: usize, _: &mut [u8]) {}
        fn read_i32(&self, _: usize, _: &mut [i32]) {}
        fn to_device(&self) -> Result<(), DriverError> {
            Ok(())
        }
        fn to_host(&self, _: Instant) -> Result<(), DriverError> {
            Err(DriverError::TimedOut)
        }
        fn as_any(&self) -> &dyn Any {
            self
        }
    }

    #[test]
    fn classes_cover_and_waste_little() {
        for granule in GRANULES {
            for len in [0, 1, 4095, 4096, 4097, 100_000, 1 << 20, (1 << 20) + 1, 77_777_777] {
                let class = size_class(len, granule);
                assert!(class >= len.max(1) && class.is_multiple_of(granule), "{len} -> {class}");
                assert!(class <= len + (len / 8).max(granule), "{len} -> {class}");
            }
        }
    }

    #[test]
    fn a_buffer_serves_again_however_small_and_whatever_the_pages() {
        for granule in GRANULES {
            let mut lane = Lane::new(Box::new(Maker { granule }));
            for len in [0, 1, 1024, 4096, 5000, 70_000, 1 << 20, 3_000_000] {
                let buffer = lane.take(len).unwrap();
                assert!(buffer.len() >= len && buffer.len().is_multiple_of(granule));
                lane.give(buffer);
                let before = lane.spare.len();
                let again = lane.take(len).unwrap();
                assert_eq!(lane.spare.len(), before - 1, "{len} bytes, granule {granule}");
                assert!(again.len() < 2 * size_class(len, granule));
            }
        }
    }

    #[test]
    fn spare_buffers_are_used_again_and_bounded() {
        let mut lane = Lane::new(Box::new(Maker { granule: 8192 }));
        for len in (1..200).map(|i| i << 17).chain(1..100) {
            let buffer = lane.take(len).unwrap();
            assert!((len..2 * size_class(len, 8192)).contains(&buffer.len()));
            lane.give(buffer);
            let kept: usize = lane.spare.iter().map(|spare| spare.buffer.len()).sum();
            assert!(kept <= SPARE_BYTES && lane.spare.len() <= SPARE_BUFFERS);
        }
        let latest = lane.spare.back().map(|spare| spare.buffer.len());
        assert_eq!(lane.take(99).ok().map(|buffer| buffer.len()), latest);
        lane.give(Box::new(Length(SPARE_BYTES + 1)));
        assert!(lane.spare.is_empty(), "it is too large to keep, and there was no room beside it");
    }

    #[test]
    fn old_spare_buffers_go() {
        let mut lane = Lane::new(Box::new(Maker { granule: 1 }));
        let Some(old) = Instant::now().checked_sub(2 * IDLE) else { return };
        lane.spare.push_back(Spare { buffer: Box::new(Length(1)), since: old });
        lane.give(Box::new(Length(2)));
        lane.trim();
        assert_eq!(lane.spare.iter().map(|spare| spare.buffer.len()).collect::<Vec<_>>(), [2]);
    }

    #[test]
    fn a_lane_with_a_job_on_the_device_is_not_free() {
        let mut lane = Lane::new(Box::new(Maker { granule: 1 }));
        assert!(lane.if_free().is_some());
        lane.keep_stuck([Box::new(Length(1)) as Box<dyn Buffer>]);
        assert!(lane.if_free().is_none());
    }
}
