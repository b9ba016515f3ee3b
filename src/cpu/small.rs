//! Small products, and those of few rows or columns: A and B are read where they lie.
//!
//! The micro-kernels want the rows of A side by side. Where they are not, or lie so that columns
//! push each other out of the cache, one panel at a time is packed: into a buffer on the stack
//! when the sum is short. Tiny products of two such operands need none where there are kernels that
//! turn the sums instead.

use super::blocking;
use super::kernel::micro::Scaling;
use super::kernel::sum::Operands;
use super::kernel::{Kernels, MicroKernel, TURNED};
use super::scratch::Scratch;
use super::tile::{self, Place};
use crate::fenv;
use crate::mat::MatRef;
use crate::problem::Gemm;
use std::mem::MaybeUninit;

/// A panel on the stack: small enough for a thread with little of it.
const PANEL_BYTES: usize = 16 << 10;

#[repr(C, align(64))]
struct Panel(MaybeUninit<[u8; PANEL_BYTES]>);

/// Columns whose distance is a multiple of so many bytes share their places in the first cache.
const ALIASED_BYTES: usize = 2048;

/// Columns of C beyond which such a panel of A is read often enough to be packed.
const ALIASED_COLS: usize = 16;

/// Bytes of B, as long as a step of the sum, that stay in the second cache while all rows of A pass.
const B_BYTES: usize = 256 << 10;

/// Longest side of a tiny product.
const TINY: usize = 32;

/// Longest sum of a tiny product...
const LONG: usize = 2 * TINY;

/// ... and of one whose packed panel fits a page, for each further page of the stack is touched first.
const SHORT: usize = 16;

/// Whether a product of this shape is too small for any choice but one: C by its contiguous lines.
/// Beyond tiny sizes few lines of C leave a choice.
#[inline(always)]
pub(super) fn is_plain(m: usize, n: usize, k: usize) -> bool {
    let longest = m.max(n).max(k);
    longest <= TINY || (longest < 2 * TINY && m.min(n) >= TINY / 2)
}

/// Computes a tiny problem if it is one row of tiles and the rows of C are contiguous. Gives others
/// back, with the contiguous lines of C as rows.
///
/// The way of the smallest calls, whose every instruction shows, and every place in memory more: CPUs
/// begin with a call while they still compute the sums of the one before, as far ahead as they can
/// remember instructions, and above all stores, which have to wait for that C. What is given back
/// is a copy: a problem that some function has the address of would be written to memory for all.
#[inline(always)]
pub(super) fn in_a_row<'a, T: Kernels>(
    kernel: &MicroKernel<T>,
    mut p: Gemm<'a, T>,
) -> Result<(), Gemm<'a, T>> {
    if p.c.row_stride() != 1 {
        p.transpose();
    }
    let (m, n, k) = (p.m(), p.n(), p.k());
    let fits = m <= kernel.mr && n <= TINY && k <= LONG;
    if !fits || p.c.row_stride() != 1 {
        return Err(p);
    }
    let (b_rs, b_cs) = (p.b.row_stride(), p.b.col_stride());
    let (a, a_rs, a_cs) = (p.a.ptr(), p.a.row_stride(), p.a.col_stride());
    // One line is not worth packing for, and longer sums may be added up in any order.
    if k > TINY && (m == 1 || (n == 1 && a_rs != 1)) {
        return Err(p);
    }
    let (scaling, c, ld) = (Scaling::of(&p), p.c.ptr(), p.c.col_stride());
    // SAFETY: the operands are the views, and so are the tiles, whose rows are contiguous. C overlaps
    // neither A nor B, for it is borrowed alone. The kernel's family runs here, or it would not
    // have been chosen.
    unsafe {
        if a_rs == 1 {
            let _environment = fenv::Default::enter();
            let mut x = Operands { k, rows: m, a, a_cs, b: p.b.ptr(), b_rs, b_cs };
            row(kernel, &mut x, &scaling, (c, ld), n);
        } else if b_cs == 1 && n <= kernel.turned_columns {
            let _environment = fenv::Default::enter();
            let mut x =
                Operands { k, rows: n, a: p.b.ptr(), a_cs: b_rs, b: a, b_rs: a_cs, b_cs: a_rs };
            if m.max(n) <= TURNED {
                kernel.turned[0][m - 1](&x, &scaling, c, ld);
            } else {
                turned(kernel, &mut x, &scaling, (c, ld), m);
            }
        } else {
            let mut x = Operands { k, rows: m, a, a_cs, b: p.b.ptr(), b_rs, b_cs };
            let pack_and_run =
                if k <= SHORT { packed_row::<T, SHORT> } else { packed_row::<T, LONG> };
            pack_and_run(kernel, &mut x, a_rs, &scaling, (c, ld), n);
        }
    }
    Ok(())
}

