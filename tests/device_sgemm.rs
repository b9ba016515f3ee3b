//! sgemm on a device, a board's or a simulated one: every result against the slow oracle of its
//! scheme, bit for bit, and against exact arithmetic.
//!
//! Run it as `cargo xtask test` does, under npu-sim with `NPUBLAS_OFFLOAD=always`.

mod common;

use common::data::{self, Operands, Rng};
use common::device;
use common::oracle::{self, Slices};
use common::peer::Peer;
use npublas::config::Offload;
use npublas::route::Reason;
use npublas::trace::Report;
use npublas::{Gemm, MatMut, MatRef, gemm};
use std::collections::BTreeMap;
use std::process::Command;

/// What fills the bytes of C that are none of its elements.
const PADDING: f32 = f32::from_bits(0x7FC0_1234);

/// Matrices in memory: row-major or column-major, with a leading dimension.
#[derive(Debug, Clone)]
struct Stored {
    data: Vec<f32>,
    rows: usize,
    cols: usize,
    ld: usize,
    row_major: bool,
}

impl Stored {
    fn new(values: &[f32], rows: usize, cols: usize, row_major: bool, padding: usize) -> Stored {
        let (long, short) = if row_major { (rows, cols) } else { (cols, rows) };
        let ld = short + padding;
        let mut stored = Stored { data: vec![PADDING; long * ld], rows, cols, ld, row_major };
        for i in 0..rows {
            for j in 0..cols {
                let at = stored.index(i, j);
                stored.data[at] = values[i * cols + j];
            }
        }
        stored
    }

    fn index(&self, i: usize, j: usize) -> usize {
        if self.row_major { i * self.ld + j } else { j * self.ld + i }
    }

    fn view(&self) -> MatRef<'_, f32> {
        if self.row_major {
            MatRef::from_row_major(&self.data, self.rows, self.cols, self.ld)
        } else {
            MatRef::from_col_major(&self.data, self.rows, self.cols, self.ld)
        }
    }

    fn view_mut(&mut self) -> MatMut<'_, f32> {
        if self.row_major {
            MatMut::from_row_major(&mut self.data, self.rows, self.cols, self.ld)
        } else {
            MatMut::from_col_major(&mut self.data, self.rows, self.cols, self.ld)
        }
    }
}

/// One call: operands, factors, and how the matrices lie in memory.
#[derive(Debug, Clone)]
struct Call {
    family: &'static str,
    operands: Operands,
    alpha: f32,
    beta: f32,
    /// m × n, row-major; NaN throughout where β = 0.
    old: Vec<f32>,
    row_major: [bool; 3],
    padding: [usize; 3],
}

impl Call {
    fn random(family: &'static str, rng: &mut Rng) -> Call {
        let [m, n, k] = [(); 3].map(|()| match rng.below(2) {
            0 => 1 + rng.below(64),
            _ => 1 + rng.below(700),
        });
        let operands = match family {
            "ints32639" => integers(m, n, k, rng),
            _ => data::operands(family, m, n, k, rng.bits()),
        };
        let pick = |rng: &mut Rng| [0.0, 1.0, -1.0, 0.7][rng.below(4)];
        let (alpha, beta) = (pick(rng), pick(rng));
        let old = (0..m * n)
            .map(|_| if beta == 0.0 { f32::NAN } else { rng.below(2001) as f32 - 1000.0 })
            .collect();
        let row_major = [(); 3].map(|()| rng.below(2) == 0);
        let padding = [(); 3].map(|()| if rng.below(2) == 0 { 0 } else { rng.below(9) });
        Call { family, operands, alpha, beta, old, row_major, padding }
    }

    /// C of m × n, row-major, and where it was computed.
    fn run(&self) -> (Vec<f32>, Option<Report>) {
        let Operands { m, n, k, a, b } = &self.operands;
        let (m, n, k) = (*m, *n, *k);
        let a = Stored::new(a, m, k, self.row_major[0], self.padding[0]);
        let b = Stored::new(b, k, n, self.row_major[1], self.padding[1]);
        let mut c = Stored::new(&self.old, m, n, self.row_major[2], self.padding[2]);
        let report = gemm(Gemm {
            alpha: self.alpha,
            a: a.view(),
            conj_a: false,
            b: b.view(),
            conj_b: false,
            beta: self.beta,
            c: c.view_mut(),
        });
        let mut values = Vec::with_capacity(m * n);
        for i in 0..m {
            for j in 0..n {
                let at = c.index(i, j);
                values.push(std::mem::replace(&mut c.data[at], PADDING));
            }
        }
        let touched = c.data.iter().position(|x| x.to_bits() != PADDING.to_bits());
        assert_eq!(touched, None, "wrote between the columns of C: {self:?}");
        (values, report)
    }

    fn oracle(&self, scheme: &Slices) -> Vec<f32> {
        oracle::sgemm(scheme, &self.operands, self.alpha, self.beta, &self.old)
    }

