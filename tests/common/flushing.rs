//! Threads that flush subnormal numbers to zero.

/// Runs `work` on a thread that flushes subnormal numbers to zero.
#[cfg(target_arch = "x86_64")]
pub fn with_flushing<R: Send>(work: impl FnOnce() -> R + Send) -> R {
    const FLUSH: u32 = 1 << 15 | 1 << 6;
    std::thread::scope(|scope| {
        let flushing = move || {
            let mut control = 0u32;
            // SAFETY: the control register is stored to a local variable.
            unsafe { std::arch::asm!("stmxcsr [{}]", in(reg) &mut control) };
            let flush = control | FLUSH;
            // SAFETY: only how subnormal numbers are treated changes, on this thread, as many
            // C programs do; `work` is here to show that it does not matter.
            unsafe { std::arch::asm!("ldmxcsr [{}]", in(reg) &flush) };
            let result = work();
            // SAFETY: what was there before.
            unsafe { std::arch::asm!("ldmxcsr [{}]", in(reg) &control) };
            result
        };
        scope.spawn(flushing).join().expect("the work does not panic")
    })
}
