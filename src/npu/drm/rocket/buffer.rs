//! A buffer object: its handle, its address, its mapping.

use super::super::sys::Node;
use crate::npu::driver::{Buffer, DriverError};
use memmap2::MmapRaw;
use std::any::Any;
use std::ptr;
use std::sync::Arc;
use std::time::Instant;

/// A GEM handle, closed when dropped; not in a forked child, whose handles are its parent's.
#[derive(Debug)]
pub struct Handle {
    node: Arc<Node>,
    pub id: u32,
}

impl Drop for Handle {
    fn drop(&mut self) {
        // There is nothing to be done about a failure: the file's end closes all handles.
        let _ = self.node.gem_close(self.id);
    }
}

/// Makes a buffer object and returns its handle, IOVA and mmap offset.
pub fn create(node: &Arc<Node>, size: u32) -> Result<(Handle, u32, u64), DriverError> {
    let bo = node.rocket_create_bo(size)?;
    let handle = Handle { node: Arc::clone(node), id: bo.handle };
    let iova = u32::try_from(bo.dma_address)
        .ok()
        .filter(|iova| iova.checked_add(size - 1).is_some())
        .ok_or_else(|| DriverError::NoMemory(format!("IOVA {:#x}", bo.dma_address)))?;
    Ok((handle, iova, bo.offset))
}

/// A mapped buffer object.
#[derive(Debug)]
pub struct Bo {
    // Fields are dropped in this order: first the mapping, then the handle.
    map: MmapRaw,
    handle: Handle,
    iova: u32,
}

impl Bo {
    /// A zeroed buffer object of `size` bytes, a multiple of the page size.
    pub fn new(node: &Arc<Node>, size: u32) -> Result<Bo, DriverError> {
        let (handle, iova, offset) = create(node, size)?;
        Ok(Bo { map: node.map(offset, size as usize)?, handle, iova })
    }

    /// Whether the buffer was made by this open file.
    pub fn is_of(&self, node: &Arc<Node>) -> bool {
        Arc::ptr_eq(&self.handle.node, node)
    }

    /// The handle.
    pub fn id(&self) -> u32 {
        self.handle.id
    }

    /// Address of byte `offset` in this process.
    ///
    /// # Panics
    /// Unless `count` bytes from there on are inside the buffer.
    fn at(&self, offset: usize, count: usize) -> *mut u8 {
        let len = self.map.len();
        let inside = offset <= len && count <= len - offset;
        assert!(inside, "{count} bytes at {offset} are not in a buffer of {len}");
        // SAFETY: inside the mapping, as just checked.
        unsafe { self.map.as_mut_ptr().add(offset) }
    }
}

impl Buffer for Bo {
    fn iova(&self) -> u32 {
        self.iova
    }

    fn len(&self) -> usize {
        self.map.len()
    }

    fn write(&self, offset: usize, data: &[u8]) {
        let to = self.at(offset, data.len());
        // SAFETY: both ranges are valid for `data.len()` bytes. No reference into a mapping
        // exists anywhere, so they do not overlap.
        unsafe { ptr::copy_nonoverlapping(data.as_ptr(), to, data.len()) }
    }

    fn read(&self, offset: usize, out: &mut [u8]) {
        let from = self.at(offset, out.len());
        // SAFETY: as in `write`; any bytes are a `[u8]`.
        unsafe { ptr::copy_nonoverlapping(from, out.as_mut_ptr(), out.len()) }
    }

    fn read_i32(&self, offset: usize, out: &mut [i32]) {
        let from = self.at(offset, size_of_val(out));
        // SAFETY: as in `write`; copied as bytes, so `from` needs no alignment; any bytes are
        // an `[i32]`.
        unsafe { ptr::copy_nonoverlapping(from, out.as_mut_ptr().cast(), size_of_val(out)) }
        for value in out {
            *value = i32::from_le(*value);
        }
    }

    fn to_device(&self) -> Result<(), DriverError> {
        self.handle.node.rocket_fini_bo(self.handle.id)
    }

    fn to_host(&self, deadline: Instant) -> Result<(), DriverError> {
        self.handle.node.rocket_prep_bo(self.handle.id, deadline)
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
