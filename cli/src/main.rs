//! The command `npublas`.

fn main() {}
