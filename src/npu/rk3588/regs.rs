//! The registers that a program writes: block, offset, name, fields.
//!
//! A register is a struct with one member per field; members that are not named stay zero. Its
//! [`word`](Register::word) is the register command that writes it. A value that its field
//! cannot hold is an error: the hardware would drop the upper bits and compute something else.
//!
//! Sizes, strides and addresses are in the unit that the field holds. Fields called `…_atoms`
//! count atoms of 16 bytes; fields called `…_minus_1` hold one less than the quantity.

use crate::npu::chip::EncodeError;

/// Where a register command goes: bits 63:48 of the word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u16)]
pub enum Target {
    /// Fetches and applies the program.
    Pc = 0x0101,
    /// Loads A and B into the convolution buffer.
    Cna = 0x0201,
    /// Multiplies and accumulates.
    Core = 0x0801,
    /// Converts and stores C.
    Dpu = 0x1001,
    /// Loads further operands of the DPU.
    Rdma = 0x2001,
    /// Starts the blocks that the value names.
    OpEnable = 0x0081,
}

/// Must come right before the word that starts the blocks (manual, "op_en").
pub const BEFORE_OP_ENABLE: u64 = 0x0041_0000_0000_0000;
/// Takes the place of a word and does nothing.
pub const FILLER: u64 = 0;

/// The command that writes `value` to the register at `offset`.
pub fn command(target: Target, offset: u16, value: u32) -> u64 {
    (target as u64) << 48 | u64::from(value) << 16 | u64::from(offset)
}

/// A register with the values to write to its fields.
pub trait Register {
    /// Its block.
    const TARGET: Target;
    /// Byte offset in the window of a core.
    const OFFSET: u16;
    /// Name in the manual.
    const NAME: &'static str;

    /// The 32 bits of the register.
    fn value(&self) -> Result<u32, EncodeError>;

    /// The command that writes the register.
    fn word(&self) -> Result<u64, EncodeError> {
        Ok(command(Self::TARGET, Self::OFFSET, self.value()?))
    }
}

/// A value and the bits that it goes to.
struct Field {
    name: &'static str,
    high: u32,
    low: u32,
    value: usize,
}

fn assemble(register: &str, fields: &[Field]) -> Result<u32, EncodeError> {
    fields.iter().try_fold(0, |bits, &Field { name, high, low, value }| {
        let max = u32::MAX >> (31 - (high - low));
        match u32::try_from(value) {
            Ok(value) if value <= max => Ok(bits | value << low),
            _ => Err(EncodeError(format!("{register}.{name} = {value}: the field ends at {max}"))),
        }
    })
}

macro_rules! registers {
    ($($type:ident = $target:ident $offset:literal $name:literal {
        $($field:ident $high:literal:$low:literal),*
    })*) => {$(
        #[doc = $name]
        #[derive(Debug, Clone, Copy, Default)]
        pub struct $type {
            $(pub $field: usize,)*
        }
        impl Register for $type {
            const TARGET: Target = Target::$target;
            const OFFSET: u16 = $offset;
            const NAME: &'static str = $name;
            fn value(&self) -> Result<u32, EncodeError> {
                assemble(Self::NAME, &[
                    $(Field {
                        name: stringify!($field),
                        high: $high,
                        low: $low,
                        value: self.$field,
                    },)*
                ])
            }
        }
    )*
    #[cfg(test)]
    const OFFSETS: &[(Target, u16, &str)] = &[$((Target::$target, $offset, $name)),*];
    };
}

