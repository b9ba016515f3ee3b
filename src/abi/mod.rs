//! The door: every exported symbol, one file per routine.
//!
//! A door function converts and does nothing else: it decodes and checks its arguments, turns
//! layout and transposition into strides, and makes one call. Shapes, aliasing and what is not
//! read are those of the routine in [`blas`](crate::blas).
//!
//! # Spellings
//!
//! Let `r` be a routine such as `sgemm`. LP64 passes integers as `int32_t`, ILP64 as `int64_t`.
//!
//! | Fortran | CBLAS | integers | bound by |
//! |---|---|---|---|
//! | `r_` | `cblas_r` | LP64 | distributions' `libblas.so.3`, R, Octave, HPL, PyTorch |
//! | `r_64_` | `cblas_r64_` | ILP64 | NumPy 1.22 to 1.26 wheels, Julia |
//! | `r_64_` | `cblas_r_64` | ILP64 | programs built with `CBLAS_API64` |
//! | `scipy_r_` | `scipy_cblas_r` | LP64 | SciPy wheels |
//! | `scipy_r_64_` | `scipy_cblas_r64_` | ILP64 | NumPy 2 wheels |
//!
//! Each name stands literally in the file of its routine, and in `include/symbols.txt`, which a
//! test compares with the libraries. Names carry no version: a versioned one would not satisfy
//! references made to another library. The lengths that Fortran compilers append for CHARACTER
//! arguments are accepted by not declaring them.
//!
//! # Illegal arguments
//!
//! [`xerbla`] reports them to the program, and C stays as it was.
//!
//! # Floating-point environment
//!
//! A routine runs in the default environment, whatever the caller's, and the caller finds its
//! own again, flags included: see [`fenv`](crate::fenv).
//!
//! # Panics
//!
//! A panic in this library is a defect of it. It never unwinds into the caller: an `extern "C"`
//! function prints it and aborts the process, which costs the normal path nothing. Catching it
//! would be worse. C may be half written by then, and where β ≠ 0 its old value is gone, so
//! nobody could compute the call again; BLAS has no way to report failure, so returning would
//! pass off a wrong C as the result. Whatever can fail for reasons outside this library is an
//! error value below the door and ends in the CPU path, not here.

pub mod args;
pub mod control;
pub mod gemm;
pub mod xerbla;
