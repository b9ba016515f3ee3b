//! Keeps the cores busy: submits blocks, waits for them, has them collected, and submits once
//! more what came back wrong.

use super::area::Spared;
use super::operands::OperandBuffers;
use super::plan::{Block, Plan, Share};
use super::results::Results;
use crate::config::Level;
use crate::mat::MatMut;
use crate::npu::chip::{Chip, Task};
use crate::npu::driver::{Buffer, DriverError, Job, TaskRef};
use crate::npu::pool::Lane;
use crate::npu::scheme::Element;
use crate::npu::verify::Challenge;
use crate::threads::Threads;
use crate::trace::{self, NpuLine};
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Blocks that a lane has on the device at once: one that runs and one that follows.
pub const DEPTH: usize = 2;

/// What a result buffer holds before the device writes it, so that a job that never ran cannot
/// be mistaken for one that did.
const POISON: [u8; 16] = [0xA5; 16];

/// One lane at work on its share of a call.
#[derive(Debug)]
pub struct Flight<'a> {
    lane: &'a mut Lane,
    plan: &'a Plan,
    /// How long a job may take, the jobs of other processes before it included.
    patience: Duration,
    log: Level,
    operands: OperandBuffers,
    commands: Box<dyn Buffer>,
    /// Where results go; a slot whose job may still write is given up.
    slots: Vec<Option<Box<dyn Buffer>>>,
    blocks: Vec<BlockTasks>,
    /// Blocks to submit, the first one next.
    waiting: VecDeque<Attempt>,
    /// Blocks on the device, the oldest first.
    flying: VecDeque<Attempt>,
    left: Vec<Leftover>,
    /// Whether the lane gets no more blocks of this call.
    grounded: bool,
    failure: Option<DriverError>,
    line: NpuLine,
}

/// A block, the slot of its results, and its register commands.
#[derive(Debug)]
struct BlockTasks {
    block: Block,
    slot: usize,
    tasks: Vec<TaskRef>,
}

/// A block on its way, with the rows of C that it still owes.
#[derive(Debug)]
struct Attempt {
    block: usize,
    rows: Vec<usize>,
    second: bool,
    /// When patience with it is at its end.
    due: Instant,
}

/// Rows of a block that the device failed to compute.
#[derive(Debug)]
pub struct Leftover {
    /// The block.
    pub block: Block,
    /// Those of its rows of C that were not written, ascending.
    pub rows: Vec<usize>,
}

/// What a lane leaves behind.
#[derive(Debug)]
pub struct Landing {
    /// What it did.
    pub line: NpuLine,
    /// What it could not do.
    pub left: Vec<Leftover>,
    /// The last failure of the driver.
    pub failure: Option<DriverError>,
}

impl<'a> Flight<'a> {
    /// Prepares the share of a lane: writes the register commands of all its blocks and hands
    /// operands and commands to the device. No block owes a row that is spared. On failure the
    /// buffers, which no job knows yet, go back to the system.
    pub fn prepare(
        lane: &'a mut Lane,
        chip: &dyn Chip,
        plan: &'a Plan,
        share: &Share,
        operands: OperandBuffers,
        spared: &Spared,
        patience: Duration,
        log: Level,
    ) -> Result<Flight<'a>, DriverError> {
        let blocks = plan.blocks(share);
        let largest = blocks.iter().map(|b| plan.c_bytes(b.rows.len(), b.tile)).max().unwrap_or(0);
        let slots: Vec<Box<dyn Buffer>> =
            (0..DEPTH.min(blocks.len())).map(|_| lane.take(largest)).collect::<Result<_, _>>()?;

        let mut programs = Vec::new();
        let mut blocks: Vec<BlockTasks> = blocks
            .into_iter()
            .enumerate()
            .map(|(i, block)| {
                let slot = i % slots.len();
                let tasks = tasks(plan, share, &block, &operands, slots[slot].iova())
                    .iter()
                    .map(|task| append(chip, task, &mut programs))
                    .collect::<Result<_, _>>()?;
                Ok(BlockTasks { block, slot, tasks })
            })
            .collect::<Result<_, DriverError>>()?;
        let commands = lane.take(programs.len())?;
        commands.write(0, &programs);
        for task in blocks.iter_mut().flat_map(|b| &mut b.tasks) {
            task.commands += commands.iova();
        }
        for buffer in [&operands.a, &operands.b, &commands] {
            buffer.to_device()?;
        }

