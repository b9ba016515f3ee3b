//! One random call: what it is asked, and what must come of it.

use super::memory::Fenced;
use super::oracle::{self, Element as Number};
use crate::abi_support::Spelling;
use crate::abi_support::call::{
    self, Args, CONJ_TRANS, Element, NO_TRANS, ROW_MAJOR, TRANS, Trans,
};
use crate::common::data::Rng;
use libloading::Library;
use npublas::{Gemm, MatMut, MatRef, Scalar};

/// Above this many multiplications the exact oracle looks at some entries only.
const ALL_ENTRIES: usize = 1 << 18;

/// An element type of all the traits.
pub trait Any: Element + Number {}
impl<T: Element + Number> Any for T {}

/// What the elements are like.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Data {
    /// Small integers: every result is exact.
    Integers,
    Normal,
    /// Normal, scaled by powers of two between 2^-20 and 2^20.
    Wide,
    /// Normal with some NaN.
    Nan,
    /// Normal with some infinities.
    Infinite,
}

/// A matrix by columns without gaps, as the oracles have it.
#[derive(Debug, Clone)]
struct Plain<T> {
    rows: usize,
    cols: usize,
    data: Vec<T>,
}

impl<T: Any> Plain<T> {
    fn draw(rows: usize, cols: usize, data: Data, rng: &mut Rng) -> Plain<T> {
        let part = |rng: &mut Rng| match data {
            Data::Integers => rng.below(19) as f64 - 9.0,
            Data::Wide => rng.normal() * 2f64.powi(rng.below(41) as i32 - 20),
            _ => rng.normal(),
        };
        let mut elements: Vec<T> = (0..rows * cols).map(|_| T::new(part(rng), part(rng))).collect();
        if !elements.is_empty() {
            for _ in 0..rng.below(3) {
                let at = rng.below(elements.len());
                let odd = match data {
                    Data::Nan => f64::NAN,
                    Data::Infinite if rng.below(2) == 0 => f64::INFINITY,
                    Data::Infinite => f64::NEG_INFINITY,
                    _ => break,
                };
                let (re, im) = elements[at].re_im();
                elements[at] = if rng.below(2) == 0 || !T::COMPLEX {
                    T::new(odd, im)
                } else {
                    T::new(re, odd)
                };
            }
        }
        Plain { rows, cols, data: elements }
    }

    fn get(&self, i: usize, j: usize) -> T {
        self.data[j * self.rows + i]
    }

    fn ld(&self) -> usize {
        self.rows.max(1)
    }

    /// op of the matrix as a view, and whether it stands for its conjugate.
    fn op(&self, trans: Trans) -> (MatRef<'_, T>, bool) {
        let view = MatRef::from_col_major(&self.data, self.rows, self.cols, self.ld());
        (if trans == NO_TRANS { view } else { view.t() }, trans == CONJ_TRANS)
    }

    /// Σ of the parts' magnitudes, element by element.
    fn norms(&self) -> Vec<f64> {
        self.data.iter().map(|x| norm(*x)).collect()
    }

    /// The same in the caller's memory.
    fn laid_out(&self, layout: i32, ld: usize, at_end: bool) -> Fenced<T> {
        let by_rows = layout == ROW_MAJOR;
        let (lines, length) = if by_rows { (self.rows, self.cols) } else { (self.cols, self.rows) };
        let mut memory = Fenced::new(lines, length, ld, at_end);
        for j in 0..self.cols {
            for i in 0..self.rows {
                let (line, place) = if by_rows { (i, j) } else { (j, i) };
                memory.set(line, place, self.get(i, j));
            }
        }
        memory
    }
}

/// |re| + |im|; what is no finite number counts as none, because it is compared by itself.
fn norm<T: Number>(x: T) -> f64 {
    let (re, im) = x.re_im();
    [re, im].into_iter().filter(|x| x.is_finite()).map(f64::abs).sum()
}

fn is_finite<T: Number>(x: T) -> bool {
    let (re, im) = x.re_im();
    re.is_finite() && im.is_finite()
}

/// A random call.
#[derive(Debug)]
pub struct Case<T> {
    data: Data,
    layout: i32,
    trans: [Trans; 2],
    m: usize,
    n: usize,
    k: usize,
    alpha: T,
    beta: T,
    a: Plain<T>,
    /// `None`: B is the leading part of the memory of A.
    b: Option<Plain<T>>,
    c: Plain<T>,
    ld: [usize; 3],
    at_end: [bool; 3],
}

