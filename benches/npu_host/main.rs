//! What the host does for the NPU, in GB/s beside `memcpy`, on one thread and without a device.
//!
//! Bytes are those that a loop reads and those that it writes, `memcpy`'s included: what it
//! reaches is what the operands' share of the caches and the memory allow.
//!
//! `cargo bench --bench npu_host` also prints two tables: every loop under every instruction
//! set, and what share of a call's host time the guard and the verification take, which is by how
//! much a call without them is faster.

mod call;
mod loops;
mod memory;
mod unverified;

use call::Call;
use criterion::{Criterion, Throughput};
use loops::{Loop, loops};
use npublas::npu::driver::Buffer;
use npublas::npu::engine::plan::Block;
use npublas::npu::scheme::crt_int8::II_15;
use npublas::npu::scheme::ozaki_int8::{I_3S8P, I_7S28P};
use npublas::npu::scheme::{Element, Real, Scheme};
use npublas::npu::verify::{Challenge, Exact};
use npublas::npu::widest::Width;
use std::time::{Duration, Instant};
use unverified::Unverified;

/// Rounds over all loops for the tables; of each loop the best one counts.
const ROUNDS: usize = 15;

/// Calls for the table of shares; of each step the fastest one counts.
const CALLS: usize = 200;

/// How long each loop runs for Criterion's figures.
const WARM_UP: Duration = Duration::from_millis(200);
const MEASUREMENT: Duration = Duration::from_secs(1);

fn main() {
    let asked = |flag: &str| std::env::args().any(|arg| arg == flag);
    let measures = asked("--bench") && !asked("--test");
    let sizes: &[usize] = if measures { &[512, 1024] } else { &[96] };
    let mut criterion = Criterion::default().configure_from_args();
    for &n in sizes {
        bench::<f32>(&mut criterion, &I_3S8P, n, measures);
        bench::<f64>(&mut criterion, &I_7S28P, n, measures);
        bench::<f64>(&mut criterion, &II_15, n, measures);
    }
    criterion.final_summary();
}

fn bench<R: Real + Element>(
    criterion: &mut Criterion,
    scheme: &'static Scheme,
    n: usize,
    measures: bool,
) {
    let call = Call::<R>::new(scheme, n);
    let challenge = Exact::draw(n, scheme);
    let prepared = call.pack(&challenge, true, &call.scan());
    assert!(call.accepts(&prepared), "the guard refuses the data");
    let device = call.device();
    let mut group = criterion.benchmark_group(format!("npu_host/{}/{n}", scheme.name));
    group.sample_size(10).warm_up_time(WARM_UP).measurement_time(MEASUREMENT);
    for mut it in loops(&call, &challenge, &prepared, &device) {
        group.throughput(Throughput::Bytes((it.bytes * n * n) as u64));
        group.bench_function(it.name, |b| b.iter(&mut it.run));
    }
    group.finish();
    if measures {
        table(scheme, n, || loops(&call, &challenge, &prepared, &device));
        shares(&call, &challenge);
    }
}

/// Seconds of the best of some runs of each loop, all of them in turn.
fn seconds(loops: &mut [Loop<'_>]) -> Vec<f64> {
    let mut best = vec![f64::INFINITY; loops.len()];
    for _ in 0..ROUNDS {
        for (best, it) in best.iter_mut().zip(&mut *loops) {
            *best = best.min(timed(&mut it.run));
        }
    }
    best
}

fn timed(work: impl FnOnce()) -> f64 {
    let start = Instant::now();
    work();
    start.elapsed().as_secs_f64()
}

/// GB/s of every loop and how much that is of memcpy's, per instruction set.
fn table<'a>(scheme: &Scheme, n: usize, loops: impl Fn() -> Vec<Loop<'a>>) {
    let widths: Vec<Width> = Width::ALL.into_iter().filter(|width| width.is_available()).collect();
    let rates: Vec<Vec<f64>> = widths
        .iter()
        .map(|width| {
            let mut loops = loops();
            let seconds = width.at_most(|| seconds(&mut loops));
            let bytes = loops.iter().map(|it| (it.bytes * n * n) as f64);
            bytes.zip(seconds).map(|(bytes, seconds)| bytes / seconds / 1e9).collect()
        })
        .collect();
    print!("\n{:<22}", format!("{}, {n} lines", scheme.name));
    widths.iter().for_each(|width| print!("{:>18}", width.name()));
    println!("   GB/s, and as a part of memcpy");
    for (i, it) in loops().iter().enumerate() {
        print!("{:<22}", it.name);
        rates.iter().for_each(|rates| print!("{:>11.1} ({:.2})", rates[i], rates[i] / rates[0]));
        println!();
    }
}

/// What a call costs the host, and what of it the guard and the verification.
fn shares<R: Real + Element>(call: &Call<R>, challenge: &Exact) {
    let device = call.device();
    let mut c = vec![R::ZERO; call.n * call.n];
    let [mut whole, mut unguarded, mut unverified] = [[f64::INFINITY; 4]; 3];
    for _ in 0..CALLS {
        steps(call, challenge, true, &device, &mut c, &mut whole);
        steps(call, challenge, false, &device, &mut c, &mut unguarded);
        steps(call, &Unverified, true, &device, &mut c, &mut unverified);
    }
    let total: f64 = whole.iter().sum();
    let [scan, pack, decide, collect] = whole.map(|seconds| seconds * 1e3);
    let saved = |without: [f64; 4]| 100.0 * (1.0 - without.iter().sum::<f64>() / total);
    println!(
        "\n{4} {0}x{0}x{0}: host {1:.2} ms on one thread (scan {scan:.2}, split and pack {pack:.2}, \
         guard's decision {decide:.3}, verify and recombine {collect:.2})\n\
         guard {2:.1} %, verification {3:.1} % of it",
        call.n,
        total * 1e3,
        saved(unguarded),
        saved(unverified),
        call.scheme.name,
    );
}

/// Carries a call out; each step takes at `best` so long.
fn steps<R: Real + Element, C: Challenge>(
    call: &Call<R>,
    challenge: &C,
    is_guarded: bool,
    device: &[(Block, Box<dyn Buffer>)],
    c: &mut [R],
    best: &mut [f64; 4],
) {
    let start = Instant::now();
    let scans = call.scan();
    let scanned = Instant::now();
    let prepared = call.pack(challenge, is_guarded, &scans);
    let packed = Instant::now();
    assert!(!is_guarded || call.accepts(&prepared));
    let decided = Instant::now();
    call.collect(challenge, &prepared, device, c);
    let times = [start, scanned, packed, decided, Instant::now()];
    for (best, times) in best.iter_mut().zip(times.windows(2)) {
        *best = best.min((times[1] - times[0]).as_secs_f64());
    }
}
