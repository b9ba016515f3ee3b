//! Kernel drivers as a program sees them.
//!
//! A [`Node`] is one device node: it opens files, answers their ioctls and judges their mmaps. It
//! reaches the calling program through [`Client`] and the chip through [`Engine`], so that neither
//! how a program was caught nor what a register means is known here.
//!
//! * [`drm`]: what every DRM node does with an ioctl; [`rocket`]: the driver's own four.
//! * [`file`](mod@file): handles of one open file; [`bo`]: buffers and address spaces; [`mm`]:
//!   where they go; [`coherence`]: what CPU and NPU see of them.
//! * [`sched`]: which core runs which job when; [`exec`]: what a core does with it; [`fence`]:
//!   waiting for it.

pub mod bo;
pub mod coherence;
pub mod drm;
pub mod exec;
pub mod fence;
pub mod file;
pub mod mm;
pub mod node;
pub mod rocket;
pub mod sched;
mod wire;

use std::fmt;
use std::ops::Range;

use nix::errno::Errno;

use crate::model::{Core, Hang, Kick, Memory, TaskReport};
pub use node::{Config, Node, machine_page};

/// The program behind one call: its memory, its signals, its mappings of the node.
pub trait Client {
    /// Copies from the program's memory; `EFAULT` as copy_from_user has it.
    fn read(&self, address: u64, out: &mut [u8]) -> Result<(), Fail>;
    /// Copies to the program's memory; `EFAULT` as copy_to_user has it.
    fn write(&self, address: u64, data: &[u8]) -> Result<(), Fail>;
    /// Asked before every short sleep of a waiting call: whether it must end instead, because a
    /// signal is pending or the thread is gone.
    fn interrupted(&self) -> bool;
    /// Which offsets of the open file its programs have mapped.
    fn mapped(&self) -> Vec<Range<u64>>;
}

/// What runs tasks: one NPU core.
pub trait Engine: Send {
    /// A job of some file begins: what an earlier one left in the convolution buffer is lost.
    fn begin_job(&mut self) {}
    /// Runs the task that `kick` starts, to its completion interrupt.
    fn run(&mut self, memory: &dyn Memory, kick: Kick) -> Result<TaskReport, Hang>;
    /// What the driver's reset line does.
    fn reset(&mut self);
}

impl Engine for Core {
    fn begin_job(&mut self) {
        Core::begin_job(self);
    }

    fn run(&mut self, memory: &dyn Memory, kick: Kick) -> Result<TaskReport, Hang> {
        Core::run(self, memory, kick)
    }

    fn reset(&mut self) {
        Core::reset(self);
    }
}

/// Why a call did not succeed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fail {
    /// An error for the program.
    Errno(Errno),
    /// Interrupted: the kernel restarts the call or makes it EINTR, as the signal's handler wants.
    Restart,
    /// The caller no longer waits for an answer.
    Gone,
}

impl From<Errno> for Fail {
    fn from(errno: Errno) -> Self {
        Fail::Errno(errno)
    }
}

impl fmt::Display for Fail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fail::Errno(errno) => write!(f, "{errno:?}"),
            Fail::Restart => f.write_str("interrupted"),
            Fail::Gone => f.write_str("caller gone"),
        }
    }
}
