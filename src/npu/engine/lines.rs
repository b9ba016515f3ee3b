//! Operands as lines of real numbers: rows of A, columns of B.

use super::transpose::{DEPTH, STRIP, Tile, transpose};
use crate::mat::MatRef;
use crate::npu::scheme::Element;
use std::ops::{Neg, Range};

/// An operand as lines of real numbers. A row of A is one line, a column of B one or, of complex
/// elements, two; see [`crate::npu::scheme::element`].
#[derive(Debug)]
pub struct Lines<'a, T> {
    /// Its rows are the lines, or pairs of lines.
    mat: MatRef<'a, T>,
    /// Whether the elements stand for their conjugates.
    conj: bool,
    /// Lines for each row of it.
    per_row: usize,
}

impl<T> Clone for Lines<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<T> Copy for Lines<'_, T> {}

/// Scratch of [`Lines::visit`].
#[derive(Debug)]
pub struct Scratch<T: Element> {
    /// Elements of a strip of a strided operand, line by line.
    gathered: Vec<T>,
    /// Real numbers of one line that do not lie in memory as they are wanted.
    line: Vec<T::Real>,
}

impl<T: Element> Default for Scratch<T> {
    fn default() -> Self {
        Scratch { gathered: Vec::new(), line: Vec::new() }
    }
}

impl<'a, T: Element> Lines<'a, T> {
    /// The rows of A, or of its conjugate.
    pub fn of_a(a: MatRef<'a, T>, conj: bool) -> Self {
        Lines { mat: a, conj, per_row: 1 }
    }

    /// The columns of B, or of its conjugate, one line each.
    pub fn of_b(b: MatRef<'a, T>, conj: bool) -> Self {
        Lines { mat: b.t(), conj, per_row: 1 }
    }

    /// The same columns of B as 1 or [`Element::PARTS`] lines each.
    pub fn per_column(self, lines: usize) -> Self {
        Lines { per_row: lines, ..self }
    }

    /// Number of lines.
    pub fn count(&self) -> usize {
        self.mat.rows() * self.per_row
    }

    /// Numbers per line.
    pub fn length(&self) -> usize {
        self.mat.cols() * T::PARTS
    }

    /// Lines for each row of A or column of B.
    pub fn per_row(&self) -> usize {
        self.per_row
    }

    /// Calls `each(index, line)` for the lines of `range`, in order. Pairs of lines are not
    /// parted. `scratch` is used where the numbers of a line are not contiguous in memory.
    pub fn visit(
        &self,
        range: Range<usize>,
        scratch: &mut Scratch<T>,
        mut each: impl FnMut(usize, &[T::Real]),
    ) {
        let per_row = self.per_row;
        debug_assert!(range.start.is_multiple_of(per_row) && range.end.is_multiple_of(per_row));
        let len = self.mat.cols();
        let rows = range.start / per_row..range.end / per_row;
        let Scratch { gathered, line } = scratch;
        if self.mat.col_stride() == 1 {
            for i in rows {
                // SAFETY: with a column stride of 1 the elements (i, 0..len) are adjacent, and
                // the view promises that they are readable and not written meanwhile.
                let row = unsafe { std::slice::from_raw_parts(self.mat.at(i, 0), len) };
                self.show(i, row, line, &mut each);
            }
            return;
        }
        // A cache line more than they need, so that the rows do not compete for places in the
        // cache where their length is a power of two.
        let pitch = len.next_multiple_of(DEPTH) + DEPTH;
        gathered.resize(STRIP * pitch, T::ZERO);
        for first in rows.clone().step_by(STRIP) {
            let count = STRIP.min(rows.end - first);
            self.gather(first, count, gathered, pitch);
            for i in 0..count {
                self.show(first + i, &gathered[i * pitch..][..len], line, &mut each);
            }
        }
    }

    /// Calls `each` for the lines that a row of elements makes.
    fn show(
        &self,
        row: usize,
        elements: &[T],
        line: &mut Vec<T::Real>,
        each: &mut impl FnMut(usize, &[T::Real]),
    ) {
        let parts = T::parts(elements);
        match (self.per_row, self.conj) {
            _ if T::PARTS == 1 => each(row, parts),
            (1, false) => each(row, parts),
            (1, true) => {
                arrange(parts, line, |re, im| [re, -im]);
                each(row, line);
            }
            (_, true) => {
                each(2 * row, parts);
                arrange(parts, line, |re, im| [-im, re]);
                each(2 * row + 1, line);
            }
            (_, false) => {
                arrange(parts, line, |re, im| [re, -im]);
                each(2 * row, line);
                arrange(parts, line, |re, im| [im, re]);
                each(2 * row + 1, line);
            }
        }
    }

