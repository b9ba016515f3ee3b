//! 64-bit Arm: 32 registers of 128 bits, which every such CPU has.
//!
//! Tiles of 4 vectors × 6 columns: 24 accumulators, four registers for A, and the rest for the
//! broadcasts of B. Two FMAs per cycle of four cycles' latency want eight accumulators at least;
//! the more there are, the fewer loads each FMA needs.

use super::dot::{self, Lines};
use super::micro::{self, Scaling};
use super::sum::{Operands, Reading};
use super::vector::Vector;
use super::{Family, Isa, Kernels, MicroKernel};
use crate::cpu::blocking;
use crate::cpu::pack::{self, Turn};
use crate::scalar::Scalar;
use std::arch::aarch64::*;
use std::arch::asm;

/// The family.
pub(super) static FAMILY: Family = Family {
    name: "neon",
    is_available,
    is_best: || true,
    s: MicroKernel::new::<Neon, F32x4, F32x4, 4, 1, 6, 16, 6, 4>(blocking::NEON.s),
    d: MicroKernel::new::<Neon, F64x2, F64x2, 4, 1, 6, 8, 6, 4>(blocking::NEON.d),
    c: MicroKernel::new::<Neon, F32x4, F32x4, 4, 2, 3, 8, 4, 3>(blocking::NEON.c),
    z: MicroKernel::new::<Neon, F64x2, F64x2, 4, 2, 3, 4, 4, 3>(blocking::NEON.z),
};

/// Whether this CPU has NEON. The standard library asks the system once and remembers.
fn is_available() -> bool {
    std::arch::is_aarch64_feature_detected!("neon")
}

struct Neon;

impl Isa for Neon {
    const SUMS: usize = 24;

    #[target_feature(enable = "neon")]
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

    #[target_feature(enable = "neon")]
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

    #[target_feature(enable = "neon")]
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

impl Turn for Neon {
    const SIDE_BYTES: usize = 16;
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
        // SAFETY: the CPU has NEON; lines and rows are those that the caller vouches for, 16
        // bytes each.
        unsafe {
            match size_of::<T>() {
                4 => {
                    let at = |w| vld1q_f32(line(w).cast());
                    let (a, b, c, d) = (at(0), at(1), at(2), at(3));
                    let [ab_even, ab_odd, cd_even, cd_odd] =
                        [vtrn1q_f32(a, b), vtrn2q_f32(a, b), vtrn1q_f32(c, d), vtrn2q_f32(c, d)]
                            .map(|x| vreinterpretq_f64_f32(x));
                    let rows = [
                        vtrn1q_f64(ab_even, cd_even),
                        vtrn1q_f64(ab_odd, cd_odd),
                        vtrn2q_f64(ab_even, cd_even),
                        vtrn2q_f64(ab_odd, cd_odd),
                    ];
                    for (l, x) in rows.into_iter().enumerate() {
                        vst1q_f64(row(l).cast(), x);
                    }
                }
                8 => {
                    let (a, b) = (vld1q_f64(line(0).cast()), vld1q_f64(line(1).cast()));
                    vst1q_f64(row(0).cast(), vtrn1q_f64(a, b));
                    vst1q_f64(row(1).cast(), vtrn2q_f64(a, b));
                }
                _ => row(0).write(*line(0)),
            }
        }
    }
}

#[derive(Clone, Copy)]
struct F32x4(float32x4_t);

impl Vector for F32x4 {
    type Real = f32;
    type Mask = usize;
    const LANES: usize = 4;

    #[inline(always)]
    unsafe fn zero() -> Self {
        // SAFETY: the CPU has NEON, as the trait demands; so in all methods below.
        F32x4(unsafe { vdupq_n_f32(0.0) })
    }
    #[inline(always)]
    unsafe fn splat(x: f32) -> Self {
        // SAFETY: see `zero`.
        F32x4(unsafe { vdupq_n_f32(x) })
    }
    #[inline(always)]
    unsafe fn alternate(even: f32, odd: f32) -> Self {
        // SAFETY: see `zero`.
        F32x4(unsafe { vtrn1q_f32(vdupq_n_f32(even), vdupq_n_f32(odd)) })
    }
    #[inline(always)]
    unsafe fn load(p: *const f32) -> Self {
        // SAFETY: see `zero`; the caller vouches for four readable numbers.
        F32x4(unsafe { vld1q_f32(p) })
    }
    #[inline(always)]
    unsafe fn store(self, p: *mut f32) {
        // SAFETY: see `zero`; the caller vouches for four writable numbers.
        unsafe { vst1q_f32(p, self.0) }
    }
    #[inline(always)]
    unsafe fn prefetch(p: *const f32) {
        // SAFETY: a prefetch never faults, and touches neither registers nor flags.
        unsafe { asm!("prfm pldl1keep, [{p}]", p = in(reg) p, options(nostack, preserves_flags)) }
    }
    #[inline(always)]
    unsafe fn prefetch_far(p: *const f32) {
        // SAFETY: a prefetch never faults, and touches neither registers nor flags.
        unsafe { asm!("prfm pldl2keep, [{p}]", p = in(reg) p, options(nostack, preserves_flags)) }
    }
    #[inline(always)]
    unsafe fn mask(lanes: usize) -> usize {
        lanes
    }
    #[inline(always)]
    unsafe fn load_masked(p: *const f32, mask: usize) -> Self {
        // SAFETY: see `zero`; the mask counts the lanes, and only those are read.
        unsafe {
            if mask == 4 {
                return F32x4(vld1q_f32(p));
            }
            let mut vector = vld1q_lane_f32::<0>(p, vdupq_n_f32(0.0));
            if mask > 1 {
                vector = vld1q_lane_f32::<1>(p.add(1), vector);
            }
            if mask > 2 {
                vector = vld1q_lane_f32::<2>(p.add(2), vector);
            }
            F32x4(vector)
        }
    }
    #[inline(always)]
    unsafe fn store_masked(self, p: *mut f32, mask: usize) {
        // SAFETY: see `zero`; the mask counts the lanes, and only those are written.
        unsafe {
            if mask == 4 {
                return vst1q_f32(p, self.0);
            }
            vst1q_lane_f32::<0>(p, self.0);
            if mask > 1 {
                vst1q_lane_f32::<1>(p.add(1), self.0);
            }
            if mask > 2 {
                vst1q_lane_f32::<2>(p.add(2), self.0);
            }
        }
    }
    #[inline(always)]
    unsafe fn mul(self, x: Self) -> Self {
        // SAFETY: see `zero`.
        F32x4(unsafe { vmulq_f32(self.0, x.0) })
    }
    #[inline(always)]
    unsafe fn mul_add(self, x: Self, y: Self) -> Self {
        // SAFETY: see `zero`.
        F32x4(unsafe { vfmaq_f32(y.0, self.0, x.0) })
    }
    #[inline(always)]
    unsafe fn swap_pairs(self) -> Self {
        // SAFETY: see `zero`.
        F32x4(unsafe { vrev64q_f32(self.0) })
    }
    #[inline(always)]
    unsafe fn pair_sums(self, other: Self) -> Self {
        // SAFETY: see `zero`.
        F32x4(unsafe { vpaddq_f32(self.0, other.0) })
    }
    #[inline(always)]
    unsafe fn fold(self) -> [f32; 2] {
        let mut lanes = [0.0; 2];
        // SAFETY: see `zero`; there is room for two numbers.
        unsafe {
            vst1_f32(lanes.as_mut_ptr(), vadd_f32(vget_low_f32(self.0), vget_high_f32(self.0)))
        };
        lanes
    }
}

