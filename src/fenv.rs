//! The floating-point environment of a call.
//!
//! A caller may arrive with any rounding mode, with subnormals flushed to zero (every program
//! linked with `-ffast-math` does), or with exceptions that trap. Compiled Rust assumes none of
//! that, and the results must not depend on it. On the other hand callers watch the exception
//! flags (NumPy warns after every product that leaves one set), and what the library's own
//! arithmetic raises says nothing about their data. So a call computes in the default
//! environment, and afterwards the caller's is put back whole.
//!
//! It is entered where something is computed, and no earlier: to read it waits for what was
//! computed before the call, and what comes then waits for it, which takes as long as a tiny product
//! of two by two.
//!
//! Threads that the library starts during a call inherit the default environment from it.

/// The default environment, from [`Default::enter`] until this is dropped: round to nearest even,
/// subnormals kept, nothing traps. Afterwards modes and flags are as they were found.
///
/// Compilers may move floating-point operations over the loads of the environment, but no calls. So
/// the code in between must not compute with floating-point numbers itself, only in functions that
/// are not inlined. Copies, and comparisons of bits, are none. (Making that code a function would be
/// safer, but to hand over the arguments of a call takes as long as a tiny product.)
///
/// A panic does not put them back: it ends the process at the door.
#[derive(Debug)]
#[must_use]
pub struct Default {
    callers: cpu::Environment,
}

impl Default {
    /// Saves the caller's environment and loads the default one.
    #[inline(always)]
    pub fn enter() -> Self {
        let callers = cpu::save();
        // Nearly every caller is in the default modes: then nothing changes.
        if !cpu::has_default_modes(callers) {
            cpu::load(cpu::DEFAULT);
        }
        Default { callers }
    }
}

impl Drop for Default {
    #[inline(always)]
    fn drop(&mut self) {
        cpu::restore(self.callers);
    }
}

/// Asks the CPU in which way environments are put back soonest. Before that, any way will do.
pub fn look_at_cpu() {
    cpu::look();
}

/// SSE and AVX keep everything in MXCSR (Intel SDM, volume 1, section 10.2.3). The x87 unit is
/// not used, so its control and status words are left alone.
#[cfg(target_arch = "x86_64")]
mod cpu {
    use std::arch::asm;
    use std::arch::x86_64::__cpuid;
    use std::mem::MaybeUninit;
    use std::sync::atomic::{AtomicBool, Ordering};

    /// MXCSR.
    pub type Environment = u32;

    /// All exceptions masked, no flag set, round to nearest, neither FTZ nor DAZ.
    pub const DEFAULT: Environment = 0x1f80;
    /// The six exception flags.
    const FLAGS: u32 = 0x3f;

    /// Whether nothing but flags differs from the default.
    #[inline(always)]
    pub fn has_default_modes(mxcsr: Environment) -> bool {
        mxcsr & !FLAGS == DEFAULT
    }

    #[inline(always)]
    pub fn save() -> Environment {
        let mut mxcsr = MaybeUninit::<u32>::uninit();
        // SAFETY: STMXCSR writes the four bytes of `mxcsr` and changes nothing else.
        unsafe {
            asm!("stmxcsr [{}]", in(reg) mxcsr.as_mut_ptr(), options(nostack, preserves_flags));
            mxcsr.assume_init()
        }
    }

    #[inline(always)]
    pub fn load(mxcsr: Environment) {
        // SAFETY: LDMXCSR reads the four bytes of `mxcsr`. They are the default or what STMXCSR
        // gave, so no reserved bit is set. Compiled Rust runs between the load of the default
        // and the load of the caller's value only, where its assumptions hold.
        unsafe { asm!("ldmxcsr [{}]", in(reg) &raw const mxcsr, options(nostack, readonly)) };
    }

    /// Whether it takes long to load the register, even with what it holds, and to read it does not. On
    /// Golden Cove all that computes waits 45 cycles for a load, 3 for reading; on Zen 4 it is 2 and 15.
    static LOADS_SLOWLY: AtomicBool = AtomicBool::new(false);

    /// EBX of leaf 0, where the maker is Intel.
    const INTEL: u32 = u32::from_le_bytes(*b"Genu");

    pub fn look() {
        LOADS_SLOWLY.store(__cpuid(0).ebx == INTEL, Ordering::Relaxed);
    }

    /// Loads what [`save`] gave, unless it is there and looking took less time.
    #[inline(always)]
    pub fn restore(mxcsr: Environment) {
        if !LOADS_SLOWLY.load(Ordering::Relaxed) || save() != mxcsr {
            load(mxcsr);
        }
    }
}

/// FPCR holds the modes, FPSR the flags (Arm ARM, C5.2).
#[cfg(target_arch = "aarch64")]
mod cpu {
    use std::arch::asm;

    /// FPCR and FPSR.
    pub type Environment = (u64, u64);

    /// FPCR 0: round to nearest, no flushing, nothing traps, no alternative behaviour. FPSR 0:
    /// no flag set.
    pub const DEFAULT: Environment = (0, 0);

    /// Whether nothing but flags differs from the default.
    #[inline(always)]
    pub fn has_default_modes((fpcr, _): Environment) -> bool {
        fpcr == DEFAULT.0
    }

    #[inline(always)]
    pub fn save() -> Environment {
        let (fpcr, fpsr): (u64, u64);
        // SAFETY: reads two registers that user mode may read.
        unsafe {
            asm!(
                "mrs {}, fpcr",
                "mrs {}, fpsr",
                out(reg) fpcr,
                out(reg) fpsr,
                options(nostack, preserves_flags)
            );
        }
        (fpcr, fpsr)
    }

    #[inline(always)]
    pub fn load((fpcr, fpsr): Environment) {
        // SAFETY: writes the default or what `save` read. Compiled Rust runs between the load of
        // the default and the load of the caller's value only, where its assumptions hold.
        unsafe {
            asm!("msr fpcr, {}", "msr fpsr, {}", in(reg) fpcr, in(reg) fpsr, options(nostack));
        }
    }

    pub fn look() {}

    /// Loads what [`save`] gave unless it is still there: writing may empty the pipeline.
    #[inline(always)]
    pub fn restore(callers: Environment) {
        if save() != callers {
            load(callers);
        }
    }
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
compile_error!("say here how this CPU keeps its floating-point environment");
