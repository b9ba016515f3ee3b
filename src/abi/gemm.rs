//! `{s,d,c,z}gemm` in every spelling: `C ← α·op(A)·op(B) + β·C`.
//!
//! C is m × n, op(A) is m × k, op(B) is k × n, and all three are stored in one layout. A leading
//! dimension counts elements; it is at least 1 and at least the length of a stored line.
//!
//! # Safety
//!
//! What every function of this module asks of its caller: arguments that Fortran passes by
//! reference can be read. The elements of A and B can be read unless α = 0, those of C can be
//! written and, unless β = 0, read. C overlaps neither A nor B, and no other thread uses it.
//! Nothing is asked of a pointer to a matrix without elements, nor of any matrix when the call
//! ends in an error report.

use super::args::{Layout, Op, first_illegal};
use super::xerbla::{self, Illegal, Routine};
use crate::Gemm;
use crate::blas::gemm::gemm_of_caller;
use crate::mat::{MatMut, MatRef};
use crate::runtime::Runs;
use crate::scalar::{c32, c64};
use std::ffi::{CStr, c_char, c_int};

/// A call as Fortran means it: every matrix is stored by columns.
///
/// Memory that holds matrices by rows holds their transposes by columns. So a row-major call is one
/// for `Cᵀ ← α·op(B)ᵀ·op(A)ᵀ + β·Cᵀ`, and is turned into it before anything is looked at: later it
/// would cost a tiny product a tenth of its time.
struct Call<T> {
    /// Whether the caller speaks of the transpose.
    is_turned: bool,
    op_a: Op,
    op_b: Op,
    m: i64,
    n: i64,
    k: i64,
    alpha: *const T,
    a: *const T,
    lda: i64,
    b: *const T,
    ldb: i64,
    beta: *const T,
    c: *mut T,
    ldc: i64,
}

impl<T: Runs> Call<T> {
    const ROUTINE: Routine = match T::LETTER {
        's' => Routine { fortran: "SGEMM ", cblas: c"cblas_sgemm" },
        'd' => Routine { fortran: "DGEMM ", cblas: c"cblas_dgemm" },
        'c' => Routine { fortran: "CGEMM ", cblas: c"cblas_cgemm" },
        _ => Routine { fortran: "ZGEMM ", cblas: c"cblas_zgemm" },
    };

    /// The position, among the arguments of the Fortran interface, of the first illegal size.
    #[inline(always)]
    fn illegal(&self) -> Option<c_int> {
        let Call { m, n, k, .. } = *self;
        let (a, b) =
            (if self.op_a.transpose { k } else { m }, if self.op_b.transpose { n } else { k });
        let negative = [m < 0, n < 0, k < 0];
        let short = [self.lda < a.max(1), self.ldb < b.max(1), self.ldc < m.max(1)];
        // No branch for each of them: nearly every call is legal.
        let is_illegal = [negative, short].as_flattened().iter().fold(false, |or, &x| or | x);
        if is_illegal { first_illegal_size(negative, short) } else { None }
    }

    /// Computes it.
    ///
    /// # Safety
    /// That of the module, and no size is illegal.
    #[inline(always)]
    unsafe fn run(&self) {
        // SAFETY: the caller's promise.
        let problem = unsafe { self.problem() };
        gemm_of_caller(problem, self.is_turned);
    }

    /// The same as strides.
    ///
    /// # Safety
    /// That of the module, and no size is illegal.
    #[inline(always)]
    unsafe fn problem<'a>(&self) -> Gemm<'a, T> {
        // SAFETY: α and β can be read.
        let (alpha, beta) = unsafe { (*self.alpha, *self.beta) };
        // Where α = 0 nobody vouches for A and B; with an inner length of 0 they have no elements.
        let k = if alpha.is_zero() { 0 } else { self.k };
        let [m, n, k] = [self.m, self.n, k].map(|size| size as usize);
        let (a, b) = (strides(self.op_a, self.lda), strides(self.op_b, self.ldb));
        // SAFETY: A and B can be read for the duration of the call and C can be written; with ldc
        // no less than the length of a line, the lines of C are apart.
        unsafe {
            Gemm {
                alpha,
                a: MatRef::new(self.a, m, k, a.0, a.1),
                conj_a: T::COMPLEX && self.op_a.conjugate,
                b: MatRef::new(self.b, k, n, b.0, b.1),
                conj_b: T::COMPLEX && self.op_b.conjugate,
                beta,
                c: MatMut::new(self.c, m, n, 1, self.ldc as isize),
            }
        }
    }
}

