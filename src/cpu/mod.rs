//! The CPU path: a five-loop GEMM with packed panels and micro-kernels.

pub mod gemm;
pub mod kernel;

pub use gemm::{gemm, wants_threads};
pub use kernel::Kernels;
