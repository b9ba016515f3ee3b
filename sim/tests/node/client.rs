//! What a program does with the node, by bare system calls.

use std::ffi::CString;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::ptr;
use std::time::Duration;

use nix::errno::Errno;

use crate::puppet::{Step, stream};

/// The node's path.
pub const NODE: &str = "/dev/accel/accel0";

/// Request words of the ioctls.
pub const VERSION: u32 = 0xc040_6400;
pub const GET_CAP: u32 = 0xc010_640c;
pub const GEM_CLOSE: u32 = 0x4008_6409;
pub const CREATE_BO: u32 = 0xc018_6440;
pub const SUBMIT: u32 = 0x4018_6441;
pub const PREP_BO: u32 = 0x4010_6442;
pub const FINI_BO: u32 = 0x4008_6443;

/// struct drm_rocket_create_bo.
#[repr(C)]
#[derive(Debug, Default, Clone, Copy)]
pub struct CreateBo {
    pub size: u32,
    pub handle: u32,
    pub dma_address: u64,
    pub offset: u64,
}

/// struct drm_rocket_submit.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct Submit {
    pub jobs: *const Job,
    pub job_count: u32,
    pub job_struct_size: u32,
    pub reserved: u64,
}

/// struct drm_rocket_job.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct Job {
    pub tasks: *const Task,
    pub in_bos: *const u32,
    pub out_bos: *const u32,
    pub task_count: u32,
    pub task_struct_size: u32,
    pub in_bo_count: u32,
    pub out_bo_count: u32,
}

/// struct drm_rocket_task.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct Task {
    pub regcmd: u32,
    pub regcmd_count: u32,
}

impl Job {
    /// A job over slices that outlive its submission.
    pub fn new(tasks: &[Task], in_bos: &[u32], out_bos: &[u32]) -> Self {
        Job {
            tasks: tasks.as_ptr(),
            in_bos: in_bos.as_ptr(),
            out_bos: out_bos.as_ptr(),
            task_count: tasks.len() as u32,
            task_struct_size: 8,
            in_bo_count: in_bos.len() as u32,
            out_bo_count: out_bos.len() as u32,
        }
    }
}

/// An open descriptor of the node.
#[derive(Debug)]
pub struct Node(pub OwnedFd);

impl Node {
    /// Opens the node for reading and writing; it must be there.
    pub fn open() -> Self {
        Node(open(NODE, libc::O_RDWR | libc::O_CLOEXEC).expect("cannot open the node"))
    }

    /// Any ioctl on a structure.
    pub fn ioctl<T>(&self, request: u32, argument: *mut T) -> Result<i32, Errno> {
        // SAFETY: the tests pass structures of the request's layout, or addresses that the kernel
        // has to refuse.
        let result = unsafe { libc::ioctl(self.0.as_raw_fd(), request.into(), argument) };
        Errno::result(result)
    }

    pub fn create(&self, size: u32) -> Result<CreateBo, Errno> {
        let mut bo = CreateBo { size, ..CreateBo::default() };
        self.ioctl(CREATE_BO, &mut bo).map(|_| bo)
    }

    pub fn close_bo(&self, handle: u32) -> Result<i32, Errno> {
        self.ioctl(GEM_CLOSE, &mut [handle, 0])
    }

    /// PREP_BO to an absolute time.
    pub fn prep_until(&self, handle: u32, timeout_ns: i64) -> Result<i32, Errno> {
        let timeout_ns = timeout_ns as u64;
        self.ioctl(PREP_BO, &mut [handle, 0, timeout_ns as u32, (timeout_ns >> 32) as u32])
    }

    /// PREP_BO that waits for at most `time`.
    pub fn prep(&self, handle: u32, time: Duration) -> Result<i32, Errno> {
        self.prep_until(handle, now_ns() + time.as_nanos() as i64)
    }

    /// PREP_BO that must succeed within ten seconds.
    pub fn wait(&self, handle: u32) {
        assert_eq!(self.prep(handle, Duration::from_secs(10)), Ok(0));
    }

    pub fn fini(&self, handle: u32) -> Result<i32, Errno> {
        self.ioctl(FINI_BO, &mut [handle, 0])
    }

    pub fn submit(&self, jobs: &[Job]) -> Result<i32, Errno> {
        let mut submit = Submit {
            jobs: jobs.as_ptr(),
            job_count: jobs.len() as u32,
            job_struct_size: size_of::<Job>() as u32,
            reserved: 0,
        };
        self.ioctl(SUBMIT, &mut submit)
    }

