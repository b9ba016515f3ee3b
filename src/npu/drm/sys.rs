//! Every system call that this library makes on a device node, and what each error means.
//!
//! What the unsafe blocks below rely on, beside what they say: an ioctl reads and writes only
//! the structure it is given and the memory that the structure points to, for the lengths that
//! the structure states, and keeps no pointer when it returns.

use super::uapi::{self, RocketCreateBo, RocketJob, RocketTask};
use crate::fork;
use crate::npu::driver::DriverError;
use memmap2::{Advice, MmapOptions, MmapRaw};
use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::libc::c_int;
use nix::sys::stat::Mode;
use nix::time::{ClockId, clock_gettime};
use std::mem::{ManuallyDrop, size_of};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::path::Path;
use std::time::{Duration, Instant};

mod ioctl {
    use super::uapi::*;
    nix::ioctl_readwrite!(version, DRM, VERSION, Version);
    nix::ioctl_write_ptr!(gem_close, DRM, GEM_CLOSE, GemClose);
    nix::ioctl_readwrite!(rocket_create_bo, DRM, ROCKET_CREATE_BO, RocketCreateBo);
    nix::ioctl_write_ptr!(rocket_submit, DRM, ROCKET_SUBMIT, RocketSubmit);
    nix::ioctl_write_ptr!(rocket_prep_bo, DRM, ROCKET_PREP_BO, RocketPrepBo);
    nix::ioctl_write_ptr!(rocket_fini_bo, DRM, ROCKET_FINI_BO, RocketFiniBo);
}

/// Longest wait. Older versions of rocket return what is left of it, in jiffies, as an `int`,
/// which must not overflow into the range of errors.
const LONGEST_WAIT: Duration = Duration::from_secs(3600);

/// How long a call that does not wait is made again when signals interrupt it.
const INTERRUPTED: Duration = Duration::from_secs(1);

/// An open device node.
///
/// It belongs to the process that opened it. In a forked child every call fails with
/// [`DriverError::Gone`] and dropping does nothing: the file is shared, so what the child did
/// with it would happen to its parent.
#[derive(Debug)]
pub struct Node {
    fd: ManuallyDrop<OwnedFd>,
    owner: u64,
}

impl Node {
    /// Opens the node for reading and writing, closed on exec.
    pub fn open(path: &Path) -> Result<Node, Errno> {
        let fd = loop {
            match open(path, OFlag::O_RDWR | OFlag::O_CLOEXEC | OFlag::O_NOCTTY, Mode::empty()) {
                Err(Errno::EINTR) => continue,
                other => break other?,
            }
        };
        Ok(Node { fd: ManuallyDrop::new(fd), owner: fork::process() })
    }

    /// Name of the DRM driver behind the node.
    pub fn driver_name(&self) -> Result<String, DriverError> {
        let mut name = [0u8; 64];
        let none = std::ptr::null_mut();
        let mut version = uapi::Version {
            major: 0,
            minor: 0,
            patch_level: 0,
            name_len: name.len(),
            name: name.as_mut_ptr().cast(),
            date_len: 0,
            date: none,
            desc_len: 0,
            desc: none,
        };
        self.call("DRM_IOCTL_VERSION", |fd| {
            // SAFETY: `name` has room for `name_len` bytes; the other two lengths are zero.
            unsafe { ioctl::version(fd, &mut version) }
        })?;
        let length = version.name_len.min(name.len());
        Ok(String::from_utf8_lossy(&name[..length]).into_owned())
    }

    /// Drops a handle.
    pub fn gem_close(&self, handle: u32) -> Result<(), DriverError> {
        let close = uapi::GemClose { handle, pad: 0 };
        self.call("DRM_IOCTL_GEM_CLOSE", |fd| {
            // SAFETY: no pointers.
            unsafe { ioctl::gem_close(fd, &close) }
        })
    }

    /// Makes a buffer object of `size` bytes.
    pub fn rocket_create_bo(&self, size: u32) -> Result<RocketCreateBo, DriverError> {
        let mut bo = RocketCreateBo { size, ..Default::default() };
        self.call("DRM_IOCTL_ROCKET_CREATE_BO", |fd| {
            // SAFETY: no pointers.
            unsafe { ioctl::rocket_create_bo(fd, &mut bo) }
        })?;
        Ok(bo)
    }

    /// Queues one job. The kernel reports no error of the job itself.
    pub fn rocket_submit(
        &self,
        tasks: &[RocketTask],
        reads: &[u32],
        writes: &[u32],
    ) -> Result<(), DriverError> {
        const NAME: &str = "DRM_IOCTL_ROCKET_SUBMIT";
        let count = |n: usize| {
            u32::try_from(n).map_err(|_| DriverError::Call(NAME, "too long a list".into()))
        };
        let job = RocketJob {
            tasks: tasks.as_ptr() as u64,
            in_bo_handles: reads.as_ptr() as u64,
            out_bo_handles: writes.as_ptr() as u64,
            task_count: count(tasks.len())?,
            task_struct_size: size_of::<RocketTask>() as u32,
            in_bo_handle_count: count(reads.len())?,
            out_bo_handle_count: count(writes.len())?,
        };
        let submit = uapi::RocketSubmit {
            jobs: &raw const job as u64,
            job_count: 1,
            job_struct_size: size_of::<RocketJob>() as u32,
            reserved: 0,
        };
        self.call(NAME, |fd| {
            // SAFETY: one job; its three lists live until the end of this function and have the
            // lengths that it states. The kernel only reads them.
            unsafe { ioctl::rocket_submit(fd, &submit) }
        })
    }

