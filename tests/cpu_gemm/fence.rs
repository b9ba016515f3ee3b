//! Memory next to pages that nobody may touch.

use std::ptr;

/// So many pages between two forbidden ones.
pub struct Fenced {
    start: *mut u8,
    page: usize,
    pages: usize,
}

impl Fenced {
    pub fn new(bytes: usize) -> Self {
        // SAFETY: a question without arguments.
        let page = unsafe { libc::sysconf(libc::_SC_PAGESIZE) } as usize;
        let pages = bytes.div_ceil(page).max(1);
        // SAFETY: new anonymous pages, all forbidden, of which the inner ones are then opened;
        // nothing else lies in them.
        let start = unsafe {
            let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
            let base =
                libc::mmap(ptr::null_mut(), (pages + 2) * page, libc::PROT_NONE, flags, -1, 0);
            assert_ne!(base, libc::MAP_FAILED, "no memory");
            let start = base.cast::<u8>().add(page);
            let access = libc::PROT_READ | libc::PROT_WRITE;
            assert_eq!(libc::mprotect(start.cast(), pages * page, access), 0, "no access");
            start
        };
        Fenced { start, page, pages }
    }

    /// A copy of `data` that ends, or begins, at the fence.
    pub fn copy_of<T: Copy>(&self, data: &[T], at_end: bool) -> *mut T {
        assert!(size_of_val(data) <= self.pages * self.page);
        let first = if at_end { self.pages * self.page - size_of_val(data) } else { 0 };
        // SAFETY: the copy lies between the fences, aligned because pages and elements are
        // powers of two.
        unsafe {
            let to = self.start.add(first).cast::<T>();
            ptr::copy_nonoverlapping(data.as_ptr(), to, data.len());
            to
        }
    }
}

impl Drop for Fenced {
    fn drop(&mut self) {
        // SAFETY: exactly what `new` mapped.
        unsafe {
            libc::munmap(self.start.sub(self.page).cast(), (self.pages + 2) * self.page);
        }
    }
}
