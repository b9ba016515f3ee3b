//! From elements to planes of residues.

use super::{MODULI, MOST, radius};
use crate::npu::scheme::fixed::Fixed;
use crate::npu::scheme::real::{Real, Word};
use crate::npu::widest::widest;

/// Elements that are handled at once.
const BLOCK: usize = 64;

/// Powers of two at which integers are cut into signed pieces.
const CUTS: [u32; 3] = [21, 36, 51];

/// 1.5 · 2^23: added to a number below 2^22, it leaves the nearest integer, ties to even, in the
/// low bits.
const ROUNDER: f32 = 12_582_912.0;

/// What reduction modulo one number takes.
#[derive(Debug)]
struct Modulus {
    p: f32,
    inverse: f32,
    /// 2^cut modulo p, centred, for each of [`CUTS`].
    powers: [f32; CUTS.len()],
}

static REDUCTIONS: [Modulus; MOST] = {
    let mut reductions = [const { Modulus::new(MODULI[0]) }; MOST];
    let mut i = 1;
    while i < MOST {
        reductions[i] = Modulus::new(MODULI[i]);
        i += 1;
    }
    reductions
};

impl Modulus {
    const fn new(p: u16) -> Modulus {
        let mut powers = [0.0; CUTS.len()];
        let mut cut = 0;
        while cut < CUTS.len() {
            let power = ((1u64 << CUTS[cut]) % p as u64) as f32;
            powers[cut] = if power > p as f32 / 2.0 { power - p as f32 } else { power };
            cut += 1;
        }
        Modulus { p: p as f32, inverse: 1.0 / p as f32, powers }
    }
}

/// The exponent e of a line whose largest magnitude is `max_abs` (finite): the greatest for which
/// the line times 2^e, rounded, is proven to be shorter than √(P/2) in the 2-norm. By Cauchy and
/// Schwarz an inner product of two such lines is within ±P/2. 0 for a line of zeros.
///
/// Rounding adds at most √k/2. Which e it is integers decide: the sum of t² with t the elements
/// in units of 2^-15 to 2^-16 of the largest, rounded to nearest, plus 1. So it depends on no
/// order, and times a power of two the line has the same X.
pub fn exponent<R: Real>(line: &[R], max_abs: R, residues: usize) -> i32 {
    if max_abs.is_zero() {
        return 0;
    }
    let unit = 15 - max_abs.ilog2();
    let square = sum_of_squares(line, unit);
    let radius = u128::from(radius(residues) - half_root(line.len()));
    let limit = radius * radius;
    // The greatest d with square · 4^d ≤ limit, or that and 1.
    let d = (limit.ilog2() as i32 - square.ilog2() as i32) >> 1;
    let fits = match d {
        0.. => u128::from(square) << (2 * d) <= limit,
        _ => u128::from(square) <= limit << (-2 * d),
    };
    unit + d - i32::from(!fits)
}

/// √k/2, rounded up.
fn half_root(k: usize) -> u64 {
    let square = (k as u64).div_ceil(4);
    let root = square.isqrt();
    root + u64::from(root * root < square)
}

widest! {
    /// The sum of (rne(|x| · 2^exponent) + 1)² over the elements that are not zero and become at
    /// most 2^16.
    fn sum_of_squares<R: Real>(line: &[R], exponent: i32) -> u64 => sum_of_squares_any;
}

#[inline(always)]
fn sum_of_squares_any<R: Real>(line: &[R], exponent: i32) -> u64 {
    let mut total = 0u64;
    if R::ORDINARY.contains(&exponent) {
        let scale = R::pow2(exponent);
        for &x in line {
            let units = R::of_bits(x.magnitude()).nearest(scale);
            total = total.wrapping_add(square(units.wrapping_add(x.nonzero())));
        }
    } else {
        for &x in line {
            let units = Fixed::scale(x, exponent).round();
            total = total.wrapping_add(square(units.wrapping_add(x.nonzero())));
        }
    }
    total
}

