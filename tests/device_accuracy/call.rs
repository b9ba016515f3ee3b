//! One product as a caller makes it: operands, factors, and how the matrices lie in memory.

use crate::common::data::Rng;
use crate::cover::fewest_lines;
use crate::element::Element;
use crate::families::{self, Operands};
use crate::oracle::Scheme;
use npublas::route::Reason;
use npublas::trace::{NpuLine, Report};
use npublas::{Gemm, MatMut, MatRef, gemm};

/// A matrix in memory: row-major or column-major, with a leading dimension.
#[derive(Debug, Clone)]
struct Stored<T> {
    data: Vec<T>,
    rows: usize,
    cols: usize,
    ld: usize,
    row_major: bool,
}

impl<T: Element> Stored<T> {
    /// What fills the places that are none of the matrix's elements.
    fn filler() -> T {
        T::new(f64::MAX, f64::NAN)
    }

    fn new(values: &[T], rows: usize, cols: usize, layout: Layout) -> Stored<T> {
        let (long, short) = if layout.row_major { (rows, cols) } else { (cols, rows) };
        let ld = short + layout.padding;
        let data = vec![Self::filler(); long * ld];
        let mut stored = Stored { data, rows, cols, ld, row_major: layout.row_major };
        for i in 0..rows {
            for j in 0..cols {
                let (at, value) = (stored.index(i, j), values[i * cols + j]);
                stored.data[at] = if layout.conjugated { value.conj() } else { value };
            }
        }
        stored
    }

    fn index(&self, i: usize, j: usize) -> usize {
        if self.row_major { i * self.ld + j } else { j * self.ld + i }
    }

    fn view(&self) -> MatRef<'_, T> {
        if self.row_major {
            MatRef::from_row_major(&self.data, self.rows, self.cols, self.ld)
        } else {
            MatRef::from_col_major(&self.data, self.rows, self.cols, self.ld)
        }
    }

    fn view_mut(&mut self) -> MatMut<'_, T> {
        if self.row_major {
            MatMut::from_row_major(&mut self.data, self.rows, self.cols, self.ld)
        } else {
            MatMut::from_col_major(&mut self.data, self.rows, self.cols, self.ld)
        }
    }

    /// The elements, row by row; fails where something else was written.
    fn into_values(mut self) -> Vec<T> {
        let mut values = Vec::with_capacity(self.rows * self.cols);
        for i in 0..self.rows {
            for j in 0..self.cols {
                let at = self.index(i, j);
                values.push(std::mem::replace(&mut self.data[at], Self::filler()));
            }
        }
        let touched = self.data.iter().position(|x| !x.is(Self::filler()));
        assert_eq!(touched, None, "wrote between the lines of C");
        values
    }
}

/// How a matrix lies in memory.
#[derive(Debug, Clone, Copy, Default)]
pub struct Layout {
    /// Row-major for A, B and C alike is no transposition; any mixture is.
    pub row_major: bool,
    /// Leading dimension beyond the least.
    pub padding: usize,
    /// Whether memory holds the conjugates, and the call asks to conjugate.
    pub conjugated: bool,
}

/// One call.
#[derive(Debug, Clone)]
pub struct Call<T> {
    pub operands: Operands<T>,
    pub alpha: T,
    pub beta: T,
    /// m × n, row-major; NaN throughout where β = 0.
    pub old: Vec<T>,
    /// Of A, B and C; that of C is never conjugated.
    pub layouts: [Layout; 3],
}

impl<T: Element> Call<T> {
    /// A·B of contiguous row-major matrices.
    pub fn plain(operands: Operands<T>) -> Call<T> {
        let old = vec![T::new(f64::NAN, f64::NAN); operands.m * operands.n];
        let layouts = [Layout { row_major: true, ..Layout::default() }; 3];
        Call { operands, alpha: T::ONE, beta: T::ZERO, old, layouts }
    }

