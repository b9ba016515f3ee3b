//! The four ioctls of the mainline `rocket` driver (include/uapi/drm/rocket_accel.h,
//! drivers/accel/rocket), with the real one's order of checks, errors and silences.

use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::time::{ClockId, clock_gettime};

use super::drm::COMMAND_BASE;
use super::fence::Wait;
use super::file::OpenFile;
use super::sched::{Job, Task};
use super::wire::{get_u32, get_u64, put_u32, put_u64};
use super::{Client, Fail, Node};
use crate::trace::{JobRecord, Outcome};

/// Name of the driver.
pub const NAME: &str = "rocket";
/// What the driver calls itself.
pub const DESCRIPTION: &str = "rocket DRM";

/// `struct drm_rocket_create_bo`: size in; handle, dma_address, offset out.
pub const CREATE_BO: u32 = COMMAND_BASE;
/// `struct drm_rocket_submit`: jobs, job_count, job_struct_size, reserved.
pub const SUBMIT: u32 = COMMAND_BASE + 1;
/// `struct drm_rocket_prep_bo`: handle, reserved, timeout_ns.
pub const PREP_BO: u32 = COMMAND_BASE + 2;
/// `struct drm_rocket_fini_bo`: handle, reserved.
pub const FINI_BO: u32 = COMMAND_BASE + 3;

/// Bytes of `struct drm_rocket_job`.
const JOB_SIZE: u32 = 40;
/// Bytes of `struct drm_rocket_task`.
const TASK_SIZE: u32 = 8;

/// The kernel allocates no array of more bytes than this at once.
const MAX_ARRAY: u64 = i32::MAX as u64;

/// Arrays are fetched from the client in pieces of about this many bytes, so that a wild count
/// ends in `EFAULT` before it eats memory.
const PIECE: usize = 1 << 20;

/// The tick of the board's kernel (CONFIG_HZ=250), the unit of its time-outs.
const TICK: Duration = Duration::from_millis(4);

/// Size of an ioctl's structure; `None` beyond the driver's last.
pub fn size(number: u32) -> Option<usize> {
    match number {
        CREATE_BO | SUBMIT => Some(24),
        PREP_BO => Some(16),
        FINI_BO => Some(8),
        _ => None,
    }
}

/// Serves one of the four.
pub fn handle(
    node: &Node,
    file: &OpenFile,
    client: &dyn Client,
    number: u32,
    data: &mut [u8],
) -> Result<(), Fail> {
    match number {
        CREATE_BO => create_bo(node, file, client, data),
        SUBMIT => submit(node, file, client, data),
        PREP_BO => prep_bo(file, client, data),
        FINI_BO => fini_bo(file, data),
        _ => Err(Errno::EINVAL.into()),
    }
}

fn create_bo(
    node: &Node,
    file: &OpenFile,
    client: &dyn Client,
    data: &mut [u8],
) -> Result<(), Fail> {
    let asked = get_u32(data, 0);
    let page = u32::try_from(node.page()).unwrap_or(u32::MAX);
    let size = if node.faults().short() { asked.saturating_sub(page).max(page) } else { asked };
    let (handle, bo) = file.create(size, client)?;
    put_u32(data, 4, handle);
    put_u64(data, 8, bo.iova());
    put_u64(data, 16, bo.offset());
    Ok(())
}

/// Waits for the last writer, until an absolute CLOCK_MONOTONIC time. Synchronises even when the
/// wait failed. How the job ended does not show.
fn prep_bo(file: &OpenFile, client: &dyn Client, data: &[u8]) -> Result<(), Fail> {
    let deadline = deadline(get_u64(data, 8) as i64);
    if get_u32(data, 4) != 0 {
        return Err(Errno::EINVAL.into());
    }
    let bo = file.lookup(get_u32(data, 0)).ok_or(Errno::ENOENT)?;
    let result = match (bo.pending(), deadline) {
        (None, _) => Ok(()),
        (Some(_), Deadline::Poll) => Err(Errno::EBUSY.into()),
        (Some(fence), Deadline::At(deadline)) => match fence.wait(deadline, client) {
            Wait::Signalled => Ok(()),
            Wait::TimedOut => Err(Errno::ETIMEDOUT.into()),
            Wait::Interrupted => Err(Fail::Restart),
        },
    };
    bo.fetch();
    result
}

/// When a wait ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Deadline {
    /// At once: the time was 0 or past.
    Poll,
    /// Then; `None` is further away than clocks reach.
    At(Option<Instant>),
}

/// The kernel's rounding: the ticks that fit into the time left, one more so that it is not too
/// short, and one for the timer wheel, which never fires early; all from the last tick. 20 ms
/// become 20 to 24.
fn deadline(timeout_ns: i64) -> Deadline {
    let now = clock_gettime(ClockId::CLOCK_MONOTONIC).map_or(Duration::ZERO, Duration::from);
    let at = Duration::from_nanos(timeout_ns.max(0) as u64);
    let Some(left) = at.checked_sub(now).filter(|left| !left.is_zero()) else {
        return Deadline::Poll;
    };
    let ticks = left.as_nanos() / TICK.as_nanos() + 2;
    let since_tick = now.as_nanos() % TICK.as_nanos();
    let wait = u64::try_from(ticks * TICK.as_nanos() - since_tick).ok();
    Deadline::At(wait.and_then(|wait| Instant::now().checked_add(Duration::from_nanos(wait))))
}

