//! What the bits of a product depend on: its lines as they are seen at first, and the scheme that
//! serves them.

use super::area::Spared;
use super::lines::Lines;
use super::operands::{self, Packed};
use crate::mode::Policy;
use crate::npu::guard::{self, Verdict};
use crate::npu::scheme::ladder::ladder;
use crate::npu::scheme::{Element, LineScan, Real, Scheme};
use crate::problem::Gemm;
use crate::route::Reason;
use crate::threads::Threads;
use std::ops::RangeInclusive;

/// The schemes that a product is tried with.
#[derive(Debug, Clone, Copy)]
pub struct Ladder<'a> {
    /// The cheapest first.
    pub schemes: &'a [&'static Scheme],
    /// Whether the guard is asked.
    pub is_guarded: bool,
    /// Whether lines that the guard blames may be left to the CPU, whose own bits they then have.
    pub may_part: bool,
}

impl Ladder<'_> {
    /// That of a product of m × n × k elements, and of a policy.
    pub fn of<T: Element>(policy: Policy, shape: (usize, usize, usize)) -> Ladder<'static> {
        let precision = T::Real::PRECISION;
        // Halves serve single precision, and their bits are the device's own.
        let is_for_halves = precision == f32::PRECISION && !policy.reproducible;
        let mode = if is_for_halves { policy.mode } else { policy.mode.in_integers() };
        let schemes = ladder(precision, T::PARTS, mode, shape);
        Ladder { schemes, is_guarded: mode.is_guarded(), may_part: true }
    }

    /// Why none of them may serve a problem, whatever is in its matrices.
    pub fn refuse<T: Element>(&self, problem: &Gemm<'_, T>) -> Option<Reason> {
        if !(problem.alpha.is_finite() && problem.beta.is_finite()) {
            return Some(Reason::NonFinite);
        }
        let depth = problem.k() * T::PARTS;
        self.schemes.iter().any(|scheme| depth > scheme.max_k()).then_some(Reason::Depth)
    }
}

/// A first look at the lines of both operands.
#[derive(Debug)]
pub struct Survey<'a, T: Element> {
    /// The rows of A.
    pub rows: Lines<'a, T>,
    /// The columns of B.
    pub cols: Lines<'a, T>,
    /// What was seen of the rows of A; spared ones count as zeros.
    pub row_scans: Vec<LineScan<T::Real>>,
    /// The same of the columns of B.
    pub col_scans: Vec<LineScan<T::Real>>,
    /// What is not for the integers.
    pub spared: Spared,
}

impl<'a, T: Element> Survey<'a, T> {
    /// Scans all lines.
    pub fn new(problem: &Gemm<'a, T>, threads: &Threads) -> Survey<'a, T> {
        let rows = Lines::of_a(problem.a, problem.conj_a);
        let cols = Lines::of_b(problem.b, problem.conj_b);
        let mut row_scans = operands::scan(rows, threads);
        let mut col_scans = operands::scan(cols, threads);
        let mut spared = Spared::default();
        spared.add(blank_non_finite(&mut row_scans), blank_non_finite(&mut col_scans));
        Survey { rows, cols, row_scans, col_scans, spared }
    }

    /// Which lines are to be spared when `scheme` serves the product, by what packing found out
    /// about the lines; `None` when it does not. Lines that the guard blames are picked out only
    /// under the last scheme of the ladder, where no other proves every entry. `Err` when no other
    /// scheme serves the product either.
    pub fn judge(
        &self,
        scheme: &Scheme,
        ladder: Ladder<'_>,
        a: &Packed,
        b: &Packed,
    ) -> Result<Option<Spared>, Reason> {
        let k = self.rows.length();
        let [rows, cols] = [a, b].map(|it| span(&it.exponents));
        if !scheme.in_range(rows, cols, k) {
            return Err(Reason::Range);
        }
        let is_last = ladder.schemes.last().is_some_and(|last| *last == scheme);
        let verdict = match ladder.is_guarded {
            false => Verdict::Accepted,
            true if is_last && ladder.may_part => guard::judge(scheme, &a.stats, &b.stats, k),
            true if guard::accepts(scheme, &a.stats, &b.stats, k) => Verdict::Accepted,
            true => Verdict::Refused,
        };
        let mut spared = self.spared.clone();
        match verdict {
            Verdict::Accepted => {}
            Verdict::AllBut { rows, cols } => spared.add(rows, cols),
            Verdict::Refused => return Ok(None),
        }
        let [m, n] = [self.row_scans.len(), self.col_scans.len()];
        Ok((!spared.is_too_much(m, n)).then_some(spared))
    }
}

/// How a whole product is computed.
#[derive(Debug)]
pub struct Choice {
    /// The scheme.
    pub scheme: &'static Scheme,
    /// The exponents of the rows of A.
    pub row_exponents: Vec<i32>,
    /// The exponents of the columns of B, of each line one.
    pub col_exponents: Vec<i32>,
    /// What is not for the integers.
    pub spared: Spared,
}

impl Choice {
    /// The first scheme of the ladder that serves the product, decided by the data of all its
    /// lines and by nothing else.
    pub fn new<T: Element>(
        problem: &Gemm<'_, T>,
        ladder: Ladder<'_>,
        threads: &Threads,
    ) -> Result<Choice, Reason> {
        let survey = Survey::new(problem, threads);
        if survey.spared.is_too_much(problem.m(), problem.n()) {
            return Err(Reason::NonFinite);
        }
        for &scheme in ladder.schemes {
            let examine = |lines, scans: &[_]| {
                operands::examine(lines, scans, scheme, ladder.is_guarded, threads)
            };
            let a = examine(survey.rows, &survey.row_scans);
            let cols = survey.cols.per_column(scheme.lines::<T>());
            let b = examine(cols, &survey.col_scans);
            if let Some(spared) = survey.judge(scheme, ladder, &a, &b)? {
                let (row_exponents, col_exponents) = (a.exponents, b.exponents);
                return Ok(Choice { scheme, row_exponents, col_exponents, spared });
            }
        }
        Err(Reason::Guard)
    }
}

/// The range of some numbers; of none, 0.
fn span(numbers: &[i32]) -> RangeInclusive<i32> {
    let least = numbers.iter().min().copied().unwrap_or(0);
    least..=numbers.iter().max().copied().unwrap_or(0)
}

/// Takes the lines with numbers that are not finite for lines of zeros; returns their indices.
fn blank_non_finite<R: Real>(scans: &mut [LineScan<R>]) -> Vec<usize> {
    let bad: Vec<usize> = (0..scans.len()).filter(|&i| !scans[i].finite).collect();
    for &i in &bad {
        scans[i] = LineScan::of(&[]);
    }
    bad
}
