//! What the engine needs of a kernel driver: contexts, buffers, jobs, waits.

use std::any::Any;
use std::fmt;
use std::path::Path;
use std::time::Instant;

/// A kind of device node, found by the name that DRM_IOCTL_VERSION reports.
pub trait Driver: Sync + fmt::Debug {
    /// Name of the DRM driver.
    fn name(&self) -> &'static str;
    /// Opens a context of its own on the node at `path`.
    fn open(&self, path: &Path) -> Result<Box<dyn Context>, DriverError>;
}

/// One open file of a device node: an address space and a queue that keeps at most one core busy.
///
/// Dropping a context gives everything back in an order that the kernel survives. Its buffers
/// may outlive it. In a forked child a context and its buffers are still the parent's: calls
/// fail with [`DriverError::Gone`], and dropping leaves the device alone.
pub trait Context: Send + fmt::Debug {
    /// The length of every buffer is a multiple of this many bytes, a power of two.
    fn granule(&self) -> usize;
    /// A new buffer of at least `len` bytes, zeroed, mapped into this context's address space.
    fn allocate(&mut self, len: usize) -> Result<Box<dyn Buffer>, DriverError>;
    /// Queues one job and returns at once. That it returns `Ok` proves nothing about the job.
    fn submit(&mut self, job: &Job<'_>) -> Result<(), DriverError>;
    /// Waits until the device has let go of every finished job, so that closing the file or
    /// leaving the process is safe for the kernel. Call it when no job is in flight.
    fn drain(&mut self);
}

/// Tasks that run in order on one core.
#[derive(Debug)]
pub struct Job<'a> {
    /// The programs.
    pub tasks: &'a [TaskRef],
    /// Buffers that the tasks read, the command buffer among them.
    pub reads: &'a [&'a dyn Buffer],
    /// Buffers that the tasks write; none of them also in `reads`.
    pub writes: &'a [&'a dyn Buffer],
}

/// One program in a buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TaskRef {
    /// IOVA of the first word, a multiple of 16.
    pub commands: u32,
    /// Number of 64-bit words, the tail included.
    pub words: u32,
}

/// A DMA buffer that owns its handle and its mapping. The device may change its contents at any
/// time, so it is only ever copied from and to, never borrowed. Threads may copy at once as long
/// as none writes bytes that another copies.
pub trait Buffer: Send + Sync + fmt::Debug {
    /// Address of the first byte as the device sees it.
    fn iova(&self) -> u32;
    /// Usable bytes.
    fn len(&self) -> usize;
    /// Whether the buffer has no bytes at all.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// Copies `data` to the byte `offset`.
    ///
    /// # Panics
    /// When the range is not inside the buffer.
    fn write(&self, offset: usize, data: &[u8]);
    /// Copies bytes from `offset` on into `out`.
    ///
    /// # Panics
    /// When the range is not inside the buffer.
    fn read(&self, offset: usize, out: &mut [u8]);
    /// Copies little-endian 32-bit integers from byte `offset` on into `out`.
    ///
    /// # Panics
    /// When the range is not inside the buffer.
    fn read_i32(&self, offset: usize, out: &mut [i32]);
    /// Hands the contents to the device: what was written before is what it will read.
    fn to_device(&self) -> Result<(), DriverError>;
    /// Waits until no job writes the buffer, at most until `deadline`, then fetches its
    /// contents: what is read afterwards is what the device wrote.
    fn to_host(&self, deadline: Instant) -> Result<(), DriverError>;
    /// For the driver, to know its own buffers again.
    fn as_any(&self) -> &dyn Any;
}

/// Why a driver could not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DriverError {
    /// The node cannot be opened.
    Open(String),
    /// Another driver serves the node.
    WrongDriver(String),
    /// No memory or no address space for a buffer.
    NoMemory(String),
    /// The deadline passed and the device still holds the buffer.
    TimedOut,
    /// The device is gone.
    Gone,
    /// Any other failure of a system call: its name and its error.
    Call(&'static str, String),
}

impl fmt::Display for DriverError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DriverError::Open(e) => write!(f, "open: {e}"),
            DriverError::WrongDriver(name) => write!(f, "served by driver {name:?}"),
            DriverError::NoMemory(e) => write!(f, "no memory: {e}"),
            DriverError::TimedOut => f.write_str("timed out"),
            DriverError::Gone => f.write_str("the device is gone"),
            DriverError::Call(call, e) => write!(f, "{call}: {e}"),
        }
    }
}
impl std::error::Error for DriverError {}
