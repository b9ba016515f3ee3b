//! Rockchip RK3588: three cores of 1,024 int8 or 512 fp16 multiply-accumulates per cycle.
//!
//! A product is a 1×1 convolution to this chip: rows are the positions of a feature map of
//! width 1, depth is the input channels, columns are the kernels. A task goes through the units
//! *PC* (fetches the register commands), *CNA* (loads A and B into the convolution buffer),
//! *CORE* (multiplies and accumulates) and *DPU* (converts and stores C).
//!
//! * [`limits`] is what one task can be, and why;
//! * [`layout`] is the order of B in memory;
//! * `regs` is the table of registers and their fields;
//! * [`encode`] writes the program of a task.
//!
//! Names of registers and fields are those of the RK3588 Technical Reference Manual, part 1,
//! chapter 36 (RKNN); the values are those of programs known to run on boards.

pub mod encode;
pub mod layout;
pub mod limits;
mod regs;

use super::chip::{Arithmetic, Chip, CommandStream, EncodeError, Limits, Task};

/// The chip.
#[derive(Debug)]
pub struct Rk3588;

impl Chip for Rk3588 {
    fn name(&self) -> &'static str {
        "RK3588"
    }

    fn cores(&self) -> usize {
        3
    }

    fn limits(&self, arithmetic: Arithmetic) -> &Limits {
        limits::of(arithmetic)
    }

    fn max_rows(&self, arithmetic: Arithmetic, depth: usize) -> usize {
        limits::max_rows(arithmetic, depth)
    }

    fn pack_b_block(&self, arithmetic: Arithmetic, columns: &[u8], pitch: usize, dst: &mut [u8]) {
        layout::pack_b_block(arithmetic, columns, pitch, dst);
    }

    fn encode(&self, task: &Task) -> Result<CommandStream, EncodeError> {
        encode::encode(task)
    }
}
