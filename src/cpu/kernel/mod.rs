//! The micro-kernels, and which of them this CPU runs.

use crate::scalar::{Scalar, c32, c64};

/// Names of all kernel families of this build, best first; the last one always runs.
pub const NAMES: &[&str] = &["avx2", "portable"];

/// An element type that has micro-kernels.
pub trait Kernels: Scalar {}
impl Kernels for f32 {}
impl Kernels for f64 {}
impl Kernels for c32 {}
impl Kernels for c64 {}
