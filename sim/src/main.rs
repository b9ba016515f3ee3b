//! The command `npu-sim`.

fn main() {}
