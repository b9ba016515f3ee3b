//! Every spelling of gemm, called through its exported symbol, against a triple loop.
//!
//! The data are small integers, so that every sum is exact in every type and results can be
//! compared for equality.

mod abi_support;

use abi_support::call::{
    Args, COL_MAJOR, CONJ_TRANS, Element, NO_TRANS, ROW_MAJOR, TRANS, Trans, call, load,
};
use abi_support::{Spelling, gemm_spellings};
use libloading::Library;
use npublas::{c32, c64};
use std::ptr;

/// A matrix in a buffer of its own, with lines longer than needed.
#[derive(Clone)]
struct Matrix<T> {
    rows: usize,
    cols: usize,
    by_rows: bool,
    ld: usize,
    data: Vec<T>,
}

impl<T: Element> Matrix<T> {
    /// `rows × cols` elements from `element`, in lines that are `padding` longer than they must
    /// be; what lies between the lines is `gap`.
    fn new(
        (rows, cols): (usize, usize),
        layout: i32,
        padding: usize,
        gap: T,
        element: impl Fn(usize, usize) -> T,
    ) -> Self {
        let by_rows = layout == ROW_MAJOR;
        let (lines, length) = if by_rows { (rows, cols) } else { (cols, rows) };
        let ld = length.max(1) + padding;
        let mut matrix = Matrix { rows, cols, by_rows, ld, data: vec![gap; ld * lines + padding] };
        for i in 0..rows {
            for j in 0..cols {
                let at = matrix.index(i, j);
                matrix.data[at] = element(i, j);
            }
        }
        matrix
    }

    fn index(&self, i: usize, j: usize) -> usize {
        assert!(i < self.rows && j < self.cols);
        if self.by_rows { i * self.ld + j } else { i + j * self.ld }
    }

    fn at(&self, i: usize, j: usize) -> T {
        self.data[self.index(i, j)]
    }
}

/// Element (i, j) of op(matrix).
fn op<T: Element>(matrix: &Matrix<T>, trans: Trans, i: usize, j: usize) -> T {
    match trans {
        NO_TRANS => matrix.at(i, j),
        TRANS => matrix.at(j, i),
        _ => matrix.at(j, i).conj(),
    }
}

/// Stored shape of an operand that is `rows × cols` after `trans`.
fn stored(trans: Trans, rows: usize, cols: usize) -> (usize, usize) {
    if trans == NO_TRANS { (rows, cols) } else { (cols, rows) }
}

fn nan<T: Element>() -> T {
    // 0/0 is NaN in every type, through the only operations that all of them share.
    let huge = (0..12).fold(T::small(1 << 30, 1 << 30), |x, _| x * x);
    huge + -huge
}

/// Small integers that depend on the place.
fn value<T: Element>(seed: usize) -> impl Fn(usize, usize) -> T {
    move |i, j| {
        let mix = (i * 7 + j * 13 + seed * 5) as i32;
        T::small(mix % 9 - 4, mix % 7 - 3)
    }
}

const SHAPES: &[(usize, usize, usize)] = &[
    (1, 1, 1),
    (2, 3, 4),
    (3, 1, 5),
    (1, 4, 2),
    (5, 9, 3),
    (9, 5, 7),
    (17, 13, 19),
    (3, 2, 0),
    (0, 3, 2),
    (4, 0, 2),
];

fn check_shapes<T: Element>(library: &Library, spelling: &Spelling) {
    let layouts: &[i32] = if spelling.cblas { &[ROW_MAJOR, COL_MAJOR] } else { &[COL_MAJOR] };
    for &shape in SHAPES {
        for &layout in layouts {
            for transa in [NO_TRANS, TRANS, CONJ_TRANS] {
                for transb in [NO_TRANS, TRANS, CONJ_TRANS] {
                    for padding in [0, 3] {
                        check_scalars::<T>(
                            library,
                            spelling,
                            shape,
                            layout,
                            (transa, transb),
                            padding,
                        );
                    }
                }
            }
        }
    }
}

