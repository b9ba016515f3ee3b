//! Another BLAS to compare with, loaded at run time.

use crate::call::Call;
use crate::element::Element;
use libloading::Library;
use std::ffi::c_int;

/// CBLAS with 64-bit integers; the factors are of type `F`, which is `T` for real types and a
/// pointer to it for complex ones.
type Gemm64<T, F> = unsafe extern "C" fn(
    c_int,
    c_int,
    c_int,
    i64,
    i64,
    i64,
    F,
    *const T,
    i64,
    *const T,
    i64,
    F,
    *mut T,
    i64,
);

/// The BLAS that `NPUBLAS_PEER` names: NumPy's own, with 64-bit integers.
#[derive(Debug)]
pub struct Peer {
    library: Library,
}

impl Peer {
    /// Loads it; `None`, said aloud, where there is none.
    pub fn load() -> Option<Peer> {
        let Some(path) = std::env::var_os("NPUBLAS_PEER") else {
            eprintln!("NPUBLAS_PEER is not set: no other BLAS is compared");
            return None;
        };
        // SAFETY: a BLAS library runs nothing at load that could hurt this program.
        let library = unsafe { Library::new(&path) };
        Some(Peer { library: library.unwrap_or_else(|e| panic!("{path:?}: {e}")) })
    }

    /// The result of the same call of contiguous row-major matrices.
    pub fn gemm<T: Element>(&self, call: &Call<T>) -> Vec<T> {
        let mut c = call.old.clone();
        let (alpha, beta) = (call.alpha, call.beta);
        // SAFETY: the factors are of the type that the symbol of this type letter has.
        unsafe {
            if T::COMPLEX {
                self.call::<T, *const T>(call, &alpha, &beta, &mut c);
            } else {
                self.call::<T, T>(call, alpha, beta, &mut c);
            }
        }
        c
    }

    /// # Safety
    /// `F` is as [`Gemm64`] wants it for `T`.
    unsafe fn call<T: Element, F>(&self, call: &Call<T>, alpha: F, beta: F, c: &mut [T]) {
        const ROW_MAJOR: c_int = 101;
        const NO_TRANS: c_int = 111;
        let it = &call.operands;
        let (m, n, k) = (it.m as i64, it.n as i64, it.k as i64);
        let (a, b, c) = (it.a.as_ptr(), it.b.as_ptr(), c.as_mut_ptr());
        let name = format!("scipy_cblas_{}gemm64_", T::LETTER);
        // SAFETY: the symbol has this signature in NumPy's OpenBLAS, and the operands are
        // contiguous row-major matrices of these shapes.
        unsafe {
            let gemm = self.library.get::<Gemm64<T, F>>(name.as_bytes()).unwrap();
            gemm(ROW_MAJOR, NO_TRANS, NO_TRANS, m, n, k, alpha, a, k, b, n, beta, c, n);
        }
    }
}
