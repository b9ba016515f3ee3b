//! The CPU path: a five-loop GEMM with packed panels and micro-kernels.
//!
//! [`gemm()`](gemm::gemm) transposes the whole problem where that suits the kernels, then `path`
//! chooses, by shape and strides:
//!
//! * `dots`: one column of C, or a few dozen of long sums, and contiguous rows of A.
//! * `small`: small and middle C, and those of few rows or columns. B is read where it lies, A too
//!   where its columns are contiguous; a large A is asked for ahead of time. No allocation when the
//!   sum is short. Tiny products go straight from the door to the kernels.
//! * `blocks`: the five loops. C is cut into NC columns, the sum into KC steps, C into MC rows;
//!   blocks of B and A are packed into panels, and the micro-kernel walks over tiles of MR × NR.
//!
//! `parallel` shares a product between threads: `blocks` by packing together, `inner` by the steps of
//! a long sum where C is small, and all else by pieces of C (`cut`), one ticket each, on the path of the
//! whole. All paths end in [`kernel`]: the only place with instructions of one CPU.
//!
//! [`entries()`] computes single entries of C, those that the NPU leaves out.
//!
//! # Same bits
//!
//! For one shape, one kernel family and the same contiguous lines the result is defined to the
//! bit. The sum is cut at the same places whatever the number of threads, and whatever [`caches`] the
//! machine has, which only decide what is packed (`path`), and how much at a time (`blocking`). Between
//! cuts each entry of C is one chain of additions in the order of the index, or for dot products as many
//! as one, two or four vectors have lanes, which are then added up by halves; then `α·sum + β·C` per
//! cut. Nothing looks at alignment.

mod apart;
mod blocking;
mod blocks;
pub mod caches;
mod cut;
mod dots;
mod entries;
pub mod gemm;
mod inner;
pub mod kernel;
mod pack;
mod parallel;
mod path;
#[cfg(test)]
mod sample;
mod scratch;
mod small;
mod tile;

/// Bytes of a line of the cache.
const LINE_BYTES: usize = 64;

pub use entries::entries;
pub use gemm::gemm;
pub(crate) use gemm::gemm_asking;
pub use kernel::Kernels;
