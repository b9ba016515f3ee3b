//! CNA: fetches features and weights into the convolution buffer (CBUF).
//!
//! A matrix product runs as a 1x1 convolution: positions are the rows of A, channels are k,
//! kernels are the columns of B. Everything that only a larger convolution needs is refused by
//! name.

use super::Hang;
use super::precision::Input;
use super::registers::{Register, Registers, register};

const CONV_CON1: Register = register(0x100c, "CNA_CONV_CON1", 0x6001_f3ff);
const CONV_CON2: Register = register(0x1010, "CNA_CONV_CON2", 0x00ff_3ff7);
const CONV_CON3: Register = register(0x1014, "CNA_CONV_CON3", u32::MAX);
const DATA_SIZE0: Register = register(0x1020, "CNA_DATA_SIZE0", 0x07ff_07ff);
const DATA_SIZE1: Register = register(0x1024, "CNA_DATA_SIZE1", 0x3fff_ffff);
const DATA_SIZE2: Register = register(0x1028, "CNA_DATA_SIZE2", 0x07ff);
const DATA_SIZE3: Register = register(0x102c, "CNA_DATA_SIZE3", 0x00ff_ffff);
const WEIGHT_SIZE0: Register = register(0x1030, "CNA_WEIGHT_SIZE0", u32::MAX);
const WEIGHT_SIZE1: Register = register(0x1034, "CNA_WEIGHT_SIZE1", 0x0007_ffff);
const WEIGHT_SIZE2: Register = register(0x1038, "CNA_WEIGHT_SIZE2", 0x1f1f_3fff);
const CBUF_CON0: Register = register(0x1040, "CNA_CBUF_CON0", 0x37ff);
const CBUF_CON1: Register = register(0x1044, "CNA_CBUF_CON1", 0x1fff);
const CVT_CON0: Register = register(0x104c, "CNA_CVT_CON0", 0x0fff_ffff);
const FC_CON0: Register = register(0x1060, "CNA_FC_CON0", u32::MAX);
const FC_CON1: Register = register(0x1064, "CNA_FC_CON1", u32::MAX);
const PAD_CON0: Register = register(0x1068, "CNA_PAD_CON0", u32::MAX);
const FEATURE_DATA_ADDR: Register = register(0x1070, "CNA_FEATURE_DATA_ADDR", u32::MAX);
const FC_CON2: Register = register(0x1074, "CNA_FC_CON2", u32::MAX);
const DMA_CON1: Register = register(0x107c, "CNA_DMA_CON1", 0x0fff_ffff);
const DMA_CON2: Register = register(0x1080, "CNA_DMA_CON2", 0x0fff_ffff);
const FC_DATA_SIZE0: Register = register(0x1084, "CNA_FC_DATA_SIZE0", 0x3fff_07ff);
const FC_DATA_SIZE1: Register = register(0x1088, "CNA_FC_DATA_SIZE1", 0xffff);
const CLK_GATE: Register = register(0x1090, "CNA_CLK_GATE", u32::MAX);
const DCOMP_CTRL: Register = register(0x1100, "CNA_DCOMP_CTRL", u32::MAX);
const DCOMP_REGNUM: Register = register(0x1104, "CNA_DCOMP_REGNUM", u32::MAX);
const DCOMP_ADDR0: Register = register(0x1110, "CNA_DCOMP_ADDR0", u32::MAX);
const CVT_CON5: Register = register(0x1180, "CNA_CVT_CON5", u32::MAX);

/// Every register of the block that a program may write.
pub const REGISTERS: &[Register] = &[
    CONV_CON1,
    CONV_CON2,
    CONV_CON3,
    DATA_SIZE0,
    DATA_SIZE1,
    DATA_SIZE2,
    DATA_SIZE3,
    WEIGHT_SIZE0,
    WEIGHT_SIZE1,
    WEIGHT_SIZE2,
    CBUF_CON0,
    CBUF_CON1,
    CVT_CON0,
    register(0x1050, "CNA_CVT_CON1", u32::MAX),
    register(0x1054, "CNA_CVT_CON2", u32::MAX),
    register(0x1058, "CNA_CVT_CON3", u32::MAX),
    register(0x105c, "CNA_CVT_CON4", u32::MAX),
    FC_CON0,
    FC_CON1,
    PAD_CON0,
    FEATURE_DATA_ADDR,
    FC_CON2,
    register(0x1078, "CNA_DMA_CON0", 0x800f_000f),
    DMA_CON1,
    DMA_CON2,
    FC_DATA_SIZE0,
    FC_DATA_SIZE1,
    CLK_GATE,
    DCOMP_CTRL,
    DCOMP_REGNUM,
    DCOMP_ADDR0,
    register(0x1140, "CNA_DCOMP_AMOUNT0", u32::MAX),
    register(0x1144, "CNA_DCOMP_AMOUNT1", u32::MAX),
    register(0x1148, "CNA_DCOMP_AMOUNT2", u32::MAX),
    register(0x114c, "CNA_DCOMP_AMOUNT3", u32::MAX),
    register(0x1150, "CNA_DCOMP_AMOUNT4", u32::MAX),
    register(0x1154, "CNA_DCOMP_AMOUNT5", u32::MAX),
    register(0x1158, "CNA_DCOMP_AMOUNT6", u32::MAX),
    register(0x115c, "CNA_DCOMP_AMOUNT7", u32::MAX),
    register(0x1160, "CNA_DCOMP_AMOUNT8", u32::MAX),
    register(0x1164, "CNA_DCOMP_AMOUNT9", u32::MAX),
    register(0x1168, "CNA_DCOMP_AMOUNT10", u32::MAX),
    register(0x116c, "CNA_DCOMP_AMOUNT11", u32::MAX),
    register(0x1170, "CNA_DCOMP_AMOUNT12", u32::MAX),
    register(0x1174, "CNA_DCOMP_AMOUNT13", u32::MAX),
    register(0x1178, "CNA_DCOMP_AMOUNT14", u32::MAX),
    register(0x117c, "CNA_DCOMP_AMOUNT15", u32::MAX),
    CVT_CON5,
    register(0x1184, "CNA_PAD_CON1", u32::MAX),
];