fn fini_bo(file: &OpenFile, data: &[u8]) -> Result<(), Fail> {
    if get_u32(data, 4) != 0 {
        return Err(Errno::EINVAL.into());
    }
    file.lookup(get_u32(data, 0)).ok_or(Errno::ENOENT)?.hand_over();
    Ok(())
}

/// Queues jobs. Only the array itself can fail; a job that is wrong is dropped without a word,
/// and the others run.
fn submit(node: &Node, file: &OpenFile, client: &dyn Client, data: &[u8]) -> Result<(), Fail> {
    let (jobs, job_count) = (get_u64(data, 0), get_u32(data, 8));
    let job_struct_size = get_u32(data, 12);
    if job_count == 0 {
        return Ok(());
    }
    if job_struct_size < JOB_SIZE || get_u64(data, 16) != 0 {
        return Err(Errno::EINVAL.into());
    }
    let jobs = read_array(client, jobs, job_count, job_struct_size, JOB_SIZE)?;
    for descriptor in jobs.chunks_exact(JOB_SIZE as usize) {
        match submit_job(node, file, client, descriptor) {
            Ok(()) => {}
            Err(Dropped::Gone) => return Err(Fail::Gone),
            Err(Dropped::Because(reason)) => {
                let tasks = get_u32(descriptor, 24) as usize;
                let mut record = JobRecord::new(node.number_job(), file.number(), tasks);
                record.outcome = Outcome::Dropped;
                record.reason = Some(reason);
                node.journal().job(&record);
            }
        }
    }
    Ok(())
}

/// Why a job was not queued.
enum Dropped {
    /// The driver's reason, which only the log hears.
    Because(String),
    /// The client died.
    Gone,
}

/// A failure while fetching `what`.
fn dropped(what: &'static str) -> impl Fn(Fail) -> Dropped {
    move |fail| match fail {
        Fail::Gone => Dropped::Gone,
        fail => Dropped::Because(format!("{what}: {fail}")),
    }
}

fn submit_job(
    node: &Node,
    file: &OpenFile,
    client: &dyn Client,
    descriptor: &[u8],
) -> Result<(), Dropped> {
    let task_count = get_u32(descriptor, 24);
    let task_struct_size = get_u32(descriptor, 28);
    if task_count == 0 {
        return Err(Dropped::Because("task_count is 0".into()));
    }
    if task_struct_size < TASK_SIZE {
        return Err(Dropped::Because(format!("task_struct_size is {task_struct_size}")));
    }
    let tasks = get_u64(descriptor, 0);
    let tasks = read_array(client, tasks, task_count, task_struct_size, TASK_SIZE)
        .map_err(dropped("task array"))?;
    let tasks: Vec<Task> = tasks
        .chunks_exact(TASK_SIZE as usize)
        .map(|task| Task { regcmd: get_u32(task, 0), regcmd_count: get_u32(task, 4) })
        .collect();
    if let Some(index) = tasks.iter().position(|task| task.regcmd_count == 0) {
        return Err(Dropped::Because(format!("regcmd_count of task {index} is 0")));
    }

    let mut handles = read_handles(client, get_u64(descriptor, 8), get_u32(descriptor, 32))
        .map_err(dropped("in_bo_handles"))?;
    let inputs = handles.len();
    handles.extend(
        read_handles(client, get_u64(descriptor, 16), get_u32(descriptor, 36))
            .map_err(dropped("out_bo_handles"))?,
    );
    let mut bos = Vec::with_capacity(handles.len());
    for &handle in &handles {
        let unknown = || Dropped::Because(format!("there is no BO handle {handle}"));
        bos.push(file.lookup(handle).ok_or_else(unknown)?);
    }
    // The kernel locks every buffer of both lists, and cannot lock one twice.
    let mut sorted = handles.clone();
    sorted.sort_unstable();
    if let Some(twice) = sorted.windows(2).find(|pair| pair[0] == pair[1]) {
        let reason = format!("BO handle {} is listed twice in in and out lists", twice[0]);
        return Err(Dropped::Because(reason));
    }

    let outputs = bos[inputs..].to_vec();
    let record = JobRecord::new(node.number_job(), file.number(), tasks.len());
    let job = Job::new(record, tasks, file.space().clone(), bos, node.faults().job());
    for bo in &outputs {
        bo.attach(&job.fence);
    }
    node.sched().push(job);
    Ok(())
}

fn read_handles(client: &dyn Client, address: u64, count: u32) -> Result<Vec<u32>, Fail> {
    let bytes = read_array(client, address, count, 4, 4)?;
    Ok(bytes.chunks_exact(4).map(|handle| get_u32(handle, 0)).collect())
}

/// The first `size` bytes of each of `count` structures that lie `stride` apart, one behind the
/// other. Like the kernel's, offsets wrap at 32 bits.
fn read_array(
    client: &dyn Client,
    address: u64,
    count: u32,
    stride: u32,
    size: u32,
) -> Result<Vec<u8>, Fail> {
    if u64::from(count) * u64::from(size) > MAX_ARRAY {
        return Err(Errno::ENOMEM.into());
    }
    let mut out = Vec::new();
    if stride == size {
        let total = count as usize * size as usize;
        while out.len() < total {
            let (at, piece) = (out.len(), PIECE.min(total - out.len()));
            out.resize(at + piece, 0);
            client.read(address.wrapping_add(at as u64), &mut out[at..])?;
        }
        return Ok(out);
    }
    for index in 0..count {
        let at = out.len();
        out.resize(at + size as usize, 0);
        let offset = index.wrapping_mul(stride);
        client.read(address.wrapping_add(offset.into()), &mut out[at..])?;
    }
    Ok(out)
}
