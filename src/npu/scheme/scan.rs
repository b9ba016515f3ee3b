//! The first pass over a line.

use super::real::{Real, Word};
use crate::npu::widest::widest;

/// Elements whose number surely fits the smallest [`Word`].
const RUN: usize = 65_536;

/// What one pass over a line tells, before its exponent is known.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LineScan<R> {
    /// Largest magnitude; meaningless when not finite.
    pub max_abs: R,
    /// Whether every element is finite.
    pub finite: bool,
    /// Elements that are not zero.
    pub nonzeros: usize,
}

impl<R: Real> LineScan<R> {
    /// Scans one line.
    pub fn of(line: &[R]) -> LineScan<R> {
        let (max, nonzeros) = scan(line);
        LineScan { max_abs: R::of_bits(max), finite: max < R::INFINITE, nonzeros }
    }
}

widest! {
    /// The largest magnitude, as bits, and the number of non-zeros.
    fn scan<R: Real>(line: &[R]) -> (R::Word, usize) => scan_any;
}

#[inline(always)]
fn scan_any<R: Real>(line: &[R]) -> (R::Word, usize) {
    let (mut max, mut nonzeros) = (R::Word::ZERO, 0);
    for run in line.chunks(RUN) {
        let (mut run_max, mut count) = (R::Word::ZERO, R::Word::ZERO);
        for x in run {
            run_max = run_max.max(x.magnitude());
            count = count.wrapping_add(x.nonzero());
        }
        max = max.max(run_max);
        nonzeros += count.to_u64() as usize;
    }
    (max, nonzeros)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::npu::widest::Width;

    fn check<R: Real>(lines: &[Vec<R>], bad: &[R]) {
        for line in lines {
            let scan = LineScan::of(line);
            let magnitudes = || line.iter().map(|x| x.magnitude());
            let max = magnitudes().max().unwrap_or(R::Word::ZERO);
            assert_eq!(scan.max_abs.bits(), max);
            assert_eq!(scan.nonzeros, magnitudes().filter(|m| *m != R::Word::ZERO).count());
            assert!(scan.finite);
            Width::each(|| assert_eq!(super::scan(line), scan_any(line)));
            for place in [0, line.len() / 2, line.len().saturating_sub(1)] {
                for &bad in bad {
                    let mut line = line.clone();
                    if let Some(x) = line.get_mut(place) {
                        *x = bad;
                        assert!(!LineScan::of(&line).finite);
                    }
                }
            }
        }
    }

    #[test]
    fn a_scan_sees_every_element() {
        let mut doubles = Vec::new();
        for len in [0, 1, 7, 8, 33, 1023, 1025] {
            let wave = |i: usize| ((i * i + len) as f64).sin();
            doubles.push((0..len).map(wave).collect());
            doubles
                .push((0..len).map(|i| if i % 3 == 0 { -0.0 } else { wave(i).powi(9) }).collect());
            doubles.push((0..len).map(|i| f64::from_bits((i as u64 % 77) << 9)).collect());
            doubles.push(vec![0.0; len]);
        }
        let narrow = |line: &Vec<f64>| line.iter().map(|&x| x as f32).collect();
        let mut singles: Vec<Vec<f32>> = doubles.iter().map(narrow).collect();
        singles.push((0..100).map(f32::from_bits).collect());
        check(&singles, &[f32::NAN, -f32::NAN, f32::INFINITY, f32::NEG_INFINITY]);
        check(&doubles, &[f64::NAN, -f64::NAN, f64::INFINITY, f64::NEG_INFINITY]);
        assert_eq!(LineScan::of(&vec![1f32; 200_001]).nonzeros, 200_001);
    }
}
