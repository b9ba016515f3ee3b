//! What several test programs share: data families, the slow oracle, the library's numerics
//! without a device.
#![allow(dead_code, reason = "every test program uses its own part")]

pub mod data;
pub mod device;
pub mod emulation;
pub mod exact;
pub mod flushing;
pub mod oracle;
