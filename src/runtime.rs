//! The one global: thread pool, devices and counters of this process; safe across `fork`.
//!
//! Nothing exists before the first call. A forked child finds the parent's state by its process
//! id, leaves it alone (the parent's threads do not run here, and closing a buffer of an
//! inherited descriptor would close the parent's) and makes its own. No lock is ever held across
//! a fork: state is published through atomic pointers and never freed.

use crate::config::{Config, Level};
use crate::cpu::kernel::{self, Available};
use crate::cpu::{self, Kernels};
use crate::npu::engine::{Npu, Outcome};
use crate::problem::Gemm;
use crate::profile::Profile;
use crate::route::{self, Reason, Route};
use crate::scalar::{c32, c64};
use crate::threads::{self, Threads};
use crate::trace::{self, CallLine, NpuLine, Report};
use std::ptr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// What belongs to one process: made on first need, never freed.
#[derive(Debug)]
struct Process {
    id: u32,
    threads: OnceLock<Threads>,
    npu: OnceLock<Result<Npu, Reason>>,
}

static PROCESS: AtomicPtr<Process> = AtomicPtr::new(ptr::null_mut());

/// The state of the calling process.
fn process() -> &'static Process {
    let id = std::process::id();
    let mut current = PROCESS.load(Ordering::Acquire);
    loop {
        // SAFETY: the pointer is null or was published below, and what is published is never
        // freed or changed.
        if let Some(process) = unsafe { current.as_ref() }
            && process.id == id
        {
            return process;
        }
        let fresh =
            Box::into_raw(Box::new(Process { id, threads: OnceLock::new(), npu: OnceLock::new() }));
        match PROCESS.compare_exchange(current, fresh, Ordering::AcqRel, Ordering::Acquire) {
            // SAFETY: `fresh` came from a box and is now shared for ever.
            Ok(_) => return unsafe { &*fresh },
            Err(other) => {
                // SAFETY: the exchange failed, so nobody else has seen `fresh`.
                drop(unsafe { Box::from_raw(fresh) });
                current = other;
            }
        }
    }
}

/// The configuration and what follows from it for this machine.
#[derive(Debug)]
struct Settings {
    config: Config,
    kernels: Available,
    profile: &'static Profile,
}

static SETTINGS: AtomicPtr<Settings> = AtomicPtr::new(ptr::null_mut());

/// The settings, made at the first call. A forked child inherits them.
#[inline]
fn settings() -> &'static Settings {
    // SAFETY: null, or published by `make_settings` and never freed or changed.
    match unsafe { SETTINGS.load(Ordering::Acquire).as_ref() } {
        Some(settings) => settings,
        None => make_settings(),
    }
}

/// The configuration, read from the environment at the first call. A forked child inherits it.
pub fn config() -> &'static Config {
    &settings().config
}

#[cold]
fn make_settings() -> &'static Settings {
    let (config, complaints) = Config::from_env(|name| std::env::var(name).ok());
    let kernels = kernel::chosen(config.cpu_kernel.as_deref());
    let profile = Profile::named(&config.profile).unwrap_or(&Profile::RK3588);
    let fresh = Box::into_raw(Box::new(Settings { config, kernels, profile }));
    match SETTINGS.compare_exchange(ptr::null_mut(), fresh, Ordering::AcqRel, Ordering::Acquire) {
        Ok(_) => {
            // SAFETY: `fresh` came from a box and is now shared for ever.
            let settings = unsafe { &*fresh };
            for complaint in complaints {
                trace::log(settings.config.log, Level::Error, &complaint);
            }
            settings
        }
        Err(other) => {
            // SAFETY: the exchange failed, so nobody else has seen `fresh`; `other` was
            // published by the winner.
            unsafe {
                drop(Box::from_raw(fresh));
                &*other
            }
        }
    }
}