    /// A buffer and its mapping.
    pub fn buffer(&self, size: u32) -> Buffer {
        let bo = self.create(size).unwrap();
        let len = (size as usize).next_multiple_of(4096);
        let map = self.mmap(len, libc::MAP_SHARED, bo.offset).unwrap();
        Buffer { bo, map, len }
    }

    /// Maps `len` bytes from `offset`.
    pub fn mmap(&self, len: usize, flags: i32, offset: u64) -> Result<*mut u8, Errno> {
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        // SAFETY: a new mapping, at an address that the kernel chooses.
        let map = unsafe {
            let fd = self.0.as_raw_fd();
            libc::mmap(ptr::null_mut(), len, protection, flags, fd, offset as libc::off_t)
        };
        if map == libc::MAP_FAILED { Err(Errno::last()) } else { Ok(map.cast()) }
    }

    /// Writes `steps` into `program` and submits them as one job of one task.
    pub fn run(&self, program: &Buffer, steps: &[Step], outputs: &[u32]) {
        let words = stream(steps);
        program.write(0, &words);
        self.fini(program.bo.handle).unwrap();
        let task =
            Task { regcmd: program.bo.dma_address as u32, regcmd_count: words.len() as u32 / 8 };
        self.submit(&[Job::new(&[task], &[program.bo.handle], outputs)]).unwrap();
    }
}

/// A buffer with its mapping, which stays until [`Buffer::unmap`].
#[derive(Debug)]
pub struct Buffer {
    pub bo: CreateBo,
    map: *mut u8,
    len: usize,
}

// SAFETY: the mapping is plain shared memory, reached through volatile accesses only.
unsafe impl Send for Buffer {}
// SAFETY: as above.
unsafe impl Sync for Buffer {}

impl Buffer {
    pub fn write(&self, at: usize, bytes: &[u8]) {
        assert!(at + bytes.len() <= self.len);
        for (i, &byte) in bytes.iter().enumerate() {
            // SAFETY: inside the mapping, which lives as long as the process.
            unsafe { self.map.add(at + i).write_volatile(byte) };
        }
    }

    pub fn byte(&self, at: usize) -> u8 {
        assert!(at < self.len);
        // SAFETY: inside the mapping, which lives as long as the process.
        unsafe { self.map.add(at).read_volatile() }
    }

    pub fn unmap(self) -> CreateBo {
        // SAFETY: nobody uses the mapping any more: `self` is gone.
        assert_eq!(unsafe { libc::munmap(self.map.cast(), self.len) }, 0);
        self.bo
    }
}

/// open(2).
pub fn open(path: &str, flags: i32) -> io::Result<OwnedFd> {
    let path = CString::new(path)?;
    // SAFETY: a NUL-terminated path; a descriptor that open returns is ours.
    unsafe {
        match libc::open(path.as_ptr(), flags) {
            -1 => Err(io::Error::last_os_error()),
            fd => Ok(OwnedFd::from_raw_fd(fd)),
        }
    }
}

/// CLOCK_MONOTONIC in nanoseconds.
pub fn now_ns() -> i64 {
    let now = nix::time::clock_gettime(nix::time::ClockId::CLOCK_MONOTONIC).unwrap();
    Duration::from(now).as_nanos() as i64
}

/// Runs `child` in a fork; its exit status, or minus the signal that killed it.
pub fn forked(child: impl FnOnce()) -> i32 {
    use nix::sys::wait::{WaitStatus, waitpid};
    use nix::unistd::{ForkResult, fork};
    // SAFETY: the child uses its memory as it is and leaves through _exit; its allocator may be
    // used, for glibc makes malloc safe across fork.
    match unsafe { fork() }.unwrap() {
        ForkResult::Child => {
            let survived = std::panic::catch_unwind(std::panic::AssertUnwindSafe(child)).is_ok();
            // SAFETY: ends the process.
            unsafe { libc::_exit(if survived { 0 } else { 99 }) }
        }
        ForkResult::Parent { child } => match waitpid(child, None).unwrap() {
            WaitStatus::Exited(_, status) => status,
            WaitStatus::Signaled(_, signal, _) => -(signal as i32),
            other => panic!("{other:?}"),
        },
    }
}
