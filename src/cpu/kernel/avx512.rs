//! x86-64 with AVX-512: 32 registers of 512 bits.
//!
//! Tiles of 3 vectors × 8 columns: 24 accumulators, three registers for A, and B as broadcasts
//! that the FMAs read from memory. Eleven loads for 24 FMAs keep both load ports below their
//! limit. Tiles of at most half a vector of rows take half vectors. Some CPUs multiply twice as many of
//! these: there they take the last rows of higher tiles too.

use super::avx2::{Avx2, fold_4, fold_8, pair_sums_4, pair_sums_8};
use super::dot::{self, Lines};
use super::micro::{self, Micro, Scaling};
use super::sum::{Operands, Reading};
use super::vector::{Square, Vector};
use super::{Family, Isa, Kernels, MicroKernel, TURNED};
use crate::cpu::pack::{self, Turn};
use crate::cpu::{blocking, caches};
use crate::scalar::{Scalar, c32, c64};
use std::arch::x86_64::*;

/// The family for CPUs whose units are half as wide.
pub(super) static HALVES: Family = Family {
    name: "avx512-halves",
    is_available,
    is_best: caches::have_half_units,
    s: s::<true>(),
    d: d::<true>(),
    c: c::<true>(),
    z: z::<true>(),
};

/// The family for others.
pub(super) static WHOLE: Family = Family {
    name: "avx512",
    is_available,
    is_best: || true,
    s: s::<false>().with_whole_units(),
    d: d::<false>().with_whole_units(),
    c: c::<false>().with_whole_units(),
    z: z::<false>().with_whole_units(),
};

const fn s<const HALVES: bool>() -> MicroKernel<f32> {
    MicroKernel::new::<Avx512<HALVES>, F32x16, F32x8, 3, 1, 8, 48, 6, 4>(blocking::AVX512.s)
}

const fn d<const HALVES: bool>() -> MicroKernel<f64> {
    MicroKernel::new::<Avx512<HALVES>, F64x8, F64x4, 3, 1, 8, 24, 6, 4>(blocking::AVX512.d)
        .with_turned(if HALVES {
            const { &[turned_columns::<HALVES, 1>()] }
        } else {
            const { &[turned_columns::<HALVES, 1>(), turned_columns::<HALVES, 2>()] }
        })
}

/// [`micro::turned`] of MV vectors and 1, 2 … columns.
const fn turned_columns<const HALVES: bool, const MV: usize>() -> [Micro<f64>; TURNED] {
    [
        turned::<HALVES, MV, 1>,
        turned::<HALVES, MV, 2>,
        turned::<HALVES, MV, 3>,
        turned::<HALVES, MV, 4>,
        turned::<HALVES, MV, 5>,
        turned::<HALVES, MV, 6>,
        turned::<HALVES, MV, 7>,
        turned::<HALVES, MV, 8>,
    ]
}

const fn c<const HALVES: bool>() -> MicroKernel<c32> {
    MicroKernel::new::<Avx512<HALVES>, F32x16, F32x8, 3, 2, 4, 24, 4, 3>(blocking::AVX512.c)
}

const fn z<const HALVES: bool>() -> MicroKernel<c64> {
    MicroKernel::new::<Avx512<HALVES>, F64x8, F64x4, 3, 2, 4, 12, 4, 3>(blocking::AVX512.z)
}

/// Whether this CPU has the foundation of AVX-512, for shorter vectors too, and the system saves its
/// registers. The standard library asks the CPU once and remembers.
fn is_available() -> bool {
    is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512vl")
}

/// `HALVES` says that the units are half as wide as the vectors.
struct Avx512<const HALVES: bool>;

impl<const HALVES: bool> Isa for Avx512<HALVES> {
    const SUMS: usize = 24;
    /// 24 stores of 512 bits cost Zen 4 the time of 40 FMAs, 12 cost none. On Golden Cove pauses take
    /// longer than what they spare.
    const BURST_BYTES: usize = if HALVES { 512 } else { usize::MAX };
    const IS_LEAN: bool = !HALVES;

    #[target_feature(enable = "avx512f,avx512vl")]
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

    #[target_feature(enable = "avx512f,avx512vl")]
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