    /// A product of m × k and k × n of a family, everything else drawn: factors, all
    /// transpositions, conjugations, paddings, an old C of integers.
    pub fn drawn(family: &str, [m, n, k]: [usize; 3], alphas: &[f64], rng: &mut Rng) -> Call<T> {
        let operands = families::operands(family, m, n, k, rng.bits());
        let mut factor = |among: &[f64]| {
            // One complex factor in two has an imaginary part.
            T::new(among[rng.below(among.len())], [0.0, 0.3][rng.below(2)])
        };
        let (mut alpha, mut beta) = (factor(alphas), factor(&[0.0, 1.0, -1.0, 0.7]));
        // A factor of zero is one in both parts.
        for factor in [&mut alpha, &mut beta] {
            if factor.doubles()[0] == 0.0 {
                *factor = T::ZERO;
            }
        }
        let mut whole = || rng.below(2001) as f64 - 1000.0;
        let old = (0..m * n).map(|_| T::new(whole(), whole())).collect::<Vec<T>>();
        let nan = T::new(f64::NAN, f64::NAN);
        let old = if beta == T::ZERO { vec![nan; m * n] } else { old };
        let mut layout = || Layout {
            row_major: rng.below(2) == 0,
            padding: if rng.below(2) == 0 { 0 } else { rng.below(9) },
            conjugated: T::COMPLEX && rng.below(3) == 0,
        };
        let (a, b, c) = (layout(), layout(), layout());
        let layouts = [a, b, Layout { conjugated: false, ..c }];
        Call { operands, alpha, beta, old, layouts }
    }

    /// C of m × n, row-major, and where it was computed.
    pub fn run(&self) -> (Vec<T>, Option<Report>) {
        let Operands { m, n, k, a, b } = &self.operands;
        let a = Stored::new(a, *m, *k, self.layouts[0]);
        let b = Stored::new(b, *k, *n, self.layouts[1]);
        let mut c = Stored::new(&self.old, *m, *n, self.layouts[2]);
        let report = gemm(Gemm {
            alpha: self.alpha,
            a: a.view(),
            conj_a: self.layouts[0].conjugated,
            b: b.view(),
            conj_b: self.layouts[1].conjugated,
            beta: self.beta,
            c: c.view_mut(),
        });
        (c.into_values(), report)
    }

    /// What is not as the oracle of the scheme has it, in a call of which the NPU says `line`. The
    /// rows and columns that it left to the CPU because of the data, any as many, are left out, and
    /// the entries that the certificate of the scheme, by the oracle, does not prove.
    pub fn differs(&self, line: &NpuLine, results: &[T]) -> Option<String> {
        let Some(oracle) = Scheme::named(line.scheme) else {
            return Some(format!("no oracle for scheme {}", line.scheme));
        };
        let expected = oracle.gemm(&self.operands, self.alpha, self.beta, &self.old);
        let (m, n) = (self.operands.m, self.operands.n);
        let mut wrong: Vec<usize> =
            (0..m * n).filter(|&at| !results[at].is(expected[at])).collect();
        if line.scheme.ends_with("+c") {
            let doubts = oracle.doubts(&self.operands);
            let count = doubts.iter().filter(|doubt| **doubt).count();
            if line.doubtful != count as u64 {
                return Some(format!("{} entries are left out, not {count}", line.doubtful));
            }
            wrong.retain(|&at| !doubts[at]);
        }
        let (at, spared) = (*wrong.first()?, line.spared as usize);
        let are_few = wrong.len() <= spared * m.max(n);
        if are_few && fewest_lines(wrong.iter().map(|at| (at / n, at % n))) <= spared {
            return None;
        }
        let (result, expected) = (results[at], expected[at]);
        let place = format!("({}, {}) of {m}x{n}", at / n, at % n);
        let others = format!("{} in all, and {spared} lines were left to the CPU", wrong.len());
        Some(format!("entry {place} is {result:?}, not {expected:?}: {others}"))
    }

    /// By how much the roundings that α and β bring may raise R: each by half a unit at most,
    /// none where α = ±1 and β = 0.
    pub fn roundings(&self) -> f64 {
        let plain = self.alpha.doubles()[0].abs() == 1.0 && self.alpha.doubles()[1] == 0.0;
        match (plain && self.beta == T::ZERO, T::COMPLEX) {
            (true, _) => 0.0,
            (false, false) => 1.0,
            (false, true) => 2.0,
        }
    }
}

/// Whether the device was too slow or too busy for a call, so that the CPU computed some of it or
/// all: that says nothing about numbers. It happens on machines that are busy with other things,
/// and is said aloud.
pub fn is_disturbed(report: &Report, label: &str) -> bool {
    let disturbed = match &report.npu {
        Some(line) => line.repaired > 0,
        None => matches!(report.reason, Reason::Busy | Reason::Device(_)),
    };
    if disturbed {
        println!("DISTURBED {label}: {report:?}");
    }
    disturbed
}
