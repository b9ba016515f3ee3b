//! The default front-end: seccomp user notification.
//!
//! The command runs under a filter that hands the few system calls which can concern the node to
//! this process, its supervisor. Descriptors of the node are memory files, so that buffers are
//! ordinary shared memory; everything else the command does runs natively.
//!
//! * [`filter`]: which calls. [`spawn`](mod@spawn): starting the command under it.
//! * [`notify`]: the kernel's interface. [`serve`]: answering.
//! * [`paths`]: which file names are the node's. [`files`]: which descriptors are.
//! * [`procfs`]: what the kernel tells about clients. [`signals`]: what others tell them.
//!
//! Limits: there can be one supervisor only, so none inside another; io_uring can open files past
//! the filter; a process that made itself undumpable cannot be served; should the supervisor be
//! killed, its command is killed too, but that command's children find their open calls failing
//! with ENOSYS. A signal that arrives before this process has looked at a call interrupts it, even
//! one that the real node would not let be interrupted: unless its handler has SA_RESTART, the
//! program sees EINTR (the call is not done then). `read`, `write`, `lseek` and `fstat` on a descriptor act as on a regular file, and
//! so does an mmap below 4 GiB of offset, which the real node refuses.

pub mod files;
pub mod filter;
pub mod notify;
pub mod paths;
pub mod procfs;
pub mod serve;
pub mod signals;
pub mod spawn;

use std::io;
use std::process::Command;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::libc;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::wait::{WaitStatus, wait};

use crate::driver::Node;
use crate::trace::Level;
use files::Files;
use notify::Listener;
use serve::Server;

/// How long jobs that nobody waits for any more may still run at the end, for the summary's sake.
const LAST_JOBS: Duration = Duration::from_secs(2);

/// Runs `command` so that it finds `node`, until it and all processes that it left behind have
/// ended. Returns its exit status, 128 plus the number of the signal that killed it.
///
/// Turns the calling process into a supervisor: it becomes the reaper of orphans, passes signals
/// on to the command, and waits for all its children. The command dies with the calling thread.
pub fn run(node: Arc<Node>, command: &mut Command) -> io::Result<i32> {
    let (child, listener) = spawn::spawn(command)?;
    let command = child.id() as libc::pid_t;
    signals::forward_to(command);
    nix::sys::prctl::set_child_subreaper(true)?;
    raise_descriptor_limit();

    let files = Arc::new(Files::new(node.clone())?);
    let watched = files.clone();
    thread::Builder::new().name("close".into()).spawn(move || watched.watch())?;
    Arc::new(Server::new(node.clone(), files.clone(), Listener::new(listener))).start()?;

    let status = wait_for_all(&node, command);
    files.close_finished();
    let patience = Instant::now() + LAST_JOBS;
    while node.unfinished() > 0 && Instant::now() < patience {
        thread::sleep(Duration::from_millis(1));
    }
    match node.unfinished() {
        0 => {}
        jobs => {
            let message = format_args!("{jobs} jobs were still queued or running at the end");
            node.journal().say(Level::Warn, message);
        }
    }
    Ok(status)
}

/// Reaps every child; the status of `command`.
fn wait_for_all(node: &Node, command: libc::pid_t) -> i32 {
    let mut status = 0;
    loop {
        let (pid, code) = match wait() {
            Ok(WaitStatus::Exited(pid, code)) => (pid, code),
            Ok(WaitStatus::Signaled(pid, signal, _)) => (pid, 128 + signal as i32),
            Ok(_) | Err(Errno::EINTR) => continue,
            Err(_) => return status,
        };
        if pid.as_raw() == command {
            status = code;
            node.journal().say(Level::Info, format_args!("the command ended with status {code}"));
        }
    }
}

/// Every open file of the node costs a descriptor here.
fn raise_descriptor_limit() {
    // Without it there are fewer files; not worth stopping for.
    if let Ok((_, hard)) = getrlimit(Resource::RLIMIT_NOFILE) {
        let _ = setrlimit(Resource::RLIMIT_NOFILE, hard, hard);
    }
}
