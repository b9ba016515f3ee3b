//! Verification of sums that the device rounds, in double precision.
//!
//! With x a vector of random numbers of magnitudes between 1/2 and 1, one per column of C, and ρ_g
//! = 2^-g for group g, so that no two groups can stand in each other's place, every row of results
//! must satisfy
//!
//! Σ_g ρ_g Σ_j C_g\[i, j] x_j = Σ_p A_p\[i, ·] · v_p, v_p = Σ_q ρ_(p+q) (B_q x), q over the kept
//! products,
//!
//! up to what its sums may be wrong. With a sum's products in s groups of 32 an entry of column j is
//! off, by [`fp16`] and Cauchy and Schwarz, by at most
//!
//! e_j = Σ_(p, q) ρ_(p+q) (s + 2) 2^-24 ‖a_p‖ ‖b_qj‖, and in each 16th column s ρ_g [`fp16::COARSE`]
//! more.
//!
//! One unit of 2^-24 of the two stands for the roundings here, which are 2^-29 times as large as the
//! device's; √n for n columns is little beside that.
//!
//! The device knows nothing of x, whose signs are independent and fair. So by Hoeffding's inequality
//! (JASA 58, 1963) all errors of a row together exceed t·√Σ(x_j e_j)² with probability
//! 2·exp(-t²/2) at most, even if each is as large as it may be and they conspire; for t =
//! [`DEVIATIONS`] that is 5·10^-11. A false alarm costs time only: the row is computed once more. For
//! fewer than t² columns √n takes the place of t, by Cauchy and Schwarz, and the bound is certain.
//! The root is taken plane by plane, by Minkowski's inequality.
//!
//! So this cannot see wrong last bits, nor any error in one entry that is below that bound: for a
//! tile of n columns about 5√n times what the entry may be off by the device's roundings. What it
//! sees: a row, a block of columns or a group of products that is missing, belongs elsewhere or is
//! garbage, in all data whose results are not themselves as small as that bound; every error of a
//! single entry of group g that is 4/ρ_g times the bound; and every number that is no sum at all. On
//! normal numbers with k and n of 1,000 the bound is a seventieth of a typical element of C, in
//! `fp16x2` a fortieth.

use super::{Challenge, fill_random};
use crate::npu::scheme::fp16::{self, MAX_HALVES};
use crate::npu::scheme::{Group, Scheme};
use crate::npu::widest::widest;
use std::ops::Range;

/// How many times the root of the squares of all errors a row may be off.
const DEVIATIONS: f64 = 7.0;

/// Columns of which one may have coarse sums: the first.
const COARSE_STEP: usize = 16;

/// Products that the device sums exactly.
const RUN: usize = 32;

/// Partial sums side by side.
const LANES: usize = 16;

/// One x per column of C.
#[derive(Debug, Clone)]
pub struct Rounded {
    x: Vec<f64>,
    halves: usize,
}

/// What columns of B add up to.
#[derive(Debug, Default)]
pub struct Running {
    /// Σ_j b_j x_j.
    u: Vec<f64>,
    /// Σ_j (x_j ‖b_j‖)², by plane.
    squares: [f64; MAX_HALVES],
    /// Σ_j x_j² of the columns with coarse sums.
    coarse: f64,
    /// How many columns these are.
    cols: usize,
}

/// What rows of A meet.
#[derive(Debug)]
pub struct Projection {
    v: Vec<f64>,
    halves: usize,
    /// How far a row of results may be off, per unit of ‖a_i‖, by plane.
    norms: [f64; MAX_HALVES],
    /// How far they may be off whatever the row.
    fixed: f64,
}

/// What a row of results must add up to, and how far it may be off.
#[derive(Debug)]
pub struct Expected {
    value: f64,
    slack: f64,
}

/// The groups of a scheme, and ρ of each.
fn weighted(scheme: &Scheme) -> impl Iterator<Item = (&Group, f64)> {
    scheme.groups.iter().enumerate().map(|(g, group)| (group, rho(g)))
}

