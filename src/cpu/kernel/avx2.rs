//! x86-64 with AVX2 and FMA: 16 registers of 256 bits.
//!
//! Tiles of 2 vectors × 6 columns: 12 accumulators, two registers for A, one or two for the
//! broadcasts of B. Two FMAs per cycle of four or five cycles' latency want ten accumulators at
//! least.

use super::dot::{self, Lines};
use super::micro::{self, Scaling};
use super::sum::{Operands, Reading};
use super::vector::Vector;
use super::{Family, Isa, Kernels, MicroKernel};
use crate::cpu::blocking;
use crate::cpu::pack::{self, Turn};
use crate::scalar::Scalar;
use std::arch::x86_64::*;

/// The family.
pub(super) static FAMILY: Family = Family {
    name: "avx2",
    is_available,
    is_best: || true,
    s: MicroKernel::new::<Avx2, F32x8, F32x8, 2, 1, 6, 16, 4, 3>(blocking::AVX2.s),
    d: MicroKernel::new::<Avx2, F64x4, F64x4, 2, 1, 6, 8, 4, 3>(blocking::AVX2.d),
    c: MicroKernel::new::<Avx2, F32x8, F32x8, 2, 2, 3, 8, 2, 2>(blocking::AVX2.c),
    z: MicroKernel::new::<Avx2, F64x4, F64x4, 2, 2, 3, 4, 2, 2>(blocking::AVX2.z),
};

/// Whether this CPU has AVX2 and FMA and the system saves their registers. The standard library
/// asks the CPU once and remembers.
fn is_available() -> bool {
    is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma")
}

pub(super) struct Avx2;

impl Isa for Avx2 {
    const SUMS: usize = 12;

    #[target_feature(enable = "avx2,fma")]
    unsafe fn pack<T: Scalar, const W: usize>(
        src: *const T,
        across: isize,
        along: isize,
        lines: usize,
        k: usize,
        dst: *mut T,
    ) {
        // SAFETY: the caller's promises.
        unsafe { pack::panel::<T, Self, W>(src, across, along, lines, k, dst) }
    }

    #[target_feature(enable = "avx2,fma")]
    unsafe fn micro<T, V, R, const MV: usize, const P: usize, const NC: usize>(
        x: &Operands<T>,
        scaling: &Scaling<T>,
        c: *mut T,
        ld: isize,
    ) where
        T: Kernels,
        V: Vector<Real = T::Real>,
        R: Reading,
    {
        // SAFETY: the caller's promises.
        unsafe { micro::micro::<T, Self, V, R, MV, P, NC>(x, scaling, c, ld) }
    }

    #[target_feature(enable = "avx2,fma")]
    unsafe fn dot<T, V, const P: usize, const R: usize, const C: usize, const U: usize>(
        lines: &Lines<T>,
        scaling: &Scaling<T>,
        c: *mut T,
        strides: (isize, isize),
    ) where
        T: Kernels,
        V: Vector<Real = T::Real>,
    {
        // SAFETY: the caller's promises.
        unsafe { dot::dot::<T, V, P, R, C, U>(lines, scaling, c, strides) }
    }
}

impl Turn for Avx2 {
    const SIDE_BYTES: usize = 32;
    type Half = Self;

    #[inline(always)]
    unsafe fn turn<T: Scalar>(
        src: *const T,
        across: isize,
        lines: usize,
        dst: *mut T,
        step: usize,
    ) {
        // A line that does not exist is a second copy of the last one that does.
        let line = |w: usize| src.wrapping_offset(w.min(lines - 1) as isize * across);
        let row = |l: usize| dst.wrapping_add(l * step);
        // SAFETY: the CPU has AVX2; lines and rows are those that the caller vouches for.
        unsafe {
            match size_of::<T>() {
                4 => turn_4(|w| line(w).cast(), |l| row(l).cast()),
                8 => turn_8(|w| line(w).cast(), |l| row(l).cast()),
                _ => turn_16(|w| line(w).cast(), |l| row(l).cast()),
            }
        }
    }
}

/// Halves of two lines as one vector.
///
/// # Safety
/// The CPU has AVX2, and 16 bytes can be read at both places.
#[inline(always)]
unsafe fn halves<T>(low: *const T, high: *const T) -> __m256 {
    // SAFETY: the caller's promise.
    unsafe { _mm256_loadu2_m128(high.cast(), low.cast()) }
}

