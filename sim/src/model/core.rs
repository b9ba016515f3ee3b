//! CORE: the multiply-accumulate array. It is told the shape of its output once more.

use super::Hang;
use super::precision::Input;
use super::registers::{Register, Registers, register};

const MAC_GATING: Register = register(0x300c, "CORE_MAC_GATING", u32::MAX);
const MISC_CFG: Register = register(0x3010, "CORE_MISC_CFG", 0x000f_c703);
const DATAOUT_SIZE_0: Register = register(0x3014, "CORE_DATAOUT_SIZE_0", u32::MAX);
const DATAOUT_SIZE_1: Register = register(0x3018, "CORE_DATAOUT_SIZE_1", 0xffff);
const CLIP_TRUNCATE: Register = register(0x301c, "CORE_CLIP_TRUNCATE", 0x5f);

/// Every register of the block that a program may write. 0x3030 has no known meaning.
pub const REGISTERS: &[Register] = &[
    MAC_GATING,
    MISC_CFG,
    DATAOUT_SIZE_0,
    DATAOUT_SIZE_1,
    CLIP_TRUNCATE,
    register(0x3030, "CORE_3030", u32::MAX),
];

/// MAC_GATING after reset, which is what every program runs with.
const MAC_GATING_RESET: u32 = 0x0780_0800;

/// What the block was told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CoreUnit {
    /// Operand type.
    pub input: Input,
    /// Columns of the output plane.
    pub width: usize,
    /// Rows of the output plane.
    pub height: usize,
    /// Kernels.
    pub kernels: usize,
}

impl CoreUnit {
    /// Reads the registers of the started group.
    ///
    /// # Errors
    /// Depthwise mode, truncation and gated multipliers, which are not modelled.
    pub fn decode(r: &Registers) -> Result<Self, Hang> {
        let gating = r.written(MAC_GATING).unwrap_or(MAC_GATING_RESET);
        require!(gating != 0, "CORE_MAC_GATING = 0 switches the multipliers off: the task hangs");
        require!(
            gating == MAC_GATING_RESET,
            "CORE_MAC_GATING = {gating:#x} is not modelled, only the reset value"
        );
        require!(!r.bit(MISC_CFG, 1), "CORE_MISC_CFG: depthwise mode is not modelled yet");
        require!(r.value(CLIP_TRUNCATE) == 0, "CORE_CLIP_TRUNCATE is not modelled yet");
        Ok(CoreUnit {
            input: Input::from_code(r.field(MISC_CFG, 10, 8), MISC_CFG.name)?,
            width: r.field(DATAOUT_SIZE_0, 15, 0) as usize + 1,
            height: r.field(DATAOUT_SIZE_0, 31, 16) as usize + 1,
            kernels: r.value(DATAOUT_SIZE_1) as usize + 1,
        })
    }
}
