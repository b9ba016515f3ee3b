//! From sums of residue products to values.

use super::{FEWEST, MODULI, MOST, product};
use crate::npu::scheme::real::{ROUNDER, Real};
use crate::npu::widest::widest;
use std::ops::RangeInclusive;

/// Outputs that are handled at once.
const COLS: usize = 64;

/// Moduli that are handled at once.
const RUN: usize = 4;

/// Bits of a piece of a large integer.
const PIECE: u32 = 42;

/// Pieces that hold every number below the product of all moduli.
const PIECES: usize = 3;

/// What the remainder theorem over the first N moduli takes. Large integers are in pieces, the
/// lowest first: Σ `piece_i` · 2^(42 i), all but the last at most 2^41 in magnitude.
#[derive(Debug)]
struct Theorem {
    /// Greatest ‖X‖₂ of a line: a hair below √(P/2).
    radius: u64,
    /// For each modulus p the number that is 1 modulo p and 0 modulo the others, in (-P/2, P/2).
    units: [[f64; PIECES]; MOST],
    /// P.
    product: [f64; PIECES],
    /// 2^(42 i) / P.
    fractions: [f64; PIECES],
}

static THEOREMS: [Theorem; MOST + 1 - FEWEST] = {
    let mut theorems = [const { Theorem::new(FEWEST) }; MOST + 1 - FEWEST];
    let mut i = 1;
    while i < theorems.len() {
        theorems[i] = Theorem::new(FEWEST + i);
        i += 1;
    }
    theorems
};

impl Theorem {
    /// That of the first `residues` moduli.
    fn of(residues: usize) -> &'static Theorem {
        &THEOREMS[residues - FEWEST]
    }

    const fn new(residues: usize) -> Theorem {
        let product = product(residues);
        let mut units = [[0.0; PIECES]; MOST];
        let mut i = 0;
        while i < residues {
            // The others have an inverse modulo p; count up to it.
            let (p, others) = (MODULI[i] as u128, product / MODULI[i] as u128);
            let mut inverse = 1;
            while others % p * inverse % p != 1 {
                inverse += 1;
            }
            let unit = (others * inverse) as i128;
            let centred = if unit > product as i128 / 2 { unit - product as i128 } else { unit };
            units[i] = pieces_of(centred);
            i += 1;
        }
        let mut fractions = [0.0; PIECES];
        i = 0;
        while i < PIECES {
            fractions[i] = (1u128 << (PIECE * i as u32)) as f64 / product as f64;
            i += 1;
        }
        // 2^-30 below, so that rounding errors do not matter in the quotient by P.
        let root = (product / 2 - 1).isqrt() as u64;
        let radius = root - (root >> 30) - 1;
        Theorem { radius, units, product: pieces_of(product as i128), fractions }
    }
}

/// The pieces of a large integer.
const fn pieces_of(mut x: i128) -> [f64; PIECES] {
    let mut pieces = [0.0; PIECES];
    let half = 1i128 << (PIECE - 1);
    let mut i = 0;
    while i < PIECES - 1 {
        let piece = ((x + half) & (2 * half - 1)) - half;
        pieces[i] = piece as f64;
        x = (x - piece) >> PIECE;
        i += 1;
    }
    pieces[i] = x as f64;
    pieces
}

/// Greatest ‖X‖₂ of a line in as many residues.
pub fn radius(residues: usize) -> u64 {
    Theorem::of(residues).radius
}

/// Whether no value of [`join`] is subnormal, or overflows: T is 0 or from 1 to less than P/2 in
/// magnitude.
pub fn in_range(residues: usize, rows: RangeInclusive<i32>, cols: RangeInclusive<i32>) -> bool {
    let bits = product(residues).ilog2() as i32;
    let (least_up, most_up) = (-rows.end() - cols.end(), -rows.start() - cols.start());
    least_up >= f64::MIN_EXP - 1 && bits + most_up < f64::MAX_EXP
}

/// What is added up. Vectors of it cross no cache line.
#[repr(align(64))]
struct Totals<const S: usize>([[f64; COLS]; S]);

