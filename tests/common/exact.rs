//! Sums of products of doubles without any rounding.

/// Bits before and behind the binary point, rounded up: products reach from 2^-2148 to 2^2048,
/// and there is room for sums and for factors of 2^53.
const BEHIND: i32 = 2240;
const LIMBS: usize = 160;

/// A number as limbs of 32 bits with room for carries, of weights 2^(32 i - BEHIND).
#[derive(Debug, Clone)]
pub struct Sum {
    limbs: Vec<i64>,
}

/// A finite number as integer and power of two.
fn decode(x: f64) -> (i64, i32) {
    let (field, fraction) = ((x.to_bits() >> 52 & 0x7FF) as i32, x.to_bits() & ((1 << 52) - 1));
    assert!(field < 2047, "{x} is not finite");
    let magnitude = fraction as i64 + if field == 0 { 0 } else { 1 << 52 };
    (if x.is_sign_negative() { -magnitude } else { magnitude }, field.max(1) - 1075)
}

impl Sum {
    pub fn zero() -> Sum {
        Sum { limbs: vec![0; LIMBS] }
    }

    /// Adds a · b · 2^up.
    pub fn add(&mut self, a: f64, b: f64, up: i32) {
        let ((a, a_power), (b, b_power)) = (decode(a), decode(b));
        let product = i128::from(a) * i128::from(b);
        let place = (a_power + b_power + up + BEHIND) as usize;
        let sign = product.signum() as i64;
        for part in 0..4 {
            let bits = (product.unsigned_abs() >> (32 * part) & 0xFFFF_FFFF) << (place % 32);
            self.limbs[place / 32 + part] += sign * (bits & 0xFFFF_FFFF) as i64;
            self.limbs[place / 32 + part + 1] += sign * (bits >> 32) as i64;
        }
    }

    /// Adds `factor` times another sum, for a factor below 2^20.
    pub fn add_times(&mut self, factor: i64, other: &Sum) {
        for (limb, &other) in self.limbs.iter_mut().zip(&other.carried()) {
            *limb += factor * other;
        }
    }

    /// Whether it is less than zero.
    pub fn is_negative(&self) -> bool {
        self.carried()[LIMBS - 1] < 0
    }

    /// All limbs but the last within 32 bits.
    fn carried(&self) -> Vec<i64> {
        let mut limbs = self.limbs.clone();
        for i in 1..LIMBS {
            limbs[i] += limbs[i - 1] >> 32;
            limbs[i - 1] &= 0xFFFF_FFFF;
        }
        limbs
    }
}

/// Whether `value` is as near to the product of two lines as a conventional double-precision
/// product must be: (k_eff + 2) · 2^-53 · Σ |a||b|, and half the smallest number.
pub fn is_within_bound(value: f64, row: &[f64], col: &[f64]) -> bool {
    let nonzeros = |line: &[f64]| line.iter().filter(|x| **x != 0.0).count() as i64;
    let terms = nonzeros(row).min(nonzeros(col)) + 2;
    let (mut error, mut magnitude, mut bound) = (Sum::zero(), Sum::zero(), Sum::zero());
    for (&a, &b) in row.iter().zip(col) {
        error.add(a, b, 53);
        magnitude.add(a.abs(), b.abs(), 0);
    }
    error.add(-value, 1.0, 53);
    bound.add_times(terms, &magnitude);
    bound.add(f64::from_bits(1), 1.0, 52);
    let (mut above, mut below) = (bound.clone(), bound);
    above.add_times(1, &error);
    below.add_times(-1, &error);
    !above.is_negative() && !below.is_negative()
}
