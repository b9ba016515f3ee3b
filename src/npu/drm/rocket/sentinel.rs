//! Knowing when the kernel has let go of finished jobs.
//!
//! A finished job holds its buffers until a worker of the kernel frees it, some time later. When
//! the file is closed before that, Linux 7.3 frees the file's state first and the job's buffers
//! then use it: memory of the kernel is corrupted. No call waits for the freeing of a job, so
//! this makes it visible.
//!
//! The *sentinel* is a buffer object of one page, the first that the file makes, and the last
//! that every job lists: freeing a job lets go of the sentinel after all else. To drain, its
//! handle is closed and a page is asked for until it comes at the sentinel's old IOVA: then no
//! job holds the old one. The address is sure to be chosen as soon as it is free, because the
//! kernel takes the smallest hole that fits and no other hole is as small: behind the sentinel
//! lies a *guard* of two pages that stays, and every other buffer has an even number of pages.

use super::super::sys::Node;
use super::buffer::{Handle, create};
use crate::npu::driver::DriverError;
use std::sync::Arc;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// How long a drain takes at most. Longer than the kernel lets a job run (500 ms).
const PATIENCE: Duration = Duration::from_secs(1);
/// Pauses between attempts, first and longest. The kernel's worker rarely needs even one.
const PAUSES: (Duration, Duration) = (Duration::from_micros(20), Duration::from_millis(2));

/// The sentinel of one open file.
#[derive(Debug)]
pub struct Sentinel {
    node: Arc<Node>,
    page: u32,
    /// IOVA of the sentinel, 0 in every kernel so far.
    home: u32,
    /// The sentinel; `None` after a drain that ran out of patience.
    handle: Option<Handle>,
    _guard: Handle,
}

impl Sentinel {
    /// Makes the sentinel of a file that has no buffers yet. `page` is the size of a page.
    pub fn new(node: &Arc<Node>, page: usize) -> Result<Sentinel, DriverError> {
        let page = u32::try_from(page).map_err(|e| DriverError::NoMemory(e.to_string()))?;
        let (handle, home, _) = create(node, page)?;
        let (guard, _, _) = create(node, 2 * page)?;
        Ok(Sentinel { node: Arc::clone(node), page, home, handle: Some(handle), _guard: guard })
    }

    /// The handle to list last among those that a job writes.
    ///
    /// # Errors
    /// [`DriverError::TimedOut`] while jobs from before a failed drain have not been freed.
    pub fn handle(&mut self) -> Result<u32, DriverError> {
        if self.handle.is_none() {
            self.handle = self.renew()?;
        }
        self.handle.as_ref().map(|handle| handle.id).ok_or(DriverError::TimedOut)
    }

    /// Returns when the kernel has freed every job, or when patience is at its end or the device
    /// is gone.
    pub fn drain(&mut self) {
        self.handle = None;
        let deadline = Instant::now() + PATIENCE;
        let mut pause = PAUSES.0;
        loop {
            match self.renew() {
                Ok(None) if Instant::now() < deadline => {
                    sleep(pause);
                    pause = (2 * pause).min(PAUSES.1);
                }
                Ok(renewed) => return self.handle = renewed,
                Err(_) => return,
            }
        }
    }

    /// A new sentinel, if its address is free.
    fn renew(&self) -> Result<Option<Handle>, DriverError> {
        let (handle, iova, _) = create(&self.node, self.page)?;
        Ok((iova == self.home).then_some(handle))
    }
}