widest! {
    /// Joins the sums of one row of C into the floating-point product, before α and β.
    ///
    /// `sums[p * cols + j]` is the exact sum of products of residues modulo `MODULI[p]` at column
    /// j of `cols = out.len()`; `row_exponent` and `col_exponents[j]` are those of the lines.
    /// With T the integer in (-P/2, P/2) that all sums are congruent to, `out[j]` becomes
    /// rne(T) · 2^-(row_exponent + col_exponents\[j]).
    ///
    /// The exponents are added before anything is scaled. Sums of 2^51 and more, which no
    /// device should return, give some number or NaN, never a panic.
    pub fn join(
        residues: usize,
        sums: &[i64],
        row_exponent: i32,
        col_exponents: &[i32],
        out: &mut [f64],
    ) => join_any;
}

#[inline(always)]
pub fn join_any(
    residues: usize,
    sums: &[i64],
    row_exponent: i32,
    col_exponents: &[i32],
    out: &mut [f64],
) {
    let theorem = Theorem::of(residues);
    // P of ten moduli has 79.2 bits.
    match residues {
        ..=10 => join_into::<2>(theorem, residues, sums, row_exponent, col_exponents, out),
        _ => join_into::<3>(theorem, residues, sums, row_exponent, col_exponents, out),
    }
}

#[inline(always)]
fn join_into<const S: usize>(
    theorem: &Theorem,
    residues: usize,
    sums: &[i64],
    row_exponent: i32,
    col_exponents: &[i32],
    out: &mut [f64],
) {
    let cols = out.len();
    assert!(sums.len() == residues * cols && col_exponents.len() == cols);
    for start in (0..cols).step_by(COLS) {
        let width = COLS.min(cols - start);
        let mut totals = Totals([[0.0; COLS]; S]);
        for first in (0..residues).step_by(RUN) {
            let units: [_; RUN] = std::array::from_fn(|i| theorem.units[first + i]);
            let moduli: [_; RUN] = std::array::from_fn(|i| f64::from(MODULI[first + i]));
            let inverses = moduli.map(|p| 1.0 / p);
            // Behind the last modulus the units are zero, and any sums will do.
            let sums: [&[i64]; RUN] = std::array::from_fn(|i| {
                &sums[(first + i).min(residues - 1) * cols + start..][..width]
            });
            for j in 0..width {
                let residues: [f64; RUN] =
                    std::array::from_fn(|i| centred(sums[i][j], moduli[i], inverses[i]));
                for s in 0..S {
                    let mut total = totals.0[s][j];
                    for i in 0..RUN {
                        total = residues[i].mul_add(units[i][s], total);
                    }
                    totals.0[s][j] = total;
                }
            }
        }
        let exponents = &col_exponents[start..][..width];
        let values = &mut out[start..][..width];
        for (j, (value, &exponent)) in values.iter_mut().zip(exponents).enumerate() {
            let total = std::array::from_fn(|s| totals.0[s][j]);
            let up = (-row_exponent - exponent).clamp(-1022, 1023);
            // In range, see `in_range`, the bounds of `up` do nothing.
            *value = nearest::<S>(theorem, total) * f64::pow2(up);
        }
    }
}

/// A number congruent to a sum below 2^51, at most p/2 and a little in magnitude.
#[inline(always)]
fn centred(sum: i64, modulus: f64, inverse: f64) -> f64 {
    // Exact, as the sum fills the low bits of a number between 2^52 and 2^53.
    let sum = f64::from_bits((sum as u64).wrapping_add(ROUNDER.to_bits())) - ROUNDER;
    let quotient = sum.mul_add(inverse, ROUNDER) - ROUNDER;
    quotient.mul_add(-modulus, sum)
}

