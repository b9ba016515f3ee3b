//! Calls any spelling of gemm by its name.

use super::Spelling;
use libloading::Library;
use npublas::{Scalar, c32, c64};
use std::ffi::{c_char, c_int};

/// The arguments of a gemm in CBLAS's terms. Fortran spellings ignore the layout.
#[derive(Debug, Clone, Copy)]
pub struct Args<T> {
    pub layout: c_int,
    pub transa: Trans,
    pub transb: Trans,
    pub m: i64,
    pub n: i64,
    pub k: i64,
    pub alpha: T,
    pub a: *const T,
    pub lda: i64,
    pub b: *const T,
    pub ldb: i64,
    pub beta: T,
    pub c: *mut T,
    pub ldc: i64,
}

pub const ROW_MAJOR: c_int = 101;
pub const COL_MAJOR: c_int = 102;

/// A transposition in both languages: the enum of CBLAS and the character of Fortran.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trans(pub c_int, pub u8);

pub const NO_TRANS: Trans = Trans(111, b'N');
pub const TRANS: Trans = Trans(112, b't');
pub const CONJ_TRANS: Trans = Trans(113, b'C');

/// An element type and how CBLAS passes its scalars.
pub trait Element: Scalar {
    /// `float`, `double`, or a pointer to a complex number.
    type Passed;
    /// A small integer; for complex types, two of them.
    fn small(re: i32, im: i32) -> Self;
    /// What CBLAS is given for `scalar`.
    fn pass(scalar: &Self) -> Self::Passed;
}

macro_rules! element {
    ($t:ty, $passed:ty, |$scalar:ident| $pass:expr, |$re:ident, $im:ident| $small:expr) => {
        impl Element for $t {
            type Passed = $passed;
            fn small($re: i32, $im: i32) -> Self {
                $small
            }
            fn pass($scalar: &Self) -> $passed {
                $pass
            }
        }
    };
}
element!(f32, f32, |scalar| *scalar, |re, _im| re as f32);
element!(f64, f64, |scalar| *scalar, |re, _im| f64::from(re));
element!(c32, *const c32, |scalar| scalar, |re, im| c32::new(re as f32, im as f32));
element!(c64, *const c64, |scalar| scalar, |re, im| c64::new(re.into(), im.into()));

type Fortran<T, I> = unsafe extern "C" fn(
    *const c_char,
    *const c_char,
    *const I,
    *const I,
    *const I,
    *const T,
    *const T,
    *const I,
    *const T,
    *const I,
    *const T,
    *mut T,
    *const I,
);
type Cblas<T, P, I> =
    unsafe extern "C" fn(c_int, c_int, c_int, I, I, I, P, *const T, I, *const T, I, P, *mut T, I);

/// Calls the spelling with arguments of any validity.
///
/// # Safety
/// The library is ours, `T` is the spelling's type, and the arguments are such that the call may
/// be made.
pub unsafe fn call<T: Element>(library: &Library, spelling: &Spelling, args: &Args<T>) {
    if spelling.ilp64 {
        // SAFETY: passed on.
        unsafe { call_with::<T, i64>(library, spelling, args, |size| size) }
    } else {
        let narrow = |size| i32::try_from(size).expect("a size for LP64");
        // SAFETY: passed on.
        unsafe { call_with::<T, i32>(library, spelling, args, narrow) }
    }
}

unsafe fn call_with<T: Element, I: Copy>(
    library: &Library,
    spelling: &Spelling,
    x: &Args<T>,
    int: impl Fn(i64) -> I,
) {
    assert_eq!(T::LETTER, spelling.letter);
    let [m, n, k, lda, ldb, ldc] = [x.m, x.n, x.k, x.lda, x.ldb, x.ldc].map(int);
    let (Trans(ta, ca), Trans(tb, cb)) = (x.transa, x.transb);
    let (ca, cb) = (ca as c_char, cb as c_char);
    let (alpha, beta) = (T::pass(&x.alpha), T::pass(&x.beta));
    let missing = |e| -> ! { panic!("{}: {e}", spelling.name) };
    // SAFETY: the symbol has the signature of its kind; the caller vouches for the arguments.
    unsafe {
        if spelling.cblas {
            let gemm = library
                .get::<Cblas<T, T::Passed, I>>(&spelling.name)
                .unwrap_or_else(|e| missing(e));
            gemm(x.layout, ta, tb, m, n, k, alpha, x.a, lda, x.b, ldb, beta, x.c, ldc);
        } else {
            let gemm = library.get::<Fortran<T, I>>(&spelling.name).unwrap_or_else(|e| missing(e));
            gemm(&ca, &cb, &m, &n, &k, &x.alpha, x.a, &lda, x.b, &ldb, &x.beta, x.c, &ldc);
        }
    }
}

/// The library under test.
pub fn load() -> Library {
    // SAFETY: the library runs nothing when it is loaded.
    unsafe { Library::new(super::preload_library()) }.expect("libnpublas.so")
}
