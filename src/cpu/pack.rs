//! Packing: blocks of A and B, of any strides, become panels that a micro-kernel reads in order.
//!
//! A panel of A is MR rows, a panel of B is NR columns; both are `W` *lines* of length k side by
//! side: for each index of the sum, W neighbouring elements. A block is packed panel after panel, or a
//! few indices of all panels at a time.
//! What stands in the places of lines missing from the last panel means nothing: the kernels for the
//! edges do not read them. Nothing is added along k either: a zero there would turn an infinity on the
//! other side into a NaN.
//!
//! The functions of a family pack one panel: products of a few tiles, which pack no more, are counted
//! in nanoseconds.

use super::LINE_BYTES;
use super::apart::apart;
use crate::scalar::Scalar;

/// Packs `lines` lines of `k` elements, no more than a panel has, into one: `(src, across, along,
/// lines, k, dst)`, with element l of line w at `src + w·across + l·along`.
///
/// # Safety
/// These elements are readable, and `dst` is writable for a panel of length `k`, without overlap.
pub(super) type Pack<T> = unsafe fn(*const T, isize, isize, usize, usize, *mut T);

/// How an instruction set turns a square of elements, of whatever type: by their size alone.
pub(crate) trait Turn {
    /// Bytes in a side of the square: one vector.
    const SIDE_BYTES: usize;

    /// Bytes of the smallest elements that are turned so; smaller ones are left to [`Self::Half`].
    const SMALLEST: usize = 1;

    /// Squares for few lines, and short ones: with half as long sides, or the same again.
    type Half: Turn;

    /// Writes a square to `dst` with its lines as columns: element l of line w, at
    /// `src + w·across + l`, goes to `dst + l·step + w`, whole rows in the order of l. Of the lines
    /// only the first `lines` exist; what stands in the place of the others means nothing.
    ///
    /// # Safety
    /// The CPU has the instruction set; 1 ≤ `lines` ≤ the side of the square; all elements of
    /// these lines are readable, and a whole square at `dst` is writable, without overlap.
    unsafe fn turn<T: Scalar>(src: *const T, across: isize, lines: usize, dst: *mut T, step: usize);
}

/// Elements of type T in a side of the square.
const fn side<T, I: Turn>() -> usize {
    if I::SIDE_BYTES > size_of::<T>() { I::SIDE_BYTES / size_of::<T>() } else { 1 }
}

/// Indices of the sum for which all panels are packed before the next ones, where lines lie side by
/// side: what is read then is long runs of memory, not a piece of every page for each panel.
const NEIGHBOURS: usize = 8;

/// Packs any number of lines into panels of `width`, one after another, with the function for one;
/// otherwise as [`Pack`].
///
/// # Safety
/// As for [`Pack`], with `dst` writable for `k` times `lines` rounded up to whole panels.
pub(super) unsafe fn panels<T>(
    (pack, width): (Pack<T>, usize),
    src: *const T,
    (across, along): (isize, isize),
    (lines, k): (usize, usize),
    dst: *mut T,
) {
    let is_wide = width * size_of::<T>() > LINE_BYTES;
    let step = if across == 1 && is_wide { NEIGHBOURS } else { k.max(1) };
    for l in (0..k).step_by(step) {
        for first in (0..lines).step_by(width) {
            // SAFETY: the caller vouches for every line below `lines`, and for panels of width·k
            // elements one after another.
            unsafe {
                let src = src.offset(first as isize * across + l as isize * along);
                let dst = dst.add(first * k + l * width);
                pack(src, across, along, width.min(lines - first), step.min(k - l), dst);
            }
        }
    }
}

/// [`Pack`] for panels of W lines.
///
/// # Safety
/// As for [`Pack`], and the CPU has the instruction set.
#[inline(always)]
pub(super) unsafe fn panel<T: Scalar, I: Turn, const W: usize>(
    src: *const T,
    across: isize,
    along: isize,
    lines: usize,
    k: usize,
    dst: *mut T,
) {
    // SAFETY: the caller's promises.
    unsafe {
        if along == 1 && across != 1 {
            pack_turned::<T, I, W>(src, across, lines, k, dst);
        } else if across == 1 && lines == W {
            pack_contiguous::<T, W>(src, along, k, dst);
        } else {
            pack_strided::<T, W>(src, across, along, lines, k, dst);
        }
    }
}

/// A panel whose W lines lie side by side in memory.
///
/// # Safety
/// As for [`Pack`] with `lines` = W.
#[inline(always)]
unsafe fn pack_contiguous<T: Scalar, const W: usize>(
    src: *const T,
    along: isize,
    k: usize,
    dst: *mut T,
) {
    for l in 0..k {
        // SAFETY: l < k, and the W elements are neighbours.
        unsafe {
            let row = src.offset(l as isize * along).cast::<[T; W]>().read_unaligned();
            dst.add(l * W).cast::<[T; W]>().write_unaligned(row);
        }
    }
}

