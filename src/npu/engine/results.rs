//! Checks the integers that came back, row by row, and turns the good ones into C.

use super::formula::{Formula, Values};
use super::plan::{Block, Plan};
use crate::mat::MatMut;
use crate::npu::driver::Buffer;
use crate::npu::scheme::Element;
use crate::npu::verify::Challenge;
use crate::npu::widest::widest;
use crate::threads::Threads;

/// Rows that one ticket of the thread pool checks and joins.
const ROWS_PER_TICKET: usize = 8;

/// Everything that is needed to turn a device's sums into C.
#[derive(Debug)]
pub struct Results<'a, T> {
    /// What becomes of them.
    pub formula: Formula<'a, T>,
    /// Where they lie.
    pub plan: &'a Plan,
    /// The random numbers of the verification.
    pub challenge: &'a Challenge,
    /// The projection that each row of each tile must have, row-major.
    pub expected: &'a [u64],
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
        Scratch { part, sums, values }: &mut Scratch<T>,
    ) -> bool {
        let cols = &self.plan.tiles[block.tile];
        let n = cols.len();
        self.read_sums(block, row, buffer, part, sums);
        let expected = self.expected[row * self.plan.tiles.len() + block.tile];
        if self.verify && self.challenge.observe(cols.start, n, sums) != expected {
            return false;
        }
        self.formula.write_row(row, cols.clone(), sums, c, values);
        true
    }

    /// Reads the sums of one row of a block: `sums[g * n + j]` is that of group g at column j of
    /// the n columns of the tile. `part` is scratch.
    pub fn read_sums(
        &self,
        block: &Block,
        row: usize,
        buffer: &dyn Buffer,
        part: &mut Vec<i32>,
        sums: &mut Vec<i64>,
    ) {
        let n = self.plan.tiles[block.tile].len();
        let pitch = self.plan.width(block.tile) * size_of::<i32>();
        let section_bytes = self.plan.c_section_bytes(block.rows.len(), block.tile);
        part.resize(n, 0);
        sums.clear();
        sums.resize(self.formula.scheme.groups.len() * n, 0);
        for (s, section) in self.plan.sections.iter().enumerate() {
            buffer.read_i32(s * section_bytes + (row - block.rows.start) * pitch, part);
            add(part, &mut sums[section.group * n..(section.group + 1) * n]);
        }
    }
}

widest! {
    /// Adds the sums of one section to those of its group.
    fn add(part: &[i32], sums: &mut [i64]) => add_any;
}

#[inline(always)]
fn add_any(part: &[i32], sums: &mut [i64]) {
    for (sum, &part) in sums.iter_mut().zip(part) {
        *sum = sum.wrapping_add(i64::from(part));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::npu::widest::Width;

    #[test]
    fn every_width_adds_every_sum() {
        let part: Vec<i32> = (0..99).map(|j: i32| j.wrapping_mul(0x7654_3217)).collect();
        let before: Vec<i64> = part.iter().map(|&x| i64::from(x) << 20).collect();
        Width::each(|| {
            let mut sums = before.clone();
            add(&part, &mut sums);
            for j in 0..99 {
                assert_eq!(sums[j], before[j] + i64::from(part[j]));
            }
        });
    }
}
