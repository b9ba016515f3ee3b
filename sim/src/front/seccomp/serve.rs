//! Serving trapped calls: one thread answers one call at a time, and a call that sleeps has a
//! thread of its own for as long as it does.

use std::cell::Cell;
use std::io::{IoSlice, IoSliceMut};
use std::ops::Range;
use std::os::fd::AsFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use nix::errno::Errno;
use nix::sys::uio::{RemoteIoVec, process_vm_readv, process_vm_writev};
use nix::unistd::Pid;

use super::files::{ClientFile, Files};
use super::notify::{Answer, Call, Listener};
use super::{paths, procfs};
use crate::driver::{Client, Fail, Node};
use crate::trace::Level;

/// Threads that wait for calls when nothing sleeps.
const THREADS: usize = 4;

/// Below so many threads awake, a sleeping call starts another.
const SPARE: usize = 2;

/// Niceness that serving threads ask for.
const NICE: i32 = -15;

/// Everything that answering needs.
#[derive(Debug)]
pub struct Server {
    node: Arc<Node>,
    files: Arc<Files>,
    listener: Listener,
    /// Threads that are not inside a sleeping call.
    awake: AtomicUsize,
}

impl Server {
    /// A server of the calls that come through `listener`.
    pub fn new(node: Arc<Node>, files: Arc<Files>, listener: Listener) -> Self {
        Server { node, files, listener, awake: AtomicUsize::new(0) }
    }

    /// Starts serving.
    pub fn start(self: &Arc<Self>) -> std::io::Result<()> {
        (0..THREADS).try_for_each(|_| self.add_thread())
    }

    fn add_thread(self: &Arc<Self>) -> std::io::Result<()> {
        let server = self.clone();
        // Counted first: the thread may be asleep before this one goes on.
        self.awake.fetch_add(1, Ordering::Relaxed);
        let spawned = thread::Builder::new().name("serve".into()).spawn(move || server.run());
        spawned.map(drop).inspect_err(|_| {
            self.awake.fetch_sub(1, Ordering::Relaxed);
        })
    }

    /// Answers calls until there is nobody to make them, or until there are threads enough.
    fn run(self: Arc<Self>) {
        hurry();
        loop {
            match self.listener.receive() {
                Ok(Some(call)) => self.serve_or_fail(&call),
                Ok(None) => break,
                Err(error) => {
                    let message = format_args!("cannot receive calls: {error}");
                    self.node.journal().say(Level::Error, message);
                    break;
                }
            }
            let surplus = |awake| (awake > THREADS).then(|| awake - 1);
            if self.awake.fetch_update(Ordering::Relaxed, Ordering::Relaxed, surplus).is_ok() {
                break;
            }
        }
    }

    /// Serves a call. Should that panic, which is a fault of ours, the caller gets EIO: it must
    /// not sleep for ever.
    fn serve_or_fail(self: &Arc<Self>, call: &Call) {
        if catch_unwind(AssertUnwindSafe(|| self.serve(call))).is_err() {
            self.node.journal().say(Level::Error, format_args!("failed to serve {call:x?}"));
            self.listener.answer(call, Answer::Errno(Errno::EIO));
        }
    }

    fn serve(self: &Arc<Self>, call: &Call) {
        let answer = match call.number {
            libc::SYS_ioctl => self.ioctl(call),
            libc::SYS_mmap => self.mmap(call),
            _ => match self.open(call) {
                Some(answer) => answer,
                None => return,
            },
        };
        self.listener.answer(call, answer);
    }

    /// `None` when the answer is already given.
    fn open(&self, call: &Call) -> Option<Answer> {
        let (directory, path, flags) = match call.number {
            libc::SYS_openat | libc::SYS_openat2 => {
                (call.args[0] as i32, call.args[1], call.args[2])
            }
            _ => (libc::AT_FDCWD, call.args[0], call.args[1]),
        };
        if !paths::names_node(call.tid, directory, path) {
            return Some(Answer::Continue);
        }
        let flags = if call.number == libc::SYS_openat2 {
            // The first field of the structure that the third argument points to.
            let mut bytes = [0; 8];
            if read_memory(call.tid, flags, &mut bytes).is_err() {
                return Some(Answer::Continue);
            }
            u64::from_ne_bytes(bytes)
        } else {
            flags
        };
        let flags = flags as i32;
        let creating = libc::O_CREAT | libc::O_EXCL;
        if flags & creating == creating {
            return Some(Answer::Errno(Errno::EEXIST));
        }
        if flags & libc::O_DIRECTORY != 0 {
            return Some(Answer::Errno(Errno::ENOTDIR));
        }
        if !self.listener.is_waiting(call) {
            return None;
        }
        let opened = self.files.open(call.tid, flags).and_then(|file| {
            let cloexec = flags & libc::O_CLOEXEC != 0;
            self.listener.answer_with_file(call, file.as_fd(), cloexec)
        });
        let tid = call.tid;
        match opened {
            Ok(fd) => {
                let message = format_args!("thread {tid} opens the node as descriptor {fd}");
                self.node.journal().say(Level::Info, message);
                None
            }
            Err(errno) => Some(Answer::Errno(errno)),
        }
    }