#[derive(Clone, Copy)]
struct F64x2(float64x2_t);

impl Vector for F64x2 {
    type Real = f64;
    type Mask = usize;
    const LANES: usize = 2;

    #[inline(always)]
    unsafe fn zero() -> Self {
        // SAFETY: the CPU has NEON, as the trait demands; so in all methods below.
        F64x2(unsafe { vdupq_n_f64(0.0) })
    }
    #[inline(always)]
    unsafe fn splat(x: f64) -> Self {
        // SAFETY: see `zero`.
        F64x2(unsafe { vdupq_n_f64(x) })
    }
    #[inline(always)]
    unsafe fn alternate(even: f64, odd: f64) -> Self {
        // SAFETY: see `zero`.
        F64x2(unsafe { vtrn1q_f64(vdupq_n_f64(even), vdupq_n_f64(odd)) })
    }
    #[inline(always)]
    unsafe fn load(p: *const f64) -> Self {
        // SAFETY: see `zero`; the caller vouches for two readable numbers.
        F64x2(unsafe { vld1q_f64(p) })
    }
    #[inline(always)]
    unsafe fn store(self, p: *mut f64) {
        // SAFETY: see `zero`; the caller vouches for two writable numbers.
        unsafe { vst1q_f64(p, self.0) }
    }
    #[inline(always)]
    unsafe fn prefetch(p: *const f64) {
        // SAFETY: a prefetch never faults, and touches neither registers nor flags.
        unsafe { asm!("prfm pldl1keep, [{p}]", p = in(reg) p, options(nostack, preserves_flags)) }
    }
    #[inline(always)]
    unsafe fn prefetch_far(p: *const f64) {
        // SAFETY: a prefetch never faults, and touches neither registers nor flags.
        unsafe { asm!("prfm pldl2keep, [{p}]", p = in(reg) p, options(nostack, preserves_flags)) }
    }
    #[inline(always)]
    unsafe fn mask(lanes: usize) -> usize {
        lanes
    }
    #[inline(always)]
    unsafe fn load_masked(p: *const f64, mask: usize) -> Self {
        // SAFETY: see `zero`; the mask counts the lanes, and only those are read.
        unsafe {
            if mask == 2 {
                return F64x2(vld1q_f64(p));
            }
            F64x2(vld1q_lane_f64::<0>(p, vdupq_n_f64(0.0)))
        }
    }
    #[inline(always)]
    unsafe fn store_masked(self, p: *mut f64, mask: usize) {
        // SAFETY: see `zero`; the mask counts the lanes, and only those are written.
        unsafe {
            if mask == 2 {
                return vst1q_f64(p, self.0);
            }
            vst1q_lane_f64::<0>(p, self.0);
        }
    }
    #[inline(always)]
    unsafe fn mul(self, x: Self) -> Self {
        // SAFETY: see `zero`.
        F64x2(unsafe { vmulq_f64(self.0, x.0) })
    }
    #[inline(always)]
    unsafe fn mul_add(self, x: Self, y: Self) -> Self {
        // SAFETY: see `zero`.
        F64x2(unsafe { vfmaq_f64(y.0, self.0, x.0) })
    }
    #[inline(always)]
    unsafe fn swap_pairs(self) -> Self {
        // SAFETY: see `zero`.
        F64x2(unsafe { vextq_f64::<1>(self.0, self.0) })
    }
    #[inline(always)]
    unsafe fn pair_sums(self, other: Self) -> Self {
        // SAFETY: see `zero`.
        F64x2(unsafe { vpaddq_f64(self.0, other.0) })
    }
    #[inline(always)]
    unsafe fn fold(self) -> [f64; 2] {
        let mut lanes = [0.0; 2];
        // SAFETY: see `zero`; there is room for two numbers.
        unsafe { vst1q_f64(lanes.as_mut_ptr(), self.0) };
        lanes
    }
}
