//! The sum of a micro-kernel: how it goes along the columns of A and the rows of B.
//!
//! Every step multiplies a column of A by the elements of a row of B. Where operations that are no FMAs
//! are to be spared ([`Isa::IS_LEAN`]) the kernel looks once which pieces B has, whole rows or whole
//! columns, for then one of the two strides is part of the instructions, and takes four steps
//! at a time. A single vector reads each element of B in the FMA itself; there four steps go by columns,
//! for an address without an index.

use super::vector::Vector;
use super::{Isa, Kernels};
use crate::cpu::LINE_BYTES;
use crate::cpu::apart::apart;
use crate::scalar::Scalar;
use std::ops::Range;

/// The factors of one product: `rows` × k of A, k × NC of B.
///
/// No neighbours here are neighbours in a view: compilers like to copy two neighbours at once, and a
/// load of what two stores have just written has to wait until both are in the cache, behind all that
/// is still being computed.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Operands<T> {
    /// First element of A; rows are contiguous.
    pub a: *const T,
    /// Elements from one row of B to the next.
    pub b_rs: isize,
    /// Length of the sum.
    pub k: usize,
    /// First element of B.
    pub b: *const T,
    /// Rows of A that exist; others are not read.
    pub rows: usize,
    /// Elements from one column of B to the next.
    pub b_cs: isize,
    /// Elements from one column of A to the next.
    pub a_cs: isize,
}

/// How a micro-kernel reads its operands.
pub(crate) trait Reading {
    /// From packed panels, whose strides are known when this compiles.
    const PACKED: bool = false;
    /// No row is missing from the tile.
    const FULL: bool = false;
    /// A is far away: its rows after the tile are asked for.
    const AHEAD: bool = false;
}

/// From full packed panels.
pub(crate) struct Panels;
impl Reading for Panels {
    const PACKED: bool = true;
    const FULL: bool = true;
}

/// From where they lie, rows missing or not.
pub(crate) struct InPlace;
impl Reading for InPlace {}

/// From where they lie, no row missing. Where there is but one vector, that spares the mask, which
/// takes part of the time of a product.
pub(crate) struct Whole;
impl Reading for Whole {
    const FULL: bool = true;
}

/// From where they lie, for tile under tile of a matrix that is not in the first caches. Columns of
/// A are often pages apart: the CPU's own prefetchers see a few lines of each and learn nothing.
pub(crate) struct Streams;
impl Reading for Streams {
    const FULL: bool = true;
    const AHEAD: bool = true;
}

/// Where the vectors of a column of A or C are.
pub(super) struct Rows<V: Vector> {
    /// Numbers above the last vector. Where rows are missing from it, it begins higher up and has some
    /// of the rows of the one before it, too: these are computed twice, and written twice with the same
    /// bits. Accesses to some lanes take longer.
    above_last: usize,
    /// The rows that exist of a single vector.
    pub mask: V::Mask,
    /// Whether these are all.
    pub is_whole: bool,
}

impl<V: Vector> Rows<V> {
    /// So many real numbers in MV vectors.
    ///
    /// # Safety
    /// The CPU has the instruction set of `V`.
    #[inline(always)]
    pub unsafe fn new<R: Reading, const MV: usize>(numbers: usize) -> Self {
        let numbers = if R::FULL { MV * V::LANES } else { numbers };
        let in_last = if MV == 1 { numbers } else { V::LANES };
        Rows {
            above_last: numbers - in_last,
            // SAFETY: the caller's promise.
            mask: unsafe { V::mask(in_last) },
            is_whole: in_last == V::LANES,
        }
    }

    /// Numbers above vector `i` of `MV`.
    #[inline(always)]
    pub fn above<const MV: usize>(&self, i: usize) -> usize {
        if i + 1 < MV { i * V::LANES } else { self.above_last }
    }
}

/// The way along the sum.
#[derive(Clone, Copy)]
pub(super) struct Walk<X> {
    /// The column of A that is next.
    a: *const X,
    /// The row of B that is next: its first column, and every further [`GROUP`]'s.
    b: [*const X; MAX_GROUPS],
    a_cs: isize,
    b_rs: isize,
    b_cs: isize,
    /// How far away lies what is asked for ahead of time, in bytes: from a packed B the next panel,
    /// which comes from L3, and from an A in place the rows below the tile.
    ahead: usize,
}

