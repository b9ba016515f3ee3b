//! Packing: blocks of A and B, of any strides, become panels that a micro-kernel reads in order.
//!
//! A panel of A is MR rows, a panel of B is NR columns; both are `W` *lines* of length k side by
//! side: for each index of the sum, W neighbouring elements. A block is packed panel after panel.
//! The places of lines missing from the last panel stay as they are: the kernels for the edges
//! do not read them. Nothing is added along k either: a zero there would turn an infinity on the
//! other side into a NaN.

use crate::scalar::Scalar;

/// Packs `lines` lines of `k` elements into panels: `(src, across, along, lines, k, dst)`, with
/// element l of line w at `src + w·across + l·along`.
///
/// # Safety
/// These elements are readable, and `dst` is writable for `k` times `lines` rounded up to whole
/// panels, without overlap.
pub(super) type Pack<T> = unsafe fn(*const T, isize, isize, usize, usize, *mut T);

/// [`Pack`] into panels of W lines.
///
/// # Safety
/// As for [`Pack`].
pub(super) unsafe fn pack<T: Scalar, const W: usize>(
    src: *const T,
    across: isize,
    along: isize,
    lines: usize,
    k: usize,
    dst: *mut T,
) {
    for first in (0..lines).step_by(W) {
        // SAFETY: the caller vouches for every line below `lines`, and for panels of W·k
        // elements one after another.
        unsafe {
            let src = src.offset(first as isize * across);
            let dst = dst.add(first * k);
            if lines - first < W {
                pack_last::<T, W>(src, across, along, lines - first, k, dst);
            } else if across == 1 {
                pack_contiguous::<T, W>(src, along, k, dst);
            } else {
                pack_strided::<T, W>(src, across, along, k, dst);
            }
        }
    }
}

/// A panel whose W lines lie side by side in memory.
///
/// # Safety
/// As for [`Pack`] with `lines` = W.
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

/// A panel of W lines anywhere.
///
/// # Safety
/// As for [`Pack`] with `lines` = W.
unsafe fn pack_strided<T: Scalar, const W: usize>(
    src: *const T,
    across: isize,
    along: isize,
    k: usize,
    dst: *mut T,
) {
    for l in 0..k {
        // SAFETY: l < k, and w < W.
        unsafe {
            let src = src.offset(l as isize * along);
            let row: [T; W] = std::array::from_fn(|w| *src.offset(w as isize * across));
            dst.add(l * W).cast::<[T; W]>().write_unaligned(row);
        }
    }
}

/// The last panel of a block, of fewer than W lines.
///
/// # Safety
/// As for [`Pack`] with `lines` < W.
#[inline(never)]
unsafe fn pack_last<T: Scalar, const W: usize>(
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

    /// Packs lines of consecutive numbers and compares every place of the panels, and the guards
    /// in the places that nothing belongs to.
    fn check<const W: usize>(lines: usize, k: usize, across: isize, along: isize) {
        let guard = -7.0;
        let padded = lines.next_multiple_of(W) * k;
        let first = 5000;
        let source: Vec<f64> = (0..2 * first as i32).map(f64::from).collect();
        let mut panels = vec![guard; padded + W];
        // SAFETY: no line goes further than `first` from the middle of `source`.
        unsafe {
            pack::<f64, W>(
                source.as_ptr().add(first),
                across,
                along,
                lines,
                k,
                panels.as_mut_ptr(),
            );
        }
        for line in 0..lines.next_multiple_of(W) {
            for l in 0..k {
                let expected = if line < lines {
                    (first as isize + line as isize * across + l as isize * along) as f64
                } else {
                    guard
                };
                assert_eq!(panels[line / W * W * k + l * W + line % W], expected);
            }
        }
        assert!(panels[padded..].iter().all(|&x| x == guard), "written behind the last panel");
    }

    #[test]
    fn panels_hold_every_line_of_every_stride() {
        for lines in [0, 1, 5, 6, 7, 12, 16, 17, 35] {
            for k in [0, 1, 2, 7, 8, 9, 33] {
                for (across, along) in [
                    (1, 50),
                    (40, 1),
                    (3, 100),
                    (1, -50),
                    (-40, 1),
                    (-1, -45),
                    (40, -1),
                    (0, 1),
                    (1, 0),
                ] {
                    check::<4>(lines, k, across, along);
                    check::<6>(lines, k, across, along);
                    check::<16>(lines, k, across, along);
                }
            }
        }
    }
}
