//! What the machine can do at most: multiplications and bytes per second.

use std::hint::black_box;
use std::time::{Duration, Instant};

/// Chains of dependent products in flight, enough for two units of five cycles' latency.
const CHAINS: usize = 12;

/// Bytes that no cache holds.
const MEMORY: usize = 256 << 20;

/// Flops per second of fused multiply-adds on numbers of `bytes` bytes, on all of `threads`
/// threads together, the best of a few tries.
pub fn fma(bytes: usize, threads: usize) -> f64 {
    const TURNS: usize = 200_000;
    let lanes = vector_bytes() / bytes;
    let work = || {
        for _ in 0..8 {
            burst(TURNS, bytes);
        }
    };
    let flops = (2 * 8 * TURNS * CHAINS * lanes * threads) as f64;
    (0..5).map(|_| flops / together(threads, &work)).fold(0.0, f64::max)
}

/// Bytes per second that `threads` threads read from memory together, the best of a few tries.
pub fn read(threads: usize) -> f64 {
    let memory = vec![1u64; MEMORY / 8];
    let work = || {
        let mut sums = [0u64; 64];
        for line in memory.chunks_exact(64) {
            for (sum, x) in sums.iter_mut().zip(line) {
                *sum = sum.wrapping_add(*x);
            }
        }
        black_box(sums);
    };
    (0..5).map(|_| (MEMORY * threads) as f64 / together(threads, &work)).fold(0.0, f64::max)
}

/// Waits for a moment in which nobody shares the core: a few microseconds of multiplications must
/// go nearly as fast as they ever went.
#[derive(Debug, Default)]
pub struct Quiet {
    /// The shortest burst so far, in seconds.
    best: Option<f64>,
}

impl Quiet {
    /// Returns when it is quiet, or when there was no such moment for `patience`.
    pub fn wait(&mut self, patience: Duration) {
        let start = Instant::now();
        loop {
            let burst_start = Instant::now();
            burst(5_000, 4);
            let time = burst_start.elapsed().as_secs_f64();
            let best = self.best.map_or(time, |best| best.min(time));
            self.best = Some(best);
            if time < 1.06 * best || start.elapsed() > patience {
                return;
            }
            std::thread::sleep(Duration::from_micros(300));
        }
    }
}

/// Seconds in which every one of some threads does the work.
fn together(threads: usize, work: &(impl Fn() + Sync)) -> f64 {
    let start = Instant::now();
    std::thread::scope(|scope| {
        for _ in 1..threads {
            scope.spawn(work);
        }
        work();
    });
    start.elapsed().as_secs_f64()
}

/// Bytes in the widest vector whose products are fused here.
fn vector_bytes() -> usize {
    #[cfg(target_arch = "x86_64")]
    {
        if is_x86_feature_detected!("avx512f") {
            return 64;
        }
        if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
            return 32;
        }
    }
    16
}

/// `turns` steps of [`CHAINS`] chains of products of the widest vectors.
fn burst(turns: usize, bytes: usize) {
    let single = bytes == 4;
    #[cfg(target_arch = "x86_64")]
    // SAFETY: the CPU has the instructions, as just asked.
    unsafe {
        match (vector_bytes(), single) {
            (64, true) => return x86::wide_s(turns),
            (64, false) => return x86::wide_d(turns),
            (32, true) => return x86::narrow_s(turns),
            (32, false) => return x86::narrow_d(turns),
            _ => {}
        }
    }
    if single { plain::<f32, 4>(turns, 0.5) } else { plain::<f64, 2>(turns, 0.5) }
}

/// The same as plain loops: fused on Arm, and a low estimate on an x86-64 CPU of before 2013.
fn plain<R: npublas::Scalar, const LANES: usize>(turns: usize, half: R) {
    let mut chains = [[half; LANES]; CHAINS];
    let (x, y) = (black_box([half; LANES]), black_box([half; LANES]));
    for _ in 0..turns {
        for chain in &mut chains {
            for i in 0..LANES {
                chain[i] = if cfg!(target_arch = "aarch64") {
                    chain[i].mul_add(x[i], y[i])
                } else {
                    chain[i] * x[i] + y[i]
                };
            }
        }
    }
    black_box(chains);
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::CHAINS;
    use std::arch::x86_64::*;
    use std::hint::black_box;

    macro_rules! bursts {
        ($($name:ident, $features:literal, $splat:ident, $fma:ident;)*) => {$(
            #[target_feature(enable = $features)]
            pub fn $name(turns: usize) {
                let (x, y) = black_box(($splat(0.5), $splat(0.5)));
                let mut chains = [x; CHAINS];
                for _ in 0..turns {
                    for chain in &mut chains {
                        *chain = $fma(*chain, x, y);
                    }
                }
                black_box(chains);
            }
        )*};
    }
    bursts! {
        wide_s, "avx512f", _mm512_set1_ps, _mm512_fmadd_ps;
        wide_d, "avx512f", _mm512_set1_pd, _mm512_fmadd_pd;
        narrow_s, "avx2,fma", _mm256_set1_ps, _mm256_fmadd_ps;
        narrow_d, "avx2,fma", _mm256_set1_pd, _mm256_fmadd_pd;
    }
}
