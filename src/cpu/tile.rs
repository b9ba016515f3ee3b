//! One tile of C: calls the micro-kernel on C itself where the rows of C lie side by side, and on
//! a copy of the tile for strides that no vector can follow.
//!
//! The copy is all that is special about such a tile: the arithmetic is the kernel's in both
//! cases, so that an entry of C has the same bits wherever it lies.

use super::kernel::micro::{Micro, Scaling};
use super::kernel::sum::Operands;
use crate::scalar::Scalar;
use std::mem::MaybeUninit;

/// Room for a column of the highest tile of any family.
pub(super) const COLUMN_BYTES: usize = 192;

/// Room for the largest tile of any family.
pub(super) const BYTES: usize = 4096;

/// A place for a tile on the stack.
#[repr(C, align(64))]
struct Buffer(MaybeUninit<[u8; BYTES]>);

/// Where a tile of C lies.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place<T> {
    /// Element (0, 0) of the tile.
    pub c: *mut T,
    /// Elements from row to row.
    pub rs: isize,
    /// Elements from column to column.
    pub cs: isize,
    /// Rows of the tile.
    pub rows: usize,
    /// Columns of the tile.
    pub cols: usize,
}

/// `C ← α·A·B + β·C` for one tile, by the kernel for its rows and columns.
///
/// # Safety
/// As for [`Micro`], but the rows of C need not be contiguous.
#[inline(always)]
pub(super) unsafe fn update<T: Scalar>(
    kernel: Micro<T>,
    x: &Operands<T>,
    scaling: &Scaling<T>,
    tile: Place<T>,
) {
    // SAFETY: the caller's promises; with contiguous rows they are those of the kernel.
    unsafe {
        if tile.rs == 1 {
            kernel(x, scaling, tile.c, tile.cs);
        } else {
            update_copy(kernel, x, scaling, tile);
        }
    }
}

/// [`update`] through a copy of the tile.
///
/// # Safety
/// As for [`update`], and the tile fits the buffer.
#[inline(never)]
unsafe fn update_copy<T: Scalar>(
    kernel: Micro<T>,
    x: &Operands<T>,
    scaling: &Scaling<T>,
    tile: Place<T>,
) {
    let (rows, cols) = (tile.rows, tile.cols);
    debug_assert!(rows * cols * size_of::<T>() <= BYTES);
    let mut buffer = Buffer(MaybeUninit::uninit());
    let copy: *mut T = buffer.0.as_mut_ptr().cast();
    // SAFETY: the buffer holds `rows · cols` elements and is aligned for all of them. The kernel
    // reads the copy only when β ≠ 0, and then all of it has been written. The elements of C are
    // those of the tile.
    unsafe {
        let at = |i: usize, j: usize| tile.c.offset(i as isize * tile.rs + j as isize * tile.cs);
        if scaling.beta != T::ZERO {
            for i in 0..rows {
                for j in 0..cols {
                    copy.add(j * rows + i).write(*at(i, j));
                }
            }
        }
        kernel(x, scaling, copy, rows as isize);
        for i in 0..rows {
            for j in 0..cols {
                at(i, j).write(*copy.add(j * rows + i));
            }
        }
    }
}