/// The square of a number below 2^32.
#[inline(always)]
fn square<W: Word>(units: W) -> u64 {
    let units = u64::from(units.to_u64() as u32);
    units.wrapping_mul(units)
}

widest! {
    /// Splits one line of finite elements into planes of centred residues: plane p (1-based), the
    /// residues modulo `MODULI[p - 1]`, goes to `planes[(p - 1) * pitch..]`, `line.len()` residues
    /// and zeros up to `pitch`.
    ///
    /// `exponent` is the line's own [`exponent()`], or a smaller one. A residue modulo p is within
    /// ±(p - 1)/2, that modulo 256 from -128 to 127.
    pub fn split<R: Real>(
        line: &[R],
        exponent: i32,
        residues: usize,
        pitch: usize,
        planes: &mut [i8],
    ) => split_any;
}

#[inline(always)]
pub fn split_any<R: Real>(
    line: &[R],
    exponent: i32,
    residues: usize,
    pitch: usize,
    planes: &mut [i8],
) {
    // As many pieces as hold 35.2, 50.8 and 62.2 bits, see `residues_of`.
    match residues {
        ..=9 => split_into::<R, 2>(line, exponent, residues, pitch, planes),
        10..=13 => split_into::<R, 3>(line, exponent, residues, pitch, planes),
        _ => split_into::<R, 4>(line, exponent, residues, pitch, planes),
    }
}

#[inline(always)]
fn split_into<R: Real, const S: usize>(
    line: &[R],
    exponent: i32,
    residues: usize,
    pitch: usize,
    planes: &mut [i8],
) {
    assert!(line.len() <= pitch && planes.len() == residues * pitch);
    let (blocks, tail) = line.as_chunks();
    for (i, block) in blocks.iter().enumerate() {
        let pieces = pieces::<R, S>(block, exponent);
        for (p, modulus) in REDUCTIONS[..residues].iter().enumerate() {
            let residues = residues_of(&pieces, modulus);
            planes[p * pitch + i * BLOCK..][..BLOCK].copy_from_slice(&residues);
        }
    }
    if tail.is_empty() && line.len() == pitch {
        return;
    }
    let mut block = [R::ZERO; BLOCK];
    block[..tail.len()].copy_from_slice(tail);
    let pieces = pieces::<R, S>(&block, exponent);
    for (p, modulus) in REDUCTIONS[..residues].iter().enumerate() {
        let rest = &mut planes[p * pitch..][line.len() - tail.len()..pitch];
        rest[..tail.len()].copy_from_slice(&residues_of(&pieces, modulus)[..tail.len()]);
        rest[tail.len()..].fill(0);
    }
}

/// Some elements times 2^exponent, below 2^63 in magnitude. Exact where the product is not below
/// 2^-2; what is below may be any number down to 0.
#[inline(always)]
fn scale<R: Real>(elements: &[R; BLOCK], exponent: i32) -> [R; BLOCK] {
    if exponent <= *R::ORDINARY.end() {
        let factor = R::pow2(exponent);
        elements.map(|x| x * factor)
    } else {
        elements.map(|x| scale_up(x, exponent))
    }
}

/// x · 2^exponent for exponents above [`Real::ORDINARY`], where subnormal numbers count.
#[inline(always)]
fn scale_up<R: Real>(x: R, exponent: i32) -> R {
    let magnitude = x.magnitude();
    // The fraction field as a number: it fills the low bits of one whose unit is 1.
    let one_unit = R::pow2(R::PRECISION as i32 - 1);
    let fraction = R::of_bits(one_unit.bits() | magnitude) - one_unit;
    let small = fraction * R::pow2(exponent + R::LEAST);
    let half = exponent >> 1;
    let large = R::of_bits(magnitude) * R::pow2(half) * R::pow2(exponent - half);
    let scaled =
        if magnitude.wrapping_shr(R::PRECISION - 1) == R::Word::ZERO { small } else { large };
    R::of_bits(scaled.bits() | (x.bits() ^ magnitude))
}

