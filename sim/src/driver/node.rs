//! The device node: opening, closing, mapping, and its cores.

use std::ffi::CStr;
use std::fs::File;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, SealFlag, fcntl};
use nix::sys::memfd::{MFdFlags, memfd_create};

use super::bo::{OFFSETS_START, Offsets, Space, offsets_size};
use super::exec::{CoreThread, free_jobs};
use super::file::OpenFile;
use super::mm::RangeAllocator;
use super::sched::Sched;
use super::{Client, Engine, Fail, drm};
use crate::fault::{Call, Faults};
use crate::sync::lock;
use crate::trace::{Journal, Level};

/// How long an exiting process waits for its queued jobs to reach a core before they are killed.
const EXIT_PATIENCE: Duration = Duration::from_secs(1);

/// What the client's file is called in /proc/PID/maps.
pub const FILE_NAME: &CStr = c"npu-sim:accel0";

/// Bytes of a page of this machine, where nothing smaller can be mapped.
pub fn machine_page() -> u64 {
    // SAFETY: a question without pointers, which every Linux answers.
    unsafe { libc::sysconf(libc::_SC_PAGESIZE) }.unsigned_abs()
}

/// What a node is made of.
#[derive(Debug)]
pub struct Config {
    /// Number of cores; at least one.
    pub cores: usize,
    /// Bytes of a page of the emulated kernel: a power of two, no less than [`machine_page`].
    pub page: u64,
    /// Failures on order.
    pub faults: Faults,
    /// Where everything worth telling goes.
    pub journal: Arc<Journal>,
}

/// One device node with its cores. Shared by all threads that serve calls.
#[derive(Debug)]
pub struct Node {
    faults: Faults,
    journal: Arc<Journal>,
    sched: Arc<Sched>,
    page: u64,
    offsets: Offsets,
    files: AtomicU64,
    jobs: AtomicU64,
}

impl Node {
    /// Starts the cores, each with the engine that `engine` makes for its number. Fails when
    /// threads do.
    pub fn new<E: Engine + 'static>(
        config: Config,
        engine: impl Fn(usize) -> E,
    ) -> io::Result<Self> {
        let sched = Arc::new(Sched::new(config.cores));
        let (finished, burials) = mpsc::channel();
        for core in 0..config.cores.max(1) {
            let thread = CoreThread {
                core,
                engine: engine(core),
                stuck: false,
                sched: sched.clone(),
                journal: config.journal.clone(),
                finished: finished.clone(),
            };
            thread::Builder::new().name(format!("core {core}")).spawn(move || thread.run())?;
        }
        thread::Builder::new().name("free".into()).spawn(move || free_jobs(&burials))?;
        let offsets = RangeAllocator::new(OFFSETS_START, offsets_size(config.page));
        Ok(Node {
            faults: config.faults,
            journal: config.journal,
            sched,
            page: config.page,
            offsets: Arc::new(Mutex::new(offsets)),
            files: AtomicU64::new(0),
            jobs: AtomicU64::new(0),
        })
    }

    /// Opens the node.
    pub fn open(&self) -> Result<Arc<OpenFile>, Errno> {
        if let Some(errno) = self.faults.call(Call::Open) {
            return Err(errno);
        }
        let flags = MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING;
        let file = File::from(memfd_create(FILE_NAME, flags)?);
        file.set_len(OFFSETS_START + offsets_size(self.page)).map_err(|_| Errno::ENOMEM)?;
        // Whoever maps it, we included, must be able to rely on its length.
        let seals = SealFlag::F_SEAL_GROW | SealFlag::F_SEAL_SHRINK | SealFlag::F_SEAL_SEAL;
        fcntl(&file, FcntlArg::F_ADD_SEALS(seals))?;
        let number = self.files.fetch_add(1, Ordering::Relaxed) + 1;
        Ok(Arc::new(OpenFile::new(number, Space::new(file, self.page, self.offsets.clone()))))
    }

    /// The last close of a file. `exiting`: its process is dead, so that queued jobs have only a
    /// second to reach a core. `name` is for the log.
    pub fn close(&self, file: &OpenFile, exiting: bool, name: &str) {
        if file.space().unfreed_jobs() > 0 {
            let details = format!("{name} closed while a finished job still held BOs");
            self.journal.warn("kernel bug 4.7 would strike", &details);
        }
        let buffers = file.handles();
        self.journal.say(Level::Info, format_args!("{name} closed with {buffers} BOs"));
        self.sched.close(file.number(), exiting.then(|| Instant::now() + EXIT_PATIENCE));
        file.close();
    }

    /// Serves an ioctl of DRM's type.
    pub fn ioctl(
        &self,
        file: &OpenFile,
        client: &dyn Client,
        request: u32,
        argument: u64,
    ) -> Result<(), Fail> {
        let result = drm::ioctl(self, file, client, request, argument);
        let outcome = result.map_or_else(|fail| fail.to_string(), |()| "ok".into());
        let number = file.number();
        self.journal
            .say(Level::Debug, format_args!("file {number}: ioctl {request:#x}: {outcome}"));
        result
    }

    /// Whether `len` bytes at mmap offset `offset` may be mapped through `file`: the offset must
    /// be a buffer's, the length within it (`EINVAL`), the buffer the file's own (`EACCES`), the
    /// mapping shared (`EINVAL`).
    pub fn check_mmap(
        &self,
        file: &OpenFile,
        offset: u64,
        len: u64,
        shared: bool,
    ) -> Result<(), Errno> {
        if let Some(errno) = self.faults.call(Call::Mmap) {
            return Err(errno);
        }
        let range = lock(&self.offsets).lookup(offset);
        let fits = range.is_some_and(|(start, size)| {
            start == offset && len.checked_next_multiple_of(self.page).is_some_and(|l| l <= size)
        });
        if !fits {
            Err(Errno::EINVAL)
        } else if !file.may_map(offset) {
            Err(Errno::EACCES)
        } else if !shared {
            Err(Errno::EINVAL)
        } else {
            Ok(())
        }
    }

    /// Submitted jobs that are not over.
    pub fn unfinished(&self) -> usize {
        self.sched.unfinished()
    }

    /// Bytes of a page of the emulated kernel.
    pub fn page(&self) -> u64 {
        self.page
    }

    /// Failures on order.
    pub fn faults(&self) -> &Faults {
        &self.faults
    }

    /// Where everything worth telling goes.
    pub fn journal(&self) -> &Journal {
        &self.journal
    }

    /// The scheduler.
    pub fn sched(&self) -> &Sched {
        &self.sched
    }

    /// The number of one more job.
    pub fn number_job(&self) -> u64 {
        self.jobs.fetch_add(1, Ordering::Relaxed) + 1
    }
}
