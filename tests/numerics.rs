//! The schemes of single precision and their guard: slices against the slow oracle bit for bit,
//! all of them against exact products.
//!
//! Most tests below are measured counter-examples: data on which a plausible shortcut gives a
//! wrong result or accepts one.

mod common;

use common::data::{FAMILIES, Operands, Rng, operands};
use common::emulation::Emulation;
#[cfg(target_arch = "x86_64")]
use common::flushing::with_flushing;
use common::oracle::{self, Slices, exact};
use npublas::npu::guard::accepts;
use npublas::npu::scheme::crt_int8::{II_8, II_9};
use npublas::npu::scheme::ozaki_int8::{I_3S6P, I_3S6P_C, I_3S8P, I_4S10P, I_4S10P_C};
use npublas::npu::scheme::{Real, Scheme};

const SLICES: [(&Scheme, &Slices); 2] = [(&I_3S8P, &oracle::I_3S8P), (&I_4S10P, &oracle::I_4S10P)];

const SCHEMES: [&Scheme; 4] = [&I_3S8P, &I_4S10P, &II_8, &II_9];

fn bits(c: &[f32]) -> Vec<u32> {
    c.iter().map(|c| c.to_bits()).collect()
}

/// Panics if an entry is off by more than a conventional product may be; returns the worst
/// error over its bound.
fn check_bound(values: &[f64], it: &Operands, what: &str) -> f64 {
    check_entries(values, it, what, |_| true)
}

/// [`check_bound`] for some of the entries.
fn check_entries(values: &[f64], it: &Operands, what: &str, which: impl Fn(usize) -> bool) -> f64 {
    let mut worst = 0f64;
    for (entry, (exact, &value)) in exact(it).iter().zip(values).enumerate() {
        if !which(entry) {
            continue;
        }
        let c = f32::finish(1.0, value, 0.0, None);
        if c.is_infinite() {
            let reach = exact.value.0.abs() + exact.bound();
            assert!(reach > f64::from(f32::MAX), "{what}: entry {entry} overflows");
            continue;
        }
        let distance = exact.distance(f64::from(c));
        assert!(distance <= exact.bound(), "{what}: entry {entry} is off by {distance:e}");
        worst = worst.max(distance / exact.bound());
    }
    worst
}

#[test]
fn every_bit_is_the_oracles() {
    let shapes =
        [(1, 1, 1), (3, 2, 2), (2, 3, 17), (5, 7, 31), (9, 4, 64), (8, 8, 255), (7, 9, 300)];
    for family in FAMILIES {
        for (m, n, k) in shapes {
            let it = operands(family, m, n, k, k as u64);
            let c: Vec<f32> = operands("normal", m, n, 1, 5).a.repeat(n);
            for (scheme, slices) in SLICES {
                let emulation = Emulation::new(scheme, &it);
                for (alpha, beta) in [(1.0, 0.0), (1.0, 1.0), (-0.7, 1.3), (0.7, -1.0), (0.0, 0.5)]
                {
                    assert_eq!(
                        bits(&emulation.gemm(alpha, beta, &c)),
                        bits(&oracle::sgemm(slices, &it, alpha, beta, &c)),
                        "{family} {m}x{n}x{k} {} {alpha} {beta}",
                        scheme.name
                    );
                }
            }
        }
    }
}

#[test]
fn bits_hold_for_a_long_inner_dimension() {
    for family in ["unif01", "normal", "phi2", "ints"] {
        let it = operands(family, 2, 3, 10_007, 11);
        for (scheme, slices) in SLICES {
            let (ours, theirs) =
                (Emulation::new(scheme, &it).product(), oracle::product(slices, &it));
            let same = ours.iter().zip(&theirs).all(|(a, b)| a.to_bits() == b.to_bits());
            assert!(same, "{family} {}", scheme.name);
        }
    }
}

#[test]
fn a_lost_digit_product_shows() {
    let it = operands("normal", 4, 4, 256, 3);
    for (scheme, slices) in SLICES {
        let emulation = Emulation::new(scheme, &it);
        let right = bits(&oracle::sgemm(slices, &it, 1.0, 0.0, &[0.0; 16]));
        for (g, group) in scheme.groups.iter().enumerate() {
            for (p, q) in group.products() {
                let values = emulation.join_sums(|i, sums| {
                    for (j, col) in emulation.cols.iter().enumerate() {
                        let (a, b) = (emulation.rows[i].plane(scheme, p), col.plane(scheme, q));
                        for (&a, &b) in a.iter().zip(b) {
                            sums[g * emulation.cols.len() + j] -= i64::from(a) * i64::from(b);
                        }
                    }
                });
                let c: Vec<f32> = values.iter().map(|&v| f32::finish(1.0, v, 0.0, None)).collect();
                assert_ne!(bits(&c), right, "{}: product ({p}, {q})", scheme.name);
            }
        }
    }
}

