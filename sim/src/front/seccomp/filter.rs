//! The BPF program that picks the system calls which the supervisor gets to see.
//!
//! * `ioctl` of DRM's type;
//! * `open`, `openat`, `openat2`: their path is in memory, which only the supervisor can read;
//! * `mmap` from 4 GiB of file offset on, where DRM's buffers are: ordinary mappings never trap.
//!
//! Everything else, and every call of a foreign architecture, runs as if nobody watched.

use std::mem::offset_of;

use libc::{
    BPF_ABS, BPF_ALU, BPF_AND, BPF_JEQ, BPF_JGE, BPF_JMP, BPF_K, BPF_LD, BPF_RET, BPF_W,
    SECCOMP_RET_ALLOW, SECCOMP_RET_USER_NOTIF, seccomp_data, sock_filter,
};

use crate::driver::drm;

/// AUDIT_ARCH of this build, from linux/audit.h.
#[cfg(target_arch = "x86_64")]
const ARCH: u32 = 0xc000_003e;
#[cfg(target_arch = "aarch64")]
const ARCH: u32 = 0xc000_00b7;

/// The system calls that open files.
#[cfg(target_arch = "x86_64")]
pub const OPENS: &[libc::c_long] = &[libc::SYS_openat, libc::SYS_open, libc::SYS_openat2];
/// The system calls that open files; there is no `open`.
#[cfg(target_arch = "aarch64")]
pub const OPENS: &[libc::c_long] = &[libc::SYS_openat, libc::SYS_openat2];

/// Call numbers from here on are of the x32 kind on x86-64, and unused elsewhere.
const X32: u32 = 0x4000_0000;

/// Where the low half of an argument is; the high half follows. Little endian, as both
/// architectures are.
const fn argument(index: usize) -> usize {
    offset_of!(seccomp_data, args) + 8 * index
}

const fn statement(code: u32, k: u32) -> sock_filter {
    sock_filter { code: code as u16, jt: 0, jf: 0, k }
}

const fn load(offset: usize) -> sock_filter {
    statement(BPF_LD | BPF_W | BPF_ABS, offset as u32)
}

/// Skips `jt` instructions when the comparison holds, `jf` otherwise.
const fn jump(code: u32, k: u32, jt: u8, jf: u8) -> sock_filter {
    sock_filter { code: (BPF_JMP | code | BPF_K) as u16, jt, jf, k }
}

const ALLOW: sock_filter = statement(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
const NOTIFY: sock_filter = statement(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF);

/// The program.
pub fn program() -> Vec<sock_filter> {
    let mut program = vec![
        load(offset_of!(seccomp_data, arch)),
        jump(BPF_JEQ, ARCH, 1, 0),
        ALLOW,
        load(offset_of!(seccomp_data, nr)),
        jump(BPF_JGE, X32, 0, 1),
        ALLOW,
    ];
    for &number in OPENS {
        program.extend([jump(BPF_JEQ, number as u32, 0, 1), NOTIFY]);
    }
    program.extend([
        jump(BPF_JEQ, libc::SYS_ioctl as u32, 0, 5),
        load(argument(1)),
        statement(BPF_ALU | BPF_AND | BPF_K, 0xff00),
        jump(BPF_JEQ, drm::IOCTL_TYPE << 8, 0, 1),
        NOTIFY,
        ALLOW,
        jump(BPF_JEQ, libc::SYS_mmap as u32, 0, 3),
        load(argument(5) + 4),
        jump(BPF_JEQ, 0, 1, 0),
        NOTIFY,
        ALLOW,
    ]);
    program
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs the program on one call, as the kernel would.
    fn verdict(number: u32, arch: u32, args: [u64; 6]) -> u32 {
        let word = |offset: u32| match offset as usize {
            o if o == offset_of!(seccomp_data, nr) => number,
            o if o == offset_of!(seccomp_data, arch) => arch,
            o => {
                let at = o - offset_of!(seccomp_data, args);
                (args[at / 8] >> (at % 8 * 8)) as u32
            }
        };
        let program = program();
        let (mut at, mut a) = (0, 0);
        loop {
            let i = program[at];
            let code = u32::from(i.code);
            at += 1;
            let jump = |yes: bool| usize::from(if yes { i.jt } else { i.jf });
            match code & 7 {
                BPF_LD => a = word(i.k),
                BPF_ALU => a &= i.k,
                BPF_JMP if code & 0xf0 == BPF_JEQ => at += jump(a == i.k),
                BPF_JMP => at += jump(a >= i.k),
                _ => return i.k,
            }
        }
    }

    #[test]
    fn only_the_node_s_calls_are_seen() {
        let call = |number: libc::c_long, args| verdict(number as u32, ARCH, args);
        for &open in OPENS {
            assert_eq!(call(open, [0; 6]), SECCOMP_RET_USER_NOTIF);
        }
        for (request, seen) in [(0xc018_6440, true), (0x4008_6443, true), (0x5401, false)] {
            let expected = if seen { SECCOMP_RET_USER_NOTIF } else { SECCOMP_RET_ALLOW };
            assert_eq!(call(libc::SYS_ioctl, [3, request, 0, 0, 0, 0]), expected, "{request:#x}");
        }
        for (offset, seen) in [(0, false), (0xffff_f000, false), (1 << 32, true), (7 << 40, true)] {
            let expected = if seen { SECCOMP_RET_USER_NOTIF } else { SECCOMP_RET_ALLOW };
            assert_eq!(call(libc::SYS_mmap, [0, 0, 0, 0, 0, offset]), expected, "{offset:#x}");
        }
        for other in [libc::SYS_read, libc::SYS_close, libc::SYS_execve, libc::SYS_munmap] {
            assert_eq!(call(other, [0x6400; 6]), SECCOMP_RET_ALLOW);
        }
        let foreign = verdict(libc::SYS_openat as u32, 0x4000_0003, [0; 6]);
        assert_eq!(foreign, SECCOMP_RET_ALLOW);
        assert_eq!(verdict(X32 | 2, ARCH, [0; 6]), SECCOMP_RET_ALLOW);
    }
}
