//! Which paths name the node.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use nix::sys::uio::{RemoteIoVec, process_vm_readv};
use nix::unistd::Pid;

/// The path of the node.
pub const NODE: &str = "/dev/accel/accel0";

/// Its last component.
const NAME: &[u8] = b"accel0";

/// Longest path that is looked at. Names of the node are short, and what is longer is not ours.
const LONGEST: usize = 256;

/// Boundary that a read of unknown length must not need to cross: the end of the smallest page there
/// is, and larger pages end at such boundaries too.
const SMALLEST_PAGE: u64 = 4096;

/// Whether the path at `address` in thread `tid`, relative to descriptor `directory`, names the
/// node. Whatever cannot be read or understood does not.
pub fn names_node(tid: libc::pid_t, directory: i32, address: u64) -> bool {
    let mut bytes = [0; LONGEST];
    let Some(path) = read_path(tid, address, &mut bytes) else { return false };
    // Nearly all paths end here.
    if !path.ends_with(NAME) {
        return false;
    }
    let path = Path::new(OsStr::from_bytes(path));
    absolute(tid, directory, path).is_some_and(|path| is_node(&path))
}

/// Reads a NUL-terminated path, without its terminator.
fn read_path(tid: libc::pid_t, address: u64, bytes: &mut [u8; LONGEST]) -> Option<&[u8]> {
    let in_page = (SMALLEST_PAGE - address % SMALLEST_PAGE).min(LONGEST as u64) as usize;
    let pieces = [
        RemoteIoVec { base: address as usize, len: in_page },
        RemoteIoVec { base: (address as usize).wrapping_add(in_page), len: LONGEST - in_page },
    ];
    let local = &mut [std::io::IoSliceMut::new(bytes)];
    let read = process_vm_readv(Pid::from_raw(tid), local, &pieces).ok()?;
    let end = bytes[..read].iter().position(|&byte| byte == 0)?;
    Some(&bytes[..end])
}

/// `path` as seen from the root.
fn absolute(tid: libc::pid_t, directory: i32, path: &Path) -> Option<PathBuf> {
    if path.is_absolute() {
        return Some(path.to_owned());
    }
    let base = if directory == libc::AT_FDCWD {
        format!("/proc/{tid}/cwd")
    } else {
        format!("/proc/{tid}/fd/{directory}")
    };
    Some(std::fs::read_link(base).ok()?.join(path))
}

/// Whether an absolute path names the node without the help of `..` or of links.
fn is_node(path: &Path) -> bool {
    // `components` leaves out `.` and doubled slashes.
    path.components().all(|part| part != Component::ParentDir) && path == Path::new(NODE)
}

#[cfg(test)]
mod tests {
    use std::ffi::CString;
    use std::io::IoSliceMut;

    use nix::errno::Errno;

    use super::*;

    /// Whether the kernel reads a process's memory for another; otherwise, as under qemu-user, the
    /// test is skipped.
    fn reads_memory() -> bool {
        let (here, mut there) = ([0], [0]);
        let from = RemoteIoVec { base: here.as_ptr() as usize, len: 1 };
        let read = process_vm_readv(Pid::this(), &mut [IoSliceMut::new(&mut there)], &[from]);
        let why = "this kernel has no process_vm_readv";
        if read == Err(Errno::ENOSYS) {
            eprintln!("SKIPPED: {why}");
            assert!(std::env::var_os("NPUBLAS_FORBID_SKIP").is_none(), "{why}");
        }
        read != Err(Errno::ENOSYS)
    }

    fn names(path: &str) -> bool {
        let text = CString::new(path).unwrap();
        let me = std::process::id() as libc::pid_t;
        names_node(me, libc::AT_FDCWD, text.as_ptr() as u64)
    }

    #[test]
    fn spellings() {
        if !reads_memory() {
            return;
        }
        for path in ["/dev/accel/accel0", "//dev/accel//accel0", "/dev/./accel/accel0"] {
            assert!(names(path), "{path}");
        }
        for path in [
            "/dev/accel/accel1",
            "/dev/accel/accel00",
            "/dev/accel/accel0/",
            "/dev/accel",
            "/dev/dri/../accel/accel0",
            "accel0",
            "",
        ] {
            assert!(!names(path), "{path}");
        }
        assert!(!names(&format!("/dev/accel/{}accel0", "./".repeat(LONGEST))));
    }

    #[test]
    fn bad_addresses_name_nothing() {
        let me = std::process::id() as libc::pid_t;
        for address in [0, 1, u64::MAX, u64::MAX - 100] {
            assert!(!names_node(me, libc::AT_FDCWD, address));
        }
    }

    #[test]
    fn relative_to_a_directory() {
        if !reads_memory() {
            return;
        }
        let dev = std::fs::File::open("/dev").unwrap();
        let text = CString::new("accel/accel0").unwrap();
        let me = std::process::id() as libc::pid_t;
        let fd = std::os::fd::AsRawFd::as_raw_fd(&dev);
        assert!(names_node(me, fd, text.as_ptr() as u64));
    }
}