fn check_scalars<T: Element>(
    library: &Library,
    spelling: &Spelling,
    (m, n, k): (usize, usize, usize),
    layout: i32,
    (transa, transb): (Trans, Trans),
    padding: usize,
) {
    let a = Matrix::<T>::new(stored(transa, m, k), layout, padding, nan(), value(1));
    let b = Matrix::<T>::new(stored(transb, k, n), layout, padding, nan(), value(2));
    for (alpha, beta) in [
        (T::ONE, T::ZERO),
        (T::ONE, T::ONE),
        (T::small(-2, 1), T::small(3, -1)),
        (T::small(2, 0), T::ZERO),
        (T::ZERO, T::ZERO),
        (T::ZERO, T::ONE),
        (T::ZERO, T::small(-1, 2)),
    ] {
        // Where β = 0 the old C is not read.
        let old = |i, j| if beta == T::ZERO { nan() } else { value::<T>(3)(i, j) };
        let gap = T::small(99, -99);
        let mut c = Matrix::new((m, n), layout, padding, gap, old);
        let expected = Matrix::new((m, n), layout, padding, gap, |i, j| {
            let sum =
                (0..k).fold(T::ZERO, |sum, l| sum + op(&a, transa, i, l) * op(&b, transb, l, j));
            let product = if alpha == T::ZERO { T::ZERO } else { alpha * sum };
            product + if beta == T::ZERO { T::ZERO } else { beta * c.at(i, j) }
        });
        let args = Args {
            layout,
            transa,
            transb,
            m: m as i64,
            n: n as i64,
            k: k as i64,
            alpha,
            a: a.data.as_ptr(),
            lda: a.ld as i64,
            b: b.data.as_ptr(),
            ldb: b.ld as i64,
            beta,
            c: c.data.as_mut_ptr(),
            ldc: c.ld as i64,
        };
        // SAFETY: the matrices have the shapes that the arguments give.
        unsafe { call(library, spelling, &args) };
        assert!(c.data == expected.data, "{}: {args:?}", spelling.name);
    }
}

/// Matrices without elements, or not looked at, may be null.
fn check_null<T: Element>(library: &Library, spelling: &Spelling) {
    let two = T::small(2, 0);
    let some = [T::ONE; 4];
    let run = |(m, n, k), alpha, beta, [a, b]: [*const T; 2], c: *mut T| {
        for layout in [ROW_MAJOR, COL_MAJOR] {
            let args = Args {
                layout,
                transa: NO_TRANS,
                transb: NO_TRANS,
                m,
                n,
                k,
                alpha,
                a,
                lda: 2,
                b,
                ldb: 2,
                beta,
                c,
                ldc: 2,
            };
            // SAFETY: no pointer is null whose elements the call looks at.
            unsafe { call(library, spelling, &args) };
        }
    };
    let (null, there) = (ptr::null::<T>(), some.as_ptr());
    run((0, 2, 2), two, two, [null, there], ptr::null_mut());
    run((2, 0, 2), two, two, [there, null], ptr::null_mut());
    run((0, 0, 0), two, two, [null, null], ptr::null_mut());
    run((0, 2, 0), two, T::ZERO, [null, null], ptr::null_mut());
    for (shape, alpha) in [((2, 2, 0), T::ONE), ((2, 2, 2), T::ZERO)] {
        let mut c = [T::ONE; 4];
        run(shape, alpha, two, [null, null], c.as_mut_ptr());
        // Once by rows and once by columns.
        assert!(c == [T::small(4, 0); 4], "{}: {c:?}", spelling.name);
        run(shape, alpha, T::ONE, [null, null], c.as_mut_ptr());
        assert!(c == [T::small(4, 0); 4], "{}: {c:?}", spelling.name);
        run(shape, alpha, T::ZERO, [null, null], c.as_mut_ptr());
        assert!(c == [T::ZERO; 4], "{}: {c:?}", spelling.name);
    }
}

/// OpenBLAS's `CblasConjNoTrans`.
fn check_conj_no_trans<T: Element>(library: &Library, spelling: &Spelling) {
    if !spelling.cblas {
        return;
    }
    let conj = Trans(114, b'?');
    let (a, b) = ([T::small(2, 3)], [T::small(5, -1)]);
    for (transa, transb) in [(conj, NO_TRANS), (NO_TRANS, conj), (conj, conj)] {
        for layout in [ROW_MAJOR, COL_MAJOR] {
            let mut c = [nan::<T>()];
            let args = Args {
                layout,
                transa,
                transb,
                m: 1,
                n: 1,
                k: 1,
                alpha: T::ONE,
                a: a.as_ptr(),
                lda: 1,
                b: b.as_ptr(),
                ldb: 1,
                beta: T::ZERO,
                c: c.as_mut_ptr(),
                ldc: 1,
            };
            // SAFETY: three matrices of one element.
            unsafe { call(library, spelling, &args) };
            let of = |x: T, trans| if trans == conj { x.conj() } else { x };
            assert!(c[0] == of(a[0], transa) * of(b[0], transb), "{}", spelling.name);
        }
    }
}

macro_rules! each_spelling {
    ($($test:ident: $check:ident;)*) => {$(
        #[test]
        fn $test() {
            let library = load();
            for spelling in gemm_spellings() {
                match spelling.letter {
                    's' => $check::<f32>(&library, &spelling),
                    'd' => $check::<f64>(&library, &spelling),
                    'c' => $check::<c32>(&library, &spelling),
                    _ => $check::<c64>(&library, &spelling),
                }
            }
        }
    )*};
}

each_spelling! {
    every_spelling_computes_every_combination: check_shapes;
    null_is_legal_where_nothing_is_looked_at: check_null;
    conj_no_trans_is_taken: check_conj_no_trans;
}
