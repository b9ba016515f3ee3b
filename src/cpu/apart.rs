//! Pointers that the compiler keeps apart.

/// The same pointer, of which the compiler shall not know how far it is from others.
///
/// Of addresses in a fixed distance it likes to keep each in a register of its own all through a
/// loop, or in memory where registers run out, or to go from one to the next by additions that wait
/// for each other. From a pointer that it knows nothing of it computes them where they are used.
#[inline(always)]
#[expect(clippy::pointers_in_nomem_asm_block, reason = "nothing is read or written through it")]
pub(super) fn apart<T>(mut p: *const T) -> *const T {
    // SAFETY: there is no instruction, only a comment.
    unsafe {
        std::arch::asm!("/* {0} */", inout(reg) p, options(pure, nomem, nostack, preserves_flags));
    }
    p
}