#[test]
fn the_order_of_the_inner_dimension_changes_no_bit() {
    let it = operands("phi1", 6, 5, 200, 8);
    let mut turned = it.clone();
    for l in 0..it.k {
        let from = (7 * l + 3) % it.k;
        for i in 0..it.m {
            turned.a[i * it.k + l] = it.a[i * it.k + from];
        }
        for j in 0..it.n {
            turned.b[l * it.n + j] = it.b[from * it.n + j];
        }
    }
    for scheme in SCHEMES {
        let (one, other) = (Emulation::new(scheme, &it), Emulation::new(scheme, &turned));
        assert_eq!(one.product(), other.product());
        assert_eq!(one.accepted(), other.accepted());
        for (line, turned) in one.rows.iter().zip(&other.rows) {
            assert_eq!(line.stats, turned.stats);
        }
    }
}

#[test]
fn what_is_accepted_meets_the_bound() {
    let (mut accepted, mut single) = (0, 0);
    for family in FAMILIES {
        for k in [1, 2, 3, 17, 64, 255, 256, 1000] {
            let it = operands(family, 16, 13, k, 100 + k as u64);
            for scheme in SCHEMES.into_iter().chain([&I_3S6P_C, &I_4S10P_C]) {
                let emulation = Emulation::new(scheme, &it);
                let what = format!("{family} {k} {}", scheme.name);
                let certified = emulation.certified();
                if emulation.accepted() {
                    accepted += 1;
                    check_bound(&emulation.product(), &it, &what);
                    assert!(certified.iter().all(|yes| *yes), "{what}: tier 1 knows more");
                } else {
                    single += certified.iter().filter(|yes| **yes).count();
                    check_entries(&emulation.product(), &it, &what, |entry| certified[entry]);
                }
            }
        }
    }
    assert!(accepted > 100, "only {accepted} products were accepted");
    assert!(single > 5000, "only {single} entries of others were certified");
}

/// A line that is hard on the guard: rounding errors of one sign, sizes just above the
/// thresholds of the counts, digits of -128, zeros, few elements that matter.
fn hard_line(rng: &mut Rng, k: usize) -> Vec<f32> {
    const UNIT: f64 = 65536.0;
    let style = rng.below(6);
    let zeros = rng.below(3) * rng.below(60);
    let peaks = 1 + rng.below(k);
    let scale = 2f64.powi(rng.below(40) as i32 - 20);
    let mut line: Vec<f32> = (0..k)
        .map(|l| {
            let step = [1.0, 2.0, 3.0, 6.0, 16.0, 45.0, 90.0][rng.below(7)];
            let low = rng.below(3) as f64 + [0.0, 0.499, 0.5, 0.501][rng.below(4)];
            let x = match style {
                _ if rng.below(100) < zeros => 0.0,
                0 => step * UNIT + low,
                1 => 32640.0 + low,
                2 => UNIT * (0.5 + step) + 0.499,
                3 => 32896.0 * rng.below(128) as f64,
                4 => (UNIT + 0.499) * if l < peaks { 64.0 } else { 1.0 },
                _ => rng.normal() * 20.0 * UNIT,
            };
            (x * scale) as f32
        })
        .collect();
    if rng.below(4) > 0 {
        line[rng.below(k)] = (127.0 * UNIT * scale) as f32;
    }
    line
}

#[test]
fn hard_lines_are_never_accepted_beyond_the_bound() {
    let mut rng = Rng::new(2026);
    let (mut accepted, mut single, mut worst) = ([0; 4], [0; 4], [0f64; 4]);
    for _ in 0..6000 {
        let (m, n) = (1 + rng.below(3), 1 + rng.below(3));
        let longest = [3, 20, 150][rng.below(3)];
        let k = 1 + rng.below(longest);
        let a = (0..m).flat_map(|_| hard_line(&mut rng, k)).collect();
        let cols: Vec<_> = (0..n).map(|_| hard_line(&mut rng, k)).collect();
        let b = (0..k * n).map(|place| cols[place % n][place / n]).collect();
        let it = Operands::new(m, n, k, a, b);
        let schemes = [&I_3S6P, &I_3S8P, &I_4S10P, &II_8];
        for (i, scheme) in schemes.into_iter().enumerate() {
            let emulation = Emulation::new(scheme, &it);
            if emulation.accepted() {
                accepted[i] += 1;
                worst[i] = worst[i].max(check_bound(&emulation.product(), &it, scheme.name));
            } else {
                let certified = emulation.certified();
                single[i] += certified.iter().filter(|yes| **yes).count();
                check_entries(&emulation.product(), &it, scheme.name, |entry| certified[entry]);
            }
        }
    }
    assert!(single.iter().all(|&n| n > 200), "certified only {single:?}");
    assert!(accepted.iter().all(|&n| n > 200), "accepted only {accepted:?}");
    assert!(worst[0] > 0.1, "the data are not hard: {worst:?}");
}

