//! Compute modes and reproducibility through C: whom a setting holds for, and that values that are
//! none change and say nothing.

mod abi_support;

use abi_support::{build_c, built, source};

const STEPS: &str = "\
environment: 3 1
-1 -1
process: 2 0
-1 -1
thread: 1 1
another thread: 2 0
-1 -1
of its own: 4 1
this one again: 1 1
-2 -2 -2 -2 -2 -2 -2 -2 -2 -2
still: 1 1
1 1
as the process: 2 0
2 0
as the environment: 3 1
-1 -1
";

#[test]
fn a_setting_holds_for_its_scope() {
    let Some(program) = build_c(&source("tests/abi_modes.c"), "abi_modes", &["-pthread"]) else {
        return;
    };
    let output = built(&program)
        .env("NPUBLAS_COMPUTE_MODE", "low")
        .env("NPUBLAS_REPRODUCIBLE", "on")
        .env("NPUBLAS_VERBOSE", "1")
        .env("NPUBLAS_OFFLOAD", "never")
        .output()
        .expect("it starts");
    assert!(output.status.success());
    assert_eq!(String::from_utf8_lossy(&output.stdout), STEPS);

    // One line per product and none about bad values; what is not the default is said.
    let said = String::from_utf8_lossy(&output.stderr);
    let words: Vec<&str> = said
        .lines()
        .map(|line| {
            let words = line.strip_prefix("NPUBLAS sgemm m=2 n=2 k=2 route=cpu reason=never");
            words.and_then(|words| words.split(" ms=").next()).expect("a line of a product")
        })
        .collect();
    assert_eq!(words, [" mode=strict reproducible=on", " mode=fast", ""], "{said}");
}