/// Features that a matrix product leaves off; each is a whole register that must read 0.
const OFF: [(Register, &str); 9] = [
    (FC_CON0, "zero skipping"),
    (FC_CON1, "feature offsets"),
    (FC_CON2, "weight offsets"),
    (PAD_CON0, "padding"),
    (CLK_GATE, "clock gating"),
    (DCOMP_CTRL, "weight decompression"),
    (DCOMP_REGNUM, "weight decompression"),
    (CVT_CON5, "the input converter"),
    (CONV_CON3, "strides other than 1, dilation, deconvolution and co-work"),
];

/// What the block was told, checked as far as it concerns the block alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cna {
    /// Operand type of both features and weights.
    pub input: Input,
    /// Columns of the feature plane.
    pub width: usize,
    /// Rows of the feature plane. Positions are numbered row by row.
    pub height: usize,
    /// Channels: k of the product.
    pub channels: usize,
    /// Kernels: n of the product.
    pub kernels: usize,
    /// IOVA of the feature at row, column and channel 0.
    pub feature: u32,
    /// Atoms from one row of the plane to the next.
    pub line: i64,
    /// Atoms from one surface (16 bytes of channels) to the next; may be negative.
    pub surface: i64,
    /// IOVA of the weights.
    pub weights: u32,
    /// CBUF entries of 64 bytes that one row of the plane takes.
    pub entries: usize,
    /// CBUF banks for features.
    pub data_banks: usize,
    /// CBUF banks for weights.
    pub weight_banks: usize,
    /// The features are those of the task before; fetch none.
    pub data_reuse: bool,
    /// The weights are those of the task before; fetch none.
    pub weight_reuse: bool,
}

impl Cna {
    /// Reads the registers of the started group.
    ///
    /// # Errors
    /// Fields that contradict each other, and whatever is not modelled.
    pub fn decode(r: &Registers) -> Result<Self, Hang> {
        let input = Input::from_code(r.field(CONV_CON1, 6, 4), CONV_CON1.name)?;
        require!(
            r.field(CONV_CON1, 9, 7) == r.field(CONV_CON1, 6, 4),
            "CNA_CONV_CON1: input and processing precision differ"
        );
        for (bits, what) in [
            (r.field(CONV_CON1, 3, 0), "convolution mode"),
            (r.field(CONV_CON1, 15, 12), "image input mode"),
            (r.field(CONV_CON1, 16, 16), "deconvolution"),
            (r.field(CONV_CON1, 30, 30), "non-aligned DMA"),
        ] {
            require!(bits == 0, "CNA_CONV_CON1: {what} {bits} is not modelled yet");
        }
        require!(
            r.field(CONV_CON2, 2, 0) == 0,
            "CNA_CONV_CON2: the feature or weight sequencer is switched off"
        );
        require!(r.field(CONV_CON2, 13, 4) != 0, "CNA_CONV_CON2: no feature grains");
        for (register, what) in OFF {
            let zero = if register == CONV_CON3 { 0x9 } else { 0 };
            let value = r.value(register);
            require!(value == zero, "{} = {value:#x}: {what} not modelled yet", register.name);
        }
        require!(r.bit(CVT_CON0, 0), "CNA_CVT_CON0: the input converter is not modelled yet");

        let size = |high, low| r.field(DATA_SIZE0, high, low) as usize;
        let (width, height) = (size(26, 16), size(10, 0));
        let channels = r.field(DATA_SIZE1, 15, 0) as usize;
        let kernels = r.field(WEIGHT_SIZE2, 13, 0) as usize;
        let cna = Cna {
            input,
            width,
            height,
            channels,
            kernels,
            feature: r.value(FEATURE_DATA_ADDR),
            line: 0,
            surface: 0,
            weights: r.value(DCOMP_ADDR0),
            entries: r.field(CBUF_CON1, 12, 0) as usize,
            data_banks: r.field(CBUF_CON0, 3, 0) as usize,
            weight_banks: r.field(CBUF_CON0, 7, 4) as usize,
            data_reuse: r.bit(CBUF_CON0, 12),
            weight_reuse: r.bit(CBUF_CON0, 13),
        };
        cna.check_sizes(r)?;
        cna.with_strides(r)
    }