    /// Waits at most until `deadline` for the jobs that write the buffer object, then begins CPU
    /// access.
    pub fn rocket_prep_bo(&self, handle: u32, deadline: Instant) -> Result<(), DriverError> {
        let timeout_ns = monotonic_ns(deadline)?;
        let prep = uapi::RocketPrepBo { handle, reserved: 0, timeout_ns };
        self.call_until("DRM_IOCTL_ROCKET_PREP_BO", Some(deadline), |fd| {
            // SAFETY: no pointers.
            unsafe { ioctl::rocket_prep_bo(fd, &prep) }
        })
    }

    /// Ends CPU access to the buffer object.
    pub fn rocket_fini_bo(&self, handle: u32) -> Result<(), DriverError> {
        let fini = uapi::RocketFiniBo { handle, reserved: 0 };
        self.call("DRM_IOCTL_ROCKET_FINI_BO", |fd| {
            // SAFETY: no pointers.
            unsafe { ioctl::rocket_fini_bo(fd, &fini) }
        })
    }

    /// Maps `length` bytes of the buffer object at `offset`, shared, for reading and writing.
    pub fn map(&self, offset: u64, length: usize) -> Result<MmapRaw, DriverError> {
        let fd = self.fd()?;
        let map = MmapOptions::new().offset(offset).len(length).map_raw(fd).map_err(|e| match e
            .raw_os_error()
        {
            Some(errno) => meaning("mmap", Errno::from_raw(errno)),
            None => DriverError::Call("mmap", e.to_string()),
        })?;
        // A forked child has no business there, and would keep the memory from being freed. The
        // kernel may decline; then it is as everywhere.
        let _ = map.advise(Advice::DontFork);
        Ok(map)
    }

    /// Makes a call that does not wait.
    fn call(
        &self,
        name: &'static str,
        ioctl: impl FnMut(RawFd) -> nix::Result<c_int>,
    ) -> Result<(), DriverError> {
        self.call_until(name, None, ioctl)
    }

    /// Makes a call, again when signals interrupt it, until `deadline`.
    /// Any result but -1 is success: older kernels return positive numbers from waits.
    fn call_until(
        &self,
        name: &'static str,
        mut deadline: Option<Instant>,
        mut ioctl: impl FnMut(RawFd) -> nix::Result<c_int>,
    ) -> Result<(), DriverError> {
        let fd = self.fd()?;
        loop {
            match ioctl(fd) {
                Ok(_) => return Ok(()),
                Err(Errno::EINTR) => {
                    let now = Instant::now();
                    if now >= *deadline.get_or_insert(now + INTERRUPTED) {
                        return Err(DriverError::TimedOut);
                    }
                }
                Err(errno) => return Err(meaning(name, errno)),
            }
        }
    }

    fn fd(&self) -> Result<RawFd, DriverError> {
        if self.is_ours() { Ok(self.fd.as_raw_fd()) } else { Err(DriverError::Gone) }
    }

    fn is_ours(&self) -> bool {
        self.owner == fork::process()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if self.is_ours() {
            // SAFETY: `self` is going away, so nothing uses the field again.
            unsafe { ManuallyDrop::drop(&mut self.fd) }
        }
    }
}

/// What an error of the system call `name` means to the library.
pub fn meaning(name: &'static str, errno: Errno) -> DriverError {
    let says = || format!("{} ({errno:?})", errno.desc());
    match errno {
        Errno::ENODEV | Errno::ENXIO => DriverError::Gone,
        Errno::EBUSY | Errno::ETIMEDOUT => DriverError::TimedOut,
        Errno::ENOMEM | Errno::ENOSPC => DriverError::NoMemory(format!("{name}: {}", says())),
        _ if name == "open" => DriverError::Open(says()),
        Errno::ENOTTY => DriverError::Call(name, "not a DRM device (ENOTTY)".into()),
        _ => DriverError::Call(name, says()),
    }
}

/// Bytes of a page of this machine.
pub fn page_size() -> Result<usize, DriverError> {
    // SAFETY: no pointers.
    let size = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    match usize::try_from(size) {
        Ok(size) if size.is_power_of_two() => Ok(size),
        _ => Err(DriverError::Call("sysconf", format!("a page of {size} bytes"))),
    }
}

/// `deadline` in nanoseconds of `CLOCK_MONOTONIC`.
fn monotonic_ns(deadline: Instant) -> Result<i64, DriverError> {
    let left = deadline.saturating_duration_since(Instant::now()).min(LONGEST_WAIT);
    let now = clock_gettime(ClockId::CLOCK_MONOTONIC).map_err(|e| meaning("clock_gettime", e))?;
    Ok((Duration::from(now) + left).as_nanos() as i64)
}
