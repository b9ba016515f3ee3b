//! Single entries of C here and there: dot products of rows of A and columns of B.
//!
//! A product of one row and one column reads the column where it lies, which in most layouts means
//! a line of the cache for every number. Here strided lines are copied first, once for all entries
//! that want them: a strip of columns of B at a time, rows of A only where those of the transposed
//! problem are strided too.

use super::gemm::{gemm, wants_threads};
use super::kernel::{Available, Kernels};
use super::scratch::Scratch;
use crate::mat::{MatMut, MatRef};
use crate::problem::Gemm;
use crate::threads::Threads;
use std::marker::PhantomData;
use std::ops::Range;

/// Lines that are copied side by side: where they are strided, their neighbours lie in the same
/// lines of the cache.
const STRIP: usize = 16;

/// Bytes between two copied lines, so that they do not compete for places in the cache where their
/// length is a power of two.
const APART: usize = 64;

/// Computes the entries of C at some places, row and column, all of them different; with the help of
/// `threads` where given. No other entry of C is touched. The bits of an entry do not depend on the
/// others. Works, more slowly, when there is no memory for copies.
///
/// # Panics
/// When a place is not inside C.
pub fn entries<T: Kernels>(
    mut p: Gemm<'_, T>,
    places: impl Iterator<Item = (usize, usize)> + Clone,
    family: Available,
    threads: Option<&Threads>,
) {
    let is_turned = p.a.col_stride() != 1 && p.b.row_stride() == 1;
    if is_turned {
        p.transpose();
    }
    let places = places.map(|(i, j)| if is_turned { (j, i) } else { (i, j) });
    let Some(sorted) = Sorted::new(places.clone(), p.n()) else {
        places.for_each(|(i, j)| gemm(p.part(i, j, 1, 1), family, None));
        return;
    };
    let alone = Threads::alone();
    let threads = threads.filter(|_| wants_threads(1, sorted.entries.len(), p.k()));
    let threads = threads.unwrap_or(&alone);

    let p = &p;
    let rows = (p.a.col_stride() != 1).then(|| Copied::new(p.a.rows(), p.k())).flatten();
    if let Some(rows) = &rows {
        threads.for_each(p.a.rows().div_ceil(STRIP), |strip| {
            let first = strip * STRIP;
            // SAFETY: every ticket has lines of its own.
            unsafe { rows.copy(p.a, first..p.a.rows().min(first + STRIP), first) };
        });
    }
    // SAFETY: all of its lines were just copied.
    let a = rows.as_ref().map_or(p.a, |rows| unsafe { rows.view() });
    threads.for_each(sorted.strips(), |strip| {
        let entries = sorted.strip(strip);
        let first = strip * STRIP;
        let lines = first..p.n().min(first + STRIP);
        let wants_copy = !entries.is_empty() && p.b.row_stride() != 1;
        let cols = wants_copy.then(|| Copied::new(lines.len(), p.k())).flatten();
        let (b, first) = match &cols {
            // SAFETY: nobody else has the copy, and all of its lines are copied.
            Some(cols) => unsafe {
                cols.copy(p.b.t(), lines, 0);
                (cols.view().t(), first)
            },
            None => (p.b, 0),
        };
        for &(i, j) in entries {
            assert!(i < p.m(), "an entry outside C");
            let one = Gemm {
                alpha: p.alpha,
                a: a.block(i, 0, 1, p.k()),
                conj_a: p.conj_a,
                b: b.block(0, j - first, p.k(), 1),
                conj_b: p.conj_b,
                beta: p.beta,
                // SAFETY: the entry lies inside C, no other ticket has it, and `p` is borrowed
                // until all are done.
                c: unsafe { MatMut::new(p.c.at(i, j), 1, 1, 1, 1) },
            };
            gemm(one, family, None);
        }
        if let Some(cols) = cols {
            cols.memory.keep();
        }
    });
}

/// Entries of C by strips of columns.
struct Sorted {
    /// Rows and columns; within a strip in the order in which they were given.
    entries: Vec<(usize, usize)>,
    /// Where the entries of every strip end.
    ends: Vec<usize>,
}

impl Sorted {
    /// Of a C of `n` columns. `None` when there is no memory.
    ///
    /// # Panics
    /// When there is an entry beyond the last column.
    fn new(places: impl Iterator<Item = (usize, usize)> + Clone, n: usize) -> Option<Sorted> {
        let (mut ends, mut entries) = (Vec::new(), Vec::new());
        let total = places.clone().count();
        ends.try_reserve_exact(n.div_ceil(STRIP)).ok()?;
        entries.try_reserve_exact(total).ok()?;
        ends.resize(n.div_ceil(STRIP), 0);
        entries.resize(total, (0, 0));
        for (_, j) in places.clone() {
            assert!(j < n, "an entry outside C");
            ends[j / STRIP] += 1;
        }
        let mut start = 0;
        for end in &mut ends {
            start += std::mem::replace(end, start);
        }
        for (i, j) in places {
            let at = &mut ends[j / STRIP];
            entries[*at] = (i, j);
            *at += 1;
        }
        Some(Sorted { entries, ends })
    }

    fn strips(&self) -> usize {
        self.ends.len()
    }

    fn strip(&self, strip: usize) -> &[(usize, usize)] {
        let start = if strip == 0 { 0 } else { self.ends[strip - 1] };
        &self.entries[start..self.ends[strip]]
    }
}

