//! General matrix product: `C ← α·A·B + β·C`.

use crate::fenv;
use crate::mat::MatMut;
use crate::problem::Gemm;
use crate::runtime::{self, Runs};
use crate::scalar::Scalar;
use crate::trace::Report;

/// Computes `C ← α·A·B + β·C` wherever it is fastest.
///
/// As the reference BLAS: nothing is touched when m = 0 or n = 0, nor when (α = 0 or k = 0) and
/// β = 1. A and B are not read when α = 0. C is not read when β = 0; it then becomes +0 where
/// there is nothing to add. C must not overlap A or B.
///
/// Says where it was computed; `None` where there was no product to compute.
///
/// # Panics
/// When the shapes of A, B and C do not fit together.
pub fn gemm<T: Runs>(problem: Gemm<'_, T>) -> Option<Report> {
    gemm_of_caller(problem, false)
}

/// [`gemm()`] for a caller who, if `is_turned`, speaks of the transposed problem: it is that one which is
/// routed and reported.
// As all on the way of a small call, down to the kernel, inlined and with problems passed by value:
// so they stay in registers.
#[inline(always)]
pub(crate) fn gemm_of_caller<T: Runs>(problem: Gemm<'_, T>, is_turned: bool) -> Option<Report> {
    let (m, n, k) = (problem.m(), problem.n(), problem.k());
    assert!(
        problem.a.rows() == m && problem.b.rows() == k && problem.b.cols() == n,
        "shapes of A, B and C do not fit together"
    );
    if m == 0 || n == 0 {
        return None;
    }
    if problem.alpha.is_zero() || k == 0 {
        let _environment = fenv::Default::enter();
        scale(problem.beta, problem.c);
        return None;
    }
    Some(runtime::gemm(problem, is_turned))
}