registers! {
PcRegisterAmounts = Pc 0x0014 "PC_REGISTER_AMOUNTS" { amount 15:0 }
PcOperationEnable = OpEnable 0x0008 "PC_OPERATION_ENABLE" {
    cna 0:0, core 2:2, dpu 3:3, rdma 4:4, ppu 5:5, ppu_rdma 6:6
}

CnaConvCon1 = Cna 0x100c "CNA_CONV_CON1" {
    conv_mode 3:0, in_precision 6:4, proc_precision 9:7, argb_in 15:12, deconv 16:16,
    group_line_off 29:29, nonalign_dma 30:30
}
CnaConvCon2 = Cna 0x1010 "CNA_CONV_CON2" {
    fifo_reset 0:0, csc_do_off 1:1, csc_wo_off 2:2, feature_grains 13:4, kernel_group 23:16
}
CnaConvCon3 = Cna 0x1014 "CNA_CONV_CON3" { x_stride 2:0, y_stride 5:3, nn_mode 30:28 }
CnaDataSize0 = Cna 0x1020 "CNA_DATA_SIZE0" { width 26:16, height 10:0 }
CnaDataSize1 = Cna 0x1024 "CNA_DATA_SIZE1" { channel_real_minus_1 29:16, channel 15:0 }
CnaDataSize2 = Cna 0x1028 "CNA_DATA_SIZE2" { dataout_width 10:0 }
CnaDataSize3 = Cna 0x102c "CNA_DATA_SIZE3" { surf_mode 23:22, dataout_atomics 21:0 }
CnaWeightSize0 = Cna 0x1030 "CNA_WEIGHT_SIZE0" { bytes 31:0 }
CnaWeightSize1 = Cna 0x1034 "CNA_WEIGHT_SIZE1" { bytes_per_kernel 18:0 }
CnaWeightSize2 = Cna 0x1038 "CNA_WEIGHT_SIZE2" { width 28:24, height 20:16, kernels 13:0 }
CnaCbufCon0 = Cna 0x1040 "CNA_CBUF_CON0" {
    data_bank 3:0, weight_bank 7:4, fc_data_bank 10:8, data_reuse 12:12, weight_reuse 13:13
}
CnaCbufCon1 = Cna 0x1044 "CNA_CBUF_CON1" { data_entries 12:0 }
CnaCvtCon0 = Cna 0x104c "CNA_CVT_CON0" { bypass 0:0, cvt_type 1:1, round_type 2:2, data_sign 3:3 }
CnaCvtCon1 = Cna 0x1050 "CNA_CVT_CON1" { scale 31:16, offset 15:0 }
CnaCvtCon2 = Cna 0x1054 "CNA_CVT_CON2" { scale 31:16, offset 15:0 }
CnaCvtCon3 = Cna 0x1058 "CNA_CVT_CON3" { scale 31:16, offset 15:0 }
CnaCvtCon4 = Cna 0x105c "CNA_CVT_CON4" { scale 31:16, offset 15:0 }
CnaFcCon0 = Cna 0x1060 "CNA_FC_CON0" { value 31:0 }
CnaFcCon1 = Cna 0x1064 "CNA_FC_CON1" { value 31:0 }
CnaPadCon0 = Cna 0x1068 "CNA_PAD_CON0" { value 31:0 }
CnaFeatureDataAddr = Cna 0x1070 "CNA_FEATURE_DATA_ADDR" { atoms 31:4 }
CnaFcCon2 = Cna 0x1074 "CNA_FC_CON2" { value 31:0 }
CnaDmaCon0 = Cna 0x1078 "CNA_DMA_CON0" {
    data_burst_minus_1 3:0, weight_burst_minus_1 19:16, ov4k_bypass 31:31
}
CnaDmaCon1 = Cna 0x107c "CNA_DMA_CON1" { line_stride_atoms 27:0 }
CnaDmaCon2 = Cna 0x1080 "CNA_DMA_CON2" { surf_stride_atoms 27:0 }
CnaFcDataSize0 = Cna 0x1084 "CNA_FC_DATA_SIZE0" { dma_width 29:16, dma_height 10:0 }
CnaFcDataSize1 = Cna 0x1088 "CNA_FC_DATA_SIZE1" { dma_channel 15:0 }
CnaDcompCtrl = Cna 0x1100 "CNA_DCOMP_CTRL" { control 2:0, bypass 3:3 }
CnaDcompRegnum = Cna 0x1104 "CNA_DCOMP_REGNUM" { value 31:0 }
CnaDcompAddr0 = Cna 0x1110 "CNA_DCOMP_ADDR0" { atoms 31:4 }
CnaCvtCon5 = Cna 0x1180 "CNA_CVT_CON5" { value 31:0 }
CnaPadCon1 = Cna 0x1184 "CNA_PAD_CON1" { value 31:0 }

CoreMiscCfg = Core 0x3010 "CORE_MISC_CFG" {
    qd_en 0:0, dw_en 1:1, proc_precision 10:8, soft_gating 19:14
}
CoreDataoutSize0 = Core 0x3014 "CORE_DATAOUT_SIZE_0" { height_minus_1 31:16, width_minus_1 15:0 }
CoreDataoutSize1 = Core 0x3018 "CORE_DATAOUT_SIZE_1" { channel_minus_1 15:0 }
CoreClipTruncate = Core 0x301c "CORE_CLIP_TRUNCATE" { bits 4:0, round_type 6:6 }
Core3030 = Core 0x3030 "CORE_3030" { value 31:0 }

DpuSPointer = Dpu 0x4004 "DPU_S_POINTER" {
    pointer 0:0, pointer_pp_en 1:1, executer_pp_en 2:2, pointer_pp_mode 3:3,
    pointer_clear 4:4, executer_clear 5:5
}
DpuFeatureModeCfg = Dpu 0x400c "DPU_FEATURE_MODE_CFG" {
    flying 0:0, output_mode 2:1, conv_mode 4:3, burst_minus_1 8:5, tp_en 30:30, comb_use 31:31
}
DpuDataFormat = Dpu 0x4010 "DPU_DATA_FORMAT" {
    out_precision 31:29, in_precision 28:26, mc_surf_out 3:3, proc_precision 2:0
}
DpuOffsetPend = Dpu 0x4014 "DPU_OFFSET_PEND" { value 31:0 }
DpuDstBaseAddr = Dpu 0x4020 "DPU_DST_BASE_ADDR" { atoms 31:4 }
DpuDstSurfStride = Dpu 0x4024 "DPU_DST_SURF_STRIDE" { atoms 31:4 }
DpuDataCubeWidth = Dpu 0x4030 "DPU_DATA_CUBE_WIDTH" { width_minus_1 12:0 }
DpuDataCubeHeight = Dpu 0x4034 "DPU_DATA_CUBE_HEIGHT" { height_minus_1 12:0 }
DpuDataCubeNotch = Dpu 0x4038 "DPU_DATA_CUBE_NOTCH" { notch_0_atoms 12:0, notch_1_atoms 28:16 }
DpuDataCubeChannel = Dpu 0x403c "DPU_DATA_CUBE_CHANNEL" {
    orig_channel_minus_1 28:16, channel_minus_1 12:0
}
DpuBsCfg = Dpu 0x4040 "DPU_BS_CFG" {
    bypass 0:0, alu_bypass 1:1, mul_bypass 4:4, relu_bypass 6:6, alu_src 8:8, alu_algo 19:16
}
DpuBsAluCfg = Dpu 0x4044 "DPU_BS_ALU_CFG" { value 31:0 }
DpuBsMulCfg = Dpu 0x4048 "DPU_BS_MUL_CFG" { value 31:0 }
DpuBsReluxCmpValue = Dpu 0x404c "DPU_BS_RELUX_CMP_VALUE" { value 31:0 }
DpuBsOwCfg = Dpu 0x4050 "DPU_BS_OW_CFG" {
    od_bypass 1:1, size_e_0 4:2, size_e_1 7:5, size_e_2 10:8, tp_org_en 27:27
}
DpuBsOwOp = Dpu 0x4054 "DPU_BS_OW_OP" { value 31:0 }
DpuWdmaSize0 = Dpu 0x4058 "DPU_WDMA_SIZE_0" {
    channel_minus_1 12:0, size_c 26:16, tp_precision 27:27
}
DpuWdmaSize1 = Dpu 0x405c "DPU_WDMA_SIZE_1" { height_minus_1 28:16, width_minus_1 12:0 }
DpuBnCfg = Dpu 0x4060 "DPU_BN_CFG" {
    bypass 0:0, alu_bypass 1:1, mul_bypass 4:4, relu_bypass 6:6, alu_src 8:8, alu_algo 19:16
}
DpuBnAluCfg = Dpu 0x4064 "DPU_BN_ALU_CFG" { value 31:0 }
DpuBnMulCfg = Dpu 0x4068 "DPU_BN_MUL_CFG" { value 31:0 }
DpuBnReluxCmpValue = Dpu 0x406c "DPU_BN_RELUX_CMP_VALUE" { value 31:0 }
DpuEwCfg = Dpu 0x4070 "DPU_EW_CFG" {
    bypass 0:0, op_bypass 1:1, lut_bypass 7:7, op_cvt_bypass 8:8, relu_bypass 9:9
}
DpuEwCvtOffsetValue = Dpu 0x4074 "DPU_EW_CVT_OFFSET_VALUE" { value 31:0 }
DpuEwCvtScaleValue = Dpu 0x4078 "DPU_EW_CVT_SCALE_VALUE" { scale 15:0 }
DpuEwReluxCmpValue = Dpu 0x407c "DPU_EW_RELUX_CMP_VALUE" { value 31:0 }
DpuOutCvtOffset = Dpu 0x4080 "DPU_OUT_CVT_OFFSET" { value 31:0 }
DpuOutCvtScale = Dpu 0x4084 "DPU_OUT_CVT_SCALE" { scale 15:0, fp32tofp16_en 16:16 }
DpuOutCvtShift = Dpu 0x4088 "DPU_OUT_CVT_SHIFT" {
    shift 11:0, minus_exp 19:12, cvt_round 30:30, cvt_type 31:31
}
DpuSurfaceAdd = Dpu 0x40c0 "DPU_SURFACE_ADD" { atoms 31:4 }
Dpu40c4 = Dpu 0x40c4 "DPU_40C4" { value 31:0 }

RdmaSPointer = Rdma 0x5004 "RDMA_S_POINTER" {
    pointer 0:0, pointer_pp_en 1:1, executer_pp_en 2:2, pointer_pp_mode 3:3,
    pointer_clear 4:4, executer_clear 5:5
}
RdmaDataCubeWidth = Rdma 0x500c "RDMA_DATA_CUBE_WIDTH" { width_minus_1 12:0 }
RdmaDataCubeHeight = Rdma 0x5010 "RDMA_DATA_CUBE_HEIGHT" { height_minus_1 12:0 }
RdmaDataCubeChannel = Rdma 0x5014 "RDMA_DATA_CUBE_CHANNEL" { channel_minus_1 12:0 }
RdmaSrcBaseAddr = Rdma 0x5018 "RDMA_SRC_BASE_ADDR" { atoms 31:4 }
RdmaBrdmaCfg = Rdma 0x501c "RDMA_BRDMA_CFG" { data_use 4:1 }
RdmaBsBaseAddr = Rdma 0x5020 "RDMA_BS_BASE_ADDR" { atoms 31:4 }
RdmaNrdmaCfg = Rdma 0x5028 "RDMA_NRDMA_CFG" { value 31:0 }
RdmaBnBaseAddr = Rdma 0x502c "RDMA_BN_BASE_ADDR" { atoms 31:4 }
RdmaErdmaCfg = Rdma 0x5034 "RDMA_ERDMA_CFG" {
    disable 0:0, ov4k_bypass 1:1, data_size 3:2, nonalign 28:28, surf_mode 29:29, data_mode 31:30
}
RdmaEwBaseAddr = Rdma 0x5038 "RDMA_EW_BASE_ADDR" { atoms 31:4 }
RdmaEwSurfStride = Rdma 0x5040 "RDMA_EW_SURF_STRIDE" { atoms 31:4 }
RdmaFeatureModeCfg = Rdma 0x5044 "RDMA_FEATURE_MODE_CFG" {
    flying 0:0, conv_mode 2:1, mrdma_fp16tofp32 3:3, mrdma_disable 4:4, proc_precision 7:5,
    comb_use 10:8, burst_minus_1 14:11, in_precision 17:15
}
RdmaSrcDmaCfg = Rdma 0x5048 "RDMA_SRC_DMA_CFG" { value 31:0 }
RdmaSurfNotch = Rdma 0x504c "RDMA_SURF_NOTCH" { atoms 31:4 }
RdmaPadCfg = Rdma 0x5064 "RDMA_PAD_CFG" { value 31:0 }
RdmaWeight = Rdma 0x5068 "RDMA_WEIGHT" {
    e_weight 31:24, n_weight 23:16, b_weight 15:8, m_weight 7:0
}
RdmaEwSurfNotch = Rdma 0x506c "RDMA_EW_SURF_NOTCH" { atoms 31:4 }
}

