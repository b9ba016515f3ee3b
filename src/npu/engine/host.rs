//! Computes blocks of C on the CPU, in the integers that a device would return.
//!
//! The same digits go into the same groups, so the sums are those of any device, to the bit, and
//! what becomes of them is too. They are not verified: verification is there because a driver
//! reports neither failed nor lost jobs, and here every instruction is the caller's own CPU's, as
//! in any other product.

use super::area::Area;
use super::choice::Choice;
use super::formula::{Formula, Values};
use super::lines::{self, Lines};
use super::transpose::STRIP;
use crate::npu::int8::{ALIGN, Columns, Family, Layout, Rows};
use crate::npu::scheme::{Element, Scheme};
use crate::problem::Gemm;
use crate::threads::Threads;
use std::ops::Range;

/// How C is cut. The results do not depend on it.
#[derive(Debug, Clone, Copy)]
pub struct Tiling {
    /// Bytes of packed digits of either operand.
    pub bytes: usize,
    /// Rows of A that one ticket of the thread pool takes.
    pub rows: usize,
    /// Lines of B that one ticket takes.
    pub cols: usize,
}

impl Default for Tiling {
    /// The sums of a ticket take a part of L2: 32 · 384 · 8 bytes per group.
    fn default() -> Self {
        Tiling { bytes: 64 << 20, rows: 32, cols: 384 }
    }
}

/// Computes the elements of an area of C, but for spared ones, as `choice` says. No others are
/// touched.
///
/// Returns the areas for which there was no memory, not even for a panel of either operand.
pub fn compute<T: Element>(
    problem: &mut Gemm<'_, T>,
    area: &Area,
    choice: &Choice,
    (family, tiling): (&'static Family, Tiling),
    threads: &Threads,
) -> Vec<Area> {
    let Choice { scheme, row_exponents, col_exponents, spared } = choice;
    let formula = Formula {
        scheme,
        row_exponents,
        col_exponents,
        spared,
        proof: None,
        alpha: problem.alpha,
        beta: problem.beta,
    };
    let per_column = scheme.lines::<T>();
    let a = Operand {
        lines: Lines::of_a(problem.a, problem.conj_a),
        exponents: row_exponents,
        spared: &spared.rows,
    };
    let b = Operand {
        lines: Lines::of_b(problem.b, problem.conj_b).per_column(per_column),
        exponents: col_exponents,
        spared: &spared.cols,
    };
    let host = Host::new(scheme, a.lines.length() / scheme.parts(), family, threads, tiling);
    let c = &problem.c;
    let lines = area.cols.start * per_column..area.cols.end * per_column;
    let write = |values: &mut Values<T>, row, lines, sums: &[i64]| {
        if !spared.has_row(row) {
            formula.write_row(row, lines, sums, c, values);
        }
    };
    let left = host.sums(a, b, (area.rows.clone(), lines), write);
    left.into_iter().map(|(rows, lines)| Area { rows, cols: scheme.columns::<T>(lines) }).collect()
}

/// One operand: its lines, and the exponent by which each is scaled.
#[derive(Debug)]
struct Operand<'a, T> {
    lines: Lines<'a, T>,
    exponents: &'a [i32],
    /// Elements of C, by row or by column, for which lines count as zeros, ascending.
    spared: &'a [usize],
}

/// The sums of a product under one scheme, by one family of kernels.
#[derive(Debug)]
struct Host<'a> {
    scheme: &'a Scheme,
    layout: Layout,
    /// Digits per plane.
    pitch: usize,
    threads: &'a Threads,
    tiling: Tiling,
}

/// Scratch of one thread that packs.
#[derive(Debug)]
struct Scratch<T: Element> {
    lines: lines::Scratch<T>,
    digits: Vec<i8>,
}

impl<T: Element> Default for Scratch<T> {
    fn default() -> Self {
        Scratch { lines: lines::Scratch::default(), digits: Vec::new() }
    }
}

/// Rows of A by columns of B, as lines.
type Lot = (Range<usize>, Range<usize>);