/// Turns 8 × 8 elements of 4 bytes.
///
/// # Safety
/// The CPU has AVX2; every line can be read and every row written for 32 bytes.
#[inline(always)]
unsafe fn turn_4(line: impl Fn(usize) -> *const f32, row: impl Fn(usize) -> *mut f32) {
    for half in 0..2 {
        // SAFETY: the caller's promise.
        unsafe {
            let at = |w| halves(line(w).add(4 * half), line(w + 4).add(4 * half));
            let (a, b, c, d) = (at(0), at(1), at(2), at(3));
            let (ab_low, ab_high) = (_mm256_unpacklo_ps(a, b), _mm256_unpackhi_ps(a, b));
            let (cd_low, cd_high) = (_mm256_unpacklo_ps(c, d), _mm256_unpackhi_ps(c, d));
            let rows = [
                _mm256_shuffle_ps::<0b01_00_01_00>(ab_low, cd_low),
                _mm256_shuffle_ps::<0b11_10_11_10>(ab_low, cd_low),
                _mm256_shuffle_ps::<0b01_00_01_00>(ab_high, cd_high),
                _mm256_shuffle_ps::<0b11_10_11_10>(ab_high, cd_high),
            ];
            for (l, x) in rows.into_iter().enumerate() {
                _mm256_storeu_ps(row(4 * half + l), x);
            }
        }
    }
}

/// Turns 4 × 4 elements of 8 bytes.
///
/// # Safety
/// As for [`turn_4`].
#[inline(always)]
unsafe fn turn_8(line: impl Fn(usize) -> *const f64, row: impl Fn(usize) -> *mut f64) {
    for half in 0..2 {
        // SAFETY: the caller's promise.
        unsafe {
            let at = |w| _mm256_castps_pd(halves(line(w).add(2 * half), line(w + 2).add(2 * half)));
            let (a, b) = (at(0), at(1));
            _mm256_storeu_pd(row(2 * half), _mm256_unpacklo_pd(a, b));
            _mm256_storeu_pd(row(2 * half + 1), _mm256_unpackhi_pd(a, b));
        }
    }
}

/// Turns 2 × 2 elements of 16 bytes.
///
/// # Safety
/// As for [`turn_4`].
#[inline(always)]
unsafe fn turn_16(line: impl Fn(usize) -> *const [f32; 4], row: impl Fn(usize) -> *mut f32) {
    for l in 0..2 {
        // SAFETY: the caller's promise.
        unsafe { _mm256_storeu_ps(row(l), halves(line(0).add(l), line(1).add(l))) };
    }
}

/// [`Vector::fold`] of eight numbers.
///
/// # Safety
/// The CPU has AVX.
#[inline(always)]
pub(super) unsafe fn fold_8(x: __m256) -> [f32; 2] {
    // SAFETY: the caller's promise; two numbers are as long as half a vector of four.
    unsafe {
        let four = _mm_add_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps::<1>(x));
        let two = _mm_add_ps(four, _mm_movehl_ps(four, four));
        let mut lanes = [0.0; 2];
        _mm_storel_pd(lanes.as_mut_ptr().cast(), _mm_castps_pd(two));
        lanes
    }
}

/// [`Vector::fold`] of four numbers.
///
/// # Safety
/// The CPU has AVX.
#[inline(always)]
pub(super) unsafe fn fold_4(x: __m256d) -> [f64; 2] {
    // SAFETY: the caller's promise; two numbers are as long as a vector of two.
    unsafe {
        let two = _mm_add_pd(_mm256_castpd256_pd128(x), _mm256_extractf128_pd::<1>(x));
        let mut lanes = [0.0; 2];
        _mm_storeu_pd(lanes.as_mut_ptr(), two);
        lanes
    }
}

/// [`Vector::pair_sums`] of eight numbers.
///
/// # Safety
/// The CPU has AVX2.
#[inline(always)]
pub(super) unsafe fn pair_sums_8(x: __m256, y: __m256) -> __m256 {
    // SAFETY: the caller's promise.
    unsafe {
        let even = _mm256_shuffle_ps::<0b10_00_10_00>(x, y);
        let odd = _mm256_shuffle_ps::<0b11_01_11_01>(x, y);
        // Two sums of x, two of y, two of x, two of y.
        let sums = _mm256_castps_pd(_mm256_add_ps(even, odd));
        _mm256_castpd_ps(_mm256_permute4x64_pd::<0b11_01_10_00>(sums))
    }
}

