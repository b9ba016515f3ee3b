//! The micro-kernel, written once over [`Vector`].
//!
//! ```text
//! for l in 0..k                              one column of A, one row of B
//!     a[i]   ← vector i of A(:, l)           i < MV
//!     s      ← A's columns times B(l, j)     j < NC, as a broadcast
//!     acc[j] ← acc[j] + a · s
//! C ← α·acc + β·C
//! ```
//!
//! Where it pays ([`Isa::BURST_BYTES`]) a large tile of C is written in [`burst`]s: the last few products
//! are taken by columns, and some columns are written before the next ones get theirs. No sum changes
//! its order by that.
//!
//! Complex numbers use the same loop. A column of A is then a run of (re, im) pairs, and B gives
//! two broadcasts, so that `acc[j][0]` gathers `(Σ re·re, Σ im·re)` and `acc[j][1]` gathers
//! `(Σ re·im, Σ im·im)`: real and imaginary parts of B stay apart and the loop never shuffles.
//! [`combine`] puts the four sums together once at the end, and there conjugation is a matter
//! of signs, so that nobody has to conjugate A or B beforehand.
//!
//! The accumulators live in registers only while every loop over them has constant bounds and is
//! unrolled: one loop with a variable bound, and the compiler keeps all of them in memory. So
//! there is a kernel for every number of vectors and columns. Where rows are missing from the last
//! vector it begins higher up, in the one before it, and a single vector is masked.

use super::sum::{GROUP, InPlace, MAX_GROUPS, Operands, Reading, Rows, Walk};
use super::vector::{Square, Vector};
use super::{Isa, Kernels};
use crate::cpu::apart::apart;
use crate::problem::Gemm;
use crate::scalar::Scalar;
use std::ops::Range;

/// What becomes of the product, but for the place it goes to.
///
/// The factors do not lie side by side, for the reason that [`Operands`] gives.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub(crate) struct Scaling<T> {
    /// Factor of the product; exactly 1 means no multiplication.
    pub alpha: T,
    /// Whether A stands for its conjugate.
    pub conj_a: bool,
    /// Whether B stands for its conjugate.
    pub conj_b: bool,
    /// Factor of the old C; exactly 0: C is not read; exactly 1: no multiplication.
    pub beta: T,
}

impl<T: Copy> Scaling<T> {
    /// That of a problem.
    #[inline(always)]
    pub fn of(p: &Gemm<'_, T>) -> Self {
        Scaling { alpha: p.alpha, conj_a: p.conj_a, conj_b: p.conj_b, beta: p.beta }
    }
}

/// A micro-kernel for MV vectors of rows × NC columns: `C ← α·A·B + β·C`, with C's rows
/// contiguous from `c` on and `ld` elements from column to column.
///
/// # Safety
/// The CPU runs the kernel's family. The operands are readable as described by [`Operands`], and
/// `rows` rows of every column of C are writable (and for β ≠ 0 readable and initialised),
/// without overlap with A or B. `rows` needs all MV vectors, and is exactly what they hold when
/// the kernel is for packed panels; those are then laid out as [`super::super::pack`] does it,
/// and the strides are ignored.
pub(crate) type Micro<T> = unsafe fn(&Operands<T>, &Scaling<T>, *mut T, isize);

/// The body of every micro-kernel: MV vectors of rows, NC columns, P parts of a number (1 real,
/// 2 complex).
///
/// # Safety
/// As for [`Micro`].
#[inline(always)]
pub(crate) unsafe fn micro<T, I, V, R, const MV: usize, const P: usize, const NC: usize>(
    x: &Operands<T>,
    scaling: &Scaling<T>,
    c: *mut T,
    ld: isize,
) where
    T: Kernels,
    I: Isa,
    V: Vector<Real = T::Real>,
    R: Reading,
{
    const { assert!(P == if T::COMPLEX { 2 } else { 1 }) };
    // SAFETY: the caller's promises are those of all functions.
    unsafe {
        let rows = Rows::new::<R, MV>(x.rows * P);
        let last = if bursts::<I, V, R>(MV, NC) > 1 { x.k.min(LAST) } else { 0 };
        let mut walk = Walk::new::<T, V, R, MV, NC>(x);
        let mut acc = walk.accumulate::<T, I, V, R, MV, P, NC>(x.k - last, c, ld, &rows);
        burst::<T, I, V, R, MV, P, NC, 0>(&walk, last, &mut acc, scaling, c, ld, &rows);
        burst::<T, I, V, R, MV, P, NC, 1>(&walk, last, &mut acc, scaling, c, ld, &rows);
        burst::<T, I, V, R, MV, P, NC, 2>(&walk, last, &mut acc, scaling, c, ld, &rows);
    }
}

/// The pause: so many of the last products of the columns whose turn is next.
const LAST: usize = 4;

/// Most bursts of a tile.
const MOST_BURSTS: usize = 3;