impl<X: Scalar> Walk<X> {
    /// The whole way. Reads nothing.
    #[inline(always)]
    pub fn new<T, V, R, const MV: usize, const NC: usize>(x: &Operands<T>) -> Self
    where
        T: Kernels<Real = X>,
        V: Vector<Real = X>,
        R: Reading,
    {
        let parts = if T::COMPLEX { 2 } else { 1 };
        // Wrapping, because the stride of a single row or column means nothing and may be anything.
        let (a_cs, b_rs, b_cs) = if R::PACKED {
            ((MV * V::LANES) as isize, NC as isize * parts, parts)
        } else {
            (x.a_cs.wrapping_mul(parts), x.b_rs.wrapping_mul(parts), x.b_cs.wrapping_mul(parts))
        };
        // One pointer for all columns, or one for every GROUP of them. Going from column to column
        // would take longer than to multiply where there are few rows.
        let group = if R::PACKED { NC } else { GROUP };
        let mut b: [*const X; MAX_GROUPS] = [x.b.cast(); MAX_GROUPS];
        for g in 1..NC.div_ceil(group) {
            b[g] = apart(b[0].wrapping_offset((g * group) as isize * b_cs));
        }
        let ahead = if R::PACKED {
            x.k * NC * size_of::<T>()
        } else {
            LINE_BYTES * (LINES_AHEAD / x.k.max(1)).clamp(FEWEST_AHEAD, MOST_AHEAD)
        };
        Walk { a: x.a.cast(), b, a_cs, b_rs, b_cs, ahead }
    }

    /// The sums of the next `count` products: `acc[j][p]` is that of A with part `p` of column `j` of
    /// B. Where A and B are packed it asks for C meanwhile, and for the next panel of B.
    ///
    /// # Safety
    /// As for [`Micro`](super::micro::Micro): so many columns of A and rows of B are left.
    #[inline(always)]
    pub unsafe fn accumulate<T, I, V, R, const MV: usize, const P: usize, const NC: usize>(
        &mut self,
        count: usize,
        c: *const T,
        ld: isize,
        rows: &Rows<V>,
    ) -> [[[V; MV]; P]; NC]
    where
        T: Kernels<Real = X>,
        I: Isa,
        V: Vector<Real = X>,
        R: Reading,
    {
        // SAFETY: the caller vouches for the instruction set, and for the memory of so many columns of
        // A and rows of B.
        unsafe {
            let mut acc = [[[V::zero(); MV]; P]; NC];
            let mut left = count;
            if R::PACKED {
                // C is wanted only after the sum, and is rarely in the first cache by then. One column
                // at a time: a CPU waits for few lines at once, and those of A and B are among them.
                let some = count / (2 * NC);
                let mut column: *const X = c.cast();
                for _ in 0..NC {
                    for i in 0..MV {
                        V::prefetch(column.wrapping_add(i * V::LANES));
                    }
                    column = column.wrapping_offset(ld.wrapping_mul(P as isize));
                    self.add::<I, V, R, MV, P, NC>(some, rows, &mut acc, 0..NC);
                }
                left -= some * NC;
            }
            self.add::<I, V, R, MV, P, NC>(left, rows, &mut acc, 0..NC);
            acc
        }
    }

    /// Adds the next `count` products to the sums of some columns.
    ///
    /// # Safety
    /// As for [`Micro`](super::micro::Micro): so many columns of A and rows of B are left.
    #[inline(always)]
    pub unsafe fn add<I, V, R, const MV: usize, const P: usize, const NC: usize>(
        &mut self,
        count: usize,
        rows: &Rows<V>,
        acc: &mut [[[V; MV]; P]; NC],
        columns: Range<usize>,
    ) where
        I: Isa,
        V: Vector<Real = X>,
        R: Reading,
    {
        let looks = I::IS_LEAN && !R::AHEAD;
        // SAFETY: the caller's promises, and the strides are such.
        unsafe {
            if R::PACKED || looks && self.b_cs == P as isize {
                self.add_as::<I, V, R, MV, P, NC>(Pieces::Rows, count, rows, acc, columns);
            } else if looks && self.b_rs == P as isize {
                self.add_as::<I, V, R, MV, P, NC>(Pieces::Columns, count, rows, acc, columns);
            } else {
                self.add_as::<I, V, R, MV, P, NC>(Pieces::Any, count, rows, acc, columns);
            }
        }
    }

