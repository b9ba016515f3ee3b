//! The crate `gemm`. It calls the factor of the old C α and that of the product β.

use gemm::Parallelism;
use peers::Product;

fn run<T: PartialEq + Default + 'static>(p: Product<T>) {
    let parallelism = match peers::threads() {
        1 => Parallelism::None,
        threads => Parallelism::Rayon(threads),
    };
    let reads_c = p.beta != T::default();
    // SAFETY: the caller's matrices, as CBLAS describes them.
    unsafe {
        gemm::gemm(
            p.m, p.n, p.k, p.c, p.c_strides.1, p.c_strides.0, reads_c, p.a, p.a_strides.1,
            p.a_strides.0, p.b, p.b_strides.1, p.b_strides.0, p.beta, p.alpha, false, false, false,
            parallelism,
        );
    }
}

peers::cblas! { cblas_sgemm: f32 => run; cblas_dgemm: f64 => run; }
