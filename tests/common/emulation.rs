//! The library's way from operands to results, with plain loops in place of the device.

use super::data::Operands;
use npublas::npu::guard::{Certificate, LineStats, accepts, overlap_of};
use npublas::npu::scheme::{LineScan, Real, Scheme};

/// A row or column, as the engine prepares it.
pub struct Line {
    pub exponent: i32,
    pub planes: Vec<i8>,
    pub stats: LineStats,
    /// The leading parts of which products certify entries.
    pub leading: Vec<i8>,
}

impl Line {
    pub fn new<R: Real>(scheme: &Scheme, line: &[R]) -> Line {
        let scan = LineScan::of(line);
        assert!(scan.finite);
        let exponent = scheme.exponent(line, &scan);
        let pitch = line.len().next_multiple_of(32);
        let mut planes = vec![0x55; scheme.planes() * pitch];
        let (values, certificate) = planes.split_at_mut(scheme.value_planes() * pitch);
        scheme.split(line, exponent, pitch, values);
        let stats = LineStats::of(line, &scan, exponent, scheme, values, pitch);
        let mut parts = vec![0x55; pitch];
        stats.leading(line, exponent, &mut parts);
        if scheme.certificate {
            certificate.copy_from_slice(&parts);
        }
        Line { exponent, planes, stats, leading: parts }
    }

    pub fn plane(&self, scheme: &Scheme, p: usize) -> &[i8] {
        let pitch = self.planes.len() / scheme.planes();
        &self.planes[(p - 1) * pitch..p * pitch]
    }
}

/// A product on its way through the library.
pub struct Emulation<'a> {
    pub scheme: &'a Scheme,
    pub k: usize,
    pub rows: Vec<Line>,
    pub cols: Vec<Line>,
}

impl<'a> Emulation<'a> {
    pub fn new<R: Real>(scheme: &'a Scheme, it: &Operands<R>) -> Emulation<'a> {
        Emulation {
            scheme,
            k: it.k,
            rows: (0..it.m).map(|i| Line::new(scheme, it.row(i))).collect(),
            cols: (0..it.n).map(|j| Line::new(scheme, &it.col(j))).collect(),
        }
    }

    pub fn accepted(&self) -> bool {
        let stats = |lines: &[Line]| lines.iter().map(|line| line.stats).collect::<Vec<_>>();
        accepts(self.scheme, &stats(&self.rows), &stats(&self.cols), self.k)
    }

    /// Of every entry, row by row, whether it is certified by itself.
    pub fn certified(&self) -> Vec<bool> {
        let stats = |lines: &[Line]| lines.iter().map(|line| line.stats).collect::<Vec<_>>();
        let (rows, cols) = (stats(&self.rows), stats(&self.cols));
        let certificate = Certificate::new(self.scheme, &rows, &cols, 1);
        let mut doubts = vec![true; self.cols.len()];
        let of_row = |(i, row): (usize, &Line)| {
            let overlaps = self.cols.iter().map(|col| overlap_of(&row.leading, &col.leading));
            certificate.test(i, 0..self.cols.len(), &overlaps.collect::<Vec<_>>(), &mut doubts);
            doubts.iter().map(|doubt| !doubt).collect::<Vec<_>>()
        };
        self.rows.iter().enumerate().flat_map(of_row).collect()
    }

    /// Whether no value is subnormal or overflows.
    pub fn in_range(&self) -> bool {
        let range = |lines: &[Line]| {
            let exponents = || lines.iter().map(|line| line.exponent);
            exponents().min().unwrap_or(0)..=exponents().max().unwrap_or(0)
        };
        self.scheme.in_range(range(&self.rows), range(&self.cols), self.k)
    }

    /// The exact sums of row i, `[group][column]`.
    pub fn sums(&self, i: usize) -> Vec<i64> {
        let mut sums = Vec::new();
        for group in self.scheme.groups {
            for col in &self.cols {
                let mut sum = 0;
                for (p, q) in group.products() {
                    let (a, b) = (self.rows[i].plane(self.scheme, p), col.plane(self.scheme, q));
                    sum += a.iter().zip(b).map(|(&a, &b)| i64::from(a) * i64::from(b)).sum::<i64>();
                }
                sums.push(sum);
            }
        }
        sums
    }

    /// A·B before α and β.
    pub fn product(&self) -> Vec<f64> {
        self.join_sums(|_, _| {})
    }

    /// A·B where the sums of every row, given its number, are changed first.
    pub fn join_sums(&self, mut change: impl FnMut(usize, &mut [i64])) -> Vec<f64> {
        let exponents: Vec<i32> = self.cols.iter().map(|col| col.exponent).collect();
        let mut values = vec![f64::NAN; self.rows.len() * self.cols.len()];
        for (i, values) in values.chunks_mut(self.cols.len()).enumerate() {
            let mut sums = self.sums(i);
            change(i, &mut sums);
            self.scheme.join(&sums, self.rows[i].exponent, &exponents, values);
        }
        values
    }

    pub fn gemm<R: Real>(&self, alpha: R, beta: R, c: &[R]) -> Vec<R> {
        let mut c = c.to_vec();
        R::finish_row(alpha, &self.product(), beta, &mut c);
        c
    }
}
