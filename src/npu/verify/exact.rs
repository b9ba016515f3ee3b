//! Verification of exact sums, in exact integer arithmetic.
//!
//! With x a vector of random odd 32-bit numbers, one per column of C, and ρ a random odd 64-bit
//! number per group, every row of results must satisfy, modulo 2^64,
//!
//! Σ_g ρ_g Σ_j C_g\[i, j] x_j = Σ_p A_p\[i, ·] · v_p, v_p = Σ_q ρ_(p+q) (B_q x), q over the kept
//! products.
//!
//! The left side ([`Exact::observe`]) is taken from what the device returned, the right side
//! ([`meet`]) while A and B are packed. A single wrong sum is off by δ · ρ · x with δ ≠ 0 of
//! at most 31 trailing zeros and odd factors: it never passes. An error within one group passes
//! with probability 2^-31 at most, because at most one of the 2^31 values of an x_j cancels the
//! rest; any fixed error with 2^-26.
//!
//! Weaker choices let real faults through: uniform x modulo 2^32 misses every second sign flip,
//! odd x modulo 2^32 misses every pair of sign flips, and a prime modulus 2^31 - 1 misses a
//! saturated zero.

use super::{Challenge, fill_random};
use crate::npu::scheme::Scheme;
use crate::npu::widest::widest;
use std::ops::Range;

/// 16-bit pieces of a 64-bit number.
const LIMBS: usize = 4;

/// Digits whose products with 16-bit limbs surely sum up within an i32: each is at most 2^22.
const RUN: usize = 256;

/// Digits that are taken at once where fewer than a [`RUN`] are left.
const SHORT: usize = 32;

/// Digits of a column whose sums stay in registers while column after column is added.
const BLOCK: usize = 32;

/// An odd 32-bit x per column of C, an odd 64-bit ρ per group.
#[derive(Debug, Clone)]
pub struct Exact {
    x: Vec<i32>,
    rho: Vec<u64>,
}

/// One number modulo 2^64 per digit of a row of A, as four balanced 16-bit limbs, all the lowest
/// limbs first.
#[derive(Debug, Clone)]
pub struct Projection {
    limbs: Vec<i16>,
}

impl Challenge for Exact {
    /// One number per digit of a column.
    type Running = Vec<u64>;
    type Projection = Projection;
    type Seen = u64;
    type Expected = u64;

    fn draw(cols: usize, scheme: &Scheme) -> Exact {
        let mut bytes = vec![0; 4 * cols + 8 * scheme.groups.len()];
        fill_random(&mut bytes);
        let (x, rho) = bytes.split_at(4 * cols);
        Exact {
            x: x.as_chunks().0.iter().map(|b| i32::from_ne_bytes(*b) | 1).collect(),
            rho: rho.as_chunks().0.iter().map(|b| u64::from_ne_bytes(*b) | 1).collect(),
        }
    }

    fn start(&self, len: usize, running: &mut Vec<u64>) {
        running.clear();
        running.resize(len, 0);
    }

    fn add_columns(&self, cols: Range<usize>, planes: &[i8], pitch: usize, running: &mut Vec<u64>) {
        add_scaled(&self.x[cols], planes, pitch, running);
    }

    fn merge(&self, running: &mut Vec<u64>, other: &Vec<u64>) {
        for (sum, add) in running.iter_mut().zip(other) {
            *sum = sum.wrapping_add(*add);
        }
    }

    fn combine(&self, scheme: &Scheme, running: &Vec<u64>, pitch: usize) -> Projection {
        let u = running;
        assert!(u.len() == scheme.planes() * pitch && self.rho.len() == scheme.groups.len());
        let mut v = vec![0u64; u.len()];
        for (group, &rho) in scheme.groups.iter().zip(&self.rho) {
            for (p, q) in group.products() {
                let (v, u) = (&mut v[(p - 1) * pitch..], &u[(q - 1) * pitch..]);
                for (v, &u) in v.iter_mut().zip(u).take(pitch) {
                    *v = v.wrapping_add(rho.wrapping_mul(u));
                }
            }
        }
        Projection::new(&v)
    }

    fn expect(planes: &[i8], tile: &Projection) -> u64 {
        let sums = meet(planes, &tile.limbs).into_iter().enumerate();
        sums.fold(0, |z, (t, sum)| z.wrapping_add((sum as u64) << (16 * t)))
    }

