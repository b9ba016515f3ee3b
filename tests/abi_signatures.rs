//! The CBLAS functions have the signatures that `cblas-sys` declares, checked by the compiler.
//!
//! `cblas-sys` says enum where C passes an int and where any value must be survived, so each of
//! its types is first mapped to the one that stands for it here.

use cblas_sys::{CBLAS_LAYOUT, CBLAS_TRANSPOSE, c_double_complex, c_float_complex};
use npublas::{c32, c64};
use std::ffi::c_int;

/// The type that our signatures have in the place of this one.
trait Ours {
    type Type;
}

macro_rules! ours {
    ($($theirs:ty => $ours:ty;)*) => {
        $(impl Ours for $theirs { type Type = $ours; })*
    };
}

ours! {
    CBLAS_LAYOUT => c_int;
    CBLAS_TRANSPOSE => c_int;
    c_int => i32;
    f32 => f32;
    f64 => f64;
    *const f32 => *const f32;
    *const f64 => *const f64;
    *const c_float_complex => *const c32;
    *const c_double_complex => *const c64;
    *mut f32 => *mut f32;
    *mut f64 => *mut f64;
    *mut c_float_complex => *mut c32;
    *mut c_double_complex => *mut c64;
}

macro_rules! same_signature {
    ($module:ident: $($name:ident($($argument:ty),*);)*) => {$(
        const _: unsafe extern "C" fn($($argument),*) = cblas_sys::$name;
        const _: unsafe extern "C" fn($(<$argument as Ours>::Type),*) =
            npublas::abi::$module::$name;
    )*};
}

same_signature! { gemm:
    cblas_sgemm(
        CBLAS_LAYOUT, CBLAS_TRANSPOSE, CBLAS_TRANSPOSE, c_int, c_int, c_int,
        f32, *const f32, c_int, *const f32, c_int, f32, *mut f32, c_int
    );
    cblas_dgemm(
        CBLAS_LAYOUT, CBLAS_TRANSPOSE, CBLAS_TRANSPOSE, c_int, c_int, c_int,
        f64, *const f64, c_int, *const f64, c_int, f64, *mut f64, c_int
    );
    cblas_cgemm(
        CBLAS_LAYOUT, CBLAS_TRANSPOSE, CBLAS_TRANSPOSE, c_int, c_int, c_int,
        *const c_float_complex, *const c_float_complex, c_int, *const c_float_complex, c_int,
        *const c_float_complex, *mut c_float_complex, c_int
    );
    cblas_zgemm(
        CBLAS_LAYOUT, CBLAS_TRANSPOSE, CBLAS_TRANSPOSE, c_int, c_int, c_int,
        *const c_double_complex, *const c_double_complex, c_int, *const c_double_complex, c_int,
        *const c_double_complex, *mut c_double_complex, c_int
    );
}

#[test]
fn types_that_stand_for_each_other_are_alike() {
    assert_eq!(size_of::<CBLAS_LAYOUT>(), size_of::<c_int>());
    assert_eq!(size_of::<CBLAS_TRANSPOSE>(), size_of::<c_int>());
    assert_eq!(size_of::<c_float_complex>(), size_of::<c32>());
    assert_eq!(align_of::<c_float_complex>(), align_of::<c32>());
    assert_eq!(size_of::<c_double_complex>(), size_of::<c64>());
    assert_eq!(align_of::<c_double_complex>(), align_of::<c64>());
}
