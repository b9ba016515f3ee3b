//! How one product is laid out over cores, tasks and buffers: a plain value.

use crate::npu::chip::{Arithmetic, Chip, Limits, pieces};
use crate::npu::scheme::Scheme;
use std::ops::Range;

/// The tiling of `C = A·B`, C of m × n, under one scheme on one chip.
///
/// Every lane (an open context, which keeps at most one core busy) has buffers of its own:
/// * **A**: its rows, one after the other, [`Plan::a_pitch`] bytes each: all planes of the row,
///   each padded with zeros to [`Plan::pitch`] numbers;
/// * **B**: its column tiles, one after the other; each tile holds one packed matrix per
///   [`Section`];
/// * **C**: one buffer per block in flight; it holds one matrix of sums per section, row-major,
///   as wide as the tile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// What the device computes with.
    pub arithmetic: Arithmetic,
    /// Inner dimension of the product, padded to the chip's alignment: numbers per plane.
    pub pitch: usize,
    /// Bytes per row of A.
    pub a_pitch: usize,
    /// The inner sums that the device computes for every element of C.
    pub sections: Vec<Section>,
    /// Columns of C, tile by tile.
    pub tiles: Vec<Range<usize>>,
    /// Most rows of one block.
    pub block_rows: usize,
    /// What each lane computes.
    pub shares: Vec<Share>,
    col_align: usize,
}

/// A part of one group's inner dimension that fits one task. The sums of all sections of a
/// group add up to the sum of the group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Section {
    /// Index of the group in the scheme.
    pub group: usize,
    /// Where it lies on the group's inner dimension, on which planes are laid end to end.
    pub span: Range<usize>,
    /// Byte of a row of A at which it starts.
    pub a_start: usize,
}

/// The part of C that one lane computes: some rows of some tiles.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Share {
    /// Rows of C.
    pub rows: Range<usize>,
    /// Indices into [`Plan::tiles`].
    pub tiles: Range<usize>,
}

/// A part of C whose sums come from one job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    /// Rows of C.
    pub rows: Range<usize>,
    /// Index into [`Plan::tiles`].
    pub tile: usize,
}

impl Plan {
    /// Lays out a product of m × k by k × n over at most `lanes` lanes.
    pub fn new(
        chip: &dyn Chip,
        scheme: &Scheme,
        m: usize,
        n: usize,
        k: usize,
        lanes: usize,
    ) -> Plan {
        let arithmetic = scheme.arithmetic();
        let limits = chip.limits(arithmetic);
        let pitch = k.next_multiple_of(limits.depth_align);
        let sections = sections(scheme, pitch, limits);
        let deepest = sections.iter().map(|s| s.span.len()).max().unwrap_or(limits.depth_align);
        let max_rows = chip.max_rows(arithmetic, deepest).max(1);
        let (rows, cols) = split(m, n, scheme, lanes, limits.col_align);

        let mut tiles = Vec::new();
        let mut shares = Vec::new();
        for cols in cols {
            let first = tiles.len();
            tiles.extend(
                pieces(cols.len(), limits.max_cols, limits.col_align)
                    .into_iter()
                    .map(|t| cols.start + t.start..cols.start + t.end),
            );
            for rows in &rows {
                shares.push(Share { rows: rows.clone(), tiles: first..tiles.len() });
            }
        }
        Plan {
            arithmetic,
            pitch,
            a_pitch: scheme.bytes() * pitch,
            sections,
            tiles,
            block_rows: max_rows,
            shares,
            col_align: limits.col_align,
        }
    }

    /// Columns of a tile as the device sees it, padding included.
    pub fn width(&self, tile: usize) -> usize {
        self.tiles[tile].len().next_multiple_of(self.col_align)
    }

    /// The blocks of a share, in the order in which they run.
    pub fn blocks(&self, share: &Share) -> Vec<Block> {
        let rows = pieces(share.rows.len(), self.block_rows, 1);
        share
            .tiles
            .clone()
            .flat_map(|tile| {
                rows.iter().map(move |r| Block {
                    rows: share.rows.start + r.start..share.rows.start + r.end,
                    tile,
                })
            })
            .collect()
    }

    /// Bytes of a share's A.
    pub fn a_bytes(&self, share: &Share) -> usize {
        share.rows.len() * self.a_pitch
    }

    /// Byte of a share's A at which `row` of C starts.
    pub fn a_offset(&self, share: &Share, row: usize) -> usize {
        (row - share.rows.start) * self.a_pitch
    }

    /// Bytes of a share's B.
    pub fn b_bytes(&self, share: &Share) -> usize {
        share.tiles.clone().map(|t| self.tile_bytes(t)).sum()
    }

    /// Byte of a share's B at which the matrix of `section` of `tile` starts.
    pub fn b_offset(&self, share: &Share, tile: usize, section: usize) -> usize {
        let before: usize = (share.tiles.start..tile).map(|t| self.tile_bytes(t)).sum();
        before + self.column_bytes(section) * self.width(tile)
    }

    /// Bytes of the results of a block of `rows` rows.
    pub fn c_bytes(&self, rows: usize, tile: usize) -> usize {
        self.sections.len() * self.c_section_bytes(rows, tile)
    }

    /// Bytes of the results of one section of a block of `rows` rows.
    pub fn c_section_bytes(&self, rows: usize, tile: usize) -> usize {
        rows * self.width(tile) * size_of::<i32>()
    }

