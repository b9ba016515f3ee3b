//! The schemes of double precision and their guard: slices against a slow oracle bit for bit, all
//! of them against exact products.

mod common;

use common::data::{Operands, Rng};
use common::emulation::Emulation;
use common::exact::is_within_bound;
#[cfg(target_arch = "x86_64")]
use common::flushing::with_flushing;
use npublas::npu::guard::{Verdict, judge};
use npublas::npu::scheme::Scheme;
use npublas::npu::scheme::crt_int8::{II_12, II_15, II_16, II_16_C};
use npublas::npu::scheme::ozaki_int8::{I_5S15P, I_7S28P, I_8S36P, I_8S36P_C};

const SLICES: [&Scheme; 3] = [&I_5S15P, &I_7S28P, &I_8S36P];

const SCHEMES: [&Scheme; 6] = [&I_5S15P, &I_7S28P, &I_8S36P, &II_12, &II_15, &II_16];

/// Those that prove the bound.
const PROVING: [&Scheme; 4] = [&I_7S28P, &I_8S36P, &II_15, &II_16];

const FAMILIES: [&str; 14] = [
    "unif",
    "normal",
    "phi1",
    "phi2",
    "phi4",
    "half",
    "graded",
    "spike",
    "relu",
    "ints",
    "sparse",
    "subnormals",
    "extremes",
    "bits",
];

/// Operands of a family; see those of single precision, which these repeat with the exponents
/// of doubles.
fn operands(family: &str, m: usize, n: usize, k: usize, seed: u64) -> Operands<f64> {
    let mut rng = Rng::new(seed);
    let mut draw = |line: usize, lines: usize, l: usize, b: bool| -> f64 {
        let up = if b { -1 } else { 1 };
        match family {
            "unif" => rng.uniform() - 0.5,
            "normal" => rng.normal(),
            "half" => 1.0 + 2f64.powi(-52),
            "ints" => rng.below(199) as f64 - 99.0,
            "relu" => rng.normal().max(if b { -9.0 } else { 0.0 }),
            "sparse" => {
                if rng.below(5) > 0 {
                    0.0
                } else {
                    rng.normal()
                }
            }
            "graded" => {
                let grade = 60 - (120 * ((l + line) % k) / k) as i32;
                (1.0 + rng.uniform()) * 2f64.powi(up * grade)
            }
            "spike" if l == (line + if b { k / 2 } else { 0 }) % k => rng.normal() * 2f64.powi(40),
            "spike" => rng.normal(),
            "subnormals" => match rng.below(3) {
                0 => f64::from_bits(rng.bits() & 0x800F_FFFF_FFFF_FFFF),
                _ => rng.normal() * 2f64.powi(if b { 0 } else { -1020 }),
            },
            "extremes" => rng.normal() * 2f64.powi(up * (900 - (1800 * line / lines) as i32)),
            "bits" => Some(f64::from_bits(rng.bits())).filter(|x| x.is_finite()).unwrap_or(1.0),
            _ => {
                let phi: f64 = family.strip_prefix("phi").and_then(|phi| phi.parse().ok()).unwrap();
                (rng.uniform() - 0.5) * (phi * rng.normal()).exp()
            }
        }
    };
    let a = (0..m * k).map(|place| draw(place / k, m, place % k, false)).collect();
    let b = (0..k * n).map(|place| draw(place % n, n, place / n, true)).collect();
    Operands::new(m, n, k, a, b)
}

/// The scheme once more, by definition: which products, and nothing of the library's.
mod oracle {
    use super::Operands;

    /// x · 2^e to the nearest integer, ties to even, by long division.
    fn quantise(x: f64, e: i32) -> i128 {
        let (field, fraction) = ((x.to_bits() >> 52 & 0x7FF) as i32, x.to_bits() << 12 >> 12);
        let mantissa = i128::from(fraction) + if field == 0 { 0 } else { 1 << 52 };
        let up = field.max(1) - 1075 + e;
        let magnitude = if up >= 0 {
            mantissa
                .checked_mul(2i128.checked_pow(up as u32).unwrap_or(1 << 126))
                .unwrap_or(i128::MAX)
        } else if up < -60 {
            0
        } else {
            let unit = 2i128.pow(-up as u32);
            let (whole, twice) = (mantissa / unit, 2 * (mantissa % unit));
            whole + i128::from(twice > unit || twice == unit && whole % 2 == 1)
        };
        if x.is_sign_negative() { -magnitude } else { magnitude }
    }