fn rho(group: usize) -> f64 {
    0.5f64.powi(group as i32)
}

/// The planes of a line.
fn split(planes: &[i8], halves: usize) -> impl Iterator<Item = &[i8]> {
    planes.chunks_exact((planes.len() / halves).max(1))
}

impl Challenge for Rounded {
    type Running = Running;
    type Projection = Projection;
    type Seen = f64;
    type Expected = Expected;

    fn draw(cols: usize, scheme: &Scheme) -> Rounded {
        let mut bytes = vec![0; 4 * cols];
        fill_random(&mut bytes);
        let number = |bytes: &[u8; 4]| {
            let number = i32::from_ne_bytes(*bytes);
            // The upper bits are the sign, the others those of a magnitude.
            let magnitude = 0.5 + 0.5 * f64::from(number & i32::MAX) / f64::from(i32::MAX);
            if number < 0 { -magnitude } else { magnitude }
        };
        let x = bytes.as_chunks().0.iter().map(number).collect();
        Rounded { x, halves: scheme.planes() }
    }

    fn start(&self, len: usize, running: &mut Running) {
        running.u.clear();
        running.u.resize(len / size_of::<u16>(), 0.0);
        (running.squares, running.coarse, running.cols) = ([0.0; MAX_HALVES], 0.0, 0);
    }

    fn add_columns(&self, cols: Range<usize>, planes: &[i8], pitch: usize, running: &mut Running) {
        let len = size_of::<u16>() * running.u.len();
        for (j, col) in cols.enumerate() {
            let (x, planes) = (self.x[col], &planes[j * pitch..][..len]);
            add_scaled(x, planes, &mut running.u);
            for (sum, plane) in running.squares.iter_mut().zip(split(planes, self.halves)) {
                *sum += x * x * dot(plane, None);
            }
            if col.is_multiple_of(COARSE_STEP) {
                running.coarse += x * x;
            }
            running.cols += 1;
        }
    }

    fn merge(&self, running: &mut Running, other: &Running) {
        for (sum, add) in running.u.iter_mut().zip(&other.u) {
            *sum += add;
        }
        for (sum, add) in running.squares.iter_mut().zip(&other.squares) {
            *sum += add;
        }
        running.coarse += other.coarse;
        running.cols += other.cols;
    }

    fn combine(&self, scheme: &Scheme, running: &Running, pitch: usize) -> Projection {
        let mut v = vec![0.0; running.u.len()];
        let deviations = DEVIATIONS.min((running.cols as f64).sqrt());
        let (mut norms, mut fixed) = ([0.0; MAX_HALVES], 0.0);
        for (group, rho) in weighted(scheme) {
            let runs = (group.count * pitch / RUN) as f64;
            for (p, q) in group.products() {
                let (v, u) = (&mut v[(p - 1) * pitch..], &running.u[(q - 1) * pitch..]);
                for (v, &u) in v.iter_mut().zip(u).take(pitch) {
                    *v += rho * u;
                }
                let unit = f64::from(f32::EPSILON / 2.0);
                let error = rho * (runs + 2.0) * unit * running.squares[q - 1].sqrt();
                norms[p - 1] += deviations * error;
            }
            fixed += deviations * rho * runs * fp16::COARSE * running.coarse.sqrt();
        }
        Projection { v, halves: self.halves, norms, fixed }
    }

    fn expect(planes: &[i8], tile: &Projection) -> Expected {
        let norms = split(planes, tile.halves).map(|plane| dot(plane, None).sqrt());
        let slack: f64 = norms.zip(tile.norms).map(|(a, norm)| a * norm).sum();
        Expected { value: dot(planes, Some(&tile.v)), slack: slack + tile.fixed }
    }

