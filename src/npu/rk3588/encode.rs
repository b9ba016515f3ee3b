//! The program of a task.
//!
//! Registers keep what the last two programs of any process wrote (there are two sets, used in
//! turn), so a program writes every register that matters, zeros included. It never writes
//! CNA_S_POINTER or CORE_S_POINTER, which are the kernel's and depend on the core. The order is
//! that of programs known to run; the unit RDMA, unused, is told so, because left to an earlier
//! program's setting it would wait for operands for ever.

use super::layout::block_cols;
use super::limits::{self, ATOM, SUM};
use super::regs::*;
use crate::npu::chip::{Arithmetic, CommandStream, EncodeError, Task};

/// Number of 64-bit words of every program. Even, because the device fetches words in pairs, so
/// programs one after the other all start at multiples of 16 bytes.
pub const WORDS: usize = 126;

/// What sets the elements of A and B apart in a program.
struct Precision {
    /// Code of the elements of A and B.
    input: usize,
    /// Code of the sums.
    output: usize,
    /// Surfaces, vectors of one atom per row, that the sums of one block of columns make.
    surfaces: usize,
    /// "qd_en" of the CORE: each author's programs set or clear it, without visible effect. Here
    /// as in the published programs of the same precision.
    qd_en: usize,
}

impl Precision {
    fn of(arithmetic: Arithmetic) -> Precision {
        let (input, output, qd_en) = match arithmetic {
            Arithmetic::Int8 => (0, 4, 0),
            Arithmetic::Fp16 => (2, 5, 1),
        };
        Precision { input, output, surfaces: block_cols(arithmetic) * SUM / ATOM, qd_en }
    }
}

/// Burst length of every DMA engine, in transfers.
const BURST: usize = 16;

/// The program of a task: A row-major, B packed, C row-major.
///
/// # Errors
/// When the task exceeds a limit or a value does not fit its field.
pub fn encode(task: &Task) -> Result<CommandStream, EncodeError> {
    limits::check(task)?;
    let mut program = Program(CommandStream::new());
    ping_pong(&mut program)?;
    let precision = Precision::of(task.arithmetic);
    cna(&mut program, task, &precision)?;
    core(&mut program, task, &precision)?;
    dpu(&mut program, task, &precision)?;
    rdma(&mut program, task)?;
    tail(&mut program)?;
    debug_assert_eq!(program.0.words().len(), WORDS);
    Ok(program.0)
}

struct Program(CommandStream);

impl Program {
    fn write(&mut self, register: impl Register) -> Result<(), EncodeError> {
        self.0.push(register.word()?);
        Ok(())
    }

    fn clear(&mut self, bank: Bank) {
        bank.clear().for_each(|word| self.0.push(word));
    }
}

/// Must come before all else: which of its two register sets a block takes.
fn ping_pong(p: &mut Program) -> Result<(), EncodeError> {
    p.write(DpuSPointer {
        pointer_pp_en: 1,
        executer_pp_en: 1,
        pointer_pp_mode: 1,
        ..Default::default()
    })?;
    p.write(RdmaSPointer {
        pointer_pp_en: 1,
        executer_pp_en: 1,
        pointer_pp_mode: 1,
        ..Default::default()
    })
}

