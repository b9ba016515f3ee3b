//! Sums of products without any rounding: one long fixed-point number.

/// The exponent of the lowest bit: below the least product of three doubles, 2^-3222.
const LOWEST: i32 = -3232;

/// Limbs of 32 bits, up to 2^3328 or so: above the greatest product of three doubles, 2^3072.
const LIMBS: usize = 205;

/// Products between two carries, so that no limb leaves its 64 bits.
const UNCARRIED: u32 = 1 << 28;

/// An exact sum of products of doubles.
#[derive(Debug, Clone)]
pub struct Sum {
    /// Limb i counts 2^(LOWEST + 32 i). Any sign, below 2^62; after a carry all but the last are
    /// in [0, 2^32).
    limbs: Box<[i64; LIMBS]>,
    uncarried: u32,
}

/// x = mantissa · 2^exponent, for finite x.
pub fn decode(x: f64) -> (i64, i32) {
    let bits = x.to_bits();
    let (field, fraction) = ((bits >> 52) as i32 & 0x7FF, (bits & ((1 << 52) - 1)) as i64);
    assert!(field < 0x7FF, "{x} is not finite");
    let magnitude = if field == 0 { fraction } else { fraction | 1 << 52 };
    (if x.is_sign_negative() { -magnitude } else { magnitude }, field.max(1) - 1075)
}

impl Sum {
    pub fn new() -> Sum {
        Sum { limbs: Box::new([0; LIMBS]), uncarried: 0 }
    }

    /// Adds a · b.
    pub fn add_product(&mut self, a: f64, b: f64) {
        let ((a, e), (b, f)) = (decode(a), decode(b));
        let place = (e + f - LOWEST) as usize;
        let (limb, shift) = (place / 32, place % 32);
        // At most 106 bits, in two halves that have room for the shift.
        let product = i128::from(a) * i128::from(b);
        let (sign, magnitude) = (if product < 0 { -1 } else { 1 }, product.unsigned_abs());
        for (half, limb) in [(magnitude as u64, limb), ((magnitude >> 64) as u64, limb + 2)] {
            let shifted = u128::from(half) << shift;
            for i in 0..3 {
                self.limbs[limb + i] += sign * i64::from((shifted >> (32 * i)) as u32);
            }
        }
        self.uncarried += 1;
        if self.uncarried == UNCARRIED {
            self.carry();
        }
    }

    /// Adds x · `other`.
    pub fn add_times(&mut self, x: f64, other: &Sum) {
        if x == 0.0 {
            return;
        }
        let (magnitude, negative) = other.magnitude();
        let (x, e) = decode(x);
        let (up, shift) = (e.div_euclid(32), e.rem_euclid(32));
        let (factor, sign) =
            (i128::from(x.abs()) << shift, if negative == (x < 0) { 1 } else { -1 });
        self.carry();
        let mut carry = 0i128;
        // Three limbs more for what the factor pushes up.
        for i in 0..LIMBS + 3 {
            carry += i128::from(*magnitude.get(i).unwrap_or(&0)) * factor;
            let part = i64::from(carry as u32);
            carry >>= 32;
            if part != 0 {
                self.limbs[(i as i32 + up) as usize] += sign * part;
            }
        }
        self.carry();
    }

    /// Whether it is less than zero.
    pub fn is_negative(&self) -> bool {
        self.magnitude().1
    }

    /// The limbs of the absolute value, each in [0, 2^32), and whether the sum is negative.
    fn magnitude(&self) -> (Box<[i64; LIMBS]>, bool) {
        let mut sum = self.clone();
        sum.carry();
        let negative = sum.limbs[LIMBS - 1] < 0;
        if negative {
            sum.limbs.iter_mut().for_each(|limb| *limb = -*limb);
            sum.carry();
        }
        (sum.limbs, negative)
    }

    fn carry(&mut self) {
        let mut carry = 0;
        for (i, limb) in self.limbs.iter_mut().enumerate() {
            let value = *limb + carry;
            let keep = if i + 1 == LIMBS { value } else { value & 0xFFFF_FFFF };
            (*limb, carry) = (keep, (value - keep) >> 32);
        }
        self.uncarried = 0;
    }

    /// The value, rounded a few times: relative error below 2^-50.
    pub fn value(&self) -> f64 {
        let (limbs, negative) = self.magnitude();
        let Some(top) = limbs.iter().rposition(|&limb| limb != 0) else { return 0.0 };
        let first = top.saturating_sub(3);
        let digits = limbs[first..=top].iter().rev();
        let leading = digits.fold(0.0, |value, &limb| value * 4_294_967_296.0 + limb as f64);
        let value = ldexp(leading, LOWEST + 32 * first as i32);
        if negative { -value } else { value }
    }
}