    fn observe(
        &self,
        group: usize,
        first_col: usize,
        row: &[i32],
        sums: &mut [i64],
        seen: &mut f64,
    ) {
        let x = &self.x[first_col..first_col + row.len()];
        *seen += rho(group) * add_and_project(x, row, sums);
    }

    fn confirms(seen: &f64, expected: &Expected) -> bool {
        // Not so for a NaN.
        (seen - expected.value).abs() <= expected.slack
    }
}

widest! {
    /// `u += x · planes`, element by element.
    fn add_scaled(x: f64, planes: &[i8], u: &mut [f64]) => add_scaled_any;
}

#[inline(always)]
fn add_scaled_any(x: f64, planes: &[i8], u: &mut [f64]) {
    let (halves, _) = planes.as_chunks();
    assert!(halves.len() == u.len());
    for (u, &half) in u.iter_mut().zip(halves) {
        *u += x * fp16::number(half);
    }
}

widest! {
    /// The inner product of halves and numbers; without numbers, that of the halves themselves.
    fn dot(planes: &[i8], numbers: Option<&[f64]>) -> f64 => dot_any;
}

#[inline(always)]
fn dot_any(planes: &[i8], numbers: Option<&[f64]>) -> f64 {
    let (halves, _) = planes.as_chunks();
    let mut sums = [0.0; LANES];
    for (i, halves) in halves.chunks(LANES).enumerate() {
        for (l, (sum, &half)) in sums.iter_mut().zip(halves).enumerate() {
            let a = fp16::number(half);
            *sum += a * numbers.map_or(a, |numbers| numbers[i * LANES + l]);
        }
    }
    sums.iter().sum()
}

widest! {
    /// Adds the sums of the chip in `row` to `sums`, in units; returns the inner product of `row` and
    /// random numbers.
    fn add_and_project(x: &[f64], row: &[i32], sums: &mut [i64]) -> f64 => add_and_project_any;
}