    #[target_feature(enable = "avx512f,avx512vl")]
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

impl<const HALVES: bool> Turn for Avx512<HALVES> {
    const SIDE_BYTES: usize = 64;
    /// Compilers take turns of smaller elements apart into loads of single ones.
    const SMALLEST: usize = 8;
    type Half = Avx2;

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
        // SAFETY: the CPU has AVX-512; lines and rows are those that the caller vouches for.
        unsafe {
            match size_of::<T>() {
                8 => turn_8(|w| line(w).cast(), |l| row(l).cast()),
                _ => turn_16(|w| line(w).cast(), |l| row(l).cast()),
            }
        }
    }
}

/// Turns 8 × 8 elements of 8 bytes: halves of lines are put together as they are loaded, which spares a
/// third of the shuffles, of which some CPUs do one at a time.
///
/// # Safety
/// The CPU has AVX-512; every line can be read and every row written for 64 bytes.
#[inline(always)]
unsafe fn turn_8(line: impl Fn(usize) -> *const f64, row: impl Fn(usize) -> *mut f64) {
    // SAFETY: the caller's promise.
    unsafe {
        for l in [0, 4] {
            let half = |w: usize| _mm256_loadu_pd(line(w).wrapping_add(l));
            let two = |w| _mm512_insertf64x4::<1>(_mm512_castpd256_pd512(half(w)), half(w + 2));
            let [a, b, c, d] = [two(0), two(1), two(4), two(5)];
            let even = (_mm512_unpacklo_pd(a, b), _mm512_unpacklo_pd(c, d));
            let odd = (_mm512_unpackhi_pd(a, b), _mm512_unpackhi_pd(c, d));
            for (i, (x, y)) in [even, odd].into_iter().enumerate() {
                _mm512_storeu_pd(row(l + i), _mm512_shuffle_f64x2::<0b10_00_10_00>(x, y));
                _mm512_storeu_pd(row(l + i + 2), _mm512_shuffle_f64x2::<0b11_01_11_01>(x, y));
            }
        }
    }
}

/// Turns 4 × 4 elements of 16 bytes.
///
/// # Safety
/// As for [`turn_8`].
#[inline(always)]
unsafe fn turn_16(line: impl Fn(usize) -> *const f64, row: impl Fn(usize) -> *mut f64) {
    // SAFETY: the caller's promise.
    unsafe {
        let at = |w| _mm512_loadu_pd(line(w));
        for (l, x) in turned_quarters([at(0), at(1), at(2), at(3)]).into_iter().enumerate() {
            _mm512_storeu_pd(row(l), x);
        }
    }
}

/// 8 × 8 numbers, turned.
///
/// # Safety
/// The CPU has AVX-512.
#[inline(always)]
unsafe fn turned_8([a, b, c, d, e, f, g, h]: [__m512d; 8]) -> [__m512d; 8] {
    // SAFETY: the caller's promise.
    unsafe {
        let even = turned_quarters([
            _mm512_unpacklo_pd(a, b),
            _mm512_unpacklo_pd(c, d),
            _mm512_unpacklo_pd(e, f),
            _mm512_unpacklo_pd(g, h),
        ]);
        let odd = turned_quarters([
            _mm512_unpackhi_pd(a, b),
            _mm512_unpackhi_pd(c, d),
            _mm512_unpackhi_pd(e, f),
            _mm512_unpackhi_pd(g, h),
        ]);
        [even[0], odd[0], even[1], odd[1], even[2], odd[2], even[3], odd[3]]
    }
}

/// 4 × 4 quarters of vectors, turned.
///
/// # Safety
/// The CPU has AVX-512.
#[inline(always)]
unsafe fn turned_quarters([a, b, c, d]: [__m512d; 4]) -> [__m512d; 4] {
    // SAFETY: the caller's promise.
    unsafe {
        let ab_low = _mm512_shuffle_f64x2::<0b01_00_01_00>(a, b);
        let ab_high = _mm512_shuffle_f64x2::<0b11_10_11_10>(a, b);
        let cd_low = _mm512_shuffle_f64x2::<0b01_00_01_00>(c, d);
        let cd_high = _mm512_shuffle_f64x2::<0b11_10_11_10>(c, d);
        [
            _mm512_shuffle_f64x2::<0b10_00_10_00>(ab_low, cd_low),
            _mm512_shuffle_f64x2::<0b11_01_11_01>(ab_low, cd_low),
            _mm512_shuffle_f64x2::<0b10_00_10_00>(ab_high, cd_high),
            _mm512_shuffle_f64x2::<0b11_01_11_01>(ab_high, cd_high),
        ]
    }
}