/// [`Vector::pair_sums`] of four numbers.
///
/// # Safety
/// The CPU has AVX2.
#[inline(always)]
pub(super) unsafe fn pair_sums_4(x: __m256d, y: __m256d) -> __m256d {
    // SAFETY: the caller's promise.
    unsafe {
        // A sum of x, one of y, one of x, one of y.
        let sums = _mm256_add_pd(_mm256_unpacklo_pd(x, y), _mm256_unpackhi_pd(x, y));
        _mm256_permute4x64_pd::<0b11_01_10_00>(sums)
    }
}

/// The first lanes of a vector: as a vector for loads, and counted, in lanes of 32 bits, for stores. A
/// masked store takes AMD's CPUs up to Zen 4 ten times as long as the few that write the same lanes.
#[derive(Clone, Copy)]
struct First {
    mask: __m256i,
    lanes: usize,
}

#[derive(Clone, Copy)]
struct F32x8(__m256);

impl Vector for F32x8 {
    type Real = f32;
    type Mask = First;
    const LANES: usize = 8;

    #[inline(always)]
    unsafe fn zero() -> Self {
        // SAFETY: the CPU has AVX2 and FMA, as the trait demands; so in all methods below.
        F32x8(unsafe { _mm256_setzero_ps() })
    }
    #[inline(always)]
    unsafe fn splat(x: f32) -> Self {
        // SAFETY: see `zero`.
        F32x8(unsafe { _mm256_set1_ps(x) })
    }
    #[inline(always)]
    unsafe fn alternate(even: f32, odd: f32) -> Self {
        // SAFETY: see `zero`.
        F32x8(unsafe { _mm256_setr_ps(even, odd, even, odd, even, odd, even, odd) })
    }
    #[inline(always)]
    unsafe fn load(p: *const f32) -> Self {
        // SAFETY: see `zero`; the caller vouches for eight readable numbers.
        F32x8(unsafe { _mm256_loadu_ps(p) })
    }
    #[inline(always)]
    unsafe fn store(self, p: *mut f32) {
        // SAFETY: see `zero`; the caller vouches for eight writable numbers.
        unsafe { _mm256_storeu_ps(p, self.0) }
    }
    #[inline(always)]
    unsafe fn prefetch(p: *const f32) {
        // SAFETY: a prefetch never faults.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(p.cast()) }
    }
    #[inline(always)]
    unsafe fn prefetch_far(p: *const f32) {
        // SAFETY: a prefetch never faults.
        unsafe { _mm_prefetch::<_MM_HINT_T1>(p.cast()) }
    }
    #[inline(always)]
    unsafe fn mask(lanes: usize) -> First {
        // SAFETY: see `zero`.
        let mask = unsafe {
            let index = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
            _mm256_cmpgt_epi32(_mm256_set1_epi32(lanes as i32), index)
        };
        First { mask, lanes }
    }
    #[inline(always)]
    unsafe fn load_masked(p: *const f32, First { mask, .. }: First) -> Self {
        // SAFETY: see `zero`; lanes that the mask leaves out are not accessed.
        F32x8(unsafe { _mm256_maskload_ps(p, mask) })
    }
    #[inline(always)]
    unsafe fn store_masked(self, p: *mut f32, First { lanes, .. }: First) {
        // SAFETY: see `zero`; every store begins with the lanes that those before it left, and is no
        // longer than what then remains.
        unsafe {
            if lanes == Self::LANES {
                return self.store(p);
            }
            let mut rest = _mm256_castps256_ps128(self.0);
            if lanes & 4 != 0 {
                _mm_storeu_ps(p, rest);
                rest = _mm256_extractf128_ps::<1>(self.0);
            }
            if lanes & 2 != 0 {
                _mm_storel_pd(p.add(lanes & 4).cast(), _mm_castps_pd(rest));
                rest = _mm_movehl_ps(rest, rest);
            }
            if lanes & 1 != 0 {
                _mm_store_ss(p.add(lanes & 6), rest);
            }
        }
    }
    #[inline(always)]
    unsafe fn mul(self, x: Self) -> Self {
        // SAFETY: see `zero`.
        F32x8(unsafe { _mm256_mul_ps(self.0, x.0) })
    }
    #[inline(always)]
    unsafe fn mul_add(self, x: Self, y: Self) -> Self {
        // SAFETY: see `zero`.
        F32x8(unsafe { _mm256_fmadd_ps(self.0, x.0, y.0) })
    }
    #[inline(always)]
    unsafe fn swap_pairs(self) -> Self {
        // SAFETY: see `zero`.
        F32x8(unsafe { _mm256_permute_ps::<0b10_11_00_01>(self.0) })
    }
    #[inline(always)]
    unsafe fn pair_sums(self, other: Self) -> Self {
        // SAFETY: see `zero`.
        F32x8(unsafe { pair_sums_8(self.0, other.0) })
    }
    #[inline(always)]
    unsafe fn fold(self) -> [f32; 2] {
        // SAFETY: see `zero`.
        unsafe { fold_8(self.0) }
    }
}

