//! What a core does with a job: its tasks in order, its time-out, its fence, and its late burial.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, Sender};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use super::Engine;
use super::bo::AddressView;
use super::sched::{Job, Order, Sched, Task};
use crate::fault::JobFault;
use crate::model::{Kick, Memory, TaskReport, Unmapped};
use crate::sync::lock;
use crate::trace::{Journal, Outcome};

/// The driver's time-out of one job, all its tasks together.
const JOB_TIMEOUT: Duration = Duration::from_millis(500);

/// How long after its fence a job is freed: the scheduler's free worker has to run first. Until
/// then it holds its buffers, whoever else gave them up.
const FREE_DELAY: Duration = Duration::from_millis(2);

/// What a job costs beyond its tasks: the ioctl, the scheduler, the interrupt and the wake-up of
/// the waiter, seconds. Tiny jobs take 51 to 54 us on boards.
const SUBMIT_SECONDS: f64 = 60e-6;

/// A finished job on its way to the free worker.
pub type Finished = (Instant, Job);

/// One core's thread: takes jobs until the process ends.
#[derive(Debug)]
pub struct CoreThread<E> {
    /// Number of the core.
    pub core: usize,
    /// What runs tasks.
    pub engine: E,
    /// Whether it never completes a task again.
    pub stuck: bool,
    /// Where jobs come from.
    pub sched: Arc<Sched>,
    /// Where the outcome goes.
    pub journal: Arc<Journal>,
    /// Where finished jobs go.
    pub finished: Sender<Finished>,
}

impl<E: Engine> CoreThread<E> {
    /// Runs one job after the other, for ever.
    pub fn run(mut self) {
        loop {
            let job = match self.sched.next(self.core) {
                Order::Run(job) => self.run_job(job),
                Order::Kill(mut job) => {
                    job.record.outcome = Outcome::Killed;
                    job.record.reason = Some("its process died while it was queued".into());
                    job
                }
            };
            self.journal.job(&job.record);
            self.sched.finished(self.core, job.record.file);
            job.fence.signal();
            // The receiver lives as long as the node.
            let _ = self.finished.send((Instant::now(), job));
        }
    }

    fn run_job(&mut self, mut job: Job) -> Job {
        if let Some(JobFault::Late(by)) = job.fault {
            thread::sleep(by);
        }
        let start = Instant::now();
        self.engine.begin_job();
        if self.stuck {
            job.fault = Some(JobFault::Stuck);
        }
        job.record.core = Some(self.core);
        job.record.fault = job.fault.map(|fault| fault.to_string());
        let refused = match job.fault {
            Some(JobFault::Drop) => {
                job.record.outcome = Outcome::Dropped;
                return job;
            }
            Some(JobFault::Timeout) => Err("made to time out".to_owned()),
            Some(JobFault::Stuck) => {
                self.stuck = true;
                Err("its core is stuck".to_owned())
            }
            Some(JobFault::Bitflip) => {
                let written = Mutex::default();
                let result = self.run_tasks(&mut job, Some(&written));
                flip_bit(&job.space.view(), &lock(&written), job.record.job);
                result
            }
            Some(JobFault::Late(_)) | None => self.run_tasks(&mut job, None),
        };
        job.record.predicted_seconds += SUBMIT_SECONDS;
        if let Err(reason) = refused {
            job.record.outcome = Outcome::TimedOut;
            job.record.reason = Some(reason);
            job.record.predicted_seconds = JOB_TIMEOUT.as_secs_f64();
            thread::sleep(JOB_TIMEOUT.saturating_sub(start.elapsed()));
            self.engine.reset();
        }
        job
    }

    /// Runs the tasks in order; the reason if one does not complete. A task sees the buffers that
    /// exist when it starts.
    fn run_tasks(&mut self, job: &mut Job, written: Option<&Written>) -> Result<(), String> {
        for index in 0..job.tasks.len() {
            let memory = JobMemory { view: job.space.view(), written };
            let report = run_task(&mut self.engine, &memory, kick(job.tasks[index]))
                .map_err(|reason| format!("task {index}: {reason}"))?;
            job.record.add(report);
            let seconds = job.record.predicted_seconds;
            if seconds > JOB_TIMEOUT.as_secs_f64() {
                return Err(format!(
                    "task {index} completes after {:.0} ms on the device, later than the time-out",
                    seconds * 1e3
                ));
            }
        }
        Ok(())
    }
}

/// Runs one task; the reason if it does not complete. A model that panics completes nothing.
fn run_task(
    engine: &mut impl Engine,
    memory: &dyn Memory,
    kick: Kick,
) -> Result<TaskReport, String> {
    match catch_unwind(AssertUnwindSafe(|| engine.run(memory, kick))) {
        Ok(result) => result.map_err(|hang| hang.reason),
        Err(_) => Err("the model panicked".into()),
    }
}

/// What the driver writes into the PC block: the address as it is, the length in 128-bit units
/// minus one, which keeps 16 bits there.
fn kick(task: Task) -> Kick {
    let units = (task.regcmd_count.wrapping_add(1) / 2).wrapping_sub(1);
    Kick { regcmd: task.regcmd, amount: units & 0xffff }
}

/// Where a job wrote: addresses and lengths, in order.
type Written = Mutex<Vec<(u64, usize)>>;

/// The memory of a job, which can note where it is written.
struct JobMemory<'a> {
    view: AddressView,
    written: Option<&'a Written>,
}

impl Memory for JobMemory<'_> {
    fn read(&self, iova: u64, out: &mut [u8]) -> Result<(), Unmapped> {
        self.view.read(iova, out)
    }

    fn write(&self, iova: u64, data: &[u8]) -> Result<(), Unmapped> {
        self.view.write(iova, data)?;
        if let Some(written) = self.written {
            lock(written).push((iova, data.len()));
        }
        Ok(())
    }
}

/// Flips one bit among the bytes written, chosen by `seed`, so that runs repeat.
fn flip_bit(view: &AddressView, writes: &[(u64, usize)], seed: u64) {
    let total: u64 = writes.iter().map(|(_, len)| *len as u64).sum();
    let Some(bits) = total.checked_mul(8).filter(|&bits| bits > 0) else { return };
    let mut bit = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(31) % bits;
    for &(iova, len) in writes {
        if bit < len as u64 * 8 {
            let mut byte = [0];
            let at = iova + bit / 8;
            // Both can only fail when the client closed the buffer meanwhile.
            if view.read(at, &mut byte).is_ok() {
                let _ = view.write(at, &[byte[0] ^ (1 << (bit % 8))]);
            }
            return;
        }
        bit -= len as u64 * 8;
    }
}

/// The free worker: frees every job a while after its end.
pub fn free_jobs(finished: &Receiver<Finished>) {
    while let Ok((end, job)) = finished.recv() {
        thread::sleep((end + FREE_DELAY).saturating_duration_since(Instant::now()));
        drop(job);
    }
}
