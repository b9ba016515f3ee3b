//! Inside a parallel region of OpenMP every call stays on its thread.

mod abi_support;

use abi_support::{build_c, built, output_of, source};

#[test]
fn no_helpers_in_a_parallel_region() {
    let flags = ["-fopenmp", "-D_POSIX_C_SOURCE=200809L"];
    let Some(program) = build_c(&source("tests/abi_openmp.c"), "abi_openmp", &flags) else {
        return;
    };
    let said =
        output_of(built(&program).env("NPUBLAS_NUM_THREADS", "2").env("NPUBLAS_OFFLOAD", "never"));
    assert_eq!(said, "inside: 0 wrong, 0 helpers\noutside: 0 wrong, 1 helpers\n");
}