impl Square<8> for F64x8 {
    #[inline(always)]
    unsafe fn turn([a, b, c, d, e, f, g, h]: [Self; 8]) -> [Self; 8] {
        // SAFETY: the CPU has AVX-512, as the trait demands.
        let turned = unsafe { turned_8([a.0, b.0, c.0, d.0, e.0, f.0, g.0, h.0]) };
        turned.map(F64x8)
    }
}

/// [`micro::turned`] for doubles with the instruction set enabled.
///
/// # Safety
/// As for [`micro::turned`].
#[target_feature(enable = "avx512f,avx512vl")]
unsafe fn turned<const HALVES: bool, const MV: usize, const NC: usize>(
    x: &Operands<f64>,
    scaling: &Scaling<f64>,
    c: *mut f64,
    ld: isize,
) {
    // SAFETY: the caller's promises.
    unsafe { micro::turned::<f64, Avx512<HALVES>, F64x8, TURNED, MV, NC>(x, scaling, c, ld) }
}

/// [`Vector::fold`] of 16 numbers.
///
/// # Safety
/// The CPU has AVX-512.
#[inline(always)]
unsafe fn fold_16(x: __m512) -> [f32; 2] {
    // SAFETY: the caller's promise.
    unsafe {
        let high = _mm256_castpd_ps(_mm512_extractf64x4_pd::<1>(_mm512_castps_pd(x)));
        fold_8(_mm256_add_ps(_mm512_castps512_ps256(x), high))
    }
}

/// [`Vector::fold`] of 8 numbers of 64 bits.
///
/// # Safety
/// The CPU has AVX-512.
#[inline(always)]
unsafe fn fold_8_of_64(x: __m512d) -> [f64; 2] {
    // SAFETY: the caller's promise.
    unsafe { fold_4(_mm256_add_pd(_mm512_castpd512_pd256(x), _mm512_extractf64x4_pd::<1>(x))) }
}

/// [`Vector::pair_sums`] of 16 numbers.
///
/// # Safety
/// The CPU has AVX-512.
#[inline(always)]
unsafe fn pair_sums_16(x: __m512, y: __m512) -> __m512 {
    // SAFETY: the caller's promise.
    unsafe {
        let even = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
        let odd = _mm512_setr_epi32(1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31);
        let (even, odd) = (_mm512_permutex2var_ps(x, even, y), _mm512_permutex2var_ps(x, odd, y));
        _mm512_add_ps(even, odd)
    }
}

/// [`Vector::pair_sums`] of 8 numbers of 64 bits.
///
/// # Safety
/// The CPU has AVX-512.
#[inline(always)]
unsafe fn pair_sums_8_of_64(x: __m512d, y: __m512d) -> __m512d {
    // SAFETY: the caller's promise.
    unsafe {
        let even = _mm512_setr_epi64(0, 2, 4, 6, 8, 10, 12, 14);
        let odd = _mm512_setr_epi64(1, 3, 5, 7, 9, 11, 13, 15);
        let (even, odd) = (_mm512_permutex2var_pd(x, even, y), _mm512_permutex2var_pd(x, odd, y));
        _mm512_add_pd(even, odd)
    }
}

