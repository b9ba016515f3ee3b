//! DPU: takes the sums, converts them, writes them.

use super::Hang;
use super::cna::form;
use super::lattice::ATOM;
use super::precision::{Input, Output};
use super::registers::{Register, Registers, register};

const FEATURE_MODE_CFG: Register = register(0x400c, "DPU_FEATURE_MODE_CFG", 0xc000_01ff);
const DATA_FORMAT: Register = register(0x4010, "DPU_DATA_FORMAT", u32::MAX);
const OFFSET_PEND: Register = register(0x4014, "DPU_OFFSET_PEND", u32::MAX);
const DST_BASE_ADDR: Register = register(0x4020, "DPU_DST_BASE_ADDR", 0xffff_fff0);
const DST_SURF_STRIDE: Register = register(0x4024, "DPU_DST_SURF_STRIDE", 0xffff_fff0);
const DATA_CUBE_WIDTH: Register = register(0x4030, "DPU_DATA_CUBE_WIDTH", 0x1fff);
const DATA_CUBE_HEIGHT: Register = register(0x4034, "DPU_DATA_CUBE_HEIGHT", 0x1fff);
const DATA_CUBE_NOTCH: Register = register(0x4038, "DPU_DATA_CUBE_NOTCH", 0x1fff_1fff);
const DATA_CUBE_CHANNEL: Register = register(0x403c, "DPU_DATA_CUBE_CHANNEL", 0x1fff_1fff);
const BS_CFG: Register = register(0x4040, "DPU_BS_CFG", u32::MAX);
const BS_OW_CFG: Register = register(0x4050, "DPU_BS_OW_CFG", 0x0800_07ff);
const BS_OW_OP: Register = register(0x4054, "DPU_BS_OW_OP", u32::MAX);
const WDMA_SIZE_0: Register = register(0x4058, "DPU_WDMA_SIZE_0", 0x0fff_1fff);
const WDMA_SIZE_1: Register = register(0x405c, "DPU_WDMA_SIZE_1", 0x1fff_1fff);
const BN_CFG: Register = register(0x4060, "DPU_BN_CFG", u32::MAX);
const EW_CFG: Register = register(0x4070, "DPU_EW_CFG", u32::MAX);
const OUT_CVT_OFFSET: Register = register(0x4080, "DPU_OUT_CVT_OFFSET", u32::MAX);
const OUT_CVT_SCALE: Register = register(0x4084, "DPU_OUT_CVT_SCALE", 0x0001_ffff);
const OUT_CVT_SHIFT: Register = register(0x4088, "DPU_OUT_CVT_SHIFT", 0xc00f_ffff);
const SURFACE_ADD: Register = register(0x40c0, "DPU_SURFACE_ADD", 0xffff_fff0);
const RESERVED_40C4: Register = register(0x40c4, "DPU_40C4", u32::MAX);