    fn ioctl(self: &Arc<Self>, call: &Call) -> Answer {
        let Some(file) = self.files.find(call.tid, call.args[0] as i32) else {
            return Answer::Continue;
        };
        let caller = Caller { server: self, call, file: &file, asleep: Cell::new(false) };
        match self.node.ioctl(&file.file, &caller, call.args[1] as u32, call.args[2]) {
            Ok(()) => Answer::Value(0),
            Err(Fail::Errno(errno)) => Answer::Errno(errno),
            // Nobody hears the answer to one who is gone.
            Err(Fail::Restart | Fail::Gone) => Answer::Restart,
        }
    }

    fn mmap(&self, call: &Call) -> Answer {
        let [_, len, _, flags, fd, offset] = call.args;
        let Some(file) = self.files.find(call.tid, fd as i32) else { return Answer::Continue };
        let kind = flags as i32 & libc::MAP_TYPE;
        let shared = kind == libc::MAP_SHARED || kind == libc::MAP_SHARED_VALIDATE;
        match self.node.check_mmap(&file.file, offset, len, shared) {
            Ok(()) => {
                file.add_mapper(call.tid);
                Answer::Continue
            }
            Err(errno) => Answer::Errno(errno),
        }
    }
}

/// Asks for this thread to be scheduled before others, which takes a privilege: until it has
/// received a call, a signal can interrupt the caller, where the real node would not let it.
fn hurry() {
    // SAFETY: plain values. On Linux, 0 is the calling thread. Refused to ordinary users.
    unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, NICE) };
}

/// The thread behind one ioctl.
struct Caller<'a> {
    server: &'a Arc<Server>,
    call: &'a Call,
    file: &'a ClientFile,
    /// Whether the serving thread is counted as sleeping.
    asleep: Cell<bool>,
}

impl Caller<'_> {
    /// Makes sure that others are served while this call sleeps.
    fn fall_asleep(&self) {
        self.asleep.set(true);
        let awake = self.server.awake.fetch_sub(1, Ordering::Relaxed) - 1;
        if awake < SPARE {
            // Without a new thread the others wait a little longer.
            let _ = self.server.add_thread();
        }
    }

    fn check_waiting(&self) -> Result<(), Fail> {
        if self.server.listener.is_waiting(self.call) { Ok(()) } else { Err(Fail::Gone) }
    }
}

impl Drop for Caller<'_> {
    fn drop(&mut self) {
        if self.asleep.get() {
            self.server.awake.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Client for Caller<'_> {
    fn read(&self, address: u64, out: &mut [u8]) -> Result<(), Fail> {
        let result = read_memory(self.call.tid, address, out);
        // Only now is it certain whose memory that was.
        self.check_waiting()?;
        Ok(result?)
    }

    fn write(&self, address: u64, data: &[u8]) -> Result<(), Fail> {
        self.check_waiting()?;
        let remote = [RemoteIoVec { base: address as usize, len: data.len() }];
        let local = [IoSlice::new(data)];
        match process_vm_writev(Pid::from_raw(self.call.tid), &local, &remote) {
            Ok(written) if written == data.len() => Ok(()),
            _ => Err(Errno::EFAULT.into()),
        }
    }

    fn interrupted(&self) -> bool {
        if !self.asleep.get() {
            self.fall_asleep();
            return false;
        }
        procfs::has_signal(self.call.tid) || !self.server.listener.is_waiting(self.call)
    }

    fn mapped(&self) -> Vec<Range<u64>> {
        self.file.mapped()
    }
}

/// Copies from the memory of a thread.
fn read_memory(tid: libc::pid_t, address: u64, out: &mut [u8]) -> Result<(), Errno> {
    let len = out.len();
    let remote = [RemoteIoVec { base: address as usize, len }];
    match process_vm_readv(Pid::from_raw(tid), &mut [IoSliceMut::new(out)], &remote) {
        Ok(read) if read == len => Ok(()),
        _ => Err(Errno::EFAULT),
    }
}
