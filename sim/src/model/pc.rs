//! PC: fetches a program by DMA, tells its words apart, loads the registers.
//!
//! A word is `target << 48 | value << 16 | offset`. A program ends in a chain address, the next
//! program's amount, a gate word and the op-enable. The drivers that this model serves run one
//! program per kick (task number 1), so the chain words are inert.

use super::registers::{BlockId, RegisterFile};
use super::{Hang, Kick, Memory};

/// Bytes of one fetch unit; also the alignment of a program.
const FETCH_UNIT: u32 = 16;
/// Largest amount that its register field holds.
const AMOUNT_MAX: u32 = 0xffff;

const PC_OPERATION_ENABLE: u16 = 0x0008;
const PC_BASE_ADDRESS: u16 = 0x0010;
const PC_REGISTER_AMOUNTS: u16 = 0x0014;

/// One command word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Word {
    /// Fills a slot.
    Nop,
    /// Where a chained program lies and how long it is.
    Chain,
    /// Must stand right before the op-enable.
    Gate,
    /// Starts the blocks in the bitmap.
    Enable(u32),
    /// Writes a register of a block.
    Write { block: BlockId, offset: u16, value: u32 },
}

impl Word {
    fn decode(word: u64) -> Result<Self, Hang> {
        let (target, value, offset) = ((word >> 48) as u16, (word >> 16) as u32, word as u16);
        let (block, page) = match target {
            0x0000 | 0x0001 => {
                require!(word << 16 == 0, "a filler word carries {value:#x} to {offset:#06x}");
                return Ok(Word::Nop);
            }
            0x0041 => return Ok(Word::Gate),
            0x0081 => {
                require!(
                    offset == PC_OPERATION_ENABLE,
                    "op-enable is sent to {offset:#06x} instead of {PC_OPERATION_ENABLE:#06x}"
                );
                return Ok(Word::Enable(value));
            }
            0x0101 => {
                require!(
                    matches!(offset, PC_BASE_ADDRESS | PC_REGISTER_AMOUNTS),
                    "a program writes PC register {offset:#06x}"
                );
                return Ok(Word::Chain);
            }
            0x0201 => (BlockId::Cna, 1),
            0x0801 => (BlockId::Core, 3),
            0x1001 => (BlockId::Dpu, 4),
            0x2001 => (BlockId::Rdma, 5),
            0x4001 | 0x8001 => {
                return Err(Hang { reason: "the PPU blocks are not modelled yet".into() });
            }
            _ => return Err(Hang { reason: format!("unknown target {target:#06x}") }),
        };
        require!(
            offset >> 12 == page,
            "misrouted: register {offset:#06x} under target {target:#06x}"
        );
        Ok(Word::Write { block, offset, value })
    }
}

/// The blocks that an op-enable starts. CNA, CORE and DPU always run together here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Blocks {
    /// The DPU's fetch unit runs too.
    pub rdma: bool,
}

impl Blocks {
    /// Reads the op-enable's bitmap.
    fn from_mask(mask: u32) -> Result<Self, Hang> {
        require!(mask & !0x7d == 0, "op-enable {mask:#x} names unknown blocks");
        require!(mask & 0x60 == 0, "op-enable {mask:#x}: the PPU blocks are not modelled yet");
        require!(
            mask != 0x18,
            "op-enable 0x18: element-wise programs of DPU and DPU_RDMA are not modelled yet"
        );
        for (bit, name) in [(0, "CNA"), (2, "CORE"), (3, "DPU")] {
            require!(
                mask >> bit & 1 == 1,
                "op-enable {mask:#x} leaves {name} off, which is needed"
            );
        }
        Ok(Blocks { rdma: mask & 0x10 != 0 })
    }
}

/// Fetches the program that `kick` names.
pub fn fetch(memory: &dyn Memory, kick: Kick) -> Result<Vec<u64>, Hang> {
    let Kick { regcmd, amount } = kick;
    require!(
        regcmd.is_multiple_of(FETCH_UNIT),
        "the program at {regcmd:#x} is not aligned to {FETCH_UNIT} bytes (bit 0 is slave mode)"
    );
    require!(amount <= AMOUNT_MAX, "amount {amount:#x} is wider than its 16 bits");
    let mut bytes = vec![0; (amount as usize + 1) * FETCH_UNIT as usize];
    memory.read(regcmd.into(), &mut bytes).map_err(|u| u.during("program fetch"))?;
    Ok(bytes.as_chunks().0.iter().map(|&word| u64::from_le_bytes(word)).collect())
}

/// Applies a program's words up to its op-enable.
///
/// # Errors
/// A word that [`Word::decode`] or [`RegisterFile::write`] refuses; no op-enable at all (the
/// amount is too small); an op-enable without its gate; words behind it (the amount is too
/// large); DPU or DPU_RDMA started without their pointers armed.
pub fn load(words: &[u64], registers: &mut RegisterFile) -> Result<Blocks, Hang> {
    registers.begin_program();
    let mut gated = false;
    for (index, &word) in words.iter().enumerate() {
        let at = |hang: Hang| Hang { reason: format!("word {index}: {}", hang.reason) };
        let word = Word::decode(word).map_err(at)?;
        match word {
            Word::Write { block, offset, value } => {
                registers.write(block, offset, value).map_err(at)?;
            }
            Word::Enable(mask) => {
                require!(gated, "word {index}: op-enable without the 0x0041 word before it");
                if let Some(behind) = words[index + 1..].iter().position(|&w| w << 16 != 0) {
                    let behind = index + 1 + behind;
                    return Err(Hang {
                        reason: format!(
                            "the amount covers {} words, but word {behind} lies behind the \
                             op-enable of word {index}",
                            words.len()
                        ),
                    });
                }
                let blocks = Blocks::from_mask(mask)?;
                require!(registers.armed(BlockId::Dpu), "DPU_S_POINTER is not written");
                require!(
                    !blocks.rdma || registers.armed(BlockId::Rdma),
                    "DPU_RDMA_S_POINTER is not written, but DPU_RDMA is started"
                );
                return Ok(blocks);
            }
            Word::Nop | Word::Chain | Word::Gate => {}
        }
        gated = word == Word::Gate;
    }
    Err(Hang {
        reason: format!("no op-enable within the {} words that the amount covers", words.len()),
    })
}
