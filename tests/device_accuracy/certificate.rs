//! Data of which only a certificate proves most entries: which schemes take them, and how few
//! entries are left to the CPU.

use crate::call::{Call, is_disturbed};
use crate::common::device;
use crate::element::Element;
use crate::families;
use crate::limits;
use crate::reference::Errors;
use npublas::mode::Mode;
use npublas::route::Reason;
use npublas::runtime::{Scope, set_reproducible};
use npublas::{c32, c64};

/// Runs a product of a family and checks every entry; the scheme that took it, and the share of
/// entries that the CPU computed.
fn run<T: Element>(mode: Mode, family: &str, [m, n, k]: [usize; 3]) -> Option<(&'static str, f64)> {
    let call = Call::plain(families::operands::<T>(family, m, n, k, 6));
    let (results, report) = limits::during(mode, || call.run());
    let report = report.expect("there is a product to compute");
    let label = format!("{}gemm {} {family} {m}x{n}x{k}", T::LETTER, mode.name());
    if is_disturbed(&report, &label) {
        return None;
    }
    let line = report.npu.unwrap_or_else(|| panic!("{label} left the NPU: {}", report.reason));
    let share = line.doubtful as f64 / (m * n) as f64;
    println!("{label:36} {:9} {:6.3} % by the CPU", line.scheme, 100.0 * share);
    assert_eq!(call.differs(&line, &results), None, "{label}");
    let errors = Errors::of(&call, &results, 4000);
    let broken = limits::broken(mode, &line, T::DOUBLE, family, k, 0.0, &errors);
    assert!(broken.is_empty(), "{label}: {broken:?}");
    Some((line.scheme, share))
}

#[test]
fn few_entries_are_left_to_the_cpu() {
    if !device::ready() {
        return;
    }
    let (standard, fast) = (Mode::Standard, Mode::Fast);
    let (large, small) = ([96, 128, 1024], [64, 96, 512]);
    let found = [
        (run::<f32>(standard, "relu2", large), "I-4s10p+c", [0.0, 0.001]),
        (run::<f32>(standard, "phi1", large), "I-4s10p+c", [0.0, 0.01]),
        (run::<f32>(fast, "relu2", large), "I-3s6p+c", [0.0, 0.001]),
        (run::<f32>(fast, "relu2", [200, 150, 256]), "I-3s6p+c", [0.0, 0.03]),
        (run::<f64>(standard, "relu2", small), "I-8s36p+c", [0.0, 0.001]),
        (run::<f64>(standard, "phi1", [300, 300, 256]), "I-8s36p+c", [0.0, 0.01]),
        (run::<c32>(standard, "relu2", small), "I-4s10p+c", [0.0, 0.001]),
        (run::<c64>(standard, "relu2", [33, 40, 300]), "I-8s36p+c", [0.0, 0.001]),
        // Single numbers: those whose leading part is 0 are not proven.
        (run::<f32>(standard, "eye", [256, 256, 256]), "I-4s10p+c", [0.01, 0.05]),
        (run::<f64>(standard, "eye", [64, 200, 200]), "I-8s36p+c", [0.002, 0.05]),
        (run::<c64>(standard, "eye", [64, 100, 100]), "I-8s36p+c", [0.005, 0.05]),
    ];
    for (found, scheme, shares) in found {
        let Some((taken, share)) = found else { continue };
        assert_eq!(taken, scheme);
        assert!((shares[0]..=shares[1]).contains(&share), "{scheme}: {share}");
    }
}

#[test]
fn reproducible_products_have_no_certificate() {
    if !device::ready() {
        return;
    }
    let call = Call::plain(families::operands::<f32>("relu2", 96, 128, 256, 6));
    let before = set_reproducible(Scope::Thread, Some(true));
    let report = call.run().1;
    set_reproducible(Scope::Thread, before);
    let report = report.expect("there is a product to compute");
    assert_eq!((report.reason, report.npu, report.host), (Reason::Guard, None, None));
}