/// The thread pool of this process.
pub fn threads() -> &'static Threads {
    process().threads.get_or_init(|| {
        let available = || std::thread::available_parallelism().map_or(1, |n| n.get());
        Threads::new(config().threads.unwrap_or_else(available))
    })
}

/// The NPU of this process, opened at the first call that wants it.
pub fn npu() -> Result<&'static Npu, Reason> {
    let open = || {
        let npu = Npu::open(config())?;
        close_at_exit();
        Ok(npu)
    };
    process().npu.get_or_init(open).as_ref().map_err(Clone::clone)
}

/// How long the end of the process may wait for a call in flight. Longer than the kernel lets a
/// job run (500 ms).
const EXIT_PATIENCE: Duration = Duration::from_secs(1);

/// Has the device brought to rest when the process leaves through `exit` while another thread is
/// inside a call: a file that the kernel closes with jobs on it corrupts the kernel's memory, see
/// `npu/drm/rocket/sentinel.rs`. Every call drains at its end, so there is nothing to wait for
/// when no call is in flight, nor after `_exit`, and `SIGKILL` cannot be helped.
///
/// The handler is no dangling pointer after `dlclose`: the libraries stay loaded (see `build.rs`).
fn close_at_exit() {
    static REGISTERED: AtomicBool = AtomicBool::new(false);
    // A forked child inherits the handler together with the flag.
    if !REGISTERED.swap(true, Ordering::AcqRel) {
        // SAFETY: the handler is a function for ever. When there is no room for it, exits in the
        // middle of a call are as they were.
        unsafe { libc::atexit(close) };
    }
}

extern "C" fn close() {
    // SAFETY: null or published by `process` and never freed.
    let current = unsafe { PROCESS.load(Ordering::Acquire).as_ref() };
    // A forked child that never called leaves its parent's device alone.
    let mine = current.filter(|process| process.id == std::process::id());
    if let Some(Ok(npu)) = mine.and_then(|process| process.npu.get()) {
        npu.close(EXIT_PATIENCE);
    }
}

/// How often what happened since the library was loaded; a forked child goes on counting.
#[derive(Debug, Default)]
struct Counters {
    cpu_calls: AtomicU64,
    npu_calls: AtomicU64,
    declined: AtomicU64,
    jobs: AtomicU64,
    tasks: AtomicU64,
    retried: AtomicU64,
    repaired: AtomicU64,
}

static COUNTERS: Counters = Counters {
    cpu_calls: AtomicU64::new(0),
    npu_calls: AtomicU64::new(0),
    declined: AtomicU64::new(0),
    jobs: AtomicU64::new(0),
    tasks: AtomicU64::new(0),
    retried: AtomicU64::new(0),
    repaired: AtomicU64::new(0),
};

/// A copy of the counters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Statistics {
    /// Products that the CPU computed whole.
    pub cpu_calls: u64,
    /// Products that the NPU computed, whole or but for repaired blocks.
    pub npu_calls: u64,
    /// Products that were offered to the NPU and that it declined.
    pub declined: u64,
    /// Jobs submitted.
    pub jobs: u64,
    /// Tasks in them.
    pub tasks: u64,
    /// Blocks of C submitted a second time because the first result was missing or wrong.
    pub retried: u64,
    /// Blocks of C that the CPU computed because the second result was no good either.
    pub repaired: u64,
}

/// The counters as they stand.
pub fn statistics() -> Statistics {
    let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    Statistics {
        cpu_calls: read(&COUNTERS.cpu_calls),
        npu_calls: read(&COUNTERS.npu_calls),
        declined: read(&COUNTERS.declined),
        jobs: read(&COUNTERS.jobs),
        tasks: read(&COUNTERS.tasks),
        retried: read(&COUNTERS.retried),
        repaired: read(&COUNTERS.repaired),
    }
}

