//! The micro-kernel, written once over [`Dot`].
//!
//! ```text
//! for each pair of panels                    a product of two digit planes
//!     acc[i][*] ← acc[i][*] + start[i]       what offsets of digits ask for
//!     for each step                          a run of digits of MR rows and NR columns
//!         b[v]      ← runs of vector v       v < NV
//!         a         ← the run of row i       i < MR, as a broadcast
//!         acc[i][v] ← acc[i][v] + b[v] · a
//! tile ← acc
//! ```
//!
//! The accumulators live in registers only while every loop over them has constant bounds and is
//! unrolled, so the kernel always computes whole tiles; lines that do not exist are zeros.

use super::dot::Dot;
use super::panel::{CacheLine, HEADER};

/// Most sums in a tile of any family.
pub(super) const TILE: usize = 8 * 48;

/// The sums of MR rows × NR columns, row by row.
#[derive(Debug)]
#[repr(C, align(64))]
pub(super) struct Tile(pub [i32; TILE]);

/// A panel of A and one of B, as [`super::panel`] packs them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pair {
    pub rows: *const CacheLine,
    pub columns: *const CacheLine,
}

/// A micro-kernel for tiles of MR × NR: the sum over all pairs of the products of MR rows by NR
/// columns, `steps` runs long.
///
/// # Safety
/// The CPU runs the kernel's family, and the panels of every pair are readable and packed by that
/// family, with as many runs of every line as `steps` says at least.
pub(super) type Micro = unsafe fn(&[Pair], usize, &mut Tile);

/// The body of every micro-kernel.
///
/// # Safety
/// As for [`Micro`].
#[inline(always)]
pub(super) unsafe fn micro<V: Dot, const MR: usize, const NV: usize>(
    pairs: &[Pair],
    steps: usize,
    tile: &mut Tile,
) {
    assert!(MR * NV * V::LANES <= TILE);
    // SAFETY: the CPU has the instruction set. A panel of rows is a header of MR numbers, then MR
    // runs per step; a panel of columns is NR runs per step. All are readable, as the caller
    // vouches, and the tile is aligned and has room for MR · NR sums.
    unsafe {
        let mut acc = [[V::splat(0); NV]; MR];
        for pair in pairs {
            let start: *const i32 = pair.rows.cast();
            for i in 0..MR {
                let start = V::splat(start.add(i).read());
                for v in 0..NV {
                    acc[i][v] = acc[i][v].add(start);
                }
            }
            let mut a: *const V::A = pair.rows.add(HEADER).cast();
            let mut b: *const V::B = pair.columns.cast();
            for _ in 0..steps {
                let mut columns = [V::load(b); NV];
                for v in 1..NV {
                    columns[v] = V::load(b.add(v * V::LANES * V::RUN));
                }
                for i in 0..MR {
                    let row = V::broadcast(a.add(i * V::RUN));
                    for v in 0..NV {
                        acc[i][v] = acc[i][v].dot(columns[v], row);
                    }
                }
                a = a.add(MR * V::RUN);
                b = b.add(NV * V::LANES * V::RUN);
            }
        }
        let out = tile.0.as_mut_ptr();
        for i in 0..MR {
            for v in 0..NV {
                acc[i][v].store(out.add((i * NV + v) * V::LANES));
            }
        }
    }
}
