//! Matrices in all the ways that strides allow, with guard elements all round.

use super::oracle::Element;
use npublas::{MatMut, MatRef};

/// How a matrix lies in memory.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Layout {
    /// Columns contiguous, so many elements between them.
    ColMajor(usize),
    /// Rows contiguous, so many elements between them.
    RowMajor(usize),
    /// No two elements are neighbours.
    Scattered,
    /// Column-major, last row first.
    RowsReversed,
    /// Column-major, last column first.
    ColsReversed,
    /// Row-major, both backwards.
    Reversed,
}

pub const LAYOUTS: [Layout; 8] = [
    Layout::ColMajor(0),
    Layout::ColMajor(3),
    Layout::RowMajor(0),
    Layout::RowMajor(5),
    Layout::Scattered,
    Layout::RowsReversed,
    Layout::ColsReversed,
    Layout::Reversed,
];

/// Guard elements before and after; odd, so that nothing is aligned by luck.
const MARGIN: usize = 7;

/// A matrix inside a larger array, every other element of which is a guard.
#[derive(Clone)]
pub struct Storage<T> {
    data: Vec<T>,
    guard: T,
    first: usize,
    rows: usize,
    cols: usize,
    rs: isize,
    cs: isize,
}

impl<T: Element> Storage<T> {
    pub fn new(
        rows: usize,
        cols: usize,
        layout: Layout,
        mut value: impl FnMut(usize, usize) -> T,
    ) -> Self {
        let (rs, cs) = match layout {
            Layout::ColMajor(pad) => (1, (rows + pad) as isize),
            Layout::RowMajor(pad) => ((cols + pad) as isize, 1),
            Layout::Scattered => (2, 2 * rows as isize + 3),
            Layout::RowsReversed => (-1, rows as isize + 1),
            Layout::ColsReversed => (1, -(rows as isize) - 2),
            Layout::Reversed => (-(cols as isize), -1),
        };
        let span = |n: usize, stride: isize| n.saturating_sub(1) * stride.unsigned_abs();
        let before = |n: usize, stride: isize| if stride < 0 { span(n, stride) } else { 0 };
        let first = MARGIN + before(rows, rs) + before(cols, cs);
        let guard = T::new(-12345.0, 54321.0);
        let data = vec![guard; span(rows, rs) + span(cols, cs) + 1 + 2 * MARGIN];
        let mut storage = Storage { data, guard, first, rows, cols, rs, cs };
        for j in 0..cols {
            for i in 0..rows {
                let at = storage.index(i, j);
                storage.data[at] = value(i, j);
            }
        }
        storage
    }

    fn index(&self, i: usize, j: usize) -> usize {
        (self.first as isize + i as isize * self.rs + j as isize * self.cs) as usize
    }

    pub fn get(&self, i: usize, j: usize) -> T {
        self.data[self.index(i, j)]
    }

    pub fn set(&mut self, i: usize, j: usize, x: T) {
        let at = self.index(i, j);
        self.data[at] = x;
    }

    /// The elements alone, column by column or row by row.
    pub fn packed(&self, by_rows: bool) -> Vec<T> {
        let (outer, inner) = if by_rows { (self.rows, self.cols) } else { (self.cols, self.rows) };
        let element = |x, y| if by_rows { self.get(x, y) } else { self.get(y, x) };
        (0..outer).flat_map(|x| (0..inner).map(move |y| element(x, y))).collect()
    }

    pub fn view(&self) -> MatRef<'_, T> {
        // SAFETY: every element lies in `data`, which stays borrowed.
        unsafe {
            let first = self.data.as_ptr().add(self.first);
            MatRef::new(first, self.rows, self.cols, self.rs, self.cs)
        }
    }

    pub fn view_mut(&mut self) -> MatMut<'_, T> {
        // SAFETY: as above, mutably; the strides keep elements apart.
        unsafe {
            let first = self.data.as_mut_ptr().add(self.first);
            MatMut::new(first, self.rows, self.cols, self.rs, self.cs)
        }
    }

    /// Asserts that nothing but the matrix was written.
    pub fn assert_guards(&self) {
        let mut inside = vec![false; self.data.len()];
        for j in 0..self.cols {
            for i in 0..self.rows {
                inside[self.index(i, j)] = true;
            }
        }
        for (at, x) in self.data.iter().enumerate() {
            assert!(inside[at] || *x == self.guard, "element {at} outside the matrix was written");
        }
    }
}
