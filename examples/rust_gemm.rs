//! One product from Rust: `cargo run --release --example rust_gemm`.
//!
//! The call takes the same way as one from C or NumPy: to the NPU where that pays, otherwise to
//! the CPU.

use npublas::{Gemm, MatMut, MatRef, gemm};

fn main() {
    let (m, n, k) = (70, 90, 110);
    // Small integers, so that every result is exact. A and C by rows, B by columns.
    let a: Vec<f32> = (0..m * k).map(|i| (i % 13) as f32 - 6.0).collect();
    let b: Vec<f32> = (0..k * n).map(|i| (i % 11) as f32 - 5.0).collect();
    let mut c = vec![f32::NAN; m * n];

    // With β = 0 the old C is not read: the NaN do not matter.
    gemm(Gemm {
        alpha: 1.0,
        a: MatRef::from_row_major(&a, m, k, k),
        conj_a: false,
        b: MatRef::from_col_major(&b, k, n, k),
        conj_b: false,
        beta: 0.0,
        c: MatMut::from_row_major(&mut c, m, n, n),
    });

    for i in 0..m {
        for j in 0..n {
            let expected: f32 = (0..k).map(|l| a[i * k + l] * b[j * k + l]).sum();
            assert_eq!(c[i * n + j], expected, "C[{i}][{j}]");
        }
    }
    println!("gemm: all {} entries are right", m * n);
}
