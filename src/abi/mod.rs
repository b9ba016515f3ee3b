//! The door: every exported symbol, one file per routine.

pub mod args;
pub mod gemm;
