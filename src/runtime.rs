//! The one global: thread pool, devices and counters of this process; safe across `fork`.
//!
//! Nothing exists before the first call. A forked child finds the parent's state by its number
//! ([`fork`]), leaves it alone (the parent's threads do not run here, and closing a buffer of an
//! inherited descriptor would close the parent's) and makes its own. No lock is ever held across
//! a fork: state is published through atomic pointers and never freed.

use crate::config::{Config, Level, Offload};
use crate::count::Count;
use crate::cpu::kernel::{self, Available};
use crate::cpu::{self, Kernels};
use crate::fenv;
use crate::fork;
use crate::mode::{Mode, Policy, Settings};
use crate::npu::engine::doubts::Doubts;
use crate::npu::engine::{self, Element, Npu, Outcome, Terms, reproducible};
use crate::problem::Gemm;
use crate::profile::Profile;
use crate::route::{self, Reason, Route};
use crate::threads::Threads;
use crate::trace::{self, CallLine, NpuLine, Report};
use std::cell::Cell;
use std::ptr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// What belongs to one process: made on first need, never freed.
#[derive(Debug)]
struct Process {
    id: u64,
    threads: OnceLock<Threads>,
    npu: OnceLock<Result<Npu, Reason>>,
}

static PROCESS: AtomicPtr<Process> = AtomicPtr::new(ptr::null_mut());

/// The state of the calling process.
fn process() -> &'static Process {
    let id = fork::process();
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
struct Setup {
    config: Config,
    kernels: Available,
    profile: &'static Profile,
    /// The longest side of products that are the CPU's without another look, unless some function was
    /// called to say otherwise, and that nobody wants to hear of.
    longest_at_once: usize,
}

impl Setup {
    /// What a call of the calling thread may do to its numbers.
    #[inline(always)]
    fn policy(&self) -> Policy {
        let policy = self.config.policy();
        match SETTINGS.load(Ordering::Relaxed) {
            0 => policy,
            bits => set_policy(bits, policy),
        }
    }

    /// Whether functions made a call of the calling thread reproducible.
    #[inline(always)]
    fn is_set_reproducible(&self) -> bool {
        SETTINGS.load(Ordering::Relaxed) != 0 && self.policy().reproducible
    }
}

static SETUP: AtomicPtr<Setup> = AtomicPtr::new(ptr::null_mut());

/// The setup, made at the first call. A forked child inherits them.
#[inline]
fn setup() -> &'static Setup {
    // SAFETY: null, or published by `make_setup` and never freed or changed.
    match unsafe { SETUP.load(Ordering::Acquire).as_ref() } {
        Some(setup) => setup,
        None => first_setup(),
    }
}

/// The configuration, read from the environment at the first call. A forked child inherits it.
#[inline]
pub fn config() -> &'static Config {
    &setup().config
}

#[cold]
fn first_setup() -> &'static Setup {
    // The profile's times are compared.
    let _environment = fenv::Default::enter();
    make_setup()
}