/// In how many bursts a tile is written. Where A is far away there are pauses enough.
const fn bursts<I: Isa, V, R: Reading>(vectors: usize, columns: usize) -> usize {
    if R::AHEAD { 1 } else { (columns * vectors * size_of::<V>()).div_ceil(I::BURST_BYTES) }
}

/// The last products of the columns of burst `N`, and what becomes of them.
///
/// # Safety
/// As for [`Micro`]; so many columns of A and rows of B are left.
#[inline(always)]
unsafe fn burst<T, I, V, R, const MV: usize, const P: usize, const NC: usize, const N: usize>(
    walk: &Walk<T::Real>,
    last: usize,
    acc: &mut [[[V; MV]; P]; NC],
    scaling: &Scaling<T>,
    c: *mut T,
    ld: isize,
    rows: &Rows<V>,
) where
    T: Kernels,
    I: Isa,
    V: Vector<Real = T::Real>,
    R: Reading,
{
    let count = const { bursts::<I, V, R>(MV, NC) };
    const { assert!(N < MOST_BURSTS && bursts::<I, V, R>(MV, NC) <= MOST_BURSTS) };
    let columns = NC.div_ceil(count);
    let (first, end) = (N * columns, NC.min((N + 1) * columns));
    if first < end {
        // SAFETY: the caller's promises.
        unsafe {
            let mut walk = *walk;
            walk.add::<I, V, R, MV, P, NC>(last, rows, acc, first..end);
            finish::<T, V, MV, P, NC>(acc, scaling, c, ld, rows, first..end);
        }
    }
}

/// A micro-kernel of MV vectors of rows × NC columns for a C whose *columns* lie side by side, and its
/// rows `ld` elements apart: the sums are turned before they are scaled and written. Real types only.
///
/// # Safety
/// As for [`Micro`], but for the layout of C.
#[inline(always)]
pub(crate) unsafe fn turned<T, I, V, const L: usize, const MV: usize, const NC: usize>(
    x: &Operands<T>,
    scaling: &Scaling<T>,
    c: *mut T,
    ld: isize,
) where
    T: Kernels,
    I: Isa,
    V: Square<L, Real = T::Real>,
{
    const { assert!(!T::COMPLEX && L == V::LANES && NC <= L) };
    // SAFETY: the caller's promises; of C the NC numbers in each of the `rows` lines are accessed.
    unsafe {
        let rows = Rows::new::<InPlace, MV>(x.rows);
        let mut walk = Walk::new::<T, V, InPlace, MV, NC>(x);
        let acc = walk.accumulate::<T, I, V, InPlace, MV, 1, NC>(x.k, c, ld, &rows);
        let mut firsts = [c; MV];
        for v in 1..MV {
            let first = c.wrapping_offset(rows.above::<MV>(v) as isize * ld);
            firsts[v] = apart(first.cast_const()).cast_mut();
        }
        let line =
            |v: usize, i: usize| firsts[v].wrapping_offset(i as isize * ld).cast::<T::Real>();
        // Of the rows of a single vector some may be missing.
        let exists = |i: usize| MV > 1 || i < x.rows;
        let mut sums = [[V::zero(); L]; MV];
        for v in 0..MV {
            for j in 0..NC {
                sums[v][j] = acc[j][0][v];
            }
        }
        if scaling.alpha != T::ONE {
            for v in 0..MV {
                for j in 0..NC {
                    sums[v][j] = product::<T, V>(sums[v][j], scaling.alpha);
                }
            }
        }
        for v in 0..MV {
            sums[v] = V::turn(sums[v]);
        }
        let mask = V::mask(NC);
        if scaling.beta != T::ZERO {
            for v in 0..MV {
                for i in 0..L {
                    if exists(i) {
                        let at = line(v, i);
                        let old = if NC == L { V::load(at) } else { V::load_masked(at, mask) };
                        sums[v][i] = product_plus::<T, V>(old, scaling.beta, sums[v][i]);
                    }
                }
            }
        }
        for v in 0..MV {
            for i in 0..L {
                if exists(i) {
                    let (sum, at) = (sums[v][i], line(v, i));
                    if NC == L { sum.store(at) } else { sum.store_masked(at, mask) }
                }
            }
        }
    }
}

/// `C ← α·acc + β·C` for some columns.
///
/// # Safety
/// As for [`Micro`].
#[inline(always)]
unsafe fn finish<T, V, const MV: usize, const P: usize, const NC: usize>(
    acc: &[[[V; MV]; P]; NC],
    scaling: &Scaling<T>,
    c: *mut T,
    ld: isize,
    rows: &Rows<V>,
    columns: Range<usize>,
) where
    T: Kernels,
    V: Vector<Real = T::Real>,
{
    // SAFETY: the caller vouches for the instruction set and for `rows` rows in each of the NC
    // columns of C, which are read only where β ≠ 0.
    unsafe {
        // One short loop after another: a long one is not unrolled, and the sums would go through
        // memory.
        let mut sums = [[V::zero(); MV]; NC];
        let signs = Signs::<V>::new(scaling.conj_a, scaling.conj_b);
        for j in columns.clone() {
            for i in 0..MV {
                let sum = acc[j][0][i];
                sums[j][i] = if P == 2 { combine(sum, acc[j][P - 1][i], &signs) } else { sum };
            }
        }
        if scaling.alpha != T::ONE {
            for j in columns.clone() {
                for i in 0..MV {
                    sums[j][i] = product::<T, V>(sums[j][i], scaling.alpha);
                }
            }
        }
        // Accesses to some lanes take longer, even if these are all.
        if rows.is_whole {
            put::<T, V, MV, NC>(sums, scaling.beta, c, ld, rows, true, columns);
        } else {
            put::<T, V, MV, NC>(sums, scaling.beta, c, ld, rows, false, columns);
        }
    }
}

