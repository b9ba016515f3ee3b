//! Dot products of contiguous vectors, written once over [`Vector`].
//!
//! For complex numbers the loop gathers `(Σ re·re, Σ im·im)` and `(Σ re·im, Σ im·re)` from the
//! second vector as it is and with its pairs swapped; signs come in once, at the end.

use super::Kernels;
use super::vector::Vector;
use crate::scalar::Scalar;

/// Most rows that are taken at a time.
pub(crate) const ROWS: usize = 4;

/// Sums of products of some rows with one vector: `(k, a, row stride, x, sums)`. For every row the
/// sums `Σ re·re`, `Σ im·im`, `Σ re·im`, `Σ im·re`, the first of which is all there is for real
/// numbers.
///
/// # Safety
/// The CPU runs the kernel's family; k contiguous elements can be read of x and of each row.
pub(crate) type Dot<T> =
    unsafe fn(usize, *const T, isize, *const T, &mut [[<T as Scalar>::Real; 4]; ROWS]);

/// The body of a [`Dot`] of R ≤ [`ROWS`] rows of P-part numbers, with U vectors of each row at a time,
/// or half as many of complex numbers, which need two sums each.
///
/// # Safety
/// As for [`Dot`].
#[inline(always)]
pub(crate) unsafe fn dot<T, V, const P: usize, const R: usize, const U: usize>(
    k: usize,
    a: *const T,
    row_stride: isize,
    x: *const T,
    sums: &mut [[T::Real; 4]; ROWS],
) where
    T: Kernels,
    V: Vector<Real = T::Real>,
{
    const { assert!(P == if T::COMPLEX { 2 } else { 1 } && R <= ROWS && U >= P) };
    let parts = P as isize;
    let (a, x): (*const T::Real, *const T::Real) = (a.cast(), x.cast());
    let length = k * P;
    let unrolled = U / P;
    // SAFETY: the caller vouches for the instruction set and for `length` numbers of x and of
    // every row; whole vectors end below `length`, and of the last one only what exists is read.
    unsafe {
        let mut acc = [[[V::zero(); P]; U]; R];
        let mut at = 0;
        while at + unrolled * V::LANES <= length {
            for u in 0..unrolled {
                let x = V::load(x.add(at + u * V::LANES));
                for r in 0..R {
                    let row = a.offset(r as isize * row_stride * parts);
                    let a = V::load(row.add(at + u * V::LANES));
                    acc[r][u][0] = a.mul_add(x, acc[r][u][0]);
                    if P == 2 {
                        acc[r][u][P - 1] = a.mul_add(x.swap_pairs(), acc[r][u][P - 1]);
                    }
                }
            }
            at += unrolled * V::LANES;
        }
        while at < length {
            let mask = V::mask(V::LANES.min(length - at));
            let x = V::load_masked(x.add(at), mask);
            for r in 0..R {
                let row = a.offset(r as isize * row_stride * parts);
                let a = V::load_masked(row.add(at), mask);
                acc[r][0][0] = a.mul_add(x, acc[r][0][0]);
                if P == 2 {
                    acc[r][0][P - 1] = a.mul_add(x.swap_pairs(), acc[r][0][P - 1]);
                }
            }
            at += V::LANES;
        }
        for r in 0..R {
            for p in 0..P {
                let one = V::splat(T::Real::ONE);
                let mut total = acc[r][0][p];
                for u in 1..unrolled {
                    total = acc[r][u][p].mul_add(one, total);
                }
                let [even, odd] = fold(total);
                if P == 1 {
                    sums[r][0] = even + odd;
                } else {
                    sums[r][2 * p] = even;
                    sums[r][2 * p + 1] = odd;
                }
            }
        }
    }
}

/// The sums of the even and of the odd lanes.
///
/// # Safety
/// The CPU has the instruction set.
#[inline(always)]
unsafe fn fold<V: Vector>(x: V) -> [V::Real; 2] {
    // The longest vector of any family.
    let mut lanes = [V::Real::ZERO; 16];
    // SAFETY: the array holds a whole vector.
    unsafe { x.store(lanes.as_mut_ptr()) };
    let mut left = V::LANES;
    while left > 2 {
        left /= 2;
        for i in 0..left {
            lanes[i] += lanes[left + i];
        }
    }
    [lanes[0], lanes[1]]
}
