//! The chip: what one NPU core does with the words it fetches.
//!
//! Operating-system free. A driver owns one [`Core`] per hardware core, hands it a [`Memory`]
//! (the address space of the job) and a [`Kick`] (what the driver wrote into the PC registers),
//! and learns what happened.
//!
//! A task travels through the files in this order: `pc` fetches the words and loads `registers`;
//! `cna`, `core`, `dpu` and `rdma` read each block's own registers; `limits` compares the blocks
//! with each other and with the size of the convolution buffer; `execute` moves the data
//! (`lattice`, `cbuf`), has `compute` multiply, and writes the result; `timing` says how long a
//! real core would have taken.
//!
//! Nothing here knows a program that somebody writes: every address, size and type comes from
//! register values. Whatever the model cannot do is a [`Hang`] that names the register.

use std::fmt;

/// Ends the function with a [`Hang`] of the given reason unless the condition holds.
macro_rules! require {
    ($condition:expr, $($reason:tt)+) => {
        if !$condition {
            return Err($crate::model::Hang { reason: format!($($reason)+) });
        }
    };
}

mod cbuf;
mod cna;
mod compute;
mod core;
mod dpu;
mod execute;
mod lattice;
mod limits;
mod pc;
mod precision;
mod rdma;
mod registers;
mod timing;

use cbuf::Cbuf;
use registers::RegisterFile;

/// The memory that a job may reach, addressed by IOVA. Implementations are the driver's.
pub trait Memory: Sync {
    /// Copies `out.len()` bytes from `iova`. Fails when any byte of the range is not mapped.
    fn read(&self, iova: u64, out: &mut [u8]) -> Result<(), Unmapped>;
    /// Copies `data` to `iova`. Fails, writing nothing, when any byte of the range is not mapped.
    fn write(&self, iova: u64, data: &[u8]) -> Result<(), Unmapped>;
}

/// An access that no mapped buffer covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unmapped {
    /// First address of the access.
    pub iova: u64,
    /// Its length in bytes.
    pub len: usize,
}

impl Unmapped {
    /// The hang that an access of the chip without a mapping ends in.
    fn during(self, what: &str) -> Hang {
        Hang { reason: format!("{what}: {} bytes at {:#x} are not mapped", self.len, self.iova) }
    }
}

/// What the driver wrote into the PC block to start one task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kick {
    /// PC_BASE_ADDRESS: IOVA of the first register command.
    pub regcmd: u32,
    /// PC_REGISTER_AMOUNTS: 128-bit fetch units minus one.
    pub amount: u32,
}

/// What one task did, when it completed.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct TaskReport {
    /// Multiply-accumulates that the task stands for.
    pub macs: u64,
    /// Bytes fetched by DMA (feature, weights, register commands).
    pub bytes_read: u64,
    /// Bytes written by DMA.
    pub bytes_written: u64,
    /// Predicted time on the device, in seconds.
    pub seconds: f64,
    /// One line for people: precision, shape, forms.
    pub what: String,
    /// Things that hardware does not refuse but garbles; each named.
    pub warnings: Vec<String>,
}

/// Why a task never completes. The driver turns it into what the real kernel would show, most
/// often a time-out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hang {
    /// The reason, for the log.
    pub reason: String,
}

impl fmt::Display for Hang {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)
    }
}

/// Constants of the machine that the prediction of device time needs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Machine {
    /// NPU clock in MHz.
    pub clock_mhz: f64,
}

/// One NPU core: its register file (two shadow groups), its convolution buffer, its blocks.
#[derive(Debug)]
pub struct Core {
    machine: Machine,
    registers: RegisterFile,
    cbuf: Cbuf,
}

impl Core {
    /// A core after reset.
    pub fn new(machine: Machine) -> Self {
        Core { machine, registers: RegisterFile::default(), cbuf: Cbuf::default() }
    }

    /// Runs the task that `kick` starts, to its completion interrupt.
    ///
    /// # Errors
    /// A [`Hang`] when the task would never complete, or needs something that is not modelled.
    /// Part of the output may have been written by then, as on hardware. The next task may be
    /// run without a [`Core::reset`]; the registers that the failed program wrote stay written.
    pub fn run(&mut self, memory: &dyn Memory, kick: Kick) -> Result<TaskReport, Hang> {
        let words = pc::fetch(memory, kick)?;
        let blocks = pc::load(&words, &mut self.registers)?;
        let (registers, mut warnings) = self.registers.launch(blocks);

        let cna = cna::Cna::decode(&registers)?;
        let core = core::CoreUnit::decode(&registers)?;
        let dpu = dpu::Dpu::decode(&registers)?;
        if blocks.rdma {
            rdma::check(&registers, &dpu)?;
        }
        limits::check(&cna, &core, &dpu)?;

        let done = execute::run(memory, &mut self.cbuf, &cna, &dpu)?;
        warnings.extend(done.warning);
        let bytes_read = done.bytes_read + 8 * words.len() as u64;
        let macs = (cna.positions() * cna.channels) as u64 * cna.kernels as u64;
        Ok(TaskReport {
            macs,
            bytes_read,
            bytes_written: done.bytes_written,
            seconds: timing::seconds(
                self.machine,
                cna.input,
                macs,
                bytes_read + done.bytes_written,
            ),
            what: format!(
                "{} {}x{}x{} -> {}, A {}, C {}",
                cna.input.name(),
                cna.positions(),
                cna.kernels,
                cna.channels,
                dpu.output.name(),
                cna.form(),
                dpu.form(),
            ),
            warnings,
        })
    }

    /// Forgets what the convolution buffer holds: the reuse bits are good only between tasks of
    /// one job, because nothing says on which core, or after what, the next job runs.
    pub fn begin_job(&mut self) {
        self.cbuf = Cbuf::default();
    }

    /// What the driver's reset line does: registers and convolution buffer are lost.
    pub fn reset(&mut self) {
        *self = Core::new(self.machine);
    }
}