/// `C ← sums + β·C`, by whole vectors or, if there is but one, by the rows that exist of it.
///
/// # Safety
/// As for [`Micro`].
#[inline(always)]
unsafe fn put<T, V, const MV: usize, const NC: usize>(
    mut sums: [[V; MV]; NC],
    beta: T,
    c: *mut T,
    ld: isize,
    rows: &Rows<V>,
    is_whole: bool,
    columns: Range<usize>,
) where
    T: Kernels,
    V: Vector<Real = T::Real>,
{
    let mut groups = [c; MAX_GROUPS];
    for g in 1..NC.div_ceil(GROUP) {
        groups[g] =
            apart(groups[g - 1].wrapping_offset(GROUP as isize * ld).cast_const()).cast_mut();
    }
    let column =
        |j: usize| groups[j / GROUP].wrapping_offset((j % GROUP) as isize * ld).cast::<T::Real>();
    // SAFETY: the caller vouches for the instruction set and for `rows` rows in each of the NC
    // columns of C, which are read only where β ≠ 0, and all before the first is written.
    unsafe {
        if beta != T::ZERO {
            for j in columns.clone() {
                for i in 0..MV {
                    let at = column(j).add(rows.above::<MV>(i));
                    let old = if is_whole { V::load(at) } else { V::load_masked(at, rows.mask) };
                    sums[j][i] = product_plus::<T, V>(old, beta, sums[j][i]);
                }
            }
        }
        for j in columns.clone() {
            for i in 0..MV {
                let at = column(j).add(rows.above::<MV>(i));
                if is_whole { sums[j][i].store(at) } else { sums[j][i].store_masked(at, rows.mask) }
            }
        }
    }
}

/// The signs with which the four sums of a complex product enter the result.
#[derive(Clone, Copy)]
struct Signs<V> {
    /// Of `(Σ re·re, Σ im·re)`.
    straight: V,
    /// Of `(Σ im·im, Σ re·im)`.
    crossed: V,
}

impl<V: Vector> Signs<V> {
    /// # Safety
    /// The CPU has the instruction set of `V`.
    #[inline(always)]
    unsafe fn new(conj_a: bool, conj_b: bool) -> Self {
        let sign = |negative| if negative { -V::Real::ONE } else { V::Real::ONE };
        // SAFETY: the caller's promise.
        unsafe {
            Signs {
                straight: V::alternate(V::Real::ONE, sign(conj_a)),
                crossed: V::alternate(sign(conj_a == conj_b), sign(conj_b)),
            }
        }
    }
}

/// The complex sums of the products: `(re·re − im·im, im·re + re·im)` pair by pair, but for
/// conjugation. Multiplying by ±1 is exact; adding to +0 first keeps an exact zero positive, as
/// it comes out of a sum that starts at zero.
///
/// # Safety
/// The CPU has the instruction set of `V`.
#[inline(always)]
unsafe fn combine<V: Vector>(by_re: V, by_im: V, signs: &Signs<V>) -> V {
    // SAFETY: the caller's promise.
    unsafe {
        let straight = by_re.mul_add(signs.straight, V::zero());
        by_im.swap_pairs().mul_add(signs.crossed, straight)
    }
}

/// `x · factor` for numbers of type T.
///
/// # Safety
/// The CPU has the instruction set of `V`.
#[inline(always)]
pub(super) unsafe fn product<T: Kernels, V: Vector<Real = T::Real>>(x: V, factor: T) -> V {
    let (re, im) = factor.parts();
    // SAFETY: the caller's promise.
    unsafe {
        let y = x.mul(V::splat(re));
        if T::COMPLEX { x.swap_pairs().mul_add(V::alternate(-im, im), y) } else { y }
    }
}

/// `x · factor + y` for numbers of type T; `x + y` for the factor 1, so that a factor without an
/// imaginary part does not turn an infinity into a NaN.
///
/// # Safety
/// The CPU has the instruction set of `V`.
#[inline(always)]
unsafe fn product_plus<T: Kernels, V: Vector<Real = T::Real>>(x: V, factor: T, y: V) -> V {
    let (re, im) = factor.parts();
    // SAFETY: the caller's promise.
    unsafe {
        let y = x.mul_add(V::splat(re), y);
        if T::COMPLEX && factor != T::ONE {
            x.swap_pairs().mul_add(V::alternate(-im, im), y)
        } else {
            y
        }
    }
}
