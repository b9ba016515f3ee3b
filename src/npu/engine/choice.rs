//! What the bits of a product depend on: its lines as they are seen at first, and the scheme that
//! serves them.

use super::area::Spared;
use super::lines::{self, Lines};
use super::operands::{self, Packed};
use crate::mode::Policy;
use crate::npu::guard::{self, Certificate, LineStats, Verdict, overlap_of};
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
    /// Whether lines that the guard blames, and entries that a certificate does not prove, may be
    /// left to the CPU, whose own bits they then have.
    pub may_part: bool,
}

/// Lines of each operand among which [`Survey::suits`] looks at all entries: a thousand of them tell
/// a share of [`FEW`] to within a seventh of it, for as many dot products.
const SAMPLE: usize = 32;

/// A certificate is taken when no more than one entry of so many is likely to be left to the CPU. By
/// the figures for the RK3588, 0.2 ms of one core for a thousand dot products of length 1024, a single
/// entry costs the CPU three times as much as in a whole product, so that these few cost less than a
/// sixth of it. With 1 % the products with an identity, whose share is 2 to 4 %, would not pass.
const FEW: usize = 20;

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
    /// under the last scheme of the ladder that has no certificate, where no other proves every
    /// entry; a certificate has no need of that. `Err` when no other scheme serves the product either.
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
        let last = ladder.schemes.iter().rfind(|scheme| !scheme.certificate);
        let is_last = last.is_some_and(|last| *last == scheme);
        let verdict = match ladder.is_guarded {
            false => Verdict::Accepted,
            true if scheme.certificate => Verdict::Accepted,
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

    /// Whether the certificate of `scheme` is likely to prove all but a few entries, by a sample of
    /// them; `a` and `b` are what packing found out under the same numbers. Depends on the data of
    /// the sampled lines only; what is left out when the guess is wrong is right all the same.
    pub fn suits(&self, scheme: &Scheme, a: &Packed, b: &Packed) -> bool {
        let per_column = scheme.lines::<T>();
        let (row_stats, row_parts) = sample(self.rows, a);
        let (col_stats, col_parts) = sample(self.cols.per_column(per_column), b);
        let certificate = Certificate::new(scheme, &row_stats, &col_stats, per_column);
        let mut doubts = vec![false; col_parts.len()];
        let doubtful = |row: usize| {
            let overlaps: Vec<i64> =
                col_parts.iter().map(|col| overlap_of(&row_parts[row], col)).collect();
            certificate.test(row, 0..doubts.len(), &overlaps, &mut doubts);
            doubts.chunks_exact(per_column).filter(|lines| lines.contains(&true)).count()
        };
        let doubtful: usize = (0..row_parts.len()).map(doubtful).sum();
        FEW * doubtful <= row_stats.len() * col_stats.len()
    }
}

/// At most [`SAMPLE`] rows of A or columns of B that are spread over all of them: the statistics of
/// each, and the leading parts of each of their lines.
fn sample<T: Element>(lines: Lines<'_, T>, packed: &Packed) -> (Vec<LineStats>, Vec<Vec<i8>>) {
    let (per_row, all) = (lines.per_row(), packed.stats.len());
    let taken = SAMPLE.min(all);
    let (mut stats, mut leading) = (Vec::new(), Vec::new());
    let mut scratch = lines::Scratch::default();
    for row in (0..taken).map(|s| (2 * s + 1) * all / (2 * taken)) {
        let stat = &packed.stats[row];
        lines.visit(row * per_row..(row + 1) * per_row, &mut scratch, |i, line| {
            let line = if stat.is_zero() { &[] } else { line };
            let mut of_line = vec![0; lines.length()];
            stat.leading(line, packed.exponents[i], &mut of_line);
            leading.push(of_line);
        });
        stats.push(*stat);
    }
    (stats, leading)
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
        for &scheme in ladder.schemes.iter().filter(|scheme| !scheme.certificate) {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mat::{MatMut, MatRef};
    use crate::npu::scheme::ozaki_int8::{I_4S10P, I_4S10P_C};

    /// Whether a certificate suits A·I, where one element of A in so many has no leading part.
    fn suits(one_in: usize) -> bool {
        let (m, n) = (100, 150);
        let number = |i: usize| {
            let number = (i as f32 + 1.0) / 3.0;
            if i.is_multiple_of(one_in) { number * 2f32.powi(-40) } else { 64.0 + number % 17.0 }
        };
        let a: Vec<f32> = (0..m * n).map(number).collect();
        let b: Vec<f32> = (0..n * n).map(|i| f32::from(u8::from(i / n == i % n))).collect();
        let mut c = vec![0.0; m * n];
        let problem = Gemm {
            alpha: 1.0,
            a: MatRef::from_row_major(&a, m, n, n),
            conj_a: false,
            b: MatRef::from_row_major(&b, n, n, n),
            conj_b: false,
            beta: 0.0,
            c: MatMut::from_row_major(&mut c, m, n, n),
        };
        let threads = Threads::alone();
        let survey = Survey::new(&problem, &threads);
        let packed = |lines, scans: &[_]| operands::examine(lines, scans, &I_4S10P, true, &threads);
        let a = packed(survey.rows, &survey.row_scans);
        let b = packed(survey.cols, &survey.col_scans);
        survey.suits(&I_4S10P_C, &a, &b)
    }

    #[test]
    fn a_certificate_suits_where_it_leaves_few_entries() {
        assert!(suits(97) && suits(37) && !suits(11) && !suits(2));
    }
}
