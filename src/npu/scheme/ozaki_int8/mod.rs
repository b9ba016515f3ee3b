//! Slices of balanced radix-256 digits, products of equal weight summed in the device.
//!
//! A line is scaled by one power of two and rounded to integers X = rne(x · 2^e) of s digits,
//! X = Σ_p d_p · 256^(s-p) with d_p in [-128, 127]. Then x_i · y_j · 2^(e_i + f_j) is the sum of
//! d_p · d_q · 256^(2s-p-q), of which a scheme keeps the heavy terms. Everything up to
//! [`join`]'s single rounding is exact integer arithmetic, so the bits of the result depend on
//! neither order nor tiling nor device.
//!
//! `bits` are those that a line's greatest element keeps; `σ` is the guard's, who derives it
//! ([`crate::npu::guard`]); `k` is the power of two that [`max_k`] reaches. With a certificate, `+c`,
//! a scheme has one product more and is otherwise the same.
//!
//! | scheme | for | bits | drops | σ | k |
//! |---|---|---|---|---|---|
//! | `I-2s3p` | f32, no bound proven | 15 | (2, 2) | -8 | 2^40 |
//! | `I-3s6p` | f32 | 23 | p + q > 4 | 8 | 2^32 |
//! | `I-3s8p` | f32 | 23 | (3, 3) | 8 | 2^24 |
//! | `I-4s10p` | f32 | 31 | p + q > 5 | 24 | 2^24 |
//! | `I-5s15p` | f64, no bound proven | 39 | p + q > 6 | 11 | 2^23 |
//! | `I-7s28p` | f64 | 55 | p + q > 8 | 43 | 2^22 |
//! | `I-8s36p` | f64 | 63 | p + q > 9 | 59 | 2^22 |

mod join;
mod split;

pub use join::{in_range, join, max_k};
pub use split::{exponent, split};

use super::{Group, Numbers, Scheme};

/// 2 slices, 3 products, about 2^-14 of the lines' norms: less than single precision asks for.
pub static I_2S3P: Scheme = Scheme {
    name: "I-2s3p",
    numbers: Numbers::Digits(2),
    groups: &triangle::<2>(),
    certificate: false,
    precision: 24,
};

/// 3 slices, 6 products: single precision, the worst entries up to three times those of a native
/// sgemm.
pub static I_3S6P: Scheme = Scheme {
    name: "I-3s6p",
    numbers: Numbers::Digits(3),
    groups: &triangle::<3>(),
    certificate: false,
    precision: 24,
};

/// 3 slices, 8 products: all but (3, 3). As accurate as a native sgemm on ordinary data.
pub static I_3S8P: Scheme = Scheme {
    name: "I-3s8p",
    numbers: Numbers::Digits(3),
    groups: &[
        Group { weight: 2, first: 1, count: 1 },
        Group { weight: 3, first: 1, count: 2 },
        Group { weight: 4, first: 1, count: 3 },
        Group { weight: 5, first: 2, count: 2 },
    ],
    certificate: false,
    precision: 24,
};

/// 4 slices, 10 products: better than a native sgemm.
pub static I_4S10P: Scheme = Scheme {
    name: "I-4s10p",
    numbers: Numbers::Digits(4),
    groups: &triangle::<4>(),
    certificate: false,
    precision: 24,
};

/// 5 slices, 15 products, about 2^-38 of the lines' norms: less than double precision asks for.
pub static I_5S15P: Scheme = Scheme {
    name: "I-5s15p",
    numbers: Numbers::Digits(5),
    groups: &triangle::<5>(),
    certificate: false,
    precision: 53,
};

/// 7 slices, 28 products: as accurate as a native dgemm on ordinary data.
pub static I_7S28P: Scheme = Scheme {
    name: "I-7s28p",
    numbers: Numbers::Digits(7),
    groups: &triangle::<7>(),
    certificate: false,
    precision: 53,
};

/// 8 slices, 36 products: better than a native dgemm.
pub static I_8S36P: Scheme = Scheme {
    name: "I-8s36p",
    numbers: Numbers::Digits(8),
    groups: &triangle::<8>(),
    certificate: false,
    precision: 53,
};

/// [`I_3S6P`] with a certificate.
pub static I_3S6P_C: Scheme =
    Scheme { name: "I-3s6p+c", groups: &certified::<3, 4>(), certificate: true, ..I_3S6P };

/// [`I_4S10P`] with a certificate.
pub static I_4S10P_C: Scheme =
    Scheme { name: "I-4s10p+c", groups: &certified::<4, 5>(), certificate: true, ..I_4S10P };

/// [`I_8S36P`] with a certificate.
pub static I_8S36P_C: Scheme =
    Scheme { name: "I-8s36p+c", groups: &certified::<8, 9>(), certificate: true, ..I_8S36P };

/// All of them without a certificate.
pub static SCHEMES: [&Scheme; 7] =
    [&I_2S3P, &I_3S6P, &I_3S8P, &I_4S10P, &I_5S15P, &I_7S28P, &I_8S36P];

/// The products with p + q ≤ S + 1, and that of the certificates, whose plane is the N-th.
const fn certified<const S: usize, const N: usize>() -> [Group; N] {
    assert!(N == S + 1);
    let mut groups = [Group { weight: 2 * N, first: N, count: 1 }; N];
    let values = triangle::<S>();
    let mut g = 0;
    while g < S {
        groups[g] = values[g];
        g += 1;
    }
    groups
}

/// The products with p + q ≤ S + 1.
const fn triangle<const S: usize>() -> [Group; S] {
    let mut groups = [Group { weight: 0, first: 1, count: 0 }; S];
    let mut g = 0;
    while g < S {
        groups[g].weight = g + 2;
        groups[g].count = g + 1;
        g += 1;
    }
    groups
}
