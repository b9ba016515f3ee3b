//! The crate `matrixmultiply`.

use peers::Product;

fn single(p: Product<f32>) {
    // SAFETY: the caller's matrices, as CBLAS describes them.
    unsafe {
        matrixmultiply::sgemm(
            p.m, p.k, p.n, p.alpha, p.a, p.a_strides.0, p.a_strides.1, p.b, p.b_strides.0,
            p.b_strides.1, p.beta, p.c, p.c_strides.0, p.c_strides.1,
        );
    }
}

fn double(p: Product<f64>) {
    // SAFETY: as above.
    unsafe {
        matrixmultiply::dgemm(
            p.m, p.k, p.n, p.alpha, p.a, p.a_strides.0, p.a_strides.1, p.b, p.b_strides.0,
            p.b_strides.1, p.beta, p.c, p.c_strides.0, p.c_strides.1,
        );
    }
}

peers::cblas! { cblas_sgemm: f32 => single; cblas_dgemm: f64 => double; }