/// Defines vectors by their intrinsics: whole registers, and halves for the edges.
macro_rules! vectors {
    ($(
        $name:ident: $real:ty, $register:ty, $mask:ty, $lanes:literal,
        $zero:ident, $splat:ident, $blend:ident, $odd:literal, $load:ident, $store:ident,
        $load_masked:ident, $store_masked:ident, $mul:ident, $fma:ident, $permute:ident, $swap:literal,
        $pair_sums:ident, $fold:ident;
    )*) => {$(
        #[derive(Clone, Copy)]
        struct $name($register);

        impl Vector for $name {
            type Real = $real;
            type Mask = $mask;
            const LANES: usize = $lanes;

            #[inline(always)]
            unsafe fn zero() -> Self {
                // SAFETY: the CPU has AVX-512, as the trait demands; so in all methods below.
                $name(unsafe { $zero() })
            }
            #[inline(always)]
            unsafe fn splat(x: $real) -> Self {
                // SAFETY: see `zero`.
                $name(unsafe { $splat(x) })
            }
            #[inline(always)]
            unsafe fn alternate(even: $real, odd: $real) -> Self {
                // SAFETY: see `zero`.
                $name(unsafe { $blend($odd, $splat(even), $splat(odd)) })
            }
            #[inline(always)]
            unsafe fn load(p: *const $real) -> Self {
                // SAFETY: see `zero`; the caller vouches for a vector of readable numbers.
                $name(unsafe { $load(p) })
            }
            #[inline(always)]
            unsafe fn store(self, p: *mut $real) {
                // SAFETY: see `zero`; the caller vouches for a vector of writable numbers.
                unsafe { $store(p, self.0) }
            }
            #[inline(always)]
            unsafe fn prefetch(p: *const $real) {
                // SAFETY: a prefetch never faults.
                unsafe { _mm_prefetch::<_MM_HINT_T0>(p.cast()) }
            }
            #[inline(always)]
            unsafe fn prefetch_far(p: *const $real) {
                // SAFETY: a prefetch never faults.
                unsafe { _mm_prefetch::<_MM_HINT_T1>(p.cast()) }
            }
            #[inline(always)]
            unsafe fn mask(lanes: usize) -> $mask {
                ((1u32 << lanes) - 1) as $mask
            }
            #[inline(always)]
            unsafe fn load_masked(p: *const $real, mask: $mask) -> Self {
                // SAFETY: see `zero`; lanes that the mask leaves out are not accessed.
                $name(unsafe { $load_masked(mask, p) })
            }
            #[inline(always)]
            unsafe fn store_masked(self, p: *mut $real, mask: $mask) {
                // SAFETY: see `zero`; lanes that the mask leaves out are not accessed.
                unsafe { $store_masked(p, mask, self.0) }
            }
            #[inline(always)]
            unsafe fn mul(self, x: Self) -> Self {
                // SAFETY: see `zero`.
                $name(unsafe { $mul(self.0, x.0) })
            }
            #[inline(always)]
            unsafe fn mul_add(self, x: Self, y: Self) -> Self {
                // SAFETY: see `zero`.
                $name(unsafe { $fma(self.0, x.0, y.0) })
            }
            #[inline(always)]
            unsafe fn swap_pairs(self) -> Self {
                // SAFETY: see `zero`.
                $name(unsafe { $permute::<$swap>(self.0) })
            }
            #[inline(always)]
            unsafe fn pair_sums(self, other: Self) -> Self {
                // SAFETY: see `zero`.
                $name(unsafe { $pair_sums(self.0, other.0) })
            }
            #[inline(always)]
            unsafe fn fold(self) -> [$real; 2] {
                // SAFETY: see `zero`.
                unsafe { $fold(self.0) }
            }
        }
    )*};
}
vectors! {
    F32x16: f32, __m512, __mmask16, 16,
        _mm512_setzero_ps, _mm512_set1_ps, _mm512_mask_blend_ps, 0xAAAA, _mm512_loadu_ps,
        _mm512_storeu_ps, _mm512_maskz_loadu_ps, _mm512_mask_storeu_ps, _mm512_mul_ps,
        _mm512_fmadd_ps, _mm512_permute_ps, 0b10_11_00_01, pair_sums_16, fold_16;
    F64x8: f64, __m512d, __mmask8, 8,
        _mm512_setzero_pd, _mm512_set1_pd, _mm512_mask_blend_pd, 0xAA, _mm512_loadu_pd,
        _mm512_storeu_pd, _mm512_maskz_loadu_pd, _mm512_mask_storeu_pd, _mm512_mul_pd,
        _mm512_fmadd_pd, _mm512_permute_pd, 0b01_01_01_01,
        pair_sums_8_of_64, fold_8_of_64;
    F32x8: f32, __m256, __mmask8, 8,
        _mm256_setzero_ps, _mm256_set1_ps, _mm256_mask_blend_ps, 0xAA, _mm256_loadu_ps,
        _mm256_storeu_ps, _mm256_maskz_loadu_ps, _mm256_mask_storeu_ps, _mm256_mul_ps,
        _mm256_fmadd_ps, _mm256_permute_ps, 0b10_11_00_01, pair_sums_8, fold_8;
    F64x4: f64, __m256d, __mmask8, 4,
        _mm256_setzero_pd, _mm256_set1_pd, _mm256_mask_blend_pd, 0xA, _mm256_loadu_pd,
        _mm256_storeu_pd, _mm256_maskz_loadu_pd, _mm256_mask_storeu_pd, _mm256_mul_pd,
        _mm256_fmadd_pd, _mm256_permute_pd, 0b0101, pair_sums_4, fold_4;
}
