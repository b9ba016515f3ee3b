//! Checks the integers that came back, row by row, and turns the good ones into C.

use super::area::Spared;
use super::plan::{Block, Plan};
use crate::mat::MatMut;
use crate::npu::driver::Buffer;
use crate::npu::scheme::{Element, Scheme};
use crate::npu::verify::Challenge;
use crate::threads::Threads;
use std::ops::Range;

/// Rows that one ticket of the thread pool checks and joins.
const ROWS_PER_TICKET: usize = 8;

/// Everything that is needed to turn sums into C.
#[derive(Debug)]
pub struct Results<'a, T> {
    /// Which sums belong together, and how.
    pub scheme: &'a Scheme,
    /// Where they lie.
    pub plan: &'a Plan,
    /// The random numbers of the verification.
    pub challenge: &'a Challenge,
    /// The projection that each row of each tile must have, row-major.
    pub expected: &'a [u64],
    /// Whether a row must have it.
    pub verify: bool,
    /// Exponents of the rows of A.
    pub row_exponents: &'a [i32],
    /// Exponents of the columns of B.
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
struct Scratch<T> {
    part: Vec<i32>,
    sums: Vec<i64>,
    values: Vec<f64>,
    new: Vec<T>,
}

impl<T> Default for Scratch<T> {
    fn default() -> Self {
        Scratch { part: Vec::new(), sums: Vec::new(), values: Vec::new(), new: Vec::new() }
    }
}

impl<T: Element> Results<'_, T> {
    /// Takes the results of `block` from `buffer` and writes the given `rows` of C, which lie
    /// in the block, but for spared columns. A row is written only when its sums are proven
    /// right; the others are returned.
    pub fn collect(
        &self,
        block: &Block,
        rows: &[usize],
        buffer: &dyn Buffer,
        c: &MatMut<'_, T>,
        threads: &Threads,
    ) -> Vec<usize> {
        let tickets = rows.len().div_ceil(ROWS_PER_TICKET);
        let bad = threads.map(tickets, Scratch::<T>::default, |scratch, ticket| {
            let end = rows.len().min((ticket + 1) * ROWS_PER_TICKET);
            rows[ticket * ROWS_PER_TICKET..end]
                .iter()
                .copied()
                .filter(|&row| !self.collect_row(block, row, buffer, c, scratch))
                .collect::<Vec<_>>()
        });
        bad.into_iter().flatten().collect()
    }

    /// Checks one row and writes it; `false` when it is wrong.
    fn collect_row(
        &self,
        block: &Block,
        row: usize,
        buffer: &dyn Buffer,
        c: &MatMut<'_, T>,
        Scratch { part, sums, values, new }: &mut Scratch<T>,
    ) -> bool {
        let cols = &self.plan.tiles[block.tile];
        let n = cols.len();
        let seen = self.read_sums(block, row, buffer, part, sums);
        let expected = self.expected[row * self.plan.tiles.len() + block.tile];
        if self.verify && seen != expected {
            return false;
        }
        values.resize(n, 0.0);
        let col_exponents = &self.col_exponents[cols.clone()];
        self.scheme.join(sums, self.row_exponents[row], col_exponents, values);
        for kept in self.spared.kept_cols(cols.start / T::PARTS..cols.end / T::PARTS) {
            let first = kept.start * T::PARTS - cols.start;
            let values = &values[first..first + kept.len() * T::PARTS];
            self.write(row, kept, values, c, new);
        }
        true
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
            // promises to be writable; every row of every tile is collected by one ticket at a
            // time.
            unsafe { std::ptr::copy_nonoverlapping(new.as_ptr(), at(0), new.len()) };
        } else {
            for (j, &value) in new.iter().enumerate() {
                // SAFETY: as above, one by one.
                unsafe { at(j).write(value) };
            }
        }
    }

    /// Reads the sums of one row of a block: `sums[g * n + j]` is that of group g at column j of
    /// the n columns of the tile. Returns the projection of the row. `part` is scratch.
    pub fn read_sums(
        &self,
        block: &Block,
        row: usize,
        buffer: &dyn Buffer,
        part: &mut Vec<i32>,
        sums: &mut Vec<i64>,
    ) -> u64 {
        let first_col = self.plan.tiles[block.tile].start;
        let n = self.plan.tiles[block.tile].len();
        let pitch = self.plan.width(block.tile) * size_of::<i32>();
        let section_bytes = self.plan.c_section_bytes(block.rows.len(), block.tile);
        part.resize(n, 0);
        sums.clear();
        sums.resize(self.scheme.groups.len() * n, 0);
        let mut seen = 0u64;
        for (s, section) in self.plan.sections.iter().enumerate() {
            buffer.read_i32(s * section_bytes + (row - block.rows.start) * pitch, part);
            let group = section.group;
            let sums = &mut sums[group * n..(group + 1) * n];
            seen = seen.wrapping_add(self.challenge.observe(group, first_col, part, sums));
        }
        seen
    }
}
