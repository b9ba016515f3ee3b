//! The lanes of a device and their buffers.

use super::driver::{Buffer, Context, DriverError};
use std::time::Instant;

/// Bytes of spare buffers that a lane keeps between calls.
const SPARE_BYTES: usize = 128 << 20;

/// One open context with the buffers it keeps for the next call.
///
/// A lane keeps at most one core busy. Its buffers are of no use to another lane: each context
/// has an address space of its own.
#[derive(Debug)]
pub struct Lane {
    /// The open node.
    pub context: Box<dyn Context>,
    spare: Vec<Box<dyn Buffer>>,
    /// Buffers that a job may still read or write because a wait for it timed out.
    stuck: Vec<Box<dyn Buffer>>,
}

impl Lane {
    /// A lane over a freshly opened context.
    pub fn new(context: Box<dyn Context>) -> Self {
        Lane { context, spare: Vec::new(), stuck: Vec::new() }
    }

    /// A buffer of at least `len` bytes and less than twice that: the kernel's cache maintenance
    /// always covers the whole buffer. Its contents are anything.
    pub fn take(&mut self, len: usize) -> Result<Box<dyn Buffer>, DriverError> {
        let class = size_class(len);
        let best = (0..self.spare.len())
            .filter(|&i| (len..class.saturating_mul(2)).contains(&self.spare[i].len()))
            .min_by_key(|&i| self.spare[i].len());
        match best {
            Some(i) => Ok(self.spare.swap_remove(i)),
            None => self.context.allocate(class).or_else(|_| {
                // Spare buffers of other sizes may be what fills the address space.
                self.spare.clear();
                self.context.allocate(class)
            }),
        }
    }

    /// Takes a buffer back that no job uses any more.
    pub fn give(&mut self, buffer: Box<dyn Buffer>) {
        let kept: usize = self.spare.iter().map(|b| b.len()).sum();
        if kept + buffer.len() <= SPARE_BYTES {
            self.spare.push(buffer);
        }
    }

    /// Keeps buffers that a job may still use until [`Lane::if_free`] finds that it does not.
    pub fn keep_stuck(&mut self, buffers: impl IntoIterator<Item = Box<dyn Buffer>>) {
        self.stuck.extend(buffers);
    }

    /// The lane itself, unless a job of an earlier call is still on the device.
    pub fn if_free(&mut self) -> Option<&mut Lane> {
        let now = Instant::now();
        if self.stuck.iter().any(|b| b.to_host(now) == Err(DriverError::TimedOut)) {
            return None;
        }
        self.stuck.clear();
        Some(self)
    }
}

/// Rounds a length up so that calls of similar shapes share buffers: to a sixteenth of the next
/// lower power of two, at least to 4 KiB.
fn size_class(len: usize) -> usize {
    let step = (len.next_power_of_two() / 16).max(4096);
    len.max(1).next_multiple_of(step)
}

#[cfg(test)]
mod tests {
    use super::size_class;

    #[test]
    fn classes_cover_and_waste_little() {
        for len in [0, 1, 4095, 4096, 4097, 100_000, 1 << 20, (1 << 20) + 1, 77_777_777] {
            let class = size_class(len);
            assert!(class >= len.max(1));
            assert!(class <= (len + len / 8).max(4096) + 4096, "{len} -> {class}");
        }
    }
}