/// Room for copies of some lines, each contiguous.
struct Copied<T> {
    memory: Scratch,
    lines: usize,
    length: usize,
    of: PhantomData<T>,
}

// SAFETY: memory that nobody else has, of elements that may be shared between threads.
unsafe impl<T: Sync> Sync for Copied<T> {}

impl<T: Copy> Copied<T> {
    fn new(lines: usize, length: usize) -> Option<Copied<T>> {
        let bytes = length.checked_mul(size_of::<T>())?.checked_add(APART)?.checked_mul(lines)?;
        Some(Copied { memory: Scratch::take(bytes)?, lines, length, of: PhantomData })
    }

    /// Elements from one line to the next.
    fn pitch(&self) -> usize {
        self.length + APART / size_of::<T>()
    }

    /// Copies some rows of `mat`, as long as the lines, to the lines from `to` on.
    ///
    /// # Safety
    /// Nobody else writes or reads these lines meanwhile.
    ///
    /// # Panics
    /// When there is no room for them.
    unsafe fn copy(&self, mat: MatRef<'_, T>, rows: Range<usize>, to: usize) {
        assert!(to + rows.len() <= self.lines && rows.end <= mat.rows());
        assert!(mat.cols() == self.length);
        let start = self.memory.start().cast::<T>();
        for l in 0..self.length {
            for i in rows.clone() {
                // SAFETY: inside the view and inside the memory, which is aligned for any element.
                unsafe {
                    start.add((to + i - rows.start) * self.pitch() + l).write(*mat.at(i, l));
                }
            }
        }
    }

    /// The lines as the rows of a matrix.
    ///
    /// # Safety
    /// All of them were copied, and nobody writes them during the life of the view.
    unsafe fn view(&self) -> MatRef<'_, T> {
        let start = self.memory.start().cast_const().cast::<T>();
        // SAFETY: as the caller promises, and the memory lives as long as this.
        unsafe { MatRef::new(start, self.lines, self.length, self.pitch() as isize, 1) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cpu::kernel::families;
    use crate::scalar::c32;

    /// Every entry that is asked for is computed once, no other is touched, in every layout.
    #[test]
    fn the_entries_asked_for_and_no_others() {
        let number = |i: usize| c32::new((i * 7 % 11) as f32 - 5.0, (i * 5 % 13) as f32 - 6.0);
        let threads = Threads::new(2);
        for (m, n, k) in [(1, 1, 1), (5, 40, 3), (50, 33, 20), (19, 17, 700)] {
            let a: Vec<c32> = (0..m * k).map(number).collect();
            let b: Vec<c32> = (0..k * n).map(|i| number(i + 99)).collect();
            let old: Vec<c32> = (0..m * n).map(|i| number(i + 5)).collect();
            let wanted = |i: usize, j: usize| (i * 31 + j * 17).is_multiple_of(7);
            let all = (0..m).flat_map(|i| (0..n).map(move |j| (i, j)));
            let places: Vec<(usize, usize)> = all.filter(|&(i, j)| wanted(i, j)).collect();
            for ways in 0..16 {
                let [row_a, row_b, row_c, keeps] = [1, 2, 4, 8].map(|bit| ways & bit != 0);
                let view = |data, rows, cols, row_major| match row_major {
                    true => MatRef::from_row_major(data, rows, cols, cols),
                    false => MatRef::from_col_major(data, rows, cols, rows),
                };
                let run = |work: &dyn Fn(Gemm<'_, c32>)| {
                    let mut c = old.clone();
                    let view_c = match row_c {
                        true => MatMut::from_row_major(&mut c, m, n, n),
                        false => MatMut::from_col_major(&mut c, m, n, m),
                    };
                    work(Gemm {
                        alpha: c32::new(2.0, 1.0),
                        a: view(&a, m, k, row_a),
                        conj_a: true,
                        b: view(&b, k, n, row_b),
                        conj_b: false,
                        beta: if keeps { c32::new(0.0, 1.0) } else { c32::new(0.0, 0.0) },
                        c: view_c,
                    });
                    c
                };
                for family in families().filter_map(|family| family.available()) {
                    // All numbers are integers below 2^24, so that every way is exact.
                    let whole = run(&|p| gemm(p, family, None));
                    let places = places.iter().copied();
                    let some = run(&|p| entries(p, places.clone(), family, Some(&threads)));
                    for at in 0..m * n {
                        let (i, j) = if row_c { (at / n, at % n) } else { (at % m, at / m) };
                        let expected = if wanted(i, j) { whole[at] } else { old[at] };
                        assert_eq!(some[at], expected, "({i}, {j}) of {m}x{n}x{k}, way {ways}");
                    }
                }
            }
        }
    }

    #[test]
    #[should_panic(expected = "outside C")]
    fn entries_outside_are_refused() {
        let (a, b, mut c) = ([1f32; 6], [1f32; 6], [0f32; 4]);
        let p = Gemm {
            alpha: 1.0,
            a: MatRef::from_row_major(&a, 2, 3, 3),
            conj_a: false,
            b: MatRef::from_row_major(&b, 3, 2, 2),
            conj_b: false,
            beta: 0.0,
            c: MatMut::from_row_major(&mut c, 2, 2, 2),
        };
        let family = crate::cpu::kernel::chosen(None);
        entries(p, std::iter::once((2, 1)), family, None);
    }
}
