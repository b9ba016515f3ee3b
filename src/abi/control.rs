//! What npublas offers beyond BLAS: `include/npublas.h` is generated from this file.

use crate::mode::Mode;
use crate::runtime::{self, Scope};
use std::ffi::{c_char, c_int};
use std::mem;
use std::ptr;

/// The error bound of a conventional product, and as accurate as one on ordinary data.
pub const NPUBLAS_MODE_STANDARD: c_int = 0;
/// The same bound, and more accurate than a conventional product on ordinary data.
pub const NPUBLAS_MODE_STRICT: c_int = 1;
/// The error bound of a conventional product and no more.
pub const NPUBLAS_MODE_FAST: c_int = 2;
/// A bound by the largest magnitudes of rows and columns: 2^-12*k*max|a|*max|b| in single,
/// 2^-35*k*max|a|*max|b| in double precision.
pub const NPUBLAS_MODE_LOW: c_int = 3;
/// The chip's own half precision for single precision, about 2^-9 of the sum of |a||b|; as
/// NPUBLAS_MODE_LOW for double precision, and in reproducible calls.
pub const NPUBLAS_MODE_FP16: c_int = 4;
/// Two halves of the chip for each element of single precision, about (k/31+15)*2^-24 of the sum of
/// |a||b|; as NPUBLAS_MODE_STANDARD for double precision, and in reproducible calls.
pub const NPUBLAS_MODE_FP16X2: c_int = 5;

/// In the place of a setting: there is none. A thread then follows its process, and the process
/// its environment.
pub const NPUBLAS_INHERIT: c_int = -1;
/// Returned for a value that is none of those above; nothing was changed.
pub const NPUBLAS_BAD_VALUE: c_int = -2;

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

/// The compute mode that calls of this thread have now: one of the constants from
/// NPUBLAS_MODE_STANDARD on. The CPU may compute any call more exactly than its mode asks.
#[unsafe(no_mangle)]
pub extern "C" fn npublas_get_compute_mode() -> c_int {
    runtime::policy().mode as c_int
}

/// Sets the compute mode of the process, in place of NPUBLAS_COMPUTE_MODE in its environment, to
/// one of the constants from NPUBLAS_MODE_STANDARD on, or to NPUBLAS_INHERIT. Calls that are
/// under way are not affected.
///
/// Returns what was set before, NPUBLAS_INHERIT if nothing, or NPUBLAS_BAD_VALUE.
#[unsafe(no_mangle)]
pub extern "C" fn npublas_set_compute_mode(mode: c_int) -> c_int {
    exchange(mode, &Mode::ALL, |mode| runtime::set_mode(Scope::Process, mode))
}

/// Like npublas_set_compute_mode, for calls of the calling thread alone, whatever is set for the
/// process.
#[unsafe(no_mangle)]
pub extern "C" fn npublas_set_compute_mode_local(mode: c_int) -> c_int {
    exchange(mode, &Mode::ALL, |mode| runtime::set_mode(Scope::Thread, mode))
}

/// Whether the bits of results of this thread's calls follow from shape and data alone, never
/// from measured times: 0 or 1.
#[unsafe(no_mangle)]
pub extern "C" fn npublas_get_reproducible() -> c_int {
    runtime::policy().reproducible.into()
}

/// Sets whether calls of the process are reproducible, in place of NPUBLAS_REPRODUCIBLE in its
/// environment: 0, 1 or NPUBLAS_INHERIT.
///
/// Returns what was set before, NPUBLAS_INHERIT if nothing, or NPUBLAS_BAD_VALUE.
#[unsafe(no_mangle)]
pub extern "C" fn npublas_set_reproducible(on: c_int) -> c_int {
    exchange(on, &[false, true], |on| runtime::set_reproducible(Scope::Process, on))
}

/// Like npublas_set_reproducible, for calls of the calling thread alone, whatever is set for the
/// process.
#[unsafe(no_mangle)]
pub extern "C" fn npublas_set_reproducible_local(on: c_int) -> c_int {
    exchange(on, &[false, true], |on| runtime::set_reproducible(Scope::Thread, on))
}

/// Sets what `code` stands for, the place among `values` or nothing, and returns the code of what
/// was set before.
fn exchange<T: Copy + PartialEq>(
    code: c_int,
    values: &[T],
    set: impl FnOnce(Option<T>) -> Option<T>,
) -> c_int {
    let place = usize::try_from(code).ok();
    let wanted = match place.and_then(|place| values.get(place)) {
        None if code != NPUBLAS_INHERIT => return NPUBLAS_BAD_VALUE,
        wanted => wanted.copied(),
    };
    let before = set(wanted).and_then(|before| values.iter().position(|v| *v == before));
    before.map_or(NPUBLAS_INHERIT, |place| place as c_int)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_the_places_of_the_modes() {
        let codes = [
            NPUBLAS_MODE_STANDARD,
            NPUBLAS_MODE_STRICT,
            NPUBLAS_MODE_FAST,
            NPUBLAS_MODE_LOW,
            NPUBLAS_MODE_FP16,
            NPUBLAS_MODE_FP16X2,
        ];
        assert_eq!(codes, Mode::ALL.map(|mode| mode as c_int));
    }

    #[test]
    fn codes_that_stand_for_nothing_set_nothing() {
        for code in [c_int::MIN, -3, NPUBLAS_BAD_VALUE, 6, c_int::MAX] {
            let set = |_| panic!("{code} was set");
            assert_eq!(exchange(code, &Mode::ALL, set), NPUBLAS_BAD_VALUE);
        }
    }
}
