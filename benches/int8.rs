//! Products of int8 digits on the CPU beside its sgemm, on one thread.
//!
//! `cargo bench --bench int8` prints, for every kernel family that this CPU runs, 10^9 exact
//! products per second over one pair of digit planes, over the groups of a scheme, and of the
//! scheme what that makes in operations of an sgemm. All sides take turns; the best turn counts,
//! in CPU time of the thread.

use nix::time::ClockId;
use npublas::cpu::{self, kernel};
use npublas::npu::int8::{Columns, Family, Layout, Rows, families};
use npublas::npu::scheme::ozaki_int8::I_3S8P;
use npublas::npu::scheme::{Group, Scheme};
use npublas::{Gemm, MatMut, MatRef};
use std::time::Duration;

/// Turns of each side.
const ROUNDS: usize = 8;

/// One digit plane by one other.
const ONE: [Group; 1] = [Group { weight: 2, first: 1, count: 1 }];

/// Rows and columns of C whose sums are wanted at once, as in a call.
const BLOCK: (usize, usize) = (48, 384);

/// A square product of digit planes, packed.
struct Product {
    layout: Layout,
    rows: Vec<Rows>,
    columns: Vec<Columns>,
    sums: Vec<i64>,
    n: usize,
}

impl Product {
    fn new(family: &'static Family, n: usize, scheme: &Scheme) -> Product {
        let layout = Layout::new(family, scheme.planes(), n);
        let pitch = scheme.planes() * n;
        let strip = |lines: usize| -> Vec<i8> {
            (0..lines * pitch).map(|i| (i * 7919 % 255) as u8 as i8).collect()
        };
        let (a, b) = (strip(family.rows()), strip(family.columns()));
        let rows = (0..n).step_by(family.rows());
        let columns = (0..n).step_by(family.columns());
        Product {
            rows: rows.map(|_| layout.rows(&a, pitch).expect("memory")).collect(),
            columns: columns.map(|_| layout.columns(&b, pitch).expect("memory")).collect(),
            sums: vec![0; BLOCK.0 * BLOCK.1 * scheme.groups.len()],
            layout,
            n,
        }
    }

    fn run(&mut self, groups: &[Group]) {
        let (mr, nr) = (self.layout.family().rows(), self.layout.family().columns());
        let (height, width) = (BLOCK.0 / mr * mr, BLOCK.1 / nr * nr);
        for j in (0..self.n).step_by(width) {
            for i in (0..self.n).step_by(height) {
                let (m, n) = (height.min(self.n - i), width.min(self.n - j));
                let sums = &mut self.sums[..m * n * groups.len()];
                let (rows, columns) = (&self.rows[i / mr..], &self.columns[j / nr..]);
                self.layout.sums(groups, rows, columns, (m, n), sums);
            }
        }
    }
}

/// Seconds that this thread computes.
fn timed(work: impl FnOnce()) -> f64 {
    let now = || {
        let clock = ClockId::CLOCK_THREAD_CPUTIME_ID;
        Duration::from(clock.now().expect("every thread has a clock")).as_secs_f64()
    };
    let start = now();
    work();
    now() - start
}

fn main() {
    let asked = |flag: &str| std::env::args().any(|arg| arg == flag);
    let measures = asked("--bench") && !asked("--test");
    let (sizes, rounds): (&[usize], _) =
        if measures { (&[512, 1024, 2048], ROUNDS) } else { (&[96], 1) };
    for &n in sizes {
        let floats: Vec<f32> = (0..n * n).map(|i| (i * 7919 % 2003) as f32 - 1001.0).collect();
        let mut c = vec![0.0; n * n];
        let mut sgemm = || {
            let problem = Gemm {
                alpha: 1.0,
                a: MatRef::from_row_major(&floats, n, n, n),
                conj_a: false,
                b: MatRef::from_row_major(&floats, n, n, n),
                conj_b: false,
                beta: 0.0,
                c: MatMut::from_row_major(&mut c, n, n, n),
            };
            cpu::gemm(problem, kernel::chosen(None), None);
        };
        let mut products: Vec<Product> = families()
            .filter(|family| family.is_available())
            .map(|family| Product::new(family, n, &I_3S8P))
            .collect();
        let mut best = vec![[f64::INFINITY; 3]; products.len()];
        for _ in 0..rounds {
            for (best, product) in best.iter_mut().zip(&mut products) {
                let now = [
                    timed(&mut sgemm),
                    timed(|| product.run(&ONE)),
                    timed(|| product.run(I_3S8P.groups)),
                ];
                best.iter_mut().zip(now).for_each(|(best, now)| *best = best.min(now));
            }
        }
        let work = (n * n * n) as f64 / 1e9;
        let rate = best.iter().map(|best| work / best[0]).fold(0.0, f64::max);
        println!("\n{n}x{n}x{n}, 10^9 products per second; sgemm {rate:.1}");
        println!("{:<14}{:>12}{:>12}{:>18}", "family", "one plane", "I-3s8p", "that per sgemm's");
        for (best, product) in best.iter().zip(&products) {
            let [one, scheme] = [work / best[1], I_3S8P.products() as f64 * work / best[2]];
            let share = scheme / I_3S8P.products() as f64 / rate;
            let name = product.layout.family().name();
            println!("{name:<14}{one:>12.1}{scheme:>12.1}{share:>18.2}");
        }
    }
}
