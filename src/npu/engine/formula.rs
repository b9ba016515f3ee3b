//! What becomes of sums, whoever computed them: the values they stand for, and then C.

use super::area::Spared;
use super::doubts::Doubts;
use crate::mat::MatMut;
use crate::npu::guard::Certificate;
use crate::npu::scheme::{Element, Scheme};
use std::ops::Range;

/// What proves single elements.
#[derive(Debug, Clone, Copy)]
pub struct Proof<'a> {
    /// The test.
    pub certificate: &'a Certificate,
    /// The elements that do not pass it.
    pub doubts: &'a Doubts,
}

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
    /// What proves single elements, where the scheme has a certificate; others are not written.
    pub proof: Option<Proof<'a>>,
    /// Factor of the product.
    pub alpha: T,
    /// Factor of the old C.
    pub beta: T,
}

/// Scratch of one thread.
#[derive(Debug)]
pub struct Values<T> {
    joined: Vec<f64>,
    doubts: Vec<bool>,
    new: Vec<T>,
}

impl<T> Default for Values<T> {
    fn default() -> Self {
        Values { joined: Vec::new(), doubts: Vec::new(), new: Vec::new() }
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
        Values { joined, doubts, new }: &mut Values<T>,
    ) {
        joined.resize(lines.len() * self.scheme.parts(), 0.0);
        let col_exponents = &self.col_exponents[lines.clone()];
        self.scheme.join(sums, self.row_exponents[row], col_exponents, joined);
        let cols = self.scheme.columns::<T>(lines.clone());
        let first = cols.start;
        let values = |cols: &Range<usize>| {
            &joined[(cols.start - first) * T::PARTS..(cols.end - first) * T::PARTS]
        };
        let all_kept = self.spared.kept_cols(cols);
        let Some(Proof { certificate, doubts: found }) = self.proof else {
            return all_kept.for_each(|kept| self.write(row, kept.clone(), values(&kept), c, new));
        };
        doubts.resize(lines.len(), false);
        certificate.test(row, lines, &sums[sums.len() - doubts.len()..], doubts);
        // An element is proven when all its lines are.
        let per_column = self.scheme.lines::<T>();
        for j in 0..doubts.len() / per_column {
            doubts[j] = doubts[j * per_column..(j + 1) * per_column].contains(&true);
        }
        for kept in all_kept {
            let mut end = kept.start;
            for same in doubts[kept.start - first..kept.end - first].chunk_by(|a, b| a == b) {
                let run = end..end + same.len();
                end = run.end;
                if same[0] {
                    found.add(row, run);
                } else {
                    self.write(row, run.clone(), values(&run), c, new);
                }
            }
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

#[cfg(test)]
mod tests {
    use super::super::lines::Lines;
    use super::super::operands::{examine, scan};
    use super::*;
    use crate::mat::MatRef;
    use crate::npu::scheme::ozaki_int8::I_4S10P_C;
    use crate::scalar::c32;
    use crate::threads::Threads;

    const COLS: usize = 40;

    /// Writes one row, of whose lines these have no proof; returns the columns that are in doubt, and
    /// those that were not written.
    fn write<T: Element>(
        number: T,
        spared: &[usize],
        unproven: &[usize],
    ) -> (Vec<usize>, Vec<usize>) {
        let (a, mut b) = ([number; COLS], vec![T::ZERO; COLS * COLS]);
        (0..COLS).for_each(|j| b[j * COLS + j] = number);
        let a = Lines::of_a(MatRef::from_row_major(&a, 1, COLS, COLS), false);
        let b = Lines::of_b(MatRef::from_row_major(&b, COLS, COLS, COLS), false);
        let threads = Threads::alone();
        let [a, b] = [(a, 1), (b, T::PARTS)].map(|(it, lines)| {
            let scans = scan(it, &threads);
            examine(it.per_column(lines), &scans, &I_4S10P_C, true, &threads)
        });
        let certificate = Certificate::new(&I_4S10P_C, &a.stats, &b.stats, T::PARTS);
        let doubts = Doubts::new(1, COLS).unwrap();
        let spared = Spared { rows: Vec::new(), cols: spared.to_vec() };
        let formula = Formula {
            scheme: &I_4S10P_C,
            row_exponents: &a.exponents,
            col_exponents: &b.exponents,
            spared: &spared,
            proof: Some(Proof { certificate: &certificate, doubts: &doubts }),
            alpha: T::ONE,
            beta: T::ZERO,
        };
        let lines = COLS * T::PARTS;
        let mut sums = vec![1; I_4S10P_C.groups.len() * lines];
        let first = sums.len() - lines;
        sums[first..].fill(64 * 64);
        unproven.iter().for_each(|line| sums[first + line] = 0);
        let mut c = vec![T::ZERO; COLS];
        let view = MatMut::from_row_major(&mut c, 1, COLS, COLS);
        formula.write_row(0, 0..lines, &sums, &view, &mut Values::default());
        let places = doubts.places().map(|(_, j)| j).collect();
        (places, (0..COLS).filter(|&j| c[j] == T::ZERO).collect())
    }

    #[test]
    fn what_is_not_proven_is_not_written() {
        let number = 0.1f32.exp();
        assert_eq!(write(number, &[], &[]), (vec![], vec![]));
        assert_eq!(write(number, &[], &[3, 4, 39]), (vec![3, 4, 39], vec![3, 4, 39]));
        assert_eq!(write(number, &[4, 20], &[3, 4]), (vec![3], vec![3, 4, 20]));
        let all: Vec<usize> = (0..COLS).collect();
        assert_eq!(write(number, &[], &all), (all.clone(), all));
        // Either part of a complex number spoils it.
        let number = c32::new(number, 0.3);
        assert_eq!(write(number, &[], &[0, 15, 17]), (vec![0, 7, 8], vec![0, 7, 8]));
        assert_eq!(write(number, &[8], &[0, 15, 17]), (vec![0, 7], vec![0, 7, 8]));
    }
}