    fn observe(
        &self,
        group: usize,
        first_col: usize,
        row: &[i32],
        sums: &mut [i64],
        seen: &mut u64,
    ) {
        let x = &self.x[first_col..first_col + row.len()];
        let projection = add_and_project(x, row, sums) as u64;
        *seen = seen.wrapping_add(self.rho[group].wrapping_mul(projection));
    }

    fn confirms(seen: &u64, expected: &u64) -> bool {
        seen == expected
    }
}

impl Projection {
    fn new(v: &[u64]) -> Projection {
        let mut limbs = vec![0; LIMBS * v.len()];
        for (t, limbs) in limbs.chunks_mut(v.len().max(1)).enumerate() {
            for (limb, &v) in limbs.iter_mut().zip(v) {
                // With 0x8000 added to every limb at once, the 16-bit pieces of the sum are the
                // balanced limbs plus 0x8000.
                let biased = v.wrapping_add(0x8000_8000_8000_8000) >> (16 * t);
                *limb = (biased as u16 ^ 0x8000) as i16;
            }
        }
        Projection { limbs }
    }
}

widest! {
    /// `u += Σ_j x_j · column_j`, element by element; the columns lie `pitch` apart.
    fn add_scaled(x: &[i32], planes: &[i8], pitch: usize, u: &mut [u64]) => add_scaled_any;
}

#[inline(always)]
fn add_scaled_any(x: &[i32], planes: &[i8], pitch: usize, u: &mut [u64]) {
    assert!(x.is_empty() || planes.len() >= (x.len() - 1) * pitch + u.len());
    let (blocks, rest) = u.as_chunks_mut::<BLOCK>();
    let tail = blocks.len() * BLOCK;
    for (b, u) in blocks.iter_mut().enumerate() {
        let mut sums = *u;
        for (j, &x) in x.iter().enumerate() {
            // Of a constant length, so that the sums stay where they are.
            add_one(x, &planes[j * pitch + b * BLOCK..].as_chunks::<BLOCK>().0[0], &mut sums);
        }
        *u = sums;
    }
    for (j, &x) in x.iter().enumerate() {
        add_one(x, &planes[j * pitch + tail..], rest);
    }
}

#[inline(always)]
fn add_one(x: i32, digits: &[i8], u: &mut [u64]) {
    for (u, &digit) in u.iter_mut().zip(digits) {
        *u = u.wrapping_add((i64::from(digit) * i64::from(x)) as u64);
    }
}

widest! {
    /// The inner products of digits and each of the limbs in `limbs`.
    ///
    /// They are put together elsewhere: where the compiler sees that no more than the lowest bits of
    /// the last one count, it makes slow products of unsigned limbs.
    #[inline(never)]
    fn meet(planes: &[i8], limbs: &[i16]) -> [i64; LIMBS] => meet_any;
}

#[inline(always)]
fn meet_any(planes: &[i8], limbs: &[i16]) -> [i64; LIMBS] {
    let len = planes.len();
    assert!(limbs.len() == LIMBS * len);
    let limbs = std::array::from_fn(|t| &limbs[t * len..][..len]);
    let mut sums = [0; LIMBS];
    let (digits, limbs) = add_runs::<RUN>(planes, limbs, &mut sums);
    let (digits, limbs) = add_runs::<SHORT>(digits, limbs, &mut sums);
    add_runs::<1>(digits, limbs, &mut sums);
    sums
}

/// Adds the products of all whole runs; returns what is left. A constant length is what the compiler
/// needs for products of pairs.
#[inline(always)]
fn add_runs<'a, const N: usize>(
    digits: &'a [i8],
    limbs: [&'a [i16]; LIMBS],
    sums: &mut [i64; LIMBS],
) -> (&'a [i8], [&'a [i16]; LIMBS]) {
    let (runs, rest) = digits.as_chunks::<N>();
    let split = limbs.map(|limbs| limbs.as_chunks::<N>());
    for (i, digits) in runs.iter().enumerate() {
        for (sum, (limbs, _)) in sums.iter_mut().zip(&split) {
            let products = digits.iter().zip(&limbs[i]);
            let run = products.fold(0i32, |run, (&digit, &limb)| {
                run.wrapping_add(i32::from(digit).wrapping_mul(i32::from(limb)))
            });
            *sum += i64::from(run);
        }
    }
    (rest, split.map(|(_, rest)| rest))
}

widest! {
    /// `sums += row`, and the inner product of `row` and random numbers: one pass for both.
    fn add_and_project(x: &[i32], row: &[i32], sums: &mut [i64]) -> i64 => add_and_project_any;
}

