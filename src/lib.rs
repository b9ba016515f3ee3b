//! **npublas**: a BLAS that runs on an NPU.
//!
//! Preload it under an unmodified program, or install it as `libblas.so.3`, and every large
//! matrix product goes to the neural processor of the machine; everything else runs on the CPU
//! kernels of this library.
//!
//! # The way of one call
//!
//! 1. [`abi`], the door, checks the arguments as the reference BLAS would and turns layout and
//!    transposition into plain strides.
//! 2. [`blas`], the meaning, handles the quick returns and states one problem:
//!    `C ← α·A·B + β·C`.
//! 3. [`runtime`] asks [`route`] where the problem should run, and falls back to the CPU
//!    whenever the NPU declines or fails.
//! 4. [`cpu`] is a five-loop GEMM with packed panels and micro-kernels.
//! 5. [`npu`] turns the product into exact int8 products with a proven error bound, runs them
//!    as register-command streams, verifies the integers that come back and writes C once.
//!
//! Imports only ever point downwards in that list; `cpu` and `npu` do not know each other.
//!
//! # Words
//!
//! *m, n, k*: rows of C, columns of C, length of the inner sum. *BO*: a DMA buffer object of the
//! kernel driver. *IOVA*: its address as the device sees it. *Task*: one program of register
//! commands. *Job*: tasks that run in order on one core. *Line*: a row of A or a column of B.

pub mod abi;
pub mod blas;
pub mod config;
mod count;
pub mod cpu;
pub mod fenv;
pub mod fork;
pub mod mat;
pub mod mode;
pub mod npu;
pub mod problem;
pub mod profile;
pub mod route;
pub mod runtime;
pub mod scalar;
pub mod threads;
pub mod trace;

pub use blas::gemm::gemm;
pub use mat::{MatMut, MatRef};
pub use problem::Gemm;
pub use scalar::{Scalar, c32, c64};