/// The integers nearest to some elements times 2^exponent, ties to even, each as a sum of signed
/// pieces times 1 and the powers of two of [`CUTS`].
///
/// An integer is a number of its element's type, for it is either below 2^PRECISION or the
/// scaled element itself; so are the remainders, which have no more bits.
#[inline(always)]
fn pieces<R: Real, const S: usize>(elements: &[R; BLOCK], exponent: i32) -> [[f32; BLOCK]; S] {
    let scaled = scale(elements, exponent);
    // As `ROUNDER`, for the type of the elements.
    let rounder = R::pow2(R::PRECISION as i32 - 1) + R::pow2(R::PRECISION as i32 - 2);
    let mut pieces = [[0.0; BLOCK]; S];
    for i in 0..BLOCK {
        let mut rest = scaled[i].round();
        for s in (1..S).rev() {
            let cut = CUTS[s - 1] as i32;
            let piece = rest.mul_add(R::pow2(-cut), rounder) - rounder;
            rest = piece.mul_add(-R::pow2(cut), rest);
            pieces[s][i] = piece.to_f32();
        }
        pieces[0][i] = rest.to_f32();
    }
    pieces
}

/// The centred residues of some integers in pieces.
///
/// y, the sum of the pieces with the powers of two reduced to at most p/2, is congruent to the
/// integer and exact: |y| < 2^23, as 2^20 + 127 (2^14.2) for two pieces, 2^20 + 127 (2^14 +
/// 2^14.8) for three and 2^20 + 127 (2^14 + 2^14 + 2^11.2) for four. The quotient is the right
/// integer, for y/p is at least 1/2p beside the middle between two integers (if p is odd) and
/// the rounded inverse moves it by at most 2^-24 y/p.
#[inline(always)]
fn residues_of<const S: usize>(pieces: &[[f32; BLOCK]; S], modulus: &Modulus) -> [i8; BLOCK] {
    let mut residues = [0; BLOCK];
    for i in 0..BLOCK {
        let mut y = pieces[0][i];
        for s in 1..S {
            y = pieces[s][i].mul_add(modulus.powers[s - 1], y);
        }
        let quotient = y.mul_add(modulus.inverse, ROUNDER) - ROUNDER;
        let residue = quotient.mul_add(-modulus.p, y) + ROUNDER;
        residues[i] = residue.to_bits() as i8;
    }
    residues
}

#[cfg(test)]
mod tests {
    use super::super::tests::{Draw, own, whole};
    use super::super::{FEWEST, MAX_K, split};
    use super::*;
    use crate::npu::scheme::LineScan;
    use crate::npu::widest::Width;

    /// The residue of x modulo p in [-p/2, p/2).
    fn residue(x: i64, p: u16) -> i8 {
        let (p, half) = (i64::from(p), i64::from(p / 2));
        ((x % p + half).rem_euclid(p) - half) as i8
    }

    /// Doubles with all kinds of magnitudes, signs and lengths; single precision after `as f32`.
    fn lines() -> Vec<Vec<f64>> {
        let mut draw = Draw(1);
        let mut lines = vec![vec![], vec![0.0, -0.0], vec![1.0], vec![-0.75]];
        for len in [1, 2, 31, 63, 64, 65, 257, 1000] {
            lines.push((0..len).map(|_| draw.unit()).collect());
            lines.push((0..len).map(|i| (i % 7) as f64 - 3.0).collect());
            let wild = |draw: &mut Draw| draw.unit() * 2f64.powi((draw.bits() % 60) as i32 - 30);
            lines.push((0..len).map(|_| wild(&mut draw)).collect());
            lines.push((0..len).map(|i| if i == len / 2 { 3e5 } else { 0.75 }).collect());
            lines.push(vec![1.0 + 2f64.powi(-23); len]);
        }
        lines
    }