    fn split(line: &[f64], slices: u32) -> (i32, Vec<Vec<i64>>) {
        let max = line.iter().fold(0f64, |max, x| max.max(x.abs()));
        let limit: i128 = (0..slices).map(|p| 127 * 256i128.pow(p)).sum();
        // One rule for every number of slices: see whether eight would hold it.
        let spare = 8 * (8 - slices as i32);
        let limit_of_eight: i128 = (0..8).map(|p| 127 * 256i128.pow(p)).sum();
        let e = match max {
            0.0 => 0,
            _ => (-1100..1300).rev().find(|&e| quantise(max, e + spare) <= limit_of_eight).unwrap(),
        };
        let digits = |x: &f64| {
            let mut rest = quantise(*x, e);
            assert!(rest.abs() <= limit);
            let mut digits = Vec::new();
            for _ in 0..slices {
                let low = rest.rem_euclid(256);
                let digit = if low < 128 { low } else { low - 256 };
                digits.push(digit as i64);
                rest = (rest - digit) / 256;
            }
            digits.reverse();
            digits
        };
        (e, line.iter().map(digits).collect())
    }

    /// A·B with p + q ≤ s + 1, as (integer, power of two).
    pub fn product(slices: u32, it: &Operands<f64>) -> Vec<(f64, i32)> {
        let rows: Vec<_> = (0..it.m).map(|i| split(it.row(i), slices)).collect();
        let cols: Vec<_> = (0..it.n).map(|j| split(&it.col(j), slices)).collect();
        let s = slices as usize;
        let mut values = Vec::new();
        for (e, row) in &rows {
            for (f, col) in &cols {
                let mut total = 0i128;
                for (x, y) in row.iter().zip(col) {
                    for p in 0..s {
                        for q in 0..s - p {
                            total += i128::from(x[p] * y[q]) * 256i128.pow((s - 1 - p - q) as u32);
                        }
                    }
                }
                values.push((total as f64, 8 * (s as i32 - 1) - e - f));
            }
        }
        values
    }
}

#[test]
fn every_bit_is_the_oracles() {
    let shapes = [(1, 1, 1), (3, 2, 2), (2, 3, 17), (5, 4, 64), (4, 3, 255), (3, 3, 300)];
    let mut in_range = 0;
    for family in FAMILIES {
        for (m, n, k) in shapes {
            let it = operands(family, m, n, k, k as u64);
            let c = operands("normal", m, n, 1, 5).a.repeat(n);
            for scheme in SLICES {
                let emulation = Emulation::new(scheme, &it);
                if !emulation.in_range() {
                    continue;
                }
                in_range += 1;
                let values: Vec<f64> = oracle::product(scheme.planes() as u32, &it)
                    .into_iter()
                    .map(|(t, up)| t * 2f64.powi(up / 2) * 2f64.powi(up - up / 2))
                    .collect();
                let what = format!("{family} {m}x{n}x{k} {}", scheme.name);
                assert!(values.iter().all(|v| *v == 0.0 || v.is_normal()), "{what}");
                assert_eq!(emulation.product(), values, "{what}");
                for (alpha, beta) in [(1.0, 0.0), (1.0, 1.0), (-0.7, 1.3), (0.0, 0.5)] {
                    let entry = |(&v, &old): (&f64, &f64)| match beta {
                        0.0 => alpha * v,
                        _ => f64::mul_add(alpha, v, beta * old),
                    };
                    let expected: Vec<f64> = values.iter().zip(&c).map(entry).collect();
                    assert_eq!(emulation.gemm(alpha, beta, &c), expected, "{what} {alpha} {beta}");
                }
            }
        }
    }
    assert!(in_range > 150, "only {in_range} products");
}

/// Checks the entries of which a product says that they are proven; returns how many.
fn check(scheme: &Scheme, it: &Operands<f64>, what: &str) -> usize {
    let emulation = Emulation::new(scheme, it);
    if !emulation.in_range() {
        return 0;
    }
    let (accepted, values) = (emulation.accepted(), emulation.product());
    let (certified, mut proven) = (emulation.certified(), 0);
    for i in 0..it.m {
        for j in 0..it.n {
            let certified = certified[i * it.n + j];
            assert!(certified || !accepted, "{what} {}: tier 1 knows more", scheme.name);
            if certified {
                let within = is_within_bound(values[i * it.n + j], it.row(i), &it.col(j));
                assert!(within, "{what} {}: entry ({i}, {j})", scheme.name);
                proven += 1;
            }
        }
    }
    proven
}

