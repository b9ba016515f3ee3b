//! What the engine needs to know of a chip: limits, layouts, tiling, register commands.

use std::fmt;
use std::ops::Range;

/// A kind of NPU.
///
/// The device work is one operation only: `C = A·B` with A of rows × depth and B of
/// depth × cols, and C of rows × cols sums of 4 bytes each, in some [`Arithmetic`].
///
/// * **A** is row-major: a pitch of a multiple of [`Limits::pitch_align`] bytes from row to row,
///   so that a task may read any range of rows and any aligned range of columns of a larger
///   matrix in place.
/// * **B** is packed tile by tile. A tile is its strips of [`Limits::col_align`] columns one after
///   the other, a strip is its blocks of [`Limits::depth_align`] rows one after the other, and a
///   block is in the chip's own order ([`Chip::pack_b_block`]).
/// * **C** is row-major with a pitch in bytes that is a multiple of 16.
pub trait Chip: Sync + fmt::Debug {
    /// Name for people.
    fn name(&self) -> &'static str;

    /// NPU cores.
    fn cores(&self) -> usize;

    /// What one task can do in this arithmetic.
    fn limits(&self, arithmetic: Arithmetic) -> &Limits;

    /// Most rows that one task can take when its depth is `depth`; at least 1 for every
    /// depth up to [`Limits::max_depth`].
    fn max_rows(&self, arithmetic: Arithmetic, depth: usize) -> usize;

    /// Packs one block of B, of [`Limits::depth_align`] rows and [`Limits::col_align`] columns,
    /// into `dst`, which holds just that. Column j starts at byte `j * pitch` of `columns`; the
    /// bytes of an element are in the order of the host, which is the chip's.
    ///
    /// # Panics
    /// When a column ends behind `columns`, or `dst` is not as long as a block.
    fn pack_b_block(&self, arithmetic: Arithmetic, columns: &[u8], pitch: usize, dst: &mut [u8]);

    /// The register commands of one task.
    ///
    /// # Errors
    /// When `task` exceeds a limit of the chip; the message names it. Nothing is ever emitted
    /// that a field cannot hold.
    fn encode(&self, task: &Task) -> Result<CommandStream, EncodeError>;
}

/// What a task multiplies, and what sums it stores.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Arithmetic {
    /// int8, with exact sums in int32.
    Int8,
    /// binary16, with sums in binary32 that are rounded in the chip's own way.
    Fp16,
}

impl Arithmetic {
    /// Both of them.
    pub const ALL: [Arithmetic; 2] = [Arithmetic::Int8, Arithmetic::Fp16];

    /// Bytes of an element of A or B. Those of C have four.
    pub fn bytes(self) -> usize {
        match self {
            Arithmetic::Int8 => 1,
            Arithmetic::Fp16 => 2,
        }
    }
}

/// Limits of one task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Depth is padded with zeros to a multiple of this.
    pub depth_align: usize,
    /// Columns are padded to a multiple of this.
    pub col_align: usize,
    /// Pitch of A in bytes is a multiple of this; addresses of A, B, C too.
    pub pitch_align: usize,
    /// Greatest depth of one task.
    pub max_depth: usize,
    /// Greatest number of columns of one task.
    pub max_cols: usize,
}

/// One unit of device work: `rows × cols` sums of `depth` products each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Task {
    /// What is multiplied, and how.
    pub arithmetic: Arithmetic,
    /// Rows of A and C.
    pub rows: usize,
    /// Columns of B and C, a multiple of [`Limits::col_align`].
    pub cols: usize,
    /// Inner dimension, a multiple of [`Limits::depth_align`].
    pub depth: usize,
    /// IOVA of the first element of A.
    pub a: u32,
    /// Bytes from one row of A to the next.
    pub a_pitch: usize,
    /// IOVA of the packed tile of B, `depth · cols` elements.
    pub b: u32,
    /// IOVA of the first element of C.
    pub c: u32,
    /// Bytes from one row of C to the next.
    pub c_pitch: usize,
}

/// A program of 64-bit register commands.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CommandStream {
    words: Vec<u64>,
}

impl CommandStream {
    /// An empty program.
    pub fn new() -> Self {
        Self::default()
    }
    /// Appends one word.
    pub fn push(&mut self, word: u64) {
        self.words.push(word);
    }
    /// The words in order.
    pub fn words(&self) -> &[u64] {
        &self.words
    }
    /// The words as the device fetches them: little-endian bytes.
    pub fn bytes(&self) -> Vec<u8> {
        self.words.iter().flat_map(|w| w.to_le_bytes()).collect()
    }
}

/// A task that the chip cannot do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EncodeError(pub String);

impl fmt::Display for EncodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
impl std::error::Error for EncodeError {}

/// Cuts `total` into the fewest pieces of at most `max`, all but the last of the same length,
/// which is a multiple of `align`. `max` must be a multiple of `align`.
pub fn pieces(total: usize, max: usize, align: usize) -> Vec<Range<usize>> {
    let count = total.div_ceil(max).max(1);
    let step = total.div_ceil(count).next_multiple_of(align).max(align);
    (0..total).step_by(step).map(|start| start..total.min(start + step)).collect()
}