    /// Copies `count` rows of elements from `first` on, at most a strip, to `out`, where they are
    /// `pitch` elements apart.
    fn gather(&self, first: usize, count: usize, out: &mut [T], pitch: usize) {
        let len = self.mat.cols();
        let mut tile: Tile<T> = [[T::ZERO; STRIP]; DEPTH];
        for start in (0..len).step_by(DEPTH) {
            let depth = DEPTH.min(len - start);
            for (l, across) in tile.iter_mut().enumerate().take(depth) {
                let from = self.mat.at(first, start + l);
                if self.mat.row_stride() == 1 {
                    // SAFETY: the elements (first + i, start + l) lie side by side inside the
                    // view, which promises that they are readable.
                    let column = unsafe { std::slice::from_raw_parts(from, count) };
                    across[..count].copy_from_slice(column);
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

/// Puts the parts of complex numbers in another order, or gives them other signs.
fn arrange<R: Copy + Neg<Output = R>>(
    parts: &[R],
    line: &mut Vec<R>,
    how: impl Fn(R, R) -> [R; 2],
) {
    line.clear();
    line.extend(parts.as_chunks::<2>().0.iter().flat_map(|&[re, im]| how(re, im)));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scalar::{Scalar, c32};

    /// Σ over the numbers of a row of A and a line of B is the part of the product that it
    /// should be, for every stride and conjugation.
    #[test]
    fn lines_multiply_like_complex_numbers() {
        let number = |i: usize| c32::new((i * 7 % 11) as f32 - 5.0, (i * 5 % 13) as f32 - 6.0);
        for (m, n, k) in [(1, 1, 1), (3, 35, 17), (34, 2, 40)] {
            let a: Vec<c32> = (0..m * k).map(number).collect();
            let b: Vec<c32> = (0..k * n).map(|i| number(i + 99)).collect();
            for ways in 0..16 {
                let [row_a, row_b, conj_a, conj_b] = [1, 2, 4, 8].map(|bit| ways & bit != 0);
                let view = |data, rows, cols, row_major| match row_major {
                    true => MatRef::from_row_major(data, rows, cols, cols),
                    false => MatRef::from_col_major(data, rows, cols, rows),
                };
                let (a, b) = (view(&a, m, k, row_a), view(&b, k, n, row_b));
                let collect = |lines: Lines<'_, c32>| {
                    let mut all = Vec::new();
                    lines.visit(0..lines.count(), &mut Scratch::default(), |i, line| {
                        assert_eq!(i, all.len());
                        all.push(line.to_vec());
                    });
                    all
                };
                let rows = collect(Lines::of_a(a, conj_a));
                let whole = collect(Lines::of_b(b, conj_b));
                let cols = collect(Lines::of_b(b, conj_b).per_column(2));
                assert_eq!((rows.len(), whole.len(), cols.len()), (m, n, 2 * n));
                for i in 0..m {
                    for j in 0..n {
                        let numbers = (0..k).flat_map(|l| {
                            // SAFETY: inside the view.
                            let y = unsafe { *b.at(l, j) };
                            [y.re, if conj_b { -y.im } else { y.im }]
                        });
                        assert!(numbers.eq(whole[j].iter().copied()));
                        let dot = |x: &[f32], y: &[f32]| x.iter().zip(y).map(|(x, y)| x * y).sum();
                        let found =
                            c32::new(dot(&rows[i], &cols[2 * j]), dot(&rows[i], &cols[2 * j + 1]));
                        let sum = (0..k).fold(c32::ZERO, |sum, l| {
                            // SAFETY: inside both views.
                            let (x, y) = unsafe { (*a.at(i, l), *b.at(l, j)) };
                            sum + if conj_a { x.conj() } else { x }
                                * if conj_b { y.conj() } else { y }
                        });
                        assert_eq!(found, sum);
                    }
                }
            }
        }
    }
}