/// Whether `value` is as near to the product of two lines as a conventional double-precision
/// product must be: (k_eff + 2) · 2^-53 · Σ |a||b|, and half the smallest number.
pub fn is_within_bound(value: f64, row: &[f64], col: &[f64]) -> bool {
    let nonzeros = |line: &[f64]| line.iter().filter(|x| **x != 0.0).count();
    let terms = nonzeros(row).min(nonzeros(col)) + 2;
    let (mut error, mut magnitude) = (Sum::new(), Sum::new());
    for (&a, &b) in row.iter().zip(col) {
        error.add_product(a, b);
        magnitude.add_product(a.abs(), b.abs());
    }
    error.add_product(-value, 1.0);
    let mut bound = Sum::new();
    bound.add_times(terms as f64, &magnitude);
    bound.add_product(f64::from_bits(1), 2f64.powi(52));
    let unit = 2f64.powi(53);
    [unit, -unit].into_iter().all(|unit| {
        let mut room = bound.clone();
        room.add_times(unit, &error);
        !room.is_negative()
    })
}

/// x · 2^e, exact but for overflow and for results that are subnormal, which round once.
pub fn ldexp(x: f64, e: i32) -> f64 {
    let (mantissa, own) = decode(x);
    let bits = 64 - mantissa.unsigned_abs().leading_zeros() as i32;
    // The exponent of the leading bit decides: far out there is nothing to be exact about.
    match bits + own + e {
        _ if x == 0.0 => x,
        top if top > 1025 => x * f64::INFINITY,
        top if top < -1080 => x * 0.0,
        _ if own + e < -1000 => mantissa as f64 * 2f64.powi(own + e + 200) * 2f64.powi(-200),
        _ => mantissa as f64 * 2f64.powi((own + e) / 2) * 2f64.powi(own + e - (own + e) / 2),
    }
}

#[test]
fn sums_are_exact() {
    let mut sum = Sum::new();
    for (a, b) in [(1e300, 1e300), (1.0, 2f64.powi(-1000)), (3.0, 7.0), (-1e300, 1e300)] {
        sum.add_product(a, b);
    }
    assert_eq!(sum.value(), 21.0);
    sum.add_product(-3.0, 7.0);
    assert_eq!(sum.value(), 2f64.powi(-1000));
    sum.add_product(-1.0, 2f64.powi(-1000));
    assert_eq!(sum.value(), 0.0);

    let tiny = f64::from_bits(1);
    sum.add_product(tiny, -tiny);
    let mut other = Sum::new();
    other.add_times(-2f64.powi(1000), &sum);
    assert_eq!(other.value(), 0.0, "2^-1148");
    sum = Sum::new();
    sum.add_times(2f64.powi(1000), &other);
    assert_eq!(sum.value(), 2f64.powi(-148));
}

#[test]
fn sums_agree_with_integers() {
    let mut rng = super::data::Rng::new(5);
    for _ in 0..2000 {
        let mut draw = || rng.bits() as i64 >> (10 + rng.below(50));
        let (mut sum, mut total) = (Sum::new(), Sum::new());
        let (mut exact, mut factors) = (0i128, [0i64; 2]);
        for _ in 0..10 {
            let (a, b) = (draw(), draw());
            // 53 bits and fewer.
            let (a, b) = (a >> 1, b >> 1);
            sum.add_product(a as f64, b as f64);
            exact += i128::from(a) * i128::from(b);
            factors = [a % 1000, b % 1000];
        }
        assert!((sum.value() - exact as f64).abs() <= 1e-15 * (exact as f64).abs());
        total.add_times(factors[0] as f64, &sum);
        total.add_times(factors[1] as f64 * 0.125, &sum);
        let factor = i128::from(8 * factors[0] + factors[1]);
        assert!(
            (total.value() * 8.0 / (exact as f64 * factor as f64) - 1.0).abs() < 1e-14
                || factor * exact == 0
        );
        total.add_times(-(factor as f64) * 0.125, &sum);
        assert_eq!(total.value(), 0.0);
    }
}

#[test]
fn scaling_rounds_once() {
    assert_eq!(ldexp(3.0, -1074), f64::from_bits(3));
    assert_eq!(ldexp(3.0, -1075), f64::from_bits(2), "a tie, to even");
    assert_eq!(ldexp(f64::from_bits(1), 1074), 1.0);
    assert_eq!(ldexp(-1.5, 1024), f64::NEG_INFINITY);
    assert_eq!(ldexp(1.0, -1080).to_bits(), 0);
    assert_eq!(ldexp(0.0, 40).to_bits(), 0);
    assert_eq!(ldexp(1.0 - f64::EPSILON / 2.0, 1024), f64::MAX);
}
