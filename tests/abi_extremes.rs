//! Matrices and sizes at the limits of the integer types.

mod abi_support;

use abi_support::call::{Args, COL_MAJOR, Element, NO_TRANS, ROW_MAJOR, TRANS, call, load};
use abi_support::{gemm_spellings, skip};
use memmap2::{MmapMut, MmapOptions};
use npublas::{c32, c64};
use std::ptr;

/// Elements between the columns: the largest `lda` that 32 bits can say. Element (0, 2) is
/// already 2³² − 2 elements away from the first.
const HUGE: i64 = i32::MAX as i64;
const ROWS: usize = 2;
const COLS: usize = 3;

/// Address space for `cols` columns, of which only the pages that are touched take memory.
fn sparse<T>(cols: usize) -> Option<MmapMut> {
    let elements = (cols - 1) * HUGE as usize + ROWS;
    MmapOptions::new().len(elements * size_of::<T>()).no_reserve_swap().map_anon().ok()
}

/// C := A·Bᵀ for three sparse 2 × 3 or 2 × 2 matrices, through every spelling of the type.
fn huge_leading_dimensions<T: Element>() {
    let (Some(mut a), Some(mut b), Some(mut c)) =
        (sparse::<T>(COLS), sparse::<T>(COLS), sparse::<T>(ROWS))
    else {
        return skip("no address space for sparse matrices");
    };
    let library = load();
    let at = |map: &mut MmapMut, i: usize, j: usize| {
        // SAFETY: the mappings have an element at every (i, j) asked for.
        unsafe { map.as_mut_ptr().cast::<T>().add(i + j * HUGE as usize) }
    };
    let element = |i: usize, j: usize, seed: i32| T::small(i as i32 + 3 * j as i32 + seed, 1);
    for i in 0..ROWS {
        for j in 0..COLS {
            // SAFETY: as above.
            unsafe {
                at(&mut a, i, j).write(element(i, j, 1));
                at(&mut b, i, j).write(element(i, j, 7));
            }
        }
    }
    for spelling in gemm_spellings().iter().filter(|spelling| spelling.letter == T::LETTER) {
        for i in 0..ROWS {
            for j in 0..ROWS {
                // SAFETY: as above.
                unsafe { at(&mut c, i, j).write(T::ONE) };
            }
        }
        let args = Args {
            layout: COL_MAJOR,
            transa: NO_TRANS,
            transb: TRANS,
            m: ROWS as i64,
            n: ROWS as i64,
            k: COLS as i64,
            alpha: T::ONE,
            a: a.as_ptr().cast(),
            lda: HUGE,
            b: b.as_ptr().cast(),
            ldb: HUGE,
            beta: T::ONE,
            c: c.as_mut_ptr().cast(),
            ldc: HUGE,
        };
        // SAFETY: the matrices lie in the mappings.
        unsafe { call(&library, spelling, &args) };
        for i in 0..ROWS {
            for j in 0..ROWS {
                let terms = (0..COLS).map(|l| element(i, l, 1) * element(j, l, 7));
                let expected = terms.fold(T::ONE, |sum, term| sum + term);
                // SAFETY: as above.
                let found = unsafe { at(&mut c, i, j).read() };
                assert!(found == expected, "{}: ({i}, {j}) is {found:?}", spelling.name);
            }
        }
    }
}

#[test]
fn offsets_beyond_32_bits_in_s() {
    huge_leading_dimensions::<f32>();
}
#[test]
fn offsets_beyond_32_bits_in_d() {
    huge_leading_dimensions::<f64>();
}
#[test]
fn offsets_beyond_32_bits_in_c() {
    huge_leading_dimensions::<c32>();
}
#[test]
fn offsets_beyond_32_bits_in_z() {
    huge_leading_dimensions::<c64>();
}

/// The largest sizes of each integer type, where they mean no work: nothing is touched and
/// nothing overflows. The smallest are errors, which have a test of their own.
#[test]
fn the_largest_integers_are_survived() {
    let library = load();
    for spelling in gemm_spellings().iter().filter(|spelling| spelling.letter == 's') {
        let max = if spelling.ilp64 { i64::MAX } else { i32::MAX.into() };
        for layout in [ROW_MAJOR, COL_MAJOR] {
            for (transa, transb) in [(NO_TRANS, NO_TRANS), (TRANS, NO_TRANS), (NO_TRANS, TRANS)] {
                let none = Args::<f32> {
                    layout,
                    transa,
                    transb,
                    m: max,
                    n: max,
                    k: max,
                    alpha: 1.0,
                    a: ptr::null(),
                    lda: max,
                    b: ptr::null(),
                    ldb: max,
                    beta: 1.0,
                    c: ptr::null_mut(),
                    ldc: max,
                };
                for nothing in [
                    Args { m: 0, ..none },
                    Args { n: 0, ..none },
                    Args { m: 0, n: 0, k: 0, ..none },
                    Args { k: 0, ..none },
                    Args { alpha: 0.0, ..none },
                ] {
                    // SAFETY: no matrix has elements that such a call looks at.
                    unsafe { call(&library, spelling, &nothing) };
                }
                let (a, b, mut c) = ([2.0], [3.0], [f32::NAN]);
                let one = Args {
                    m: 1,
                    n: 1,
                    k: 1,
                    a: a.as_ptr(),
                    b: b.as_ptr(),
                    beta: 0.0,
                    c: c.as_mut_ptr(),
                    ..none
                };
                // SAFETY: matrices of one element; their next line is never reached.
                unsafe { call(&library, spelling, &one) };
                assert_eq!(c, [6.0], "{}", spelling.name);
            }
        }
    }
}
