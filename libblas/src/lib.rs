//! `libblas.so.3`: the full library that programs link to with `-lblas`.
//!
//! It re-exports every symbol of the preload library. Levels 1 and 2, `xerbla_` and the
//! control functions join it here, because the preload library must not carry them.

// A cdylib keeps the `no_mangle` symbols of a crate below it only if it mentions that crate.
use npublas as _;