impl<T: Any> Case<T> {
    /// A call that `spelling` can express, mostly small and with no size above `largest`.
    pub fn random(spelling: &Spelling, largest: usize, rng: &mut Rng) -> Case<T> {
        let range = match rng.below(100) {
            0..60 => 16,
            60..85 => 80,
            85..97 => 250,
            _ => 1200,
        };
        let [m, n, k] = [(); 3].map(|()| rng.below(range.min(largest) + 1));
        let layout = if spelling.cblas && rng.below(2) == 0 { ROW_MAJOR } else { call::COL_MAJOR };
        let trans = [(); 2].map(|()| [NO_TRANS, TRANS, CONJ_TRANS][rng.below(3)]);
        let data = [Data::Integers, Data::Normal, Data::Wide, Data::Nan, Data::Infinite];
        let data = data[[0, 0, 1, 1, 1, 2, 2, 3, 4][rng.below(9)]];
        let scalar = |rng: &mut Rng| {
            let fraction = if data == Data::Integers { -3.0 } else { 0.7 };
            let scalars = [T::ZERO, T::ONE, T::new(-1.0, 0.0), T::new(fraction, 2.0)];
            scalars[[0, 1, 1, 1, 2, 3, 3][rng.below(7)]]
        };
        let (alpha, beta) = (scalar(rng), scalar(rng));

        let stored =
            |trans, rows, cols| if trans == NO_TRANS { (rows, cols) } else { (cols, rows) };
        let [mut of_a, of_b] = [stored(trans[0], m, k), stored(trans[1], k, n)];
        let shared = rng.below(6) == 0;
        if shared {
            of_a = (of_a.0.max(of_b.0), of_a.1.max(of_b.1));
        }
        let a = Plain::draw(of_a.0, of_a.1, data, rng);
        let b = (!shared).then(|| Plain::draw(of_b.0, of_b.1, data, rng));
        let mut c = Plain::draw(m, n, data, rng);
        if beta == T::ZERO {
            c.data.fill(T::new(f64::NAN, f64::NAN));
        }
        let mut ld = [of_a, of_b, (m, n)].map(|(rows, cols)| {
            let by_rows = layout == ROW_MAJOR;
            let (lines, length) = if by_rows { (rows, cols) } else { (cols, rows) };
            // So far apart that every line has pages of its own, and beyond 32 bits where the
            // spelling has more. An emulator of another CPU has tables that grow with the
            // address space, so there it is less.
            let emulated = std::env::var_os("NPUBLAS_TEST_RUNNER").is_some();
            let far = match spelling.ilp64 {
                _ if emulated => length.max(1) + (1 << 22),
                true => (1 << 31) + 5,
                false => i32::MAX as usize,
            };
            match rng.below(12) {
                0..5 => length.max(1),
                5..10 => length.max(1) + 1 + rng.below(20),
                10 => length.max(1) + (1 << 13) + rng.below(1 << 13),
                _ if lines <= 16 => far,
                _ => length.max(1) + (1 << 20),
            }
        });
        if shared {
            ld[1] = ld[0];
        }
        let at_end = [(); 3].map(|()| rng.below(3) > 0);
        Case { data, layout, trans, m, n, k, alpha, beta, a, b, c, ld, at_end }
    }

    /// Stored B.
    fn b(&self) -> Plain<T> {
        let (rows, cols) =
            if self.trans[1] == NO_TRANS { (self.k, self.n) } else { (self.n, self.k) };
        self.b.clone().unwrap_or_else(|| {
            let all = (0..cols).flat_map(|j| (0..rows).map(move |i| (i, j)));
            Plain { rows, cols, data: all.map(|(i, j)| self.a.get(i, j)).collect() }
        })
    }

    /// What `library` makes of C, in memory with fences all round.
    pub fn run(&self, library: &Library, spelling: &Spelling) -> Fenced<T> {
        let a = self.a.laid_out(self.layout, self.ld[0], self.at_end[0]);
        let b = self.b.as_ref().map(|b| b.laid_out(self.layout, self.ld[1], self.at_end[1]));
        let c = self.c.laid_out(self.layout, self.ld[2], self.at_end[2]);
        let readable = self.alpha != T::ZERO;
        a.seal(readable);
        b.iter().for_each(|b| b.seal(readable));
        let args = Args {
            layout: self.layout,
            transa: self.trans[0],
            transb: self.trans[1],
            m: self.m as i64,
            n: self.n as i64,
            k: self.k as i64,
            alpha: self.alpha,
            a: a.ptr(),
            lda: self.ld[0] as i64,
            b: b.as_ref().unwrap_or(&a).ptr(),
            ldb: self.ld[1] as i64,
            beta: self.beta,
            c: c.ptr(),
            ldc: self.ld[2] as i64,
        };
        // SAFETY: the operands are as large as the sizes say. Those that must not be read, and
        // everything round them, cannot be.
        unsafe { call::call(library, spelling, &args) };
        c.assert_untouched();
        c
    }

