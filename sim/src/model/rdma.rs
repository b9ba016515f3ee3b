//! DPU_RDMA: fetches operands for the DPU's stages. A plain product needs none of it, but when
//! the block is started, every fetcher that nobody drains hangs the task.

use super::Hang;
use super::dpu::Dpu;
use super::registers::{Register, Registers, register};

const DATA_CUBE_WIDTH: Register = register(0x500c, "RDMA_DATA_CUBE_WIDTH", 0x1fff);
const DATA_CUBE_HEIGHT: Register = register(0x5010, "RDMA_DATA_CUBE_HEIGHT", 0x1fff);
const DATA_CUBE_CHANNEL: Register = register(0x5014, "RDMA_DATA_CUBE_CHANNEL", 0x1fff);
const BRDMA_CFG: Register = register(0x501c, "RDMA_BRDMA_CFG", u32::MAX);
const NRDMA_CFG: Register = register(0x5028, "RDMA_NRDMA_CFG", u32::MAX);
const ERDMA_CFG: Register = register(0x5034, "RDMA_ERDMA_CFG", 0xf000_000f);
const FEATURE_MODE_CFG: Register = register(0x5044, "RDMA_FEATURE_MODE_CFG", 0x0003_ffff);

/// Every register of the block that a program may write.
pub const REGISTERS: &[Register] = &[
    DATA_CUBE_WIDTH,
    DATA_CUBE_HEIGHT,
    DATA_CUBE_CHANNEL,
    register(0x5018, "RDMA_SRC_BASE_ADDR", u32::MAX),
    BRDMA_CFG,
    register(0x5020, "RDMA_BS_BASE_ADDR", u32::MAX),
    NRDMA_CFG,
    register(0x502c, "RDMA_BN_BASE_ADDR", u32::MAX),
    ERDMA_CFG,
    register(0x5038, "RDMA_EW_BASE_ADDR", u32::MAX),
    register(0x5040, "RDMA_EW_SURF_STRIDE", u32::MAX),
    FEATURE_MODE_CFG,
    register(0x5048, "RDMA_SRC_DMA_CFG", u32::MAX),
    register(0x504c, "RDMA_SURF_NOTCH", u32::MAX),
    register(0x5064, "RDMA_PAD_CFG", u32::MAX),
    register(0x5068, "RDMA_WEIGHT", u32::MAX),
    register(0x506c, "RDMA_EW_SURF_NOTCH", u32::MAX),
];

/// Checks a started block against a DPU whose stages are all bypassed.
///
/// # Errors
/// A fetcher that is on, or a shape other than the DPU's.
pub fn check(r: &Registers, dpu: &Dpu) -> Result<(), Hang> {
    for (on, name) in [
        (!r.bit(FEATURE_MODE_CFG, 4), "MRDMA (RDMA_FEATURE_MODE_CFG bit 4 is clear)"),
        (!r.bit(ERDMA_CFG, 0), "ERDMA (RDMA_ERDMA_CFG bit 0 is clear)"),
        (r.value(BRDMA_CFG) != 0, "BRDMA (RDMA_BRDMA_CFG is not 0)"),
        (r.value(NRDMA_CFG) != 0, "NRDMA (RDMA_NRDMA_CFG is not 0)"),
    ] {
        require!(!on, "DPU_RDMA is started with {name} on, but no DPU stage drains it");
    }
    require!(
        !r.bit(FEATURE_MODE_CFG, 0),
        "RDMA_FEATURE_MODE_CFG: flying mode takes the place of the convolution"
    );
    for (register, size) in [
        (DATA_CUBE_WIDTH, dpu.width),
        (DATA_CUBE_HEIGHT, dpu.height),
        (DATA_CUBE_CHANNEL, dpu.kernels),
    ] {
        let value = r.value(register);
        require!(
            value as usize + 1 == size,
            "{} = {value}, but the DPU's is {}",
            register.name,
            size - 1
        );
    }
    Ok(())
}
