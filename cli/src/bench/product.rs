//! A product to measure: its matrices, and whether a result is right.

use super::library::{Call, Element, Function};
use super::suite::Shape;

/// Pseudo-random numbers, the same in every run.
struct Random(u64);

impl Random {
    /// A number in [-1, 1).
    fn number(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (self.0 >> 33) as f64 / (1u64 << 30) as f64 - 1.0
    }

    fn element<T: Element>(&mut self) -> T {
        T::new(self.number(), self.number())
    }
}

/// Row-major matrices of one shape, one after another.
#[derive(Debug)]
struct Matrices<T> {
    data: Vec<T>,
    rows: usize,
    cols: usize,
    ld: usize,
}

impl<T: Element> Matrices<T> {
    fn new(
        count: usize,
        (rows, cols): (usize, usize),
        line: usize,
        mut number: impl FnMut() -> T,
    ) -> Self {
        let ld = (cols * size_of::<T>()).next_multiple_of(line) / size_of::<T>();
        Matrices { data: (0..count * rows * ld).map(|_| number()).collect(), rows, cols, ld }
    }

    /// The elements of one matrix, padding included.
    fn one(&self, index: usize) -> &[T] {
        &self.data[index * self.rows * self.ld..][..self.rows * self.ld]
    }

    /// `op(matrix)·x`, in double precision; a complex number takes two entries.
    fn times(&self, index: usize, transposed: bool, x: &[f64]) -> Vec<f64> {
        let (rows, cols) = if transposed { (self.cols, self.rows) } else { (self.rows, self.cols) };
        assert_eq!(x.len(), 2 * cols);
        let mut y = vec![0.0; 2 * rows];
        let matrix = self.one(index);
        for i in 0..self.rows {
            for j in 0..self.cols {
                let (re, im) = matrix[i * self.ld + j].parts();
                let (to, from) = if transposed { (j, i) } else { (i, j) };
                let (x_re, x_im) = (x[2 * from], x[2 * from + 1]);
                y[2 * to] += re * x_re - im * x_im;
                y[2 * to + 1] += re * x_im + im * x_re;
            }
        }
        y
    }
}

/// The matrices of a shape, and the call for them.
#[derive(Debug)]
pub struct Product<T> {
    call: Call<T>,
    count: usize,
    a: Matrices<T>,
    b: Matrices<T>,
    c: Matrices<T>,
}

impl<T: Element> Product<T> {
    /// Random numbers in the layout of the shape's group.
    pub fn new(shape: &Shape) -> Self {
        let Shape { group, m, n, k } = *shape;
        let form = group.form;
        let transposed = (&group.ops[..1] == "T", &group.ops[1..] == "T");
        let stored = |rows, cols, transposed| if transposed { (cols, rows) } else { (rows, cols) };
        let mut random = Random(7);
        let mut matrices =
            |size| Matrices::<T>::new(form.count, size, form.line, || random.element());
        let a = matrices(stored(m, k, transposed.0));
        let b = matrices(stored(k, n, transposed.1));
        let c = matrices((m, n));
        let factors = (T::new(form.factors.0, 0.0), T::new(form.factors.1, 0.0));
        let ld = (a.ld, b.ld, c.ld);
        Product {
            call: Call { transposed, shape: (m, n, k), factors, ld },
            count: form.count,
            a,
            b,
            c,
        }
    }

    /// Computes every product of the shape once.
    #[inline]
    pub fn run(&mut self, function: &Function<T>) {
        let [a, b, c] = [&self.a, &self.b, &self.c].map(|x| x.rows * x.ld);
        for i in 0..self.count {
            // SAFETY: the matrices have the shapes of the call, one after another.
            unsafe {
                function.call(
                    &self.call,
                    self.a.data.as_ptr().add(i * a),
                    self.b.data.as_ptr().add(i * b),
                    self.c.data.as_mut_ptr().add(i * c),
                );
            }
        }
    }

    /// Runs the product once and says what is wrong with the result.
    ///
    /// Every row of C is held against the product in double precision, both multiplied by a
    /// vector of numbers of magnitude 1 to 2, so that no wrong entry hides and the check costs
    /// little beside the product. Padding must stay as it was.
    pub fn check(&mut self, function: &Function<T>) -> Result<(), String> {
        let (m, n, k) = self.call.shape;
        let (alpha, beta) = (self.call.factors.0.parts().0, self.call.factors.1.parts().0);
        let mut random = Random(11);
        let x: Vec<f64> = (0..2 * n)
            .map(|_| {
                let number = random.number();
                number + number.signum()
            })
            .collect();
        let old = self.c.data.clone();
        let before: Vec<Vec<f64>> = (0..self.count).map(|i| self.c.times(i, false, &x)).collect();
        if beta == 0.0 {
            self.c.data.fill(T::new(f64::NAN, f64::NAN));
            self.restore_padding(&old);
        }
        self.run(function);
        // Rounding errors of a row add up like random ones. Theirs would have to be fifty times
        // as large to be taken for a wrong entry.
        let size = if T::COMPLEX { 4.0 } else { 2.0 };
        let tolerance = 16.0 * size * T::UNIT * (k as f64 + 4.0) * (n as f64).sqrt();
        for i in 0..self.count {
            let bx = self.b.times(i, self.call.transposed.1, &x);
            let abx = self.a.times(i, self.call.transposed.0, &bx);
            let cx = self.c.times(i, false, &x);
            for row in 0..2 * m {
                let old = if beta == 0.0 { 0.0 } else { beta * before[i][row] };
                let error = (cx[row] - (alpha * abx[row] + old)).abs();
                // Not `>`, which no NaN is.
                if error.is_nan() || error > tolerance {
                    return Err(format!("row {} of C is off by {error:e}", row / 2));
                }
            }
        }
        let is_padding = |at: usize| at % self.c.ld >= self.c.cols;
        let same = |(at, (x, y)): (usize, (&T, &T))| !is_padding(at) || x == y;
        if !self.c.data.iter().zip(&old).enumerate().all(same) {
            return Err("written between the rows of C".to_owned());
        }
        // Where β ≠ 0 every call multiplies C, which must neither overflow nor vanish.
        self.c.data = old;
        Ok(())
    }

    fn restore_padding(&mut self, old: &[T]) {
        let (ld, cols) = (self.c.ld, self.c.cols);
        for (new, old) in self.c.data.chunks_mut(ld).zip(old.chunks(ld)) {
            new[cols..].copy_from_slice(&old[cols..]);
        }
    }
}
