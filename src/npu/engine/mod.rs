//! Runs a product on the device: scan → split and pack → guard → submit → wait → verify → join.
//!
//! Nothing is submitted before the guard has accepted a scheme for the whole call, and a row of
//! C is written only when its sums are proven to be what the device was told to compute. What
//! the device does not deliver is handed back for the CPU.

mod flight;
mod headroom;
mod health;
pub mod lines;
pub mod operands;
pub mod plan;
pub mod results;
mod transpose;

use super::chip::Chip;
use super::driver::DriverError;
use super::guard;
use super::pool::Lane;
use super::scheme::Scheme;
use super::scheme::ladder::ladder;
use super::verify::Challenge;
use super::{drm, rk3588};
use crate::config::{Config, Level, Offload};
use crate::mode::Policy;
use crate::problem::Gemm;
use crate::profile::Profile;
use crate::route::Reason;
use crate::scalar::Scalar;
use crate::threads::Threads;
use crate::trace::{self, NpuLine};
use flight::{Flight, Landing};
use health::{Health, Troubles};
use lines::Lines;
use operands::{OperandBuffers, Packer};
use plan::Plan;
use results::Results;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::{Duration, Instant};

/// How long a call waits for a job at most, the jobs of other processes before it included. The
/// kernel gives every job half a second.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long at least when the CPU might as well have computed the call.
const LITTLE_PATIENCE: Duration = Duration::from_millis(200);

/// Bytes of one operand in one lane. Larger calls are cut into parts.
const OPERAND_BYTES: usize = 256 << 20;

/// The NPU of this process: its chip and its open contexts, one per core.
#[derive(Debug)]
pub struct Npu {
    chip: &'static dyn Chip,
    lanes: Mutex<Vec<Lane>>,
    health: Health,
    /// Whether the process is about to end.
    closing: AtomicBool,
}

/// What the NPU made of a call.
#[derive(Debug)]
pub struct Outcome {
    /// What was done.
    pub line: NpuLine,
    /// Blocks of C that were not written and that the CPU must compute.
    pub left: Vec<Block>,
    /// Why the whole call was declined; C is untouched then.
    pub declined: Option<Reason>,
}

/// A block of C.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    /// Rows of C.
    pub rows: Range<usize>,
    /// Columns of C.
    pub cols: Range<usize>,
}

impl Outcome {
    /// Nothing was done, for this reason.
    pub fn declined(reason: Reason) -> Outcome {
        Outcome { line: NpuLine::default(), left: Vec::new(), declined: Some(reason) }
    }
}

impl Npu {
    /// Finds the device that the configuration names and opens a context per core.
    pub fn open(config: &Config) -> Result<Npu, Reason> {
        let chip: &'static dyn Chip = &rk3588::Rk3588;
        let cores = config.npu_cores.unwrap_or(chip.limits().cores);
        let found = drm::find(&config.device);
        for node in &found {
            let what = match &node.result {
                Ok(driver) => format!("{}: {}", node.path.display(), driver.name()),
                Err(error) => format!("{}: {error}", node.path.display()),
            };
            trace::log(config.log, Level::Info, &what);
        }
        let (path, driver) = found
            .into_iter()
            .find_map(|node| node.result.ok().map(|driver| (node.path, driver)))
            .ok_or(Reason::NoDevice)?;
        let lanes: Vec<Lane> = (0..cores)
            .map_while(|_| match driver.open(&path) {
                Ok(context) => Some(Lane::new(context)),
                Err(error) => {
                    trace::log(config.log, Level::Info, &error);
                    None
                }
            })
            .collect();
        if lanes.is_empty() {
            return Err(Reason::NoDevice);
        }
        let closing = AtomicBool::new(false);
        Ok(Npu { chip, lanes: Mutex::new(lanes), health: Health::new(), closing })
    }

    /// Brings the device into a state in which the process may end: no call submits any more,
    /// what is on the device is waited for, and the kernel has let go of it. Takes a short time,
    /// `patience` and what a drain may take at most. All calls are declined from now on.
    pub fn close(&self, patience: Duration) {
        self.closing.store(true, Ordering::SeqCst);
        let deadline = Instant::now() + patience;
        let mut lanes = loop {
            match self.lanes.try_lock() {
                Ok(lanes) => break lanes,
                Err(TryLockError::Poisoned(lanes)) => break lanes.into_inner(),
                Err(TryLockError::WouldBlock) if Instant::now() < deadline => {
                    std::thread::sleep(Duration::from_millis(1));
                }
                // The call in flight may be one of this very thread, below a signal handler.
                Err(TryLockError::WouldBlock) => return,
            }
        };
        lanes.iter_mut().for_each(|lane| lane.settle(deadline));
    }

    fn is_closing(&self) -> bool {
        self.closing.load(Ordering::SeqCst)
    }