#[derive(Clone, Copy)]
struct F64x4(__m256d);

impl Vector for F64x4 {
    type Real = f64;
    type Mask = First;
    const LANES: usize = 4;

    #[inline(always)]
    unsafe fn zero() -> Self {
        // SAFETY: the CPU has AVX2 and FMA, as the trait demands; so in all methods below.
        F64x4(unsafe { _mm256_setzero_pd() })
    }
    #[inline(always)]
    unsafe fn splat(x: f64) -> Self {
        // SAFETY: see `zero`.
        F64x4(unsafe { _mm256_set1_pd(x) })
    }
    #[inline(always)]
    unsafe fn alternate(even: f64, odd: f64) -> Self {
        // SAFETY: see `zero`.
        F64x4(unsafe { _mm256_setr_pd(even, odd, even, odd) })
    }
    #[inline(always)]
    unsafe fn load(p: *const f64) -> Self {
        // SAFETY: see `zero`; the caller vouches for four readable numbers.
        F64x4(unsafe { _mm256_loadu_pd(p) })
    }
    #[inline(always)]
    unsafe fn store(self, p: *mut f64) {
        // SAFETY: see `zero`; the caller vouches for four writable numbers.
        unsafe { _mm256_storeu_pd(p, self.0) }
    }
    #[inline(always)]
    unsafe fn prefetch(p: *const f64) {
        // SAFETY: a prefetch never faults.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(p.cast()) }
    }
    #[inline(always)]
    unsafe fn prefetch_far(p: *const f64) {
        // SAFETY: a prefetch never faults.
        unsafe { _mm_prefetch::<_MM_HINT_T1>(p.cast()) }
    }
    #[inline(always)]
    unsafe fn mask(lanes: usize) -> First {
        // SAFETY: see `zero`.
        unsafe { F32x8::mask(2 * lanes) }
    }
    #[inline(always)]
    unsafe fn load_masked(p: *const f64, First { mask, .. }: First) -> Self {
        // SAFETY: see `zero`; lanes that the mask leaves out are not accessed.
        F64x4(unsafe { _mm256_maskload_pd(p, mask) })
    }
    #[inline(always)]
    unsafe fn store_masked(self, p: *mut f64, first: First) {
        // SAFETY: the same lanes as pairs of 32 bits.
        unsafe { F32x8(_mm256_castpd_ps(self.0)).store_masked(p.cast(), first) }
    }
    #[inline(always)]
    unsafe fn mul(self, x: Self) -> Self {
        // SAFETY: see `zero`.
        F64x4(unsafe { _mm256_mul_pd(self.0, x.0) })
    }
    #[inline(always)]
    unsafe fn mul_add(self, x: Self, y: Self) -> Self {
        // SAFETY: see `zero`.
        F64x4(unsafe { _mm256_fmadd_pd(self.0, x.0, y.0) })
    }
    #[inline(always)]
    unsafe fn swap_pairs(self) -> Self {
        // SAFETY: see `zero`.
        F64x4(unsafe { _mm256_permute_pd::<0b0101>(self.0) })
    }
    #[inline(always)]
    unsafe fn pair_sums(self, other: Self) -> Self {
        // SAFETY: see `zero`.
        F64x4(unsafe { pair_sums_4(self.0, other.0) })
    }
    #[inline(always)]
    unsafe fn fold(self) -> [f64; 2] {
        // SAFETY: see `zero`.
        unsafe { fold_4(self.0) }
    }
}