impl<'a> Host<'a> {
    /// For an inner dimension of `k`.
    fn new(
        scheme: &'a Scheme,
        k: usize,
        family: &'static Family,
        threads: &'a Threads,
        tiling: Tiling,
    ) -> Host<'a> {
        let pitch = k.next_multiple_of(ALIGN);
        let layout = Layout::new(family, scheme.planes(), pitch);
        Host { scheme, layout, pitch, threads, tiling }
    }

    /// Calls `each(scratch, row, lines, sums)` for every row of the lot with some lines of B at a
    /// time, until it has had all: `sums[g * lines.len() + j]` is the exact sum of group g at the
    /// j-th of `lines`. Calls come from all threads; `scratch` belongs to one of them.
    ///
    /// Returns those for which there was no memory.
    fn sums<T: Element, S: Default>(
        &self,
        a: Operand<'_, T>,
        b: Operand<'_, T>,
        (rows, lines): Lot,
        each: impl Fn(&mut S, usize, Range<usize>, &[i64]) + Sync,
    ) -> Vec<Lot> {
        let family = self.layout.family();
        let (mr, nr) = (family.rows(), family.columns());
        let (row_bytes, column_bytes) = self.layout.panel_bytes();
        let fit = |panel: usize, width: usize| (self.tiling.bytes / panel.max(1)).max(1) * width;
        let (mut height, mut width) = (fit(row_bytes, mr), fit(column_bytes, nr));
        let mut left = Vec::new();
        let mut j = lines.start;
        while j < lines.end {
            let rest = j..lines.end;
            let pack = |digits: &[i8], pitch| self.layout.columns(digits, pitch);
            let Some((cols, columns)) = self.pack(&b, rest.clone(), nr, &mut width, pack) else {
                left.push((rows.clone(), rest));
                break;
            };
            let mut i = rows.start;
            while i < rows.end {
                let rest = i..rows.end;
                let pack = |digits: &[i8], pitch| self.layout.rows(digits, pitch);
                let Some((some, packed)) = self.pack(&a, rest.clone(), mr, &mut height, pack)
                else {
                    left.push((rest, cols.clone()));
                    break;
                };
                i = some.end;
                self.part((some, cols.clone()), &packed, &columns, &each);
            }
            j = cols.end;
        }
        left
    }

    /// Packs lines from the start of `range` on, `most` of them if there is memory, else fewer,
    /// and remembers that in `most`, a multiple of the `width` of a panel. Returns which lines
    /// these are, and their panels.
    fn pack<T: Element, P: Send>(
        &self,
        operand: &Operand<'_, T>,
        range: Range<usize>,
        width: usize,
        most: &mut usize,
        panel: impl Fn(&[i8], usize) -> Option<P> + Sync,
    ) -> Option<(Range<usize>, Vec<P>)> {
        loop {
            let lines = range.start..range.end.min(range.start.saturating_add(*most));
            match self.panels(operand, lines.clone(), width, &panel) {
                Some(panels) => return Some((lines, panels)),
                None if lines.len() <= width => return None,
                None => *most = (lines.len() / 2).next_multiple_of(width),
            }
        }
    }

    /// Splits the lines of `range` and packs them into panels of `width` lines.
    fn panels<T: Element, P: Send>(
        &self,
        operand: &Operand<'_, T>,
        range: Range<usize>,
        width: usize,
        panel: &(impl Fn(&[i8], usize) -> Option<P> + Sync),
    ) -> Option<Vec<P>> {
        let used = self.scheme.planes() * self.pitch;
        // With a cache line between them, the lines do not compete for places in the cache.
        let step = used + 64;
        let per_ticket = STRIP.div_ceil(width) * width;
        let tickets = range.len().div_ceil(per_ticket);
        let per_row = operand.lines.per_row();
        let scratch = Scratch::<T>::default;
        let found = self.threads.map(tickets, scratch, |Scratch { lines, digits }, ticket| {
            let first = range.start + ticket * per_ticket;
            let some = first..range.end.min(first + per_ticket);
            digits.resize(width * step, 0);
            let mut panels = Vec::with_capacity(some.len().div_ceil(width));
            operand.lines.visit(some.clone(), lines, |index, line| {
                let place = (index - first) % width;
                let is_spared = operand.spared.binary_search(&(index / per_row)).is_ok();
                let line = if is_spared { &[] } else { line };
                let planes = &mut digits[place * step..][..used];
                self.scheme.split(line, operand.exponents[index], self.pitch, planes);
                if place + 1 == width || index + 1 == some.end {
                    digits[(place + 1) * step..].fill(0);
                    panels.push(panel(digits, step));
                }
            });
            panels.into_iter().collect::<Option<Vec<P>>>()
        });
        let found: Option<Vec<Vec<P>>> = found.into_iter().collect();
        found.map(|found| found.into_iter().flatten().collect())
    }

    /// [`Host::sums`] for lines that are packed.
    fn part<S: Default>(
        &self,
        (rows, lines): Lot,
        packed_rows: &[Rows],
        packed_columns: &[Columns],
        each: &(impl Fn(&mut S, usize, Range<usize>, &[i64]) + Sync),
    ) {
        let (mr, nr) = (self.layout.family().rows(), self.layout.family().columns());
        let height = self.tiling.rows.next_multiple_of(mr);
        let width = self.tiling.cols.next_multiple_of(nr);
        // Tickets that follow each other share their columns.
        let down = rows.len().div_ceil(height);
        let tickets = down * lines.len().div_ceil(width);
        let groups = self.scheme.groups;
        let init = || (Vec::new(), S::default());
        self.threads.for_each_with(tickets, init, |(sums, scratch), ticket| {
            let (i, j) = (ticket % down * height, ticket / down * width);
            let (m, n) = (height.min(rows.len() - i), width.min(lines.len() - j));
            sums.resize(m * n * groups.len(), 0);
            let (a, b) = (&packed_rows[i / mr..], &packed_columns[j / nr..]);
            self.layout.sums(groups, a, b, (m, n), sums);
            let some = lines.start + j..lines.start + j + n;
            for (row, sums) in sums.chunks_exact(n * groups.len()).enumerate() {
                each(scratch, rows.start + i + row, some.clone(), sums);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::super::choice::Ladder;
    use super::*;
    use crate::mat::{MatMut, MatRef};
    use crate::mode::{Mode, Policy};
    use crate::npu::int8;
    use crate::npu::scheme::crt_int8::{II_12, II_12_3M, II_15, II_15_3M, II_16, II_16_3M};
    use crate::npu::scheme::{Group, LineScan};
    use crate::scalar::{c32, c64};
    use std::fmt::Debug;

    const TILINGS: [Tiling; 3] = [
        Tiling { bytes: 64 << 20, rows: 32, cols: 384 },
        Tiling { bytes: 1, rows: 1, cols: 1 },
        Tiling { bytes: 20_000, rows: 20, cols: 70 },
    ];

    /// A product with its matrices: A row-major, B and C row-major or column-major.
    struct Product<T> {
        shape: (usize, usize, usize),
        a: Vec<T>,
        b: Vec<T>,
        c: Vec<T>,
        row_major: bool,
        factors: (T, T),
    }

    impl<T: Element> Product<T> {
        fn new(
            shape: (usize, usize, usize),
            row_major: bool,
            factors: (T, T),
            number: impl Fn(usize) -> T,
        ) -> Self {
            let (m, n, k) = shape;
            let matrix = |len: usize, from: usize| (from..from + len).map(&number).collect();
            let (a, b, c) = (matrix(m * k, 0), matrix(k * n, 7), matrix(m * n, 99));
            Product { shape, a, b, c, row_major, factors }
        }

        fn problem<'a>(&'a self, c: &'a mut [T]) -> Gemm<'a, T> {
            let (m, n, k) = self.shape;
            let (b, c) = if self.row_major {
                (MatRef::from_row_major(&self.b, k, n, n), MatMut::from_row_major(c, m, n, n))
            } else {
                (MatRef::from_col_major(&self.b, k, n, k), MatMut::from_col_major(c, m, n, m))
            };
            let a = MatRef::from_row_major(&self.a, m, k, k);
            let (alpha, beta) = self.factors;
            Gemm { alpha, a, conj_a: false, b, conj_b: true, beta, c }
        }

        /// What the first scheme of a mode makes of it.
        fn choice(&self, mode: Mode) -> Choice {
            let policy = Policy { mode, reproducible: true };
            self.choice_by(Ladder::of::<T>(policy, self.shape).schemes)
        }

        fn choice_by(&self, schemes: &[&'static Scheme]) -> Choice {
            let mut c = self.c.clone();
            let ladder = Ladder { schemes, is_guarded: false, may_part: false };
            Choice::new(&self.problem(&mut c), ladder, &Threads::alone()).unwrap()
        }

        /// Every line's planes.
        fn split(scheme: &Scheme, lines: Lines<'_, T>) -> Vec<(Vec<i8>, i32)> {
            let mut found = Vec::new();
            let depth = lines.length() / scheme.parts();
            lines.visit(0..lines.count(), &mut lines::Scratch::default(), |_, line| {
                let scan = LineScan::of(line);
                let line = if scan.finite { line } else { &[] };
                let exponent = scheme.exponent(line, &LineScan::of(line));
                let mut planes = vec![0; scheme.planes() * depth];
                scheme.split(line, exponent, depth, &mut planes);
                found.push((planes, exponent));
            });
            found
        }

        /// C as it must be, from plain loops.
        fn oracle(&self, choice: &Choice) -> Vec<T> {
            let mut c = self.c.clone();
            let (m, n, _) = self.shape;
            let problem = self.problem(&mut c);
            let (alpha, beta) = self.factors;
            let scheme = choice.scheme;
            let a = Lines::of_a(problem.a, false);
            let b = Lines::of_b(problem.b, true).per_column(scheme.lines::<T>());
            let depth = a.length() / scheme.parts();
            let (rows, cols) = (Self::split(scheme, a), Self::split(scheme, b));
            let exponents: Vec<i32> = cols.iter().map(|(_, exponent)| *exponent).collect();
            for (i, (row, exponent)) in rows.iter().enumerate() {
                let sum = |group: &Group, col: &[i8]| -> i64 {
                    let dot = |(p, q): (usize, usize)| -> i64 {
                        let (x, y) = (&row[(p - 1) * depth..], &col[(q - 1) * depth..]);
                        let terms = x.iter().zip(y).take(depth);
                        terms.map(|(&x, &y)| i64::from(x) * i64::from(y)).sum()
                    };
                    group.products().map(dot).sum()
                };
                let sums = scheme
                    .groups
                    .iter()
                    .flat_map(|group| cols.iter().map(|(col, _)| sum(group, col)));
                let sums: Vec<i64> = sums.collect();
                let mut values = vec![0.0; cols.len() * scheme.parts()];
                scheme.join(&sums, *exponent, &exponents, &mut values);
                for (j, values) in values.chunks_exact(T::PARTS).enumerate() {
                    if !choice.spared.has_row(i) && !choice.spared.cols.contains(&j) {
                        let at = if self.row_major { i * n + j } else { j * m + i };
                        T::finish_row(alpha, values, beta, &mut c[at..=at]);
                    }
                }
            }
            c
        }

        /// Whether C is the oracle's whatever computes it and however it is cut.
        fn check(&self, mode: Mode)
        where
            T: Debug,
        {
            self.check_by(self.choice(mode));
        }

        /// The same with a choice; returns C in words.
        fn check_by(&self, choice: Choice) -> String
        where
            T: Debug,
        {
            // Equal words are equal bits, NaN and signed zeros included.
            let expected = format!("{:?}", self.oracle(&choice));
            let all = Area { rows: 0..self.shape.0, cols: 0..self.shape.1 };
            for family in int8::families().filter(|family| family.is_available()) {
                for tiling in TILINGS {
                    for threads in [&Threads::alone(), &Threads::new(2)] {
                        let mut c = self.c.clone();
                        let mut problem = self.problem(&mut c);
                        let left = compute(&mut problem, &all, &choice, (family, tiling), threads);
                        assert!(left.is_empty());
                        let same = format!("{c:?}") == expected;
                        assert!(same, "{:?} {} {tiling:?}", self.shape, family.name());
                    }
                }
            }
            expected
        }
    }

    /// Numbers between -1 and 1, of all 53 bits.
    fn number(i: usize) -> f64 {
        (i as f64 * 0.754_877_666_246_692_7).fract() * 2.0 - 1.0
    }

    const SHAPES: [(usize, usize, usize); 4] =
        [(1, 1, 1), (33, 70, 65), (50, 51, 600), (9, 300, 33)];

    #[test]
    fn real_products_have_the_oracles_bits_however_they_are_computed() {
        for shape in SHAPES {
            for mode in [Mode::Standard, Mode::Strict] {
                let of = |i| number(i) as f32;
                Product::new(shape, true, (0.7, 0.0), of).check(mode);
                Product::new(shape, false, (0.7, 1.5), of).check(mode);
                Product::new(shape, false, (0.7, 1.5), number).check(mode);
            }
        }
    }

    #[test]
    fn complex_products_have_the_oracles_bits_however_they_are_computed() {
        for shape in SHAPES {
            let single = |i: usize| c32::new(number(2 * i) as f32, number(2 * i + 1) as f32);
            let double = |i: usize| c64::new(number(2 * i), number(2 * i + 1));
            let (zero, one, some) = (c32::new(0.0, 0.0), c64::new(1.0, 0.0), c64::new(0.3, -2.0));
            Product::new(shape, true, (single(5), zero), single).check(Mode::Standard);
            Product::new(shape, false, (one, some), double).check(Mode::Standard);
        }
    }

    #[test]
    fn three_products_of_residues_have_the_bits_of_four() {
        let number =
            |i: usize| c64::new(number(2 * i), number(2 * i + 1) * f64::from(1 << (i % 23)));
        let some = c64::new(0.3, -2.0);
        for shape in SHAPES {
            for (four, three) in [(&II_12, &II_12_3M), (&II_15, &II_15_3M), (&II_16, &II_16_3M)] {
                for (row_major, beta) in [(true, c64::ZERO), (false, some)] {
                    let mut product = Product::new(shape, row_major, (some, beta), number);
                    if shape.0 > 9 {
                        product.a[5 * shape.2].im = f64::NAN;
                        product.b[17].re = f64::INFINITY;
                    }
                    let by = |scheme| product.check_by(product.choice_by(&[scheme]));
                    assert_eq!(by(four), by(three), "{}", three.name);
                }
            }
        }
    }

    #[test]
    fn what_is_spared_or_outside_is_not_written() {
        for at in [0, 1, 59] {
            let mut product = Product::new((40, 60, 50), true, (1.0, 2.0), |i| number(i) as f32);
            (product.a[17 * 50 + 3], product.b[9 * 60 + at]) = (f32::NAN, f32::INFINITY);
            product.check(Mode::Standard);
            let choice = product.choice(Mode::Standard);
            assert_eq!((&choice.spared.rows[..], &choice.spared.cols[..]), (&[17][..], &[at][..]));
            let expected = product.oracle(&choice);
            let area = Area { rows: 3..38, cols: 1..59 };
            let mut c = product.c.clone();
            let how = (int8::chosen(None), Tiling { bytes: 1, rows: 5, cols: 9 });
            let threads = Threads::alone();
            let left = compute(&mut product.problem(&mut c), &area, &choice, how, &threads);
            assert!(left.is_empty());
            for i in 0..40 {
                for j in 0..60 {
                    let inside = area.rows.contains(&i) && area.cols.contains(&j);
                    let wanted = if inside { &expected } else { &product.c };
                    assert_eq!(c[i * 60 + j], wanted[i * 60 + j]);
                }
            }
        }
    }
}