#[test]
fn what_is_accepted_meets_the_bound() {
    for scheme in PROVING.into_iter().chain([&I_8S36P_C, &II_16_C]) {
        let mut proven = 0;
        for family in FAMILIES {
            for k in [1, 2, 3, 17, 64, 255, 256, 700] {
                let it = operands(family, 8, 7, k, 100 + k as u64);
                proven += check(scheme, &it, &format!("{family} {k}"));
            }
        }
        assert!(proven > 2000, "{}: {proven} entries", scheme.name);
    }
}

#[test]
fn hard_lines_are_never_accepted_beyond_the_bound() {
    // Rounding errors of one sign, sizes just above the thresholds of the counts, digits of
    // -128, zeros, few elements that matter.
    let mut rng = Rng::new(2026);
    let unit = 2f64.powi(48);
    let mut line = |k: usize| -> Vec<f64> {
        let (style, zeros) = (rng.below(6), rng.below(3) * rng.below(60));
        let (peaks, scale) = (1 + rng.below(k), 2f64.powi(rng.below(400) as i32 - 200));
        let mut line: Vec<f64> = (0..k)
            .map(|l| {
                let step = [1.0, 2.0, 3.0, 6.0, 16.0, 45.0, 90.0][rng.below(7)];
                let low = rng.below(3) as f64 + [0.0, 0.4375, 0.5, 0.5625][rng.below(4)];
                scale
                    * match style {
                        _ if rng.below(100) < zeros => 0.0,
                        0 => step * unit + low,
                        1 => 32640.0 * 2f64.powi(32) + low,
                        2 => unit * (0.5 + step) + 0.4375,
                        3 => (2f64.powi(48) - 1.0) / 255.0 * 128.0 * rng.below(128) as f64,
                        4 => (unit + 0.4375) * if l < peaks { 64.0 } else { 1.0 },
                        _ => rng.normal() * 20.0 * unit,
                    }
            })
            .collect();
        if rng.below(4) > 0 {
            line[rng.below(k)] = 127.0 * unit * scale;
        }
        line
    };
    let mut proven = 0;
    for case in 0..1500 {
        let k = 1 + case * 7 % [3, 20, 120][case % 3];
        let (a, b) = (line(k), line(k));
        for scheme in PROVING {
            proven += check(scheme, &Operands::dot(a.clone(), b.clone()), &format!("case {case}"));
        }
    }
    assert!(proven > 500, "only {proven}");
}

#[test]
fn ordinary_data_pass_at_real_sizes() {
    let passes = |scheme: &Scheme, family: &str, size: usize| {
        Emulation::new(scheme, &operands(family, size, size, size, 77)).accepted()
    };
    for family in ["unif", "normal", "ints"] {
        assert!(PROVING.iter().all(|scheme| passes(scheme, family, 256)), "{family}");
    }
    assert!(passes(&I_8S36P, "relu", 256));
    for family in ["phi4", "spike", "graded"] {
        assert!(!PROVING.iter().any(|scheme| passes(scheme, family, 256)), "{family}");
    }
}

#[test]
fn elements_that_vanish_are_not_taken_for_exact() {
    // The small element times 2^e underflows, so that rounding it there would look exact.
    let cases = [(2f64.powi(600), 2f64.powi(-600)), (f64::MAX, f64::from_bits(1))];
    for (large, small) in cases {
        let it = Operands::dot(vec![large, small], vec![0.0, 1.0]);
        for scheme in SCHEMES {
            let emulation = Emulation::new(scheme, &it);
            assert_eq!(emulation.product(), [0.0]);
            assert!(!emulation.accepted() && emulation.certified() == [false]);
        }
    }
}

#[test]
fn the_leading_digit_overstates_and_is_not_trusted() {
    // Digits 1, -128, -128 …: less than half a unit of the first.
    let (k, low) = (500, 2f64.powi(48) - 128.0 * ((2f64.powi(48) - 1.0) / 255.0));
    let (mut a, mut b) = (vec![low; k], vec![low; k]);
    (a[0], b[0], a[1], b[1]) = (2f64.powi(54), 0.0, 0.0, 2f64.powi(54));
    let emulation = Emulation::new(&I_7S28P, &Operands::dot(a, b));
    assert_eq!(emulation.rows[0].plane(&I_7S28P, 1)[2], 1);
    assert_eq!(emulation.rows[0].plane(&I_7S28P, 7)[2], -128);
    assert_eq!(emulation.rows[0].leading[2], 0);
    assert!(!emulation.accepted() && emulation.certified() == [false]);
}

