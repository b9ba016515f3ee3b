//! The acceptance set: every type in every mode, all families, inner dimensions to 32,768.
//!
//! A bound alone is no test, because data that are easy pass it with a digit group missing: every
//! result of the NPU is compared bit for bit with the oracle of its scheme as well.
//! `NPUBLAS_TEST_ACCURACY=whole` runs the whole set.

use crate::call::{Call, is_disturbed};
use crate::common::data::Rng;
use crate::common::device;
use crate::element::Element;
use crate::families::FAMILIES;
use crate::limits;
use crate::reference::Errors;
use npublas::mode::Mode;
use npublas::{c32, c64};
use std::collections::BTreeMap;

/// Inner dimensions.
const DEPTHS: [usize; 11] = [1, 2, 3, 17, 64, 255, 256, 1000, 1024, 4096, 32_768];

/// Type and mode of what the library does not bring to the NPU.
const NOT_SERVED: &[(char, Mode)] = &[];

/// Entries whose error is measured; the bits are compared in all of them.
const MEASURED: usize = 800;

/// Odd numbers of rows and columns for an inner dimension.
fn shape(k: usize) -> [usize; 3] {
    let (m, n) = match k {
        0..64 => (63, 47),
        64..1000 => (45, 67),
        1000..4096 => (33, 29),
        4096..10_000 => (17, 19),
        _ => (5, 7),
    };
    [m, n, k]
}

/// Whether the case runs every time. Of the default mode a third, of the others a ninth, in such
/// a way that every family and every depth has its turn.
fn always(mode: Mode, family: usize, depth: usize) -> bool {
    match mode {
        Mode::Standard => (family + depth).is_multiple_of(3),
        _ => (family + 2 * depth).is_multiple_of(9),
    }
}

/// What became of the calls of one family.
#[derive(Debug, Default)]
struct Row {
    routes: BTreeMap<String, usize>,
    /// Of the NPU's results, of those for k ≥ 64, and of the CPU's.
    all: Errors,
    deep: Errors,
    cpu: Errors,
    /// What is not as promised.
    failures: Vec<String>,
}

impl Row {
    /// Runs a call in a mode and judges what came out; the scheme that the NPU used.
    fn judge<T: Element>(&mut self, mode: Mode, family: &str, call: &Call<T>) -> Option<&str> {
        let (results, report) = limits::during(mode, || call.run());
        let report = report.expect("there is a product to compute");
        let k = call.operands.k;
        let label = format!("{}gemm {} {family} k={k}", T::LETTER, mode.name());
        if is_disturbed(&report, &label) {
            *self.routes.entry("disturbed".into()).or_default() += 1;
            return None;
        }
        let errors = Errors::of(call, &results, MEASURED);
        let Some(line) = report.npu else {
            *self.routes.entry(format!("cpu:{}", report.reason)).or_default() += 1;
            self.cpu = self.cpu.and(errors);
            if errors.conventional > 1.0 {
                self.failures.push(format!("{label} on the CPU: {errors:?}"));
            }
            return None;
        };
        let some = if line.spared > 0 { " but for some lines" } else { "" };
        *self.routes.entry(format!("{}{some}", line.scheme)).or_default() += 1;
        self.all = self.all.and(errors);
        if k >= 64 {
            self.deep = self.deep.and(errors);
        }
        let factors = call.roundings();
        let mut wrong = limits::broken(mode, &line, T::DOUBLE, family, k, factors, &errors);
        wrong.extend(call.differs(&line, &results));
        self.failures.extend(wrong.iter().map(|what| format!("{label} {}: {what}", line.scheme)));
        Some(line.scheme)
    }

