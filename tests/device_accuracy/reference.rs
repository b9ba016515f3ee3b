//! How far results are from the exact ones.

use crate::call::Call;
use crate::common::exact::Sum;
use crate::element::Element;
use crate::families::Operands;

/// Errors of the results of one call, each the worst of all entries.
///
/// For an entry with d = |c - exact|, less what one rounding may lose in the subnormal range, and
/// G = |α| Σ|a||b| + |β||c_old|. Absolute values of complex numbers are moduli; k_eff is the
/// smaller number of non-zeros of the row and the column.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Errors {
    /// R = d / (eps G).
    pub r: f64,
    /// Rn = d / (eps (|α| ‖a‖₂ ‖b‖₂ + |β||c_old|)).
    pub rn: f64,
    /// d over what the NPU's results are promised to meet: (k_eff + 2) u |α| Σ|a||b| +
    /// 2 u |β||c_old|, times √8 for complex types.
    pub promised: f64,
    /// The same over (k_eff + 2) u G, times √8, where every step may lose something in the
    /// subnormal range: what a conventional product meets, which adds up in C.
    pub conventional: f64,
    /// R / (1 + √k_eff / 2).
    pub root: f64,
    /// d less 2 eps G, over |α| k max|a| max|b|; complex numbers count as two real ones.
    pub greatest: f64,
    /// The same over the bound of `fp16`, 2^-9 |α| Σ|a||b| + 2^-37 |α| k max|a| max|b|.
    pub halves: f64,
    /// The same over the bound of `fp16x2` for a device without low sums,
    /// (k/31 + 15) u |α| Σ|a||b| + 2^-43 |α| k max|a| max|b|.
    pub pairs: f64,
    /// Σ d².
    pub squares: f64,
    /// Entries that are exact.
    pub exact: usize,
    /// Entries that were looked at.
    pub entries: usize,
}

impl Errors {
    /// The worse of both.
    pub fn and(self, other: Errors) -> Errors {
        Errors {
            r: self.r.max(other.r),
            rn: self.rn.max(other.rn),
            promised: self.promised.max(other.promised),
            conventional: self.conventional.max(other.conventional),
            root: self.root.max(other.root),
            greatest: self.greatest.max(other.greatest),
            halves: self.halves.max(other.halves),
            pairs: self.pairs.max(other.pairs),
            squares: self.squares + other.squares,
            exact: self.exact + other.exact,
            entries: self.entries + other.entries,
        }
    }

    /// Of `results`, in at most `most` entries that are spread over all rows and columns.
    pub fn of<T: Element>(call: &Call<T>, results: &[T], most: usize) -> Errors {
        let Operands { m, n, k, a, b } = &call.operands;
        let (m, n, k) = (*m, *n, *k);
        let rows: Vec<Line> = (0..m).map(|i| Line::new((0..k).map(|l| a[i * k + l]))).collect();
        let cols: Vec<Line> = (0..n).map(|j| Line::new((0..k).map(|l| b[l * n + j]))).collect();
        // A step without a factor in common with n comes to all columns.
        let mut step = (m * n).div_ceil(most).max(1);
        while step > 1 && (2..=step).any(|d| step % d == 0 && n % d == 0) {
            step += 1;
        }
        let places: Vec<usize> = (0..m * n).step_by(step).collect();
        let threads = std::thread::available_parallelism().map_or(1, |n| n.get());
        std::thread::scope(|scope| {
            let work = places.chunks(places.len().div_ceil(threads).max(1)).map(|places| {
                let (rows, cols) = (&rows, &cols);
                scope.spawn(move || {
                    let of = |&at: &usize| {
                        entry(call, &rows[at / n], &cols[at % n], call.old[at], results[at])
                    };
                    places.iter().map(of).fold(Errors::default(), Errors::and)
                })
            });
            let work: Vec<_> = work.collect();
            work.into_iter().fold(Errors::default(), |all, work| all.and(work.join().unwrap()))
        })
    }
}

/// A row of A or a column of B.
#[derive(Debug)]
struct Line {
    parts: Vec<[f64; 2]>,
    moduli: Vec<f64>,
    norm: f64,
    max: f64,
    nonzeros: usize,
}

