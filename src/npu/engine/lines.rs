//! Operands as lines: rows of A, columns of B, each as contiguous numbers.

use crate::mat::MatRef;
use std::ops::Range;

/// Lines that are gathered together: a strided operand is read in whole cache lines.
pub const STRIP: usize = 32;

/// An operand whose lines are the rows of a view: A itself, or the transpose of B.
#[derive(Debug, Clone, Copy)]
pub struct Lines<'a> {
    mat: MatRef<'a, f32>,
}

impl<'a> Lines<'a> {
    /// The rows of `mat` as lines.
    pub fn new(mat: MatRef<'a, f32>) -> Self {
        Lines { mat }
    }

    /// Numbers per line.
    pub fn len(&self) -> usize {
        self.mat.cols()
    }

    /// Calls `each(index, line)` for the lines of `range`, in order. `scratch` is used where
    /// the numbers of a line are not contiguous in memory.
    pub fn visit(
        &self,
        range: Range<usize>,
        scratch: &mut Vec<f32>,
        mut each: impl FnMut(usize, &[f32]),
    ) {
        let len = self.len();
        if self.mat.col_stride() == 1 {
            for i in range {
                // SAFETY: with a column stride of 1 the elements (i, 0..len) are adjacent, and
                // the view promises that they are readable and not written meanwhile.
                each(i, unsafe { std::slice::from_raw_parts(self.mat.at(i, 0), len) });
            }
            return;
        }
        for first in range.clone().step_by(STRIP) {
            let count = STRIP.min(range.end - first);
            scratch.clear();
            scratch.resize(count * len, 0.0);
            for l in 0..len {
                for i in 0..count {
                    // SAFETY: (first + i, l) lies inside the view, which promises that it is
                    // readable.
                    scratch[i * len + l] = unsafe { *self.mat.at(first + i, l) };
                }
            }
            for (i, line) in scratch.chunks_exact(len.max(1)).enumerate() {
                each(first + i, line);
            }
        }
    }
}
