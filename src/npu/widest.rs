//! One loop, compiled for more than one instruction set.

/// Defines `fn name(…)` that runs the `#[inline(always)]` function after `=>`, compiled for
/// AVX2 and FMA where the processor has them and for the target's baseline elsewhere.
///
/// The body is ordinary portable code, so both versions give the same bits; all that changes is
/// how many elements one instruction takes.
macro_rules! widest {
    (
        $(#[$meta:meta])*
        $vis:vis fn $name:ident($($arg:ident: $ty:ty),* $(,)?) $(-> $ret:ty)? => $body:path;
    ) => {
        $(#[$meta])*
        $vis fn $name($($arg: $ty),*) $(-> $ret)? {
            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx2,fma")]
                fn wide($($arg: $ty),*) $(-> $ret)? {
                    $body($($arg),*)
                }
                if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
                    // SAFETY: `wide` needs nothing but the features that were just found.
                    return unsafe { wide($($arg),*) };
                }
            }
            $body($($arg),*)
        }
    };
}

pub(super) use widest;