/// The position, among the arguments of the Fortran interface, of the first illegal size: m, n, k if
/// `negative`, lda, ldb, ldc if `short`.
#[cold]
fn first_illegal_size(negative: [bool; 3], short: [bool; 3]) -> Option<c_int> {
    let ([m, n, k], [a, b, c]) = (negative, short);
    first_illegal([(3, m), (4, n), (5, k), (8, a), (10, b), (13, c)])
}

/// Elements from row to row and from column to column of an operand.
#[inline(always)]
fn strides(op: Op, ld: i64) -> (isize, isize) {
    if op.transpose { (ld as isize, 1) } else { (1, ld as isize) }
}

/// Every Fortran spelling.
///
/// # Safety
/// That of the module.
unsafe fn fortran<T: Runs, I: Into<i64> + Copy>(
    handler: &CStr,
    transa: *const c_char,
    transb: *const c_char,
    m: *const I,
    n: *const I,
    k: *const I,
    alpha: *const T,
    a: *const T,
    lda: *const I,
    b: *const T,
    ldb: *const I,
    beta: *const T,
    c: *mut T,
    ldc: *const I,
) {
    let report = |info| xerbla::fortran(handler, Call::<T>::ROUTINE, info);
    // SAFETY: all of these are passed by reference and can be read.
    let (ops, [m, n, k, lda, ldb, ldc]) = unsafe {
        let ops = [Op::from_char(*transa), Op::from_char(*transb)];
        (ops, [*m, *n, *k, *lda, *ldb, *ldc].map(Into::into))
    };
    let [Some(op_a), Some(op_b)] = ops else {
        return report(if ops[0].is_none() { 1 } else { 2 });
    };
    let is_turned = false;
    let call = Call { is_turned, op_a, op_b, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc };
    match call.illegal() {
        Some(info) => report(info),
        // SAFETY: the caller's promise, and the sizes are legal.
        None => unsafe { call.run() },
    }
}

/// Every CBLAS spelling. Part of each of them: to hand over so many arguments once more takes as
/// long as a tiny product.
///
/// # Safety
/// That of the module; α and β can be read.
#[inline(always)]
unsafe fn cblas<T: Runs, I: Into<i64>>(
    handler: &CStr,
    layout: c_int,
    transa: c_int,
    transb: c_int,
    m: I,
    n: I,
    k: I,
    alpha: *const T,
    a: *const T,
    lda: I,
    b: *const T,
    ldb: I,
    beta: *const T,
    c: *mut T,
    ldc: I,
) {
    let report = |illegal| xerbla::cblas(handler, Call::<T>::ROUTINE, illegal);
    let not_in_enum = |position, row_major, form, value| {
        report(Illegal { position, info: position, row_major, form, value })
    };
    let by_rows = match Layout::from_enum(layout) {
        Some(layout) => layout == Layout::RowMajor,
        None => return not_in_enum(1, false, c"layout is %d\n", layout),
    };
    let Some(op_a) = Op::from_enum(transa) else {
        return not_in_enum(2, by_rows, c"transa is %d\n", transa);
    };
    let Some(op_b) = Op::from_enum(transb) else {
        return not_in_enum(3, by_rows, c"transb is %d\n", transb);
    };
    let [m, n, k, lda, ldb, ldc] = [m, n, k, lda, ldb, ldc].map(Into::into);
    let call = if by_rows {
        let (op_a, op_b, m, n, a, lda, b, ldb) = (op_b, op_a, n, m, b, ldb, a, lda);
        Call { is_turned: true, op_a, op_b, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc }
    } else {
        Call { is_turned: false, op_a, op_b, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc }
    };
    if let Some(info) = call.illegal() {
        // The layout is an argument that Fortran does not have.
        let info = info + 1;
        let position = if by_rows { position_by_rows(info) } else { info };
        return report(Illegal { position, info, row_major: by_rows, form: c"", value: 0 });
    }
    // SAFETY: the caller's promise, and the sizes are legal.
    unsafe { call.run() };
}

/// The position among the C arguments of what `info` names in a row-major call, where m and n,
/// and lda and ldb, have changed places.
fn position_by_rows(info: c_int) -> c_int {
    match info {
        4 => 5,
        5 => 4,
        9 => 11,
        11 => 9,
        other => other,
    }
}

