//! What several test programs share: data families and the slow oracle.
#![allow(dead_code, reason = "every test program uses its own part")]

pub mod data;
pub mod oracle;
