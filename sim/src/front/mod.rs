//! Front-ends: how a program comes to see the node.
//!
//! [`seccomp`] needs nothing but an ordinary Linux process. A second front-end has its place here:
//! `uml`, the oracle, which puts the chip model behind the registers of the real, unmodified
//! driver in a User-Mode-Linux kernel.

pub mod seccomp;
