//! Small products: A and B are read where they lie. No allocation, no threads.
//!
//! The micro-kernels want the rows of A side by side. Where they are not, one panel at a time is
//! packed into a buffer on the stack.

use super::gemm::has_contiguous_rows;
use super::kernel::micro::{Operands, Scaling};
use super::kernel::{Kernels, MicroKernel};
use super::tile::{self, Place};
use crate::problem::Gemm;
use std::mem::MaybeUninit;

/// A panel on the stack: small enough for a thread with little of it.
const PANEL_BYTES: usize = 16 << 10;

#[repr(C, align(64))]
struct Panel(MaybeUninit<[u8; PANEL_BYTES]>);

/// With so few rows or columns of C, an operand is read too few times to be worth packing.
pub(super) const FEW_LINES: usize = 16;

/// Whether a product of this shape is small, or has too few rows or columns to pay for packing.
#[inline]
pub(super) fn is_small(m: usize, n: usize, k: usize) -> bool {
    m.min(n) <= FEW_LINES || m as u128 * n as u128 * k as u128 <= 64 * 64 * 64
}

/// Computes the problem without packing B. Any size is right; small ones are fast.
pub(super) fn gemm<T: Kernels>(kernel: &MicroKernel<T>, p: &mut Gemm<'_, T>) {
    let scaling = Scaling { alpha: p.alpha, beta: p.beta, conj_a: p.conj_a, conj_b: p.conj_b };
    if has_contiguous_rows(&p.a) {
        slabs(kernel, p, scaling, |a, a_cs, _, _| (a, a_cs));
    } else {
        let mut panel = Panel(MaybeUninit::uninit());
        let a_rs = p.a.row_stride();
        let panel: *mut T = panel.0.as_mut_ptr().cast();
        slabs(kernel, p, scaling, |a, a_cs, rows, k| {
            // SAFETY: `slabs` passes `rows ≤ MR` existing rows and k existing columns of A, and
            // k is short enough for the panel.
            unsafe { (kernel.pack_a)(a, a_rs, a_cs, rows, k, panel) };
            (panel, kernel.mr as isize)
        });
    }
}

/// All tiles of C, for one slab of the sum after another. `panel_of` gives each panel of A
/// contiguous rows: from its first element, column stride, rows and columns it makes the first
/// element and the column stride to use.
#[inline(always)]
fn slabs<T: Kernels>(
    kernel: &MicroKernel<T>,
    p: &mut Gemm<'_, T>,
    mut scaling: Scaling<T>,
    panel_of: impl Fn(*const T, isize, usize, usize) -> (*const T, isize),
) {
    let (m, n, k) = (p.m(), p.n(), p.k());
    let slab = PANEL_BYTES / (kernel.mr * size_of::<T>());
    let mut l = 0;
    loop {
        let depth = slab.min(k - l);
        for i in (0..m).step_by(kernel.mr) {
            let rows = kernel.mr.min(m - i);
            let (a, a_cs) = panel_of(p.a.at(i, l), p.a.col_stride(), rows, depth);
            for j in (0..n).step_by(kernel.nr) {
                let cols = kernel.nr.min(n - j);
                let (micro, height) = kernel.part(rows, cols);
                let operands = Operands {
                    k: depth,
                    rows,
                    a,
                    a_cs,
                    b: p.b.at(l, j),
                    b_rs: p.b.row_stride(),
                    b_cs: p.b.col_stride(),
                };
                let place = Place {
                    c: p.c.at(i, j),
                    rs: p.c.row_stride(),
                    cs: p.c.col_stride(),
                    rows,
                    cols,
                };
                // SAFETY: the operands lie inside the views, or in the panel that was just
                // packed; so does the tile. C overlaps neither A nor B, for it is borrowed
                // alone. The kernel's family runs here, or it would not have been chosen.
                unsafe { tile::update(micro, height, &operands, &scaling, &place) };
            }
        }
        l += depth;
        if l >= k {
            break;
        }
        scaling.beta = T::ONE;
    }
}
