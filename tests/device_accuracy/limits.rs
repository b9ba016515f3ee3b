//! What each compute mode promises, and by which schemes it may be served.

use crate::reference::Errors;
use npublas::mode::Mode;
use npublas::runtime::{Scope, set_mode};
use npublas::trace::NpuLine;

/// Has this thread's calls run in a mode while `work` goes on.
pub fn during<R>(mode: Mode, work: impl FnOnce() -> R) -> R {
    let before = set_mode(Scope::Thread, Some(mode));
    let result = work();
    set_mode(Scope::Thread, before);
    result
}

/// The schemes of double precision of modes `standard` and `fast`.
const DOUBLE: &[&str] =
    &["I-7s28p", "I-8s36p", "I-8s36p+c", "II-15", "II-16", "II-16+c", "II-15-3m", "II-16-3m"];

/// The schemes of a mode, in single or double precision.
pub fn schemes(mode: Mode, double: bool) -> &'static [&'static str] {
    match (mode, double) {
        (Mode::Standard, false) => &["I-3s8p", "I-4s10p", "I-4s10p+c"],
        (Mode::Standard | Mode::Fast, true) => DOUBLE,
        (Mode::Strict, false) => &["I-4s10p"],
        (Mode::Strict, true) => &["I-8s36p", "II-16", "II-16-3m"],
        (Mode::Fast, false) => &["I-3s6p", "I-3s6p+c", "I-3s8p", "I-4s10p", "I-4s10p+c"],
        (Mode::Low, false) => &["I-2s3p"],
        (Mode::Fp16, false) => &["fp16"],
        (Mode::Fp16x2, false) => &["fp16x2"],
        (Mode::Fp16x2, true) => DOUBLE,
        (Mode::Low | Mode::Fp16, true) => &["I-5s15p", "II-12", "II-12-3m"],
    }
}

/// Whether every entry meets the bound of a conventional product.
pub fn is_guarded(mode: Mode, double: bool) -> bool {
    match mode {
        Mode::Standard | Mode::Strict | Mode::Fast => true,
        Mode::Fp16x2 => double,
        Mode::Low | Mode::Fp16 => false,
    }
}

/// The scheme without which the mode would be another one.
pub fn characteristic(mode: Mode, double: bool) -> &'static str {
    schemes(mode, double)[0]
}

/// What a result of the NPU breaks of the promises of the mode. `factors` is by how much the
/// roundings of α and β may raise R. Where the CPU computed some lines, its bound holds for all;
/// where it computed single entries, that in place of the promise.
pub fn broken(
    mode: Mode,
    line: &NpuLine,
    double: bool,
    family: &str,
    k: usize,
    factors: f64,
    errors: &Errors,
) -> Vec<String> {
    let scheme = line.scheme;
    let mut broken = Vec::new();
    let mut hold = |what: &str, value: f64, limit: f64| {
        if value > limit {
            broken.push(format!("{what} = {value:.3} > {limit:.3}"));
        }
    };
    if line.spared > 0 {
        hold("error over the conventional bound", errors.conventional, 1.0);
        return broken;
    }
    if is_guarded(mode, double) {
        if line.doubtful > 0 {
            hold("error over the conventional bound", errors.conventional, 1.0);
        } else {
            hold("error over the promised bound", errors.promised, 1.0);
        }
        if family == "eye" {
            hold("R of A·I", errors.r, 1.5 + factors);
        }
    } else if scheme == "fp16" {
        hold("error over the bound of halves", errors.halves, 1.0);
    } else if scheme == "fp16x2" {
        hold("error over the bound of pairs of halves", errors.pairs, 1.0);
    } else {
        hold("Rn", errors.rn, normwise(scheme, double, k) + factors);
        let documented = 2f64.powi(if double { -35 } else { -12 });
        hold("error over k · max a · max b", errors.greatest, documented);
    }
    if mode == Mode::Strict {
        hold("R / (1 + √k_eff / 2)", errors.root, 1.0 + factors);
    }
    if let (true, Some(limit)) = (k >= 64, ordinary(mode, scheme, family)) {
        hold("R", errors.r, limit + factors);
    }
    broken
}

/// R of the families that everybody has, from k = 64 on, for the product alone.
fn ordinary(mode: Mode, scheme: &str, family: &str) -> Option<f64> {
    let (uniform, normal, relu) = match (mode, scheme) {
        (Mode::Strict, _) => (0.6, 0.6, 0.6),
        (_, "I-3s6p" | "I-3s6p+c") => (4.0, 10.0, 20.0),
        (_, "fp16") => (8192.0, 8192.0, 8192.0),
        (_, "fp16x2") => (10.0, 10.0, 10.0),
        (_, "I-2s3p") => (1024.0, 1024.0, 1024.0),
        (_, "I-5s15p") => (131_072.0, 131_072.0, 131_072.0),
        (_, "II-12" | "II-12-3m") => (512.0, 512.0, 512.0),
        _ => (3.0, 3.0, 6.0),
    };
    match family {
        "unif01" | "unif" => Some(uniform),
        "normal" => Some(normal),
        "relu" => Some(relu),
        // Half of both operands is zero: the guard keeps that in bounds, or exponents of their own.
        "relu2" => (mode.is_guarded() || mode == Mode::Fp16x2).then_some(relu),
        _ => None,
    }
}

/// Rn of a scheme without its guard: 1 + 8 √k 2^(p - B), p bits being wanted and B held.
fn normwise(scheme: &str, double: bool, k: usize) -> f64 {
    let wanted = if double { 53.0 } else { 24.0 };
    let held = match scheme {
        "I-2s3p" => return 4096.0,
        "I-5s15p" => 39.0,
        "II-12" | "II-12-3m" => 46.9,
        _ => wanted,
    };
    1.0 + 8.0 * (k as f64).sqrt() * 2f64.powf(wanted - held)
}