#[inline(always)]
fn add_and_project_any(x: &[i32], row: &[i32], sums: &mut [i64]) -> i64 {
    assert!(x.len() == row.len() && sums.len() == row.len());
    let mut total = 0i64;
    for ((sum, &result), &x) in sums.iter_mut().zip(row).zip(x) {
        *sum = sum.wrapping_add(i64::from(result));
        total = total.wrapping_add(i64::from(result).wrapping_mul(i64::from(x)));
    }
    total
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::npu::scheme::ozaki_int8::{I_3S8P, I_4S10P};
    use crate::npu::widest::Width;

    /// Digit planes of a small product, and what a device makes of them.
    struct Product {
        scheme: &'static Scheme,
        pitch: usize,
        rows: Vec<Vec<i8>>,
        cols: Vec<Vec<i8>>,
    }

    impl Product {
        fn new(scheme: &'static Scheme, rows: usize, cols: usize, pitch: usize) -> Product {
            let mut state = 5u32;
            let mut planes = |lines: usize| {
                let mut line = || {
                    state = state.wrapping_mul(747_796_405).wrapping_add(2_891_336_453);
                    (state >> 24) as i8
                };
                (0..lines).map(|_| (0..scheme.planes() * pitch).map(|_| line()).collect()).collect()
            };
            let (rows, cols) = (planes(rows), planes(cols));
            Product { scheme, pitch, rows, cols }
        }

        fn sums(&self, i: usize) -> Vec<i64> {
            let plane = |line: &[i8], p: usize, l: usize| i64::from(line[(p - 1) * self.pitch + l]);
            let mut sums = Vec::new();
            for group in self.scheme.groups {
                for col in &self.cols {
                    let terms = group.products().flat_map(|(p, q)| {
                        (0..self.pitch).map(move |l| plane(&self.rows[i], p, l) * plane(col, q, l))
                    });
                    sums.push(terms.sum());
                }
            }
            sums
        }

        /// What a device shows of a row with these sums.
        fn observe(&self, challenge: &Exact, first: usize, sums: &[i64]) -> u64 {
            let cols = self.cols.len();
            let mut seen = 0;
            for (g, sums) in sums.chunks(cols.max(1)).enumerate() {
                let row: Vec<i32> = sums.iter().map(|&sum| sum as i32).collect();
                let mut added = vec![0; cols];
                challenge.observe(g, first, &row, &mut added, &mut seen);
                assert_eq!(added, sums);
            }
            seen
        }

        /// A challenge of which this product takes columns from `first` on, and what row `i`
        /// must show.
        fn challenge(&self, first: usize, i: usize) -> (Exact, u64) {
            let challenge = Exact::draw(first + self.cols.len() + 2, self.scheme);
            let mut u = vec![0; self.scheme.planes() * self.pitch];
            for (j, col) in self.cols.iter().enumerate() {
                challenge.add_columns(first + j..first + j + 1, col, 0, &mut u);
            }
            let v = challenge.combine(self.scheme, &u, self.pitch);
            let z = Exact::expect(&self.rows[i], &v);
            (challenge, z)
        }
    }

    #[test]
    fn honest_results_pass() {
        for scheme in [&I_3S8P, &I_4S10P] {
            for (cols, pitch) in [(1, 32), (5, 96), (33, 320), (7, 1056)] {
                let product = Product::new(scheme, 3, cols, pitch);
                for first in [0, 13] {
                    for i in 0..3 {
                        let (challenge, z) = product.challenge(first, i);
                        assert_eq!(product.observe(&challenge, first, &product.sums(i)), z);
                    }
                }
            }
        }
        let nothing = Product::new(&I_3S8P, 1, 0, 0);
        let (challenge, z) = nothing.challenge(0, 0);
        assert_eq!((nothing.observe(&challenge, 0, &[]), z), (0, 0));
    }

    #[test]
    fn the_greatest_digits_do_not_wrap() {
        for digits in [(-128, -128), (127, -128)] {
            let mut product = Product::new(&I_4S10P, 1, 3, 2048);
            product.rows[0].fill(digits.0);
            product.cols.iter_mut().for_each(|col| col.fill(digits.1));
            let (challenge, z) = product.challenge(0, 0);
            assert_eq!(product.observe(&challenge, 0, &product.sums(0)), z);
        }
    }

    #[test]
    fn faults_are_seen() {
        for scheme in [&I_3S8P, &I_4S10P] {
            let (cols, pitch) = (24, 64);
            let product = Product::new(scheme, 2, cols, pitch);
            let honest = product.sums(1);
            let (challenge, z) = product.challenge(9, 1);
            let seen = |what: &str, fault: &dyn Fn(&mut [i64])| {
                let mut sums = honest.clone();
                fault(&mut sums);
                assert_ne!(sums, honest, "{what} changes nothing");
                assert_ne!(product.observe(&challenge, 9, &sums), z, "{what} passes");
            };
            for place in 0..honest.len() {
                let flip = |sum: i64, bit: u32| i64::from(sum as i32 ^ (1 << bit));
                for bit in 0..32 {
                    seen("a flipped bit", &|sums| sums[place] = flip(sums[place], bit));
                }
                let next = (place + 1) % honest.len();
                seen("a sign", &|sums| sums[place] = -sums[place]);
                seen("two signs", &|sums| {
                    sums[place] = -sums[place];
                    sums[next] = -sums[next];
                });
                seen("two flipped signs", &|sums| {
                    sums[place] = flip(sums[place], 31);
                    sums[next] = flip(sums[next], 31);
                });
                seen("a saturated sum", &|sums| sums[place] = i64::from(i32::MAX));
                seen("a lost sum", &|sums| sums[place] = 0);
                seen("two sums in each other's place", &|sums| sums.swap(place, next));
            }
            for (g, _) in scheme.groups.iter().enumerate() {
                let group = g * cols..(g + 1) * cols;
                seen("a lost group", &|sums| sums[group.clone()].fill(0));
                seen("a saturated group", &|sums| sums[group.clone()].fill(i64::from(i32::MAX)));
                seen("a stuck bit", &|sums| sums[group.clone()].iter_mut().for_each(|s| *s |= 64));
            }
            seen("the row above", &|sums| sums.copy_from_slice(&product.sums(0)));
        }
    }

    #[test]
    fn the_challenge_is_odd_random_and_new() {
        let (one, other) = (Exact::draw(1000, &I_3S8P), Exact::draw(1000, &I_3S8P));
        assert_ne!(one.x, other.x);
        assert_ne!(one.rho, other.rho);
        assert!(one.x.iter().all(|x| x & 1 == 1) && one.rho.iter().all(|rho| rho & 1 == 1));
        for bit in 1..32 {
            let ones = one.x.iter().filter(|x| *x >> bit & 1 == 1).count();
            assert!((350..650).contains(&ones), "bit {bit} is set in {ones} of 1000");
        }
    }

    #[test]
    fn every_instruction_set_gives_the_same_numbers() {
        let digits: Vec<i8> = (0..1003).map(|i| (i * 37) as i8).collect();
        let v: Vec<u64> = (0..1003u64).map(|i| i.wrapping_mul(0x9E37_79B9_7F4A_7C15)).collect();
        let projection = Projection::new(&v);
        let limbs = meet_any(&digits, &projection.limbs);
        let by_definition = digits
            .iter()
            .zip(&v)
            .fold(0u64, |sum, (&d, &v)| sum.wrapping_add((d as u64).wrapping_mul(v)));
        // Seven columns that overlap.
        let (pitch, len) = (123, 250);
        let weights: Vec<i32> = (0..7).map(|j| i32::MIN + 1 + j * 0x1357_9BDF).collect();
        let scaled: Vec<u64> = (0..len)
            .map(|l| {
                let terms =
                    (0..7).map(|j| i64::from(digits[j * pitch + l]) * i64::from(weights[j]));
                v[l].wrapping_add(terms.sum::<i64>() as u64)
            })
            .collect();
        let x: Vec<i32> = v.iter().map(|v| *v as i32).collect();
        let row: Vec<i32> = v.iter().map(|v| (*v >> 32) as i32).collect();
        let before: Vec<i64> = v.iter().map(|v| *v as i64 >> 1).collect();
        let mut added = before.clone();
        let sum = add_and_project_any(&x, &row, &mut added);
        let exact: i128 = x.iter().zip(&row).map(|(&x, &r)| i128::from(x) * i128::from(r)).sum();
        assert_eq!(sum, exact as i64);
        assert!((0..1003).all(|j| added[j] == before[j] + i64::from(row[j])));
        Width::each(|| {
            let mut wide = v[..len].to_vec();
            add_scaled(&weights, &digits, pitch, &mut wide);
            assert_eq!(wide, scaled);
            assert_eq!(meet(&digits, &projection.limbs), limbs);
            assert_eq!(Exact::expect(&digits, &projection), by_definition);
            let mut wide = before.clone();
            assert_eq!(add_and_project(&x, &row, &mut wide), sum);
            assert_eq!(wide, added);
        });
    }
}
