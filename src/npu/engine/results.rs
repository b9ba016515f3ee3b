//! Checks the sums that came back, row by row, and turns the good ones into C.

use super::formula::{Formula, Values};
use super::plan::{Block, Plan};
use crate::mat::MatMut;
use crate::npu::driver::Buffer;
use crate::npu::scheme::Element;
use crate::npu::verify::Challenge;
use crate::threads::Threads;

/// Rows that one ticket of the thread pool checks and joins.
const ROWS_PER_TICKET: usize = 8;

/// Everything that is needed to turn a device's sums into C.
#[derive(Debug)]
pub struct Results<'a, T, C: Challenge> {
    /// What becomes of them.
    pub formula: Formula<'a, T>,
    /// Where they lie.
    pub plan: &'a Plan,
    /// The random numbers of the verification.
    pub challenge: &'a C,
    /// The projection that each row of each tile must have, row-major.
    pub expected: &'a [C::Expected],
    /// Whether a row must have it.
    pub verify: bool,
}

/// Scratch of one thread.
#[derive(Debug)]
struct Scratch<T> {
    part: Vec<i32>,
    sums: Vec<i64>,
    values: Values<T>,
}

impl<T> Default for Scratch<T> {
    fn default() -> Self {
        Scratch { part: Vec::new(), sums: Vec::new(), values: Values::default() }
    }
}

impl<T: Element, C: Challenge> Results<'_, T, C> {
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
        Scratch { part, sums, values }: &mut Scratch<T>,
    ) -> bool {
        let cols = &self.plan.tiles[block.tile];
        let seen = self.read_sums(block, row, buffer, part, sums);
        let expected = &self.expected[row * self.plan.tiles.len() + block.tile];
        if self.verify && !C::confirms(&seen, expected) {
            return false;
        }
        self.formula.write_row(row, cols.clone(), sums, c, values);
        true
    }

    /// Reads the sums of one row of a block: `sums[g * n + j]` is that of group g at column j of
    /// the n columns of the tile. Returns what they add up to. `part` is scratch.
    pub fn read_sums(
        &self,
        block: &Block,
        row: usize,
        buffer: &dyn Buffer,
        part: &mut Vec<i32>,
        sums: &mut Vec<i64>,
    ) -> C::Seen {
        let first_col = self.plan.tiles[block.tile].start;
        let n = self.plan.tiles[block.tile].len();
        let pitch = self.plan.width(block.tile) * size_of::<i32>();
        let section_bytes = self.plan.c_section_bytes(block.rows.len(), block.tile);
        part.resize(n, 0);
        sums.clear();
        sums.resize(self.formula.scheme.groups.len() * n, 0);
        let mut seen = C::Seen::default();
        for (s, section) in self.plan.sections.iter().enumerate() {
            buffer.read_i32(s * section_bytes + (row - block.rows.start) * pitch, part);
            let group = section.group;
            let sums = &mut sums[group * n..(group + 1) * n];
            self.challenge.observe(group, first_col, part, sums, &mut seen);
        }
        seen
    }
}