/// Loads A as a feature map of `depth` channels, `rows` high and 1 wide, and B as `cols` kernels
/// of 1×1.
fn cna(p: &mut Program, t: &Task, precision: &Precision) -> Result<(), EncodeError> {
    let (data_bank, weight_bank) = limits::banks(t);
    let row = t.depth * t.arithmetic.bytes();
    p.write(CnaConvCon1 {
        in_precision: precision.input,
        proc_precision: precision.input,
        // Rows of A are `line_stride` apart; off, groups of rows would lie together.
        group_line_off: 1,
        ..Default::default()
    })?;
    p.write(CnaConvCon2 { feature_grains: t.rows + 1, ..Default::default() })?;
    p.write(CnaConvCon3 { x_stride: 1, y_stride: 1, ..Default::default() })?;
    p.write(CnaDataSize0 { width: 1, height: t.rows })?;
    p.write(CnaDataSize1 { channel_real_minus_1: t.depth - 1, channel: t.depth })?;
    p.write(CnaDataSize2 { dataout_width: 1 })?;
    p.write(CnaDataSize3 { dataout_atomics: t.rows, ..Default::default() })?;
    p.write(CnaWeightSize0 { bytes: row * t.cols })?;
    p.write(CnaWeightSize1 { bytes_per_kernel: row })?;
    p.write(CnaWeightSize2 { width: 1, height: 1, kernels: t.cols })?;
    // `fc_data_bank` other than 0 corrupts convolutions.
    p.write(CnaCbufCon0 { data_bank, weight_bank, ..Default::default() })?;
    p.write(CnaCbufCon1 { data_entries: limits::entries(row) })?;
    p.write(CnaCvtCon0 { bypass: 1, cvt_type: 1, data_sign: 1, ..Default::default() })?;
    p.write(CnaCvtCon1 { scale: 1, offset: 0 })?;
    p.write(CnaCvtCon2 { scale: 1, offset: 0 })?;
    p.write(CnaCvtCon3 { scale: 1, offset: 0 })?;
    p.write(CnaCvtCon4 { scale: 1, offset: 0 })?;
    p.write(CnaFcCon0::default())?;
    p.write(CnaFcCon1::default())?;
    p.write(CnaPadCon0::default())?;
    p.write(CnaFeatureDataAddr { atoms: t.a as usize / ATOM })?;
    p.write(CnaFcCon2::default())?;
    p.write(CnaDmaCon0 {
        data_burst_minus_1: BURST - 1,
        weight_burst_minus_1: BURST - 1,
        ..Default::default()
    })?;
    p.write(CnaDmaCon1 { line_stride_atoms: t.a_pitch / ATOM })?;
    // Surfaces of one atom of a row follow each other without a gap.
    p.write(CnaDmaCon2 { surf_stride_atoms: 0 })?;
    p.write(CnaFcDataSize0 { dma_width: 1, dma_height: t.rows })?;
    p.write(CnaFcDataSize1 { dma_channel: t.depth })?;
    p.write(CnaDcompCtrl::default())?;
    p.write(CnaDcompRegnum::default())?;
    p.write(CnaDcompAddr0 { atoms: t.b as usize / ATOM })?;
    p.clear(CNA_DCOMP_AMOUNT);
    p.write(CnaCvtCon5::default())?;
    p.write(CnaPadCon1::default())
}

fn core(p: &mut Program, t: &Task, precision: &Precision) -> Result<(), EncodeError> {
    let &Precision { input, qd_en, .. } = precision;
    p.write(CoreMiscCfg { proc_precision: input, qd_en, ..Default::default() })?;
    p.write(CoreDataoutSize0 { height_minus_1: t.rows - 1, width_minus_1: 0 })?;
    p.write(CoreDataoutSize1 { channel_minus_1: t.cols - 1 })?;
    p.write(CoreClipTruncate::default())?;
    p.write(Core3030::default())
}