/// Registers in a row that have no fields of interest here.
#[derive(Debug, Clone, Copy)]
pub struct Bank {
    target: Target,
    first: u16,
    last: u16,
}

/// CNA_DCOMP_AMOUNT0 to 15: sizes of compressed weights.
pub const CNA_DCOMP_AMOUNT: Bank = Bank { target: Target::Cna, first: 0x1140, last: 0x117c };
/// DPU_EW_OP_VALUE_0 to 7: constant operands of the elementwise unit.
pub const DPU_EW_OP_VALUE: Bank = Bank { target: Target::Dpu, first: 0x4090, last: 0x40ac };
/// DPU_LUT_ACCESS_CFG to DPU_LUT_LO_SLOPE_SHIFT: the look-up tables.
pub const DPU_LUT: Bank = Bank { target: Target::Dpu, first: 0x4100, last: 0x412c };

impl Bank {
    /// The commands that set all of them to zero.
    pub fn clear(self) -> impl Iterator<Item = u64> {
        (self.first..=self.last).step_by(4).map(move |offset| command(self.target, offset, 0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_in_order_and_in_the_right_blocks() {
        assert!(OFFSETS.is_sorted_by_key(|&(_, offset, _)| match offset {
            // The PC's two come last in a program but first in its window.
            0x0014 => 0,
            0x0008 => 1,
            _ => offset,
        }));
        for &(target, offset, name) in OFFSETS {
            let (page, prefix) = match target {
                Target::Pc | Target::OpEnable => (0, "PC_"),
                Target::Cna => (1, "CNA_"),
                Target::Core => (3, "CORE_"),
                Target::Dpu => (4, "DPU_"),
                Target::Rdma => (5, "RDMA_"),
            };
            assert!(offset >> 12 == page && name.starts_with(prefix), "{name} at {offset:#x}");
        }
        let mut names: Vec<_> = OFFSETS.iter().map(|&(.., name)| name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), OFFSETS.len(), "a name twice");
    }

    #[test]
    fn a_value_that_does_not_fit_is_an_error() {
        let word = |height| CnaDataSize0 { width: 1, height }.word();
        assert_eq!(word(2047), Ok(0x0201_0001_07ff_1020));
        let error = "CNA_DATA_SIZE0.height = 2048: the field ends at 2047";
        assert_eq!(word(2048), Err(EncodeError(error.into())));
        assert!(word(usize::MAX).is_err());
        let whole = |bytes| CnaWeightSize0 { bytes }.word();
        assert_eq!(whole(u32::MAX as usize), Ok(0x0201_ffff_ffff_1030));
        assert!(whole(1 << 32).is_err());
        assert!(DpuDstBaseAddr { atoms: 1 << 28 }.word().is_err());
        assert_eq!(DpuDstBaseAddr { atoms: 0xfff_ffff }.word(), Ok(0x1001_ffff_fff0_4020));
    }
}
