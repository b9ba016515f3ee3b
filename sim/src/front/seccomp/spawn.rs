//! Starting the command under the filter.

use std::io;
use std::mem::{size_of, zeroed};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixDatagram;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command};

use libc::{
    SECCOMP_FILTER_FLAG_NEW_LISTENER, SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV,
    SECCOMP_SET_MODE_FILTER, c_ulong, sock_fprog,
};
use nix::errno::Errno;

use super::filter;

/// Room for one descriptor in a control message, with the alignment that it needs.
#[repr(align(8))]
struct Control([u8; CONTROL]);

/// CMSG_SPACE of one descriptor, and some to spare.
const CONTROL: usize = 64;

/// Starts `command` under the filter; returns it with the listener of its system calls.
///
/// The command dies with the calling thread, which therefore has to outlive it. Errors: what
/// `spawn` has, and those of seccomp in words.
pub fn spawn(command: &mut Command) -> io::Result<(Child, OwnedFd)> {
    let (ours, theirs) = UnixDatagram::pair()?;
    let program = filter::program();
    let parent = std::process::id();
    let socket = theirs.as_raw_fd();
    // SAFETY: the closure runs between fork and exec. It makes system calls only, on memory that
    // was allocated before: it takes no lock and allocates nothing.
    unsafe {
        command.pre_exec(move || {
            die_with(parent)?;
            let listener = install(&program);
            send(socket, listener)?;
            listener.map(|_| ()).map_err(io::Error::from)
        });
    }
    let spawned = command.spawn();
    drop(theirs);
    ours.set_nonblocking(true)?;
    match (spawned, receive(&ours)) {
        (Ok(child), Ok(listener)) => Ok((child, listener)),
        (Err(_), Err(error)) if error.raw_os_error().is_some_and(|e| e != libc::EAGAIN) => {
            Err(explain(error))
        }
        (Err(error), _) | (Ok(_), Err(error)) => Err(error),
    }
}

/// Has the kernel kill this process when its parent's thread ends, however that comes about.
fn die_with(parent: u32) -> io::Result<()> {
    // SAFETY: prctl with plain values; getppid has no conditions.
    unsafe {
        if libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL as c_ulong) != 0 {
            return Err(io::Error::last_os_error());
        }
        // It may have ended before we asked.
        if libc::getppid() as u32 != parent {
            return Err(io::Error::from_raw_os_error(libc::ESRCH));
        }
    }
    Ok(())
}

/// Installs the filter. Without the privilege to do so, gives up the chance of ever gaining
/// privileges, which is the kernel's condition; with it, setuid programs keep working.
fn install(program: &[libc::sock_filter]) -> Result<RawFd, Errno> {
    let program = sock_fprog { len: program.len() as u16, filter: program.as_ptr().cast_mut() };
    let flags = SECCOMP_FILTER_FLAG_NEW_LISTENER | SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV;
    let seccomp = || {
        // SAFETY: the kernel reads `program` and the instructions it points to, both alive here.
        let fd = unsafe {
            libc::syscall(libc::SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &raw const program)
        };
        Errno::result(fd).map(|fd| fd as RawFd)
    };
    match seccomp() {
        Err(Errno::EACCES) => {
            // SAFETY: prctl with plain values.
            unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1 as c_ulong, 0, 0, 0) };
            seccomp()
        }
        other => other,
    }
}

/// Sends the listener, or the error that there is instead.
fn send(socket: RawFd, listener: Result<RawFd, Errno>) -> io::Result<()> {
    let mut code = listener.err().map_or(0, |errno| errno as i32).to_ne_bytes();
    let mut control = Control([0; CONTROL]);
    let mut data = libc::iovec { iov_base: code.as_mut_ptr().cast(), iov_len: code.len() };
    // SAFETY: `msghdr` is integers and pointers; zeroed means absent.
    let mut message: libc::msghdr = unsafe { zeroed() };
    message.msg_iov = &raw mut data;
    message.msg_iovlen = 1;
    if let Ok(fd) = listener {
        message.msg_control = control.0.as_mut_ptr().cast();
        // SAFETY: CMSG_SPACE and CMSG_LEN only compute. The control buffer is aligned and has
        // room for one header and one descriptor (16 and 4 bytes, padded to 24), so CMSG_FIRSTHDR
        // and CMSG_DATA point into it.
        unsafe {
            message.msg_controllen = libc::CMSG_SPACE(size_of::<RawFd>() as u32) as _;
            let header = libc::CMSG_FIRSTHDR(&raw const message);
            (*header).cmsg_level = libc::SOL_SOCKET;
            (*header).cmsg_type = libc::SCM_RIGHTS;
            (*header).cmsg_len = libc::CMSG_LEN(size_of::<RawFd>() as u32) as _;
            libc::CMSG_DATA(header).cast::<RawFd>().write_unaligned(fd);
        }
    }
    // SAFETY: everything that `message` points to is alive.
    match unsafe { libc::sendmsg(socket, &raw const message, 0) } {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}

/// Receives what [`send`] sent.
fn receive(socket: &UnixDatagram) -> io::Result<OwnedFd> {
    let mut code = [0u8; 4];
    let mut control = Control([0; CONTROL]);
    let mut data = libc::iovec { iov_base: code.as_mut_ptr().cast(), iov_len: code.len() };
    // SAFETY: as in `send`.
    let mut message: libc::msghdr = unsafe { zeroed() };
    message.msg_iov = &raw mut data;
    message.msg_iovlen = 1;
    message.msg_control = control.0.as_mut_ptr().cast();
    message.msg_controllen = control.0.len() as _;
    // SAFETY: everything that `message` points to is alive and writable.
    let received =
        unsafe { libc::recvmsg(socket.as_raw_fd(), &raw mut message, libc::MSG_CMSG_CLOEXEC) };
    if received < 0 {
        return Err(io::Error::last_os_error());
    }
    match i32::from_ne_bytes(code) {
        0 => {}
        errno => return Err(io::Error::from_raw_os_error(errno)),
    }
    // SAFETY: the kernel filled the control buffer: CMSG_FIRSTHDR is null or points to a header
    // with its data in it. A descriptor received this way is ours.
    unsafe {
        let header = libc::CMSG_FIRSTHDR(&raw const message);
        if header.is_null() || (*header).cmsg_type != libc::SCM_RIGHTS {
            return Err(io::Error::from_raw_os_error(libc::EPROTO));
        }
        Ok(OwnedFd::from_raw_fd(libc::CMSG_DATA(header).cast::<RawFd>().read_unaligned()))
    }
}

/// What an error of seccomp means.
fn explain(error: io::Error) -> io::Error {
    let text = match error.raw_os_error().map(Errno::from_raw) {
        Some(Errno::EBUSY) => {
            "this process already runs under a supervisor of its system calls (another npu-sim, \
             or a container manager that uses seccomp notification); the kernel allows only one"
        }
        Some(Errno::EINVAL) => {
            "this kernel has no seccomp user notification with WAIT_KILLABLE_RECV; it is there \
             from Linux 5.19 on"
        }
        Some(Errno::ENOSYS | Errno::EPERM) => {
            "seccomp is not allowed here; a container's own seccomp profile may forbid it"
        }
        _ => return error,
    };
    io::Error::new(error.kind(), text)
}
