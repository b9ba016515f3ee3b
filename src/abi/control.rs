//! What npublas offers beyond BLAS: `include/npublas.h` is generated from this file.

use crate::runtime;
use std::ffi::{c_char, c_int};
use std::mem;
use std::ptr;

/// How often what happened since the library was loaded; a forked child goes on counting.
///
/// Later versions may add fields at the end. `size` tells the library how much of the structure
/// the caller knows.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Statistics {
    /// Bytes of this structure: set it to its `sizeof` before the call.
    pub size: usize,
    /// Products that the CPU computed whole.
    pub cpu_calls: u64,
    /// Products that the NPU computed, whole or but for repaired blocks.
    pub npu_calls: u64,
    /// Products that were offered to the NPU and that it declined.
    pub declined: u64,
    /// Jobs submitted to the NPU.
    pub jobs: u64,
    /// Tasks in them.
    pub tasks: u64,
    /// Blocks of C submitted a second time because the first result was missing or wrong.
    pub retried: u64,
    /// Blocks of C that the CPU computed because the second result was no good either.
    pub repaired: u64,
}

/// The version of the library, such as "0.1.0". The string is never freed.
#[unsafe(no_mangle)]
pub extern "C" fn npublas_version() -> *const c_char {
    concat!(env!("CARGO_PKG_VERSION"), "\0").as_ptr().cast()
}

/// Fills in the first `size` bytes of `*statistics`, where `size` is the field that the caller
/// set, and sets that field to the number of bytes filled in; a caller that knows more than the
/// library sees a smaller number. Calls of other threads may be counted halfway.
///
/// Returns 0, or -1 without touching anything when `statistics` is null or `size` does not even
/// cover the field itself.
///
/// # Safety
/// `statistics` is null, or points to `size` bytes that can be written and are aligned as the
/// structure.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn npublas_get_statistics(statistics: *mut Statistics) -> c_int {
    if statistics.is_null() {
        return -1;
    }
    // SAFETY: not null, so at least the field `size` is there. The structure may be shorter than
    // ours, so no reference to it is made.
    let room = unsafe { (&raw const (*statistics).size).read() };
    if room < mem::size_of::<usize>() {
        return -1;
    }
    let size = room.min(mem::size_of::<Statistics>());
    let now = runtime::statistics();
    let ours = Statistics {
        size,
        cpu_calls: now.cpu_calls,
        npu_calls: now.npu_calls,
        declined: now.declined,
        jobs: now.jobs,
        tasks: now.tasks,
        retried: now.retried,
        repaired: now.repaired,
    };
    // SAFETY: `size` bytes are no more than `ours` has and no more than the caller gave. The
    // structure has no padding.
    unsafe {
        ptr::copy_nonoverlapping((&raw const ours).cast::<u8>(), statistics.cast::<u8>(), size);
    }
    0
}
