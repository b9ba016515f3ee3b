//! Random calls of every spelling of gemm through the exported symbols, beside the reference
//! BLAS and an exact oracle, with operands between pages that nobody may touch.
//!
//! `DIFFERENTIAL_CALLS` sets the number of calls, 3,000 in `cargo xtask campaign differential`,
//! which runs this on the CPU and on a simulated NPU. From that number on, some are large.

#[path = "../abi_support/mod.rs"]
mod abi_support;
mod case;
#[path = "../common/mod.rs"]
mod common;
mod memory;
#[path = "../cpu_gemm/oracle.rs"]
mod oracle;

use abi_support::call::load;
use abi_support::{gemm_spellings, skip};
use case::{Any, Case};
use common::data::Rng;
use libloading::Library;
use npublas::abi::control::Statistics;
use npublas::{c32, c64};

/// Calls in `cargo test`.
const FEW: usize = 400;

/// Calls from which on sizes reach 1,200.
const MANY: usize = 3000;

/// Debian's reference BLAS, wherever `libblas.so.3` itself points.
fn reference() -> Option<Library> {
    let path = format!("/usr/lib/{}-linux-gnu/blas/libblas.so.3", std::env::consts::ARCH);
    // SAFETY: a BLAS library runs nothing at load that could hurt this program.
    let library = unsafe { Library::new(&path) }.ok();
    if library.is_none() {
        skip(&format!("no reference BLAS at {path}; Debian's libblas3 has it"));
    }
    library
}

fn statistics(library: &Library) -> Statistics {
    // SAFETY: a structure of integers.
    let mut statistics: Statistics = unsafe { std::mem::zeroed() };
    statistics.size = size_of::<Statistics>();
    type Get = unsafe extern "C" fn(*mut Statistics) -> std::ffi::c_int;
    // SAFETY: the signature of `npublas.h`.
    let done = unsafe { library.get::<Get>(b"npublas_get_statistics\0").unwrap()(&mut statistics) };
    assert_eq!(done, 0);
    statistics
}

fn compare_with_the_reference<T: Any>() {
    let Some(reference) = reference() else { return };
    let number = std::env::var("DIFFERENTIAL_CALLS").ok();
    let number: usize = number.map_or(FEW, |number| number.parse().expect("a number of calls"));
    let largest = if number < MANY { 250 } else { 1200 };
    let library = load();
    let mut spellings = gemm_spellings();
    spellings.retain(|spelling| spelling.letter == T::LETTER);
    let mut rng = Rng::new(u64::from(T::LETTER));
    // A quarter of the calls for each of the four types.
    for (i, spelling) in (0..number / 4).zip(spellings.iter().cycle()) {
        let case = Case::<T>::random(spelling, largest, &mut rng);
        if std::env::var_os("DIFFERENTIAL_SHOW").is_some() {
            // A fence ends the process: the last line names the call.
            eprintln!("call {i}, {}: {}", spelling.name, case.describe());
        }
        let got = case.run(&library, spelling);
        case.judge(&got, &reference, &mut rng);
    }
    let Statistics { npu_calls, declined, jobs, retried, repaired, .. } = statistics(&library);
    println!(
        "{}gemm: {} calls, of all types so far {npu_calls} by the NPU, {declined} declined, \
         {jobs} jobs, {retried} blocks retried, {repaired} repaired",
        T::LETTER,
        number / 4
    );
    let forced = std::env::var("NPUBLAS_OFFLOAD").is_ok_and(|offload| offload == "always");
    if forced && T::LETTER == 's' && common::device::ready() {
        assert!(npu_calls > declined, "the NPU was forced");
    }
}

#[test]
fn sgemm() {
    compare_with_the_reference::<f32>();
}

#[test]
fn dgemm() {
    compare_with_the_reference::<f64>();
}

#[test]
fn cgemm() {
    compare_with_the_reference::<c32>();
}

#[test]
fn zgemm() {
    compare_with_the_reference::<c64>();
}
