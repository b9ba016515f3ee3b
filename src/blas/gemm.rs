//! General matrix product: `C ← α·A·B + β·C`.

use crate::mat::{MatMut, MatRef};
use crate::runtime::{self, Runs};
use crate::scalar::Scalar;
use crate::trace::Report;

/// One product: `C ← α·A·B + β·C`, C of m × n, A of m × k, B of k × n.
///
/// Layout and transposition are already gone: they are strides. `conj_a` and `conj_b` ask for
/// the conjugates of A and B; they mean nothing for real types.
#[derive(Debug)]
pub struct Gemm<'a, T> {
    /// Factor of the product.
    pub alpha: T,
    /// m × k.
    pub a: MatRef<'a, T>,
    /// Whether A stands for its conjugate.
    pub conj_a: bool,
    /// k × n.
    pub b: MatRef<'a, T>,
    /// Whether B stands for its conjugate.
    pub conj_b: bool,
    /// Factor of the old C; where it is 0, C is not read.
    pub beta: T,
    /// m × n.
    pub c: MatMut<'a, T>,
}

impl<T: Scalar> Gemm<'_, T> {
    /// Rows of C and A.
    pub fn m(&self) -> usize {
        self.c.rows()
    }
    /// Columns of C and B.
    pub fn n(&self) -> usize {
        self.c.cols()
    }
    /// Columns of A and rows of B.
    pub fn k(&self) -> usize {
        self.a.cols()
    }
    /// The same problem for the rows `i..i + rows` and columns `j..j + cols` of C.
    pub fn part(&mut self, i: usize, j: usize, rows: usize, cols: usize) -> Gemm<'_, T> {
        let k = self.k();
        Gemm {
            alpha: self.alpha,
            a: self.a.block(i, 0, rows, k),
            conj_a: self.conj_a,
            b: self.b.block(0, j, k, cols),
            conj_b: self.conj_b,
            beta: self.beta,
            c: self.c.block(i, j, rows, cols),
        }
    }
}

/// Computes `C ← α·A·B + β·C` wherever it is fastest.
///
/// As the reference BLAS: nothing is touched when m = 0 or n = 0, nor when (α = 0 or k = 0) and
/// β = 1. A and B are not read when α = 0. C is not read when β = 0; it then becomes +0 where
/// there is nothing to add. C must not overlap A or B.
///
/// Says where it was computed; `None` where there was no product to compute.
///
/// # Panics
/// When the shapes of A, B and C do not fit together.
pub fn gemm<T: Runs>(mut problem: Gemm<'_, T>) -> Option<Report> {
    let (m, n, k) = (problem.m(), problem.n(), problem.k());
    assert!(
        problem.a.rows() == m && problem.b.rows() == k && problem.b.cols() == n,
        "shapes of A, B and C do not fit together"
    );
    if m == 0 || n == 0 {
        return None;
    }
    if problem.alpha == T::ZERO || k == 0 {
        if problem.beta != T::ONE {
            scale(problem.beta, &mut problem.c);
        }
        return None;
    }
    Some(runtime::gemm(problem))
}

/// `C ← β·C`; does not read C when β = 0.
fn scale<T: Scalar>(beta: T, c: &mut MatMut<'_, T>) {
    for j in 0..c.cols() {
        for i in 0..c.rows() {
            let at = c.at(i, j);
            // SAFETY: (i, j) lies inside C, which the view promises to be writable; it is read
            // only where β ≠ 0, that is where the caller promises a value.
            unsafe { at.write(if beta == T::ZERO { T::ZERO } else { beta * at.read() }) };
        }
    }
}
