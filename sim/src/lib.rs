//! `npu-sim`: the device node without the device.
//!
//! * [`model`]: the chip, register by register; no operating system in it.
//! * [`driver`]: the kernel driver's ioctls, errors and silences over that model.
//! * [`front`]: how an unmodified program comes to see a device node.
//! * [`fault`]: failures on order. [`trace`]: what was run.
//!
//! Nothing of the library under test is used here: registers and ioctl structures are written
//! down a second time, from the manual and the kernel header.

pub mod driver;
pub mod fault;
pub mod front;
pub mod model;
mod sync;
pub mod trace;