    fn check_exponent<R: Real>(line: &[R], wide: &[f64]) {
        for residues in FEWEST..=MOST {
            let e = own(line, residues);
            if wide.iter().all(|x| *x == 0.0) {
                assert_eq!(e, 0);
                continue;
            }
            let radius = radius(residues);
            let square: u128 = wide.iter().map(|&x| (whole(x, e) as i128).pow(2) as u128).sum();
            assert!(square <= u128::from(radius).pow(2), "{residues} moduli, 2^{e}");
            // Were it one more, the line itself would be too long, but for the roundings up.
            let length: f64 = wide.iter().map(|&x| (x * 2f64.powi(e + 1)).powi(2)).sum();
            let slack =
                2f64.powi(e - 15) * LineScan::of(wide).max_abs * (wide.len() as f64).sqrt() * 4.0;
            let limit = radius as f64 - half_root(wide.len()) as f64;
            assert!(length.sqrt() + slack > limit, "{residues} moduli, 2^{e}");
        }
    }

    #[test]
    fn an_exponent_is_the_greatest_that_is_proven() {
        for line in lines() {
            check_exponent(&line, &line);
            let single: Vec<f32> = line.iter().map(|&x| x as f32).collect();
            check_exponent(&single, &single.iter().map(|&x| x.into()).collect::<Vec<_>>());
        }
    }

    #[test]
    fn rounding_is_paid_for() {
        // Every element is a tie that rounds away from zero, so the 2-norm grows by √k/2. Without
        // it in the exponent the lines would be too long.
        for half in [9001.5f64, 12_001.5] {
            // The squares in `exponent` are those of 1/4 more.
            let k = (radius(6) as f64 / (half + 0.3)).powi(2) as usize;
            assert_eq!(own(&vec![half; k], 6), -1);
            assert!(half.ceil() * (k as f64).sqrt() > radius(6) as f64 + 2.0);
        }
    }

    #[test]
    fn neither_order_nor_scale_matters() {
        for line in lines() {
            for residues in [6, 8, 15, 16] {
                let e = own(&line, residues);
                let mut turned = line.clone();
                turned.reverse();
                turned.rotate_left(line.len() / 3);
                assert_eq!(own(&turned, residues), e);
                if e == 0 {
                    continue;
                }
                // Down to where the largest elements are subnormal, and up to the end.
                for scale in [-1000, -980, -900, -300, 300, 1000] {
                    let scaled: Vec<f64> = line.iter().map(|x| x * 2f64.powi(scale)).collect();
                    if scaled.iter().zip(&line).all(|(s, x)| s * 2f64.powi(-scale) == *x) {
                        assert_eq!(own(&scaled, residues), e - scale);
                    }
                }
            }
        }
        for (bit, residues) in [(0, 6), (3, 8), (22, 12), (22, 16)] {
            let tiny = f32::from_bits(1 << bit);
            let e = own(&[1f32], residues);
            assert_eq!(own(&[tiny], residues), e + 149 - bit);
            let tiny = f64::from_bits(1 << bit);
            assert_eq!(own(&[tiny], residues), e + 1074 - bit);
        }
    }

    #[test]
    fn the_longest_lines_do_not_wrap() {
        assert_eq!(((1u128 << 16 | 1).pow(2) * MAX_K as u128) >> 64, 0);
        assert!(half_root(MAX_K) < radius(FEWEST) / 100);
    }

    fn check_split<R: Real>(line: &[R], wide: &[f64], exponent: i32, residues: usize) {
        let pitch = line.len().next_multiple_of(32);
        let mut planes = vec![0x55; residues * pitch];
        split(line, exponent, residues, pitch, &mut planes);
        for (p, plane) in planes.chunks(pitch.max(1)).enumerate() {
            for (l, &x) in wide.iter().enumerate() {
                let x = whole(x, exponent);
                assert_eq!(plane[l], residue(x, MODULI[p]), "{x} modulo {}", MODULI[p]);
            }
            assert!(plane[wide.len()..].iter().all(|r| *r == 0));
        }
    }