    /// Bytes of the buffers of all shares, with results of `flying` blocks each; all but the
    /// register commands.
    pub fn bytes(&self, flying: usize) -> usize {
        let of = |share: &Share| {
            let results =
                self.blocks(share).into_iter().map(|b| self.c_bytes(b.rows.len(), b.tile));
            self.a_bytes(share) + self.b_bytes(share) + flying * results.max().unwrap_or(0)
        };
        self.shares.iter().map(of).sum()
    }

    /// Bytes of a packed tile of B.
    fn tile_bytes(&self, tile: usize) -> usize {
        self.column_bytes(self.sections.len()) * self.width(tile)
    }

    /// Bytes of a column of B in all sections before this one.
    fn column_bytes(&self, section: usize) -> usize {
        let depth: usize = self.sections[..section].iter().map(|s| s.span.len()).sum();
        depth * self.arithmetic.bytes()
    }
}

/// Cuts every group's inner dimension into sections that one task can sum.
fn sections(scheme: &Scheme, pitch: usize, limits: &Limits) -> Vec<Section> {
    let mut sections = Vec::new();
    for (group, g) in scheme.groups.iter().enumerate() {
        for span in pieces(g.count * pitch, limits.max_depth, limits.depth_align) {
            let a_start = ((g.first - 1) * pitch + span.start) * scheme.arithmetic().bytes();
            sections.push(Section { group, span, a_start });
        }
    }
    sections
}

/// Divides C between lanes, by rows or by columns. The operand that is not divided is copied
/// into every lane, `slices` bytes per element of A and `products` bytes per element of B, so
/// the way with the fewer bytes is taken, unless the other keeps more lanes busy.
fn split(
    m: usize,
    n: usize,
    scheme: &Scheme,
    lanes: usize,
    align: usize,
) -> (Vec<Range<usize>>, Vec<Range<usize>>) {
    let by = |total: usize, align: usize| {
        pieces(total, total.div_ceil(lanes).next_multiple_of(align), align)
    };
    let (by_rows, by_cols) = (by(m, 1), by(n, align));
    let copied_by_rows = m * scheme.planes() + by_rows.len() * n * scheme.products();
    let copied_by_cols = by_cols.len() * m * scheme.planes() + n * scheme.products();
    let cols = match by_rows.len().cmp(&by_cols.len()) {
        std::cmp::Ordering::Equal => copied_by_cols <= copied_by_rows,
        order => order.is_lt(),
    };
    if cols { (pieces(m, m, 1), by_cols) } else { (by_rows, pieces(n, n, 1)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::npu::rk3588::Rk3588;
    use crate::npu::scheme::fp16::FP16;
    use crate::npu::scheme::ozaki_int8::{I_3S8P, I_4S10P};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_element_belongs_to_one_block_and_every_product_to_one_section(
            m in 1_usize..2000, n in 1_usize..4000, k in 1_usize..9000, lanes in 1_usize..5,
            scheme in prop::sample::select(vec![&I_3S8P, &I_4S10P, &FP16]),
        ) {
            let limits = Rk3588.limits(scheme.arithmetic());
            let plan = Plan::new(&Rk3588, scheme, m, n, k, lanes);

            let mut area = 0;
            for share in &plan.shares {
                for block in plan.blocks(share) {
                    prop_assert!(share.rows.start <= block.rows.start && block.rows.end <= share.rows.end);
                    prop_assert!(block.rows.end <= m && plan.tiles[block.tile].end <= n);
                    prop_assert!(plan.width(block.tile) <= limits.max_cols);
                    area += block.rows.len() * plan.tiles[block.tile].len();
                }
            }
            // Blocks of different shares and tiles are disjoint by their ranges, so equal areas
            // mean that they cover C.
            prop_assert_eq!(area, m * n);
            prop_assert!(plan.shares.len() <= lanes);

            for (g, group) in scheme.groups.iter().enumerate() {
                let mut next = 0;
                for section in plan.sections.iter().filter(|s| s.group == g) {
                    prop_assert_eq!(section.span.start, next);
                    prop_assert_eq!(section.span.len() % limits.depth_align, 0);
                    prop_assert!(section.span.len() <= limits.max_depth);
                    prop_assert!(Rk3588.max_rows(scheme.arithmetic(), section.span.len()) >= plan.block_rows);
                    prop_assert!(section.a_start + section.span.len() * plan.arithmetic.bytes() <= plan.a_pitch);
                    next = section.span.end;
                }
                prop_assert_eq!(next, group.count * plan.pitch);
            }
        }

        #[test]
        fn the_tiles_of_b_follow_each_other(
            n in 1_usize..4000, k in 1_usize..4000,
            scheme in prop::sample::select(vec![&I_3S8P, &FP16]),
        ) {
            let plan = Plan::new(&Rk3588, scheme, 64, n, k, 3);
            for share in &plan.shares {
                let mut next = 0;
                for tile in share.tiles.clone() {
                    for (s, section) in plan.sections.iter().enumerate() {
                        prop_assert_eq!(plan.b_offset(share, tile, s), next);
                        next += section.span.len() * plan.arithmetic.bytes() * plan.width(tile);
                    }
                }
                prop_assert_eq!(plan.b_bytes(share), next);
            }
        }
    }
}
