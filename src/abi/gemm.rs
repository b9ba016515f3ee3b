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
use super::fenv;
use super::xerbla::{self, Illegal, Routine};
use crate::Gemm;
use crate::blas::gemm::compute;
use crate::mat::{MatMut, MatRef};
use crate::runtime::Runs;
use crate::scalar::{c32, c64};
use std::ffi::{CStr, c_char, c_int};

/// A call in the terms of the Fortran interface: every matrix is stored by columns.
struct Call<T> {
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

    /// The call that computes `Cᵀ = op(B)ᵀ·op(A)ᵀ`. Memory that holds matrices by rows holds
    /// their transposes by columns, so this is what a row-major call means.
    fn transposed(self) -> Self {
        Call {
            op_a: self.op_b,
            op_b: self.op_a,
            m: self.n,
            n: self.m,
            a: self.b,
            lda: self.ldb,
            b: self.a,
            ldb: self.lda,
            ..self
        }
    }

    /// The position, among the arguments of the Fortran interface, of the first illegal size.
    #[inline]
    fn illegal(&self) -> Option<c_int> {
        let rows_a = if self.op_a.transpose { self.k } else { self.m };
        let rows_b = if self.op_b.transpose { self.n } else { self.k };
        first_illegal([
            (3, self.m < 0),
            (4, self.n < 0),
            (5, self.k < 0),
            (8, self.lda < rows_a.max(1)),
            (10, self.ldb < rows_b.max(1)),
            (13, self.ldc < self.m.max(1)),
        ])
    }

    /// The same as strides.
    ///
    /// # Safety
    /// That of the module, and no size is illegal.
    unsafe fn problem<'a>(&self) -> Gemm<'a, T> {
        // SAFETY: α and β can be read.
        let (alpha, beta) = unsafe { (*self.alpha, *self.beta) };
        // Where α = 0 nobody vouches for A and B; with an inner length of 0 they have no elements.
        let k = if alpha == T::ZERO { 0 } else { self.k };
        // SAFETY: A and B can be read for the duration of the call and C can be written; ldc ≥ m
        // keeps the columns of C apart.
        unsafe {
            Gemm {
                alpha,
                a: operand(self.a, self.op_a, self.m, k, self.lda),
                conj_a: self.op_a.conjugate,
                b: operand(self.b, self.op_b, k, self.n, self.ldb),
                conj_b: self.op_b.conjugate,
                beta,
                c: MatMut::new(self.c, self.m as usize, self.n as usize, 1, self.ldc as isize),
            }
        }
    }
}

/// op(A) of `rows × cols` elements, where A is stored by columns.
///
/// # Safety
/// As for [`MatRef::new`]; no size is negative.
unsafe fn operand<'a, T>(a: *const T, op: Op, rows: i64, cols: i64, ld: i64) -> MatRef<'a, T> {
    let ld = ld as isize;
    let (row_stride, col_stride) = if op.transpose { (ld, 1) } else { (1, ld) };
    // SAFETY: promised by the caller.
    unsafe { MatRef::new(a, rows as usize, cols as usize, row_stride, col_stride) }
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
    let call = Call { op_a, op_b, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc };
    match call.illegal() {
        Some(info) => report(info),
        // SAFETY: the caller's promise, and the sizes are legal.
        None => fenv::in_default(|| _ = compute(&mut unsafe { call.problem() })),
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
    let call = Call { op_a, op_b, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc };
    let call = if by_rows { call.transposed() } else { call };
    if let Some(info) = call.illegal() {
        // The layout is an argument that Fortran does not have.
        let info = info + 1;
        let position = if by_rows { position_by_rows(info) } else { info };
        return report(Illegal { position, info, row_major: by_rows, form: c"", value: 0 });
    }
    fenv::in_default(|| {
        // SAFETY: the caller's promise, and the sizes are legal.
        let mut problem = unsafe { call.problem() };
        if by_rows {
            // Below the door m and n are the caller's again.
            problem.transpose();
        }
        compute(&mut problem);
    });
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