    fn print(&self, letter: char, mode: Mode, family: &str) {
        let cell = |errors: &Errors, of: fn(&Errors) -> f64| match errors.entries {
            0 => "–".to_owned(),
            _ => format!("{:.2}", of(errors)),
        };
        println!(
            "{letter}gemm    {:9} {family:7} {:>8} {:>8} {:>8} {:>8} {:>8}  {}",
            mode.name(),
            cell(&self.deep, |e| e.r),
            cell(&self.all, |e| e.r),
            cell(&self.all, |e| e.rn),
            cell(&self.all, |e| e.promised),
            cell(&self.cpu, |e| e.r),
            shares(&self.routes)
        );
    }
}

#[test]
fn the_acceptance_set_holds() {
    if !device::ready() {
        return;
    }
    let whole = std::env::var("NPUBLAS_TEST_ACCURACY").is_ok_and(|which| which == "whole");
    let (mut failures, mut not_served) = (Vec::new(), Vec::new());
    println!(
        "Worst of the NPU's results: R and Rn in eps = 2^-23 or 2^-52, `bound` over the promised \
         bound; and R of the CPU's.\n"
    );
    println!("routine  mode      family    R k≥64        R       Rn    bound    R CPU  routes");
    for mode in Mode::ALL {
        run::<f32>(mode, whole, &mut failures, &mut not_served);
        run::<f64>(mode, whole, &mut failures, &mut not_served);
        run::<c32>(mode, whole, &mut failures, &mut not_served);
        run::<c64>(mode, whole, &mut failures, &mut not_served);
    }
    if whole {
        large::<f64>(Mode::Standard, [1900, 1900, 1900], "II-15", &mut failures);
        large::<c64>(Mode::Strict, [1150, 1150, 1150], "II-16-3m", &mut failures);
        large::<c64>(Mode::Low, [1150, 1150, 1150], "II-12-3m", &mut failures);
    }
    for (letter, mode) in &not_served {
        println!("NOT SERVED: {letter}gemm in mode {} by its own scheme", mode.name());
    }
    for failure in &failures {
        println!("FAILED {failure}");
    }
    assert_eq!(failures.len(), 0, "the first: {:?}", failures.first());
    assert_eq!(not_served, NOT_SERVED, "what is served has changed");
}

/// One type in one mode.
fn run<T: Element>(
    mode: Mode,
    whole: bool,
    failures: &mut Vec<String>,
    not_served: &mut Vec<(char, Mode)>,
) {
    let mut served = false;
    for (f, family) in FAMILIES.into_iter().enumerate() {
        let mut row = Row::default();
        for (d, k) in DEPTHS.into_iter().enumerate() {
            if !whole && !always(mode, f, d) {
                continue;
            }
            // The same operands in every mode.
            let mut rng = Rng::new((f * 100 + d) as u64);
            let call: Call<T> = Call::drawn(family, shape(k), &[1.0, -1.0, 0.7], &mut rng);
            let scheme = row.judge(mode, family, &call);
            served |= scheme == Some(limits::characteristic(mode, T::DOUBLE));
        }
        if !row.routes.is_empty() {
            row.print(T::LETTER, mode, family);
        }
        failures.append(&mut row.failures);
    }
    if !served {
        not_served.push((T::LETTER, mode));
    }
}

/// One call so large that its scheme is one of residues.
fn large<T: Element>(mode: Mode, shape: [usize; 3], scheme: &str, failures: &mut Vec<String>) {
    let mut row = Row::default();
    let call: Call<T> = Call::drawn("normal", shape, &[1.0, -1.0], &mut Rng::new(46));
    if row.judge(mode, "normal", &call) != Some(scheme) {
        failures.push(format!("{}gemm {shape:?} is not served by {scheme}", T::LETTER));
    }
    row.print(T::LETTER, mode, "large");
    failures.append(&mut row.failures);
}

/// Routes with their numbers.
pub fn shares(routes: &BTreeMap<String, usize>) -> String {
    let shares: Vec<String> =
        routes.iter().map(|(route, calls)| format!("{route} {calls}")).collect();
    shares.join(", ")
}
