//! The numbers and structures of the kernel's interface, in one table.
//!
//! From `include/uapi/drm/drm.h` (DRM core) and `include/uapi/drm/rocket_accel.h` (rocket). The
//! assertions at the end pin what the kernel of a 64-bit machine compiles to. Pointers travel as
//! `u64`, addresses of this process.

use std::ffi::{c_char, c_int};
use std::mem::size_of;

/// Ioctl type of every DRM ioctl.
pub const DRM: u8 = b'd';
/// `DRM_COMMAND_BASE`: where the numbers of the drivers begin.
const DRIVER: u8 = 0x40;

/// DRM core: name and version of the driver.
pub const VERSION: u8 = 0x00;
/// DRM core: drop a handle.
pub const GEM_CLOSE: u8 = 0x09;
/// rocket: make a buffer object.
pub const ROCKET_CREATE_BO: u8 = DRIVER;
/// rocket: queue jobs.
pub const ROCKET_SUBMIT: u8 = DRIVER + 1;
/// rocket: wait for a buffer object and begin to read it on the CPU.
pub const ROCKET_PREP_BO: u8 = DRIVER + 2;
/// rocket: end CPU access to a buffer object.
pub const ROCKET_FINI_BO: u8 = DRIVER + 3;

/// `struct drm_version`.
#[repr(C)]
#[derive(Debug)]
pub struct Version {
    pub major: c_int,
    pub minor: c_int,
    pub patch_level: c_int,
    /// In: room at `name`. Out: length of the name, also when the room was too small.
    pub name_len: usize,
    pub name: *mut c_char,
    pub date_len: usize,
    pub date: *mut c_char,
    pub desc_len: usize,
    pub desc: *mut c_char,
}

/// `struct drm_gem_close`.
#[repr(C)]
#[derive(Debug)]
pub struct GemClose {
    pub handle: u32,
    pub pad: u32,
}

/// `struct drm_rocket_create_bo`.
#[repr(C)]
#[derive(Debug, Default)]
pub struct RocketCreateBo {
    /// In: bytes.
    pub size: u32,
    /// Out.
    pub handle: u32,
    /// Out: IOVA in the address space of this open file.
    pub dma_address: u64,
    /// Out: offset to mmap the object at.
    pub offset: u64,
}

/// `struct drm_rocket_task`.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct RocketTask {
    /// IOVA of the register commands.
    pub regcmd: u32,
    /// Number of register commands.
    pub regcmd_count: u32,
}

/// `struct drm_rocket_job`.
#[repr(C)]
#[derive(Debug)]
pub struct RocketJob {
    /// Address of [`RocketTask`]s.
    pub tasks: u64,
    /// Address of `u32` handles.
    pub in_bo_handles: u64,
    /// Address of `u32` handles.
    pub out_bo_handles: u64,
    pub task_count: u32,
    /// Bytes of one [`RocketTask`].
    pub task_struct_size: u32,
    pub in_bo_handle_count: u32,
    pub out_bo_handle_count: u32,
}

/// `struct drm_rocket_submit`.
#[repr(C)]
#[derive(Debug)]
pub struct RocketSubmit {
    /// Address of [`RocketJob`]s.
    pub jobs: u64,
    pub job_count: u32,
    /// Bytes of one [`RocketJob`].
    pub job_struct_size: u32,
    /// Zero.
    pub reserved: u64,
}

/// `struct drm_rocket_prep_bo`.
#[repr(C)]
#[derive(Debug)]
pub struct RocketPrepBo {
    pub handle: u32,
    /// Zero.
    pub reserved: u32,
    /// Absolute time on `CLOCK_MONOTONIC`; in the past: do not wait.
    pub timeout_ns: i64,
}

/// `struct drm_rocket_fini_bo`.
#[repr(C)]
#[derive(Debug)]
pub struct RocketFiniBo {
    pub handle: u32,
    /// Zero.
    pub reserved: u32,
}

const _: () = {
    use nix::{request_code_readwrite, request_code_write};
    assert!(size_of::<RocketTask>() == 8 && size_of::<RocketJob>() == 40);
    assert!(request_code_readwrite!(DRM, VERSION, size_of::<Version>()) as u32 == 0xC040_6400);
    assert!(request_code_write!(DRM, GEM_CLOSE, size_of::<GemClose>()) as u32 == 0x4008_6409);
    let create = request_code_readwrite!(DRM, ROCKET_CREATE_BO, size_of::<RocketCreateBo>());
    assert!(create as u32 == 0xC018_6440);
    let submit = request_code_write!(DRM, ROCKET_SUBMIT, size_of::<RocketSubmit>());
    assert!(submit as u32 == 0x4018_6441);
    let prep = request_code_write!(DRM, ROCKET_PREP_BO, size_of::<RocketPrepBo>());
    assert!(prep as u32 == 0x4010_6442);
    let fini = request_code_write!(DRM, ROCKET_FINI_BO, size_of::<RocketFiniBo>());
    assert!(fini as u32 == 0x4008_6443);
};
