//! x86-64 with AVX-512: 32 registers of 512 bits.
//!
//! Tiles of 3 vectors × 8 columns: 24 accumulators, three registers for A, and B as broadcasts
//! that the FMAs read from memory. Eleven loads for 24 FMAs keep both load ports below their
//! limit.

use super::micro::{self, Operands, Scaling};
use super::vector::Vector;
use super::{Family, Isa, Kernels, MicroKernel};
use crate::cpu::blocking;
use std::arch::x86_64::*;

/// The family.
pub(super) static FAMILY: Family = Family {
    name: "avx512",
    is_available,
    s: MicroKernel::new::<Avx512, F32x16, 3, 1, 8, 48>(blocking::AVX512.s),
    d: MicroKernel::new::<Avx512, F64x8, 3, 1, 8, 24>(blocking::AVX512.d),
    c: MicroKernel::new::<Avx512, F32x16, 3, 2, 4, 24>(blocking::AVX512.c),
    z: MicroKernel::new::<Avx512, F64x8, 3, 2, 4, 12>(blocking::AVX512.z),
};

/// Whether this CPU has the foundation of AVX-512 and the system saves its registers. The
/// standard library asks the CPU once and remembers.
fn is_available() -> bool {
    is_x86_feature_detected!("avx512f")
}

struct Avx512;

impl Isa for Avx512 {
    #[target_feature(enable = "avx512f")]
    unsafe fn micro<T, V, const MV: usize, const P: usize, const NC: usize, const PACKED: bool>(
        x: &Operands<T>,
        scaling: &Scaling<T>,
        c: *mut T,
        ld: isize,
    ) where
        T: Kernels,
        V: Vector<Real = T::Real>,
    {
        // SAFETY: the caller's promises.
        unsafe { micro::micro::<T, V, MV, P, NC, PACKED>(x, scaling, c, ld) }
    }
}

#[derive(Clone, Copy)]
struct F32x16(__m512);

impl Vector for F32x16 {
    type Real = f32;
    type Mask = __mmask16;
    const LANES: usize = 16;

    #[inline(always)]
    unsafe fn zero() -> Self {
        // SAFETY: the CPU has AVX-512, as the trait demands; so in all methods below.
        F32x16(unsafe { _mm512_setzero_ps() })
    }
    #[inline(always)]
    unsafe fn splat(x: f32) -> Self {
        // SAFETY: see `zero`.
        F32x16(unsafe { _mm512_set1_ps(x) })
    }
    #[inline(always)]
    unsafe fn alternate(even: f32, odd: f32) -> Self {
        // SAFETY: see `zero`.
        F32x16(unsafe { _mm512_mask_blend_ps(0xAAAA, _mm512_set1_ps(even), _mm512_set1_ps(odd)) })
    }
    #[inline(always)]
    unsafe fn load(p: *const f32) -> Self {
        // SAFETY: see `zero`; the caller vouches for sixteen readable numbers.
        F32x16(unsafe { _mm512_loadu_ps(p) })
    }
    #[inline(always)]
    unsafe fn store(self, p: *mut f32) {
        // SAFETY: see `zero`; the caller vouches for sixteen writable numbers.
        unsafe { _mm512_storeu_ps(p, self.0) }
    }
    #[inline(always)]
    unsafe fn prefetch(p: *const f32) {
        // SAFETY: a prefetch never faults.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(p.cast()) }
    }
    #[inline(always)]
    unsafe fn mask(lanes: usize) -> __mmask16 {
        __mmask16::MAX >> (16 - lanes)
    }
    #[inline(always)]
    unsafe fn load_masked(p: *const f32, mask: __mmask16) -> Self {
        // SAFETY: see `zero`; lanes that the mask leaves out are not accessed.
        F32x16(unsafe { _mm512_maskz_loadu_ps(mask, p) })
    }
    #[inline(always)]
    unsafe fn mul(self, x: Self) -> Self {
        // SAFETY: see `zero`.
        F32x16(unsafe { _mm512_mul_ps(self.0, x.0) })
    }
    #[inline(always)]
    unsafe fn mul_add(self, x: Self, y: Self) -> Self {
        // SAFETY: see `zero`.
        F32x16(unsafe { _mm512_fmadd_ps(self.0, x.0, y.0) })
    }
    #[inline(always)]
    unsafe fn swap_pairs(self) -> Self {
        // SAFETY: see `zero`.
        F32x16(unsafe { _mm512_permute_ps::<0b10_11_00_01>(self.0) })
    }
}

#[derive(Clone, Copy)]
struct F64x8(__m512d);

impl Vector for F64x8 {
    type Real = f64;
    type Mask = __mmask8;
    const LANES: usize = 8;

    #[inline(always)]
    unsafe fn zero() -> Self {
        // SAFETY: the CPU has AVX-512, as the trait demands; so in all methods below.
        F64x8(unsafe { _mm512_setzero_pd() })
    }
    #[inline(always)]
    unsafe fn splat(x: f64) -> Self {
        // SAFETY: see `zero`.
        F64x8(unsafe { _mm512_set1_pd(x) })
    }
    #[inline(always)]
    unsafe fn alternate(even: f64, odd: f64) -> Self {
        // SAFETY: see `zero`.
        F64x8(unsafe { _mm512_mask_blend_pd(0xAA, _mm512_set1_pd(even), _mm512_set1_pd(odd)) })
    }
    #[inline(always)]
    unsafe fn load(p: *const f64) -> Self {
        // SAFETY: see `zero`; the caller vouches for eight readable numbers.
        F64x8(unsafe { _mm512_loadu_pd(p) })
    }
    #[inline(always)]
    unsafe fn store(self, p: *mut f64) {
        // SAFETY: see `zero`; the caller vouches for eight writable numbers.
        unsafe { _mm512_storeu_pd(p, self.0) }
    }
    #[inline(always)]
    unsafe fn prefetch(p: *const f64) {
        // SAFETY: a prefetch never faults.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(p.cast()) }
    }
    #[inline(always)]
    unsafe fn mask(lanes: usize) -> __mmask8 {
        __mmask8::MAX >> (8 - lanes)
    }
    #[inline(always)]
    unsafe fn load_masked(p: *const f64, mask: __mmask8) -> Self {
        // SAFETY: see `zero`; lanes that the mask leaves out are not accessed.
        F64x8(unsafe { _mm512_maskz_loadu_pd(mask, p) })
    }
    #[inline(always)]
    unsafe fn mul(self, x: Self) -> Self {
        // SAFETY: see `zero`.
        F64x8(unsafe { _mm512_mul_pd(self.0, x.0) })
    }
    #[inline(always)]
    unsafe fn mul_add(self, x: Self, y: Self) -> Self {
        // SAFETY: see `zero`.
        F64x8(unsafe { _mm512_fmadd_pd(self.0, x.0, y.0) })
    }
    #[inline(always)]
    unsafe fn swap_pairs(self) -> Self {
        // SAFETY: see `zero`.
        F64x8(unsafe { _mm512_permute_pd::<0b01_01_01_01>(self.0) })
    }
}
