//! s- and dgemm of this library's CPU path beside another BLAS, on one thread.
//!
//! `NPUBLAS_PEER` names the other one: the OpenBLAS that NumPy brings, with 64-bit integers.
//! Every result is checked against it before anything is timed. `cargo bench --bench gemm` also
//! prints a table for which the two sides, and all kernel families, take turns.

use criterion::{Criterion, Throughput};
use libloading::Library;
use npublas::cpu::{self, Kernels, kernel};
use npublas::{Gemm, MatMut, MatRef};
use std::ffi::c_int;
use std::time::{Duration, Instant};

/// Shapes m × n × k.
const SHAPES: [(usize, usize, usize); 8] = [
    (16, 16, 16),
    (64, 64, 64),
    (127, 127, 127),
    (256, 256, 256),
    (512, 512, 512),
    (1024, 1024, 1024),
    (8, 1024, 1024),
    (1000, 1000, 32),
];

/// Turns that each side takes for the table; the best one counts.
const ROUNDS: usize = 12;

/// How long each product runs for Criterion's figures.
const WARM_UP: Duration = Duration::from_millis(200);
const MEASUREMENT: Duration = Duration::from_secs(1);

/// `cblas_?gemm` with 64-bit integers.
type CblasGemm<T> = unsafe extern "C" fn(
    c_int,
    c_int,
    c_int,
    i64,
    i64,
    i64,
    T,
    *const T,
    i64,
    *const T,
    i64,
    T,
    *mut T,
    i64,
);

/// A real type that both sides multiply.
trait Real: Kernels + Into<f64> {
    const NAME: &'static str;
    const SYMBOL: &'static [u8];
    fn from_f64(x: f64) -> Self;
}

impl Real for f32 {
    const NAME: &'static str = "sgemm";
    const SYMBOL: &'static [u8] = b"scipy_cblas_sgemm64_\0";
    fn from_f64(x: f64) -> f32 {
        x as f32
    }
}

impl Real for f64 {
    const NAME: &'static str = "dgemm";
    const SYMBOL: &'static [u8] = b"scipy_cblas_dgemm64_\0";
    fn from_f64(x: f64) -> f64 {
        x
    }
}

/// One product, row-major.
struct Product<T> {
    shape: (usize, usize, usize),
    a: Vec<T>,
    b: Vec<T>,
    c: Vec<T>,
}

impl<T: Real> Product<T> {
    fn new(shape: (usize, usize, usize)) -> Self {
        let (m, n, k) = shape;
        let number = |i: usize| T::from_f64((i * 7919 % 2003) as f64 / 1001.5 - 1.0);
        let matrix = |len: usize| (0..len).map(number).collect();
        Product { shape, a: matrix(m * k), b: matrix(k * n), c: matrix(m * n) }
    }

    fn flops(&self) -> f64 {
        let (m, n, k) = self.shape;
        2.0 * (m * n * k) as f64
    }

    /// With the kernels of one family, or the best one.
    fn ours(&mut self, family: Option<&str>) {
        let (m, n, k) = self.shape;
        let problem = Gemm {
            alpha: T::ONE,
            a: MatRef::from_row_major(&self.a, m, k, k),
            conj_a: false,
            b: MatRef::from_row_major(&self.b, k, n, n),
            conj_b: false,
            beta: T::ZERO,
            c: MatMut::from_row_major(&mut self.c, m, n, n),
        };
        cpu::gemm(problem, kernel::chosen(family), None);
    }

    fn theirs(&mut self, gemm: CblasGemm<T>) {
        const ROW_MAJOR: c_int = 101;
        const NO_TRANS: c_int = 111;
        let (m, n, k) = self.shape;
        let (m, n, k) = (m as i64, n as i64, k as i64);
        let (a, b, c) = (self.a.as_ptr(), self.b.as_ptr(), self.c.as_mut_ptr());
        // SAFETY: the symbol has this signature in NumPy's OpenBLAS, and the operands are
        // contiguous row-major matrices of these shapes.
        unsafe {
            gemm(ROW_MAJOR, NO_TRANS, NO_TRANS, m, n, k, T::ONE, a, k, b, n, T::ZERO, c, n);
        }
    }
}

