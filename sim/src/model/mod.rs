//! The chip: what one NPU core does with the words it fetches.
//!
//! Operating-system free. A driver owns one [`Core`] per hardware core, hands it a [`Memory`]
//! (the address space of the job) and a [`Kick`] (what the driver wrote into the PC registers),
//! and learns what happened.

use std::fmt;

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
}

impl Core {
    /// A core after reset.
    pub fn new(machine: Machine) -> Self {
        Core { machine }
    }

    /// Runs the task that `kick` starts, to its completion interrupt.
    pub fn run(&mut self, _memory: &dyn Memory, _kick: Kick) -> Result<TaskReport, Hang> {
        let _ = self.machine;
        Err(Hang { reason: "the model decodes no register yet".into() })
    }

    /// What the driver's reset line does.
    pub fn reset(&mut self) {}
}