    /// R = max |c - exact| / (eps (|α||A||B| + |β||C|)), eps = 2^-23, of some results.
    fn error(&self, results: &[f32]) -> f64 {
        let Operands { m, n, k, a, b } = &self.operands;
        let (alpha, beta) = (f64::from(self.alpha), f64::from(self.beta));
        let mut worst = 0.0_f64;
        let (mut sums, mut magnitudes) = (vec![0.0; *n], vec![0.0; *n]);
        for i in 0..*m {
            sums.fill(0.0);
            magnitudes.fill(0.0);
            for l in 0..*k {
                let x = f64::from(a[i * k + l]);
                let row = &b[l * n..(l + 1) * n];
                for ((sum, magnitude), &y) in sums.iter_mut().zip(&mut magnitudes).zip(row) {
                    let term = x * f64::from(y);
                    *sum += term;
                    *magnitude += term.abs();
                }
            }
            for j in 0..*n {
                let old = if beta == 0.0 { 0.0 } else { beta * f64::from(self.old[i * n + j]) };
                let exact = alpha * sums[j] + old;
                let scale = 2f64.powi(-23) * (alpha.abs() * magnitudes[j] + old.abs());
                let distance = (f64::from(results[i * n + j]) - exact).abs();
                if distance > 0.0 {
                    worst = worst.max(distance / scale);
                }
            }
        }
        worst
    }
}

/// Integers up to 32,639 in magnitude, the greatest that three balanced digits hold exactly
/// without the last one.
fn integers(m: usize, n: usize, k: usize, rng: &mut Rng) -> Operands {
    let mut draw = |len: usize| -> Vec<f32> {
        (0..len).map(|_| rng.below(2 * 32_639 + 1) as f32 - 32_639.0).collect()
    };
    Operands::new(m, n, k, draw(m * k), draw(k * n))
}

fn scheme(name: &str) -> &'static Slices {
    match name {
        "I-3s8p" => &oracle::I_3S8P,
        "I-4s10p" => &oracle::I_4S10P,
        other => panic!("no oracle for scheme {other}"),
    }
}

/// What became of the calls of one family.
#[derive(Debug, Default)]
struct Tally {
    calls: usize,
    routes: BTreeMap<String, usize>,
    error: f64,
    peer: f64,
    /// Calls with k ≥ 64 and those of them that the NPU computed.
    deep: [usize; 2],
}

#[test]
fn a_thousand_random_calls_equal_the_oracle() {
    if !device::ready() {
        return;
    }
    let calls: usize = std::env::var("NPUBLAS_TEST_CALLS").map_or(1000, |n| n.parse().unwrap());
    let families = ["normal", "unif", "relu", "ints32639", "phi1", "phi2", "normal", "unif"];
    let peer = Peer::load();
    let mut rng = Rng::new(20_261_122);
    let mut tallies: BTreeMap<&str, Tally> = BTreeMap::new();
    for i in 0..calls {
        let call = Call::random(families[i % families.len()], &mut rng);
        let (results, report) = call.run();
        let tally = tallies.entry(call.family).or_default();
        tally.calls += 1;
        let (m, n, k) = (call.operands.m, call.operands.n, call.operands.k);
        let label =
            format!("call {i}: {} {m}x{n}x{k} α={} β={}", call.family, call.alpha, call.beta);
        let Some(report) = report else {
            assert_eq!(call.alpha, 0.0, "{label}: no product");
            assert!(call.error(&results) <= 0.5, "{label}: β·C is not the nearest number");
            *tally.routes.entry("none".into()).or_default() += 1;
            continue;
        };
        let route = match &report.npu {
            Some(line) => {
                let expected = call.oracle(scheme(line.scheme));
                let differs =
                    results.iter().zip(&expected).position(|(c, e)| c.to_bits() != e.to_bits());
                assert_eq!(differs, None, "{label}: not the oracle's bits under {}", line.scheme);
                line.scheme.to_owned()
            }
            None => {
                assert_eq!(report.reason, Reason::Guard, "{label}: fell back");
                "cpu:guard".into()
            }
        };
        *tally.routes.entry(route).or_default() += 1;

        let error = call.error(&results);
        assert!(error <= (k + 2) as f64 / 2.0, "{label}: R = {error}");
        if k >= 64 {
            tally.deep[0] += 1;
            tally.deep[1] += usize::from(report.npu.is_some());
            tally.error = tally.error.max(error);
            if matches!(call.family, "normal" | "unif") {
                assert!(error <= 3.0, "{label}: R = {error}");
            }
            if let Some(peer) = &peer {
                tally.peer = tally.peer.max(call.error(&peer.sgemm(
                    &call.operands,
                    call.alpha,
                    call.beta,
                    &call.old,
                )));
            }
        }
        if call.family == "ints32639" && call.alpha.abs() == 1.0 && call.beta.abs() != 0.7 {
            // Sums of integers below 2^53 are exact in double precision.
            assert!(error <= 0.5, "{label}: an integer is not the nearest number, R = {error}");
        }
    }

    println!("family     calls  R (k≥64)  peer's R  NPU of k≥64  routes");
    for (family, tally) in &tallies {
        let Tally { calls, routes, error, peer, deep } = tally;
        println!(
            "{family:10} {calls:5}  {error:8.2}  {peer:8.2}  {:4} of {:4}  {routes:?}",
            deep[1], deep[0]
        );
    }
    for family in ["normal", "unif"] {
        let [deep, on_npu] = tallies[family].deep;
        assert!(on_npu * 100 >= deep * 95, "{family}: only {on_npu} of {deep} calls on the NPU");
    }
}