    /// [`Walk::add`] for a B that lies so.
    ///
    /// # Safety
    /// As for [`Walk::add`], and B lies so.
    #[inline(always)]
    unsafe fn add_as<I, V, R, const MV: usize, const P: usize, const NC: usize>(
        &mut self,
        pieces: Pieces,
        mut count: usize,
        rows: &Rows<V>,
        acc: &mut [[[V; MV]; P]; NC],
        columns: Range<usize>,
    ) where
        I: Isa,
        V: Vector<Real = X>,
        R: Reading,
    {
        // A single vector is multiplied by elements of B that the FMAs read themselves.
        let reads_once = MV == 1 && !R::PACKED;
        // SAFETY: the caller's promises.
        unsafe {
            if I::IS_LEAN && reads_once && pieces == Pieces::Columns {
                while count >= FOUR {
                    self.four_by_columns::<V, R, MV, P, NC>(rows, acc, &columns);
                    self.advance::<R, P, NC>(FOUR, pieces);
                    count -= FOUR;
                }
            }
            if I::IS_LEAN && !reads_once && pieces != Pieces::Any {
                while count >= FOUR {
                    self.ask_ahead::<V, R, MV, P, NC>(FOUR, &columns);
                    // Written out: longer loops are not unrolled, and the sums would go through memory.
                    const { assert!(FOUR == 4) };
                    self.step::<V, R, MV, P, NC>(0, pieces, rows, acc, &columns);
                    self.step::<V, R, MV, P, NC>(1, pieces, rows, acc, &columns);
                    self.step::<V, R, MV, P, NC>(2, pieces, rows, acc, &columns);
                    self.step::<V, R, MV, P, NC>(3, pieces, rows, acc, &columns);
                    self.advance::<R, P, NC>(FOUR, pieces);
                    count -= FOUR;
                }
            }
            for _ in 0..count {
                self.ask_ahead::<V, R, MV, P, NC>(1, &columns);
                self.step::<V, R, MV, P, NC>(0, pieces, rows, acc, &columns);
                self.advance::<R, P, NC>(1, pieces);
            }
        }
    }

    /// Adds the product that comes after `l` others.
    ///
    /// # Safety
    /// As for [`Walk::add`], and B lies so.
    #[inline(always)]
    unsafe fn step<V, R, const MV: usize, const P: usize, const NC: usize>(
        &self,
        l: usize,
        pieces: Pieces,
        rows: &Rows<V>,
        acc: &mut [[[V; MV]; P]; NC],
        columns: &Range<usize>,
    ) where
        V: Vector<Real = X>,
        R: Reading,
    {
        let (group, b_rs, b_cs) = self.way::<P, NC>(pieces);
        // SAFETY: the caller vouches for the instruction set, and for the memory that `a` and `b`
        // walk along.
        unsafe {
            let column = self.column::<V, R, MV>(l, rows);
            for j in columns.clone() {
                let first = self.b[j / group].wrapping_offset((j % group) as isize * b_cs);
                multiply(&column, first.wrapping_offset(l as isize * b_rs), &mut acc[j]);
            }
        }
    }

    /// Adds [`FOUR`] products by columns: their addresses are computed once and have no index.
    ///
    /// # Safety
    /// As for [`Walk::add`], and each column of B lies in one piece.
    #[inline(always)]
    unsafe fn four_by_columns<V, R, const MV: usize, const P: usize, const NC: usize>(
        &self,
        rows: &Rows<V>,
        acc: &mut [[[V; MV]; P]; NC],
        columns: &Range<usize>,
    ) where
        V: Vector<Real = X>,
        R: Reading,
    {
        // SAFETY: the caller's promises.
        unsafe {
            let mut a = [[V::zero(); MV]; FOUR];
            for l in 0..FOUR {
                a[l] = self.column::<V, R, MV>(l, rows);
            }
            // Written out, as above: every group has its line.
            const { assert!(MAX_GROUPS == 4) };
            self.four_of_group::<V, MV, P, NC>(0, &a, acc, columns);
            self.four_of_group::<V, MV, P, NC>(1, &a, acc, columns);
            self.four_of_group::<V, MV, P, NC>(2, &a, acc, columns);
            self.four_of_group::<V, MV, P, NC>(3, &a, acc, columns);
        }
    }

    /// The part of [`Self::four_by_columns`] that belongs to one pointer.
    ///
    /// # Safety
    /// As for that.
    #[inline(always)]
    unsafe fn four_of_group<V, const MV: usize, const P: usize, const NC: usize>(
        &self,
        group: usize,
        a: &[[V; MV]; FOUR],
        acc: &mut [[[V; MV]; P]; NC],
        columns: &Range<usize>,
    ) where
        V: Vector<Real = X>,
    {
        let first = group * GROUP;
        for j in columns.start.max(first)..columns.end.min(first + GROUP) {
            let mut from = self.b[group];
            if j > first {
                from = apart(from.wrapping_offset((j - first) as isize * self.b_cs));
            }
            for l in 0..FOUR {
                // SAFETY: the caller's promises.
                unsafe { multiply(&a[l], from.add(l * P), &mut acc[j]) };
            }
        }
    }

