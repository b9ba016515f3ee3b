//! Accuracy on a device, a board's or a simulated one, of all four types: bit for bit against the
//! slow oracle of the scheme that ran, and in distance from exact results.
//!
//! Run it as `cargo xtask test` does, under npu-sim with `NPUBLAS_OFFLOAD=always`;
//! `cargo xtask campaign accuracy` runs all of it and prints the tables.

mod acceptance;
mod call;
mod certificate;
#[path = "../common/mod.rs"]
mod common;
mod cover;
mod element;
mod families;
mod grades;
mod limits;
mod oracle;
mod peer;
mod random;
mod reference;
mod routes;
