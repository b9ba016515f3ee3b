//! The register file: names, defined bits, and two shadow groups per block.
//!
//! Registers from offset x008 up exist twice. A program writes the group that the block's pointer
//! names; starting the block hands that group to the hardware and moves the pointer to the other
//! one. So what a program does not write is what the task two back left there
//! (`S_POINTER` = 0xe, the only mode that any known driver or program sets).

use std::collections::{BTreeMap, BTreeSet};

use super::pc::Blocks;
use super::{Hang, cna, core, dpu, rdma};

/// One register: its offset in the core's window, its name, the bits that have a meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Register {
    /// Byte offset in the core's register window.
    pub offset: u16,
    /// Its name, block first, as logs show it.
    pub name: &'static str,
    /// The defined bits. Hardware drops the others, which is how too large a value wraps.
    pub mask: u32,
}

/// A [`Register`], shortly: the tables of the blocks are made of these.
pub const fn register(offset: u16, name: &'static str, mask: u32) -> Register {
    Register { offset, name, mask }
}

/// The value of the pointer registers that arms a block's two groups: ping-pong on, toggled by
/// the block's own starts.
pub const S_POINTER_ARMED: u32 = 0xe;

/// One block: its table, its two groups, and what the program being loaded has done to it.
#[derive(Debug)]
struct Block {
    name: &'static str,
    table: &'static [Register],
    groups: [BTreeMap<u16, u32>; 2],
    pointer: usize,
    written: BTreeSet<u16>,
    armed: bool,
}

impl Block {
    fn new(name: &'static str, table: &'static [Register]) -> Self {
        Block {
            name,
            table,
            groups: Default::default(),
            pointer: 0,
            written: BTreeSet::new(),
            armed: false,
        }
    }
}

/// What the started blocks see: one group of each, plain values by offset. A register never
/// written since reset reads 0.
#[derive(Debug, Default)]
pub struct Registers(BTreeMap<u16, u32>);

impl Registers {
    /// The whole value, if the register was written since reset.
    pub fn written(&self, register: Register) -> Option<u32> {
        self.0.get(&register.offset).copied()
    }

    /// The whole value.
    pub fn value(&self, register: Register) -> u32 {
        self.written(register).unwrap_or(0)
    }

    /// Bits `high..=low` of a register.
    pub fn field(&self, register: Register, high: u32, low: u32) -> u32 {
        (self.value(register) >> low) & (u32::MAX >> (31 - (high - low)))
    }

    /// One bit of a register.
    pub fn bit(&self, register: Register, bit: u32) -> bool {
        self.field(register, bit, bit) == 1
    }
}

/// All modelled blocks of one core.
#[derive(Debug)]
pub struct RegisterFile {
    blocks: [Block; 4],
}

/// Which block a register write names; also the index into [`RegisterFile::blocks`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BlockId {
    /// Convolution feeder: fetches features and weights.
    Cna,
    /// Multiply-accumulate array.
    Core,
    /// Data processing unit: converts and writes.
    Dpu,
    /// The DPU's own fetch unit.
    Rdma,
}

impl Default for RegisterFile {
    fn default() -> Self {
        RegisterFile {
            blocks: [
                Block::new("CNA", cna::REGISTERS),
                Block::new("CORE", core::REGISTERS),
                Block::new("DPU", dpu::REGISTERS),
                Block::new("DPU_RDMA", rdma::REGISTERS),
            ],
        }
    }
}

impl RegisterFile {
    /// Forgets what the previous program wrote, not the values.
    pub fn begin_program(&mut self) {
        for block in &mut self.blocks {
            block.written.clear();
            block.armed = false;
        }
    }

    /// One register write of a program.
    ///
    /// # Errors
    /// Unknown registers, bits outside every field, pointer registers that a program must not
    /// write, and registers written before their block's pointer is armed.
    pub fn write(&mut self, id: BlockId, offset: u16, value: u32) -> Result<(), Hang> {
        let block = &mut self.blocks[id as usize];
        let name = block.name;
        if offset & 0xfff == 4 {
            require!(
                matches!(id, BlockId::Dpu | BlockId::Rdma),
                "a program writes {name}_S_POINTER, which hangs the task"
            );
            require!(
                value == S_POINTER_ARMED,
                "{name}_S_POINTER = {value:#x} is not modelled, only {S_POINTER_ARMED:#x}"
            );
            block.armed = true;
            return Ok(());
        }
        let Some(register) = block.table.iter().find(|r| r.offset == offset) else {
            return Err(Hang { reason: format!("unknown {name} register {offset:#06x}") });
        };
        require!(
            matches!(id, BlockId::Cna | BlockId::Core) || block.armed,
            "{} is written before {name}_S_POINTER",
            register.name
        );
        require!(
            value & !register.mask == 0,
            "{} = {value:#x}: bits {:#x} belong to no field; a value too wide for its field wraps",
            register.name,
            value & !register.mask
        );
        block.groups[block.pointer].insert(offset, value);
        block.written.insert(offset);
        Ok(())
    }

    /// Whether the program being loaded has armed the pointer of a block that it must arm.
    pub fn armed(&self, id: BlockId) -> bool {
        self.blocks[id as usize].armed
    }

    /// Starts `started` blocks: the values they run with, and a warning for every block that
    /// runs with values of an earlier task.
    pub fn launch(&mut self, started: Blocks) -> (Registers, Vec<String>) {
        let mut values = Registers::default();
        let mut warnings = Vec::new();
        let last = if started.rdma { BlockId::Rdma } else { BlockId::Dpu };
        for block in &mut self.blocks[..=last as usize] {
            let group = &block.groups[block.pointer];
            let kept: Vec<String> = group
                .iter()
                .filter(|&(offset, &value)| value != 0 && !block.written.contains(offset))
                .filter_map(|(offset, value)| {
                    let register = block.table.iter().find(|r| r.offset == *offset)?;
                    Some(format!("{} = {value:#x}", register.name))
                })
                .collect();
            if !kept.is_empty() {
                warnings.push(format!("kept from the task two back: {}", kept.join(", ")));
            }
            values.0.extend(group);
            block.pointer ^= 1;
        }
        (values, warnings)
    }
}
