//! The kernel drivers that this library speaks to, through DRM ioctls; finding their nodes.
//!
//! `uapi` is the table of numbers and structures, `sys` makes every system call and says what
//! its errors mean, [`rocket`] is the mainline driver of Rockchip's NPUs.

pub mod rocket;
mod sys;
mod uapi;

use super::driver::{Driver, DriverError};
use crate::config::Device;
use nix::errno::Errno;
use std::path::{Path, PathBuf};
use sys::Node;

/// Every driver that this library speaks to.
pub static DRIVERS: [&dyn Driver; 1] = [&rocket::Rocket];

/// Nodes that `auto` looks at: `/dev/accel/accel0` and so on, this many.
const NODES: usize = 16;

/// A node and whether it can be used.
#[derive(Debug)]
pub struct Found {
    /// The node.
    pub path: PathBuf,
    /// The driver to open it with, or why it is unusable.
    pub result: Result<&'static dyn Driver, DriverError>,
}

/// Finds the driver of the node at `path` by the name that DRM reports.
pub fn probe(path: &Path) -> Result<&'static dyn Driver, DriverError> {
    driver_of(&Node::open(path).map_err(|e| sys::meaning("open", e))?)
}

/// The nodes that the configuration allows, in order: the one it names, whether it is there or
/// not; or, for [`Device::Auto`], each of `/dev/accel/accel0` to `accel15` that is there.
///
/// Nodes are only ever opened and asked. Containers and simulated nodes may have no directory
/// entry to list or to look at.
pub fn find(device: &Device) -> Vec<Found> {
    match device {
        Device::None => Vec::new(),
        Device::Path(path) => vec![Found { path: path.clone(), result: probe(path) }],
        Device::Auto => (0..NODES)
            .map(|i| PathBuf::from(format!("/dev/accel/accel{i}")))
            .filter_map(|path| {
                let result = match Node::open(&path) {
                    Ok(node) => driver_of(&node),
                    Err(Errno::ENOENT | Errno::ENOTDIR) => return None,
                    Err(errno) => Err(sys::meaning("open", errno)),
                };
                Some(Found { path, result })
            })
            .collect(),
    }
}

fn driver_of(node: &Node) -> Result<&'static dyn Driver, DriverError> {
    let name = node.driver_name()?;
    let known = DRIVERS.into_iter().find(|driver| driver.name() == name);
    known.ok_or(DriverError::WrongDriver(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error_of(path: &str) -> String {
        let found = find(&Device::Path(path.into()));
        assert_eq!(found.len(), 1);
        let error = found[0].result.as_ref().expect_err(path).to_string();
        for driver in DRIVERS {
            let opened = driver.open(Path::new(path)).expect_err(path);
            assert_eq!(opened.to_string(), error, "find and open disagree");
        }
        error
    }

    #[test]
    fn nodes_that_are_no_devices_say_why() {
        assert_eq!(error_of("/dev/accel/no-such-node"), "open: No such file or directory (ENOENT)");
        assert_eq!(error_of("/dev"), "open: Is a directory (EISDIR)");
        assert_eq!(error_of("/dev/null"), "DRM_IOCTL_VERSION: not a DRM device (ENOTTY)");
        assert_eq!(error_of(""), "open: No such file or directory (ENOENT)");
        let file = std::env::temp_dir().join(format!("npublas-probe-{}", std::process::id()));
        std::fs::write(&file, b"not a device").unwrap();
        let path = file.to_str().unwrap();
        assert_eq!(error_of(path), "DRM_IOCTL_VERSION: not a DRM device (ENOTTY)");
        assert_eq!(std::fs::read(&file).unwrap(), b"not a device");
        std::fs::remove_file(&file).unwrap();
    }

    #[test]
    fn a_path_with_a_nul_byte_is_an_error() {
        let path = Path::new("/dev/accel/accel0\0");
        assert!(matches!(probe(path), Err(DriverError::Open(_))));
    }

    #[test]
    fn none_means_none() {
        assert!(find(&Device::None).is_empty());
    }

    #[test]
    fn auto_names_only_nodes_that_are_there() {
        for found in find(&Device::Auto) {
            assert!(found.path.starts_with("/dev/accel"), "{found:?}");
            assert!(!format!("{:?}", found.result).contains("ENOENT"), "{found:?}");
        }
    }

    #[test]
    fn errors_have_meanings() {
        use sys::meaning;
        assert_eq!(meaning("x", Errno::ENODEV), DriverError::Gone);
        assert_eq!(meaning("open", Errno::ENXIO), DriverError::Gone);
        assert_eq!(meaning("x", Errno::EBUSY), DriverError::TimedOut);
        assert_eq!(meaning("x", Errno::ETIMEDOUT), DriverError::TimedOut);
        assert!(matches!(meaning("x", Errno::ENOSPC), DriverError::NoMemory(_)));
        assert!(matches!(meaning("mmap", Errno::ENOMEM), DriverError::NoMemory(_)));
        let denied = meaning("open", Errno::EACCES);
        assert_eq!(denied, DriverError::Open("Permission denied (EACCES)".into()));
        let bad = meaning("x", Errno::EINVAL);
        assert_eq!(bad, DriverError::Call("x", "Invalid argument (EINVAL)".into()));
    }
}
