//! The problems that routines state and paths solve.

use crate::mat::{MatMut, MatRef};
use crate::scalar::Scalar;

/// One product: `C ← α·A·B + β·C`, C of m × n, A of m × k, B of k × n.
///
/// Layout and transposition are already gone: they are strides. `conj_a` and `conj_b` ask for
/// the conjugates of A and B; they mean nothing for real types.
///
/// The two do not lie side by side: compilers like to load two neighbours at once, and a load of what
/// two stores have just written has to wait until both are in the cache, behind all before them.
#[derive(Debug)]
#[repr(C)]
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
    /// Turns the problem into `Cᵀ ← α·Bᵀ·Aᵀ + β·Cᵀ`, which is the same one.
    #[inline]
    pub fn transpose(&mut self) {
        std::mem::swap(&mut self.a, &mut self.b);
        std::mem::swap(&mut self.conj_a, &mut self.conj_b);
        self.a.transpose();
        self.b.transpose();
        self.c.transpose();
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