/// The double nearest to the integer in (-P/2, P/2) that is congruent to Σ `total_s` · 2^(42 s).
///
/// The residues of one output are at most 1836 in sum, those of 16 moduli, so the totals are
/// integers of at most 1836 · 2^41 and the quotient by P is at most 918: all of it, and the
/// difference, is exact below 2^53. The quotient is the right integer because lines are a
/// little shorter than √(P/2): it is off by 2^-40 and would need 2^-30.
#[inline(always)]
fn nearest<const S: usize>(theorem: &Theorem, total: [f64; S]) -> f64 {
    const UP: f64 = (1u64 << PIECE) as f64;
    let mut quotient = total[0] * theorem.fractions[0];
    for s in 1..S {
        quotient = total[s].mul_add(theorem.fractions[s], quotient);
    }
    let quotient = (quotient + ROUNDER) - ROUNDER;
    let mut t: [f64; S] = std::array::from_fn(|s| quotient.mul_add(-theorem.product[s], total[s]));
    if S == 2 {
        return t[1].mul_add(UP, t[0]);
    }
    // Carries leave |t_0|, |t_1| ≤ 2^41.
    for s in 1..S {
        let carry = t[s - 1].mul_add(1.0 / UP, ROUNDER) - ROUNDER;
        t[s - 1] = carry.mul_add(-UP, t[s - 1]);
        t[s] += carry;
    }
    // high + low is t_2 · 2^84 + t_1 · 2^42 exactly. With t_0 added and rounded to odd, low has
    // the same place as the exact sum among all numbers at which high + low rounds otherwise.
    let (upper, lower) = (t[2] * (UP * UP), t[1] * UP);
    let high = upper + lower;
    let low = lower - (high - upper);
    let sum = low + t[0];
    let lost = t[0] - (sum - low);
    let even = sum.to_bits() & 1 == 0;
    let away = (lost < 0.0) == (sum < 0.0);
    let step = if away { 1 } else { u64::MAX };
    let step = if even && lost != 0.0 { step } else { 0 };
    high + f64::from_bits(sum.to_bits().wrapping_add(step))
}

#[cfg(test)]
mod tests {
    use super::super::join;
    use super::super::tests::Draw;
    use super::*;
    use crate::npu::widest::Width;

    #[test]
    fn the_constants_are_those_of_the_theorem() {
        let gcd = |mut a: u16, mut b: u16| {
            while b > 0 {
                (a, b) = (b, a % b);
            }
            a
        };
        for (i, &p) in MODULI.iter().enumerate() {
            assert!(MODULI[..i].iter().all(|&q| gcd(p, q) == 1));
        }
        assert!(MODULI.iter().map(|&p| u32::from(p)).sum::<u32>() <= 2 * 1836);
        let number = |pieces: &[f64; PIECES]| {
            pieces.iter().rev().fold(0i128, |x, &piece| (x << PIECE) + piece as i128)
        };
        for residues in FEWEST..=MOST {
            let (theorem, product) = (Theorem::of(residues), product(residues) as i128);
            assert_eq!(number(&theorem.product), product);
            for (i, unit) in theorem.units.iter().enumerate() {
                if i >= residues {
                    assert_eq!(*unit, [0.0; PIECES]);
                    continue;
                }
                let small = |piece: &f64| piece.abs() <= 2f64.powi(PIECE as i32 - 1);
                assert!(unit.iter().all(small) && theorem.product[..2].iter().all(small));
                assert!(2 * number(unit).abs() < product);
                for (j, &p) in MODULI[..residues].iter().enumerate() {
                    assert_eq!(number(unit).rem_euclid(p.into()), i128::from(i == j));
                }
                // Two pieces are enough for ten moduli.
                assert!(residues > 10 || (unit[2], theorem.product[2]) == (0.0, 0.0));
            }
            let (radius, least) = (i128::from(theorem.radius), product as f64 * 0.5);
            assert!(radius * radius < product / 2);
            assert!(radius as f64 >= least.sqrt() * (1.0 - 2f64.powi(-22)));
            assert!((radius * radius) as f64 <= least * (1.0 - 2f64.powi(-30)));
        }
        // The bits of a line's 2-norm.
        for (residues, bits) in
            [(6, 23.4), (8, 31.3), (9, 35.2), (13, 50.8), (15, 58.4), (16, 62.2)]
        {
            let radius = Theorem::of(residues).radius as f64;
            assert!((radius.log2() - bits).abs() < 0.1, "{residues}: {}", radius.log2());
        }
    }

    /// Sums that a product T would have, each with some multiple of its modulus.
    fn sums_of(totals: &[i128], residues: usize, draw: &mut Draw) -> Vec<i64> {
        let mut sums = Vec::new();
        for &p in &MODULI[..residues] {
            for total in totals {
                let multiple = (draw.bits() as i64 >> 20) / i64::from(p) * i64::from(p);
                sums.push(multiple + total.rem_euclid(p.into()) as i64);
            }
        }
        sums
    }