/// A tiny product of contiguous rows of A for a C whose columns lie side by side, and its rows `ld`
/// elements apart: the rows of `x` and `cols` columns.
///
/// # Safety
/// As for [`row`], but for the layout of C, and there are kernels for it.
#[inline(never)]
unsafe fn turned<T: Kernels>(
    kernel: &MicroKernel<T>,
    x: &mut Operands<T>,
    scaling: &Scaling<T>,
    (mut c, ld): (*mut T, isize),
    cols: usize,
) {
    let (highest, b) = (TURNED * kernel.turned.len(), x.b);
    let mut rows = x.rows;
    loop {
        x.rows = blocking::share(rows, highest);
        (x.b, rows) = (b, rows - x.rows);
        let kernels = &kernel.turned[(x.rows - 1) / TURNED];
        let (mut at, mut left) = (c, cols);
        loop {
            let cols = blocking::share(left, TURNED);
            // SAFETY: the caller's promises.
            unsafe { kernels[cols - 1](x, scaling, at, ld) };
            left -= cols;
            if left == 0 {
                break;
            }
            (x.b, at) = (x.b.wrapping_offset(cols as isize * x.b_cs), at.wrapping_add(cols));
        }
        if rows == 0 {
            break;
        }
        (x.a, c) = (x.a.wrapping_add(x.rows), c.wrapping_offset(x.rows as isize * ld));
    }
}

/// A packed panel of a tiny product whose sum is at most K long.
#[repr(C, align(64))]
struct TinyPanel<const K: usize>(MaybeUninit<[[u8; tile::COLUMN_BYTES]; K]>);

/// [`row`] of a tiny product whose rows of A are `a_rs` apart: packs them first.
///
/// # Safety
/// As for [`row`], but for A's rows; the sum is at most K long.
#[inline(never)]
unsafe fn packed_row<T: Kernels, const K: usize>(
    kernel: &MicroKernel<T>,
    x: &mut Operands<T>,
    a_rs: isize,
    scaling: &Scaling<T>,
    c: (*mut T, isize),
    cols: usize,
) {
    let mut panel = TinyPanel::<K>(MaybeUninit::uninit());
    let panel: *mut T = panel.0.as_mut_ptr().cast();
    // SAFETY: A is a panel of at most MR rows and K columns, for which there is room, and which is then
    // in the panel. The rest is the caller's promise.
    unsafe {
        (kernel.pack_a)(x.a, a_rs, x.a_cs, x.rows, x.k, panel);
        (x.a, x.a_cs) = (panel, kernel.mr as isize);
        // Only now: to read it waits for what was computed before, and what comes then waits for it.
        let _environment = fenv::Default::enter();
        row(kernel, x, scaling, c, cols);
    }
}

/// At most MR contiguous rows: those of `x` and `cols` columns of C, from its first element and `ld`
/// elements from column to column.
///
/// # Safety
/// As for [`tile::update`], for every tile.
#[inline(always)]
unsafe fn row<T: Kernels>(
    kernel: &MicroKernel<T>,
    x: &mut Operands<T>,
    scaling: &Scaling<T>,
    (c, ld): (*mut T, isize),
    cols: usize,
) {
    // SAFETY: the caller's promises.
    unsafe {
        if kernel.first_rows(x.rows) < x.rows {
            two_rows(kernel, x, scaling, (c, ld), cols);
        } else if cols <= kernel.columns(x.rows) {
            kernel.parts(x.rows)[cols - 1](x, scaling, c, ld);
        } else {
            let place = Place { c, rs: 1, cs: ld, rows: x.rows, cols };
            row_of_tiles(kernel, x, scaling, place, kernel.columns(x.rows), false);
        }
    }
}

