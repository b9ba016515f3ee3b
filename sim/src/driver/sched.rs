//! Which core runs which job when: the DRM scheduler as far as programs notice it.
//!
//! Every open file is an entity whose jobs run in order, one at a time. An entity belongs to one
//! core; only when nothing of it is queued or running may its next job move it to the core with the
//! lowest score (jobs there, plus entities there; the first among equals). So an idle file that
//! submits one job after the other alternates between cores, and no file ever uses two at once.
//! A core takes jobs in the order of their submission.
//!
//! Implicit fences need no bookkeeping here: buffers are private to a file, so whatever a job would
//! wait for is an earlier job of its own entity.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Instant;

use super::bo::{Bo, Space};
use super::fence::Fence;
use crate::fault::JobFault;
use crate::sync::lock;
use crate::trace::JobRecord;

/// One task: a stream of register commands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Task {
    /// IOVA of the stream.
    pub regcmd: u32,
    /// Its length in 64-bit words; never 0.
    pub regcmd_count: u32,
}

/// A job that passed the driver's checks. It keeps its buffers alive until it is dropped.
#[derive(Debug)]
pub struct Job {
    /// What the trace will say of it.
    pub record: JobRecord,
    /// Its tasks; at least one.
    pub tasks: Vec<Task>,
    /// Where its addresses mean something.
    pub space: Arc<Space>,
    /// Signalled when it is over.
    pub fence: Arc<Fence>,
    /// What is to go wrong.
    pub fault: Option<JobFault>,
    bos: Vec<Arc<Bo>>,
}

impl Job {
    /// A job that reads and writes `bos` among others.
    pub fn new(
        record: JobRecord,
        tasks: Vec<Task>,
        space: Arc<Space>,
        bos: Vec<Arc<Bo>>,
        fault: Option<JobFault>,
    ) -> Self {
        if !bos.is_empty() {
            space.count_job(true);
        }
        Job { record, tasks, space, fence: Arc::default(), fault, bos }
    }
}

impl Drop for Job {
    fn drop(&mut self) {
        if !self.bos.is_empty() {
            self.space.count_job(false);
        }
    }
}

/// The scheduler of all cores.
#[derive(Debug)]
pub struct Sched {
    state: Mutex<State>,
    queued: Condvar,
}

#[derive(Debug)]
struct State {
    cores: Vec<CoreQueue>,
    entities: HashMap<u64, Entity>,
}

#[derive(Debug, Default)]
struct CoreQueue {
    jobs: VecDeque<Job>,
    /// Jobs queued or running.
    unfinished: usize,
    /// Entities that pushed their last job here.
    entities: usize,
}

#[derive(Debug, Default)]
struct Entity {
    core: usize,
    /// Whether it counts among its core's entities: from its first job on.
    attached: bool,
    unfinished: usize,
    /// Its file is closed: it goes with its last job.
    closed: bool,
    /// From then on its queued jobs are killed instead of run.
    killed_at: Option<Instant>,
}

/// What a core gets to do.
#[derive(Debug)]
pub enum Order {
    /// Run the job.
    Run(Job),
    /// Its process was killed: end it unrun.
    Kill(Job),
}

impl Sched {
    /// A scheduler of `cores` idle cores; at least one.
    pub fn new(cores: usize) -> Self {
        let cores = (0..cores.max(1)).map(|_| CoreQueue::default()).collect();
        Sched {
            state: Mutex::new(State { cores, entities: HashMap::new() }),
            queued: Condvar::new(),
        }
    }

    /// Queues `job` on its entity's core.
    pub fn push(&self, job: Job) {
        let mut guard = lock(&self.state);
        let State { cores, entities } = &mut *guard;
        let entity = entities.entry(job.record.file).or_default();
        if entity.unfinished == 0 {
            let score = |core: &CoreQueue| core.unfinished + core.entities;
            // `min_by_key` returns the first among equals.
            let best = (0..cores.len()).min_by_key(|&core| score(&cores[core])).unwrap_or(0);
            if best != entity.core && std::mem::take(&mut entity.attached) {
                cores[entity.core].entities -= 1;
            }
            entity.core = best;
        }
        entity.unfinished += 1;
        let core = &mut cores[entity.core];
        core.entities += usize::from(!std::mem::replace(&mut entity.attached, true));
        core.unfinished += 1;
        core.jobs.push_back(job);
        drop(guard);
        self.queued.notify_all();
    }

