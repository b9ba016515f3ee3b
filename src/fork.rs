//! Which process this is, told apart from those that it was forked from.
//!
//! A process id alone does not tell: a child in a pid namespace of its own may have its parent's,
//! and the id of a dead parent is given away again; and to ask for it takes as long as a product of
//! 20 × 20 × 20. So the kernel marks the fork: it hands a page with `MADV_WIPEONFORK` to a child empty
//! (madvise(2), Linux 4.14). The mark alone does not tell either: qemu-user accepts that advice and
//! does not follow it. So the C library counts forks too (pthread_atfork(3)), those that it knows of.

use std::ptr;
use std::sync::atomic::{AtomicPtr, AtomicU32, AtomicU64, Ordering};

/// The number of this process, on the page that a fork empties; null until it is wanted.
static PAGE: AtomicPtr<AtomicU64> = AtomicPtr::new(ptr::null_mut());

/// Stands for the page where the kernel gives none. Never written.
static NO_PAGE: AtomicU64 = AtomicU64::new(0);

/// A number that no ancestor had. A child goes on where its parent was.
static NEXT: AtomicU64 = AtomicU64::new(1);

/// How many forks lie between the first process that asked and this one, as far as the C library saw
/// them.
static FORKS: AtomicU32 = AtomicU32::new(0);

extern "C" fn count_fork() {
    FORKS.fetch_add(1, Ordering::Relaxed);
}

/// A number of the calling process that is always the same there, and that no process has which
/// it was forked from or which was forked from it: the mark's number and the count of forks, or the
/// process id where the kernel marks nothing.
pub fn process() -> u64 {
    match mark() {
        0 => u64::from(std::process::id()),
        mark => mark << u32::BITS | u64::from(FORKS.load(Ordering::Relaxed)),
    }
}

/// The number on the page; 0 where there is none.
fn mark() -> u64 {
    let page = page();
    match page.load(Ordering::Acquire) {
        0 if !ptr::eq(page, &NO_PAGE) => {
            let fresh = NEXT.fetch_add(1, Ordering::Relaxed);
            let done = page.compare_exchange(0, fresh, Ordering::AcqRel, Ordering::Acquire);
            done.map_or_else(|other| other, |_| fresh)
        }
        number => number,
    }
}

fn page() -> &'static AtomicU64 {
    let mut page = PAGE.load(Ordering::Acquire);
    if page.is_null() {
        let fresh = map().unwrap_or((&raw const NO_PAGE).cast_mut());
        // SAFETY: the handler is a function for ever, see `build.rs`, and touches nothing but a number.
        // Where there is no room for it the mark remains. Threads that come here at the same time
        // count every fork twice, which does not matter.
        unsafe { libc::pthread_atfork(None, None, Some(count_fork)) };
        let won = PAGE.compare_exchange(page, fresh, Ordering::AcqRel, Ordering::Acquire);
        if won.is_err() && !ptr::eq(fresh, &NO_PAGE) {
            unmap(fresh);
        }
        page = won.map_or_else(|other| other, |_| fresh);
    }
    // SAFETY: what was published is `NO_PAGE` or a mapping for ever, zeroed at first, which a
    // child has at the same place.
    unsafe { &*page }
}

/// Bytes of the mapping; the kernel takes as many as its page has.
const LEN: usize = size_of::<AtomicU64>();

fn map() -> Option<*mut AtomicU64> {
    let (access, kind) =
        (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
    // SAFETY: a new mapping touches nothing that is there.
    let page = unsafe { libc::mmap(ptr::null_mut(), LEN, access, kind, -1, 0) };
    if page == libc::MAP_FAILED {
        return None;
    }
    // SAFETY: the mapping was just made, and nobody else knows it.
    let marked = unsafe { libc::madvise(page, LEN, libc::MADV_WIPEONFORK) } == 0;
    if !marked {
        unmap(page.cast());
    }
    marked.then_some(page.cast())
}

/// Undoes [`map`], of a page that nobody else knows.
fn unmap(page: *mut AtomicU64) {
    // SAFETY: the whole of a mapping of ours, to which no reference exists.
    unsafe { libc::munmap(page.cast(), LEN) };
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether `holds` does in a forked child.
    fn in_child(holds: impl FnOnce() -> bool) -> bool {
        // SAFETY: the child uses atomic variables and system calls, and leaves without unwinding.
        let child = unsafe { libc::fork() };
        if child == 0 {
            // SAFETY: ends the process.
            unsafe { libc::_exit(i32::from(!holds())) };
        }
        let mut status = 1;
        // SAFETY: waits for a child of ours.
        assert_eq!(unsafe { libc::waitpid(child, &mut status, 0) }, child);
        status == 0
    }

    #[test]
    fn every_fork_makes_a_new_number() {
        let mine = process();
        let others: Vec<u64> = (0..8)
            .map(|_| std::thread::spawn(process))
            .collect::<Vec<_>>()
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .collect();
        assert_eq!(others, [mine; 8]);
        assert!(in_child(|| {
            let child = process();
            child != mine && in_child(|| ![mine, child].contains(&process())) && process() == child
        }));
        assert_eq!(process(), mine);
    }

    #[test]
    fn this_kernel_marks_forks() {
        let why = "this kernel has no MADV_WIPEONFORK; process ids stand in";
        match map() {
            Some(page) => unmap(page),
            None => {
                eprintln!("SKIPPED: {why}");
                assert!(std::env::var_os("NPUBLAS_FORBID_SKIP").is_none(), "{why}");
            }
        }
    }
}
