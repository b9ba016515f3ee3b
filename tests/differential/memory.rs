//! Matrices as callers have them in memory, with pages round them that nobody may touch.

use libc::{PROT_NONE, PROT_READ, PROT_WRITE};
use std::ops::Range;
use std::ptr;

/// What fills every reachable byte that belongs to no element: read as a number of any type it
/// is a NaN, which shows in the result; overwritten, it is missed afterwards.
const FILL: u8 = 0xFF;

/// `lines` lines of `length` elements, `ld` elements apart.
///
/// The pages before the first and behind the last element are forbidden, and so are whole pages
/// between two lines where they are that far apart.
#[derive(Debug)]
pub struct Fenced<T> {
    base: *mut u8,
    reserved: usize,
    /// Offset of the first element.
    first: usize,
    /// The pages that are not forbidden, as offsets, in order.
    open: Vec<Range<usize>>,
    lines: usize,
    length: usize,
    ld: usize,
    element: std::marker::PhantomData<T>,
}

impl<T: Copy> Fenced<T> {
    /// The elements are `FILL` at first. They end at a fence where `at_end`, else they begin at
    /// one; without elements, nothing can be reached.
    pub fn new(lines: usize, length: usize, ld: usize, at_end: bool) -> Fenced<T> {
        // SAFETY: a question without arguments.
        let page = unsafe { libc::sysconf(libc::_SC_PAGESIZE) } as usize;
        let empty = lines == 0 || length == 0;
        let span = if empty { 0 } else { ((lines - 1) * ld + length) * size_of::<T>() };
        let inner = span.next_multiple_of(page);
        let reserved = inner + 2 * page;
        // SAFETY: new anonymous pages that nobody else knows.
        let base = unsafe {
            let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
            libc::mmap(ptr::null_mut(), reserved, PROT_NONE, flags, -1, 0)
        };
        assert_ne!(base, libc::MAP_FAILED, "no address space for {reserved} bytes");
        let first = page + if at_end { inner - span } else { 0 };
        let (lines, length) = if empty { (0, 0) } else { (lines, length) };
        let base = base.cast();
        let element = std::marker::PhantomData;
        let mut it = Fenced { base, reserved, first, open: vec![], lines, length, ld, element };
        for line in 0..lines {
            let Range { start, end } = it.line(line);
            let pages = start / page * page..end.next_multiple_of(page);
            match it.open.last_mut() {
                Some(last) if pages.start <= last.end => last.end = pages.end,
                _ => it.open.push(pages),
            }
        }
        it.allow(PROT_READ | PROT_WRITE);
        for pages in &it.open {
            // SAFETY: these pages are ours and open.
            unsafe { it.base.add(pages.start).write_bytes(FILL, pages.len()) };
        }
        it
    }

    /// Lets nobody write the elements any more; nor read them, where not `readable`.
    pub fn seal(&self, readable: bool) {
        self.allow(if readable { PROT_READ } else { PROT_NONE });
    }

    fn allow(&self, access: i32) {
        for pages in &self.open {
            // SAFETY: whole pages of our own mapping; no reference points into them.
            let done =
                unsafe { libc::mprotect(self.base.add(pages.start).cast(), pages.len(), access) };
            assert_eq!(done, 0, "mprotect");
        }
    }

    /// Offsets of the bytes of a line.
    fn line(&self, line: usize) -> Range<usize> {
        let start = self.first + line * self.ld * size_of::<T>();
        start..start + self.length * size_of::<T>()
    }

    /// The first element, or an address nobody may touch.
    pub fn ptr(&self) -> *mut T {
        self.base.wrapping_add(self.first).cast()
    }

    fn at(&self, line: usize, place: usize) -> *mut T {
        assert!(line < self.lines && place < self.length);
        self.ptr().wrapping_add(line * self.ld + place)
    }

    /// An element.
    pub fn get(&self, line: usize, place: usize) -> T {
        // SAFETY: inside, aligned because elements and pages are powers of two, and any bits are
        // a number.
        unsafe { self.at(line, place).read() }
    }

    /// Changes an element.
    pub fn set(&mut self, line: usize, place: usize, value: T) {
        // SAFETY: as in `get`; nothing was sealed yet.
        unsafe { self.at(line, place).write(value) }
    }

    /// Asserts that nothing but elements was ever written.
    pub fn assert_untouched(&self) {
        let mut lines = (0..self.lines).map(|line| self.line(line)).peekable();
        for pages in &self.open {
            let mut from = pages.start;
            while let Some(line) = lines.next_if(|line| line.start < pages.end) {
                self.assert_filled(from..line.start);
                from = line.end;
            }
            self.assert_filled(from..pages.end);
        }
    }

    fn assert_filled(&self, gap: Range<usize>) {
        // SAFETY: open pages that nobody writes meanwhile.
        let bytes = unsafe { std::slice::from_raw_parts(self.base.add(gap.start), gap.len()) };
        let written = bytes.iter().position(|byte| *byte != FILL);
        assert_eq!(written, None, "a byte outside the matrix was written, {gap:?}");
    }
}

impl<T> Drop for Fenced<T> {
    fn drop(&mut self) {
        // SAFETY: exactly what `new` mapped.
        unsafe { libc::munmap(self.base.cast(), self.reserved) };
    }
}
