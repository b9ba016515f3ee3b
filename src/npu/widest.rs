//! One loop, compiled for more than one instruction set.

use std::cell::Cell;

/// The instruction sets that the loops of [`widest!`] are compiled for, narrowest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Width {
    /// What every CPU of the target has: SSE2 on x86-64, NEON on 64-bit Arm.
    Baseline,
    /// AVX2 and FMA.
    Avx2,
    /// AVX-512 with bytes, words and double words, in vectors of any length.
    Avx512,
}

thread_local! {
    /// The greatest width that this thread may use.
    static LIMIT: Cell<Width> = const { Cell::new(Width::Avx512) };
}

impl Width {
    /// All of them, narrowest first.
    pub const ALL: [Width; 3] = [Width::Baseline, Width::Avx2, Width::Avx512];

    /// Name for people.
    pub fn name(self) -> &'static str {
        match self {
            Width::Baseline => "baseline",
            Width::Avx2 => "avx2",
            Width::Avx512 => "avx512",
        }
    }

    /// Whether this CPU has it. The standard library asks the CPU once and remembers.
    #[inline]
    pub fn is_available(self) -> bool {
        #[cfg(target_arch = "x86_64")]
        {
            match self {
                Width::Baseline => true,
                Width::Avx2 => is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma"),
                Width::Avx512 => {
                    is_x86_feature_detected!("avx512f")
                        && is_x86_feature_detected!("avx512bw")
                        && is_x86_feature_detected!("avx512dq")
                        && is_x86_feature_detected!("avx512vl")
                }
            }
        }
        #[cfg(not(target_arch = "x86_64"))]
        {
            self == Width::Baseline
        }
    }

    /// Does `work`, in which the calling thread uses no wider instructions than these: for tests
    /// and measurements.
    pub fn at_most<R>(self, work: impl FnOnce() -> R) -> R {
        let before = LIMIT.replace(self);
        let result = work();
        LIMIT.set(before);
        result
    }

    /// Does `work` with every width that this CPU has; says which it has not.
    #[cfg(test)]
    pub(super) fn each(work: impl Fn()) {
        for width in Width::ALL {
            if width.is_available() {
                width.at_most(&work);
            } else {
                eprintln!("SKIPPED: this CPU has no {}", width.name());
            }
        }
    }

    /// Whether a loop may use it here and now; elsewhere there is no choice.
    #[cfg(target_arch = "x86_64")]
    #[inline]
    pub(super) fn is_usable(self) -> bool {
        self <= LIMIT.get() && self.is_available()
    }
}

/// Defines `fn name(…)` that runs the `#[inline(always)]` function after `=>`, compiled for the
/// widest [`Width`] that this CPU has. It may have one type parameter with one bound.
///
/// The body is ordinary portable code, so all versions give the same bits; all that changes is
/// how many elements one instruction takes.
macro_rules! widest {
    (
        $(#[$meta:meta])*
        $vis:vis fn $name:ident $(<$generic:ident: $bound:path>)? (
            $($arg:ident: $ty:ty),* $(,)?
        ) $(-> $ret:ty)? => $body:path;
    ) => {
        $(#[$meta])*
        $vis fn $name $(<$generic: $bound>)? ($($arg: $ty),*) $(-> $ret)? {
            #[cfg(target_arch = "x86_64")]
            {
                use $crate::npu::widest::Width;

                #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]
                fn avx512 $(<$generic: $bound>)? ($($arg: $ty),*) $(-> $ret)? {
                    $body($($arg),*)
                }
                #[target_feature(enable = "avx2,fma")]
                fn avx2 $(<$generic: $bound>)? ($($arg: $ty),*) $(-> $ret)? {
                    $body($($arg),*)
                }
                if Width::Avx512.is_usable() {
                    // SAFETY: the CPU has the features, as was just asked.
                    return unsafe { avx512($($arg),*) };
                }
                if Width::Avx2.is_usable() {
                    // SAFETY: the CPU has the features, as was just asked.
                    return unsafe { avx2($($arg),*) };
                }
            }
            $body($($arg),*)
        }
    };
}

pub(super) use widest;
