//! Residues modulo N pairwise coprime numbers, the products put together by the Chinese
//! remainder theorem (Ozaki, Uchino, Imamura, arXiv:2504.08009).
//!
//! A line is scaled by one power of two and rounded to integers X = rne(x · 2^e), and each X is
//! split into its residues modulo the first N of [`MODULI`], centred so that they fit int8. One
//! int8 product per modulus gives the inner products modulo each of them, and with that modulo
//! their product P. The exponents are chosen so that no inner product leaves (-P/2, P/2), hence
//! [`join()`] knows it exactly and rounds once. Everything before is exact integer arithmetic, so
//! the bits of the result depend on neither order nor tiling nor device.
//!
//! The integers are kept as floating-point numbers, for which every CPU has wide vectors with a
//! fused multiply-add; where they are not rounded on purpose the text says why they are exact.

mod complex;
mod join;
mod split;

pub use complex::{join_pairs, split_pairs};
pub use join::{in_range, join};
pub use split::{exponent, split};

use super::{Group, Numbers, Scheme};
use join::radius;

/// The moduli, of which a scheme takes the first ones.
pub const MODULI: [u16; 16] =
    [256, 255, 253, 251, 247, 241, 239, 233, 229, 227, 223, 217, 211, 199, 197, 193];

/// Fewest moduli of a scheme.
pub const FEWEST: usize = 6;

/// Most moduli of a scheme: with one more, scaled elements would not fit an i64.
pub const MOST: usize = MODULI.len();

/// Greatest inner dimension: the sum of squares in [`exponent`] surely fits a u64.
pub const MAX_K: usize = u32::MAX as usize >> 1;

/// The product of the first `residues` moduli.
const fn product(residues: usize) -> u128 {
    let mut product = 1;
    let mut i = 0;
    while i < residues {
        product *= MODULI[i] as u128;
        i += 1;
    }
    product
}

/// 6 moduli: 23.4 bits of a line's 2-norm.
pub static II_6: Scheme = Scheme {
    name: "II-6",
    numbers: Numbers::Residues(6),
    groups: &groups::<6>(),
    certificate: false,
    precision: 24,
};

/// 7 moduli: 27.4 bits.
pub static II_7: Scheme = Scheme {
    name: "II-7",
    numbers: Numbers::Residues(7),
    groups: &groups::<7>(),
    certificate: false,
    precision: 24,
};

/// 8 moduli: 31.3 bits.
pub static II_8: Scheme = Scheme {
    name: "II-8",
    numbers: Numbers::Residues(8),
    groups: &groups::<8>(),
    certificate: false,
    precision: 24,
};

/// 9 moduli: 35.2 bits.
pub static II_9: Scheme = Scheme {
    name: "II-9",
    numbers: Numbers::Residues(9),
    groups: &groups::<9>(),
    certificate: false,
    precision: 24,
};

/// 10 moduli: 39.1 bits.
pub static II_10: Scheme = Scheme {
    name: "II-10",
    numbers: Numbers::Residues(10),
    groups: &groups::<10>(),
    certificate: false,
    precision: 53,
};

/// 11 moduli: 43.0 bits.
pub static II_11: Scheme = Scheme {
    name: "II-11",
    numbers: Numbers::Residues(11),
    groups: &groups::<11>(),
    certificate: false,
    precision: 53,
};

/// 12 moduli: 46.9 bits.
pub static II_12: Scheme = Scheme {
    name: "II-12",
    numbers: Numbers::Residues(12),
    groups: &groups::<12>(),
    certificate: false,
    precision: 53,
};

/// 13 moduli: 50.8 bits.
pub static II_13: Scheme = Scheme {
    name: "II-13",
    numbers: Numbers::Residues(13),
    groups: &groups::<13>(),
    certificate: false,
    precision: 53,
};

/// 14 moduli: 54.6 bits.
pub static II_14: Scheme = Scheme {
    name: "II-14",
    numbers: Numbers::Residues(14),
    groups: &groups::<14>(),
    certificate: false,
    precision: 53,
};

/// 15 moduli: 58.4 bits.
pub static II_15: Scheme = Scheme {
    name: "II-15",
    numbers: Numbers::Residues(15),
    groups: &groups::<15>(),
    certificate: false,
    precision: 53,
};

/// 16 moduli: 62.2 bits.
pub static II_16: Scheme = Scheme {
    name: "II-16",
    numbers: Numbers::Residues(16),
    groups: &groups::<16>(),
    certificate: false,
    precision: 53,
};

/// [`II_16`] with a certificate.
pub static II_16_C: Scheme =
    Scheme { name: "II-16+c", groups: &groups::<17>(), certificate: true, ..II_16 };

