//! Compute modes on a device: the schemes that they use and the accuracy that they keep.
//!
//! Run it as `cargo xtask test` does, under npu-sim with `NPUBLAS_OFFLOAD=always`.

mod common;

use common::data;
use common::device;
use common::oracle;
use npublas::mode::Mode;
use npublas::route::Reason;
use npublas::runtime::{Scope, set_mode};
use npublas::trace::Report;
use npublas::{Gemm, MatMut, MatRef, gemm};

/// A product of single precision in some mode: the scheme in use and R, the worst error in units
/// of 2^-23 Σ|a||b|. The reason instead where the NPU declined.
fn product(mode: Mode, family: &'static str, k: usize) -> Result<(&'static str, f64), Reason> {
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
    let Some(Report { reason, npu }) = report else { panic!("there was a product") };
    let errors = oracle::exact(&it).into_iter().zip(&c).map(|(exact, &c)| {
        let distance = exact.distance(f64::from(c));
        if distance == 0.0 { 0.0 } else { distance / (2f64.powi(-23) * exact.magnitude) }
    });
    let worst = errors.fold(0.0, f64::max);
    npu.map(|line| (line.scheme, worst)).ok_or(reason)
}

/// Mode, the schemes that may serve it, and the greatest R on normal and uniform numbers.
const MODES: [(Mode, &[&str], f64); 2] =
    [(Mode::Standard, &["I-3s8p", "I-4s10p"], 3.0), (Mode::Strict, &["I-4s10p"], 0.6)];

#[test]
fn every_mode_keeps_its_accuracy() {
    if !device::ready() {
        return;
    }
    println!("mode      family     k  scheme        R");
    for (mode, schemes, limit) in MODES {
        for family in ["normal", "unif", "unif01"] {
            for k in [64, 256, 1000] {
                let (scheme, worst) = product(mode, family, k).expect("the NPU serves it");
                println!("{:8}  {family:6}  {k:4}  {scheme:8}  {worst:7.2}", mode.name());
                assert!(schemes.contains(&scheme), "{mode:?}: {scheme}");
                assert!(worst <= limit, "{mode:?} {family} k = {k}: R = {worst}");
            }
        }
    }
}

#[test]
fn the_guard_holds_in_the_modes_that_promise_it() {
    if !device::ready() {
        return;
    }
    for mode in Mode::ALL {
        let on_npu = product(mode, "spike", 256);
        assert_eq!(on_npu == Err(Reason::Guard), mode.is_guarded(), "{mode:?}: {on_npu:?}");
    }
}
