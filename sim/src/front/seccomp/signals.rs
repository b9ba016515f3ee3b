//! Signals to the supervisor are meant for the command.

use std::sync::atomic::{AtomicI32, Ordering};

use libc::{c_int, c_void, pid_t, siginfo_t};

/// Where signals go; 0 until there is a command.
static COMMAND: AtomicI32 = AtomicI32::new(0);

/// The signals that end or steer programs.
const FORWARDED: [c_int; 6] =
    [libc::SIGINT, libc::SIGQUIT, libc::SIGTERM, libc::SIGHUP, libc::SIGUSR1, libc::SIGUSR2];

/// From now on passes signals on to process `pid`, and dies of none of them. What a terminal sends
/// goes to the whole foreground group, the command included, and is not passed on twice.
pub fn forward_to(pid: pid_t) {
    COMMAND.store(pid, Ordering::Relaxed);
    for signal in FORWARDED {
        // SAFETY: `sigaction` is plain data; zeroed is an empty mask and no flags. The handler
        // makes one system call on an atomic, which is allowed in a handler.
        unsafe {
            let mut action: libc::sigaction = std::mem::zeroed();
            action.sa_sigaction = forward as *const () as usize;
            action.sa_flags = libc::SA_SIGINFO | libc::SA_RESTART;
            libc::sigaction(signal, &raw const action, std::ptr::null_mut());
        }
    }
}

extern "C" fn forward(signal: c_int, info: *mut siginfo_t, _: *mut c_void) {
    // SAFETY: the kernel passes a valid `siginfo_t` to an SA_SIGINFO handler; kill takes plain
    // values. Processes send with codes up to 0, the kernel (and its terminals) with positive.
    unsafe {
        if (*info).si_code <= 0 {
            libc::kill(COMMAND.load(Ordering::Relaxed), signal);
        }
    }
}
