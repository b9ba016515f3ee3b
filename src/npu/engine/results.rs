//! Checks the integers that came back, row by row, and turns the good ones into C.

use super::plan::{Block, Plan};
use crate::mat::MatMut;
use crate::npu::driver::Buffer;
use crate::npu::scheme::{Scheme, ozaki_int8};
use crate::npu::verify::Challenge;
use crate::threads::Threads;

/// Rows that one ticket of the thread pool checks and joins.
const ROWS_PER_TICKET: usize = 8;

/// Everything that is needed to turn sums into C.
#[derive(Debug)]
pub struct Results<'a> {
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
    /// Factor of the product.
    pub alpha: f32,
    /// Factor of the old C.
    pub beta: f32,
}

/// Scratch of one thread.
#[derive(Debug, Default)]
struct Scratch {
    part: Vec<i32>,
    sums: Vec<i64>,
    values: Vec<f64>,
    new: Vec<f32>,
}

impl Results<'_> {
    /// Takes the results of `block` from `buffer` and writes the given `rows` of C, which lie
    /// in the block. A row is written only when its sums are proven right; the others are
    /// returned.
    pub fn collect(
        &self,
        block: &Block,
        rows: &[usize],
        buffer: &dyn Buffer,
        c: &MatMut<'_, f32>,
        threads: &Threads,
    ) -> Vec<usize> {
        let tickets = rows.len().div_ceil(ROWS_PER_TICKET);
        let bad = threads.map(tickets, Scratch::default, |scratch, ticket| {
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
        c: &MatMut<'_, f32>,
        Scratch { part, sums, values, new }: &mut Scratch,
    ) -> bool {
        let cols = &self.plan.tiles[block.tile];
        let n = cols.len();
        let pitch = self.plan.width(block.tile) * size_of::<i32>();
        let section_bytes = self.plan.c_section_bytes(block.rows.len(), block.tile);
        part.resize(n, 0);
        sums.clear();
        sums.resize(self.scheme.groups.len() * n, 0);
        for (s, section) in self.plan.sections.iter().enumerate() {
            buffer.read_i32(s * section_bytes + (row - block.rows.start) * pitch, part);
            let group = &mut sums[section.group * n..(section.group + 1) * n];
            for (sum, part) in group.iter_mut().zip(part.iter()) {
                *sum += i64::from(*part);
            }
        }
        let expected = self.expected[row * self.plan.tiles.len() + block.tile];
        if self.verify && self.challenge.observe(cols.start, n, sums) != expected {
            return false;
        }
        values.resize(n, 0.0);
        let col_exponents = &self.col_exponents[cols.clone()];
        ozaki_int8::join(self.scheme, sums, self.row_exponents[row], col_exponents, values);
        new.resize(n, 0.0);
        if self.beta != 0.0 {
            for (j, old) in new.iter_mut().enumerate() {
                // SAFETY: (row, col) lies inside C; where β ≠ 0 the caller promises a value.
                *old = unsafe { c.at(row, cols.start + j).read() };
            }
        }
        ozaki_int8::finish_row(self.alpha, values, self.beta, new);
        for (j, &value) in new.iter().enumerate() {
            // SAFETY: (row, col) lies inside C, which the view promises to be writable; every
            // row of every tile is collected by one ticket at a time.
            unsafe { c.at(row, cols.start + j).write(value) };
        }
        true
    }
}
