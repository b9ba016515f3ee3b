//! Operands of the families over which accuracy is judged, in all four types.

use crate::common::data::Rng;
use crate::element::Element;

/// A of m × k and B of k × n, both row-major and contiguous.
#[derive(Debug, Clone)]
pub struct Operands<T> {
    pub m: usize,
    pub n: usize,
    pub k: usize,
    pub a: Vec<T>,
    pub b: Vec<T>,
}

/// Every family of the acceptance set.
pub const FAMILIES: [&str; 17] = [
    "unif01", "unif", "normal", "relu", "relu2", "laplace", "ints", "eye", "half", "phi0.5",
    "phi1", "phi2", "phi4", "spike", "graded", "range", "tiny",
];

/// Operands of a family; complex ones have the family in both parts.
///
/// * `unif01`, `unif`: uniform in (0, 1) or (-1/2, 1/2); `normal`; `laplace`.
/// * `relu`, `relu2`: normal, negative elements of A, or of both, are 0.
/// * `ints`: integers up to 99; `large`: up to the greatest that no scheme of the default mode
///   rounds, 32,639 or 2,139,062,143. `eye`: B is the identity.
/// * `half`: a constant whose quantisation error is always half a unit of the same sign.
/// * `phiX`: uniform in (-1/2, 1/2) times e^(X · normal), the Ozaki papers' wide ranges.
/// * `spike`: normal, with one element per line 2^16 (2^40) times greater, never facing another.
/// * `graded`: row x·D, column D^-1·y with D from 2^14 to 2^-14 (2^60 to 2^-60), rotated from
///   line to line: test 2b of Demmel's grading.
/// * `range`: normal, rows and columns scaled over half the exponents, in opposite directions.
/// * `tiny`: normal, so small that the results are subnormal.
pub fn operands<T: Element>(family: &str, m: usize, n: usize, k: usize, seed: u64) -> Operands<T> {
    let (a, b) = parts::<T>(family, m, n, k, seed);
    let (mut a_im, mut b_im) = parts::<T>(family, m, n, k, !seed);
    if !T::COMPLEX || family == "eye" {
        b_im.fill(0.0);
    }
    if !T::COMPLEX {
        a_im.fill(0.0);
    }
    let join = |re: Vec<f64>, im: Vec<f64>| {
        re.into_iter().zip(im).map(|(re, im)| T::new(re, im)).collect()
    };
    Operands { m, n, k, a: join(a, a_im), b: join(b, b_im) }
}

/// One part of A and of B.
fn parts<T: Element>(
    family: &str,
    m: usize,
    n: usize,
    k: usize,
    seed: u64,
) -> (Vec<f64>, Vec<f64>) {
    let mut rng = Rng::new(seed);
    let mut both = |draw: &mut dyn FnMut(&mut Rng) -> f64| -> (Vec<f64>, Vec<f64>) {
        ((0..m * k).map(|_| draw(&mut rng)).collect(), (0..k * n).map(|_| draw(&mut rng)).collect())
    };
    let single_or = |single: i32, double: i32| if T::DOUBLE { double } else { single };
    match family {
        "unif01" => both(&mut Rng::uniform),
        "unif" => both(&mut |r| r.uniform() - 0.5),
        "normal" => both(&mut Rng::normal),
        "laplace" => both(&mut Rng::laplace),
        "half" => both(&mut |_| 1.0 + T::eps()),
        "ints" => both(&mut |r| r.below(199) as f64 - 99.0),
        "large" => {
            let top = if T::DOUBLE { 2_139_062_143 } else { 32_639 };
            both(&mut |r| r.below(2 * top + 1) as f64 - top as f64)
        }
        "tiny" => both(&mut |r| r.normal() * 2f64.powi(single_or(-69, -531))),
        "relu2" => both(&mut |r| r.normal().max(0.0)),
        "relu" => {
            let (mut a, mut b) = both(&mut Rng::normal);
            a.iter_mut().for_each(|a| *a = a.max(0.0));
            b.iter_mut().for_each(|b| *b *= 0.02);
            (a, b)
        }
        "eye" => {
            let (a, mut b) = both(&mut Rng::normal);
            (0..k * n).for_each(|at| b[at] = f64::from(u8::from(at / n == at % n)));
            (a, b)
        }
        "spike" => {
            let (mut a, mut b) = both(&mut Rng::normal);
            let (mut places, spike) = (Rng::new(seed ^ 0x5149), 2f64.powi(single_or(16, 40)));
            if k > 1 {
                (0..m).for_each(|i| a[i * k + places.below(k / 2)] *= spike);
                (0..n).for_each(|j| b[(k / 2 + places.below(k - k / 2)) * n + j] *= spike);
            }
            (a, b)
        }
        "graded" => {
            let top = single_or(14, 60);
            let grade = |l: usize| 2f64.powi(top - (2 * top as usize * (l % k) / k) as i32);
            let (mut a, mut b) = both(&mut |r| 1.0 + r.uniform());
            (0..m * k).for_each(|at| a[at] *= grade(at / k + at % k));
            (0..k * n).for_each(|at| b[at] /= grade(at / n + at % n));
            (a, b)
        }
        "range" => {
            let top = single_or(25, 240);
            let power = |line: usize, lines: usize| {
                2f64.powi(2 * top - (4 * top as usize * line / lines) as i32)
            };
            let (mut a, mut b) = both(&mut Rng::normal);
            (0..m * k).for_each(|at| a[at] *= power(at / k, m));
            (0..k * n).for_each(|at| b[at] *= power(n - 1 - at % n, n));
            (a, b)
        }
        _ => {
            let phi = family.strip_prefix("phi").and_then(|phi| phi.parse::<f64>().ok());
            let phi = phi.unwrap_or_else(|| panic!("no family is called {family}"));
            both(&mut |r| (r.uniform() - 0.5) * (phi * r.normal()).exp())
        }
    }
}
