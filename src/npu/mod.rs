//! The NPU path: how a floating-point product becomes exact device work.
//!
//! * [`scheme`] splits operands into int8 digit planes and recombines the integer products;
//! * [`guard`] proves, per call, that the result meets the error bound of a conventional GEMM;
//! * [`verify`] proves, per block, that the device computed what it was told;
//! * [`int8`] computes on the host what a device computes;
//! * [`chip`] and [`rk3588`] know registers and layouts; [`driver`] and [`drm`] know ioctls;
//! * [`engine`] runs a call over all of them.

pub mod chip;
pub mod driver;
pub mod drm;
pub mod engine;
pub mod guard;
pub mod int8;
pub mod pool;
pub mod rk3588;
pub mod scheme;
pub mod verify;
pub mod widest;
