//! Runs a product on the device: scan → split and pack → guard → submit → wait → verify → join.
//!
//! Nothing is submitted before the guard has accepted a scheme for the whole call, and a row of
//! C is written only when its sums are proven to be what the device was told to compute. What
//! the device does not deliver is handed back for the CPU.

pub mod area;
mod choice;
pub mod doubts;
mod flight;
pub mod formula;
mod headroom;
mod health;
mod host;
pub mod lines;
pub mod operands;
pub mod plan;
pub mod reproducible;
pub mod results;
mod transpose;

use super::chip::{Arithmetic, Chip};
use super::driver::DriverError;
use super::guard::Certificate;
use super::pool::Lane;
pub use super::scheme::Element;
use super::scheme::Scheme;
use super::verify::{Challenge, Exact, Rounded};
use super::{drm, rk3588};
use crate::config::{Config, Level, Offload};
use crate::mode::Policy;
use crate::problem::Gemm;
use crate::profile::{Product, Profile, Recipe};
use crate::route::Reason;
use crate::threads::Threads;
use crate::trace::{self, NpuLine};
use area::{Area, runs};
use choice::{Choice, Ladder, Survey};
use doubts::Doubts;
use flight::{Flight, Landing};
use formula::{Formula, Proof};
use health::{Health, Troubles};
use operands::{OperandBuffers, Packed, Packer};
use plan::Plan;
use results::Results;
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

/// What holds for a call beside the problem itself.
#[derive(Debug, Clone, Copy)]
pub struct Terms<'a> {
    /// What may be done to its numbers.
    pub policy: Policy,
    /// What the user asked for.
    pub config: &'a Config,
    /// The cost model that the user's choice names.
    pub profile: &'a Profile,
    /// Who helps.
    pub threads: &'a Threads,
}

/// What the device is asked to do.
#[derive(Debug, Clone, Copy)]
enum Work<'a> {
    /// The product by the first scheme that serves it, if any.
    Offered(Ladder<'a>),
    /// The product by this scheme, of which is known that it serves it.
    Chosen(&'a Choice),
}

impl Work<'_> {
    fn schemes(&self) -> &[&'static Scheme] {
        match self {
            Work::Offered(ladder) => ladder.schemes,
            Work::Chosen(choice) => std::slice::from_ref(&choice.scheme),
        }
    }
}

/// What the NPU made of a call. The areas do not overlap, and none of them was written.
#[derive(Debug, Default)]
pub struct Outcome {
    /// What the device did.
    pub line: NpuLine,
    /// Scheme in whose integers the host computed what the device did not.
    pub host: Option<&'static str>,
    /// What the device failed to compute.
    pub left: Vec<Area>,
    /// What is not for the integers of the NPU, see [`Spared`].
    pub spared: Vec<Area>,
    /// Single elements, part by part, that a certificate does not prove. They are in none of the
    /// areas.
    pub doubts: Vec<Doubts>,
    /// Why the whole call was declined; C is untouched then.
    pub declined: Option<Reason>,
}

impl Outcome {
    /// Nothing was done, for this reason.
    pub fn declined(reason: Reason) -> Outcome {
        Outcome { declined: Some(reason), ..Outcome::default() }
    }

    /// Elements that were not written.
    fn missing(&self) -> usize {
        let areas: usize = self.left.iter().chain(&self.spared).map(Area::len).sum();
        areas + self.doubts.iter().map(Doubts::count).sum::<usize>()
    }

    /// Adds the outcome of the part of the call that starts at (i, j).
    fn add(&mut self, part: Outcome, i: usize, j: usize) {
        self.line.add(&part.line);
        self.left.extend(part.left.into_iter().map(|area| area.shifted(i, j)));
        self.spared.extend(part.spared.into_iter().map(|area| area.shifted(i, j)));
        self.doubts.extend(part.doubts.into_iter().map(|doubts| doubts.shifted(i, j)));
    }
}