    /// Waits for the next job of `core`.
    pub fn next(&self, core: usize) -> Order {
        let mut state = lock(&self.state);
        loop {
            if let Some(job) = state.cores[core].jobs.pop_front() {
                let killed_at = state.entities.get(&job.record.file).and_then(|e| e.killed_at);
                let killed = killed_at.is_some_and(|at| at <= Instant::now());
                return if killed { Order::Kill(job) } else { Order::Run(job) };
            }
            state = self.queued.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Counts the end of a job of `file` on `core`; before its fence is signalled.
    pub fn finished(&self, core: usize, file: u64) {
        let mut state = lock(&self.state);
        state.cores[core].unfinished -= 1;
        if let Some(entity) = state.entities.get_mut(&file) {
            entity.unfinished -= 1;
        }
        state.bury(file);
    }

    /// The file is closed. Its queued jobs still run; those not taken by `killed_at` are killed.
    pub fn close(&self, file: u64, killed_at: Option<Instant>) {
        let mut state = lock(&self.state);
        if let Some(entity) = state.entities.get_mut(&file) {
            entity.closed = true;
            entity.killed_at = killed_at;
        }
        state.bury(file);
    }

    /// Jobs queued or running.
    pub fn unfinished(&self) -> usize {
        lock(&self.state).cores.iter().map(|core| core.unfinished).sum()
    }
}

impl State {
    /// Forgets the entity of a closed file that has no job left.
    fn bury(&mut self, file: u64) {
        let over = |entity: &Entity| entity.closed && entity.unfinished == 0;
        if self.entities.get(&file).is_some_and(over)
            && let Some(entity) = self.entities.remove(&file)
            && entity.attached
        {
            self.cores[entity.core].entities -= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::CString;

    use nix::sys::memfd::{MFdFlags, memfd_create};

    use super::super::bo::{OFFSETS_START, offsets_size};
    use super::super::mm::RangeAllocator;
    use super::*;

    fn job(file: u64) -> Job {
        const PAGE: u64 = 4096;
        let offsets = RangeAllocator::new(OFFSETS_START, offsets_size(PAGE));
        let name = CString::new("test").unwrap();
        let pages = memfd_create(name.as_c_str(), MFdFlags::empty()).unwrap();
        let space = Arc::new(Space::new(pages.into(), PAGE, Arc::new(Mutex::new(offsets))));
        let tasks = vec![Task { regcmd: 0, regcmd_count: 1 }];
        Job::new(JobRecord::new(0, file, 1), tasks, space, Vec::new(), None)
    }

    fn run(sched: &Sched, core: usize) -> u64 {
        let Order::Run(job) = sched.next(core) else { panic!("killed") };
        sched.finished(core, job.record.file);
        job.record.file
    }

    fn queued(sched: &Sched) -> Vec<usize> {
        lock(&sched.state).cores.iter().map(|core| core.jobs.len()).collect()
    }

    #[test]
    fn one_file_keeps_its_core_while_busy_and_alternates_when_idle() {
        let sched = Sched::new(3);
        for _ in 0..3 {
            sched.push(job(1));
        }
        assert_eq!(queued(&sched), [3, 0, 0]);
        for _ in 0..3 {
            run(&sched, 0);
        }
        sched.push(job(1));
        assert_eq!(queued(&sched), [0, 1, 0], "core 0 still counts the idle entity");
        run(&sched, 1);
        sched.push(job(1));
        assert_eq!(queued(&sched), [1, 0, 0]);
    }

    #[test]
    fn files_spread_over_cores_and_share_when_there_are_more() {
        let sched = Sched::new(3);
        for file in 1..=4 {
            sched.push(job(file));
        }
        assert_eq!(queued(&sched), [2, 1, 1]);
        assert_eq!((run(&sched, 0), run(&sched, 0)), (1, 4));
        assert_eq!(sched.unfinished(), 2);
    }

    #[test]
    fn a_killed_file_loses_what_is_queued_then() {
        let sched = Sched::new(1);
        sched.push(job(1));
        sched.push(job(2));
        sched.close(1, Some(Instant::now()));
        assert!(matches!(sched.next(0), Order::Kill(_)));
        sched.finished(0, 1);
        assert_eq!(run(&sched, 0), 2);
        sched.close(2, None);
        assert!(lock(&sched.state).entities.is_empty());
        assert_eq!(lock(&sched.state).cores[0].entities, 0);
    }
}
