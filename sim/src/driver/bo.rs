//! Buffer objects and the address space of one open file.
//!
//! A buffer lives as long as anything refers to it: a handle, a job, or a mapping of the client.
//! Its IOVA, its mmap offset and its memory become free together, when the last reference goes.

use std::collections::BTreeMap;
use std::fs::File;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, RwLock, Weak};

use nix::errno::Errno;
use nix::fcntl::{FallocateFlags, fallocate};

use super::coherence::{ClientPages, DeviceCopy};
use super::fence::Fence;
use super::mm::RangeAllocator;
use crate::model::{Memory, Unmapped};
use crate::sync::{lock, read, write};

/// Where the mmap offsets of buffers begin: DRM keeps the first 4 GiB of a node's file offsets to
/// itself.
pub const OFFSETS_START: u64 = 1 << 32;

/// How far mmap offsets reach with pages of `page` bytes: 256 times the whole pages below
/// [`OFFSETS_START`], but for its last.
pub const fn offsets_size(page: u64) -> u64 {
    (OFFSETS_START - 1) / page * 256 * page
}

/// The IOVA window of the NPU's IOMMU: 32 bits.
const IOVA_SIZE: u64 = 1 << 32;

/// The mmap offsets of all files of a node.
pub type Offsets = Arc<Mutex<RangeAllocator>>;

/// What one open file of the node owns: its IOVAs, and the file that clients map.
#[derive(Debug)]
pub struct Space {
    file: File,
    page: u64,
    offsets: Offsets,
    iovas: Mutex<Iovas>,
    /// Jobs that refer to buffers of this space and are not freed yet.
    unfreed_jobs: AtomicUsize,
}

#[derive(Debug)]
struct Iovas {
    ranges: RangeAllocator,
    bos: BTreeMap<u64, Weak<Bo>>,
}

impl Space {
    /// An empty space over `file`, whose pages of `page` bytes clients map at the offsets of
    /// `offsets`.
    pub fn new(file: File, page: u64, offsets: Offsets) -> Self {
        let iovas = Iovas { ranges: RangeAllocator::new(0, IOVA_SIZE), bos: BTreeMap::new() };
        Space { file, page, offsets, iovas: Mutex::new(iovas), unfreed_jobs: AtomicUsize::new(0) }
    }

    /// The file that clients map.
    pub fn file(&self) -> &File {
        &self.file
    }

    /// A new buffer of `size` bytes, zero-filled.
    ///
    /// Errors, in the kernel's order: `ENOSPC` when size is 0 or mmap offsets are used up, `ENOSPC`
    /// when IOVAs are used up, `ENOMEM` from 2 GiB on (the driver keeps the mapped length in an
    /// `int`) or when there is no memory.
    pub fn create(self: &Arc<Self>, size: u32) -> Result<Arc<Bo>, Errno> {
        let len = u64::from(size).next_multiple_of(self.page);
        // DRM counts mmap offsets in pages; IOVAs are allocated in bytes, unrounded.
        let offset = lock(&self.offsets).insert(len, self.page).ok_or(Errno::ENOSPC)?;
        let bo = self.map(size, len, offset);
        if bo.is_err() {
            lock(&self.offsets).remove(offset);
        }
        bo
    }

    fn map(self: &Arc<Self>, size: u32, len: u64, offset: u64) -> Result<Arc<Bo>, Errno> {
        let mut iovas = lock(&self.iovas);
        let iova = iovas.ranges.insert(size.into(), self.page).ok_or(Errno::ENOSPC)?;
        let pages = if len < 1 << 31 {
            let len = len as usize;
            ClientPages::new(&self.file, offset, len).and_then(|c| Ok((c, DeviceCopy::new(len)?)))
        } else {
            Err(Errno::ENOMEM.into())
        };
        let Ok((client, device)) = pages else {
            iovas.ranges.remove(iova);
            return Err(Errno::ENOMEM);
        };
        let bo = Arc::new(Bo {
            len,
            iova,
            offset,
            space: self.clone(),
            client,
            device: RwLock::new(device),
            last_writer: Mutex::new(None),
        });
        iovas.bos.insert(iova, Arc::downgrade(&bo));
        Ok(bo)
    }