    /// Asserts that `got` is as good a result as that of the `reference`, a BLAS with 32-bit
    /// integers, and as exact arithmetic asks.
    pub fn judge(&self, got: &Fenced<T>, reference: &Library, rng: &mut Rng) {
        let b = self.b();
        // SAFETY: plain operands of these very sizes.
        let expected = unsafe {
            self.by_reference(
                reference,
                T::LETTER,
                self.alpha,
                &self.a.data,
                &b.data,
                self.beta,
                &self.c.data,
            )
        };
        // SAFETY: the same.
        let sizes = unsafe {
            let zeros = vec![0.0; self.m * self.n];
            self.by_reference(reference, 'd', 1.0, &self.a.norms(), &b.norms(), 0.0, &zeros)
        };
        let at = |i, j| if self.layout == ROW_MAJOR { got.get(i, j) } else { got.get(j, i) };
        for j in 0..self.n {
            for i in 0..self.m {
                let place = j * self.m + i;
                self.compare(at(i, j), expected[place], sizes[place], (i, j));
            }
        }
        if matches!(self.data, Data::Nan | Data::Infinite) || self.m * self.n == 0 {
            return;
        }
        let mut unused = self.c.data.clone();
        let ((a, conj_a), (b, conj_b)) = (self.a.op(self.trans[0]), b.op(self.trans[1]));
        let problem = Gemm {
            alpha: self.alpha,
            a: a.block(0, 0, self.m, self.k),
            conj_a,
            b,
            conj_b,
            beta: self.beta,
            c: MatMut::from_col_major(&mut unused, self.m, self.n, self.m),
        };
        let check = |i, j| oracle::assert_entry(&problem, self.c.get(i, j), at(i, j), i, j);
        if self.m * self.n * self.k <= ALL_ENTRIES {
            (0..self.n).for_each(|j| (0..self.m).for_each(|i| check(i, j)));
        } else {
            (0..ALL_ENTRIES / self.k).for_each(|_| check(rng.below(self.m), rng.below(self.n)));
        }
    }

    /// The reference's C.
    ///
    /// # Safety
    /// `letter` is that of `S`; A and B are plain and of this call's sizes.
    unsafe fn by_reference<S: Element>(
        &self,
        reference: &Library,
        letter: char,
        alpha: S,
        a: &[S],
        b: &[S],
        beta: S,
        c: &[S],
    ) -> Vec<S> {
        let mut c = c.to_vec();
        let rows_b = if self.trans[1] == NO_TRANS { self.k } else { self.n };
        let args = Args {
            layout: call::COL_MAJOR,
            transa: self.trans[0],
            transb: self.trans[1],
            m: self.m as i64,
            n: self.n as i64,
            k: self.k as i64,
            alpha,
            a: a.as_ptr(),
            lda: self.a.ld() as i64,
            b: b.as_ptr(),
            ldb: rows_b.max(1) as i64,
            beta,
            c: c.as_mut_ptr(),
            ldc: self.m.max(1) as i64,
        };
        let name = format!("{letter}gemm_");
        let spelling = Spelling { name, letter, cblas: false, ilp64: false };
        // SAFETY: promised by the caller; C is as large.
        unsafe { call::call(reference, &spelling, &args) };
        c
    }

    /// Compares an entry with the reference's; `size` is Σ|a||b|.
    fn compare(&self, got: T, expected: T, size: f64, place: (usize, usize)) {
        let ((re, im), (expected_re, expected_im)) = (got.re_im(), expected.re_im());
        let old = if self.beta == T::ZERO { T::ZERO } else { self.c.get(place.0, place.1) };
        let alike = match self.data {
            _ if got.bits() == expected.bits() => true,
            Data::Integers => re == expected_re && im == expected_im,
            // Which parts of a complex entry become NaN depends, where a factor is infinite, on
            // when α is multiplied, and where half of the old entry is NaN, on whether β = 1 is
            // multiplied at all; the reference does one or the other as A is transposed or not.
            _ if T::COMPLEX && (self.data == Data::Infinite || !is_finite(old)) => {
                is_finite(got) == is_finite(expected)
            }
            _ => {
                // Both results keep the bound, and the reference takes the sum k steps onto βC.
                let old = norm(self.beta) * norm(old);
                let steps = self.k as f64 + if T::COMPLEX { 4.0 } else { 2.0 };
                let bound = 2.0 * T::U * steps * (norm(self.alpha) * size + old) * 1.001;
                let near =
                    |x: f64, y: f64| x == y || (x.is_nan() && y.is_nan()) || (x - y).abs() <= bound;
                near(re, expected_re) && near(im, expected_im)
            }
        };
        assert!(alike, "entry {place:?} is {got:?}, not {expected:?}, of {}", self.describe());
    }

    /// The call in one line.
    pub fn describe(&self) -> String {
        let Case { data, layout, trans, m, n, k, alpha, beta, ld, at_end, .. } = self;
        let shared = self.b.is_none();
        format!(
            "{}gemm {m}×{n}×{k} layout={layout} trans={trans:?} α={alpha:?} β={beta:?} ld={ld:?} \
             {data:?} shared={shared} at_end={at_end:?}",
            <T as Scalar>::LETTER
        )
    }
}
