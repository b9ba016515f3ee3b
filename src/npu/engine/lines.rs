//! Operands as lines: rows of A, columns of B, each as contiguous numbers.

use super::transpose::{DEPTH, STRIP, Tile, transpose};
use crate::mat::MatRef;
use std::ops::Range;

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
    pub fn length(&self) -> usize {
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
        let len = self.length();
        if self.mat.col_stride() == 1 {
            for i in range {
                // SAFETY: with a column stride of 1 the elements (i, 0..len) are adjacent, and
                // the view promises that they are readable and not written meanwhile.
                each(i, unsafe { std::slice::from_raw_parts(self.mat.at(i, 0), len) });
            }
            return;
        }
        // A cache line more than they need, so that the lines do not compete for places in the
        // cache where their length is a power of two.
        let pitch = len.next_multiple_of(DEPTH) + DEPTH;
        scratch.resize(STRIP * pitch, 0.0);
        for first in range.clone().step_by(STRIP) {
            let count = STRIP.min(range.end - first);
            self.gather(first, count, scratch, pitch);
            for i in 0..count {
                each(first + i, &scratch[i * pitch..][..len]);
            }
        }
    }

    /// Copies `count` lines from `first` on, at most a strip, to `out`, where they are `pitch`
    /// numbers apart.
    fn gather(&self, first: usize, count: usize, out: &mut [f32], pitch: usize) {
        let mut tile: Tile = [[0.0; STRIP]; DEPTH];
        for start in (0..self.length()).step_by(DEPTH) {
            let depth = DEPTH.min(self.length() - start);
            for (l, across) in tile.iter_mut().enumerate().take(depth) {
                let from = self.mat.at(first, start + l);
                if count == STRIP && self.mat.row_stride() == 1 {
                    // SAFETY: the elements (first + i, start + l) of a whole strip lie side by
                    // side inside the view, which promises that they are readable.
                    *across = unsafe { from.cast::<[f32; STRIP]>().read() };
                    continue;
                }
                for (i, number) in across.iter_mut().enumerate().take(count) {
                    // SAFETY: (first + i, start + l) lies inside the view, which promises that
                    // it is readable.
                    *number = unsafe { *self.mat.at(first + i, start + l) };
                }
            }
            transpose(&tile, &mut out[start..], pitch);
        }
    }
}
