//! Other people's criteria for the accuracy of a BLAS.
//!
//! Demmel et al., "How to grade the accuracy of an implementation of the BLAS" (2024), as NVIDIA's
//! open grading program has its tests; the reference BLAS's xblat3; BLAS++'s `check_gemm`.

use crate::call::Call;
use crate::common::data::Rng;
use crate::common::device;
use crate::element::Element;
use crate::families::{self, Operands};
use crate::reference::Errors;
use npublas::{c32, c64};

/// Runs a test for all four types where there is a device.
macro_rules! every_type {
    ($test:ident) => {
        if device::ready() {
            $test::<f32>();
            $test::<f64>();
            $test::<c32>();
            $test::<c64>();
        }
    };
}

/// Grade A, test 1b: where no non-zero of a row meets one of a column, the result is exactly 0.
/// Algorithms that add rows or columns, such as Strassen's, fail.
#[test]
fn structural_zeros_stay_zero() {
    fn of<T: Element>() {
        for (size, family) in [(16, "normal"), (96, "unif01"), (160, "phi1")] {
            let mut it: Operands<T> = families::operands(family, size, size, size, 41);
            // Rows and columns of even number live on odd places, the others on even ones.
            for at in 0..size * size {
                let (line, place) = (at / size, at % size);
                if (line + place).is_multiple_of(2) {
                    it.a[at] = T::ZERO;
                }
                if (line + place).is_multiple_of(2) {
                    it.b[at] = T::ZERO;
                }
            }
            let call = Call::plain(it);
            let (results, _) = call.run();
            for (at, result) in results.iter().enumerate() {
                // Row i has odd places where i is even, column j where j is even.
                let meet = (at / size + at % size).is_multiple_of(2);
                assert_eq!(*result == T::ZERO, !meet, "{}gemm {family} {at}", T::LETTER);
            }
            let errors = Errors::of(&call, &results, 2000);
            assert!(errors.conventional <= 1.0, "{}gemm {family} {errors:?}", T::LETTER);
        }
    }
    every_type!(of);
}

/// Grade A, test 2b: y = x·D and z = D^-1·x of widely graded D, rotated from line to line; within
/// 10 n u, which fixed-point arithmetic with one exponent per line cannot hold.
#[test]
fn graded_and_rotated_operands_are_within_ten_n_u() {
    fn of<T: Element>() {
        for size in [16, 64, 200] {
            let call = Call::<T>::plain(families::operands("graded", size, size, size, 42));
            let errors = Errors::of(&call, &call.run().0, 2000);
            assert!(errors.r * 2.0 <= 10.0 * size as f64, "{}gemm {errors:?}", T::LETTER);
        }
    }
    every_type!(of);
}

/// Grade A: the componentwise error grows at most linearly with n. The slope of log R over log n,
/// by least squares.
#[test]
fn errors_grow_at_most_linearly() {
    fn of<T: Element>() {
        for family in ["unif01", "normal", "graded"] {
            let sizes = [16, 32, 64, 128, 256];
            let points = sizes.map(|size| {
                let it = families::operands(family, size, size, size, 43);
                let call = Call::<T>::plain(it);
                let errors = Errors::of(&call, &call.run().0, 2000);
                ((size as f64).ln(), errors.r.ln())
            });
            let mean = |of: fn(&(f64, f64)) -> f64| points.iter().map(of).sum::<f64>() / 5.0;
            let (x, y) = (mean(|p| p.0), mean(|p| p.1));
            let rise: f64 = points.iter().map(|p| (p.0 - x) * (p.1 - y)).sum();
            let slope = rise / points.iter().map(|p| (p.0 - x).powi(2)).sum::<f64>();
            println!("{}gemm {family}: slope {slope:.2}", T::LETTER);
            assert!(slope <= 1.0, "{}gemm {family}: slope {slope}", T::LETTER);
        }
    }
    every_type!(of);
}

/// The data of xblat3, multiples of 1/1001 in (-1/2, 1/2), at its sizes: the test ratio is R, and
/// 16 fails.
#[test]
fn the_testers_threshold_is_far() {
    fn of<T: Element>() {
        let mut rng = Rng::new(44);
        let mut worst = 0.0_f64;
        for k in [1, 2, 3, 5, 9, 31, 65] {
            for _ in 0..10 {
                let mut operands: Operands<T> = families::operands("ints", 9, 7, k, 0);
                let mut draw = || (rng.below(1001) as f64 - 500.0) / 1001.0;
                operands.a.iter_mut().for_each(|a| *a = T::new(draw(), draw()));
                operands.b.iter_mut().for_each(|b| *b = T::new(draw(), draw()));
                let old = (0..63).map(|_| T::new(draw(), draw())).collect();
                let (alpha, beta) = (T::new(0.7, -0.9), T::new(1.3, -1.1));
                let call = Call { alpha, beta, old, ..Call::plain(operands) };
                worst = worst.max(Errors::of(&call, &call.run().0, 2000).r);
            }
        }
        println!("{}gemm: {worst:.2} of 16", T::LETTER);
        assert!(worst < 16.0, "{}gemm: {worst}", T::LETTER);
    }
    every_type!(of);
}

/// BLAS++: ‖C - C_ref‖_F / (√(k + 2) |α| ‖A‖_F ‖B‖_F + 2 |β| ‖C‖_F) below u, over 2 √2 for complex
/// types.
#[test]
fn blas_plus_plus_would_be_content() {
    fn of<T: Element>() {
        for (family, [m, n, k]) in [("unif01", [50, 60, 100]), ("normal", [100, 100, 300])] {
            let mut rng = Rng::new(45);
            let call: Call<T> = Call::drawn(family, [m, n, k], &[0.7], &mut rng);
            let norm = |matrix: &[T]| {
                let parts = matrix.iter().flat_map(|x| x.doubles());
                parts.filter(|x| !x.is_nan()).map(|x| x * x).sum::<f64>().sqrt()
            };
            let size = |x: T| norm(&[x]);
            let it = &call.operands;
            let bound = ((k + 2) as f64).sqrt() * size(call.alpha) * norm(&it.a) * norm(&it.b)
                + 2.0 * size(call.beta) * norm(&call.old);
            let errors = Errors::of(&call, &call.run().0, m * n);
            let widen = if T::COMPLEX { 8f64.sqrt() } else { 1.0 };
            let ratio = errors.squares.sqrt() / widen / bound / (T::eps() / 2.0);
            assert!(ratio < 1.0, "{}gemm {family}: {ratio}", T::LETTER);
        }
    }
    every_type!(of);
}