fn main() {
    let asked = |flag: &str| std::env::args().any(|arg| arg == flag);
    let measures = asked("--bench") && !asked("--test");
    let peer = peer();
    let mut criterion = Criterion::default().configure_from_args();
    all::<f32>(&mut criterion, peer.as_ref(), measures);
    all::<f64>(&mut criterion, peer.as_ref(), measures);
    criterion.final_summary();
}

fn all<T: Real>(criterion: &mut Criterion, peer: Option<&Library>, measures: bool) {
    // SAFETY: the symbol has this signature in NumPy's OpenBLAS.
    let theirs = peer.map(|peer| unsafe { *peer.get::<CblasGemm<T>>(T::SYMBOL).expect("a gemm") });
    let mut group = criterion.benchmark_group(T::NAME);
    group.sample_size(10).warm_up_time(WARM_UP).measurement_time(MEASUREMENT);
    for shape in SHAPES {
        let mut product = Product::<T>::new(shape);
        if let Some(theirs) = theirs {
            check(&mut product, theirs);
        }
        let (m, n, k) = shape;
        let size = format!("{m}x{n}x{k}");
        group.throughput(Throughput::Elements(product.flops() as u64));
        group.bench_function(format!("npublas/{size}"), |b| b.iter(|| product.ours(None)));
        if let Some(theirs) = theirs {
            group.bench_function(format!("peer/{size}"), |b| b.iter(|| product.theirs(theirs)));
        }
    }
    group.finish();
    if measures {
        table::<T>(theirs);
    }
}

/// Compares every family's result with the other side's.
fn check<T: Real>(product: &mut Product<T>, theirs: CblasGemm<T>) {
    product.theirs(theirs);
    let right = product.c.clone();
    let k = product.shape.2 as f64;
    let epsilon = if size_of::<T>() == 4 { f64::from(f32::EPSILON) } else { f64::EPSILON };
    for family in kernel::families().filter(|family| family.is_available()) {
        product.ours(Some(family.name()));
        for (&ours, &right) in product.c.iter().zip(&right) {
            let difference: f64 = ours.into() - right.into();
            // Every term of a sum is at most 1, and each side may round k times.
            assert!(difference.abs() <= 2.0 * k * k * epsilon, "{} is wrong", family.name());
        }
    }
}

/// GFLOP/s of every side, in turn.
fn table<T: Real>(theirs: Option<CblasGemm<T>>) {
    let families: Vec<&str> =
        kernel::families().filter(|f| f.is_available()).map(|family| family.name()).collect();
    print!("\n{:<16}", T::NAME);
    families.iter().for_each(|family| print!("{family:>10}"));
    println!("{:>10}   GFLOP/s, one thread", "peer");
    for shape in SHAPES {
        let mut product = Product::<T>::new(shape);
        let turns = (2e7 / product.flops()).ceil() as usize;
        let mut best = vec![f64::INFINITY; families.len() + 1];
        for _ in 0..ROUNDS {
            for (best, family) in best.iter_mut().zip(&families) {
                *best = best.min(seconds(turns, || product.ours(Some(family))));
            }
            if let Some(theirs) = theirs {
                let last = best.len() - 1;
                best[last] = best[last].min(seconds(turns, || product.theirs(theirs)));
            }
        }
        let (m, n, k) = shape;
        print!("{:<16}", format!("{m}x{n}x{k}"));
        best.iter().for_each(|seconds| print!("{:>10.1}", product.flops() / seconds / 1e9));
        println!();
    }
}

/// Seconds of one of some calls.
fn seconds(turns: usize, mut work: impl FnMut()) -> f64 {
    let start = Instant::now();
    (0..turns).for_each(|_| work());
    start.elapsed().as_secs_f64() / turns as f64
}

/// The other BLAS, on one thread; `None`, said aloud, where there is none.
fn peer() -> Option<Library> {
    let Some(path) = std::env::var_os("NPUBLAS_PEER") else {
        eprintln!("NPUBLAS_PEER is not set: no other BLAS is measured, no result compared");
        return None;
    };
    // SAFETY: a BLAS library runs nothing at load that could hurt this program.
    let library = unsafe { Library::new(&path) }.unwrap_or_else(|e| panic!("{path:?}: {e}"));
    // SAFETY: the symbol has this signature in NumPy's OpenBLAS.
    unsafe {
        let set_threads = library
            .get::<unsafe extern "C" fn(c_int)>(b"scipy_openblas_set_num_threads64_\0")
            .expect("a way to set the number of threads");
        set_threads(1);
    }
    Some(library)
}