/// `C ← β·C`; does not read C when β = 0, nor touch it when β = 1.
#[inline(never)]
fn scale<T: Scalar>(beta: T, c: MatMut<'_, T>) {
    if beta == T::ONE {
        return;
    }
    for j in 0..c.cols() {
        for i in 0..c.rows() {
            let at = c.at(i, j);
            // SAFETY: (i, j) lies inside C, which the view promises to be writable; it is read
            // only where β ≠ 0, that is where the caller promises a value.
            unsafe { at.write(if beta == T::ZERO { T::ZERO } else { beta * at.read() }) };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mat::MatRef;
    use crate::scalar::c64;

    const NAN: f64 = f64::NAN;

    /// A problem of one row and one column, with inner length 2 or 0.
    fn dot<'a>(
        alpha: f64,
        a: &'a [f64],
        b: &'a [f64],
        beta: f64,
        c: &'a mut [f64],
    ) -> Gemm<'a, f64> {
        let k = a.len();
        Gemm {
            alpha,
            a: MatRef::from_col_major(a, 1, k, 1),
            conj_a: false,
            b: MatRef::from_row_major(b, k, 1, 1),
            conj_b: false,
            beta,
            c: MatMut::from_col_major(c, 1, 1, 1),
        }
    }

    fn result(alpha: f64, a: &[f64], b: &[f64], beta: f64, old: f64) -> f64 {
        let mut c = [old];
        gemm(dot(alpha, a, b, beta, &mut c));
        c[0]
    }

    #[test]
    fn c_is_not_read_where_beta_is_zero() {
        assert_eq!(result(2.0, &[1.0, 2.0], &[3.0, 4.0], 0.0, NAN), 22.0);
        assert_eq!(result(2.0, &[1.0, 2.0], &[3.0, 4.0], -0.0, NAN), 22.0);
        for (alpha, a) in [(0.0, &[NAN, NAN][..]), (1.0, &[])] {
            let zero = result(alpha, a, a, 0.0, NAN);
            assert_eq!(zero.to_bits(), 0.0f64.to_bits(), "plus zero");
        }
    }

    #[test]
    fn a_and_b_are_not_read_where_alpha_is_zero() {
        assert_eq!(result(0.0, &[NAN, NAN], &[NAN, NAN], 3.0, 2.0), 6.0);
        assert_eq!(result(-0.0, &[NAN, NAN], &[NAN, NAN], 1.0, 2.0), 2.0);
    }

    #[test]
    fn nothing_is_touched_where_there_is_nothing_to_do() {
        // Multiplied by one, a signalling NaN would become a quiet one.
        let signalling = f64::from_bits(0x7ff0_0000_0000_0001);
        for (alpha, a) in [(0.0, &[1.0, 2.0][..]), (1.0, &[])] {
            assert_eq!(result(alpha, a, a, 1.0, signalling).to_bits(), signalling.to_bits());
        }
        for (m, n) in [(0, 3), (3, 0), (0, 0)] {
            let mut c = [NAN; 9];
            gemm(Gemm {
                alpha: 1.0,
                a: MatRef::from_col_major(&[1.0; 9], m, 3, 3),
                conj_a: false,
                b: MatRef::from_col_major(&[1.0; 9], 3, n, 3),
                conj_b: false,
                beta: 0.0,
                c: MatMut::from_col_major(&mut c, m, n, 3),
            });
            assert!(c.iter().all(|x| x.is_nan()));
        }
    }

    #[test]
    fn what_is_not_a_number_shows() {
        assert!(result(1.0, &[0.0, 1.0], &[f64::INFINITY, 1.0], 0.0, 0.0).is_nan(), "0·Inf");
        assert!(result(1.0, &[NAN, 1.0], &[0.0, 1.0], 0.0, 0.0).is_nan(), "NaN·0");
        assert!(result(NAN, &[0.0, 0.0], &[0.0, 0.0], 0.0, 0.0).is_nan(), "NaN·(A·B)");
        assert!(result(1.0, &[1.0, 1.0], &[1.0, 1.0], NAN, 1.0).is_nan(), "NaN·C");
        assert!(result(0.0, &[1.0, 1.0], &[1.0, 1.0], 2.0, NAN).is_nan(), "β·NaN");
        assert_eq!(result(1.0, &[1.0, 1.0], &[f64::INFINITY, 1.0], 0.0, 0.0), f64::INFINITY);
    }

    #[test]
    fn scaling_reaches_every_element_and_no_other() {
        let (rows, cols, ld) = (3, 4, 5);
        for beta in [0.0, 0.5, -2.0] {
            let mut c: Vec<f64> = (1..=ld * cols).map(|x| x as f64).collect();
            let old = c.clone();
            gemm(Gemm {
                alpha: 0.0,
                a: MatRef::from_col_major(&[], rows, 0, rows),
                conj_a: false,
                b: MatRef::from_col_major(&[], 0, cols, 1),
                conj_b: false,
                beta,
                c: MatMut::from_col_major(&mut c, rows, cols, ld),
            });
            for (i, (new, old)) in c.iter().zip(&old).enumerate() {
                assert_eq!(*new, if i % ld < rows { beta * old } else { *old });
            }
        }
    }

    #[test]
    fn negative_and_zero_strides_are_strides() {
        // A read backwards in both directions, and every row of B the same.
        let (a, b) = ([1.0, 2.0, 3.0, 4.0, 5.0, 6.0], [10.0, 100.0]);
        let mut c = [0.0; 4];
        // SAFETY: the elements of A are those of the array, from the last to the first; those of
        // B are the two of its array.
        let (a, b) = unsafe {
            (MatRef::new(&raw const a[5], 2, 3, -3, -1), MatRef::new(b.as_ptr(), 3, 2, 0, 1))
        };
        let c_view = MatMut::from_row_major(&mut c, 2, 2, 2);
        gemm(Gemm { alpha: 1.0, a, conj_a: false, b, conj_b: false, beta: 0.0, c: c_view });
        assert_eq!(c, [150.0, 1500.0, 60.0, 600.0]);
    }

    #[test]
    fn conjugation_is_a_flag_per_operand() {
        let (x, y) = (c64::new(1.0, 2.0), c64::new(3.0, -5.0));
        for (conj_a, conj_b) in [(false, false), (true, false), (false, true), (true, true)] {
            let mut c = [c64::new(7.0, 7.0)];
            gemm(Gemm {
                alpha: c64::new(0.0, 1.0),
                a: MatRef::from_col_major(&[x], 1, 1, 1),
                conj_a,
                b: MatRef::from_col_major(&[y], 1, 1, 1),
                conj_b,
                beta: c64::ONE,
                c: MatMut::from_col_major(&mut c, 1, 1, 1),
            });
            let a = if conj_a { x.conj() } else { x };
            let b = if conj_b { y.conj() } else { y };
            assert_eq!(c[0], c64::new(0.0, 1.0) * a * b + c64::new(7.0, 7.0));
        }
    }

    #[test]
    fn a_part_is_the_same_problem_for_a_block() {
        let (m, n, k) = (5, 6, 4);
        let a: Vec<f64> = (0..m * k).map(|x| x as f64).collect();
        let b: Vec<f64> = (0..k * n).map(|x| (x % 7) as f64).collect();
        let mut whole = vec![1.0; m * n];
        let mut parts = whole.clone();
        let problem = |c| Gemm {
            alpha: 2.0,
            a: MatRef::from_col_major(&a, m, k, m),
            conj_a: false,
            b: MatRef::from_row_major(&b, k, n, n),
            conj_b: false,
            beta: 3.0,
            c,
        };
        gemm(problem(MatMut::from_col_major(&mut whole, m, n, m)));
        let mut in_parts = problem(MatMut::from_col_major(&mut parts, m, n, m));
        for (i, rows) in [(0, 2), (2, 3)] {
            for (j, cols) in [(0, 1), (1, 5)] {
                gemm(in_parts.part(i, j, rows, cols));
            }
        }
        assert_eq!(whole, parts);
    }

    #[test]
    #[should_panic(expected = "do not fit together")]
    fn shapes_must_fit() {
        let mut c = [0.0];
        let mut problem = dot(1.0, &[1.0, 2.0], &[1.0, 2.0], 0.0, &mut c);
        problem.b = MatRef::from_col_major(&[1.0; 3], 3, 1, 3);
        gemm(problem);
    }
}