/// Stores the sums as they are. The atom of row `h` in surface `s` of column group `g` goes to
/// `c + 16·(h·(1 + notch) + s·DST_SURF_STRIDE + g·SURFACE_ADD)`, all in atoms.
fn dpu(p: &mut Program, t: &Task, precision: &Precision) -> Result<(), EncodeError> {
    let &Precision { input, output, surfaces, .. } = precision;
    let notch = t.c_pitch / ATOM - 1;
    p.write(DpuFeatureModeCfg {
        // To memory.
        output_mode: 2,
        burst_minus_1: BURST - 1,
        ..Default::default()
    })?;
    p.write(DpuDataFormat {
        out_precision: output,
        in_precision: input,
        proc_precision: input,
        ..Default::default()
    })?;
    p.write(DpuOffsetPend::default())?;
    p.write(DpuDstBaseAddr { atoms: t.c as usize / ATOM })?;
    p.write(DpuDstSurfStride { atoms: 1 })?;
    p.write(DpuDataCubeWidth { width_minus_1: 0 })?;
    p.write(DpuDataCubeHeight { height_minus_1: t.rows - 1 })?;
    p.write(DpuDataCubeNotch { notch_0_atoms: notch, notch_1_atoms: notch })?;
    p.write(DpuDataCubeChannel { orig_channel_minus_1: t.cols - 1, channel_minus_1: t.cols - 1 })?;
    p.write(DpuBsCfg {
        bypass: 1,
        alu_bypass: 1,
        mul_bypass: 1,
        relu_bypass: 1,
        ..Default::default()
    })?;
    p.write(DpuBsAluCfg::default())?;
    p.write(DpuBsMulCfg::default())?;
    p.write(DpuBsReluxCmpValue::default())?;
    p.write(DpuBsOwCfg {
        od_bypass: 1,
        size_e_0: surfaces - 1,
        size_e_1: surfaces - 1,
        size_e_2: surfaces - 1,
        ..Default::default()
    })?;
    p.write(DpuBsOwOp::default())?;
    p.write(DpuWdmaSize0 { channel_minus_1: t.cols - 1, ..Default::default() })?;
    p.write(DpuWdmaSize1 { height_minus_1: t.rows - 1, width_minus_1: 0 })?;
    p.write(DpuBnCfg {
        bypass: 1,
        alu_bypass: 1,
        mul_bypass: 1,
        relu_bypass: 1,
        ..Default::default()
    })?;
    p.write(DpuBnAluCfg::default())?;
    p.write(DpuBnMulCfg::default())?;
    p.write(DpuBnReluxCmpValue::default())?;
    p.write(DpuEwCfg { bypass: 1, op_bypass: 1, lut_bypass: 1, op_cvt_bypass: 1, relu_bypass: 1 })?;
    p.write(DpuEwCvtOffsetValue::default())?;
    p.write(DpuEwCvtScaleValue { scale: 1 })?;
    p.write(DpuEwReluxCmpValue::default())?;
    p.write(DpuOutCvtOffset::default())?;
    p.write(DpuOutCvtScale { scale: 1, fp32tofp16_en: 0 })?;
    p.write(DpuOutCvtShift::default())?;
    p.clear(DPU_EW_OP_VALUE);
    p.write(DpuSurfaceAdd { atoms: surfaces })?;
    p.write(Dpu40c4::default())?;
    p.clear(DPU_LUT);
    Ok(())
}

/// Nothing to load: every engine of this unit is off.
fn rdma(p: &mut Program, t: &Task) -> Result<(), EncodeError> {
    p.write(RdmaDataCubeWidth { width_minus_1: 0 })?;
    p.write(RdmaDataCubeHeight { height_minus_1: t.rows - 1 })?;
    p.write(RdmaDataCubeChannel { channel_minus_1: t.cols - 1 })?;
    p.write(RdmaSrcBaseAddr::default())?;
    p.write(RdmaBrdmaCfg::default())?;
    p.write(RdmaBsBaseAddr::default())?;
    p.write(RdmaNrdmaCfg::default())?;
    p.write(RdmaBnBaseAddr::default())?;
    p.write(RdmaErdmaCfg { disable: 1, ..Default::default() })?;
    p.write(RdmaEwBaseAddr::default())?;
    p.write(RdmaEwSurfStride::default())?;
    p.write(RdmaFeatureModeCfg {
        mrdma_disable: 1,
        burst_minus_1: BURST - 1,
        ..Default::default()
    })?;
    p.write(RdmaSrcDmaCfg::default())?;
    p.write(RdmaSurfNotch::default())?;
    p.write(RdmaPadCfg::default())?;
    p.write(RdmaWeight { e_weight: 1, n_weight: 1, b_weight: 1, m_weight: 1 })?;
    p.write(RdmaEwSurfNotch::default())
}

/// The four words that end every program: no program follows this one; start.
fn tail(p: &mut Program) -> Result<(), EncodeError> {
    p.0.push(FILLER);
    p.write(PcRegisterAmounts { amount: 0 })?;
    p.0.push(BEFORE_OP_ENABLE);
    p.write(PcOperationEnable { cna: 1, core: 1, dpu: 1, rdma: 1, ..Default::default() })
}
