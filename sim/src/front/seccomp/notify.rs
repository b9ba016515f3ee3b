//! The kernel's side of user notification: receiving a trapped call and answering it.

use std::io;
use std::mem::zeroed;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd};

use libc::{
    SECCOMP_ADDFD_FLAG_SEND, SECCOMP_IOCTL_NOTIF_ADDFD, SECCOMP_IOCTL_NOTIF_ID_VALID,
    SECCOMP_IOCTL_NOTIF_RECV, SECCOMP_IOCTL_NOTIF_SEND, SECCOMP_IOCTL_NOTIF_SET_FLAGS,
    SECCOMP_USER_NOTIF_FLAG_CONTINUE, seccomp_notif, seccomp_notif_addfd, seccomp_notif_resp,
};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

/// SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP of linux/seccomp.h: the caller and we take turns on one CPU.
const SYNC_WAKE_UP: u64 = 1;

/// The kernel's "restart this call once its signal is handled", from linux/errno.h.
const ERESTARTSYS: i32 = 512;

/// A trapped call.
#[derive(Debug, Clone, Copy)]
pub struct Call {
    /// What answers refer to.
    pub id: u64,
    /// The thread that is waiting.
    pub tid: libc::pid_t,
    /// Number of the system call.
    pub number: libc::c_long,
    /// Its arguments.
    pub args: [u64; 6],
}

/// What a trapped call returns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// The kernel executes it as if nobody had looked.
    Continue,
    /// It returns this value.
    Value(i64),
    /// It fails.
    Errno(Errno),
    /// It is interrupted, and restarted if its signal's handler wants that.
    Restart,
}

/// The listening end of the filter, shared by the threads that serve it.
#[derive(Debug)]
pub struct Listener(OwnedFd);

impl Listener {
    /// Serves the filter behind `fd`.
    pub fn new(fd: OwnedFd) -> Self {
        let listener = Listener(fd);
        // Only an optimisation, which older kernels do not have.
        // SAFETY: SET_FLAGS takes its argument by value.
        unsafe {
            libc::ioctl(listener.0.as_raw_fd(), SECCOMP_IOCTL_NOTIF_SET_FLAGS, SYNC_WAKE_UP);
        }
        listener
    }

    /// Waits for a trapped call. `None` when nobody is left who could make one.
    pub fn receive(&self) -> io::Result<Option<Call>> {
        loop {
            // SAFETY: `seccomp_notif` is plain integers; the kernel wants it zeroed.
            let mut notification: seccomp_notif = unsafe { zeroed() };
            // SAFETY: RECV writes one `seccomp_notif`, whose size is part of the request.
            let received = unsafe {
                let fd = self.0.as_raw_fd();
                libc::ioctl(fd, SECCOMP_IOCTL_NOTIF_RECV, &raw mut notification)
            };
            if received == 0 {
                return Ok(Some(Call {
                    id: notification.id,
                    tid: notification.pid as libc::pid_t,
                    number: notification.data.nr.into(),
                    args: notification.data.args,
                }));
            }
            match Errno::last() {
                Errno::EINTR => {}
                // The caller died before we got to it, or there is no caller left at all.
                Errno::ENOENT if !self.is_abandoned() => {}
                Errno::ENOENT => return Ok(None),
                errno => return Err(errno.into()),
            }
        }
    }

    /// Answers a call. A caller that died meanwhile needs no answer.
    pub fn answer(&self, call: &Call, answer: Answer) {
        let mut response = seccomp_notif_resp { id: call.id, val: 0, error: 0, flags: 0 };
        match answer {
            Answer::Continue => response.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE as u32,
            Answer::Value(value) => response.val = value,
            Answer::Errno(errno) => response.error = -(errno as i32),
            Answer::Restart => response.error = -ERESTARTSYS,
        }
        // SAFETY: SEND reads one `seccomp_notif_resp`, whose size is part of the request.
        unsafe {
            libc::ioctl(self.0.as_raw_fd(), SECCOMP_IOCTL_NOTIF_SEND, &raw mut response);
        }
    }

    /// Answers a call that opens something: the caller gets a descriptor of `file`, with
    /// O_CLOEXEC if `cloexec`, and its number as the result.
    pub fn answer_with_file(
        &self,
        call: &Call,
        file: BorrowedFd<'_>,
        cloexec: bool,
    ) -> Result<RawFd, Errno> {
        let request = seccomp_notif_addfd {
            id: call.id,
            flags: SECCOMP_ADDFD_FLAG_SEND as u32,
            srcfd: file.as_raw_fd() as u32,
            newfd: 0,
            newfd_flags: if cloexec { libc::O_CLOEXEC as u32 } else { 0 },
        };
        // SAFETY: ADDFD reads one `seccomp_notif_addfd`, whose size is part of the request.
        let number = unsafe {
            libc::ioctl(self.0.as_raw_fd(), SECCOMP_IOCTL_NOTIF_ADDFD, &raw const request)
        };
        Errno::result(number)
    }

    /// Whether the caller still waits. While it does, its thread id is not another's.
    pub fn is_waiting(&self, call: &Call) -> bool {
        // SAFETY: ID_VALID reads one u64.
        let valid = unsafe {
            libc::ioctl(self.0.as_raw_fd(), SECCOMP_IOCTL_NOTIF_ID_VALID, &raw const call.id)
        };
        valid == 0
    }

    fn is_abandoned(&self) -> bool {
        use std::os::fd::AsFd;
        let mut fds = [PollFd::new(self.0.as_fd(), PollFlags::empty())];
        let ready = poll(&mut fds, PollTimeout::ZERO);
        ready.is_ok() && fds[0].revents().is_some_and(|got| got.contains(PollFlags::POLLHUP))
    }
}
