//! x86-64 with AVX2: 16 registers of 256 bits.
//!
//! `vpmaddwd` multiplies pairs of 16-bit numbers and adds the two products, exactly; a second
//! instruction adds that to the sum. `vpmaddubsw`, which would take twice as many digits at once,
//! saturates. Tiles of 6 rows × 2 vectors: twelve accumulators, two registers of columns, one of a
//! row and one for the products.

use super::dot::Dot;
use super::micro::{self, Pair, Tile};
use super::{Family, Isa};
use std::arch::x86_64::*;

/// The family.
pub(super) static FAMILY: Family =
    Family::new::<Avx2, I32x8, 6, 2, 16, 2>(("avx2", "avx2"), is_available, 512);

/// Whether this CPU has AVX2 and FMA, as all CPU kernels of that level want it. The standard
/// library asks the CPU once and remembers.
fn is_available() -> bool {
    is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma")
}

struct Avx2;

impl Isa for Avx2 {
    #[target_feature(enable = "avx2")]
    unsafe fn micro<V: Dot, const MR: usize, const NV: usize>(
        pairs: &[Pair],
        steps: usize,
        tile: &mut Tile,
    ) {
        // SAFETY: the caller's promises.
        unsafe { micro::micro::<V, MR, NV>(pairs, steps, tile) }
    }
}

#[derive(Clone, Copy)]
struct I32x8(__m256i);

impl Dot for I32x8 {
    type A = i16;
    type B = i16;
    type Digits = __m256i;
    const LANES: usize = 8;
    const RUN: usize = 2;

    #[inline(always)]
    unsafe fn splat(sum: i32) -> Self {
        // SAFETY: the CPU has AVX2, as the trait demands; so in all methods below.
        I32x8(unsafe { _mm256_set1_epi32(sum) })
    }
    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        // SAFETY: see `splat`.
        I32x8(unsafe { _mm256_add_epi32(self.0, other.0) })
    }
    #[inline(always)]
    unsafe fn store(self, p: *mut i32) {
        // SAFETY: see `splat`; the caller vouches for eight writable, aligned numbers.
        unsafe { _mm256_store_si256(p.cast(), self.0) }
    }
    #[inline(always)]
    unsafe fn load(p: *const i16) -> __m256i {
        // SAFETY: see `splat`; the caller vouches for sixteen readable digits.
        unsafe { _mm256_loadu_si256(p.cast()) }
    }
    #[inline(always)]
    unsafe fn broadcast(p: *const i16) -> __m256i {
        // SAFETY: see `splat`; the caller vouches for two readable digits.
        unsafe { _mm256_set1_epi32(p.cast::<i32>().read_unaligned()) }
    }
    #[inline(always)]
    unsafe fn dot(self, b: __m256i, a: __m256i) -> Self {
        // SAFETY: see `splat`.
        I32x8(unsafe { _mm256_add_epi32(self.0, _mm256_madd_epi16(b, a)) })
    }
}
