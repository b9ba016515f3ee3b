//! Blocks of C from panels of A and B: the loops round the micro-kernel.

use super::Family;
use super::micro::{Pair, TILE, Tile};
use super::panel::{ALIGN, CacheLine, Columns, HEADER, Pack, Rows};
use crate::npu::chip::pieces;
use crate::npu::scheme::{Group, MAX_INT32_TERMS};
use crate::npu::widest::widest;
use std::ops::Range;

/// Most products in a group.
const MAX_PAIRS: usize = 16;

/// How the operands of a product are packed for a family of kernels.
#[derive(Debug)]
pub struct Layout {
    family: &'static Family,
    /// Digit planes of every line.
    slices: usize,
    /// Digits per plane.
    depth: usize,
    /// What a panel holds of every plane before it goes on: all but the last of equal length.
    pieces: Vec<Range<usize>>,
    rows: Panel,
    columns: Panel,
}

/// A panel of one of the two operands.
#[derive(Debug)]
struct Panel {
    /// Packs one plane of one piece.
    pack: Pack,
    /// Cache lines of one plane of each piece.
    planes: Vec<usize>,
    /// Cache lines of all.
    size: usize,
}

impl Layout {
    /// For lines of `slices` digit planes with `depth` digits each, a multiple of [`ALIGN`].
    pub fn new(family: &'static Family, slices: usize, depth: usize) -> Layout {
        assert!(depth.is_multiple_of(ALIGN) && family.is_available());
        let pieces = pieces(depth, family.kc, ALIGN);
        let panel = |pack, lines: usize, header: usize| {
            let plane = |piece: &Range<usize>| {
                let bytes = lines * piece.len() * family.digit_bytes;
                header + bytes.div_ceil(CacheLine::BYTES)
            };
            let planes: Vec<usize> = pieces.iter().map(plane).collect();
            let size = slices * planes.iter().sum::<usize>();
            Panel { pack, planes, size }
        };
        let rows = panel(family.pack_rows, family.mr, HEADER);
        let columns = panel(family.pack_columns, family.nr, 0);
        Layout { family, slices, depth, pieces, rows, columns }
    }

    /// The family whose kernels read the panels.
    pub fn family(&self) -> &'static Family {
        self.family
    }

    /// Bytes of a panel of rows and of one of columns.
    pub fn panel_bytes(&self) -> (usize, usize) {
        (self.rows.size * CacheLine::BYTES, self.columns.size * CacheLine::BYTES)
    }

    /// Packs a panel of [`Family::rows`] rows of A. Digit l of plane p (1-based) of row i is
    /// `digits[i * pitch + (p - 1) * depth + l]`; rows that do not exist are to be zeros. `None`
    /// when there is no memory.
    ///
    /// # Panics
    /// When a row ends behind `digits`.
    pub fn rows(&self, digits: &[i8], pitch: usize) -> Option<Rows> {
        self.pack(&self.rows, digits, pitch).map(Rows)
    }

    /// As [`Layout::rows`] for a panel of [`Family::columns`] columns of B.
    ///
    /// # Panics
    /// When a column ends behind `digits`.
    pub fn columns(&self, digits: &[i8], pitch: usize) -> Option<Columns> {
        self.pack(&self.columns, digits, pitch).map(Columns)
    }

    fn pack(&self, panel: &Panel, digits: &[i8], pitch: usize) -> Option<Vec<CacheLine>> {
        let mut memory = Vec::new();
        memory.try_reserve_exact(panel.size).ok()?;
        memory.resize(panel.size, CacheLine::ZERO);
        let mut rest = &mut memory[..];
        for (piece, &size) in self.pieces.iter().zip(&panel.planes) {
            for slice in 0..self.slices {
                let (plane, behind) = rest.split_at_mut(size);
                let digits = &digits[slice * self.depth + piece.start..];
                (panel.pack)(digits, pitch, piece.len(), plane);
                rest = behind;
            }
        }
        Some(memory)
    }

    /// Where a plane (1-based) of a piece starts in a panel, in cache lines.
    fn start(&self, panel: &Panel, piece: usize, plane: usize) -> usize {
        assert!((1..=self.slices).contains(&plane));
        piece * self.slices * panel.planes[0] + (plane - 1) * panel.planes[piece]
    }

    /// The sums of a block of C, `m` rows by `n` columns, from the panels of its rows and
    /// columns: `sums[(i * groups.len() + g) * n + j]` becomes the exact sum of group g at
    /// (i, j).
    ///
    /// # Panics
    /// When there are fewer panels than lines, when a group asks for a plane that is not there,
    /// and when `sums` has another length than it says.
    pub fn sums(
        &self,
        groups: &[Group],
        rows: &[Rows],
        columns: &[Columns],
        (m, n): (usize, usize),
        sums: &mut [i64],
    ) {
        let Family { mr, nr, .. } = *self.family;
        assert!(sums.len() == m * groups.len() * n);
        sums.fill(0);
        let mut tile = Tile([0; TILE]);
        for piece in 0..self.pieces.len() {
            for (j, columns) in (0..n).step_by(nr).zip(&columns[..n.div_ceil(nr)]) {
                for (i, rows) in (0..m).step_by(mr).zip(&rows[..m.div_ceil(mr)]) {
                    for (g, group) in groups.iter().enumerate() {
                        self.tile(group, piece, rows, columns, &mut tile);
                        let first = (i * groups.len() + g) * n + j;
                        let (height, width) = (mr.min(m - i), nr.min(n - j));
                        let sums = &mut sums[first..];
                        add_tile(&tile.0, nr, (height, width), sums, groups.len() * n);
                    }
                }
            }
        }
    }

    /// The sums of one group over one piece of the inner dimension.
    fn tile(&self, group: &Group, piece: usize, rows: &Rows, columns: &Columns, tile: &mut Tile) {
        let (rows, columns) = (&rows.0, &columns.0);
        assert!(rows.len() == self.rows.size && columns.len() == self.columns.size);
        let length = self.pieces[piece].len();
        assert!(group.count * length <= MAX_INT32_TERMS, "the sums may not fit an i32");
        let nothing = Pair { rows: std::ptr::null(), columns: std::ptr::null() };
        let mut pairs = [nothing; MAX_PAIRS];
        for ((p, q), pair) in group.products().zip(&mut pairs[..group.count]) {
            *pair = Pair {
                rows: &raw const rows[self.start(&self.rows, piece, p)],
                columns: &raw const columns[self.start(&self.columns, piece, q)],
            };
        }
        // SAFETY: the family runs here, as was asked when the layout was made; the panels are
        // this layout's, as their lengths say, and each has the planes of the piece, with as many
        // runs of every line as the piece has.
        unsafe { (self.family.micro)(&pairs[..group.count], length / self.family.run, tile) }
    }
}