/// [`row`] where a short vector takes the last rows.
///
/// # Safety
/// As for [`row`].
#[inline(never)]
unsafe fn two_rows<T: Kernels>(
    kernel: &MicroKernel<T>,
    x: &mut Operands<T>,
    scaling: &Scaling<T>,
    (c, ld): (*mut T, isize),
    cols: usize,
) {
    let (a, b, all) = (x.a, x.b, x.rows);
    let upper = kernel.first_rows(all);
    for (first, rows) in [(0, upper), (upper, all - upper)] {
        (x.rows, x.a, x.b) = (rows, a.wrapping_add(first), b);
        let place = Place { c: c.wrapping_add(first), rs: 1, cs: ld, rows, cols };
        // SAFETY: the caller's promises.
        unsafe { row_of_tiles(kernel, x, scaling, place, kernel.columns(rows), false) };
    }
}

/// Computes the problem without packing B, the sum cut into steps of `depth`. Any size is right;
/// small ones are fast.
#[inline]
pub(super) fn gemm<T: Kernels>(kernel: &MicroKernel<T>, p: &mut Gemm<'_, T>, depth: usize) {
    let column = depth.min(p.k()).saturating_mul(size_of::<T>());
    if p.m() > kernel.mr && column.saturating_mul(p.n()) > B_BYTES {
        by_columns(kernel, p, depth, (B_BYTES / column).max(kernel.nr));
    } else {
        at_once(kernel, p, depth);
    }
}

/// [`gemm`] by at most so many columns at a time.
#[inline(never)]
fn by_columns<T: Kernels>(kernel: &MicroKernel<T>, p: &mut Gemm<'_, T>, depth: usize, most: usize) {
    let (m, n) = (p.m(), p.n());
    let most = blocking::even(n, most).next_multiple_of(kernel.nr);
    for j in (0..n).step_by(most) {
        at_once(kernel, &mut p.part(0, j, m, most.min(n - j)), depth);
    }
}

/// [`gemm`] of a B that the second cache holds.
#[inline(always)]
fn at_once<T: Kernels>(kernel: &MicroKernel<T>, p: &mut Gemm<'_, T>, depth: usize) {
    let scaling = Scaling::of(p);
    if packs(p) {
        packed(kernel, p, scaling, depth);
    } else {
        unpacked(kernel, p, scaling, depth, false);
    }
}

/// Whether the rows of A are packed.
#[inline(always)]
pub(super) fn packs<T: Kernels>(p: &Gemm<'_, T>) -> bool {
    !p.a.has_contiguous_rows() || is_conflicting(p)
}

/// Whether A is better packed even though its rows are contiguous: its columns push each other out of the
/// caches, and are wanted often enough.
#[inline(always)]
fn is_conflicting<T>(p: &Gemm<'_, T>) -> bool {
    p.c.cols() > ALIASED_COLS && are_aliased(&p.a)
}

/// Whether the columns share their places in the first cache.
#[inline(always)]
fn are_aliased<T>(a: &MatRef<'_, T>) -> bool {
    // Wrapping: the stride of a single column means nothing and may be anything.
    let bytes = a.col_stride().wrapping_mul(size_of::<T>() as isize);
    bytes % ALIASED_BYTES as isize == 0
}

/// Computes the problem from A and B as they lie, the sum cut into steps of `depth`. The rows of A
/// are contiguous, and it is in none of the first caches.
pub(super) fn stream<T: Kernels>(kernel: &MicroKernel<T>, p: &mut Gemm<'_, T>, depth: usize) {
    let scaling = Scaling::of(p);
    unpacked(kernel, p, scaling, depth, true);
}

/// All tiles of C from A as it lies.
#[inline(always)]
fn unpacked<T: Kernels>(
    kernel: &MicroKernel<T>,
    p: &mut Gemm<'_, T>,
    scaling: Scaling<T>,
    depth: usize,
    is_far: bool,
) {
    slabs(kernel, p, scaling, depth, is_far, |a, a_cs, _, _| (a, a_cs));
}