#[inline(never)]
fn make_setup() -> &'static Setup {
    fenv::look_at_cpu();
    let (config, complaints) = Config::from_env(|name| std::env::var(name).ok());
    let kernels = kernel::chosen(config.cpu_kernel.as_deref());
    let profile = Profile::named(&config.profile).unwrap_or(&Profile::RK3588);
    let is_reproducible = config.policy().reproducible;
    let takes_all = config.offload == Offload::Always || config.verbose || is_reproducible;
    let longest_at_once = if takes_all { 0 } else { route::longest_on_cpu(profile) };
    let setup = Setup { config, kernels, profile, longest_at_once };
    let fresh = Box::into_raw(Box::new(setup));
    match SETUP.compare_exchange(ptr::null_mut(), fresh, Ordering::AcqRel, Ordering::Acquire) {
        Ok(_) => {
            // SAFETY: `fresh` came from a box and is now shared for ever.
            let setup = unsafe { &*fresh };
            for complaint in complaints {
                trace::log(setup.config.log, Level::Error, &complaint);
            }
            setup
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

/// Whose calls a setting holds for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// All calls of the process; it goes over the environment.
    Process,
    /// Calls of the calling thread; it goes over all others.
    Thread,
}

/// What functions set for the process, as [`Settings::bits`], and [`SCOPED`]. Until they set
/// something, nobody looks further.
static SETTINGS: AtomicU32 = AtomicU32::new(0);

/// Whether any thread ever set something for itself.
const SCOPED: u32 = 1 << u16::BITS;

/// The settings of the process among the bits of [`SETTINGS`].
fn of_process(bits: u32) -> Settings {
    Settings::from_bits(bits as u16)
}

thread_local! {
    /// What functions set for this thread.
    static OWN: Cell<Settings> = const { Cell::new(Settings::NONE) };
}

/// What a call of the calling thread may do to its numbers: as set for the thread, else for the
/// process, else by the environment.
#[inline(always)]
pub fn policy() -> Policy {
    setup().policy()
}

#[cold]
fn set_policy(bits: u32, policy: Policy) -> Policy {
    let policy = of_process(bits).over(policy);
    // A thread that set something sees what it stored itself.
    if bits & SCOPED != 0 { OWN.get().over(policy) } else { policy }
}

/// Sets the compute mode, or with `None` leaves it to the wider scope; returns what was set.
pub fn set_mode(scope: Scope, mode: Option<Mode>) -> Option<Mode> {
    set(scope, |settings| settings.mode = mode).mode
}

/// Sets whether calls are reproducible, or with `None` leaves it to the wider scope; returns
/// what was set.
pub fn set_reproducible(scope: Scope, on: Option<bool>) -> Option<bool> {
    set(scope, |settings| settings.reproducible = on).reproducible
}

/// Changes the settings of `scope`; returns those before.
fn set(scope: Scope, change: impl Fn(&mut Settings)) -> Settings {
    let changed = |mut settings| {
        change(&mut settings);
        settings
    };
    match scope {
        Scope::Process => {
            let update = |bits| Some(bits & SCOPED | u32::from(changed(of_process(bits)).bits()));
            let relaxed = Ordering::Relaxed;
            let (Ok(before) | Err(before)) = SETTINGS.fetch_update(relaxed, relaxed, update);
            of_process(before)
        }
        Scope::Thread => {
            SETTINGS.fetch_or(SCOPED, Ordering::Relaxed);
            OWN.replace(changed(OWN.get()))
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

/// The NPU of this process, opened at the first call that wants it. A device that cannot be opened
/// then is not tried again: no later call pays for asking.
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
    let mine = current.filter(|process| process.id == fork::process());
    if let Some(Ok(npu)) = mine.and_then(|process| process.npu.get()) {
        npu.close(EXIT_PATIENCE);
    }
}

/// How often what happened since the library was loaded; a forked child goes on counting.
#[derive(Debug)]
struct Counters {
    /// By far the most frequent, and of the shortest calls.
    cpu_calls: Count,
    npu_calls: AtomicU64,
    declined: AtomicU64,
    jobs: AtomicU64,
    tasks: AtomicU64,
    retried: AtomicU64,
    repaired: AtomicU64,
}

static COUNTERS: Counters = Counters {
    cpu_calls: Count::new(),
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
        cpu_calls: COUNTERS.cpu_calls.total(),
        npu_calls: read(&COUNTERS.npu_calls),
        declined: read(&COUNTERS.declined),
        jobs: read(&COUNTERS.jobs),
        tasks: read(&COUNTERS.tasks),
        retried: read(&COUNTERS.retried),
        repaired: read(&COUNTERS.repaired),
    }
}

/// An element type whose products this library runs.
pub trait Runs: Kernels + Element {}
impl<T: Kernels + Element> Runs for T {}

/// Runs a product whose α and k are not zero where the router wants it, and on the CPU whenever
/// the NPU declines or fails. The caller speaks of the transposed problem if it `is_turned`.
#[inline(always)]
pub(crate) fn gemm<T: Runs>(problem: Gemm<'_, T>, is_turned: bool) -> Report {
    let setup = setup();
    let longest = setup.longest_at_once;
    let is_small = problem.m() <= longest && problem.n() <= longest && problem.k() <= longest;
    if is_small && !setup.is_set_reproducible() {
        // Such calls are counted in nanoseconds.
        return all_on_cpu(setup, problem, Reason::Small);
    }
    let _environment = fenv::Default::enter();
    routed(setup, problem, is_turned)
}

#[inline(never)]
fn routed<T: Runs>(setup: &'static Setup, mut problem: Gemm<'_, T>, is_turned: bool) -> Report {
    let start = setup.config.verbose.then(Instant::now);
    if is_turned {
        problem.transpose();
    }
    let policy = setup.policy();
    let product = engine::product(&problem);
    let shape = product.shape;
    let recipe = || engine::recipe::<T>(shape, policy);
    let offload = setup.config.offload;
    let route = route::choose(&product, recipe, offload, policy.reproducible, setup.profile);
    let report = run(setup, problem, policy, route);
    if let Some(start) = start {
        let routine = format!("{}gemm", T::LETTER);
        let time = start.elapsed();
        trace::call(&CallLine { routine: &routine, shape, policy, report: &report, time });
    }
    report
}

fn run<T: Runs>(setup: &Setup, mut problem: Gemm<'_, T>, policy: Policy, route: Route) -> Report {
    let (device, reason) = match route {
        Route::Cpu(reason) => return all_on_cpu(setup, problem, reason),
        Route::Host(reason) => (None, reason),
        Route::Npu(reason) => match npu() {
            Ok(npu) => (Some(npu), reason),
            Err(none) if policy.reproducible => (None, none),
            Err(none) => return all_on_cpu(setup, problem, none),
        },
    };
    let terms = Terms { policy, config: &setup.config, profile: setup.profile, threads: threads() };
    let outcome = match device {
        Some(npu) if !policy.reproducible => npu.gemm(&mut problem, &terms),
        _ => reproducible::gemm(device, &mut problem, &terms),
    };
    if device.is_some() {
        count(&outcome);
    }
    let Outcome { line, host, left, spared, doubts, declined } = outcome;
    let npu = (device.is_some() && declined.is_none()).then_some(line);
    let reason = declined.unwrap_or(reason);
    if npu.is_none() {
        if host.is_none() {
            return all_on_cpu(setup, problem, reason);
        }
        COUNTERS.cpu_calls.raise();
    }
    for area in left.iter().chain(&spared) {
        let (i, j) = (area.rows.start, area.cols.start);
        on_cpu(setup, problem.part(i, j, area.rows.len(), area.cols.len()));
    }
    if !doubts.is_empty() {
        let places = doubts.iter().flat_map(Doubts::places);
        cpu::entries(problem, places, setup.kernels, Some(threads()));
    }
    Report { reason, npu, host }
}

/// A product that the CPU computes whole.
#[inline(always)]
fn all_on_cpu<T: Kernels>(setup: &Setup, problem: Gemm<'_, T>, reason: Reason) -> Report {
    COUNTERS.cpu_calls.raise();
    on_cpu(setup, problem);
    Report { reason, npu: None, host: None }
}

#[inline(always)]
fn on_cpu<T: Kernels>(setup: &Setup, problem: Gemm<'_, T>) {
    cpu::gemm_asking(problem, setup.kernels, || Some(threads()));
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
