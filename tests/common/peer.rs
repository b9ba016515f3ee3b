//! Another BLAS to compare with, loaded at run time.

use super::data::Operands;
use libloading::Library;
use std::ffi::c_int;

type Sgemm64 = unsafe extern "C" fn(
    c_int,
    c_int,
    c_int,
    i64,
    i64,
    i64,
    f32,
    *const f32,
    i64,
    *const f32,
    i64,
    f32,
    *mut f32,
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

    /// α·A·B + β·C; `old` is not read where β is 0.
    pub fn sgemm(&self, it: &Operands, alpha: f32, beta: f32, old: &[f32]) -> Vec<f32> {
        const ROW_MAJOR: c_int = 101;
        const NO_TRANS: c_int = 111;
        let mut c = old.to_vec();
        let (m, n, k) = (it.m as i64, it.n as i64, it.k as i64);
        // SAFETY: the symbol has this signature in NumPy's OpenBLAS, and the operands are
        // contiguous row-major matrices of these shapes.
        unsafe {
            let sgemm = self.library.get::<Sgemm64>(b"scipy_cblas_sgemm64_\0").unwrap();
            sgemm(
                ROW_MAJOR,
                NO_TRANS,
                NO_TRANS,
                m,
                n,
                k,
                alpha,
                it.a.as_ptr(),
                k,
                it.b.as_ptr(),
                n,
                beta,
                c.as_mut_ptr(),
                n,
            );
        }
        c
    }
}
