//! Which lines are to blame when the test fails.

use super::class::{Class, classes};
use super::{LineStats, meets, within_reach};
use crate::npu::scheme::Scheme;

/// How often blame is laid before the call is given up.
const ROUNDS: usize = 3;

/// The call is given up when more than one entry of so many would be lost with the blamed lines.
const FEW: usize = 20;

/// What the guard says to a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Every entry provably meets the bound.
    Accepted,
    /// Every entry does, but for those of these rows and columns, in ascending order: few enough
    /// for the CPU to compute.
    AllBut {
        /// Rows of A.
        rows: Vec<usize>,
        /// Columns of B.
        cols: Vec<usize>,
    },
    /// Too much is not proven.
    Refused,
}

/// The test of [`accepts`](super::accepts), and where it fails the few lines without which it
/// does not.
///
/// A line is to blame when its entries with more than half of the lines of the other operand are
/// not proven; where there is no such line, every line with an entry that is not proven, of the
/// operand that has fewer. What is left is tested anew, class by class. The verdict depends on
/// the statistics alone, not on the order of the lines.
pub fn judge(scheme: &Scheme, a: &[LineStats], b: &[LineStats], k: usize) -> Verdict {
    if !within_reach(scheme, k) {
        return Verdict::Refused;
    }
    let (mut a, mut b) = (Side::new(a), Side::new(b));
    for _ in 0..=ROUNDS {
        let (rows, cols) = (a.classes(k), b.classes(k));
        let row_fails = |row: &Class, col: &Class| !meets(scheme, row, col, k);
        let col_fails = |col: &Class, row: &Class| !meets(scheme, row, col, k);
        if !rows.iter().any(|row| cols.iter().any(|col| row_fails(row, col))) {
            return match (a.gone(), b.gone()) {
                (rows, cols) if rows.is_empty() && cols.is_empty() => Verdict::Accepted,
                (rows, cols) => Verdict::AllBut { rows, cols },
            };
        }
        let (row_faults, col_faults) = (a.faults(&cols, row_fails), b.faults(&rows, col_fails));
        let total = |classes: &[Class]| classes.iter().map(|class| class.lines).sum::<usize>();
        let most = a.blame(&row_faults, total(&cols) / 2) | b.blame(&col_faults, total(&rows) / 2);
        if !most {
            let count = |faults: &[usize]| faults.iter().filter(|&&faults| faults > 0).count();
            if count(&row_faults) * b.lines.len() <= count(&col_faults) * a.lines.len() {
                a.blame(&row_faults, 0);
            } else {
                b.blame(&col_faults, 0);
            }
        }
        let (m, n) = (a.lines.len(), b.lines.len());
        if FEW * (a.gone().len() * n + b.gone().len() * m) > m * n {
            return Verdict::Refused;
        }
    }
    Verdict::Refused
}

/// The lines of one operand, without those to blame.
struct Side<'a> {
    lines: &'a [LineStats],
    blamed: Vec<bool>,
}

