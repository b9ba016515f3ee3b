//! Runs a product over scheme, guard, chip, driver and verification.

use crate::blas::gemm::Gemm;
use crate::config::Config;
use crate::route::Reason;
use crate::threads::Threads;
use crate::trace::NpuLine;
use std::ops::Range;

/// The NPU of this process: its chip and its contexts.
#[derive(Debug)]
pub struct Npu {}

/// What the NPU made of a call.
#[derive(Debug)]
pub struct Outcome {
    /// What was done.
    pub line: NpuLine,
    /// Blocks of C that were not written and that the CPU must compute, with the reason.
    pub left: Vec<Block>,
    /// Why the whole call was declined; C is untouched then.
    pub declined: Option<Reason>,
}

/// A block of C.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    /// Rows of C.
    pub rows: Range<usize>,
    /// Columns of C.
    pub cols: Range<usize>,
}

impl Outcome {
    /// Nothing was done, for this reason.
    pub fn declined(reason: Reason) -> Outcome {
        Outcome { line: NpuLine::default(), left: Vec::new(), declined: Some(reason) }
    }
}

impl Npu {
    /// Finds and opens the device that the configuration names.
    pub fn open(_config: &Config) -> Result<Npu, Reason> {
        Err(Reason::NoDevice)
    }

    /// Computes the product on the NPU.
    pub fn sgemm(
        &self,
        _problem: &mut Gemm<'_, f32>,
        _config: &Config,
        _threads: &Threads,
    ) -> Outcome {
        Outcome::declined(Reason::NoDevice)
    }
}
