//! A device buffer that is ordinary memory, and never seen by a device.

use npublas::npu::driver::{Buffer, DriverError};
use std::any::Any;
use std::cell::UnsafeCell;
use std::time::Instant;

/// Some bytes.
#[derive(Debug)]
pub struct Memory(Box<[UnsafeCell<u8>]>);

// SAFETY: threads may copy at once as long as none writes bytes that another copies, which is
// what the trait asks of its users.
unsafe impl Sync for Memory {}

impl Memory {
    pub fn new(len: usize) -> Memory {
        Memory((0..len).map(|_| UnsafeCell::new(0)).collect())
    }

    /// Address of byte `offset`, of which `count` must be inside.
    fn at(&self, offset: usize, count: usize) -> *mut u8 {
        let bytes = &self.0[offset..][..count];
        UnsafeCell::raw_get(bytes.as_ptr())
    }
}

impl Buffer for Memory {
    fn iova(&self) -> u32 {
        0
    }
    fn len(&self) -> usize {
        self.0.len()
    }
    fn write(&self, offset: usize, data: &[u8]) {
        let to = self.at(offset, data.len());
        // SAFETY: both ranges are valid, and no reference into the memory is ever given out.
        unsafe { std::ptr::copy_nonoverlapping(data.as_ptr(), to, data.len()) }
    }
    fn read(&self, offset: usize, out: &mut [u8]) {
        let from = self.at(offset, out.len());
        // SAFETY: as in `write`.
        unsafe { std::ptr::copy_nonoverlapping(from, out.as_mut_ptr(), out.len()) }
    }
    fn read_i32(&self, offset: usize, out: &mut [i32]) {
        let from = self.at(offset, size_of_val(out));
        // SAFETY: as in `write`; any bytes are integers.
        unsafe { std::ptr::copy_nonoverlapping(from, out.as_mut_ptr().cast(), size_of_val(out)) }
    }
    fn to_device(&self) -> Result<(), DriverError> {
        Ok(())
    }
    fn to_host(&self, _: Instant) -> Result<(), DriverError> {
        Ok(())
    }
    fn as_any(&self) -> &dyn Any {
        self
    }
}