widest! {
    /// Adds a tile, `width` columns of `height` rows that are `nr` apart, to `sums`, where rows
    /// are `pitch` apart.
    fn add_tile(
        tile: &[i32],
        nr: usize,
        shape: (usize, usize),
        sums: &mut [i64],
        pitch: usize,
    ) => add_tile_any;
}

#[inline(always)]
fn add_tile_any(
    tile: &[i32],
    nr: usize,
    (height, width): (usize, usize),
    sums: &mut [i64],
    pitch: usize,
) {
    for i in 0..height {
        let sums = &mut sums[i * pitch..][..width];
        for (sum, &part) in sums.iter_mut().zip(&tile[i * nr..][..width]) {
            *sum += i64::from(part);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::families;
    use super::*;
    use crate::npu::scheme::ozaki_int8::{I_3S8P, I_4S10P};
    use crate::npu::widest::Width;

    /// Digit planes of some lines.
    struct Lines {
        digits: Vec<i8>,
        pitch: usize,
        slices: usize,
        depth: usize,
    }

    impl Lines {
        fn new(count: usize, slices: usize, depth: usize, mut digit: impl FnMut() -> i8) -> Lines {
            let pitch = slices * depth + 7;
            Lines { digits: (0..count * pitch).map(|_| digit()).collect(), pitch, slices, depth }
        }

        fn plane(&self, line: usize, plane: usize) -> &[i8] {
            &self.digits[line * self.pitch + (plane - 1) * self.depth..][..self.depth]
        }

        /// The digits of `count` lines from `first` on, zeros where there are none.
        fn strip(&self, first: usize, count: usize) -> Vec<i8> {
            let mut strip = self.digits[first * self.pitch..].to_vec();
            strip.resize(count * self.pitch, 0);
            strip
        }
    }

    /// The sums of all groups by plain loops.
    fn plain(groups: &[Group], a: &Lines, b: &Lines, (m, n): (usize, usize)) -> Vec<i64> {
        let dot = |a: &[i8], b: &[i8]| {
            a.iter().zip(b).map(|(&a, &b)| i64::from(a) * i64::from(b)).sum::<i64>()
        };
        let mut sums = Vec::new();
        for i in 0..m {
            for group in groups {
                for j in 0..n {
                    sums.push(
                        group.products().map(|(p, q)| dot(a.plane(i, p), b.plane(j, q))).sum(),
                    );
                }
            }
        }
        sums
    }

    fn packed(
        layout: &Layout,
        a: &Lines,
        b: &Lines,
        (m, n): (usize, usize),
    ) -> (Vec<Rows>, Vec<Columns>) {
        let Family { mr, nr, .. } = *layout.family();
        let rows = (0..m).step_by(mr).map(|i| layout.rows(&a.strip(i, mr), a.pitch).unwrap());
        let columns = (0..n).step_by(nr).map(|j| layout.columns(&b.strip(j, nr), b.pitch).unwrap());
        (rows.collect(), columns.collect())
    }

    /// Compares what every family that this CPU runs makes of a product with plain loops.
    fn check(groups: &[Group], a: &Lines, b: &Lines, shape: (usize, usize)) {
        let expected = plain(groups, a, b, shape);
        for family in families() {
            if !family.is_available() {
                eprintln!("SKIPPED: this CPU has no {}", family.name());
                continue;
            }
            let layout = Layout::new(family, a.slices, a.depth);
            let (rows, columns) = packed(&layout, a, b, shape);
            let mut sums = vec![-1; expected.len()];
            layout.sums(groups, &rows, &columns, shape, &mut sums);
            assert!(sums == expected, "{} {shape:?} depth {}", family.name(), a.depth);
        }
    }

    /// All digits, none more often than others.
    fn any() -> impl FnMut() -> i8 {
        let mut state = 5u32;
        move || {
            state = state.wrapping_mul(747_796_405).wrapping_add(2_891_336_453);
            (state >> 24) as i8
        }
    }

    const ONE: [Group; 1] = [Group { weight: 2, first: 1, count: 1 }];

    #[test]
    fn every_family_gives_the_sums_of_plain_loops() {
        for m in [0, 1, 5, 8, 9, 25] {
            for n in [0, 1, 8, 13, 17, 48, 100] {
                for depth in [0, 32, 96] {
                    let mut digit = any();
                    let a = Lines::new(m, 3, depth, &mut digit);
                    let b = Lines::new(n, 3, depth, &mut digit);
                    check(I_3S8P.groups, &a, &b, (m, n));
                }
            }
        }
        for depth in [256, 288, 512, 544, 1024, 1056, 2080] {
            let mut digit = any();
            let (a, b) =
                (Lines::new(9, 4, depth, &mut digit), Lines::new(50, 4, depth, &mut digit));
            check(I_4S10P.groups, &a, &b, (9, 50));
        }
    }

    #[test]
    fn the_extreme_digits_are_exact_at_any_depth() {
        for depth in [32, 4096, 150_016] {
            for (x, y) in [(-128, -128), (-128, 127), (127, -128), (127, 127)] {
                let (a, b) = (Lines::new(2, 1, depth, || x), Lines::new(3, 1, depth, || y));
                check(&ONE, &a, &b, (2, 3));
            }
            // Extremes in runs of any length.
            let mut state = any();
            let mut extreme = || if state() < 20 { -128 } else { 127 };
            let a = Lines::new(2, 1, depth, &mut extreme);
            let b = Lines::new(3, 1, depth, &mut extreme);
            check(&ONE, &a, &b, (2, 3));
        }
    }

    #[test]
    fn every_width_adds_every_sum_of_a_tile() {
        let tile: Vec<i32> = (0..60).map(|i: i32| i.wrapping_mul(0x7654_3217)).collect();
        Width::each(|| {
            let mut sums = vec![1 << 40; 100];
            add_tile(&tile, 12, (5, 11), &mut sums, 20);
            for (at, &sum) in sums.iter().enumerate() {
                let (i, j) = (at / 20, at % 20);
                let part = if j < 11 { i64::from(tile[i * 12 + j]) } else { 0 };
                assert_eq!(sum, (1 << 40) + part);
            }
        });
    }

    #[test]
    #[should_panic(expected = "contains(&plane)")]
    fn a_plane_that_is_not_there_is_refused() {
        let layout = Layout::new(super::super::chosen(None), 2, 32);
        let (a, b) = (Lines::new(1, 2, 32, || 1), Lines::new(1, 2, 32, || 1));
        let (rows, columns) = packed(&layout, &a, &b, (1, 1));
        layout.sums(I_3S8P.groups, &rows, &columns, (1, 1), &mut [0; 4]);
    }
}