/// 12 moduli for complex products.
pub static II_12_3M: Scheme = Scheme {
    name: "II-12-3m",
    numbers: Numbers::Pairs(12),
    groups: &groups::<36>(),
    certificate: false,
    precision: 53,
};

/// 15 moduli for complex products.
pub static II_15_3M: Scheme = Scheme {
    name: "II-15-3m",
    numbers: Numbers::Pairs(15),
    groups: &groups::<45>(),
    certificate: false,
    precision: 53,
};

/// 16 moduli for complex products.
pub static II_16_3M: Scheme = Scheme {
    name: "II-16-3m",
    numbers: Numbers::Pairs(16),
    groups: &groups::<48>(),
    certificate: false,
    precision: 53,
};

/// All of those by three products per modulus.
pub static SCHEMES_3M: [&Scheme; 3] = [&II_12_3M, &II_15_3M, &II_16_3M];

/// All of the others without a certificate.
pub static SCHEMES: [&Scheme; 11] =
    [&II_6, &II_7, &II_8, &II_9, &II_10, &II_11, &II_12, &II_13, &II_14, &II_15, &II_16];

/// Every plane with its like, that of a certificate included.
const fn groups<const N: usize>() -> [Group; N] {
    let mut groups = [Group { weight: 0, first: 0, count: 1 }; N];
    let mut g = 0;
    while g < N {
        groups[g].first = g + 1;
        groups[g].weight = 2 * (g + 1);
        g += 1;
    }
    groups
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::npu::scheme::{LineScan, Real};

    /// Pseudo-random numbers, the same in every run.
    pub struct Draw(pub u64);

    impl Draw {
        pub fn bits(&mut self) -> u64 {
            self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(99);
            self.0 ^ self.0 >> 29
        }

        /// From -1 to 1.
        pub fn unit(&mut self) -> f64 {
            (self.bits() as i64) as f64 * 2f64.powi(-63)
        }
    }

    /// x · 2^exponent, rounded to the nearest integer below 2^63: in two steps, of which the
    /// first is exact.
    pub fn whole(x: f64, exponent: i32) -> i64 {
        let half = exponent / 2;
        let scaled = x * 2f64.powi(half) * 2f64.powi(exponent - half);
        assert!(scaled.abs() < 2f64.powi(63));
        scaled.round_ties_even() as i64
    }

    /// The exponent of a line.
    pub fn own<R: Real>(line: &[R], residues: usize) -> i32 {
        exponent(line, LineScan::of(line).max_abs, residues)
    }

    #[test]
    fn schemes_are_what_their_names_say() {
        for (i, scheme) in SCHEMES.into_iter().enumerate() {
            let residues = FEWEST + i;
            assert_eq!(scheme.name, format!("II-{residues}"));
            assert_eq!((scheme.planes(), scheme.products()), (residues, residues));
            assert_eq!(scheme.dropped().count(), 0);
            let products = scheme.groups.iter().flat_map(Group::products);
            assert!(products.eq((1..=residues).map(|p| (p, p))));
        }
        assert_eq!(SCHEMES.len(), MOST + 1 - FEWEST);
        for scheme in SCHEMES_3M {
            let Numbers::Pairs(residues) = scheme.numbers else { panic!("{}", scheme.name) };
            assert_eq!(scheme.name, format!("II-{residues}-3m"));
            assert_eq!((scheme.planes(), scheme.products()), (3 * residues, 3 * residues));
            assert_eq!(scheme.dropped().count(), 0);
        }
    }

    #[test]
    fn products_are_exact_up_to_the_last_rounding() {
        let mut draw = Draw(11);
        for residues in [6, 8, 9, 10, 11, 12, 13, 15, 16] {
            for k in [1, 3, 64, 200] {
                let mut line = || (0..k).map(|_| draw.unit() * draw.unit()).collect::<Vec<f64>>();
                let (a, b) = (line(), line());
                let (e, f) = (own(&a, residues), own(&b, residues));
                let planes = |line: &[f64], e: i32| {
                    let mut planes = vec![0; residues * k];
                    split(line, e, residues, k, &mut planes);
                    planes
                };
                let (rows, cols) = (planes(&a, e), planes(&b, f));
                let sums: Vec<i64> = rows
                    .chunks(k)
                    .zip(cols.chunks(k))
                    .map(|(x, y)| x.iter().zip(y).map(|(&x, &y)| i64::from(x) * i64::from(y)).sum())
                    .collect();
                let mut out = [0.0];
                join(residues, &sums, e, &[f], &mut out);
                let exact: i128 = a
                    .iter()
                    .zip(&b)
                    .map(|(&x, &y)| i128::from(whole(x, e)) * i128::from(whole(y, f)))
                    .sum();
                assert_eq!(out[0], exact as f64 * 2f64.powi(-e - f));
            }
        }
    }
}
