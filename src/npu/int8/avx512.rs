//! x86-64 with AVX-512: 32 registers of 512 bits.
//!
//! VNNI's `vpdpbusd` adds four products of unsigned by signed bytes to a sum of 32 bits, without
//! saturation: digits of B are kept as d + 128. Without VNNI, `vpmaddwd` does for two products of
//! 16-bit numbers what it does in [`super::avx2`].
//!
//! Tiles of 8 rows × 3 vectors: 24 accumulators, three registers of columns, and one row after
//! the other as a broadcast: eleven loads for 24 products of vectors.

use super::dot::Dot;
use super::micro::{self, Pair, Tile};
use super::{Family, Isa};
use std::arch::x86_64::*;

/// With VNNI.
pub(super) static VNNI: Family =
    Family::new::<Vnni, Quads, 8, 3, 48, 4>(("avx512-vnni", "avx512"), has_vnni, 512);

/// With instructions for 16-bit numbers.
pub(super) static BW: Family =
    Family::new::<Bw, Pairs, 8, 3, 48, 2>(("avx512-bw", "avx512"), has_bw, 256);

/// The standard library asks the CPU once and remembers.
fn has_vnni() -> bool {
    is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512vnni")
}

fn has_bw() -> bool {
    is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512bw")
}

struct Vnni;

impl Isa for Vnni {
    #[target_feature(enable = "avx512f,avx512vnni")]
    unsafe fn micro<V: Dot, const MR: usize, const NV: usize>(
        pairs: &[Pair],
        steps: usize,
        tile: &mut Tile,
    ) {
        // SAFETY: the caller's promises.
        unsafe { micro::micro::<V, MR, NV>(pairs, steps, tile) }
    }
}

struct Bw;

impl Isa for Bw {
    #[target_feature(enable = "avx512f,avx512bw")]
    unsafe fn micro<V: Dot, const MR: usize, const NV: usize>(
        pairs: &[Pair],
        steps: usize,
        tile: &mut Tile,
    ) {
        // SAFETY: the caller's promises.
        unsafe { micro::micro::<V, MR, NV>(pairs, steps, tile) }
    }
}

/// Sums that take four digits at once.
#[derive(Clone, Copy)]
struct Quads(__m512i);

impl Dot for Quads {
    type A = i8;
    type B = u8;
    type Digits = __m512i;
    const LANES: usize = 16;
    const RUN: usize = 4;

    #[inline(always)]
    unsafe fn splat(sum: i32) -> Self {
        // SAFETY: the CPU has AVX-512 with VNNI, as the trait demands; so in all methods below.
        Quads(unsafe { _mm512_set1_epi32(sum) })
    }
    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        // SAFETY: see `splat`.
        Quads(unsafe { _mm512_add_epi32(self.0, other.0) })
    }
    #[inline(always)]
    unsafe fn store(self, p: *mut i32) {
        // SAFETY: see `splat`; the caller vouches for sixteen writable, aligned numbers.
        unsafe { _mm512_store_si512(p.cast(), self.0) }
    }
    #[inline(always)]
    unsafe fn load(p: *const u8) -> __m512i {
        // SAFETY: see `splat`; the caller vouches for 64 readable digits.
        unsafe { _mm512_loadu_si512(p.cast()) }
    }
    #[inline(always)]
    unsafe fn broadcast(p: *const i8) -> __m512i {
        // SAFETY: see `splat`; the caller vouches for four readable digits.
        unsafe { _mm512_set1_epi32(p.cast::<i32>().read_unaligned()) }
    }
    #[inline(always)]
    unsafe fn dot(self, b: __m512i, a: __m512i) -> Self {
        // SAFETY: see `splat`.
        Quads(unsafe { _mm512_dpbusd_epi32(self.0, b, a) })
    }
}

/// Sums that take two digits at once.
#[derive(Clone, Copy)]
struct Pairs(__m512i);

impl Dot for Pairs {
    type A = i16;
    type B = i16;
    type Digits = __m512i;
    const LANES: usize = 16;
    const RUN: usize = 2;

    #[inline(always)]
    unsafe fn splat(sum: i32) -> Self {
        // SAFETY: the CPU has AVX-512 with BW, as the trait demands; so in all methods below.
        Pairs(unsafe { _mm512_set1_epi32(sum) })
    }
    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        // SAFETY: see `splat`.
        Pairs(unsafe { _mm512_add_epi32(self.0, other.0) })
    }
    #[inline(always)]
    unsafe fn store(self, p: *mut i32) {
        // SAFETY: see `splat`; the caller vouches for sixteen writable, aligned numbers.
        unsafe { _mm512_store_si512(p.cast(), self.0) }
    }
    #[inline(always)]
    unsafe fn load(p: *const i16) -> __m512i {
        // SAFETY: see `splat`; the caller vouches for 32 readable digits.
        unsafe { _mm512_loadu_si512(p.cast()) }
    }
    #[inline(always)]
    unsafe fn broadcast(p: *const i16) -> __m512i {
        // SAFETY: see `splat`; the caller vouches for two readable digits.
        unsafe { _mm512_set1_epi32(p.cast::<i32>().read_unaligned()) }
    }
    #[inline(always)]
    unsafe fn dot(self, b: __m512i, a: __m512i) -> Self {
        // SAFETY: see `splat`.
        Pairs(unsafe { _mm512_add_epi32(self.0, _mm512_madd_epi16(b, a)) })
    }
}