/// Every register of the block that a program may write. The operands of the BS, BN and EW
/// stages and the look-up table have no effect while their stages are bypassed, as they must be.
pub const REGISTERS: &[Register] = &[
    FEATURE_MODE_CFG,
    DATA_FORMAT,
    OFFSET_PEND,
    DST_BASE_ADDR,
    DST_SURF_STRIDE,
    DATA_CUBE_WIDTH,
    DATA_CUBE_HEIGHT,
    DATA_CUBE_NOTCH,
    DATA_CUBE_CHANNEL,
    BS_CFG,
    register(0x4044, "DPU_BS_ALU_CFG", u32::MAX),
    register(0x4048, "DPU_BS_MUL_CFG", u32::MAX),
    register(0x404c, "DPU_BS_RELUX_CMP_VALUE", u32::MAX),
    BS_OW_CFG,
    BS_OW_OP,
    WDMA_SIZE_0,
    WDMA_SIZE_1,
    BN_CFG,
    register(0x4064, "DPU_BN_ALU_CFG", u32::MAX),
    register(0x4068, "DPU_BN_MUL_CFG", u32::MAX),
    register(0x406c, "DPU_BN_RELUX_CMP_VALUE", u32::MAX),
    EW_CFG,
    register(0x4074, "DPU_EW_CVT_OFFSET_VALUE", u32::MAX),
    register(0x4078, "DPU_EW_CVT_SCALE_VALUE", u32::MAX),
    register(0x407c, "DPU_EW_RELUX_CMP_VALUE", u32::MAX),
    OUT_CVT_OFFSET,
    OUT_CVT_SCALE,
    OUT_CVT_SHIFT,
    register(0x4090, "DPU_EW_OP_VALUE_0", u32::MAX),
    register(0x4094, "DPU_EW_OP_VALUE_1", u32::MAX),
    register(0x4098, "DPU_EW_OP_VALUE_2", u32::MAX),
    register(0x409c, "DPU_EW_OP_VALUE_3", u32::MAX),
    register(0x40a0, "DPU_EW_OP_VALUE_4", u32::MAX),
    register(0x40a4, "DPU_EW_OP_VALUE_5", u32::MAX),
    register(0x40a8, "DPU_EW_OP_VALUE_6", u32::MAX),
    register(0x40ac, "DPU_EW_OP_VALUE_7", u32::MAX),
    SURFACE_ADD,
    RESERVED_40C4,
    register(0x4100, "DPU_LUT_ACCESS_CFG", u32::MAX),
    register(0x4104, "DPU_LUT_ACCESS_DATA", u32::MAX),
    register(0x4108, "DPU_LUT_CFG", u32::MAX),
    register(0x410c, "DPU_LUT_INFO", u32::MAX),
    register(0x4110, "DPU_LUT_LE_START", u32::MAX),
    register(0x4114, "DPU_LUT_LE_END", u32::MAX),
    register(0x4118, "DPU_LUT_LO_START", u32::MAX),
    register(0x411c, "DPU_LUT_LO_END", u32::MAX),
    register(0x4120, "DPU_LUT_LE_SLOPE_SCALE", u32::MAX),
    register(0x4124, "DPU_LUT_LE_SLOPE_SHIFT", u32::MAX),
    register(0x4128, "DPU_LUT_LO_SLOPE_SCALE", u32::MAX),
    register(0x412c, "DPU_LUT_LO_SLOPE_SHIFT", u32::MAX),
];

/// The output converter: `saturate(round(sum * scale / 2^shift) + offset)`. It acts on integers
/// that stay integers; float results pass it untouched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Converter {
    /// Signed 16-bit factor.
    pub scale: i16,
    /// Bits to drop.
    pub shift: u32,
    /// Ties go away from zero instead of to even.
    pub ties_away: bool,
    /// Added last.
    pub offset: i32,
}

/// What the block was told, checked as far as it concerns the block alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dpu {
    /// Type of the products that it takes.
    pub input: Input,
    /// Type of the results that it writes.
    pub output: Output,
    /// Converter of integer results.
    pub converter: Converter,
    /// Columns of the plane that it writes.
    pub width: usize,
    /// Rows of that plane.
    pub height: usize,
    /// Kernels.
    pub kernels: usize,
    /// IOVA of the result at position and kernel 0.
    pub base: u32,
    /// Atoms skipped at the end of a row.
    pub notch: usize,
    /// Bytes from one surface (16 bytes of kernels) to the next inside an output group.
    pub surface: u32,
    /// Bytes from one output group to the next.
    pub group: u32,
}

impl Dpu {
    /// Reads the registers of the started group.
    ///
    /// # Errors
    /// Fields that contradict each other, and whatever is not modelled.
    pub fn decode(r: &Registers) -> Result<Self, Hang> {
        for (high, low, expected, what) in [
            (0, 0, 0, "flying mode"),
            (2, 1, 2, "output mode"),
            (4, 3, 0, "convolution mode"),
            (30, 30, 0, "transposition"),
            (31, 31, 0, "combined use"),
        ] {
            let value = r.field(FEATURE_MODE_CFG, high, low);
            require!(value == expected, "DPU_FEATURE_MODE_CFG: {what} {value} is not modelled yet");
        }
        let input = Input::from_code(r.field(DATA_FORMAT, 2, 0), DATA_FORMAT.name)?;
        require!(
            r.field(DATA_FORMAT, 28, 26) == r.field(DATA_FORMAT, 2, 0),
            "DPU_DATA_FORMAT: input and processing precision differ"
        );
        require!(r.field(DATA_FORMAT, 25, 3) == 0, "DPU_DATA_FORMAT: shifts are not modelled yet");
        let output = Output::from_code(input, r.field(DATA_FORMAT, 31, 29))?;
        for register in [OFFSET_PEND, RESERVED_40C4, BS_OW_OP] {
            require!(r.value(register) == 0, "{} is not modelled yet", register.name);
        }
        for (register, what) in [(BS_CFG, "bias"), (BN_CFG, "batch norm"), (EW_CFG, "element-wise")]
        {
            require!(r.bit(register, 0), "{}: the {what} stage is not modelled yet", register.name);
        }
        let dpu = Dpu {
            input,
            output,
            converter: converter(r, output)?,
            width: r.value(DATA_CUBE_WIDTH) as usize + 1,
            height: r.value(DATA_CUBE_HEIGHT) as usize + 1,
            kernels: r.field(DATA_CUBE_CHANNEL, 12, 0) as usize + 1,
            base: r.value(DST_BASE_ADDR),
            notch: r.field(DATA_CUBE_NOTCH, 12, 0) as usize,
            surface: r.value(DST_SURF_STRIDE),
            group: r.value(SURFACE_ADD),
        };
        dpu.check_sizes(r)?;
        Ok(dpu)
    }