#[test]
fn integers_are_exact_and_accepted() {
    for top in [1, 99, 4097, 32_639, 8_388_607, 2_139_062_143u64] {
        let mut rng = Rng::new(top);
        let mut draw = |_| rng.below(2 * top as usize + 1) as f64 - top as f64;
        let (m, n, k) = (4, 5, 40);
        let (mut a, mut b): (Vec<f64>, Vec<f64>) =
            ((0..m * k).map(&mut draw).collect(), (0..k * n).map(&mut draw).collect());
        (a[0], b[0]) = (top as f64, -(top as f64));
        let it = Operands::new(m, n, k, a, b);
        for scheme in PROVING {
            let emulation = Emulation::new(scheme, &it);
            assert!(emulation.accepted(), "{top} {}", scheme.name);
            for (place, value) in emulation.product().into_iter().enumerate() {
                let (i, j) = (place / n, place % n);
                let terms = it.row(i).iter().zip(it.col(j));
                let exact: i128 = terms.map(|(&a, b)| a as i128 * b as i128).sum();
                assert_eq!(value, exact as f64, "{top} {}", scheme.name);
            }
        }
    }
}

#[test]
fn integers_that_lose_a_dropped_product_are_refused() {
    // Of 7 digits the last of one element and the third of another: (7, 3) is dropped.
    let it = Operands::dot(vec![2f64.powi(48) + 1.0, 3.0], vec![0.0, 2f64.powi(40) + 1.0]);
    let emulation = Emulation::new(&I_7S28P, &it);
    assert!(emulation.product()[0] != 3.0 * (2f64.powi(40) + 1.0) && !emulation.accepted());
}

#[test]
fn exponents_are_added_before_scaling() {
    for power in [500, 1000, 1023] {
        let it = Operands::dot(vec![2f64.powi(power)], vec![2f64.powi(-power)]);
        for scheme in SCHEMES {
            let emulation = Emulation::new(scheme, &it);
            assert!(emulation.in_range());
            assert_eq!(emulation.product(), [1.0]);
        }
    }
    for (a, b) in [(2f64.powi(-600), 2f64.powi(-500)), (2f64.powi(600), 2f64.powi(500))] {
        let it = Operands::dot(vec![a], vec![b]);
        assert!(SCHEMES.iter().all(|scheme| !Emulation::new(scheme, &it).in_range()));
    }
}

#[test]
fn the_blamed_lines_are_those_that_are_spoiled() {
    let mut it = operands("normal", 120, 110, 200, 4);
    it.a[77 * 200 + 3] *= 2f64.powi(50);
    it.b[8 * 110 + 9] *= 2f64.powi(50);
    for scheme in PROVING {
        let emulation = Emulation::new(scheme, &it);
        let stats = |lines: &[common::emulation::Line]| {
            lines.iter().map(|line| line.stats).collect::<Vec<_>>()
        };
        let verdict = judge(scheme, &stats(&emulation.rows), &stats(&emulation.cols), it.k);
        assert_eq!(verdict, Verdict::AllBut { rows: vec![77], cols: vec![9] }, "{}", scheme.name);
    }
}

#[cfg(target_arch = "x86_64")]
#[test]
fn flushing_subnormals_changes_no_bit() {
    for (family, mask) in [
        ("normal", !0),
        ("subnormals", !0),
        ("extremes", !0),
        ("bits", !0),
        ("bits", !(0x7FF << 52)),
    ] {
        let mut it = operands(family, 6, 5, 70, 31);
        it.a.iter_mut().for_each(|a| *a = f64::from_bits(a.to_bits() & mask));
        for scheme in SCHEMES {
            let run = || {
                let emulation = Emulation::new(scheme, &it);
                let lines = emulation.rows.iter().chain(&emulation.cols);
                let lines: Vec<_> = lines
                    .map(|line| {
                        (line.exponent, line.planes.clone(), line.stats, line.leading.clone())
                    })
                    .collect();
                let in_range = emulation.in_range();
                let values: Vec<u64> = match in_range {
                    true => emulation.product().iter().map(|v| v.to_bits()).collect(),
                    false => Vec::new(),
                };
                (lines, emulation.accepted(), in_range, values)
            };
            assert!(with_flushing(run) == run(), "{family} {}", scheme.name);
        }
    }
}