        let waiting = blocks
            .iter()
            .enumerate()
            .map(|(block, b)| Attempt {
                block,
                rows: b.block.rows.clone().filter(|&row| !spared.has_row(row)).collect(),
                second: false,
                due: Instant::now(),
            })
            .collect();
        Ok(Flight {
            lane,
            plan,
            patience,
            log,
            operands,
            commands,
            slots: slots.into_iter().map(Some).collect(),
            blocks,
            waiting,
            flying: VecDeque::new(),
            left: Vec::new(),
            grounded: false,
            failure: None,
            line: NpuLine::default(),
        })
    }

    /// Fills the queue of the device as far as free slots allow.
    pub fn launch(&mut self) {
        while let Some(next) = self.next() {
            match self.submit(next.block) {
                Ok(tasks) => {
                    self.line.jobs += 1;
                    self.line.tasks += tasks;
                    self.flying.push_back(Attempt { due: Instant::now() + self.patience, ..next });
                }
                Err(error) => self.failed(next, error),
            }
        }
    }

    /// Waits for the oldest block on the device and has it collected. `false` when there is
    /// none.
    pub fn land<T: Element, C: Challenge>(
        &mut self,
        results: &Results<'_, T, C>,
        c: &MatMut<'_, T>,
        threads: &Threads,
    ) -> bool {
        let Some(attempt) = self.flying.pop_front() else { return false };
        let BlockTasks { block, slot, .. } = &self.blocks[attempt.block];
        let Some(buffer) = &self.slots[*slot] else {
            self.leave(attempt);
            return true;
        };
        // A wait may fail for another reason than time: one more may not.
        match buffer.to_host(attempt.due).or_else(|_| buffer.to_host(attempt.due)) {
            Ok(()) => {
                let rows = if results.verify && is_missing(self.plan, block, &**buffer) {
                    attempt.rows
                } else {
                    results.collect(block, &attempt.rows, &**buffer, c, threads)
                };
                if !rows.is_empty() {
                    let what = format!("{} of {} rows are wrong", rows.len(), block.rows.len());
                    trace::log(self.log, Level::Debug, &what);
                    self.again(Attempt { rows, ..attempt });
                }
            }
            Err(error) => self.abandon(attempt, error),
        }
        true
    }

    /// Gives the buffers back and says what was done.
    pub fn finish(self) -> Landing {
        let Flight { lane, operands, commands, slots, line, left, failure, .. } = self;
        let abandoned = slots.iter().any(Option::is_none);
        let inputs = [operands.a, operands.b, commands];
        if abandoned {
            // A job that is still queued reads these.
            lane.keep_stuck(inputs);
        } else {
            inputs.into_iter().for_each(|buffer| lane.give(buffer));
            lane.context.drain();
        }
        slots.into_iter().flatten().for_each(|buffer| lane.give(buffer));
        Landing { line, left, failure }
    }

    /// The first waiting block whose slot is not in use.
    fn next(&mut self) -> Option<Attempt> {
        let slot = |attempt: &Attempt| self.blocks[attempt.block].slot;
        let in_use = |wanted: usize| self.flying.iter().any(|f| slot(f) == wanted);
        let index = self.waiting.iter().position(|w| !in_use(slot(w)))?;
        self.waiting.remove(index)
    }

    /// Submits a block; returns the number of its tasks.
    fn submit(&mut self, block: usize) -> Result<u64, DriverError> {
        let BlockTasks { block, slot, tasks } = &self.blocks[block];
        let Some(results) = &self.slots[*slot] else { return Err(DriverError::TimedOut) };
        for at in poison_sites(self.plan, block) {
            results.write(at, &POISON);
        }
        results.to_device()?;
        self.lane.context.submit(&Job {
            tasks,
            reads: &[&*self.operands.a, &*self.operands.b, &*self.commands],
            writes: &[&**results],
        })?;
        Ok(tasks.len() as u64)
    }

    fn failed(&mut self, attempt: Attempt, error: DriverError) {
        trace::log(self.log, Level::Debug, &error);
        self.failure = Some(error);
        self.again(attempt);
    }

    /// A block gets a second chance, and only one; a lane that spoils it gets no more blocks of
    /// this call.
    fn again(&mut self, attempt: Attempt) {
        if attempt.second || self.grounded {
            self.leave(attempt);
            self.ground();
        } else {
            self.line.retried += 1;
            self.waiting.push_back(Attempt { second: true, ..attempt });
        }
    }

    /// Submits nothing more: what waits is left to the CPU, what flies may still land.
    pub fn ground(&mut self) {
        self.grounded = true;
        for attempt in std::mem::take(&mut self.waiting) {
            self.leave(attempt);
        }
    }

    /// Gives up on everything that is on the device. It may yet be read and written there, so
    /// its buffers are not used again before that is known to be over.
    fn abandon(&mut self, attempt: Attempt, error: DriverError) {
        self.failure = Some(error);
        let flying = std::mem::take(&mut self.flying);
        for attempt in std::iter::once(attempt).chain(flying) {
            let stuck = self.slots[self.blocks[attempt.block].slot].take();
            self.lane.keep_stuck(stuck);
            self.leave(attempt);
        }
        self.ground();
    }

    fn leave(&mut self, attempt: Attempt) {
        self.line.repaired += 1;
        let block = self.blocks[attempt.block].block.clone();
        self.left.push(Leftover { block, rows: attempt.rows });
    }
}