    /// Name of the chip.
    pub fn chip(&self) -> &'static str {
        self.chip.name()
    }

    /// Open contexts.
    pub fn lanes(&self) -> usize {
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Computes `C ← α·A·B + β·C`. α, k and the size of C are not zero.
    pub fn sgemm(
        &self,
        problem: &mut Gemm<'_, f32>,
        policy: Policy,
        config: &Config,
        threads: &Threads,
    ) -> Outcome {
        if let Some(reason) = self.health.unfit() {
            return Outcome::declined(reason);
        }
        if !(problem.alpha.is_finite() && problem.beta.is_finite()) {
            return Outcome::declined(Reason::NonFinite);
        }
        let schemes = ladder(f32::LETTER, policy.mode);
        if schemes.iter().any(|scheme| problem.k() > scheme.max_k()) {
            return Outcome::declined(Reason::Depth);
        }
        let Some(mut lanes) = self.reserve(config.offload) else {
            return Outcome::declined(Reason::Busy);
        };
        // Another call may have found out while this one waited for it.
        if let Some(reason) = self.health.unfit() {
            return Outcome::declined(reason);
        }
        lanes.iter_mut().for_each(Lane::trim);

        let mut troubles = Troubles::default();
        let (rows, cols) = self.part_size(problem.k(), lanes.len(), schemes);
        let mut total = Outcome { line: NpuLine::default(), left: Vec::new(), declined: None };
        let mut written = false;
        for i in (0..problem.m()).step_by(rows) {
            for j in (0..problem.n()).step_by(cols) {
                let rows = i..problem.m().min(i + rows);
                let cols = j..problem.n().min(j + cols);
                let mut part = problem.part(i, j, rows.len(), cols.len());
                match self.part(&mut part, policy, &mut lanes, config, threads, &mut troubles) {
                    Ok((line, left)) => {
                        written |= !covers(&left, rows.len() * cols.len());
                        total.line.add(&line);
                        total.left.extend(left.into_iter().map(|b| b.shifted(i, j)));
                    }
                    Err(reason) => {
                        total.declined = Some(reason);
                        total.left.push(Block { rows, cols });
                    }
                }
            }
        }
        self.health.judge(&troubles, &total.line, written, config.log);
        if written {
            total.declined = None;
        } else if total.declined.is_none() {
            total.declined = Some(Reason::Device("failed"));
        }
        total
    }

    /// The lanes, or `None` when other calls have them and this one need not wait.
    fn reserve(&self, offload: Offload) -> Option<MutexGuard<'_, Vec<Lane>>> {
        if offload == Offload::Always {
            return Some(self.lanes.lock().unwrap_or_else(PoisonError::into_inner));
        }
        match self.lanes.try_lock() {
            Ok(lanes) => Some(lanes),
            Err(TryLockError::Poisoned(lanes)) => Some(lanes.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    /// Rows and columns of C that one pass over the device may take: every lane's operands stay
    /// within [`OPERAND_BYTES`] under the widest of the schemes.
    fn part_size(&self, k: usize, lanes: usize, schemes: &[&Scheme]) -> (usize, usize) {
        let limits = self.chip.limits();
        let pitch = k.next_multiple_of(limits.depth_align);
        let slices = schemes.iter().map(|s| s.planes()).max().unwrap_or(1);
        let products = schemes.iter().map(|s| s.products()).max().unwrap_or(1);
        let rows = (OPERAND_BYTES / (pitch * slices)).max(1);
        let cols = OPERAND_BYTES / (pitch * products) * lanes;
        (rows, (cols / limits.col_align * limits.col_align).max(limits.col_align))
    }

    /// How long the jobs of a product may take.
    fn patience(&self, (m, n, k): (usize, usize, usize), config: &Config) -> Duration {
        match config.offload {
            Offload::Always => PATIENCE,
            _ => {
                let profile = Profile::named(&config.profile).unwrap_or(&Profile::RK3588);
                let worth = 4.0 * profile.cpu_seconds(m, n, k);
                let worth = Duration::try_from_secs_f64(worth).unwrap_or(PATIENCE);
                LITTLE_PATIENCE.saturating_add(worth).min(PATIENCE)
            }
        }
    }

    /// Computes a product whose operands fit the lanes. `Err`: nothing was written.
    fn part(
        &self,
        problem: &mut Gemm<'_, f32>,
        policy: Policy,
        lanes: &mut [Lane],
        config: &Config,
        threads: &Threads,
        troubles: &mut Troubles,
    ) -> Result<(NpuLine, Vec<Block>), Reason> {
        let (m, n, k) = (problem.m(), problem.n(), problem.k());
        if self.is_closing() {
            return Err(Reason::Exit);
        }
        let mut free: Vec<&mut Lane> = lanes.iter_mut().filter_map(Lane::if_free).collect();
        if free.is_empty() {
            return Err(Reason::Busy);
        }
        let lanes = &mut free[..];
        let schemes = ladder(f32::LETTER, policy.mode);
        let col_align = self.chip.limits().col_align;
        if !headroom::is_there((m, n, k), schemes, col_align, threads.count()) {
            return Err(Reason::Memory);
        }
        let (rows, cols) = (Lines::new(problem.a), Lines::new(problem.b.t()));
        let row_scans = operands::scan(rows, m, threads);
        let col_scans = operands::scan(cols, n, threads);
        if !row_scans.iter().chain(&col_scans).all(|scan| scan.finite) {
            return Err(Reason::NonFinite);
        }

        for &scheme in schemes {
            let plan = Plan::new(self.chip, scheme, m, n, k, lanes.len());
            let challenge = Challenge::draw(n, scheme.groups.len());
            let buffers =
                operand_buffers(&plan, lanes).map_err(|e| troubles.note(&e, config.log))?;
            let packer = Packer {
                chip: self.chip,
                scheme,
                plan: &plan,
                buffers: &buffers,
                challenge: &challenge,
                threads,
            };
            let (packed_cols, vectors) = packer.columns(cols, &col_scans);
            let (packed_rows, expected) = packer.rows(rows, &row_scans, &vectors);
            let proven = || guard::accepts(scheme, &packed_rows.stats, &packed_cols.stats, k);
            if policy.mode.is_guarded() && !proven() {
                for (lane, pair) in lanes.iter_mut().zip(buffers) {
                    pair.give_back(lane);
                }
                continue;
            }
            let results = Results {
                scheme,
                plan: &plan,
                challenge: &challenge,
                expected: &expected,
                verify: config.verify,
                row_exponents: &packed_rows.exponents,
                col_exponents: &packed_cols.exponents,
                alpha: problem.alpha,
                beta: problem.beta,
            };
            let landings = self
                .fly(lanes, &plan, buffers, &results, problem, config, threads)
                .map_err(|e| troubles.note(&e, config.log))?;
            let mut line = NpuLine { scheme: scheme.name, ..NpuLine::default() };
            let mut left = Vec::new();
            for landing in landings {
                line.add(&landing.line);
                if let Some(failure) = &landing.failure {
                    troubles.note(failure, config.log);
                }
                for leftover in landing.left {
                    left.extend(
                        runs(&leftover.rows).map(|rows| Block {
                            rows,
                            cols: plan.tiles[leftover.block.tile].clone(),
                        }),
                    );
                }
            }
            return Ok((line, left));
        }
        Err(Reason::Guard)
    }

    /// Runs all shares of a plan, each on its lane, until every block has landed or was given up.
    fn fly(
        &self,
        lanes: &mut [&mut Lane],
        plan: &Plan,
        buffers: Vec<OperandBuffers>,
        results: &Results<'_>,
        problem: &mut Gemm<'_, f32>,
        config: &Config,
        threads: &Threads,
    ) -> Result<Vec<Landing>, DriverError> {
        let patience = self.patience((problem.m(), problem.n(), problem.k()), config);
        let mut flights = lanes
            .iter_mut()
            .zip(&plan.shares)
            .zip(buffers)
            .map(|((lane, share), pair)| {
                Flight::prepare(lane, self.chip, plan, share, pair, patience, config.log)
            })
            .collect::<Result<Vec<_>, _>>()?;
        loop {
            if self.is_closing() {
                flights.iter_mut().for_each(Flight::ground);
            }
            let mut landed = false;
            for flight in &mut flights {
                flight.launch();
            }
            for flight in &mut flights {
                landed |= flight.land(results, &problem.c, threads);
                flight.launch();
            }
            if !landed {
                return Ok(flights.into_iter().map(Flight::finish).collect());
            }
        }
    }
}

/// Buffers for the operands of every share, each in its own lane.
fn operand_buffers(
    plan: &Plan,
    lanes: &mut [&mut Lane],
) -> Result<Vec<OperandBuffers>, DriverError> {
    plan.shares
        .iter()
        .zip(lanes)
        .map(|(share, lane)| {
            Ok(OperandBuffers {
                a: lane.take(plan.a_bytes(share))?,
                b: lane.take(plan.b_bytes(share))?,
            })
        })
        .collect()
}

/// Ascending numbers as ranges.
fn runs(numbers: &[usize]) -> impl Iterator<Item = Range<usize>> + '_ {
    numbers.chunk_by(|a, b| a + 1 == *b).map(|run| run[0]..run[run.len() - 1] + 1)
}

/// Whether disjoint blocks make up all of `elements` elements.
fn covers(blocks: &[Block], elements: usize) -> bool {
    blocks.iter().map(|b| b.rows.len() * b.cols.len()).sum::<usize>() == elements
}

impl Block {
    fn shifted(self, i: usize, j: usize) -> Block {
        Block {
            rows: self.rows.start + i..self.rows.end + i,
            cols: self.cols.start + j..self.cols.end + j,
        }
    }
}