#[test]
fn integers_are_exact() {
    if !device::ready() {
        return;
    }
    let mut rng = Rng::new(7);
    for (m, n, k) in [(1, 1, 1), (33, 65, 1000), (130, 40, 4097), (3, 5, 20_000)] {
        let operands = integers(m, n, k, &mut rng);
        let call = Call {
            family: "ints",
            old: vec![f32::NAN; m * n],
            operands,
            alpha: 1.0,
            beta: 0.0,
            row_major: [true; 3],
            padding: [0; 3],
        };
        let (results, report) = call.run();
        assert!(report.is_some_and(|r| r.npu.is_some()), "{m}x{n}x{k} left the NPU");
        let Operands { a, b, .. } = &call.operands;
        for i in 0..m {
            for j in 0..n {
                let exact: i64 = (0..k).map(|l| a[i * k + l] as i64 * b[l * n + j] as i64).sum();
                assert_eq!(results[i * n + j], exact as f32, "({i}, {j}) of {m}x{n}x{k}");
            }
        }
    }
}

#[test]
fn what_the_guard_refuses_names_its_reason() {
    if !device::ready() {
        return;
    }
    let reason = |family: &'static str, poison: Option<f32>| {
        let mut rng = Rng::new(3);
        let mut operands = data::operands(family, 40, 50, 64, rng.bits());
        if let Some(poison) = poison {
            operands.b[77] = poison;
        }
        let old = vec![f32::NAN; 40 * 50];
        let row_major = [true; 3];
        let call =
            Call { family, operands, alpha: 1.0, beta: 0.0, old, row_major, padding: [0; 3] };
        let (_, report) = call.run();
        report.map(|r| (r.reason, r.npu.is_some()))
    };
    assert_eq!(reason("normal", None), Some((Reason::Always, true)));
    assert_eq!(reason("phi4", None), Some((Reason::Guard, false)));
    assert_eq!(reason("spike", None), Some((Reason::Guard, false)));
    assert_eq!(reason("normal", Some(f32::NAN)), Some((Reason::NonFinite, false)));
    assert_eq!(reason("normal", Some(f32::INFINITY)), Some((Reason::NonFinite, false)));
}

/// Hash of the results of some calls, and how many of them the NPU computed.
fn hash() -> (u64, usize) {
    let mut rng = Rng::new(99);
    let (mut hash, mut on_npu) = (0xcbf2_9ce4_8422_2325_u64, 0);
    for i in 0..24 {
        let call = Call::random(["normal", "relu", "unif"][i % 3], &mut rng);
        let (results, report) = call.run();
        on_npu += usize::from(report.is_some_and(|r| r.npu.is_some()));
        for x in results {
            hash = (hash ^ u64::from(x.to_bits())).wrapping_mul(0x100_0000_01b3);
        }
    }
    (hash, on_npu)
}

#[test]
fn bits_do_not_depend_on_cores_or_threads() {
    const ROLE: &str = "NPUBLAS_TEST_HASH";
    if !device::ready() {
        return;
    }
    if std::env::var_os(ROLE).is_some() {
        println!("HASH={:?}", hash());
        return;
    }
    let of = |cores: &str, threads: &str| {
        let output = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "bits_do_not_depend_on_cores_or_threads", "--nocapture"])
            .env(ROLE, "1")
            .env("NPUBLAS_NPU_CORES", cores)
            .env("NPUBLAS_NUM_THREADS", threads)
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        text.lines().find(|l| l.contains("HASH=")).map(str::to_owned).unwrap_or(text)
    };
    let first = of("1", "1");
    assert!(first.contains("HASH=") && !first.contains(", 0)"), "{first}");
    for (cores, threads) in [("2", "1"), ("3", "1"), ("1", "2"), ("2", "2"), ("3", "3")] {
        assert_eq!(of(cores, threads), first, "{cores} cores, {threads} threads");
    }
}

#[test]
fn the_configuration_is_the_tests() {
    if device::ready() {
        assert_eq!(npublas::runtime::config().offload, Offload::Always);
    }
}
