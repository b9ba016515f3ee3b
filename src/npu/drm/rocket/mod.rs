//! Linux's `rocket` driver (6.18 and later), `/dev/accel/accel*`.
//!
//! Facts from `drivers/accel/rocket/` of Linux 7.3 that shape this code:
//!
//! * An open file is an address space of 4 GiB and a queue that keeps one core busy at a time.
//! * SUBMIT returns 0 for a job that it drops: one without tasks or with an empty task, with an
//!   unknown handle, or with the same handle twice. What can be checked here is refused here.
//! * A failed or timed-out job (500 ms) ends like any other: the wait for it succeeds.
//! * Waits are for the buffers that a job *writes*; nothing guards those that it reads.
//! * PREP_BO and FINI_BO maintain the caches of the whole buffer: buffers should have the size
//!   that is used.

mod buffer;
mod sentinel;

use super::sys::{Node, meaning, page_size};
use super::uapi::RocketTask;
use crate::npu::driver::{Buffer, Context, Driver, DriverError, Job, TaskRef};
use buffer::Bo;
use sentinel::Sentinel;
use std::path::Path;
use std::sync::Arc;

/// The driver.
#[derive(Debug)]
pub struct Rocket;

impl Driver for Rocket {
    fn name(&self) -> &'static str {
        "rocket"
    }

    fn open(&self, path: &Path) -> Result<Box<dyn Context>, DriverError> {
        let node = Node::open(path).map_err(|e| meaning("open", e))?;
        match node.driver_name()? {
            name if name == self.name() => Ok(Box::new(RocketContext::new(node)?)),
            other => Err(DriverError::WrongDriver(other)),
        }
    }
}

/// One open file. Dropping it drains it; the file is closed with the last of its buffers.
#[derive(Debug)]
struct RocketContext {
    sentinel: Sentinel,
    node: Arc<Node>,
    /// An even number of pages, see `sentinel`.
    granule: usize,
}

impl RocketContext {
    fn new(node: Node) -> Result<RocketContext, DriverError> {
        let node = Arc::new(node);
        let page = page_size()?;
        Ok(RocketContext { sentinel: Sentinel::new(&node, page)?, node, granule: 2 * page })
    }

    /// The handle of `buffer`, which must be one of this file.
    fn handle(&self, buffer: &dyn Buffer) -> Result<u32, DriverError> {
        match buffer.as_any().downcast_ref::<Bo>() {
            Some(bo) if bo.is_of(&self.node) => Ok(bo.id()),
            _ => Err(bad_job("a buffer of another context")),
        }
    }
}

impl Context for RocketContext {
    fn granule(&self) -> usize {
        self.granule
    }

    fn allocate(&mut self, len: usize) -> Result<Box<dyn Buffer>, DriverError> {
        let size = len.max(1).checked_next_multiple_of(self.granule);
        let size = size.and_then(|size| u32::try_from(size).ok());
        let size = size.ok_or_else(|| DriverError::NoMemory(format!("a buffer of {len} bytes")))?;
        Ok(Box::new(Bo::new(&self.node, size)?))
    }

    fn submit(&mut self, job: &Job<'_>) -> Result<(), DriverError> {
        if job.tasks.is_empty() {
            return Err(bad_job("no task"));
        }
        let tasks = job.tasks.iter().map(program).collect::<Result<Vec<_>, _>>()?;

        let mut writes = Vec::with_capacity(job.writes.len() + 1);
        for &buffer in job.writes {
            push_once(self.handle(buffer)?, &[], &mut writes);
        }
        let mut reads = Vec::with_capacity(job.reads.len());
        for &buffer in job.reads {
            push_once(self.handle(buffer)?, &writes, &mut reads);
        }
        writes.push(self.sentinel.handle()?);
        self.node.rocket_submit(&tasks, &reads, &writes)
    }

    fn drain(&mut self) {
        self.sentinel.drain();
    }
}

impl Drop for RocketContext {
    fn drop(&mut self) {
        self.drain();
    }
}

fn program(task: &TaskRef) -> Result<RocketTask, DriverError> {
    if !task.commands.is_multiple_of(16) {
        return Err(bad_job("a program off its alignment"));
    }
    // The kernel halves the number and writes it to a register of 16 bits.
    if !(1..=0x2_0000).contains(&task.words) {
        return Err(bad_job("a program of no or too many words"));
    }
    Ok(RocketTask { regcmd: task.commands, regcmd_count: task.words })
}

/// Appends `handle` unless it is in one of the lists: the kernel drops a job that names a handle
/// twice.
fn push_once(handle: u32, others: &[u32], list: &mut Vec<u32>) {
    if !others.contains(&handle) && !list.contains(&handle) {
        list.push(handle);
    }
}

fn bad_job(what: &str) -> DriverError {
    DriverError::Call("DRM_IOCTL_ROCKET_SUBMIT", format!("not asked: {what}"))
}
