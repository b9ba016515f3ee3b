//! What becomes of sums, whoever computed them: the values they stand for, and then C.

use super::area::Spared;
use crate::mat::MatMut;
use crate::npu::scheme::{Element, Scheme};
use std::ops::Range;

/// How the sums of a product become C.
#[derive(Debug, Clone, Copy)]
pub struct Formula<'a, T> {
    /// Which sums belong together, and how.
    pub scheme: &'a Scheme,
    /// Exponents of the rows of A.
    pub row_exponents: &'a [i32],
    /// Exponents of the columns of B, of each line one.
    pub col_exponents: &'a [i32],
    /// What is not written.
    pub spared: &'a Spared,
    /// Factor of the product.
    pub alpha: T,
    /// Factor of the old C.
    pub beta: T,
}

/// Scratch of one thread.
#[derive(Debug)]
pub struct Values<T> {
    joined: Vec<f64>,
    new: Vec<T>,
}

impl<T> Default for Values<T> {
    fn default() -> Self {
        Values { joined: Vec::new(), new: Vec::new() }
    }
}

impl<T: Element> Formula<'_, T> {
    /// Writes some neighbouring elements of one row of C, but for spared ones: those that the
    /// `lines` of B make, [`Scheme::lines`] each. `sums[g * lines.len() + j]` is the sum of group g
    /// at the j-th of the lines. No other thread touches these elements meanwhile.
    pub fn write_row(
        &self,
        row: usize,
        lines: Range<usize>,
        sums: &[i64],
        c: &MatMut<'_, T>,
        Values { joined, new }: &mut Values<T>,
    ) {
        joined.resize(lines.len() * self.scheme.parts(), 0.0);
        let col_exponents = &self.col_exponents[lines.clone()];
        self.scheme.join(sums, self.row_exponents[row], col_exponents, joined);
        let cols = self.scheme.columns::<T>(lines);
        for kept in self.spared.kept_cols(cols.clone()) {
            let first = (kept.start - cols.start) * T::PARTS;
            let values = &joined[first..first + kept.len() * T::PARTS];
            self.write(row, kept, values, c, new);
        }
    }

    /// Writes some neighbouring elements of one row of C, whose products are `values`; `new` is
    /// scratch.
    fn write(
        &self,
        row: usize,
        cols: Range<usize>,
        values: &[f64],
        c: &MatMut<'_, T>,
        new: &mut Vec<T>,
    ) {
        new.resize(cols.len(), T::ZERO);
        let at = |j: usize| c.at(row, cols.start + j);
        if self.beta != T::ZERO {
            for (j, old) in new.iter_mut().enumerate() {
                // SAFETY: inside C; where β ≠ 0 the caller promises a value.
                *old = unsafe { at(j).read() };
            }
        }
        T::finish_row(self.alpha, values, self.beta, new);
        if c.col_stride() == 1 {
            // SAFETY: the elements from the first one on lie side by side in C, which the view
            // promises to be writable, and no other thread touches them.
            unsafe { std::ptr::copy_nonoverlapping(new.as_ptr(), at(0), new.len()) };
        } else {
            for (j, &value) in new.iter().enumerate() {
                // SAFETY: as above, one by one.
                unsafe { at(j).write(value) };
            }
        }
    }
}