fn modulus([re, im]: [f64; 2]) -> f64 {
    if im == 0.0 { re.abs() } else { re.hypot(im) }
}

impl Line {
    fn new<T: Element>(elements: impl Iterator<Item = T>) -> Line {
        let parts: Vec<_> = elements.map(Element::doubles).collect();
        let moduli: Vec<f64> = parts.iter().copied().map(modulus).collect();
        // Scaled, so that no square leaves the range.
        let max = moduli.iter().fold(0.0, |max: f64, &x| max.max(x));
        let scale = if max == 0.0 { 1.0 } else { max };
        let squares = moduli.iter().map(|x| (x / scale).powi(2)).sum::<f64>();
        let nonzeros = moduli.iter().filter(|&&x| x != 0.0).count();
        Line { norm: squares.sqrt() * scale, max, parts, moduli, nonzeros }
    }
}

fn entry<T: Element>(call: &Call<T>, row: &Line, col: &Line, old: T, result: T) -> Errors {
    let (alpha, beta) = (call.alpha.doubles(), call.beta.doubles());
    let old = if call.beta == T::ZERO { [0.0; 2] } else { old.doubles() };
    let result = result.doubles();

    // α·Σ a·b + β·old - result, part by part, without rounding.
    let mut sums = [Sum::new(), Sum::new()];
    for (a, b) in row.parts.iter().zip(&col.parts) {
        sums[0].add_product(a[0], b[0]);
        if T::COMPLEX {
            sums[0].add_product(-a[1], b[1]);
            sums[1].add_product(a[0], b[1]);
            sums[1].add_product(a[1], b[0]);
        }
    }
    let mut distances = [0.0; 2];
    for part in 0..1 + usize::from(T::COMPLEX) {
        let mut distance = Sum::new();
        let (sign, other) = if part == 0 { (-1.0, 1) } else { (1.0, 0) };
        distance.add_times(alpha[0], &sums[part]);
        distance.add_product(beta[0], old[part]);
        if T::COMPLEX {
            distance.add_times(sign * alpha[1], &sums[other]);
            distance.add_product(sign * beta[1], old[other]);
        }
        distance.add_product(-1.0, result[part]);
        distances[part] = distance.value().abs();
    }
    let exact = distances == [0.0; 2];

    let widen = if T::COMPLEX { 8f64.sqrt() } else { 1.0 };
    let product: f64 = row.moduli.iter().zip(&col.moduli).map(|(a, b)| a * b).sum();
    let (alpha, added) = (modulus(alpha), modulus(beta) * modulus(old));
    let (norms, product) = (alpha * row.norm * col.norm, alpha * product);
    let k = row.nonzeros.min(col.nonzeros) as f64;
    let less = |roundings: f64| modulus(distances.map(|d| (d - roundings * T::tiny()).max(0.0)));
    // In units of eps, and in this order: a bound times eps may be too small for a double.
    let over = |roundings: f64, bound: f64| {
        let distance = less(roundings);
        if distance == 0.0 { 0.0 } else { distance / bound / T::eps() }
    };
    let r = over(1.0, product + added);
    let beyond = (less(1.0) - 2.0 * T::eps() * (product + added)).max(0.0);
    let greatest = widen * alpha * row.parts.len() as f64 * row.max * col.max;
    let over_bound = |share: f64, fixed: i32| {
        let bound = share * widen * product + 2f64.powi(fixed) * greatest;
        if beyond == 0.0 { 0.0 } else { beyond / bound }
    };
    let depth = row.parts.len() as f64;
    Errors {
        r,
        rn: over(1.0, norms + added),
        promised: over(1.0, widen * ((k + 2.0) / 2.0 * product + added)),
        conventional: over(k + 2.0, widen * (k + 2.0) / 2.0 * (product + added)),
        root: r / (1.0 + k.sqrt() / 2.0),
        greatest: if beyond == 0.0 { 0.0 } else { beyond / greatest },
        halves: over_bound(2f64.powi(-9), -37),
        pairs: over_bound((depth / 31.0 + 15.0) * T::eps() / 2.0, -43),
        squares: modulus(distances).powi(2),
        exact: usize::from(exact),
        entries: 1,
    }
}
