//! Plain Rust for every CPU: arrays of lanes that the compiler turns into whatever vector
//! instructions the target has at least.
//!
//! Tiles of 2 vectors × 4 columns fit the 16 registers of SSE2, which needs one more for each
//! product, for it cannot fuse. The longest numbers take 4 × 1: all tiles have at least four rows.

use super::dot::{self, Lines};
use super::micro::{self, Scaling};
use super::sum::{Operands, Reading};
use super::vector::Vector;
use super::{Family, Isa, Kernels, MicroKernel};
use crate::cpu::blocking;
use crate::cpu::pack::{self, Turn};
use crate::scalar::Scalar;

/// The family.
pub(super) static FAMILY: Family = Family {
    name: "portable",
    is_available: || true,
    is_best: || true,
    s: MicroKernel::new::<Portable, Lanes<f32, 4>, Lanes<f32, 4>, 2, 1, 4, 8, 2, 4>(
        blocking::PORTABLE.s,
    ),
    d: MicroKernel::new::<Portable, Lanes<f64, 2>, Lanes<f64, 2>, 2, 1, 4, 4, 2, 4>(
        blocking::PORTABLE.d,
    ),
    c: MicroKernel::new::<Portable, Lanes<f32, 4>, Lanes<f32, 4>, 2, 2, 2, 4, 2, 2>(
        blocking::PORTABLE.c,
    ),
    z: MicroKernel::new::<Portable, Lanes<f64, 2>, Lanes<f64, 2>, 4, 2, 1, 4, 2, 2>(
        blocking::PORTABLE.z,
    ),
};

struct Portable;

impl Isa for Portable {
    const SUMS: usize = 8;

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

impl Turn for Portable {
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
        for l in 0..Self::SIDE_BYTES / size_of::<T>() {
            for w in 0..lines {
                // SAFETY: the caller vouches for the line and for the square.
                unsafe { dst.add(l * step + w).write(*src.offset(w as isize * across).add(l)) };
            }
        }
    }
}

/// Without hardware support a fused product is a slow library call.
const FUSED: bool = cfg!(any(target_feature = "fma", target_arch = "aarch64"));

#[derive(Clone, Copy)]
struct Lanes<R, const N: usize>([R; N]);

impl<R: Scalar, const N: usize> Vector for Lanes<R, N> {
    type Real = R;
    type Mask = usize;
    const LANES: usize = N;

    #[inline(always)]
    unsafe fn zero() -> Self {
        Lanes([R::ZERO; N])
    }
    #[inline(always)]
    unsafe fn splat(x: R) -> Self {
        Lanes([x; N])
    }
    #[inline(always)]
    unsafe fn alternate(even: R, odd: R) -> Self {
        let mut lanes = [even; N];
        for i in (1..N).step_by(2) {
            lanes[i] = odd;
        }
        Lanes(lanes)
    }
    #[inline(always)]
    unsafe fn load(p: *const R) -> Self {
        // SAFETY: the caller vouches for N readable numbers; nothing asks for alignment.
        Lanes(unsafe { p.cast::<[R; N]>().read_unaligned() })
    }
    #[inline(always)]
    unsafe fn store(self, p: *mut R) {
        // SAFETY: the caller vouches for N writable numbers; nothing asks for alignment.
        unsafe { p.cast::<[R; N]>().write_unaligned(self.0) }
    }
    #[inline(always)]
    unsafe fn prefetch(_: *const R) {}
    #[inline(always)]
    unsafe fn prefetch_far(_: *const R) {}
    #[inline(always)]
    unsafe fn mask(lanes: usize) -> usize {
        lanes
    }
    #[inline(always)]
    unsafe fn load_masked(p: *const R, mask: usize) -> Self {
        if mask == N {
            // SAFETY: all lanes take part.
            return unsafe { Self::load(p) };
        }
        let mut lanes = [R::ZERO; N];
        for i in 0..N {
            if i < mask {
                // SAFETY: the caller vouches for the masked lanes.
                lanes[i] = unsafe { *p.add(i) };
            }
        }
        Lanes(lanes)
    }
    #[inline(always)]
    unsafe fn store_masked(self, p: *mut R, mask: usize) {
        if mask == N {
            // SAFETY: all lanes take part.
            return unsafe { self.store(p) };
        }
        for i in 0..N {
            if i < mask {
                // SAFETY: the caller vouches for the masked lanes.
                unsafe { p.add(i).write(self.0[i]) };
            }
        }
    }
    #[inline(always)]
    unsafe fn mul(self, x: Self) -> Self {
        let mut lanes = self.0;
        for i in 0..N {
            lanes[i] = lanes[i] * x.0[i];
        }
        Lanes(lanes)
    }
    #[inline(always)]
    unsafe fn mul_add(self, x: Self, y: Self) -> Self {
        let mut lanes = self.0;
        for i in 0..N {
            lanes[i] =
                if FUSED { lanes[i].mul_add(x.0[i], y.0[i]) } else { lanes[i] * x.0[i] + y.0[i] };
        }
        Lanes(lanes)
    }
    #[inline(always)]
    unsafe fn swap_pairs(self) -> Self {
        let mut lanes = self.0;
        for i in 0..N {
            lanes[i] = self.0[i ^ 1];
        }
        Lanes(lanes)
    }
    #[inline(always)]
    unsafe fn pair_sums(self, other: Self) -> Self {
        let mut lanes = [R::ZERO; N];
        for i in 0..N / 2 {
            lanes[i] = self.0[2 * i] + self.0[2 * i + 1];
            lanes[N / 2 + i] = other.0[2 * i] + other.0[2 * i + 1];
        }
        Lanes(lanes)
    }
    #[inline(always)]
    unsafe fn fold(self) -> [R; 2] {
        let mut lanes = self.0;
        let mut left = N;
        while left > 2 {
            left /= 2;
            for i in 0..left {
                lanes[i] += lanes[left + i];
            }
        }
        [lanes[0], lanes[1]]
    }
}
