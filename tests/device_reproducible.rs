//! Reproducible mode: one hash of the results for any number of cores and threads, on the NPU and
//! on the CPU.
//!
//! Run it as `cargo xtask test` does, under npu-sim with `NPUBLAS_OFFLOAD=always`.

mod common;

use common::data::Rng;
use common::device;
use npublas::npu::int8;
use npublas::runtime::Runs;
use npublas::{Gemm, MatMut, MatRef, c32, c64, gemm};
use std::process::Command;

/// Calls of each type and process unless `NPUBLAS_TEST_CALLS` says otherwise.
const FEW: usize = 150;

/// What asks a process of this test to print its hashes.
const ROLE: &str = "NPUBLAS_TEST_REPRODUCIBLE";

/// An element type whose products are hashed.
trait Element: Runs {
    fn new(re: f64, im: f64) -> Self;
    /// Real and imaginary part, exactly.
    fn wide(self) -> [f64; 2];

    /// All NaN are the same: which one a floating-point product gives is nobody's promise.
    fn bits(self) -> [u64; 2] {
        self.wide().map(|x| if x.is_nan() { u64::MAX } else { x.to_bits() })
    }
}

impl Element for f32 {
    fn new(re: f64, _: f64) -> f32 {
        re as f32
    }
    fn wide(self) -> [f64; 2] {
        [self.into(), 0.0]
    }
}

impl Element for f64 {
    fn new(re: f64, _: f64) -> f64 {
        re
    }
    fn wide(self) -> [f64; 2] {
        [self, 0.0]
    }
}

impl Element for c32 {
    fn new(re: f64, im: f64) -> c32 {
        c32::new(re as f32, im as f32)
    }
    fn wide(self) -> [f64; 2] {
        [self.re.into(), self.im.into()]
    }
}

impl Element for c64 {
    fn new(re: f64, im: f64) -> c64 {
        c64::new(re, im)
    }
    fn wide(self) -> [f64; 2] {
        [self.re, self.im]
    }
}

/// How data are made: most calls pass the guard, some need another scheme, some are refused, of
/// some a few lines are not for the integers.
const KINDS: [fn(&mut Rng) -> f64; 7] = [
    Rng::normal,
    |rng| 2.0 * rng.uniform() - 1.0,
    |rng| rng.normal().max(0.0),
    |rng| rng.below(2001) as f64 - 1000.0,
    |rng| rng.normal() * rng.normal().exp(),
    |rng| rng.normal() * (4.0 * rng.normal()).exp(),
    |rng| if rng.below(5000) == 0 { f64::INFINITY } else { rng.normal() },
];

/// What a process prints of one type: hashes over the calls in integers and over all, and how
/// many calls ran on the NPU, in integers half there and half on the CPU, in integers on the CPU,
/// and on the CPU as ever.
fn hash<T: Element>(calls: usize) -> String {
    let mut rng = Rng::new(u64::from(T::LETTER));
    let mut hashes = [0xcbf2_9ce4_8422_2325_u64; 2];
    let mut routes = [0; 4];
    for call in 0..calls {
        let [m, n, k] = [(); 3].map(|()| match rng.below(30) {
            0 => 1 + rng.below(32),
            1 => 130 + rng.below(300),
            _ => 32 + rng.below(70),
        });
        let number = KINDS[call % KINDS.len()];
        let mut matrix = |len: usize| -> Vec<T> {
            (0..len).map(|_| T::new(number(&mut rng), number(&mut rng))).collect()
        };
        let (a, b, mut c) = (matrix(m * k), matrix(k * n), matrix(m * n));
        let scalar = |rng: &mut Rng| T::new([1.0, -1.0, 0.7][rng.below(3)], 0.3);
        let (alpha, mut beta) = (scalar(&mut rng), scalar(&mut rng));
        if rng.below(2) == 0 {
            beta = T::ZERO;
            c.fill(T::new(f64::NAN, f64::NAN));
        }
        // Any layout; the numbers are what they are.
        let view = |data, rows, cols, rng: &mut Rng| match rng.below(2) {
            0 => MatRef::from_row_major(data, rows, cols, cols),
            _ => MatRef::from_col_major(data, rows, cols, rows),
        };
        let (a, b) = (view(&a, m, k, &mut rng), view(&b, k, n, &mut rng));
        let report = gemm(Gemm {
            alpha,
            a,
            conj_a: rng.below(2) == 0,
            b,
            conj_b: rng.below(2) == 0,
            beta,
            c: match rng.below(2) {
                0 => MatMut::from_row_major(&mut c, m, n, n),
                _ => MatMut::from_col_major(&mut c, m, n, m),
            },
        });
        let report = report.expect("there was a product");
        let route = match (report.npu, report.host) {
            (Some(_), None) => 0,
            (Some(_), Some(_)) => 1,
            (None, Some(_)) => 2,
            (None, None) => 3,
        };
        routes[route] += 1;
        let in_integers = route < 3;
        for (hash, counts) in hashes.iter_mut().zip([in_integers, true]) {
            let results = c.iter().filter(|_| counts).flat_map(|x| x.bits());
            for bits in results.chain([call as u64]).filter(|_| counts) {
                *hash = (*hash ^ bits).wrapping_mul(0x100_0000_01b3).rotate_left(23);
            }
        }
    }
    let [npu, both, host, cpu] = routes;
    let [integers, all] = hashes;
    format!("{} {integers:016x} {all:016x} {npu} {both} {host} {cpu}", T::LETTER)
}