    /// The sizes that the block is told more than once.
    fn check_sizes(&self, r: &Registers) -> Result<(), Hang> {
        let Cna { input, width, height, channels, kernels, .. } = *self;
        require!(
            width > 0 && height > 0 && channels > 0 && kernels > 0,
            "CNA: an empty product, {width}x{height} positions, {channels} channels, {kernels} \
             kernels"
        );
        require!(
            channels % Input::CHANNEL_GROUP == 0,
            "CNA_DATA_SIZE1: {channels} channels are not whole groups of {}",
            Input::CHANNEL_GROUP
        );
        require!(
            kernels % input.kernel_group() == 0,
            "CNA_WEIGHT_SIZE2: {kernels} kernels are not whole groups of {}",
            input.kernel_group()
        );
        let positions = (width * height) as u32;
        let kernel_bytes = (channels * input.bytes()) as u32;
        let (dma_width, dma_height) = (width as u32, height as u32);
        let told = [
            (DATA_SIZE1, 29, 16, channels as u32 - 1),
            (DATA_SIZE2, 10, 0, width as u32),
            (DATA_SIZE3, 21, 0, positions),
            (DATA_SIZE3, 23, 22, 0),
            (WEIGHT_SIZE1, 18, 0, kernel_bytes),
            (WEIGHT_SIZE2, 28, 24, 1),
            (WEIGHT_SIZE2, 20, 16, 1),
            (FC_DATA_SIZE0, 29, 16, dma_width),
            (FC_DATA_SIZE0, 10, 0, dma_height),
            (FC_DATA_SIZE1, 15, 0, channels as u32),
        ];
        for (register, high, low, expected) in told {
            let value = r.field(register, high, low);
            require!(
                value == expected,
                "{}[{high}:{low}] = {value}, but {width}x{height} positions, {channels} channels \
                 and {kernels} 1x1 kernels of {} make {expected}",
                register.name,
                input.name()
            );
        }
        let (bytes, expected) = (r.value(WEIGHT_SIZE0), u64::from(kernel_bytes) * kernels as u64);
        require!(
            u64::from(bytes) == expected,
            "CNA_WEIGHT_SIZE0 = {bytes}, but {kernels} kernels of {kernel_bytes} bytes make \
             {expected}"
        );
        let reserved = r.field(CBUF_CON0, 10, 8);
        require!(reserved == 0, "CNA_CBUF_CON0: fc_data_bank {reserved} corrupts a convolution");
        for register in [FEATURE_DATA_ADDR, DCOMP_ADDR0] {
            let address = r.value(register);
            require!(
                address.is_multiple_of(16),
                "{} = {address:#x} is not aligned to 16 bytes",
                register.name
            );
        }
        Ok(())
    }

    /// The address model of the feature fetch, in atoms of 16 bytes: surface s, row h, column w
    /// lies at `s * surface + h * line + w`. With `group_line_off` (bit 29) rows are `line_stride`
    /// apart and surfaces `width + surf_stride`. Without it rows follow each other, and surfaces
    /// are one group of four rows plus `surf_stride` apart.
    fn with_strides(self, r: &Registers) -> Result<Self, Hang> {
        let width = self.width as i64;
        let line_stride = i64::from(r.value(DMA_CON1));
        // 28-bit two's complement
        let surf_stride = i64::from((r.value(DMA_CON2) << 4) as i32 >> 4);
        let (line, surface) = if r.bit(CONV_CON1, 29) {
            (line_stride, width + surf_stride)
        } else {
            require!(
                self.height == 1 || line_stride == 4 * width,
                "CNA_DMA_CON1 = {line_stride}, but four rows of {width} atoms make {}",
                4 * width
            );
            (width, 4 * width + surf_stride)
        };
        Ok(Cna { line, surface, ..self })
    }

    /// Rows of A in this task.
    pub fn positions(&self) -> usize {
        self.width * self.height
    }

    /// Bytes of one position, and of one kernel.
    pub fn channel_bytes(&self) -> usize {
        self.channels * self.input.bytes()
    }

    /// How A lies in memory, for people.
    pub fn form(&self) -> &'static str {
        form(self.width, self.height, self.line, self.surface)
    }
}

/// The name of a layout: `line` atoms from row to row, `surface` atoms from surface to surface.
pub fn form(width: usize, height: usize, line: i64, surface: i64) -> &'static str {
    match (width, height) {
        (1, _) if surface == 1 => "row-major",
        (_, 1) => "wide cube",
        (1, _) => "tall cube",
        _ if line == width as i64 => "cube",
        _ if surface == width as i64 => "panels",
        _ => "strided",
    }
}
