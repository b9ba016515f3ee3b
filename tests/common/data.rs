//! Operands of the families over which accuracy is judged, the same ones on every machine.

/// A of m × k and B of k × n, both row-major and contiguous.
#[derive(Debug, Clone)]
pub struct Operands<R = f32> {
    pub m: usize,
    pub n: usize,
    pub k: usize,
    pub a: Vec<R>,
    pub b: Vec<R>,
}

impl<R: Copy> Operands<R> {
    pub fn new(m: usize, n: usize, k: usize, a: Vec<R>, b: Vec<R>) -> Operands<R> {
        assert!(a.len() == m * k && b.len() == k * n);
        Operands { m, n, k, a, b }
    }

    /// One row times one column.
    pub fn dot(a: Vec<R>, b: Vec<R>) -> Operands<R> {
        Operands::new(1, 1, a.len(), a, b)
    }

    pub fn row(&self, i: usize) -> &[R] {
        &self.a[i * self.k..][..self.k]
    }

    pub fn col(&self, j: usize) -> Vec<R> {
        (0..self.k).map(|l| self.b[l * self.n + j]).collect()
    }
}

/// A small generator of good quality (SplitMix64).
#[derive(Debug, Clone)]
pub struct Rng(u64);

impl Rng {
    pub fn new(seed: u64) -> Rng {
        Rng(seed)
    }

    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, end: usize) -> usize {
        (self.bits() % end as u64) as usize
    }

    /// Uniform in (0, 1), never 0.
    pub fn uniform(&mut self) -> f64 {
        ((self.bits() >> 11) as f64 + 0.5) / (1u64 << 53) as f64
    }

    pub fn normal(&mut self) -> f64 {
        let radius = (-2.0 * self.uniform().ln()).sqrt();
        radius * (std::f64::consts::TAU * self.uniform()).cos()
    }

    /// Double exponential.
    pub fn laplace(&mut self) -> f64 {
        let magnitude = -self.uniform().ln();
        if self.bits() & 1 == 0 { magnitude } else { -magnitude }
    }
}

/// Every family of [`operands`].
pub const FAMILIES: [&str; 18] = [
    "unif01",
    "unif",
    "normal",
    "phi0.5",
    "phi1",
    "phi2",
    "phi4",
    "half",
    "graded",
    "spike",
    "eye",
    "relu",
    "relu2",
    "laplace",
    "ints",
    "subnormals",
    "extremes",
    "bits",
];

/// Operands of a family.
///
/// * `unif01`, `unif`: uniform in (0, 1) or (-1/2, 1/2); `normal`; `laplace`.
/// * `phiX`: uniform in (-1/2, 1/2) times e^(X · normal), the Ozaki papers' wide ranges.
/// * `half`: a constant whose quantisation error is always half a unit of the same sign.
/// * `graded`: row x·D, column D^-1·y with D from 2^14 to 2^-14, rotated from line to line.
/// * `spike`: normal, with one element per line 2^16 times greater, never facing another.
/// * `eye`: B is the identity. `relu`, `relu2`: negative elements of A, or of both, are 0.
/// * `ints`: integers up to 99. `subnormals`: every third element is subnormal or zero.
/// * `extremes`: rows and columns scaled by powers of two over the whole range, in opposite
///   directions. `bits`: any finite bit patterns.
pub fn operands(family: &str, m: usize, n: usize, k: usize, seed: u64) -> Operands {
    let mut rng = Rng::new(seed);
    let mut fill = |len: usize, draw: &mut dyn FnMut(&mut Rng) -> f64| -> Vec<f32> {
        (0..len).map(|_| draw(&mut rng) as f32).collect()
    };
    let mut both = |draw: &mut dyn FnMut(&mut Rng) -> f64| {
        Operands::new(m, n, k, fill(m * k, draw), fill(k * n, draw))
    };
    match family {
        "unif01" => both(&mut Rng::uniform),
        "unif" => both(&mut |r| r.uniform() - 0.5),
        "normal" => both(&mut Rng::normal),
        "laplace" => both(&mut Rng::laplace),
        "half" => both(&mut |_| 1.0 + 2f64.powi(-23)),
        "ints" => both(&mut |r| r.below(199) as f64 - 99.0),
        "relu2" => both(&mut |r| r.normal().max(0.0)),
        "subnormals" => both(&mut |r| match r.below(3) {
            0 => f64::from(f32::from_bits(r.bits() as u32 & 0x807F_FFFF)),
            _ => r.normal() * 2f64.powi(-126),
        }),
        "bits" => both(&mut |r| {
            let x = f32::from_bits(r.bits() as u32);
            f64::from(if x.is_finite() { x } else { 1.0 })
        }),
        "relu" => {
            let mut it = both(&mut Rng::normal);
            it.a.iter_mut().for_each(|a| *a = a.max(0.0));
            it.b.iter_mut().for_each(|b| *b *= 0.02);
            it
        }
        "eye" => {
            let mut it = both(&mut Rng::normal);
            for l in 0..k {
                for j in 0..n {
                    it.b[l * n + j] = f32::from(l == j);
                }
            }
            it
        }
        "spike" => {
            let mut it = both(&mut Rng::normal);
            let mut places = Rng::new(!seed);
            if k > 1 {
                for i in 0..m {
                    it.a[i * k + places.below(k / 2)] *= 65536.0;
                }
                for j in 0..n {
                    it.b[(k / 2 + places.below(k - k / 2)) * n + j] *= 65536.0;
                }
            }
            it
        }
        "graded" => {
            let grade = |l: usize| 2f64.powi(14 - (28 * l / k.max(1)) as i32);
            let mut it = both(&mut |r| 1.0 + r.uniform());
            for l in 0..k {
                for i in 0..m {
                    it.a[i * k + l] *= grade((l + i) % k) as f32;
                }
                for j in 0..n {
                    it.b[l * n + j] /= grade((l + j) % k) as f32;
                }
            }
            it
        }
        "extremes" => {
            let mut it = both(&mut Rng::normal);
            let power = |line: usize, lines: usize| -120 + (240 * line / lines.max(1)) as i32;
            for l in 0..k {
                for i in 0..m {
                    it.a[i * k + l] *= 2f32.powi(power(i, m));
                }
                for j in 0..n {
                    it.b[l * n + j] *= 2f32.powi(power(n - 1 - j, n));
                }
            }
            it
        }
        _ => {
            let phi = family.strip_prefix("phi").and_then(|phi| phi.parse::<f64>().ok());
            let phi = phi.unwrap_or_else(|| panic!("no family is called {family}"));
            both(&mut |r| (r.uniform() - 0.5) * (phi * r.normal()).exp())
        }
    }
}
