//! 64-bit Arm: 32 registers of 128 bits.
//!
//! `sdot` adds four products of signed bytes to a sum of 32 bits; most CPUs since 2018 have it.
//! Every CPU has `smlal` for 16-bit numbers, one product per sum. The byte form of `smlal` sums in
//! 16 bits, which (-128)·(-128) + (-128)·(-128) leaves.
//!
//! Tiles of 8 rows × 3 vectors: 24 accumulators, three registers of columns, and one row after
//! the other as a broadcast from memory.

use super::dot::Dot;
use super::micro::{self, Pair, Tile};
use super::{Family, Isa};
use std::arch::aarch64::*;
use std::arch::{asm, is_aarch64_feature_detected};

/// With dot products.
pub(super) static DOT: Family =
    Family::new::<Dotprod, Quads, 8, 3, 12, 4>(("neon-dotprod", "neon"), has_dot, 1024);

/// Without.
pub(super) static PLAIN: Family =
    Family::new::<Neon, Singles, 8, 3, 12, 1>(("neon", "neon"), has_neon, 512);

/// The standard library asks the system once and remembers.
fn has_dot() -> bool {
    has_neon() && is_aarch64_feature_detected!("dotprod")
}

fn has_neon() -> bool {
    is_aarch64_feature_detected!("neon")
}

struct Dotprod;

impl Isa for Dotprod {
    #[target_feature(enable = "neon,dotprod")]
    unsafe fn micro<V: Dot, const MR: usize, const NV: usize>(
        pairs: &[Pair],
        steps: usize,
        tile: &mut Tile,
    ) {
        // SAFETY: the caller's promises.
        unsafe { micro::micro::<V, MR, NV>(pairs, steps, tile) }
    }
}

struct Neon;

impl Isa for Neon {
    #[target_feature(enable = "neon")]
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
struct Quads(int32x4_t);

impl Dot for Quads {
    type A = i8;
    type B = i8;
    type Digits = int8x16_t;
    const LANES: usize = 4;
    const RUN: usize = 4;

    #[inline(always)]
    unsafe fn splat(sum: i32) -> Self {
        // SAFETY: the CPU has NEON with dot products, as the trait demands; so in all methods
        // below.
        Quads(unsafe { vdupq_n_s32(sum) })
    }
    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        // SAFETY: see `splat`.
        Quads(unsafe { vaddq_s32(self.0, other.0) })
    }
    #[inline(always)]
    unsafe fn store(self, p: *mut i32) {
        // SAFETY: see `splat`; the caller vouches for four writable numbers.
        unsafe { vst1q_s32(p, self.0) }
    }
    #[inline(always)]
    unsafe fn load(p: *const i8) -> int8x16_t {
        // SAFETY: see `splat`; the caller vouches for sixteen readable digits.
        unsafe { vld1q_s8(p) }
    }
    #[inline(always)]
    unsafe fn broadcast(p: *const i8) -> int8x16_t {
        // SAFETY: see `splat`; the caller vouches for four readable digits, and runs of four lie
        // at multiples of four bytes.
        unsafe { vreinterpretq_s8_s32(vld1q_dup_s32(p.cast())) }
    }
    #[inline(always)]
    unsafe fn dot(self, b: int8x16_t, a: int8x16_t) -> Self {
        let mut sum = self.0;
        // The intrinsic is not stable.
        // SAFETY: see `splat`; the instruction changes nothing but its sum.
        unsafe {
            asm!(
                "sdot {sum:v}.4s, {b:v}.16b, {a:v}.16b",
                sum = inout(vreg) sum,
                b = in(vreg) b,
                a = in(vreg) a,
                options(pure, nomem, nostack, preserves_flags),
            );
        }
        Quads(sum)
    }
}

/// Sums that take one digit at a time.
#[derive(Clone, Copy)]
struct Singles(int32x4_t);

impl Dot for Singles {
    type A = i16;
    type B = i16;
    type Digits = int16x4_t;
    const LANES: usize = 4;
    const RUN: usize = 1;

    #[inline(always)]
    unsafe fn splat(sum: i32) -> Self {
        // SAFETY: the CPU has NEON, as the trait demands; so in all methods below.
        Singles(unsafe { vdupq_n_s32(sum) })
    }
    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        // SAFETY: see `splat`.
        Singles(unsafe { vaddq_s32(self.0, other.0) })
    }
    #[inline(always)]
    unsafe fn store(self, p: *mut i32) {
        // SAFETY: see `splat`; the caller vouches for four writable numbers.
        unsafe { vst1q_s32(p, self.0) }
    }
    #[inline(always)]
    unsafe fn load(p: *const i16) -> int16x4_t {
        // SAFETY: see `splat`; the caller vouches for four readable digits.
        unsafe { vld1_s16(p) }
    }
    #[inline(always)]
    unsafe fn broadcast(p: *const i16) -> int16x4_t {
        // SAFETY: see `splat`; the caller vouches for one readable digit.
        unsafe { vld1_dup_s16(p) }
    }
    #[inline(always)]
    unsafe fn dot(self, b: int16x4_t, a: int16x4_t) -> Self {
        // SAFETY: see `splat`.
        Singles(unsafe { vmlal_s16(self.0, b, a) })
    }
}
