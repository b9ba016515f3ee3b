//! The two copies of a buffer: what the CPU sees and what the NPU sees.
//!
//! On the board both look at one memory through a write-back CPU cache, and only PREP_BO and
//! FINI_BO make one see the other's bytes. Here the client's pages are the CPU's view and a
//! private copy is the device's:
//!
//! * **FINI_BO** hands over what the CPU wrote: every byte of the client's pages goes to the device
//!   copy, except cache lines that the device wrote since and the CPU did not touch (a clean line
//!   is not written back).
//! * **PREP_BO** fetches what the device wrote, and only that: bytes that the CPU wrote and has not
//!   handed over survive in the client's pages.
//!
//! To tell who wrote a line, the first device write to a block after a synchronisation keeps the
//! block as it was (`base`). A line that differs from it in the device copy was written by the
//! device; one that differs in the client's pages was written by the CPU.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::fd::AsRawFd;

use memmap2::{MmapMut, MmapOptions, MmapRaw};

/// Unit in which writes of the device are noticed, bytes. Pages are whole multiples of it.
const BLOCK: usize = 4096;

/// Cache line of the board's CPUs, bytes: the unit in which a write-back happens.
const LINE: usize = 64;

/// Transparent huge pages are worth asking for from this size on.
const HUGE: usize = 2 << 20;

/// The client's view: pages of the file that it maps. Another process may change them at any time,
/// so they are never a slice.
#[derive(Debug)]
pub struct ClientPages {
    map: MmapRaw,
    offset: u64,
}

impl ClientPages {
    /// Maps `len` bytes of `file` from `offset`.
    pub fn new(file: &File, offset: u64, len: usize) -> io::Result<Self> {
        let map = MmapOptions::new().offset(offset).len(len).map_raw(file)?;
        Ok(ClientPages { map, offset })
    }

    fn read(&self, at: usize, out: &mut [u8]) {
        assert!(at.checked_add(out.len()).is_some_and(|end| end <= self.map.len()));
        // SAFETY: the range is inside the mapping (checked above), which stays mapped as long as
        // `self`, and its file cannot shrink (sealed by its creator). `out` is ours alone. Bytes
        // that the client changes meanwhile arrive old or new, as with any DMA.
        unsafe {
            std::ptr::copy_nonoverlapping(self.map.as_ptr().add(at), out.as_mut_ptr(), out.len());
        }
    }

    fn write(&self, at: usize, data: &[u8]) {
        assert!(at.checked_add(data.len()).is_some_and(|end| end <= self.map.len()));
        // SAFETY: as in `read`; the mapping is writable.
        unsafe {
            std::ptr::copy_nonoverlapping(data.as_ptr(), self.map.as_mut_ptr().add(at), data.len());
        }
    }

    /// The parts that hold data; the client never touched the rest, which reads as zeros and is
    /// not worth a page of memory.
    fn extents(&self, file: &File) -> Vec<Range<usize>> {
        let (start, end) = (self.offset, self.offset + self.map.len() as u64);
        let seek = |from: u64, whence: libc::c_int| -> Option<u64> {
            // SAFETY: lseek takes plain values; nobody relies on this file's position.
            let at = unsafe { libc::lseek(file.as_raw_fd(), from as libc::off_t, whence) };
            u64::try_from(at).ok()
        };
        let mut found = Vec::new();
        let mut from = start;
        while let Some(data) = seek(from, libc::SEEK_DATA).filter(|&data| data < end) {
            let hole = seek(data, libc::SEEK_HOLE).unwrap_or(end).min(end);
            found.push((data - start) as usize..(hole - start) as usize);
            if hole >= end {
                break;
            }
            from = hole;
        }
        found
    }
}

/// The device's view of one buffer. Its memory is allocated when it is first touched.
#[derive(Debug)]
pub struct DeviceCopy {
    data: MmapMut,
    base: MmapMut,
    /// One bit per block: the device wrote to it since the last synchronisation.
    written: Vec<u64>,
}

impl DeviceCopy {
    /// `len` zero bytes; `len` is a multiple of [`BLOCK`].
    pub fn new(len: usize) -> io::Result<Self> {
        let anonymous = || MmapOptions::new().len(len).no_reserve_swap().map_anon();
        let (data, base) = (anonymous()?, anonymous()?);
        if len >= HUGE {
            // Only a hint; a kernel without huge pages refuses it.
            let _ = data.advise(memmap2::Advice::HugePage);
        }
        Ok(DeviceCopy { data, base, written: vec![0; (len / BLOCK).div_ceil(64)] })
    }

    /// The device reads `out.len()` bytes from `at`. Panics outside the buffer.
    pub fn read(&self, at: usize, out: &mut [u8]) {
        out.copy_from_slice(&self.data[at..at + out.len()]);
    }

    /// The device writes `bytes` at `at`. Panics outside the buffer.
    pub fn write(&mut self, at: usize, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        for block in at / BLOCK..=(at + bytes.len() - 1) / BLOCK {
            let bit = 1u64 << (block % 64);
            if self.written[block / 64] & bit == 0 {
                self.written[block / 64] |= bit;
                let range = block * BLOCK..(block + 1) * BLOCK;
                self.base[range.clone()].copy_from_slice(&self.data[range]);
            }
        }
        self.data[at..at + bytes.len()].copy_from_slice(bytes);
    }