    #[test]
    fn joining_is_one_rounding_of_the_exact_product() {
        let mut draw = Draw(5);
        for residues in FEWEST..=MOST {
            let limit = i128::from(Theorem::of(residues).radius).pow(2);
            let mut totals = vec![0, 1, -1, limit, -limit, limit - 1];
            for bit in 0..125 {
                for _ in 0..20 {
                    let random =
                        (i128::from(draw.bits()) << 64 | i128::from(draw.bits())) >> (126 - bit);
                    // A mantissa with the half of its last place, and what lies beside.
                    let mantissa = i128::from(draw.bits() >> 11 | 1 << 52);
                    let tie = (2 * mantissa + 1) << (bit % 71);
                    let far = 1i128 << (draw.bits() % 125);
                    totals.extend([
                        random,
                        tie,
                        tie - 1,
                        tie + 1,
                        -tie,
                        1 - tie,
                        tie + far,
                        tie - far,
                    ]);
                    let power = 1i128 << bit;
                    totals.extend([
                        power,
                        power - 1,
                        power + 1,
                        -power,
                        power - (far >> 54),
                        power + (far >> 54),
                    ]);
                }
            }
            totals.retain(|total| total.abs() <= limit);
            let sums = sums_of(&totals, residues, &mut draw);
            let exponents: Vec<i32> =
                (0..totals.len()).map(|j| (j as i32 * 7) % 900 - 450).collect();
            let mut out = vec![f64::NAN; totals.len()];
            join(residues, &sums, 77, &exponents, &mut out);
            for (j, &total) in totals.iter().enumerate() {
                let expected = total as f64 * 2f64.powi(-77 - exponents[j]);
                assert_eq!(out[j], expected, "{total} of {residues} moduli");
            }
        }
    }

    #[test]
    fn exponents_are_added_before_anything_is_scaled() {
        let sums = sums_of(&[3i128 << 60; 4], 15, &mut Draw(2));
        let mut out = [0.0; 4];
        join(15, &sums, 1000, &[-1000, -999, -1900, 22], &mut out);
        let three = 3.0 * 2f64.powi(60);
        assert_eq!(out, [three, three / 2.0, three * 2f64.powi(900), three * 2f64.powi(-1022)]);
    }

    #[test]
    fn values_in_range_are_scaled_exactly() {
        let limit = i128::from(radius(15)).pow(2);
        for (total, edge) in [(1, 1022i32), (limit, 117 - 1023)] {
            let sums = sums_of(&[total], 15, &mut Draw(4));
            for (exponent, within) in [(edge, true), (edge + edge.signum(), false)] {
                let (row, col) = (exponent / 2, exponent - exponent / 2);
                assert_eq!(in_range(15, row..=row, col..=col), within, "{exponent}");
                let mut out = [0.0];
                join(15, &sums, row, &[col], &mut out);
                assert!(!within || out[0] == total as f64 * 2f64.powi(-row) * 2f64.powi(-col));
                assert!(!within || out[0].is_normal());
            }
        }
        assert!(in_range(15, -400..=500, -400..=500) && !in_range(15, -400..=500, -400..=530));
    }

    #[test]
    fn sums_that_no_device_should_return_do_no_harm() {
        for residues in FEWEST..=MOST {
            let sums: Vec<i64> = (0..3 * residues)
                .map(|i| [i64::MAX, i64::MIN, -1, 1 << 51, -1 << 52][i % 5])
                .collect();
            join(residues, &sums, 0, &[0, 1, 2], &mut [0.0; 3]);
        }
    }

    #[test]
    fn every_instruction_set_gives_the_same_bits() {
        let mut draw = Draw(8);
        for residues in FEWEST..=MOST {
            let sums: Vec<i64> = (0..residues * 131).map(|_| draw.bits() as i64 >> 22).collect();
            let exponents: Vec<i32> = (0..131).collect();
            let mut plain = vec![0.0; 131];
            join_any(residues, &sums, 3, &exponents, &mut plain);
            Width::each(|| {
                let mut wide = vec![1.0; 131];
                join(residues, &sums, 3, &exponents, &mut wide);
                assert_eq!(wide, plain);
            });
        }
    }
}
