//! Compute modes on a device: the schemes that they use and the accuracy that they keep.
//!
//! Run it as `cargo xtask test` does, under npu-sim with `NPUBLAS_OFFLOAD=always`.

mod common;

use common::data;
use common::device;
use common::oracle;
use npublas::mode::Mode;
use npublas::route::Reason;
use npublas::runtime::{Scope, set_mode, set_reproducible};
use npublas::trace::Report;
use npublas::{Gemm, MatMut, MatRef, gemm};

/// What became of a product of single precision.
#[derive(Debug, PartialEq)]
struct Product {
    scheme: &'static str,
    /// R, the worst error in units of 2^-23 Σ|a||b|.
    worst: f64,
    /// The worst error in units of k·max|a|·max|b|.
    normwise: f64,
}

/// A product in some mode, or the reason why the NPU declined.
fn product(mode: Mode, family: &'static str, k: usize) -> Result<Product, Reason> {
    let it = data::operands(family, 70, 90, k, 5);
    let mut c = vec![f32::NAN; it.m * it.n];
    let before = set_mode(Scope::Thread, Some(mode));
    let report = gemm(Gemm {
        alpha: 1.0,
        a: MatRef::from_row_major(&it.a, it.m, k, k),
        conj_a: false,
        b: MatRef::from_row_major(&it.b, k, it.n, it.n),
        conj_b: false,
        beta: 0.0,
        c: MatMut::from_row_major(&mut c, it.m, it.n, it.n),
    });
    set_mode(Scope::Thread, before);
    let Some(Report { reason, npu, .. }) = report else { panic!("there was a product") };
    let line = npu.ok_or(reason)?;
    assert_eq!((line.retried, line.repaired), (0, 0), "{mode:?} {family} k = {k}");
    let greatest = |line: &[f32]| f64::from(line.iter().fold(0f32, |max, x| max.max(x.abs())));
    let cols: Vec<f64> = (0..it.n).map(|j| greatest(&it.col(j))).collect();
    let mut product = Product { scheme: line.scheme, worst: 0.0, normwise: 0.0 };
    for (at, (exact, &c)) in oracle::exact(&it).iter().zip(&c).enumerate() {
        let distance = exact.distance(f64::from(c));
        if distance > 0.0 {
            let greatest = k as f64 * greatest(it.row(at / it.n)) * cols[at % it.n];
            product.worst = product.worst.max(distance / (2f64.powi(-23) * exact.magnitude));
            product.normwise = product.normwise.max(distance / greatest);
        }
    }
    Ok(product)
}

/// Mode, the schemes that may serve it, and the greatest R on normal and uniform numbers.
const MODES: [(Mode, &[&str], f64); 6] = [
    (Mode::Standard, &["I-3s8p", "I-4s10p"], 3.0),
    (Mode::Strict, &["I-4s10p"], 0.6),
    (Mode::Fast, &["I-3s6p", "I-3s6p+c", "I-3s8p"], 10.0),
    (Mode::Low, &["I-2s3p"], 1024.0),
    (Mode::Fp16, &["fp16"], 8192.0),
    (Mode::Fp16x2, &["fp16x2"], 10.0),
];

#[test]
fn every_mode_keeps_its_accuracy() {
    if !device::ready() {
        return;
    }
    println!("mode      family     k  scheme        R");
    for (mode, schemes, limit) in MODES {
        for family in ["normal", "unif", "unif01"] {
            for k in [64, 256, 1000] {
                let Product { scheme, worst, .. } =
                    product(mode, family, k).expect("the NPU serves it");
                println!("{:8}  {family:6}  {k:4}  {scheme:8}  {worst:7.2}", mode.name());
                assert!(schemes.contains(&scheme), "{mode:?}: {scheme}");
                assert!(worst <= limit, "{mode:?} {family} k = {k}: R = {worst}");
            }
        }
    }
}

#[test]
fn wide_ranges_are_for_the_cpu_or_within_the_bound_of_the_mode() {
    if !device::ready() {
        return;
    }
    for mode in Mode::ALL {
        for family in ["spike", "phi4", "graded"] {
            match product(mode, family, 256) {
                Err(reason) => assert!(mode.is_guarded() && reason == Reason::Guard),
                Ok(product) => {
                    assert!(!mode.is_guarded(), "{mode:?} {family}: {product:?}");
                    assert!(product.normwise <= 2f64.powi(-12), "{mode:?} {family}: {product:?}");
                }
            }
        }
    }
}

#[test]
fn reproducible_calls_take_integers_for_halves() {
    if !device::ready() {
        return;
    }
    let before = set_reproducible(Scope::Thread, Some(true));
    for (mode, stands_in) in [(Mode::Fp16, Mode::Low), (Mode::Fp16x2, Mode::Standard)] {
        for family in ["normal", "unif", "graded"] {
            assert_eq!(product(mode, family, 256), product(stands_in, family, 256), "{family}");
        }
    }
    set_reproducible(Scope::Thread, before);
}