impl<'a> Side<'a> {
    fn new(lines: &'a [LineStats]) -> Side<'a> {
        Side { lines, blamed: vec![false; lines.len()] }
    }

    fn classes(&self, k: usize) -> Vec<Class> {
        let kept = self.lines.iter().zip(&self.blamed).filter(|(_, blamed)| !**blamed);
        classes(kept.map(|(line, _)| line), k)
    }

    /// Of each line, how many lines of the other operand are in classes with which it `fails`; 0
    /// of those without a place.
    fn faults(&self, others: &[Class], fails: impl Fn(&Class, &Class) -> bool) -> Vec<usize> {
        let faults = |(line, blamed): (&LineStats, &bool)| {
            let line = Class::of(line);
            let failing = others.iter().filter(|other| fails(&line, other));
            if *blamed || line.max_nonzeros == 0 { 0 } else { failing.map(|c| c.lines).sum() }
        };
        self.lines.iter().zip(&self.blamed).map(faults).collect()
    }

    /// Blames the lines with more faults than `most`; whether there are any.
    fn blame(&mut self, faults: &[usize], most: usize) -> bool {
        for (blamed, &faults) in self.blamed.iter_mut().zip(faults) {
            *blamed |= faults > most;
        }
        faults.iter().any(|&faults| faults > most)
    }

    fn gone(&self) -> Vec<usize> {
        (0..self.lines.len()).filter(|&line| self.blamed[line]).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::accepts;
    use super::*;
    use crate::npu::scheme::ozaki_int8::{I_3S8P, I_7S28P};
    use crate::npu::scheme::{LineScan, Real};

    const K: usize = 200;

    fn stats<R: Real>(scheme: &Scheme, line: &[R]) -> LineStats {
        let scan = LineScan::of(line);
        let exponent = scheme.exponent(line, &scan);
        let mut planes = vec![0; scheme.planes() * line.len()];
        scheme.split(line, exponent, line.len(), &mut planes);
        LineStats::of(line, &scan, exponent, scheme, &planes, line.len())
    }

    /// Lines of a uniform distribution, those of `spikes` with one element that is much greater.
    fn lines(scheme: &Scheme, count: usize, spikes: &[usize]) -> Vec<LineStats> {
        let mut state = 1u32;
        let mut number = || {
            state = state.wrapping_mul(747_796_405).wrapping_add(2_891_336_453);
            f64::from(state >> 8) / f64::from(1 << 24) - 0.5
        };
        let mut line = |i: usize| {
            let mut line: Vec<f64> = (0..K).map(|_| number()).collect();
            line[i % K] *= if spikes.contains(&i) { 2f64.powi(40) } else { 1.0 };
            line
        };
        let single = |line: Vec<f64>| line.iter().map(|&x| x as f32).collect::<Vec<_>>();
        (0..count)
            .map(|i| match scheme.precision {
                24 => stats(scheme, &single(line(i))),
                _ => stats(scheme, &line(i)),
            })
            .collect()
    }

    #[test]
    fn few_bad_lines_are_named() {
        for scheme in [&I_3S8P, &I_7S28P] {
            for (rows, cols) in [(vec![77], vec![]), (vec![], vec![0, 5]), (vec![3, 4], vec![119])]
            {
                let (a, b) = (lines(scheme, 100, &rows), lines(scheme, 120, &cols));
                assert!(!accepts(scheme, &a, &b, K));
                let verdict = judge(scheme, &a, &b, K);
                assert_eq!(verdict, Verdict::AllBut { rows, cols }, "{}", scheme.name);
            }
            let (a, b) = (lines(scheme, 100, &[]), lines(scheme, 120, &[]));
            assert_eq!(judge(scheme, &a, &b, K), Verdict::Accepted);
        }
    }

    #[test]
    fn the_order_of_the_lines_does_not_matter() {
        let (mut a, b) = (lines(&I_3S8P, 100, &[1, 2]), lines(&I_3S8P, 120, &[60]));
        a.reverse();
        let expected = Verdict::AllBut { rows: vec![97, 98], cols: vec![60] };
        assert_eq!(judge(&I_3S8P, &a, &b, K), expected);
    }

    #[test]
    fn many_bad_lines_are_refused() {
        let (good, spikes) = (lines(&I_3S8P, 100, &[]), (0..6).collect::<Vec<_>>());
        let bad = lines(&I_3S8P, 100, &spikes);
        assert_eq!(judge(&I_3S8P, &bad, &good, K), Verdict::Refused);
        assert_eq!(judge(&I_3S8P, &good, &bad, K), Verdict::Refused);
        let all = lines(&I_3S8P, 100, &(0..100).collect::<Vec<_>>());
        assert_eq!(judge(&I_3S8P, &all, &all, K), Verdict::Refused);
        assert_eq!(judge(&I_3S8P, &all[..1], &good[..1], K), Verdict::Refused);
        assert_eq!(judge(&I_3S8P, &good, &good, usize::MAX), Verdict::Refused);
        assert_eq!(judge(&I_3S8P, &[], &[], K), Verdict::Accepted);
    }

    #[test]
    fn what_is_left_is_accepted_and_lines_of_zeros_stay() {
        let (mut a, b) = (lines(&I_3S8P, 100, &[9, 30]), lines(&I_3S8P, 120, &[7]));
        a[50] = stats(&I_3S8P, &[0f32; K]);
        let Verdict::AllBut { rows, cols } = judge(&I_3S8P, &a, &b, K) else {
            panic!("refused");
        };
        assert_eq!((&rows[..], &cols[..]), (&[9, 30][..], &[7][..]));
        let without = |lines: &[LineStats], gone: &[usize]| -> Vec<LineStats> {
            let kept = (0..lines.len()).filter(|i| !gone.contains(i));
            kept.map(|i| lines[i]).collect()
        };
        assert!(accepts(&I_3S8P, &without(&a, &rows), &without(&b, &cols), K));
    }
}