    #[test]
    fn residues_are_those_of_the_rounded_elements() {
        for line in lines() {
            for residues in FEWEST..=MOST {
                for scale in [0, -300, -990, -1030, -1070, 900] {
                    let line: Vec<f64> = line
                        .iter()
                        .map(|x| x * 2f64.powi(scale / 2) * 2f64.powi(scale - scale / 2))
                        .collect();
                    let e = own(&line, residues);
                    check_split(&line, &line, e, residues);
                    check_split(&line, &line, e - 13, residues);
                }
                for scale in [0, -100, -120, -140, 90] {
                    let line: Vec<f32> =
                        line.iter().map(|x| (x * 2f64.powi(scale)) as f32).collect();
                    let e = own(&line, residues);
                    let wide: Vec<f64> = line.iter().map(|&x| x.into()).collect();
                    check_split(&line, &wide, e, residues);
                    check_split(&line, &wide, e - 5, residues);
                }
            }
        }
    }

    #[test]
    fn residues_at_the_ends_of_their_range() {
        // Integers beside the middle between two multiples of each modulus, as large as may be.
        for (residues, bits) in [(9, 35.2f64), (13, 50.8), (16, 52.9)] {
            let limit = bits.exp2() as i64;
            let mut line = Vec::new();
            let mut draw = Draw(3);
            for &p in &MODULI[..residues] {
                let p = i64::from(p);
                for _ in 0..400 {
                    let multiple = (draw.bits() as i64 % limit) / p * p;
                    let half = p / 2;
                    line.extend(
                        [-half - 1, -half, 1 - half, half - 1, half, half + 1]
                            .map(|x| multiple + x),
                    );
                }
            }
            let line: Vec<f64> = line.iter().map(|&x| x as f64).collect();
            check_split(&line, &line, 0, residues);
            // With zeros behind, up to the greatest pieces.
            let up = if residues == 16 { 9 } else { 0 };
            check_split(&line, &line, up, residues);
        }
    }

    #[test]
    fn pieces_leave_reductions_exact() {
        for residues in FEWEST..=MOST {
            // |y| for the pieces of `split_any`, the last of which has what the others leave.
            let pieces = match residues {
                ..=9 => 2,
                10..=13 => 3,
                _ => 4,
            };
            let mut bound = 1 << (CUTS[0] - 1);
            for s in 1..pieces - 1 {
                bound += 127 << (CUTS[s] - CUTS[s - 1] - 1);
            }
            bound += 127 * ((radius(residues) >> CUTS[pieces - 2]) + 1);
            assert!(bound < 1 << 23, "{residues} moduli: {bound}");
        }
        for modulus in &REDUCTIONS {
            let product = f64::from(modulus.inverse) * f64::from(modulus.p);
            assert!((product - 1.0).abs() <= 2f64.powi(-24));
            assert!(modulus.powers.iter().all(|power| power.abs() <= 127.0));
        }
    }

    #[test]
    fn every_instruction_set_gives_the_same_bits() {
        let mut draw = Draw(8);
        for residues in [6, 9, 10, 13, 16] {
            let line: Vec<f64> = (0..333).map(|_| draw.unit()).collect();
            let single: Vec<f32> = line.iter().map(|&x| x as f32).collect();
            for scale in [1.0, 2f64.powi(-1000)] {
                let line: Vec<f64> = line.iter().map(|x| x * scale).collect();
                let single: Vec<f32> = single.iter().map(|x| x * scale.max(1e-35) as f32).collect();
                let (e, f) = (own(&line, residues), own(&single, residues));
                let (mut plain, mut plain_single) =
                    (vec![1; residues * 352], vec![1; residues * 352]);
                split_any(&line, e, residues, 352, &mut plain);
                split_any(&single, f, residues, 352, &mut plain_single);
                Width::each(|| {
                    assert_eq!(own(&line, residues), e);
                    assert_eq!(own(&single, residues), f);
                    let mut wide = vec![2; residues * 352];
                    split(&line, e, residues, 352, &mut wide);
                    assert_eq!(wide, plain);
                    split(&single, f, residues, 352, &mut wide);
                    assert_eq!(wide, plain_single);
                });
            }
        }
    }
}