/// A panel of lines whose own elements lie side by side: square by square.
///
/// # Safety
/// As for [`Pack`] with `along` = 1 and `lines` ≤ W; the CPU has the instruction set.
#[inline(always)]
unsafe fn pack_turned<T: Scalar, I: Turn, const W: usize>(
    src: *const T,
    across: isize,
    lines: usize,
    k: usize,
    dst: *mut T,
) {
    let (whole, half) = (side::<T, I>(), side::<T, I::Half>());
    let fits = size_of::<T>() >= I::SMALLEST && W.is_multiple_of(whole);
    // Lines in whole squares: the last ones are not worth one if a half holds them.
    let rest = lines % whole;
    let in_whole = if !fits || k < whole {
        0
    } else if rest > half {
        lines
    } else {
        lines - rest
    };
    // SAFETY: the caller's promises; the sum is as long as the squares.
    unsafe {
        if in_whole > 0 {
            pack_squares::<T, I, W>(src, across, in_whole, k, dst);
        }
        if in_whole < lines {
            let src = src.offset(in_whole as isize * across);
            let (lines, dst) = (lines - in_whole, dst.add(in_whole));
            if k >= half {
                pack_squares::<T, I::Half, W>(src, across, lines, k, dst);
            } else {
                pack_strided::<T, W>(src, across, 1, lines, k, dst);
            }
        }
    }
}

/// [`pack_turned`] for sums at least as long as a square.
///
/// # Safety
/// As for [`pack_turned`].
#[inline(always)]
unsafe fn pack_squares<T: Scalar, I: Turn, const W: usize>(
    src: *const T,
    across: isize,
    lines: usize,
    k: usize,
    dst: *mut T,
) {
    let side = side::<T, I>();
    let mut l = 0;
    // SAFETY: squares lie below k and begin below `lines`. Those that reach into the next row of the
    // panel come before all of that row, and a last row with none after it goes to a place of its
    // own first, which is large enough for every instruction set.
    unsafe {
        while l < k {
            // The last squares may lie partly where others were.
            l = l.min(k - side);
            for first in (0..lines).step_by(side).rev() {
                let src = apart(src.offset(first as isize * across + l as isize));
                let dst = dst.add(l * W + first);
                let lines = side.min(lines - first);
                if lines == side {
                    I::turn(src, across, side, dst, W);
                } else if first + side <= W || l + side < k {
                    I::turn(src, across, lines, dst, W);
                } else {
                    let mut square = [T::ZERO; SQUARE];
                    I::turn(src, across, lines, square.as_mut_ptr(), side);
                    for l in 0..side {
                        for w in 0..lines {
                            dst.add(l * W + w).write(square[l * side + w]);
                        }
                    }
                }
            }
            l += side;
        }
    }
}

/// Elements in the largest square: 8 × 8 of 4 bytes.
const SQUARE: usize = 64;

/// A panel of at most W lines anywhere.
///
/// # Safety
/// As for [`Pack`] with `lines` ≤ W.
unsafe fn pack_strided<T: Scalar, const W: usize>(
    src: *const T,
    across: isize,
    along: isize,
    lines: usize,
    k: usize,
    dst: *mut T,
) {
    for l in 0..k {
        for w in 0..lines {
            // SAFETY: l < k and w < `lines` ≤ W.
            unsafe {
                let x = *src.offset(w as isize * across + l as isize * along);
                dst.add(l * W + w).write(x);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cpu::kernel::{self, Kernels, MicroKernel};
    use crate::scalar::{c32, c64};

    /// Packs lines of different numbers and compares every place of the panels that a line belongs
    /// to, and the guards behind the last panel.
    fn check<T: Scalar>(
        (pack, width): (Pack<T>, usize),
        number: fn(usize) -> T,
        (lines, k): (usize, usize),
        (across, along): (isize, isize),
    ) {
        let guard = number(0);
        let padded = lines.next_multiple_of(width) * k;
        let first = 12_000;
        let source: Vec<T> = (0..2 * first).map(|i| number(i + 1)).collect();
        let mut packed = vec![guard; padded + width];
        // SAFETY: no line goes further than `first` from the middle of `source`, and the tests
        // take functions of families that run here.
        unsafe {
            let (src, dst) = (source.as_ptr().add(first), packed.as_mut_ptr());
            panels((pack, width), src, (across, along), (lines, k), dst);
        }
        for line in 0..lines {
            for l in 0..k {
                let from = first as isize + line as isize * across + l as isize * along;
                let expected = source[from as usize];
                let at = line / width * width * k + l * width + line % width;
                assert_eq!(packed[at], expected, "line {line}, {l} of {lines} by {k}, {width}");
            }
        }
        assert!(packed[padded..].iter().all(|&x| x == guard), "written behind the last panel");
    }

    fn panels_hold_every_line<T: Kernels>(number: fn(usize) -> T) {
        for family in kernel::families().filter(|family| family.is_available()) {
            let kernel: &MicroKernel<T> = T::of(family);
            for side in [(kernel.pack_a, kernel.mr), (kernel.pack_b, kernel.nr)] {
                for lines in [0, 1, 3, 5, 6, 7, 8, 9, 12, 16, 17, 24, 35, 48, 50, 97] {
                    for k in [0, 1, 2, 7, 8, 9, 33] {
                        for strides in [
                            (1, 110),
                            (40, 1),
                            (3, 300),
                            (1, -110),
                            (-40, 1),
                            (-1, -105),
                            (40, -1),
                            (0, 1),
                            (1, 0),
                            (1, 1),
                        ] {
                            check(side, number, (lines, k), strides);
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn panels_hold_every_line_of_every_stride() {
        panels_hold_every_line::<f32>(|i| i as f32);
        panels_hold_every_line::<f64>(|i| i as f64);
        panels_hold_every_line::<c32>(|i| c32::new(i as f32, -(i as f32)));
        panels_hold_every_line::<c64>(|i| c64::new(i as f64, -(i as f64)));
    }
}