impl Npu {
    /// Finds the device that the configuration names and opens a context per core.
    pub fn open(config: &Config) -> Result<Npu, Reason> {
        let chip: &'static dyn Chip = &rk3588::Rk3588;
        let cores = config.npu_cores.unwrap_or(chip.cores());
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
    pub fn gemm<T: Element>(&self, problem: &mut Gemm<'_, T>, terms: &Terms<'_>) -> Outcome {
        let ladder = Ladder::of::<T>(terms.policy, shape(problem));
        match ladder.refuse(problem) {
            Some(reason) => Outcome::declined(reason),
            None => self.run(problem, Work::Offered(ladder), terms),
        }
    }

    fn run<T: Element>(
        &self,
        problem: &mut Gemm<'_, T>,
        work: Work<'_>,
        terms: &Terms<'_>,
    ) -> Outcome {
        if let Some(reason) = self.health.unfit() {
            return Outcome::declined(reason);
        }
        let Some(mut lanes) = self.reserve(terms.config.offload) else {
            return Outcome::declined(Reason::Busy);
        };
        // Another call may have found out while this one waited for it.
        if let Some(reason) = self.health.unfit() {
            return Outcome::declined(reason);
        }
        lanes.iter_mut().for_each(Lane::trim);

        let mut troubles = Troubles::default();
        let (rows, cols) = self.part_size::<T>(problem.k(), lanes.len(), work.schemes());
        let mut total = Outcome::default();
        let mut written = false;
        for i in (0..problem.m()).step_by(rows) {
            for j in (0..problem.n()).step_by(cols) {
                let rows = rows.min(problem.m() - i);
                let cols = cols.min(problem.n() - j);
                let area = Area { rows: i..i + rows, cols: j..j + cols };
                match self.part(problem, &area, work, &mut lanes, terms, &mut troubles) {
                    Ok(outcome) => {
                        written |= outcome.missing() < rows * cols;
                        total.add(outcome, i, j);
                    }
                    Err(reason) => {
                        total.declined = Some(reason);
                        total.left.push(area);
                    }
                }
            }
        }
        self.health.judge(&troubles, &total.line, written, terms.config.log);
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
    fn part_size<T: Element>(&self, k: usize, lanes: usize, schemes: &[&Scheme]) -> (usize, usize) {
        let size = |scheme: &&Scheme| {
            let limits = self.chip.limits(scheme.arithmetic());
            let (_, per_column, depth) = scheme.shape::<T>((1, 1, k));
            let pitch = depth.next_multiple_of(limits.depth_align);
            let rows = (OPERAND_BYTES / (pitch * scheme.bytes())).max(1);
            let products = scheme.products() * scheme.arithmetic().bytes();
            let lines = OPERAND_BYTES / (pitch * products) * lanes;
            let lines = (lines / limits.col_align * limits.col_align).max(limits.col_align);
            (rows, lines / per_column)
        };
        let least = |a: (usize, usize), b: (usize, usize)| (a.0.min(b.0), a.1.min(b.1));
        schemes.iter().map(size).reduce(least).unwrap_or((1, 1))
    }

    /// How long the jobs of a product may take.
    fn patience(&self, product: &Product, terms: &Terms<'_>) -> Duration {
        match terms.config.offload {
            Offload::Always => PATIENCE,
            _ => {
                let worth = 4.0 * terms.profile.cpu_seconds(product);
                let worth = Duration::try_from_secs_f64(worth).unwrap_or(PATIENCE);
                LITTLE_PATIENCE.saturating_add(worth).min(PATIENCE)
            }
        }
    }

    /// Computes an area of C whose operands fit the lanes. `Err`: nothing was written.
    fn part<T: Element>(
        &self,
        whole: &mut Gemm<'_, T>,
        area: &Area,
        work: Work<'_>,
        lanes: &mut [Lane],
        terms: &Terms<'_>,
        troubles: &mut Troubles,
    ) -> Result<Outcome, Reason> {
        if self.is_closing() {
            return Err(Reason::Exit);
        }
        let mut free: Vec<&mut Lane> = lanes.iter_mut().filter_map(Lane::if_free).collect();
        if free.is_empty() {
            return Err(Reason::Busy);
        }
        let lanes = &mut free[..];
        let (first_row, first_col) = (area.rows.start, area.cols.start);
        let problem = &mut whole.part(first_row, first_col, area.rows.len(), area.cols.len());
        let shape = shape(problem);
        let (schemes, threads) = (work.schemes(), terms.threads);
        let aligns = schemes.iter().map(|s| self.chip.limits(s.arithmetic()).col_align);
        let widest = aligns.max().unwrap_or(1);
        let (chip, count) = (self.chip, lanes.len());
        let plan = |scheme: &Scheme| {
            let (m, n, k) = scheme.shape::<T>(shape);
            Plan::new(chip, scheme, m, n, k, count)
        };
        let mapped = schemes.iter().map(|scheme| plan(scheme).bytes(flight::DEPTH)).max();
        let mapped = mapped.unwrap_or(0);
        if !headroom::is_there::<T>(shape, schemes, widest, threads.count(), mapped) {
            return Err(Reason::Memory);
        }
        let survey = Survey::new(problem, threads);
        let is_open = matches!(work, Work::Offered(_));
        if is_open && survey.spared.is_too_much(problem.m(), problem.n()) {
            return Err(Reason::NonFinite);
        }

        // What was found out under the scheme before.
        let mut before = [Packed::default(), Packed::default()];
        for &scheme in work.schemes() {
            let [a, b] = &before;
            if scheme.certificate && !survey.suits(scheme, a, b) {
                continue;
            }
            let attempt = match scheme.arithmetic() {
                Arithmetic::Int8 => Self::attempt::<T, Exact>,
                Arithmetic::Fp16 => Self::attempt::<T, Rounded>,
            };
            let found = &mut before;
            match attempt(self, scheme, problem, area, work, &survey, lanes, terms, found, troubles)
            {
                Err(Reason::Guard) => {}
                done => return done,
            }
        }
        Err(Reason::Guard)
    }

    /// The same under one scheme; [`Reason::Guard`], and what was `found` out about the lines, where
    /// the guard does not accept it.
    fn attempt<T: Element, C: Challenge>(
        &self,
        scheme: &'static Scheme,
        problem: &mut Gemm<'_, T>,
        area: &Area,
        work: Work<'_>,
        survey: &Survey<'_, T>,
        lanes: &mut [&mut Lane],
        terms: &Terms<'_>,
        found: &mut [Packed; 2],
        troubles: &mut Troubles,
    ) -> Result<Outcome, Reason> {
        let Terms { config, threads, .. } = *terms;
        let (m, n, k) = scheme.shape::<T>(shape(problem));
        let doubts = scheme.certificate.then(|| Doubts::new(problem.m(), problem.n()));
        let doubts = doubts.map(|made| made.ok_or(Reason::Memory)).transpose()?;
        let plan = Plan::new(self.chip, scheme, m, n, k, lanes.len());
        let challenge = C::draw(n, scheme);
        let buffers = operand_buffers(&plan, lanes).map_err(|e| troubles.note(&e, config.log))?;
        let packer = Packer {
            chip: self.chip,
            scheme,
            plan: &plan,
            buffers: &buffers,
            challenge: &challenge,
            is_guarded: matches!(work, Work::Offered(Ladder { is_guarded: true, .. })),
            threads,
        };
        let (packed_cols, vectors) = packer.columns(survey.cols, &survey.col_scans);
        let (packed_rows, expected) = packer.rows(survey.rows, &survey.row_scans, &vectors);
        let verdict = match work {
            Work::Offered(ladder) => survey.judge(scheme, ladder, &packed_rows, &packed_cols),
            Work::Chosen(choice) => {
                Ok(Some(choice.spared.within(area.rows.clone(), area.cols.clone())))
            }
        };
        let Ok(Some(spared)) = &verdict else {
            give_back(lanes, buffers);
            verdict?;
            *found = [packed_rows, packed_cols];
            return Err(Reason::Guard);
        };
        let certificate = doubts.as_ref().map(|_| {
            let (rows, cols) = (&packed_rows.stats, &packed_cols.stats);
            Certificate::new(scheme, rows, cols, scheme.lines::<T>())
        });
        let proof = certificate.as_ref().zip(doubts.as_ref());
        let formula = Formula {
            scheme,
            row_exponents: &packed_rows.exponents,
            col_exponents: &packed_cols.exponents,
            spared,
            proof: proof.map(|(certificate, doubts)| Proof { certificate, doubts }),
            alpha: problem.alpha,
            beta: problem.beta,
        };
        let results = Results {
            formula,
            plan: &plan,
            challenge: &challenge,
            expected: &expected,
            verify: config.verify,
        };
        let landings = self
            .fly(lanes, &plan, buffers, &results, problem, terms)
            .map_err(|e| troubles.note(&e, config.log))?;
        let mut outcome = Outcome {
            line: NpuLine {
                scheme: scheme.name,
                spared: (spared.rows.len() + spared.cols.len()) as u64,
                ..NpuLine::default()
            },
            spared: spared.areas(problem.m(), problem.n()),
            ..Outcome::default()
        };
        for landing in landings {
            outcome.line.add(&landing.line);
            if let Some(failure) = &landing.failure {
                troubles.note(failure, config.log);
            }
            for leftover in landing.left {
                let tile = plan.tiles[leftover.block.tile].clone();
                for cols in spared.kept_cols(scheme.columns::<T>(tile)) {
                    let area = |rows| Area { rows, cols: cols.clone() };
                    outcome.left.extend(runs(&leftover.rows).map(area));
                }
            }
        }
        outcome.line.doubtful = doubts.iter().map(|doubts| doubts.count() as u64).sum();
        outcome.doubts.extend(doubts);
        Ok(outcome)
    }

    /// Runs all shares of a plan, each on its lane, until every block has landed or was given up.
    fn fly<T: Element, C: Challenge>(
        &self,
        lanes: &mut [&mut Lane],
        plan: &Plan,
        buffers: Vec<OperandBuffers>,
        results: &Results<'_, T, C>,
        problem: &mut Gemm<'_, T>,
        terms: &Terms<'_>,
    ) -> Result<Vec<Landing>, DriverError> {
        let patience = self.patience(&product(problem), terms);
        let mut flights = lanes
            .iter_mut()
            .zip(&plan.shares)
            .zip(buffers)
            .map(|((lane, share), pair)| {
                let spared = results.formula.spared;
                Flight::prepare(
                    lane,
                    self.chip,
                    plan,
                    share,
                    pair,
                    spared,
                    patience,
                    terms.config.log,
                )
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
                landed |= flight.land(results, &problem.c, terms.threads);
                flight.launch();
            }
            if !landed {
                return Ok(flights.into_iter().map(Flight::finish).collect());
            }
        }
    }
}

/// A problem as the cost model sees it.
pub fn product<T: Element>(problem: &Gemm<'_, T>) -> Product {
    Product {
        shape: (problem.m(), problem.n(), problem.k()),
        bytes: size_of::<T::Real>(),
        parts: T::PARTS,
    }
}

/// m, n, k in elements.
fn shape<T: Element>(problem: &Gemm<'_, T>) -> (usize, usize, usize) {
    (problem.m(), problem.n(), problem.k())
}

/// What the cost model needs to know of the scheme that a product of m × n × k is tried with first.
pub fn recipe<T: Element>(shape: (usize, usize, usize), policy: Policy) -> Recipe {
    let scheme = Ladder::of::<T>(policy, shape).schemes[0];
    let bytes = scheme.arithmetic().bytes();
    Recipe {
        planes: scheme.bytes(),
        products: scheme.products() * bytes,
        outputs: scheme.groups.len(),
        deepest: scheme.groups.iter().map(|group| group.count * bytes).max().unwrap_or(1),
        parts: scheme.parts(),
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

/// Returns operand buffers to their lanes.
fn give_back(lanes: &mut [&mut Lane], buffers: Vec<OperandBuffers>) {
    for (lane, pair) in lanes.iter_mut().zip(buffers) {
        pair.give_back(lane);
    }
}
