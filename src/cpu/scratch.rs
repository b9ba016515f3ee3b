//! Working memory for packed blocks: one buffer per thread, kept from call to call.

use super::blocking;
use std::alloc::{Layout, alloc, dealloc};
use std::cell::Cell;
use std::ptr::NonNull;

/// A larger buffer goes back to the system after the call: packed blocks are never larger.
const KEPT_BYTES: usize = blocking::MOST_BYTES + (1 << 20);

/// A line of the cache, and the widest vector.
const ALIGNMENT: usize = 64;

thread_local! {
    /// The buffer that waits for the thread's next call. It is taken while in use, so that a
    /// second call in the same thread, from a signal handler say, gets one of its own.
    static SPARE: Cell<Option<Scratch>> = const { Cell::new(None) };
}

/// A buffer of uninitialised memory, 64-byte aligned.
#[derive(Debug)]
pub(super) struct Scratch {
    start: NonNull<u8>,
    layout: Layout,
}

impl Scratch {
    /// A buffer of `bytes` bytes, from this thread's last call if that was large enough.
    /// `None` when there is no memory.
    pub(super) fn take(bytes: usize) -> Option<Scratch> {
        // The thread may be past the destruction of its variables.
        let spare = SPARE.try_with(Cell::take).ok().flatten();
        spare.filter(|spare| spare.layout.size() >= bytes).or_else(|| Scratch::new(bytes))
    }

    /// Leaves the buffer for this thread's next call, unless it is very large.
    pub(super) fn keep(self) {
        if self.layout.size() <= KEPT_BYTES {
            // A thread that is ending has no next call: then the buffer is freed.
            let _ = SPARE.try_with(|spare| spare.set(Some(self)));
        }
    }

    fn new(bytes: usize) -> Option<Scratch> {
        let layout = Layout::from_size_align(bytes.max(ALIGNMENT), ALIGNMENT).ok()?;
        // SAFETY: the size is not zero.
        let start = NonNull::new(unsafe { alloc(layout) })?;
        Some(Scratch { start, layout })
    }

    /// The first byte.
    pub(super) fn start(&self) -> *mut u8 {
        self.start.as_ptr()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // SAFETY: `start` came from `alloc` with this layout and is freed once, here.
        unsafe { dealloc(self.start.as_ptr(), self.layout) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_is_aligned_and_used_again() {
        let first = Scratch::take(1000).unwrap();
        let at = first.start();
        assert_eq!(at as usize % ALIGNMENT, 0);
        first.keep();
        let second = Scratch::take(900).unwrap();
        assert_eq!(second.start(), at);
        let third = Scratch::take(900).unwrap();
        assert_ne!(third.start(), at, "the same buffer twice at a time");
        second.keep();
        third.keep();
    }

    #[test]
    fn a_huge_buffer_is_not_kept() {
        Scratch::take(KEPT_BYTES + 1).unwrap().keep();
        assert!(SPARE.take().is_none());
    }

    #[test]
    fn an_impossible_size_is_refused() {
        assert!(Scratch::take(isize::MAX as usize - 4096).is_none());
        assert!(Scratch::take(usize::MAX).is_none());
    }
}
