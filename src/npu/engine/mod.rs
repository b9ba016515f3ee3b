//! Runs a product on the device: scan → split and pack → guard → submit → wait → verify → join.
//!
//! Nothing is submitted before the guard has accepted a scheme for the whole call, and a row of
//! C is written only when its sums are proven to be what the device was told to compute. What
//! the device does not deliver is handed back for the CPU.

mod flight;
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
use super::scheme::ozaki_int8::{I_3S8P, I_4S10P};
use super::verify::Challenge;
use super::{drm, rk3588};
use crate::blas::gemm::Gemm;
use crate::config::{Config, Offload};
use crate::route::Reason;
use crate::threads::Threads;
use crate::trace::{self, Level, NpuLine};
use flight::{Flight, Landing};
use lines::Lines;
use operands::{OperandBuffers, Packer};
use plan::Plan;
use results::Results;
use std::ops::Range;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};

/// The schemes of the default mode, cheapest first. Each is as accurate as a native sgemm or
/// better wherever the guard accepts it.
static LADDER: [&Scheme; 2] = [&I_3S8P, &I_4S10P];

/// Calls in a row with unrepaired failures after which the device is left alone.
const RETIRE_AFTER: u32 = 3;

/// Bytes of one operand in one lane. Larger calls are cut into parts.
const OPERAND_BYTES: usize = 256 << 20;

/// The NPU of this process: its chip and its open contexts, one per core.
#[derive(Debug)]
pub struct Npu {
    chip: &'static dyn Chip,
    lanes: Mutex<Vec<Lane>>,
    /// Calls in a row that the device failed.
    failures: AtomicU32,
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
        Ok(Npu { chip, lanes: Mutex::new(lanes), failures: AtomicU32::new(0) })
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
        config: &Config,
        threads: &Threads,
    ) -> Outcome {
        if self.failures.load(Ordering::Relaxed) >= RETIRE_AFTER {
            return Outcome::declined(Reason::Retired);
        }
        if !(problem.alpha.is_finite() && problem.beta.is_finite()) {
            return Outcome::declined(Reason::NonFinite);
        }
        if LADDER.iter().any(|scheme| problem.k() > scheme.max_k()) {
            return Outcome::declined(Reason::Depth);
        }
        let Some(mut lanes) = self.reserve(config.offload) else {
            return Outcome::declined(Reason::Busy);
        };
        let mut free: Vec<&mut Lane> = lanes.iter_mut().filter_map(Lane::if_free).collect();
        if free.is_empty() {
            return Outcome::declined(Reason::Busy);
        }

        let (rows, cols) = self.part_size(problem.k(), free.len());
        let mut total = Outcome { line: NpuLine::default(), left: Vec::new(), declined: None };
        let mut written = false;
        for i in (0..problem.m()).step_by(rows) {
            for j in (0..problem.n()).step_by(cols) {
                let rows = i..problem.m().min(i + rows);
                let cols = j..problem.n().min(j + cols);
                let mut part = problem.part(i, j, rows.len(), cols.len());
                match self.part(&mut part, &mut free, config, threads) {
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
        self.judge(&total, config.log);
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
    /// within [`OPERAND_BYTES`] under the widest scheme of the ladder.
    fn part_size(&self, k: usize, lanes: usize) -> (usize, usize) {
        let limits = self.chip.limits();
        let pitch = k.next_multiple_of(limits.depth_align);
        let slices = LADDER.iter().map(|s| s.slices).max().unwrap_or(1);
        let products = LADDER.iter().map(|s| s.products()).max().unwrap_or(1);
        let rows = (OPERAND_BYTES / (pitch * slices)).max(1);
        let cols = OPERAND_BYTES / (pitch * products) * lanes;
        (rows, (cols / limits.col_align * limits.col_align).max(limits.col_align))
    }

    /// Computes a product whose operands fit the lanes. `Err`: nothing was written.
    fn part(
        &self,
        problem: &mut Gemm<'_, f32>,
        lanes: &mut [&mut Lane],
        config: &Config,
        threads: &Threads,
    ) -> Result<(NpuLine, Vec<Block>), Reason> {
        let (m, n, k) = (problem.m(), problem.n(), problem.k());
        let (rows, cols) = (Lines::new(problem.a), Lines::new(problem.b.t()));
        let row_scans = operands::scan(rows, m, threads);
        let col_scans = operands::scan(cols, n, threads);
        if !row_scans.iter().chain(&col_scans).all(|scan| scan.finite) {
            return Err(Reason::NonFinite);
        }

        for &scheme in &LADDER {
            let plan = Plan::new(self.chip, scheme, m, n, k, lanes.len());
            let challenge = Challenge::draw(n, scheme.groups.len());
            let buffers = operand_buffers(&plan, lanes).map_err(|e| device(&e, config.log))?;
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
            if !guard::accepts(scheme, &packed_rows.stats, &packed_cols.stats, k) {
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
            let landings = self.fly(lanes, &plan, buffers, &results, problem, config, threads)?;
            let mut line = NpuLine { scheme: scheme.name, ..NpuLine::default() };
            let mut left = Vec::new();
            for landing in landings {
                line.add(&landing.line);
                if let Some(failure) = &landing.failure {
                    trace::log(config.log, Level::Info, failure);
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
    ) -> Result<Vec<Landing>, Reason> {
        let mut flights = lanes
            .iter_mut()
            .zip(&plan.shares)
            .zip(buffers)
            .map(|((lane, share), pair)| {
                Flight::prepare(lane, self.chip, plan, share, pair, config.log)
            })
            .collect::<Result<Vec<_>, _>>()
            .map_err(|e| device(&e, config.log))?;
        loop {
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

    /// Counts failed calls; says so once when the device is given up.
    fn judge(&self, outcome: &Outcome, log: Level) {
        if outcome.line.repaired == 0 {
            if outcome.declined.is_none() {
                self.failures.store(0, Ordering::Relaxed);
            }
        } else if self.failures.fetch_add(1, Ordering::Relaxed) + 1 == RETIRE_AFTER {
            let what = format!(
                "the NPU failed {RETIRE_AFTER} calls in a row; this process computes on the CPU"
            );
            trace::log(log, Level::Warn, &what);
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

fn device(error: &DriverError, log: Level) -> Reason {
    trace::log(log, Level::Info, error);
    Reason::Device(match error {
        DriverError::NoMemory(_) => "memory",
        DriverError::TimedOut => "timeout",
        DriverError::Gone => "gone",
        DriverError::Open(_) | DriverError::WrongDriver(_) => "open",
        DriverError::Call(call, _) => call,
    })
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
