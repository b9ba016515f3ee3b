//! Dot products of contiguous vectors, written once over [`Vector`].
//!
//! For complex numbers the loop gathers `(Σ re·re, Σ im·im)` and `(Σ re·im, Σ im·re)` from the
//! second vector as it is and with its pairs swapped; signs come in once, at the end.

use super::Kernels;
use super::vector::Vector;
use crate::scalar::Scalar;

/// Rows that are taken at a time, unless there are fewer. In fewer streams a CPU's prefetchers do not read
/// all that the memory gives.
pub(crate) const ROWS: usize = 4;

/// Most columns that are taken at a time.
pub(crate) const COLUMNS: usize = 4;

/// How far ahead of time A is asked for where several columns take time.
const AHEAD_BYTES: usize = 2048;

/// For some rows and columns the sums `Σ re·re`, `Σ im·im`, `Σ re·im`, `Σ im·re`, the first of which is
/// all there is for real numbers.
pub(crate) type Sums<T> = [[[<T as Scalar>::Real; 4]; COLUMNS]; ROWS];

/// Sums of products of some rows with some columns: `(k, a, row stride, x, column stride, sums)`.
///
/// # Safety
/// The CPU runs the kernel's family; k contiguous elements can be read of each row and column.
pub(crate) type Dot<T> = unsafe fn(usize, *const T, isize, *const T, isize, &mut Sums<T>);

/// The body of a [`Dot`] of R ≤ [`ROWS`] rows and C ≤ [`COLUMNS`] columns of P-part numbers, with U vectors
/// of each at a time, or half as many of complex numbers, which need two sums each. In which order
/// a sum is added up depends on U alone.
///
/// # Safety
/// As for [`Dot`].
#[inline(always)]
pub(crate) unsafe fn dot<T, V, const P: usize, const R: usize, const C: usize, const U: usize>(
    k: usize,
    a: *const T,
    row_stride: isize,
    x: *const T,
    column_stride: isize,
    sums: &mut Sums<T>,
) where
    T: Kernels,
    V: Vector<Real = T::Real>,
{
    const { assert!(P == if T::COMPLEX { 2 } else { 1 } && R <= ROWS && C <= COLUMNS && U >= P) };
    let parts = P as isize;
    let length = k * P;
    let unrolled = U / P;
    let column = |c: usize| x.wrapping_offset(c as isize * column_stride).cast::<T::Real>();
    let a: *const T::Real = a.cast();
    let row = |r: usize| a.wrapping_offset(r as isize * row_stride * parts);
    // SAFETY: the caller vouches for the instruction set and for `length` numbers of every row
    // and column; whole vectors end below `length`, and of the last one only what exists is
    // read.
    unsafe {
        let mut acc = [[[[V::zero(); P]; U]; C]; R];
        let mut at = 0;
        while at + unrolled * V::LANES <= length {
            for u in 0..unrolled {
                let mut x = [V::zero(); C];
                for c in 0..C {
                    x[c] = V::load(column(c).add(at + u * V::LANES));
                }
                for r in 0..R {
                    let a = row(r).add(at + u * V::LANES);
                    if C > 1 {
                        V::prefetch_far(a.wrapping_byte_add(AHEAD_BYTES));
                    }
                    let a = V::load(a);
                    for c in 0..C {
                        acc[r][c][u][0] = a.mul_add(x[c], acc[r][c][u][0]);
                        if P == 2 {
                            let turned = x[c].swap_pairs();
                            acc[r][c][u][P - 1] = a.mul_add(turned, acc[r][c][u][P - 1]);
                        }
                    }
                }
            }
            at += unrolled * V::LANES;
        }
        while at < length {
            let mask = V::mask(V::LANES.min(length - at));
            for r in 0..R {
                let a = V::load_masked(row(r).add(at), mask);
                for c in 0..C {
                    let x = V::load_masked(column(c).add(at), mask);
                    acc[r][c][0][0] = a.mul_add(x, acc[r][c][0][0]);
                    if P == 2 {
                        let turned = x.swap_pairs();
                        acc[r][c][0][P - 1] = a.mul_add(turned, acc[r][c][0][P - 1]);
                    }
                }
            }
            at += V::LANES;
        }
        for r in 0..R {
            for c in 0..C {
                for p in 0..P {
                    let one = V::splat(T::Real::ONE);
                    let mut total = acc[r][c][0][p];
                    for u in 1..unrolled {
                        total = acc[r][c][u][p].mul_add(one, total);
                    }
                    let [even, odd] = fold(total);
                    let sums = &mut sums[r][c];
                    if P == 1 {
                        sums[0] = even + odd;
                    } else {
                        sums[2 * p] = even;
                        sums[2 * p + 1] = odd;
                    }
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
