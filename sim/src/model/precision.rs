//! Number types: the three-bit codes of the registers and what the model does with each.

use super::Hang;

/// The type names of the three-bit precision codes.
const NAMES: [&str; 8] = ["int8", "int16", "fp16", "bf16", "int32", "fp32", "int4", "tf32"];

/// Operand types that the multipliers are modelled for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Input {
    /// 8-bit integers; 32-bit accumulators.
    Int8,
    /// 16-bit integers; accumulators wide enough for any sum, saturated to 32 bits at the end.
    Int16,
    /// Half precision; single precision accumulators.
    Fp16,
}

impl Input {
    /// Reads a precision code of CNA, CORE or DPU.
    pub fn from_code(code: u32, register: &str) -> Result<Self, Hang> {
        match code {
            0 => Ok(Input::Int8),
            1 => Ok(Input::Int16),
            2 => Ok(Input::Fp16),
            _ => Err(Hang {
                reason: format!("{register}: {} operands are not modelled yet", name(code)),
            }),
        }
    }

    /// The type's name.
    pub fn name(self) -> &'static str {
        match self {
            Input::Int8 => "int8",
            Input::Int16 => "int16",
            Input::Fp16 => "fp16",
        }
    }

    /// Bytes of one element.
    pub fn bytes(self) -> usize {
        match self {
            Input::Int8 => 1,
            Input::Int16 | Input::Fp16 => 2,
        }
    }

    /// Channels of one weight block (Kg); also the products that the fp16 array sums exactly.
    pub const CHANNEL_GROUP: usize = 32;

    /// Kernels of one weight block (Ng), which is also one output group.
    pub fn kernel_group(self) -> usize {
        match self {
            Input::Int8 => 32,
            Input::Int16 | Input::Fp16 => 16,
        }
    }
}

/// Result types that the DPU is modelled for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Output {
    /// 32-bit integers.
    Int32,
    /// Single precision.
    Fp32,
    /// Half precision.
    Fp16,
}

impl Output {
    /// Reads the DPU's output code for sums of `input` products.
    pub fn from_code(input: Input, code: u32) -> Result<Self, Hang> {
        match (input, code) {
            (Input::Int8 | Input::Int16, 4) => Ok(Output::Int32),
            (Input::Int8 | Input::Fp16, 5) => Ok(Output::Fp32),
            (Input::Fp16, 2) => Ok(Output::Fp16),
            _ => Err(Hang {
                reason: format!(
                    "DPU_DATA_FORMAT: {} products to {} are not modelled yet",
                    input.name(),
                    name(code)
                ),
            }),
        }
    }

    /// The type's name.
    pub fn name(self) -> &'static str {
        match self {
            Output::Int32 => "int32",
            Output::Fp32 => "fp32",
            Output::Fp16 => "fp16",
        }
    }

    /// Bytes of one element.
    pub fn bytes(self) -> usize {
        match self {
            Output::Int32 | Output::Fp32 => 4,
            Output::Fp16 => 2,
        }
    }
}

/// The type that a three-bit code names.
pub fn name(code: u32) -> &'static str {
    NAMES[code as usize & 7]
}