/// The line of one type, read back.
#[derive(Debug, Clone, PartialEq)]
struct Line {
    letter: String,
    integers: String,
    all: String,
    npu: usize,
    both: usize,
    host: usize,
    cpu: usize,
}

/// What a process of one of these tests prints with these settings.
fn printed(test: &str, settings: &[(&str, &str)]) -> String {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env(ROLE, "1")
        .env("NPUBLAS_REPRODUCIBLE", "on")
        .envs(settings.iter().copied())
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{settings:?}: {errors}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// The lines of a process with these settings.
fn lines(settings: &[(&str, &str)]) -> Vec<Line> {
    let text = printed("one_hash_for_all", settings);
    let read = |line: &str| {
        let words: Vec<&str> = line.split_once("HASH ")?.1.split(' ').collect();
        let number = |i: usize| words[i].parse().unwrap();
        Some(Line {
            letter: words[0].into(),
            integers: words[1].into(),
            all: words[2].into(),
            npu: number(3),
            both: number(4),
            host: number(5),
            cpu: number(6),
        })
    };
    let lines: Vec<Line> = text.lines().filter_map(read).collect();
    assert_eq!(lines.len(), 4, "{settings:?}: {text}");
    lines
}

#[test]
fn one_hash_for_all() {
    const CORES: &str = "NPUBLAS_NPU_CORES";
    const THREADS: &str = "NPUBLAS_NUM_THREADS";
    const DEVICE: &str = "NPUBLAS_DEVICE";
    const OFFLOAD: &str = "NPUBLAS_OFFLOAD";
    const KERNEL: &str = "NPUBLAS_CPU_KERNEL";
    if std::env::var_os(ROLE).is_some() {
        let calls = std::env::var("NPUBLAS_TEST_CALLS").map_or(FEW, |n| n.parse().unwrap());
        for line in [hash::<f32>(calls), hash::<f64>(calls), hash::<c32>(calls), hash::<c64>(calls)]
        {
            println!("HASH {line}");
        }
        return;
    }
    if !device::ready() {
        return;
    }
    let mut settings = vec![];
    for cores in ["1", "2", "3"] {
        // Each number of cores is a tiling of its own.
        settings.extend(["1", "2"].map(|threads| vec![(CORES, cores), (THREADS, threads)]));
    }
    settings.push(vec![(DEVICE, "none"), (THREADS, "1")]);
    settings.push(vec![(DEVICE, "none"), (THREADS, "2")]);
    settings.push(vec![(OFFLOAD, "never"), (THREADS, "2")]);
    settings.push(vec![(OFFLOAD, "auto"), (THREADS, "2")]);
    println!("type  hash of the integers, of all calls   npu  both  host   cpu  settings");
    let show = |lines: &[Line], settings: &[(&str, &str)]| {
        for Line { letter, integers, all, npu, both, host, cpu } in lines {
            println!(
                "{letter}  {integers} {all}  {npu:4}  {both:4}  {host:4}  {cpu:4}  {settings:?}"
            );
        }
    };
    let first = lines(&settings[0]);
    show(&first, &settings[0]);
    // The device is one that fails on order, or it would serve all types.
    assert!(first.iter().any(|line| line.npu > 0), "the device computed nothing");
    let few = first.iter().find(|line| line.npu + line.both + line.host < line.cpu / 2);
    assert_eq!(few, None, "few calls run in integers");
    for settings in &settings[1..] {
        let lines = lines(settings);
        show(&lines, settings);
        for (line, first) in lines.iter().zip(&first) {
            assert_eq!(line.integers, first.integers, "{settings:?}");
            assert_eq!(line.all, first.all, "{settings:?}");
            assert_eq!(line.cpu, first.cpu, "{settings:?}: other calls left the integers");
        }
        let is_asked = |&(name, value): &(&str, &str)| name == CORES || value == "auto";
        let on_npu: usize = lines.iter().map(|line| line.npu + line.both).sum();
        assert!(on_npu == 0 || settings.iter().any(is_asked), "{settings:?}: used the NPU");
    }
    // What is computed in floating point differs between kernels, the integers do not.
    let mut levels: Vec<&str> = int8::families().map(|family| family.level()).collect();
    levels.dedup();
    for level in levels {
        let settings = [(DEVICE, "none"), (KERNEL, level)];
        let lines = lines(&settings);
        show(&lines, &settings);
        for (line, first) in lines.iter().zip(&first) {
            assert_eq!(line.integers, first.integers, "{settings:?}");
        }
    }
}

/// Complex numbers that are split as such, which only large products are.
#[test]
fn one_hash_of_a_large_product() {
    if std::env::var_os(ROLE).is_some() {
        let (m, n, k) = (1150, 1151, 1157);
        let mut rng = Rng::new(3);
        let mut matrix = |len: usize| -> Vec<c64> {
            (0..len).map(|_| c64::new(rng.normal(), rng.normal())).collect()
        };
        let (a, b, mut c) = (matrix(m * k), matrix(k * n), matrix(m * n));
        let report = gemm(Gemm {
            alpha: c64::new(0.7, 0.3),
            a: MatRef::from_row_major(&a, m, k, k),
            conj_a: false,
            b: MatRef::from_row_major(&b, k, n, n),
            conj_b: true,
            beta: c64::new(1.0, -1.0),
            c: MatMut::from_col_major(&mut c, m, n, m),
        });
        let report = report.expect("there was a product");
        let results = c.iter().flat_map(|x| x.bits());
        let hash = results.fold(0xcbf2_9ce4_8422_2325_u64, |hash, bits| {
            (hash ^ bits).wrapping_mul(0x100_0000_01b3).rotate_left(23)
        });
        let npu = report.npu.map_or("", |line| line.scheme);
        println!("HASH {hash:016x} {npu} {}", report.host.unwrap_or(""));
        return;
    }
    if !device::ready() {
        return;
    }
    let words = |settings: &[(&str, &str)]| -> Vec<String> {
        let text = printed("one_hash_of_a_large_product", settings);
        let line = text.lines().find_map(|line| Some(line.split_once("HASH ")?.1));
        println!("{line:?} {settings:?}");
        line.expect("a line").split(' ').map(str::to_owned).collect()
    };
    let (device, host) = (words(&[]), words(&[("NPUBLAS_DEVICE", "none")]));
    // On a busy machine the simulated device may be too slow for a block or two.
    assert_eq!(device[1], "II-15-3m");
    assert_eq!(host[1..], ["", "II-15-3m"]);
    assert_eq!(device[0], host[0]);
}

#[test]
fn the_names_of_levels_are_those_of_the_cpu_kernels() {
    for family in int8::families() {
        let names = npublas::cpu::kernel::NAMES;
        assert!(names.contains(&family.level()), "{}: {}", family.name(), family.level());
    }
}