#[inline(always)]
fn add_and_project_any(x: &[f64], row: &[i32], sums: &mut [i64]) -> f64 {
    assert!(x.len() == row.len() && sums.len() == row.len());
    let mut totals = [0.0; LANES];
    let chunks = sums.chunks_mut(LANES).zip(row.chunks(LANES)).zip(x.chunks(LANES));
    for ((sums, row), x) in chunks {
        for (((sum, &word), x), total) in sums.iter_mut().zip(row).zip(x).zip(&mut totals) {
            let result = fp16::sum(word);
            *sum = sum.wrapping_add(fp16::units(result));
            *total += result * x;
        }
    }
    totals.iter().sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::npu::scheme::fp16::{FP16, FP16X2};
    use crate::npu::widest::Width;

    /// Halves of a product, and what a device makes of them.
    struct Product {
        scheme: &'static Scheme,
        pitch: usize,
        rows: Vec<Vec<i8>>,
        cols: Vec<Vec<i8>>,
    }

    impl Product {
        fn new(scheme: &'static Scheme, rows: usize, cols: usize, k: usize) -> Product {
            let pitch = k.next_multiple_of(RUN);
            let mut state = 5u32;
            let mut lines = |count: usize| {
                let mut draw = || {
                    state = state.wrapping_mul(747_796_405).wrapping_add(2_891_336_453);
                    (state >> 8) as f32 - 2f32.powi(23)
                };
                let mut line = || {
                    let line: Vec<f32> = (0..k).map(|_| draw()).collect();
                    let mut planes = vec![1; scheme.bytes() * pitch];
                    // To [2^14, 2^15).
                    scheme.split(&line, -8, pitch, &mut planes);
                    planes
                };
                (0..count).map(|_| line()).collect()
            };
            Product { scheme, pitch, rows: lines(rows), cols: lines(cols) }
        }

        /// The results of a row as the chip has them, one per group and column, without the products
        /// of the last `missing` elements.
        fn results(&self, i: usize, missing: usize) -> Vec<f32> {
            let of = |line: &[i8], l: usize| fp16::number([line[2 * l], line[2 * l + 1]]);
            let mut results = Vec::new();
            for group in self.scheme.groups {
                for col in &self.cols {
                    let mut sum = 0f32;
                    for (p, q) in group.products() {
                        for run in (0..self.pitch - missing).step_by(RUN) {
                            let product = |l| {
                                of(&self.rows[i], (p - 1) * self.pitch + l)
                                    * of(col, (q - 1) * self.pitch + l)
                            };
                            sum += (run..run + RUN).map(product).sum::<f64>() as f32;
                        }
                    }
                    results.push(sum);
                }
            }
            results
        }

        /// A challenge of which this product takes columns from `first` on, and what row `i`
        /// must show.
        fn challenge(&self, first: usize, i: usize) -> (Rounded, Expected) {
            let challenge = Rounded::draw(first + self.cols.len() + 2, self.scheme);
            let (mut running, mut other) = (Running::default(), Running::default());
            challenge.start(self.scheme.bytes() * self.pitch, &mut running);
            challenge.start(self.scheme.bytes() * self.pitch, &mut other);
            for (j, col) in self.cols.iter().enumerate() {
                let part = if j % 3 == 0 { &mut other } else { &mut running };
                challenge.add_columns(first + j..first + j + 1, col, 0, part);
            }
            challenge.merge(&mut running, &other);
            let tile = challenge.combine(self.scheme, &running, self.pitch);
            let expected = Rounded::expect(&self.rows[i], &tile);
            (challenge, expected)
        }

        /// Whether results pass.
        fn pass(&self, it: &(Rounded, Expected), first: usize, results: &[f32]) -> bool {
            let mut seen = 0.0;
            for (g, results) in results.chunks(self.cols.len().max(1)).enumerate() {
                let row: Vec<i32> = results.iter().map(|x| x.to_bits().cast_signed()).collect();
                let mut sums = vec![7; row.len()];
                it.0.observe(g, first, &row, &mut sums, &mut seen);
                for (sum, x) in sums.iter().zip(results).filter(|(_, x)| x.abs() < 2f32.powi(46)) {
                    assert_eq!(*sum, 7 + fp16::units(f64::from(*x)));
                }
            }
            Rounded::confirms(&seen, &it.1)
        }
    }

    #[test]
    fn honest_results_pass_and_coarse_ones_too() {
        for scheme in [&FP16, &FP16X2] {
            for (cols, k) in [(1, 1), (5, 96), (33, 320), (48, 3000)] {
                let product = Product::new(scheme, 3, cols, k);
                for first in [0, 16] {
                    for i in 0..3 {
                        let it = product.challenge(first, i);
                        let mut results = product.results(i, 0);
                        assert!(product.pass(&it, first, &results));
                        for results in results.chunks_mut(cols) {
                            results.iter_mut().step_by(16).for_each(|x| *x -= fp16::COARSE as f32);
                        }
                        assert!(product.pass(&it, first, &results));
                    }
                }
            }
            let nothing = Product::new(scheme, 1, 0, 0);
            assert!(nothing.pass(&nothing.challenge(0, 0), 0, &[]));
        }
    }

    /// Challenges that a fault is shown to.
    const DRAWS: usize = 16;

    #[test]
    fn faults_are_seen() {
        let cols = 96;
        for (scheme, k) in
            [&FP16, &FP16X2].into_iter().flat_map(|s| [64, 1000, 3000].map(|k| (s, k)))
        {
            let product = Product::new(scheme, 2, cols, k);
            let honest = product.results(1, 0);
            let challenges: Vec<_> = (0..DRAWS).map(|_| product.challenge(16, 1)).collect();
            let slack = challenges.iter().map(|it| it.1.slack).fold(0.0, f64::max);
            let error = 4.01 * slack as f32;
            let seen_by = |least: usize, what: &str, fault: &dyn Fn(&mut [f32])| {
                let mut results = honest.clone();
                fault(&mut results);
                let seen = challenges.iter().filter(|it| !product.pass(it, 16, &results)).count();
                assert!(seen >= least, "{what}, {} k = {k}: {seen} of {DRAWS}", scheme.name);
            };
            // Signs of x may make little of what is wrong with many entries.
            let seen = |what: &str, fault: &dyn Fn(&mut [f32])| seen_by(DRAWS / 2, what, fault);
            let always_seen = |what: &str, fault: &dyn Fn(&mut [f32])| seen_by(DRAWS, what, fault);
            for g in 0..scheme.groups.len() {
                let group = g * cols..(g + 1) * cols;
                seen("a lost row", &|it| it[group.clone()].fill(0.0));
                seen("signs", &|it| it[group.clone()].iter_mut().for_each(|x| *x = -*x));
                seen("half of all", &|it| it[group.clone()].iter_mut().for_each(|x| *x /= 2.0));
                seen("columns in each other's place", &|it| it[group.clone()].rotate_left(16));
                for first in group.clone().step_by(16) {
                    seen("lost columns", &|it| it[first..first + 16].fill(0.0));
                    for wrong in [f32::NAN, f32::INFINITY, f32::MAX, f32::MIN] {
                        always_seen("no sum", &|it| it[first] = wrong);
                    }
                    always_seen("an error", &|it| it[first] += error / rho(g) as f32);
                }
            }
            seen("the row above", &|it| it.copy_from_slice(&product.results(0, 0)));
            seen("a lost run", &|it| it.copy_from_slice(&product.results(1, RUN)));
            if scheme.groups.len() > 1 {
                seen("groups in each other's place", &|it| it.rotate_left(cols));
            }
        }
    }

    #[test]
    fn the_bound_grows_with_the_root_of_the_columns() {
        for scheme in [&FP16, &FP16X2] {
            let slack = |cols| Product::new(scheme, 1, cols, 64).challenge(0, 0).1.slack;
            let (few, some, many) = (slack(1), slack(50), slack(800));
            assert!(few < some / 10.0 && some > many / 6.0, "{few} {some} {many}");
        }
    }

    #[test]
    fn the_challenge_is_random_and_new() {
        let (one, other) = (Rounded::draw(1000, &FP16), Rounded::draw(1000, &FP16));
        assert_ne!(one.x, other.x);
        assert!(one.x.iter().all(|x| (0.5..=1.0).contains(&x.abs())));
        for few in [
            one.x.iter().filter(|x| **x < 0.0).count(),
            one.x.iter().filter(|x| x.abs() < 0.75).count(),
        ] {
            assert!((350..650).contains(&few), "{few} of 1000");
        }
    }

    #[test]
    fn every_instruction_set_gives_nearly_the_same_numbers() {
        let product = Product::new(&FP16, 1, 1, 1003);
        let (a, b) = (&product.rows[0], &product.cols[0]);
        let numbers: Vec<f64> = b.as_chunks().0.iter().map(|half| fp16::number(*half)).collect();
        let by_definition: f64 =
            a.as_chunks().0.iter().zip(&numbers).map(|(half, y)| fp16::number(*half) * y).sum();
        let row: Vec<i32> = numbers.iter().map(|x| (*x as f32).to_bits().cast_signed()).collect();
        let square: f64 = numbers.iter().map(|x| x * x).sum();
        Width::each(|| {
            assert!((dot(a, Some(&numbers)) - by_definition).abs() < 1e-3);
            let mut u = numbers.clone();
            add_scaled(-0.5, b, &mut u);
            assert!(u.iter().zip(&numbers).all(|(u, y)| *u == 0.5 * y));
            let mut sums = vec![-3; row.len()];
            assert!((add_and_project(&numbers, &row, &mut sums) - square).abs() < 1e-3);
            assert!(sums.iter().zip(&numbers).all(|(s, x)| *s == fp16::units(*x) - 3));
        });
    }
}