    /// The column of A that comes after `l` others.
    ///
    /// # Safety
    /// The CPU has the instruction set of `V`, and there is such a column.
    #[inline(always)]
    unsafe fn column<V, R, const MV: usize>(&self, l: usize, rows: &Rows<V>) -> [V; MV]
    where
        V: Vector<Real = X>,
        R: Reading,
    {
        let first = self.a.wrapping_offset(l as isize * self.a_cs);
        // SAFETY: the caller's promises. Only rows that exist are read.
        unsafe {
            let mut column = [V::zero(); MV];
            for i in 0..MV {
                let at = first.add(rows.above::<MV>(i));
                column[i] =
                    if R::FULL || MV > 1 { V::load(at) } else { V::load_masked(at, rows.mask) };
            }
            column
        }
    }

    /// Asks for what is wanted later, as far ahead as the next `count` products are long.
    ///
    /// # Safety
    /// The CPU has the instruction set of `V`.
    #[inline(always)]
    unsafe fn ask_ahead<V, R, const MV: usize, const P: usize, const NC: usize>(
        &self,
        count: usize,
        columns: &Range<usize>,
    ) where
        V: Vector<Real = X>,
        R: Reading,
    {
        // SAFETY: the caller's promise.
        unsafe {
            // Once, whoever else takes this step for other columns.
            if R::PACKED && columns.start == 0 {
                for byte in (0..count * NC * P * size_of::<X>()).step_by(LINE_BYTES) {
                    V::prefetch_far(self.b[0].wrapping_byte_add(self.ahead + byte));
                }
            }
            if R::AHEAD {
                for i in (0..MV).step_by((LINE_BYTES / size_of::<V>()).max(1)) {
                    V::prefetch_far(self.a.wrapping_byte_add(self.ahead + i * size_of::<V>()));
                }
            }
        }
    }

    /// Goes on by `count` products. The step behind the last one may leave the matrix.
    #[inline(always)]
    fn advance<R: Reading, const P: usize, const NC: usize>(
        &mut self,
        count: usize,
        pieces: Pieces,
    ) {
        let (group, b_rs, _) = self.way::<P, NC>(pieces);
        self.a = self.a.wrapping_offset(count as isize * self.a_cs);
        for g in 0..NC.div_ceil(group) {
            self.b[g] = self.b[g].wrapping_offset(count as isize * b_rs);
            if !R::PACKED {
                self.b[g] = apart(self.b[g]);
            }
        }
    }

    /// Columns of B to a pointer, and the strides of B, of which one may be known when this compiles.
    #[inline(always)]
    fn way<const P: usize, const NC: usize>(&self, pieces: Pieces) -> (usize, isize, isize) {
        match pieces {
            Pieces::Rows => (NC, self.b_rs, P as isize),
            Pieces::Columns => (GROUP, P as isize, self.b_cs),
            Pieces::Any => (GROUP, self.b_rs, self.b_cs),
        }
    }
}

/// What of B lies in one piece.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Pieces {
    /// Every row, or all of them.
    Rows,
    /// Every column.
    Columns,
    /// Perhaps nothing.
    Any,
}

/// Adds the product of a column of A and the P parts at `from` of an element of B.
///
/// # Safety
/// The CPU has the instruction set of `V`, and there is such an element.
#[inline(always)]
unsafe fn multiply<V: Vector, const MV: usize, const P: usize>(
    column: &[V; MV],
    from: *const V::Real,
    acc: &mut [[V; MV]; P],
) {
    for p in 0..P {
        // SAFETY: the caller's promises.
        unsafe {
            let s = V::splat(*from.add(p));
            for i in 0..MV {
                acc[p][i] = column[i].mul_add(s, acc[p][i]);
            }
        }
    }
}

/// Products that are taken together.
const FOUR: usize = 4;

/// How many lines of A are asked for before they are wanted, in all of its k columns together...
const LINES_AHEAD: usize = 256;

/// ... and in a single column: a few tiles, and less than a page.
const FEWEST_AHEAD: usize = 8;
const MOST_AHEAD: usize = 32;

/// Columns of B to a pointer: an address may hold the stride once, twice and, with a register for
/// it, three times.
pub(super) const GROUP: usize = 4;

/// As many as the widest tile of any family wants.
pub(super) const MAX_GROUPS: usize = super::MAX_COLUMNS / GROUP;