#[test]
fn ordinary_data_pass_at_real_sizes() {
    let passes = |scheme: &Scheme, family: &str, size: usize| {
        Emulation::new(scheme, &operands(family, size, size, size, 77)).accepted()
    };
    for size in [256, 512] {
        for family in ["unif01", "unif", "normal", "ints"] {
            assert!(passes(&I_3S8P, family, size), "I-3s8p {family} {size}");
        }
        for family in ["unif01", "unif", "normal", "relu", "laplace", "phi0.5", "ints"] {
            assert!(passes(&I_4S10P, family, size), "I-4s10p {family} {size}");
        }
        for family in ["phi2", "phi4", "spike", "graded"] {
            assert!(!passes(&I_3S8P, family, size), "I-3s8p {family} {size}");
        }
        for family in ["phi4", "spike", "graded"] {
            assert!(!passes(&I_4S10P, family, size), "I-4s10p {family} {size}");
        }
    }
    assert!(!passes(&I_3S8P, "relu", 256) && !passes(&I_3S8P, "laplace", 256));
    assert!(passes(&I_3S8P, "laplace", 512));
}

#[test]
fn the_leading_digit_overstates_and_is_not_trusted() {
    // 32640 has the digits 1, -128, -128, but is less than half a unit of the first.
    let k = 36_000;
    let (mut a, mut b) = (vec![32640.0; k], vec![32640.0; k]);
    (a[0], b[0], a[1], b[1]) = (4_194_304.0, 0.0, 0.0, 4_194_304.0);
    let it = Operands::dot(a, b);
    let emulation = Emulation::new(&I_3S6P, &it);
    assert_eq!(emulation.rows[0].plane(&I_3S6P, 1)[2], 1);
    let exact = exact(&it)[0];
    let error = exact.distance(emulation.product()[0]) / (exact.magnitude * 2f64.powi(-24));
    assert!((132_000.0..133_000.0).contains(&error), "{error}");
    assert!(!emulation.accepted());
    assert!(!Emulation::new(&I_3S8P, &it).accepted());
}

#[test]
fn integers_are_exact_and_accepted() {
    for top in [1, 5, 99, 255, 4097, 32_639] {
        let mut rng = Rng::new(top);
        let mut draw = |_| (rng.below(2 * top as usize + 1) as f64 - top as f64) as f32;
        let (m, n, k) = (5, 6, 40);
        let (mut a, mut b): (Vec<f32>, Vec<f32>) =
            ((0..m * k).map(&mut draw).collect(), (0..k * n).map(&mut draw).collect());
        (a[0], b[0]) = (top as f32, -(top as f32));
        let it = Operands::new(m, n, k, a, b);
        for scheme in SCHEMES {
            let emulation = Emulation::new(scheme, &it);
            assert!(emulation.accepted(), "{top} {}", scheme.name);
            for (exact, value) in exact(&it).iter().zip(emulation.product()) {
                assert_eq!(exact.distance(value), 0.0, "{top} {}", scheme.name);
            }
        }
    }
}

#[test]
fn integers_that_lose_a_dropped_product_are_refused() {
    let it = Operands::dot(vec![4_194_305.0, 3.0], vec![0.0, 1_048_577.0]);
    for (scheme, _) in SLICES {
        let emulation = Emulation::new(scheme, &it);
        assert_ne!(emulation.product()[0], 3_145_731.0);
        assert!(!emulation.accepted());
    }
}

#[test]
fn elements_that_vanish_are_not_taken_for_exact() {
    // The small element times 2^e underflows in single precision, so that rounding it there
    // would look exact.
    for (large, small) in [(2f32.powi(100), 2f32.powi(-100)), (f32::MAX, f32::from_bits(1))] {
        let it = Operands::dot(vec![large, small], vec![0.0, 1.0]);
        for scheme in SCHEMES {
            let emulation = Emulation::new(scheme, &it);
            assert_eq!(emulation.product(), [0.0]);
            assert!(!emulation.accepted());
        }
    }
}

#[test]
fn exponents_are_added_before_scaling() {
    for power in [100, 127] {
        let (up, down) = (2f32.powi(power), 2f32.powi(-power));
        let it = Operands::new(2, 2, 1, vec![up, down], vec![up, down]);
        for scheme in SCHEMES {
            let expected = [2f64.powi(2 * power), 1.0, 1.0, 2f64.powi(-2 * power)];
            assert_eq!(Emulation::new(scheme, &it).product(), expected);
        }
    }
}