/// An element type whose products this library runs.
pub trait Runs: Kernels {
    /// Whether the NPU path serves the type.
    const SERVED: bool;
    /// Offers the problem to the NPU.
    fn offer(npu: &Npu, problem: &mut Gemm<'_, Self>) -> Outcome;
}

impl Runs for f32 {
    const SERVED: bool = true;
    fn offer(npu: &Npu, problem: &mut Gemm<'_, f32>) -> Outcome {
        npu.sgemm(problem, config(), threads())
    }
}

macro_rules! cpu_only {
    ($($t:ty),*) => {$(
        impl Runs for $t {
            const SERVED: bool = false;
            fn offer(_: &Npu, _: &mut Gemm<'_, $t>) -> Outcome {
                Outcome::declined(Reason::Type)
            }
        }
    )*};
}
cpu_only!(f64, c32, c64);

/// Runs a product whose α and k are not zero where the router wants it, and on the CPU whenever
/// the NPU declines or fails.
#[inline(always)]
pub(crate) fn gemm<T: Runs>(problem: &mut Gemm<'_, T>) -> Report {
    let settings = settings();
    let shape = (problem.m(), problem.n(), problem.k());
    let route = route::choose(shape, T::SERVED, settings.config.offload, settings.profile);
    match route {
        // The way of all small calls, which are counted in nanoseconds.
        Route::Cpu(reason) if !settings.config.verbose => on_cpu_alone(settings, problem, reason),
        route => traced(settings, problem, shape, route),
    }
}

#[inline(never)]
fn traced<T: Runs>(
    settings: &'static Settings,
    problem: &mut Gemm<'_, T>,
    shape: (usize, usize, usize),
    route: Route,
) -> Report {
    let start = settings.config.verbose.then(Instant::now);
    let report = run(settings, problem, route);
    if let Some(start) = start {
        let routine = format!("{}gemm", T::LETTER);
        let time = start.elapsed();
        trace::call(&CallLine { routine: &routine, shape, report: &report, time });
    }
    report
}

fn run<T: Runs>(settings: &Settings, problem: &mut Gemm<'_, T>, route: Route) -> Report {
    let reason = match route {
        Route::Cpu(reason) => reason,
        Route::Npu(reason) => match npu() {
            Err(none) => none,
            Ok(npu) => {
                let outcome = T::offer(npu, problem);
                count(&outcome);
                match outcome.declined {
                    Some(declined) => declined,
                    None => {
                        for block in &outcome.left {
                            let (i, j) = (block.rows.start, block.cols.start);
                            let mut part = problem.part(i, j, block.rows.len(), block.cols.len());
                            on_cpu(settings, &mut part);
                        }
                        return Report { reason, npu: Some(outcome.line) };
                    }
                }
            }
        },
    };
    on_cpu_alone(settings, problem, reason)
}

/// A product that the CPU computes whole.
#[inline(always)]
fn on_cpu_alone<T: Kernels>(
    settings: &Settings,
    problem: &mut Gemm<'_, T>,
    reason: Reason,
) -> Report {
    COUNTERS.cpu_calls.fetch_add(1, Ordering::Relaxed);
    on_cpu(settings, problem);
    Report { reason, npu: None }
}

#[inline(always)]
fn on_cpu<T: Kernels>(settings: &Settings, problem: &mut Gemm<'_, T>) {
    let wants = cpu::wants_threads(problem.m(), problem.n(), problem.k());
    let pool = (wants && !threads::host_is_parallel()).then(self::threads);
    cpu::gemm(problem, settings.kernels, pool);
}

fn count(outcome: &Outcome) {
    let NpuLine { jobs, tasks, retried, repaired, .. } = outcome.line;
    let calls = if outcome.declined.is_some() { &COUNTERS.declined } else { &COUNTERS.npu_calls };
    for (counter, by) in [
        (calls, 1),
        (&COUNTERS.jobs, jobs),
        (&COUNTERS.tasks, tasks),
        (&COUNTERS.retried, retried),
        (&COUNTERS.repaired, repaired),
    ] {
        counter.fetch_add(by, Ordering::Relaxed);
    }
}
