//! What each routine means, whatever its spelling: one file per routine, generic over
//! [`Scalar`](crate::Scalar), strides only.

pub mod gemm;
