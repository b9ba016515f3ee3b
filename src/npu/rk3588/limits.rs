//! What one task can be.
//!
//! The hardware does not check: what exceeds a field wraps, what exceeds the convolution buffer
//! comes out garbled, silently. So these limits are tighter than the fields, and lie inside what
//! programs of several authors were seen to compute correctly on boards. Those of fp16 are those
//! of int8, counted in bytes.
//!
//! **Convolution buffer (CBUF).** Each core has 12 banks of 32 KiB, divided by the program into
//! banks for A and banks for B. All rows of A of a task must fit, each row rounded up to entries
//! of 64 bytes; with one bank less the last rows come out wrong. B streams through its banks,
//! at least one kernel at a time.

use super::layout::{BLOCK_DEPTH, block_cols};
use crate::npu::chip::{Arithmetic, EncodeError, Limits, Task};

/// Unit of DMA, of pitches and of addresses, in bytes.
pub const ATOM: usize = 16;
/// Bytes of a sum, an element of C.
pub const SUM: usize = 4;

/// Banks of the convolution buffer.
const BANKS: usize = 12;
/// Bytes of a bank.
const BANK: usize = 32 * 1024;
/// Bytes of an entry of a bank, the unit in which a row of A is stored.
const ENTRY: usize = 64;
/// Most banks for A. Four are left for B; every program seen keeps to eight with int8, to ten
/// with fp16.
const MAX_DATA_BANKS: usize = 8;

/// Greatest length of a row of A, in bytes. Deeper int8 tasks of more than 4 rows were seen to
/// fail at a depth of 3840. Also, 32 columns of this length just fit 3 of the 4 banks that B
/// always has.
const MAX_ROW: usize = 3072;
/// Most rows of a task: the greatest number that int8 programs with A in row-major order use.
const MAX_ROWS: usize = 128;
/// Greatest pitch of C: what the 13 bits of the notch can express, in atoms, less one to stay
/// off the end of the field.
const MAX_C_PITCH: usize = 8191 * ATOM;

/// Limits of one task, except for what depends on the depth, see [`max_rows`].
pub fn of(arithmetic: Arithmetic) -> &'static Limits {
    const fn limits(arithmetic: Arithmetic, bytes: usize) -> Limits {
        Limits {
            depth_align: BLOCK_DEPTH,
            col_align: block_cols(arithmetic),
            pitch_align: ATOM,
            max_depth: MAX_ROW / bytes,
            // A row of C of 4 KiB: stores with longer pitches get slower, to half the speed at
            // 32 KiB.
            max_cols: 1024,
        }
    }
    static INT8: Limits = limits(Arithmetic::Int8, 1);
    static FP16: Limits = limits(Arithmetic::Fp16, 2);
    match arithmetic {
        Arithmetic::Int8 => &INT8,
        Arithmetic::Fp16 => &FP16,
    }
}

/// Most rows of a task of this depth; 0 when no task has it. Above 4 it is a multiple of 4, as in
/// nearly every program seen; other numbers of rows are for what is left over.
pub fn max_rows(arithmetic: Arithmetic, depth: usize) -> usize {
    if depth == 0 || depth > of(arithmetic).max_depth {
        return 0;
    }
    let row = entries(depth * arithmetic.bytes()) * ENTRY;
    let rows = (MAX_DATA_BANKS * BANK / row).min(MAX_ROWS);
    if rows > 4 { rows / 4 * 4 } else { rows }
}

/// Entries of the convolution buffer that a row of A of so many bytes takes.
pub fn entries(row: usize) -> usize {
    row.div_ceil(ENTRY)
}

/// Banks of the convolution buffer for A and for B.
pub fn banks(task: &Task) -> (usize, usize) {
    let row = entries(task.depth * task.arithmetic.bytes()) * ENTRY;
    let data = (row * task.rows).div_ceil(BANK);
    (data, BANKS - data)
}