    /// FINI_BO: takes over what the CPU wrote to `client`, pages of `file`.
    pub fn hand_over(&mut self, client: &ClientPages, file: &File) {
        for extent in client.extents(file) {
            let mut block = extent.start / BLOCK;
            let end = extent.end.div_ceil(BLOCK);
            while block < end {
                if self.is_written(block) {
                    self.hand_over_lines(block, client);
                    block += 1;
                } else {
                    let run = (block..end).find(|&p| self.is_written(p)).unwrap_or(end);
                    client.read(block * BLOCK, &mut self.data[block * BLOCK..run * BLOCK]);
                    block = run;
                }
            }
        }
    }

    /// PREP_BO: gives `client` what the device wrote.
    pub fn fetch(&mut self, client: &ClientPages) {
        for word in 0..self.written.len() {
            let mut bits = std::mem::take(&mut self.written[word]);
            while bits != 0 {
                self.fetch_lines(word * 64 + bits.trailing_zeros() as usize, client);
                bits &= bits - 1;
            }
        }
    }

    fn is_written(&self, block: usize) -> bool {
        self.written[block / 64] & (1 << (block % 64)) != 0
    }

    /// Takes over the lines of a block that the CPU changed since the device first wrote to it.
    fn hand_over_lines(&mut self, block: usize, client: &ClientPages) {
        let range = block * BLOCK..(block + 1) * BLOCK;
        let mut seen = [0u8; BLOCK];
        client.read(range.start, &mut seen);
        let (data, base) = (&mut self.data[range.clone()], &mut self.base[range]);
        for at in (0..BLOCK).step_by(LINE) {
            let line = at..at + LINE;
            if seen[line.clone()] != base[line.clone()] {
                data[line.clone()].copy_from_slice(&seen[line.clone()]);
                base[line.clone()].copy_from_slice(&seen[line]);
            }
        }
    }

    /// Gives `client` the lines of a block that the device changed, neighbours in one piece.
    fn fetch_lines(&self, block: usize, client: &ClientPages) {
        let end = (block + 1) * BLOCK;
        let changed = |at: usize| self.data[at..at + LINE] != self.base[at..at + LINE];
        let mut at = block * BLOCK;
        while at < end {
            let mut stop = at;
            while stop < end && changed(stop) {
                stop += LINE;
            }
            if stop > at {
                client.write(at, &self.data[at..stop]);
            }
            at = stop + LINE;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::CString;

    use nix::sys::memfd::{MFdFlags, memfd_create};

    use super::*;

    fn pages(len: usize) -> (File, ClientPages, DeviceCopy) {
        let name = CString::new("test").unwrap();
        let file = File::from(memfd_create(name.as_c_str(), MFdFlags::empty()).unwrap());
        file.set_len((BLOCK + len) as u64).unwrap();
        let client = ClientPages::new(&file, BLOCK as u64, len).unwrap();
        (file, client, DeviceCopy::new(len).unwrap())
    }

    fn device_byte(device: &DeviceCopy, at: usize) -> u8 {
        let mut byte = [0];
        device.read(at, &mut byte);
        byte[0]
    }

    fn client_byte(client: &ClientPages, at: usize) -> u8 {
        let mut byte = [0];
        client.read(at, &mut byte);
        byte[0]
    }

    #[test]
    fn a_forgotten_fini_leaves_the_device_with_old_bytes() {
        let (file, client, mut device) = pages(4 * BLOCK);
        client.write(10, &[1]);
        assert_eq!(device_byte(&device, 10), 0);
        device.hand_over(&client, &file);
        assert_eq!(device_byte(&device, 10), 1);
    }

    #[test]
    fn a_forgotten_prep_leaves_the_cpu_with_old_bytes() {
        let (_, client, mut device) = pages(4 * BLOCK);
        device.write(2 * BLOCK - 1, &[7, 8]);
        assert_eq!(client_byte(&client, 2 * BLOCK), 0);
        device.fetch(&client);
        assert_eq!(client_byte(&client, 2 * BLOCK - 1), 7);
        assert_eq!(client_byte(&client, 2 * BLOCK), 8);
    }

    #[test]
    fn prep_keeps_what_the_cpu_wrote_and_has_not_handed_over() {
        let (file, client, mut device) = pages(BLOCK);
        client.write(0, &[1; 256]);
        device.hand_over(&client, &file);
        device.write(64, &[2; 64]);
        client.write(192, &[3; 8]);
        device.fetch(&client);
        assert_eq!((client_byte(&client, 0), client_byte(&client, 64)), (1, 2));
        assert_eq!(client_byte(&client, 192), 3);
        assert_eq!(device_byte(&device, 192), 1);
    }

    #[test]
    fn fini_without_prep_keeps_the_devices_result() {
        let (file, client, mut device) = pages(2 * BLOCK);
        client.write(0, &[1; 2 * BLOCK]);
        device.hand_over(&client, &file);
        device.write(100, &[2; 20]);
        client.write(BLOCK, &[4; 8]);
        client.write(1000, &[5; 8]);
        device.hand_over(&client, &file);
        assert_eq!(device_byte(&device, 100), 2, "the CPU's line is clean");
        assert_eq!(device_byte(&device, 1000), 5, "the CPU's line is dirty");
        assert_eq!(device_byte(&device, BLOCK), 4);
        device.fetch(&client);
        assert_eq!(client_byte(&client, 100), 2);
        assert_eq!(client_byte(&client, 1000), 5);
    }

    #[test]
    fn large_buffers_cost_only_what_is_touched() {
        let (file, client, mut device) = pages(1 << 30);
        client.write(1 << 29, &[9; 3]);
        device.hand_over(&client, &file);
        assert_eq!(device_byte(&device, (1 << 29) + 2), 9);
        assert_eq!(client.extents(&file).len(), 1);
    }
}
