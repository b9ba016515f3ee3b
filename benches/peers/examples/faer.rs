//! The crate `faer`, which has no β other than 0 and 1: another one is multiplied in beforehand.

use faer::linalg::matmul::matmul;
use faer::traits::ComplexField;
use faer::{Accum, MatMut, MatRef, Par};
use peers::Product;

fn run<T: ComplexField + Copy + PartialEq>(p: Product<T>) {
    let par = match peers::threads() {
        1 => Par::Seq,
        threads => Par::rayon(threads),
    };
    // SAFETY: the caller's matrices, as CBLAS describes them.
    let (a, b, mut c) = unsafe {
        (
            MatRef::from_raw_parts(p.a, p.m, p.k, p.a_strides.0, p.a_strides.1),
            MatRef::from_raw_parts(p.b, p.k, p.n, p.b_strides.0, p.b_strides.1),
            MatMut::from_raw_parts_mut(p.c, p.m, p.n, p.c_strides.0, p.c_strides.1),
        )
    };
    let accum = if p.beta == T::zero_impl() { Accum::Replace } else { Accum::Add };
    if accum == Accum::Add && p.beta != T::one_impl() {
        c *= faer::Scale(p.beta);
    }
    matmul(c, accum, a, b, p.alpha, par);
}

peers::cblas! { cblas_sgemm: f32 => run; cblas_dgemm: f64 => run; }