/// The tasks of a block: one per section.
fn tasks(
    plan: &Plan,
    share: &Share,
    block: &Block,
    operands: &OperandBuffers,
    results: u32,
) -> Vec<Task> {
    let at = |base: u32, offset: usize| base.wrapping_add(offset as u32);
    let rows = block.rows.len();
    plan.sections
        .iter()
        .enumerate()
        .map(|(s, section)| Task {
            arithmetic: plan.arithmetic,
            rows,
            cols: plan.width(block.tile),
            depth: section.span.len(),
            a: at(operands.a.iova(), plan.a_offset(share, block.rows.start) + section.a_start),
            a_pitch: plan.a_pitch,
            b: at(operands.b.iova(), plan.b_offset(share, block.tile, s)),
            c: at(results, s * plan.c_section_bytes(rows, block.tile)),
            c_pitch: plan.width(block.tile) * size_of::<i32>(),
        })
        .collect()
}

/// Appends the program of a task; its address counts from the start of `programs`.
fn append(chip: &dyn Chip, task: &Task, programs: &mut Vec<u8>) -> Result<TaskRef, DriverError> {
    let stream = chip.encode(task).map_err(|e| DriverError::Call("encode", e.to_string()))?;
    let at = TaskRef { commands: programs.len() as u32, words: stream.words().len() as u32 };
    programs.extend(stream.bytes());
    // Programs start on cache lines of their own.
    programs.resize(programs.len().next_multiple_of(64), 0);
    Ok(at)
}

/// Bytes of a result buffer that hold the poison: the last ones of every row of every section.
fn poison_sites<'p>(plan: &'p Plan, block: &'p Block) -> impl Iterator<Item = usize> + 'p {
    let pitch = plan.width(block.tile) * size_of::<i32>();
    (1..=plan.sections.len() * block.rows.len()).map(move |row| row * pitch - POISON.len())
}

/// Whether nothing was written where a finished job must have written.
fn is_missing(plan: &Plan, block: &Block, buffer: &dyn Buffer) -> bool {
    let mut found = [0; POISON.len()];
    poison_sites(plan, block).all(|at| {
        buffer.read(at, &mut found);
        found == POISON
    })
}
