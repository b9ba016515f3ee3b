//! One tile of C: calls the micro-kernel on C itself where a whole number of vectors fits, and
//! on a copy of the tile at the edges and for strides that no vector can follow.
//!
//! The copy is all that is special about an edge: the arithmetic is the kernel's in both cases,
//! so that an entry of C has the same bits wherever it lies.

use super::kernel::micro::{Micro, Operands, Scaling};
use crate::scalar::Scalar;
use std::mem::MaybeUninit;

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

/// `C ← α·A·B + β·C` for one tile, by a kernel that computes `height ≥ rows` rows and exactly
/// `cols` columns; what it computes beyond is dropped.
///
/// # Safety
/// As for [`Micro`], but C is only the `rows × cols` elements of the tile.
#[inline]
pub(super) unsafe fn update<T: Scalar>(
    kernel: Micro<T>,
    height: usize,
    x: &Operands<T>,
    scaling: &Scaling<T>,
    tile: &Place<T>,
) {
    // SAFETY: the caller's promises; with whole vectors of contiguous rows they are those of the
    // kernel.
    unsafe {
        if tile.rs == 1 && tile.rows == height {
            kernel(x, scaling, tile.c, tile.cs);
        } else {
            update_copy(kernel, height, x, scaling, tile);
        }
    }
}

/// [`update`] through a copy of the tile.
///
/// # Safety
/// As for [`update`], and a tile of `height × cols` fits the buffer.
#[inline(never)]
unsafe fn update_copy<T: Scalar>(
    kernel: Micro<T>,
    height: usize,
    x: &Operands<T>,
    scaling: &Scaling<T>,
    tile: &Place<T>,
) {
    debug_assert!(height * tile.cols * size_of::<T>() <= BYTES);
    let mut buffer = Buffer(MaybeUninit::uninit());
    let copy: *mut T = buffer.0.as_mut_ptr().cast();
    // SAFETY: the buffer holds `height · cols` elements and is aligned for all of them. The
    // kernel reads all of C only when β ≠ 0, and then all of the copy has been written. The
    // elements of C are those of the tile.
    unsafe {
        if scaling.beta != T::ZERO {
            for j in 0..tile.cols {
                for i in 0..height {
                    let old = if i < tile.rows {
                        *tile.c.offset(i as isize * tile.rs + j as isize * tile.cs)
                    } else {
                        T::ZERO
                    };
                    copy.add(j * height + i).write(old);
                }
            }
        }
        kernel(x, scaling, copy, height as isize);
        for j in 0..tile.cols {
            for i in 0..tile.rows {
                let at = tile.c.offset(i as isize * tile.rs + j as isize * tile.cs);
                at.write(*copy.add(j * height + i));
            }
        }
    }
}