    /// The buffers as a job that starts now reaches them.
    pub fn view(&self) -> AddressView {
        AddressView { bos: lock(&self.iovas).bos.values().filter_map(Weak::upgrade).collect() }
    }

    /// Counts a job that refers to buffers, or its end.
    pub fn count_job(&self, born: bool) {
        if born {
            self.unfreed_jobs.fetch_add(1, Ordering::Relaxed);
        } else {
            self.unfreed_jobs.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// Jobs that still hold references to buffers.
    pub fn unfreed_jobs(&self) -> usize {
        self.unfreed_jobs.load(Ordering::Relaxed)
    }
}

/// One buffer.
#[derive(Debug)]
pub struct Bo {
    len: u64,
    iova: u64,
    offset: u64,
    space: Arc<Space>,
    client: ClientPages,
    device: RwLock<DeviceCopy>,
    last_writer: Mutex<Option<Arc<Fence>>>,
}

impl Bo {
    /// Length in bytes: whole pages.
    pub fn size(&self) -> u64 {
        self.len
    }

    /// Address for the NPU.
    pub fn iova(&self) -> u64 {
        self.iova
    }

    /// Offset for mmap.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// FINI_BO's half of coherence.
    pub fn hand_over(&self) {
        write(&self.device).hand_over(&self.client, &self.space.file);
    }

    /// PREP_BO's half of coherence.
    pub fn fetch(&self) {
        write(&self.device).fetch(&self.client);
    }

    /// The fence of the last job that writes this buffer, unless it is signalled. Jobs of one file
    /// run in order, so it is the last to be signalled too.
    pub fn pending(&self) -> Option<Arc<Fence>> {
        lock(&self.last_writer).as_ref().filter(|fence| !fence.is_signalled()).cloned()
    }

    /// Makes `fence` the one to wait for.
    pub fn attach(&self, fence: &Arc<Fence>) {
        *lock(&self.last_writer) = Some(fence.clone());
    }
}

impl Drop for Bo {
    fn drop(&mut self) {
        let mut iovas = lock(&self.space.iovas);
        iovas.bos.remove(&self.iova);
        iovas.ranges.remove(self.iova);
        drop(iovas);
        // The next buffer at this offset must read as zeros. Punching can only fail for want of
        // kernel memory, and then there is nobody to tell.
        let punch = FallocateFlags::FALLOC_FL_PUNCH_HOLE | FallocateFlags::FALLOC_FL_KEEP_SIZE;
        let _ = fallocate(&self.space.file, punch, self.offset as i64, self.len as i64);
        lock(&self.space.offsets).remove(self.offset);
    }
}

/// The NPU's view of a [`Space`]: all buffers, ordered by IOVA. Neighbours are contiguous.
#[derive(Debug)]
pub struct AddressView {
    bos: Vec<Arc<Bo>>,
}

impl AddressView {
    /// Calls `visit` for every buffer under the range: buffer, offset in it, place in the range.
    fn walk(
        &self,
        iova: u64,
        len: usize,
        mut visit: impl FnMut(&Bo, usize, std::ops::Range<usize>),
    ) -> Result<(), Unmapped> {
        let mut next = self.bos.partition_point(|bo| bo.iova + bo.len <= iova);
        let mut done = 0;
        while done < len {
            let at = iova.wrapping_add(done as u64);
            let bo = self.bos.get(next).filter(|bo| bo.iova <= at).ok_or(Unmapped { iova, len })?;
            let inside = (at - bo.iova) as usize;
            let piece = (len - done).min(bo.len as usize - inside);
            visit(bo, inside, done..done + piece);
            done += piece;
            next += 1;
        }
        Ok(())
    }
}

impl Memory for AddressView {
    fn read(&self, iova: u64, out: &mut [u8]) -> Result<(), Unmapped> {
        self.walk(iova, out.len(), |bo, inside, place| {
            read(&bo.device).read(inside, &mut out[place]);
        })
    }

    fn write(&self, iova: u64, data: &[u8]) -> Result<(), Unmapped> {
        self.walk(iova, data.len(), |_, _, _| ())?;
        self.walk(iova, data.len(), |bo, inside, place| {
            write(&bo.device).write(inside, &data[place]);
        })
    }
}