/// Checks a task against every limit.
///
/// # Errors
/// Names the first limit that the task exceeds.
pub fn check(task: &Task) -> Result<(), EncodeError> {
    let &Task { arithmetic, rows, cols, depth, a, a_pitch, b, c, c_pitch } = task;
    let limits = of(arithmetic);
    in_steps("depth", depth, limits.depth_align, limits.max_depth)?;
    in_steps("cols", cols, limits.col_align, limits.max_cols)?;
    in_steps("rows", rows, 1, max_rows(arithmetic, depth))?;
    let row = depth * arithmetic.bytes();
    in_steps("a_pitch", a_pitch, ATOM, u32::MAX as usize)?;
    in_steps("c_pitch", c_pitch, ATOM, MAX_C_PITCH)?;
    at_least("a_pitch", a_pitch, row)?;
    at_least("c_pitch", c_pitch, cols * SUM)?;
    in_window("a", a, a_pitch, rows, row)?;
    in_window("b", b, 0, 1, row * cols)?;
    in_window("c", c, c_pitch, rows, cols * SUM)
}

fn in_steps(what: &str, value: usize, step: usize, max: usize) -> Result<(), EncodeError> {
    if value == 0 || value > max || !value.is_multiple_of(step) {
        return refuse(format!("{what} = {value}: not a multiple of {step} from {step} to {max}"));
    }
    Ok(())
}

fn at_least(what: &str, value: usize, min: usize) -> Result<(), EncodeError> {
    if value < min {
        return refuse(format!("{what} = {value}: less than a row of {min} bytes"));
    }
    Ok(())
}

/// Checks that `rows` rows of `len` bytes start on an atom and end within 32-bit addresses.
fn in_window(
    what: &str,
    start: u32,
    pitch: usize,
    rows: usize,
    len: usize,
) -> Result<(), EncodeError> {
    if !start.is_multiple_of(ATOM as u32) {
        return refuse(format!("{what} = {start:#x}: not a multiple of {ATOM}"));
    }
    // At most 128 · 2³² + 2³²: no overflow.
    let end = start as u64 + (rows as u64 - 1) * pitch as u64 + len as u64;
    if end > 1 << 32 {
        return refuse(format!("{what} = {start:#x}: ends at {end:#x}, beyond 32-bit addresses"));
    }
    Ok(())
}

fn refuse(why: String) -> Result<(), EncodeError> {
    Err(EncodeError(why))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The rule of the convolution buffer, written out for itself.
    #[test]
    fn no_allowed_task_overflows_the_convolution_buffer() {
        for arithmetic in Arithmetic::ALL {
            for depth in (32..=of(arithmetic).max_depth).step_by(32) {
                let row = depth * arithmetic.bytes();
                let most = max_rows(arithmetic, depth);
                assert!((1..=128).contains(&most));
                assert!(most <= 4 || most.is_multiple_of(4));
                for rows in 1..=most {
                    let (a_pitch, c_pitch) = (row, 128);
                    let (a, b, c) = (0, 0, 0);
                    let cols = 32;
                    let task = Task { arithmetic, rows, cols, depth, a, a_pitch, b, c, c_pitch };
                    let (data, weight) = banks(&task);
                    assert!((1..=8).contains(&data) && data + weight == 12, "{task:?}");
                    let stored = rows * row.div_ceil(64) * 64;
                    assert!(stored <= data * 32768, "{task:?}: too few banks");
                    assert!(stored > (data - 1) * 32768, "{task:?}: a bank wasted");
                    assert!(32 * row <= weight * 32768, "32 kernels do not fit");
                }
            }
        }
    }

    #[test]
    fn deep_tasks_have_fewer_rows() {
        let int8 = [(0, 0), (32, 128), (2048, 128), (2080, 124), (3072, 84), (3073, 0)];
        for (depth, rows) in int8 {
            assert_eq!(max_rows(Arithmetic::Int8, depth), rows);
        }
        for (depth, rows) in [(0, 0), (32, 128), (1024, 128), (1056, 124), (1536, 84), (1537, 0)] {
            assert_eq!(max_rows(Arithmetic::Fp16, depth), rows);
        }
    }
}