/// All tiles of C from panels of A, packed one at a time.
#[inline(never)]
fn packed<T: Kernels>(
    kernel: &MicroKernel<T>,
    p: &mut Gemm<'_, T>,
    scaling: Scaling<T>,
    depth: usize,
) {
    let mut on_stack = Panel(MaybeUninit::uninit());
    let line = kernel.mr * size_of::<T>();
    let depth = depth.min(p.k());
    let on_heap = (depth * line > PANEL_BYTES).then(|| Scratch::take(depth * line)).flatten();
    let (panel, depth): (*mut T, _) = match &on_heap {
        Some(memory) => (memory.start().cast(), depth),
        None => (on_stack.0.as_mut_ptr().cast(), depth.min(PANEL_BYTES / line)),
    };
    let a_rs = p.a.row_stride();
    slabs(kernel, p, scaling, depth, false, |a, a_cs, rows, k| {
        // SAFETY: `slabs` passes `rows ≤ MR` existing rows and k existing columns of A, and k is
        // short enough for the panel.
        unsafe { (kernel.pack_a)(a, a_rs, a_cs, rows, k, panel) };
        (panel, kernel.mr as isize)
    });
    if let Some(memory) = on_heap {
        memory.keep();
    }
}

/// All tiles of C, for one slab of at most `depth` columns of A after another. `panel_of` gives
/// each panel of A contiguous rows: from its first element, column stride, rows and columns it
/// makes the first element and the column stride to use. `is_far` says that A is in none of the first
/// caches.
#[inline(always)]
fn slabs<T: Kernels>(
    kernel: &MicroKernel<T>,
    p: &mut Gemm<'_, T>,
    mut scaling: Scaling<T>,
    depth: usize,
    is_far: bool,
    panel_of: impl Fn(*const T, isize, usize, usize) -> (*const T, isize),
) {
    let (m, n, k) = (p.m(), p.n(), p.k());
    let (b_rs, b_cs) = (p.b.row_stride(), p.b.col_stride());
    let c_cs = p.c.col_stride();
    // More columns of B than the cache has ways would push each other out.
    let b_is_aliased = are_aliased(&p.b);
    let mut l = 0;
    loop {
        let depth = depth.min(k - l);
        let mut i = 0;
        while i < m {
            let rows = kernel.share_of_rows(m - i);
            // A single row is as good as contiguous.
            let rs = if rows == 1 { 1 } else { p.c.row_stride() };
            let (a, a_cs) = panel_of(p.a.at(i, l), p.a.col_stride(), rows, depth);
            let mut x = Operands { k: depth, rows, a, a_cs, b: p.b.at(l, 0), b_rs, b_cs };
            let most = if b_is_aliased { kernel.nr } else { kernel.columns(rows) };
            let place = Place { c: p.c.at(i, 0), rs, cs: c_cs, rows, cols: n };
            // SAFETY: the operands lie inside the views, or in the panel that was just packed; so does
            // the tile. C overlaps neither A nor B, for it is borrowed alone. The kernel's family
            // runs here, or it would not have been chosen.
            unsafe { row_of_tiles(kernel, &mut x, &scaling, place, most, is_far) };
            i += rows;
        }
        l += depth;
        if l >= k {
            break;
        }
        scaling.beta = T::ONE;
    }
}

/// A row of tiles: `place` with its columns cut into tiles of at most `most`, of which the first asks for
/// A's next rows if A `is_far`. `x` has the rows of A and the first column of B.
///
/// # Safety
/// As for [`tile::update`], for every tile.
#[inline(always)]
unsafe fn row_of_tiles<T: Kernels>(
    kernel: &MicroKernel<T>,
    x: &mut Operands<T>,
    scaling: &Scaling<T>,
    mut place: Place<T>,
    most: usize,
    is_far: bool,
) {
    let (mut left, parts) = (place.cols, kernel.parts(place.rows));
    let mut first = if is_far { kernel.far_parts(place.rows) } else { parts };
    loop {
        place.cols = blocking::share(left, most);
        // SAFETY: the caller's promises.
        unsafe { tile::update(first[place.cols - 1], x, scaling, place) };
        left -= place.cols;
        if left == 0 {
            break;
        }
        let cols = place.cols as isize;
        (x.b, place.c) =
            (x.b.wrapping_offset(cols * x.b_cs), place.c.wrapping_offset(cols * place.cs));
        // What the first tile asks for is there for the others.
        first = parts;
    }
}
