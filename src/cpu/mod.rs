//! The CPU path: a five-loop GEMM with packed panels and micro-kernels.
//!
//! [`gemm()`](gemm::gemm) turns a row-major C into a column-major one by transposing the whole
//! problem, then takes one of two ways, by the shape alone:
//!
//! * `small`: A and B are read where they lie. No packing of B, no allocation, no threads.
//! * the five loops: C is cut into NC columns, the sum into KC steps, C into MC rows; blocks of
//!   B and A are packed into panels, and the micro-kernel walks over tiles of MR × NR.
//!   `parallel` cuts C into blocks, one ticket each, and runs the five loops on every block.
//!
//! Both ways end in [`kernel`]: the only place with instructions of one CPU.
//!
//! # Same bits
//!
//! For one shape and one kernel family the result is defined to the bit. The sum is cut at the
//! same places whatever the number of threads; each entry of C is one chain of additions in the
//! order of the index, then `α·sum + β·C` per cut; and nothing looks at alignment or leading
//! dimension.

mod blocking;
pub mod gemm;
pub mod kernel;
mod pack;
mod parallel;
mod scratch;
mod small;
mod tile;

pub use gemm::{gemm, wants_threads};
pub use kernel::Kernels;
