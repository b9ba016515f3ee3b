//! Random calls of every type, sizes 1 to 600: every result of the NPU has the bits of the oracle
//! of its scheme, and ordinary data do reach the NPU.
//!
//! `NPUBLAS_TEST_CALLS` sets the number of calls of each type.

use crate::acceptance::shares;
use crate::call::{Call, is_disturbed};
use crate::common::data::Rng;
use crate::common::device;
use crate::element::Element;
use crate::limits;
use crate::peer::Peer;
use crate::reference::Errors;
use npublas::mode::Mode;
use npublas::route::Reason;
use npublas::{c32, c64};
use std::collections::BTreeMap;

/// Calls of each type unless said otherwise.
const FEW: usize = 200;

/// The ordinary ones more often.
const FAMILIES: [&str; 8] = ["normal", "unif", "relu", "large", "phi1", "phi2", "normal", "unif"];

/// At most one call of so many may be disturbed: of more, too few results are compared.
const RARELY: usize = 50;

/// Entries whose error is measured.
const MEASURED: usize = 200;

/// What became of the calls of one family.
#[derive(Debug, Default)]
struct Tally {
    calls: usize,
    routes: BTreeMap<String, usize>,
    /// Of calls with k ≥ 64 on the NPU, and of the other BLAS on the same.
    ours: Errors,
    theirs: Errors,
    /// Calls with k ≥ 64 and those of them that the NPU computed.
    deep: [usize; 2],
}

#[test]
fn random_calls_of_sgemm_equal_the_oracle() {
    random_calls::<f32>(20_261_122);
}

#[test]
fn random_calls_of_dgemm_equal_the_oracle() {
    random_calls::<f64>(20_261_123);
}

#[test]
fn random_calls_of_cgemm_equal_the_oracle() {
    random_calls::<c32>(20_261_124);
}

#[test]
fn random_calls_of_zgemm_equal_the_oracle() {
    random_calls::<c64>(20_261_125);
}

fn random_calls<T: Element>(seed: u64) {
    if !device::ready() {
        return;
    }
    let calls = std::env::var("NPUBLAS_TEST_CALLS").map_or(FEW, |n| n.parse().unwrap());
    let peer = Peer::load();
    let mut rng = Rng::new(seed);
    let mut tallies: BTreeMap<&str, Tally> = BTreeMap::new();
    let mut disturbed = 0;
    for i in 0..calls {
        let family = FAMILIES[i % FAMILIES.len()];
        let shape = [(); 3].map(|()| match rng.below(2) {
            0 => 1 + rng.below(64),
            _ => 1 + rng.below(600),
        });
        let call: Call<T> = Call::drawn(family, shape, &[0.0, 1.0, -1.0, 0.7], &mut rng);
        let (results, report) = call.run();
        let [m, n, k] = shape;
        let (alpha, beta) = (call.alpha, call.beta);
        let label = format!("call {i}: {family} {m}x{n}x{k} α={alpha:?} β={beta:?}");
        let errors = Errors::of(&call, &results, MEASURED);
        let tally = tallies.entry(family).or_default();
        tally.calls += 1;
        let Some(report) = report else {
            assert_eq!(alpha, T::ZERO, "{label}: no product");
            assert!(errors.r <= 0.5 + call.roundings(), "{label}: β·C is off, {errors:?}");
            *tally.routes.entry("none".into()).or_default() += 1;
            continue;
        };
        assert!(errors.conventional <= 1.0, "{label}: {errors:?}");
        if is_disturbed(&report, &label) {
            *tally.routes.entry("disturbed".into()).or_default() += 1;
            disturbed += 1;
            continue;
        }
        let route = match &report.npu {
            Some(line) => {
                assert_eq!(call.differs(line, &results), None, "{label}");
                let factors = call.roundings();
                let mode = Mode::Standard;
                let broken = limits::broken(mode, line, T::DOUBLE, family, k, factors, &errors);
                assert!(broken.is_empty(), "{label}: {broken:?}");
                if family == "large" {
                    // Integers that every slice holds: one rounding, and those of the factors.
                    assert!(errors.r <= 0.5 + factors, "{label}: not the nearest number");
                }
                line.scheme.to_owned()
            }
            None => {
                assert_eq!(report.reason, Reason::Guard, "{label}: fell back");
                "cpu:guard".into()
            }
        };
        *tally.routes.entry(route).or_default() += 1;
        if k >= 64 {
            tally.deep[0] += 1;
            if report.npu.is_some() {
                tally.deep[1] += 1;
                tally.ours = tally.ours.and(errors);
                if let Some(peer) = &peer {
                    let theirs = Errors::of(&call, &peer.gemm(&call), MEASURED);
                    tally.theirs = tally.theirs.and(theirs);
                }
            }
        }
    }

    println!("{}gemm, {calls} calls; R of the NPU for k ≥ 64 beside another BLAS's\n", T::LETTER);
    println!("family     calls      R  peer's R  NPU of k≥64  routes");
    for (family, tally) in &tallies {
        let Tally { calls, routes, ours, theirs, deep } = tally;
        println!(
            "{family:10} {calls:5} {:6.2}  {:8.2}  {:4} of {:4}  {}",
            ours.r,
            theirs.r,
            deep[1],
            deep[0],
            shares(routes)
        );
    }
    assert!(
        disturbed * RARELY <= calls,
        "the device was too slow or too busy for {disturbed} of {calls} calls"
    );
    for family in ["normal", "unif"] {
        let [deep, on_npu] = tallies[family].deep;
        assert!(on_npu * 100 >= deep * 95, "{family}: only {on_npu} of {deep} calls on the NPU");
    }
}