#[test]
fn results_at_the_ends_of_the_range_are_right() {
    // As great as three slices hold without rounding; FLT_MAX itself rounds to infinity there.
    let (max, tiny) = (f32::from_bits(0x7F7F_FF00), f32::from_bits(1));
    let cases = [
        (vec![max], vec![1.0], max),
        (vec![max, max], vec![1.0, 1.0], f32::INFINITY),
        (vec![max, max, -max], vec![1.0, 1.0, 1.0], max),
        (vec![max], vec![max], f32::INFINITY),
        (vec![tiny], vec![1.0], tiny),
        (vec![-tiny, tiny, tiny], vec![1.0, 1.0, 1.0], tiny),
        (vec![tiny], vec![0.5], 0.0),
        (vec![3.0 * tiny], vec![0.5], 2.0 * tiny),
        (vec![tiny], vec![-tiny], -0.0),
        (vec![2f32.powi(-100)], vec![2f32.powi(-48)], 2.0 * tiny),
        (vec![1.0, -1.0], vec![1.0, 1.0], 0.0),
        (vec![0.0, -0.0], vec![-1.0, 1.0], 0.0),
    ];
    for (a, b, expected) in cases {
        let it = Operands::dot(a, b);
        for scheme in SCHEMES {
            let c = Emulation::new(scheme, &it).gemm(1.0, 0.0, &[f32::NAN])[0];
            assert_eq!(c.to_bits(), expected.to_bits(), "{it:?} {c:e}");
        }
    }
}

#[test]
fn zeros_do_not_count_as_terms() {
    // Two elements of 1000 are not zero: the bound allows 4 u of |A||B|, not 1002 u.
    let k = 1000;
    let mut a = vec![0.0; k];
    (a[500], a[501]) = (1.0 + 2f32.powi(-22), 1.0 + 2f32.powi(-21));
    let b: Vec<f32> = operands("unif01", 1, 1, k, 9).b.iter().map(|b| b + 1.0).collect();
    let sparse = Operands::dot(a, b.clone());
    assert!(!Emulation::new(&I_3S8P, &sparse).accepted());
    let dense = Operands::dot(operands("unif01", 1, 1, k, 10).a, b);
    assert!(Emulation::new(&I_3S8P, &dense).accepted());
}

#[test]
fn lines_of_zeros_take_no_part() {
    let mut it = operands("normal", 70, 70, 300, 4);
    assert!(Emulation::new(&I_3S8P, &it).accepted());
    it.a[300..600].fill(0.0);
    (0..300).for_each(|l| it.b[l * 70 + 9] = -0.0);
    for scheme in SCHEMES {
        let emulation = Emulation::new(scheme, &it);
        assert!(emulation.accepted());
        let values = emulation.product();
        assert!(values[70..140].iter().all(|v| v.to_bits() == 0));
        assert!((0..70).all(|i| values[i * 70 + 9].to_bits() == 0));
        let nothing = Operands::new(2, 2, 3, vec![0.0; 6], it.b[..6].to_vec());
        assert!(Emulation::new(scheme, &nothing).accepted());
    }
    assert!(accepts(&I_3S8P, &[], &[], 0));
}

#[test]
fn one_outlier_spoils_its_class_only() {
    let mut it = operands("normal", 256, 256, 256, 21);
    assert!(Emulation::new(&I_4S10P, &it).accepted());
    it.a[77 * 256 + 3] *= 40.0;
    assert!(Emulation::new(&I_4S10P, &it).accepted());
    it.a[77 * 256 + 3] *= 1e6;
    assert!(!Emulation::new(&I_4S10P, &it).accepted());
}

#[cfg(target_arch = "x86_64")]
#[test]
fn flushing_subnormals_changes_no_bit() {
    let keep_all = u32::MAX;
    let only_subnormal = 0x807F_FFFF;
    let cases = ["normal", "subnormals", "extremes", "bits"].map(|family| (family, keep_all));
    for (family, mask) in cases.into_iter().chain([("bits", only_subnormal)]) {
        let mut it = operands(family, 9, 8, 70, 31);
        it.a.iter_mut().for_each(|a| *a = f32::from_bits(a.to_bits() & mask));
        let c = operands("subnormals", 9, 1, 8, 32).a;
        for scheme in SCHEMES {
            let run = || {
                let emulation = Emulation::new(scheme, &it);
                let subnormal = f32::from_bits(0x12_3456);
                let mut results = vec![u32::from(emulation.accepted())];
                for (alpha, beta) in [(1.0, 0.0), (2f32.powi(-20), subnormal), (subnormal, 1.0)] {
                    results.extend(bits(&emulation.gemm(alpha, beta, &c)));
                }
                results
            };
            assert_eq!(with_flushing(run), run(), "{family} {}", scheme.name);
        }
    }
}
