//! What is left of a call that nobody verifies: the addition of the sums.

use npublas::npu::scheme::Scheme;
use npublas::npu::verify::Challenge;
#[cfg(target_arch = "x86_64")]
use npublas::npu::widest::Width;
use std::ops::Range;

/// Believes everything.
#[derive(Debug)]
pub struct Unverified;

impl Challenge for Unverified {
    type Running = ();
    type Projection = ();
    type Seen = ();
    type Expected = ();

    fn draw(_: usize, _: &Scheme) -> Unverified {
        Unverified
    }
    fn start(&self, _: usize, (): &mut ()) {}
    fn add_columns(&self, _: Range<usize>, _: &[i8], _: usize, (): &mut ()) {}
    fn merge(&self, (): &mut (), (): &()) {}
    fn combine(&self, _: &Scheme, (): &(), _: usize) {}
    fn expect(_: &[i8], (): &()) {}
    fn observe(&self, _: usize, _: usize, row: &[i32], sums: &mut [i64], (): &mut ()) {
        add(row, sums);
    }
    fn confirms((): &(), (): &()) -> bool {
        true
    }
}

/// `sums += row`, for the instruction set that the library's loops would take.
fn add(row: &[i32], sums: &mut [i64]) {
    #[cfg(target_arch = "x86_64")]
    {
        #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]
        fn avx512(row: &[i32], sums: &mut [i64]) {
            add_any(row, sums);
        }
        #[target_feature(enable = "avx2,fma")]
        fn avx2(row: &[i32], sums: &mut [i64]) {
            add_any(row, sums);
        }
        if Width::Avx512.is_available() {
            // SAFETY: the CPU has the features, as was just asked.
            return unsafe { avx512(row, sums) };
        }
        if Width::Avx2.is_available() {
            // SAFETY: the CPU has the features, as was just asked.
            return unsafe { avx2(row, sums) };
        }
    }
    add_any(row, sums);
}

#[inline(always)]
fn add_any(row: &[i32], sums: &mut [i64]) {
    for (sum, &result) in sums.iter_mut().zip(row) {
        *sum = sum.wrapping_add(i64::from(result));
    }
}
