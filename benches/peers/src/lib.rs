//! What the three libraries share: the arguments of a CBLAS call become strides.

use std::ffi::c_int;

/// `C ← α·A·B + β·C`, C of m × n; every matrix with its row and its column stride.
#[derive(Debug, Clone, Copy)]
pub struct Product<T> {
    pub m: usize,
    pub n: usize,
    pub k: usize,
    pub alpha: T,
    pub a: *const T,
    pub a_strides: (isize, isize),
    pub b: *const T,
    pub b_strides: (isize, isize),
    pub beta: T,
    pub c: *mut T,
    pub c_strides: (isize, isize),
}

impl<T> Product<T> {
    /// The product that a CBLAS call asks for; sizes are not checked.
    pub fn new(
        layout: c_int,
        ops: (c_int, c_int),
        (m, n, k): (c_int, c_int, c_int),
        alpha: T,
        (a, lda): (*const T, c_int),
        (b, ldb): (*const T, c_int),
        beta: T,
        (c, ldc): (*mut T, c_int),
    ) -> Self {
        const ROW_MAJOR: c_int = 101;
        const NO_TRANS: c_int = 111;
        let strides = |ld: c_int, plain: bool| {
            if (layout == ROW_MAJOR) == plain { (ld as isize, 1) } else { (1, ld as isize) }
        };
        Product {
            m: m as usize,
            n: n as usize,
            k: k as usize,
            alpha,
            a,
            a_strides: strides(lda, ops.0 == NO_TRANS),
            b,
            b_strides: strides(ldb, ops.1 == NO_TRANS),
            beta,
            c,
            c_strides: strides(ldc, true),
        }
    }
}

/// Threads that the crate may use, from rayon's variable.
pub fn threads() -> usize {
    let named = std::env::var("RAYON_NUM_THREADS").ok().and_then(|number| number.parse().ok());
    named.unwrap_or(1)
}

/// Defines `cblas_sgemm` and `cblas_dgemm` by a function of a [`Product`].
#[macro_export]
macro_rules! cblas {
    ($($name:ident: $t:ty => $run:expr;)*) => {$(
        /// As in CBLAS.
        ///
        /// # Safety
        /// As in CBLAS, and all sizes are legal.
        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn $name(
            layout: std::ffi::c_int,
            transa: std::ffi::c_int,
            transb: std::ffi::c_int,
            m: std::ffi::c_int,
            n: std::ffi::c_int,
            k: std::ffi::c_int,
            alpha: $t,
            a: *const $t,
            lda: std::ffi::c_int,
            b: *const $t,
            ldb: std::ffi::c_int,
            beta: $t,
            c: *mut $t,
            ldc: std::ffi::c_int,
        ) {
            let shape = (m, n, k);
            let ops = (transa, transb);
            $run($crate::Product::new(layout, ops, shape, alpha, (a, lda), (b, ldb), beta, (c, ldc)));
        }
    )*};
}
