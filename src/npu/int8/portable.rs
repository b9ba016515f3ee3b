//! Plain Rust for every CPU: arrays of lanes that the compiler turns into whatever vector
//! instructions the target has at least.

use super::dot::Dot;
use super::micro::{self, Pair, Tile};
use super::{Family, Isa};

/// The family.
pub(super) static FAMILY: Family =
    Family::new::<Portable, I32x4, 4, 2, 8, 2>(("portable", "portable"), || true, 512);

struct Portable;

impl Isa for Portable {
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
struct I32x4([i32; 4]);

impl Dot for I32x4 {
    type A = i16;
    type B = i16;
    type Digits = [i16; 8];
    const LANES: usize = 4;
    const RUN: usize = 2;

    #[inline(always)]
    unsafe fn splat(sum: i32) -> Self {
        I32x4([sum; 4])
    }
    #[inline(always)]
    unsafe fn add(mut self, other: Self) -> Self {
        for i in 0..4 {
            self.0[i] = self.0[i].wrapping_add(other.0[i]);
        }
        self
    }
    #[inline(always)]
    unsafe fn store(self, p: *mut i32) {
        // SAFETY: the caller vouches for four writable numbers.
        unsafe { p.cast::<[i32; 4]>().write(self.0) }
    }
    #[inline(always)]
    unsafe fn load(p: *const i16) -> [i16; 8] {
        // SAFETY: the caller vouches for eight readable digits.
        unsafe { p.cast::<[i16; 8]>().read_unaligned() }
    }
    #[inline(always)]
    unsafe fn broadcast(p: *const i16) -> [i16; 8] {
        // SAFETY: the caller vouches for two readable digits.
        let [even, odd] = unsafe { p.cast::<[i16; 2]>().read_unaligned() };
        [even, odd, even, odd, even, odd, even, odd]
    }
    #[inline(always)]
    unsafe fn dot(mut self, b: [i16; 8], a: [i16; 8]) -> Self {
        for i in 0..4 {
            let product = |l: usize| i32::from(b[l]).wrapping_mul(i32::from(a[l]));
            self.0[i] = self.0[i].wrapping_add(product(2 * i).wrapping_add(product(2 * i + 1)));
        }
        self
    }
}