    /// The sizes that the block is told more than once.
    fn check_sizes(&self, r: &Registers) -> Result<(), Hang> {
        let surfaces = self.surfaces() as u32;
        let (width, height) = (self.width as u32 - 1, self.height as u32 - 1);
        let kernels = self.kernels as u32 - 1;
        let told = [
            (DATA_CUBE_NOTCH, 28, 16, self.notch as u32),
            (DATA_CUBE_CHANNEL, 28, 16, kernels),
            (WDMA_SIZE_0, 27, 0, kernels),
            (WDMA_SIZE_1, 12, 0, width),
            (WDMA_SIZE_1, 28, 16, height),
            (BS_OW_CFG, 0, 0, 0),
            (BS_OW_CFG, 27, 27, 0),
        ];
        for (register, high, low, expected) in told {
            let value = r.field(register, high, low);
            require!(
                value == expected,
                "{}[{high}:{low}] = {value}, but the rest of the block says {expected}",
                register.name
            );
        }
        for low in [2, 5, 8] {
            let size_e = r.field(BS_OW_CFG, low + 2, low);
            require!(
                size_e + 1 == surfaces,
                "DPU_BS_OW_CFG: size_e {size_e}, but {} to {} fills {surfaces} surfaces per \
                 output group",
                self.input.name(),
                self.output.name()
            );
        }
        require!(
            u64::from(self.group) == u64::from(self.surface) * u64::from(surfaces),
            "DPU_SURFACE_ADD = {:#x} is not {surfaces} surfaces of {:#x} bytes, which {} to {} \
             needs",
            self.group,
            self.surface,
            self.input.name(),
            self.output.name()
        );
        Ok(())
    }

    /// Surfaces (atoms side by side) of one output group.
    pub fn surfaces(&self) -> usize {
        self.input.kernel_group() * self.output.bytes() / ATOM
    }

    /// How C lies in memory, for people.
    pub fn form(&self) -> &'static str {
        let line = (self.width + self.notch) as i64;
        form(self.width, self.height, line, i64::from(self.surface) / ATOM as i64)
    }
}

/// Reads the output converter.
fn converter(r: &Registers, output: Output) -> Result<Converter, Hang> {
    let narrow = r.bit(OUT_CVT_SCALE, 16);
    require!(
        narrow == (output == Output::Fp16),
        "DPU_OUT_CVT_SCALE: fp32tofp16 is {}, but the output is {}",
        u32::from(narrow),
        output.name()
    );
    let converter = Converter {
        scale: r.field(OUT_CVT_SCALE, 15, 0) as i16,
        shift: r.field(OUT_CVT_SHIFT, 5, 0),
        ties_away: r.bit(OUT_CVT_SHIFT, 30),
        offset: r.value(OUT_CVT_OFFSET) as i32,
    };
    require!(
        r.field(OUT_CVT_SHIFT, 19, 6) == 0 && !r.bit(OUT_CVT_SHIFT, 31),
        "DPU_OUT_CVT_SHIFT: the float converter is not modelled yet"
    );
    require!(
        output == Output::Int32
            || (matches!(converter.scale, 0 | 1) && converter.shift == 0 && converter.offset == 0),
        "DPU_OUT_CVT: scaled {} output is not modelled yet",
        output.name()
    );
    Ok(converter)
}