macro_rules! fortran {
    ($handler:literal, $int:ty => $($name:ident: $scalar:ty),*) => {$(
        /// Fortran spelling; errors go to `xerbla_`.
        ///
        /// # Safety
        /// [That of the module](self#safety).
        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn $name(
            transa: *const c_char,
            transb: *const c_char,
            m: *const $int,
            n: *const $int,
            k: *const $int,
            alpha: *const $scalar,
            a: *const $scalar,
            lda: *const $int,
            b: *const $scalar,
            ldb: *const $int,
            beta: *const $scalar,
            c: *mut $scalar,
            ldc: *const $int,
        ) {
            // SAFETY: the same promise.
            unsafe {
                fortran($handler, transa, transb, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc);
            }
        }
    )*};
}

macro_rules! cblas_real {
    ($handler:literal, $int:ty => $($name:ident: $scalar:ty),*) => {$(
        /// CBLAS spelling; errors go to `cblas_xerbla`.
        ///
        /// # Safety
        /// [That of the module](self#safety).
        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn $name(
            layout: c_int,
            transa: c_int,
            transb: c_int,
            m: $int,
            n: $int,
            k: $int,
            alpha: $scalar,
            a: *const $scalar,
            lda: $int,
            b: *const $scalar,
            ldb: $int,
            beta: $scalar,
            c: *mut $scalar,
            ldc: $int,
        ) {
            // SAFETY: the same promise; α and β live on this stack.
            unsafe {
                cblas(
                    $handler, layout, transa, transb, m, n, k, &raw const alpha, a, lda, b, ldb,
                    &raw const beta, c, ldc,
                );
            }
        }
    )*};
}

macro_rules! cblas_complex {
    ($handler:literal, $int:ty => $($name:ident: $scalar:ty),*) => {$(
        /// CBLAS spelling, α and β by reference; errors go to `cblas_xerbla`.
        ///
        /// # Safety
        /// [That of the module](self#safety).
        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn $name(
            layout: c_int,
            transa: c_int,
            transb: c_int,
            m: $int,
            n: $int,
            k: $int,
            alpha: *const $scalar,
            a: *const $scalar,
            lda: $int,
            b: *const $scalar,
            ldb: $int,
            beta: *const $scalar,
            c: *mut $scalar,
            ldc: $int,
        ) {
            // SAFETY: the same promise.
            unsafe {
                cblas($handler, layout, transa, transb, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc);
            }
        }
    )*};
}

fortran! { c"xerbla_", i32 => sgemm_: f32, dgemm_: f64, cgemm_: c32, zgemm_: c64 }
fortran! { c"xerbla_64_", i64 =>
    sgemm_64_: f32, dgemm_64_: f64, cgemm_64_: c32, zgemm_64_: c64
}
fortran! { c"scipy_xerbla_", i32 =>
    scipy_sgemm_: f32, scipy_dgemm_: f64, scipy_cgemm_: c32, scipy_zgemm_: c64
}
fortran! { c"scipy_xerbla_64_", i64 =>
    scipy_sgemm_64_: f32, scipy_dgemm_64_: f64, scipy_cgemm_64_: c32, scipy_zgemm_64_: c64
}

cblas_real! { c"cblas_xerbla", i32 => cblas_sgemm: f32, cblas_dgemm: f64 }
cblas_real! { c"cblas_xerbla64_", i64 => cblas_sgemm64_: f32, cblas_dgemm64_: f64 }
cblas_real! { c"cblas_xerbla_64", i64 => cblas_sgemm_64: f32, cblas_dgemm_64: f64 }
cblas_real! { c"scipy_cblas_xerbla", i32 => scipy_cblas_sgemm: f32, scipy_cblas_dgemm: f64 }
cblas_real! { c"scipy_cblas_xerbla64_", i64 =>
    scipy_cblas_sgemm64_: f32, scipy_cblas_dgemm64_: f64
}

cblas_complex! { c"cblas_xerbla", i32 => cblas_cgemm: c32, cblas_zgemm: c64 }
cblas_complex! { c"cblas_xerbla64_", i64 => cblas_cgemm64_: c32, cblas_zgemm64_: c64 }
cblas_complex! { c"cblas_xerbla_64", i64 => cblas_cgemm_64: c32, cblas_zgemm_64: c64 }
cblas_complex! { c"scipy_cblas_xerbla", i32 => scipy_cblas_cgemm: c32, scipy_cblas_zgemm: c64 }
cblas_complex! { c"scipy_cblas_xerbla64_", i64 =>
    scipy_cblas_cgemm64_: c32, scipy_cblas_zgemm64_: c64
}
