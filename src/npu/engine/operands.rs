//! Splits both operands into planes and packs them into device buffers.
//!
//! One pass over each operand serves four masters: the device gets its bytes, the guard its
//! statistics, the verification its projections, and the recombination its exponents.

use super::lines::{self, Lines};
use super::plan::Plan;
use super::transpose::STRIP;
use crate::npu::chip::Chip;
use crate::npu::driver::Buffer;
use crate::npu::guard::LineStats;
use crate::npu::pool::Lane;
use crate::npu::scheme::{Element, LineScan, Real, Scheme};
use crate::npu::verify::Challenge;
use crate::threads::Threads;
use std::sync::Mutex;

/// The device buffers of one lane's share that hold its operands.
#[derive(Debug)]
pub struct OperandBuffers {
    /// Rows of A, as [`Plan`] lays them out.
    pub a: Box<dyn Buffer>,
    /// Packed tiles of B.
    pub b: Box<dyn Buffer>,
}

impl OperandBuffers {
    /// Returns both buffers to the lane they came from.
    pub fn give_back(self, lane: &mut Lane) {
        lane.give(self.a);
        lane.give(self.b);
    }
}

/// What packing found out about the lines of one operand.
#[derive(Debug, Default)]
pub struct Packed {
    /// The exponent of each line.
    pub exponents: Vec<i32>,
    /// The guard's statistics of each row of A or column of B, of all its lines together: they
    /// have the same magnitudes. None where no guard wants them.
    pub stats: Vec<LineStats>,
}

impl Packed {
    /// Adds the lines that follow.
    fn append(&mut self, next: Packed) {
        self.exponents.extend(next.exponents);
        self.stats.extend(next.stats);
    }
}

/// How lines are split.
#[derive(Debug, Clone, Copy)]
struct Split<'a> {
    scheme: &'a Scheme,
    /// Whether a guard wants statistics.
    is_guarded: bool,
    /// Numbers per plane.
    pitch: usize,
}

impl Split<'_> {
    /// Splits one more line into `planes`, that of a certificate included, and adds to `found`;
    /// `is_first` of its row or column. A line that is zeros by its scan is not looked at.
    fn add<R: Real>(
        self,
        line: &[R],
        (scan, is_first): (&LineScan<R>, bool),
        planes: &mut [i8],
        found: &mut Packed,
    ) {
        let Split { scheme, is_guarded, pitch } = self;
        let line = if scan.nonzeros == 0 { &[] } else { line };
        let exponent = scheme.exponent(line, scan);
        let certificate = if scheme.certificate { pitch } else { 0 };
        let (values, leading) = planes.split_at_mut(planes.len() - certificate);
        scheme.split(line, exponent, pitch, values);
        found.exponents.push(exponent);
        if !is_guarded {
            return;
        }
        match found.stats.last_mut() {
            Some(stats) if !is_first => stats.take_in(scheme, values, pitch),
            _ => found.stats.push(LineStats::of(line, scan, exponent, scheme, values, pitch)),
        }
        if scheme.certificate
            && let Some(stats) = found.stats.last()
        {
            stats.leading(line, exponent, leading);
        }
    }
}

/// Scans every line of an operand.
pub fn scan<T: Element>(lines: Lines<'_, T>, threads: &Threads) -> Vec<LineScan<T::Real>> {
    let count = lines.count();
    let scratch = lines::Scratch::<T>::default;
    let strips = threads.map(count.div_ceil(STRIP), scratch, |scratch, strip| {
        let range = strip * STRIP..count.min((strip + 1) * STRIP);
        let mut scans = Vec::with_capacity(range.len());
        lines.visit(range, scratch, |_, line| scans.push(LineScan::of(line)));
        scans
    });
    strips.into_iter().flatten().collect()
}

/// Splits every line of an operand, only to find out what packing would. `scans` has one for each
/// row of A or column of B.
pub fn examine<T: Element>(
    lines: Lines<'_, T>,
    scans: &[LineScan<T::Real>],
    scheme: &Scheme,
    is_guarded: bool,
    threads: &Threads,
) -> Packed {
    let split = Split { scheme, is_guarded, pitch: lines.length() / scheme.parts() };
    let (count, per_row) = (lines.count(), lines.per_row());
    let scratch = <(lines::Scratch<T>, Vec<i8>)>::default;
    let strips = threads.map(count.div_ceil(STRIP), scratch, |(gathered, planes), strip| {
        planes.resize(scheme.bytes() * split.pitch, 0);
        let range = strip * STRIP..count.min((strip + 1) * STRIP);
        let mut found = Packed::default();
        lines.visit(range, gathered, |i, line| {
            split.add(line, (&scans[i / per_row], i % per_row == 0), planes, &mut found);
        });
        found
    });
    let mut packed = Packed::default();
    strips.into_iter().for_each(|found| packed.append(found));
    packed
}

/// Everything that packing needs to know of the call.
#[derive(Debug, Clone, Copy)]
pub struct Packer<'a, C> {
    /// The chip whose layouts are written.
    pub chip: &'a dyn Chip,
    /// What elements become, and which products of that are kept.
    pub scheme: &'a Scheme,
    /// Where everything goes.
    pub plan: &'a Plan,
    /// The buffers, one per share of the plan.
    pub buffers: &'a [OperandBuffers],
    /// The random numbers of the verification.
    pub challenge: &'a C,
    /// Whether a guard wants statistics.
    pub is_guarded: bool,
    /// Who helps.
    pub threads: &'a Threads,
}

/// Scratch of one thread.
#[derive(Debug)]
struct Scratch<T: Element, C: Challenge> {
    lines: lines::Scratch<T>,
    /// Planes of a line or of all lines of a strip.
    planes: Vec<i8>,
    running: C::Running,
    block: Vec<u8>,
}

impl<T: Element, C: Challenge> Default for Scratch<T, C> {
    fn default() -> Self {
        Scratch {
            lines: lines::Scratch::default(),
            planes: Vec::new(),
            running: C::Running::default(),
            block: Vec::new(),
        }
    }
}

impl<C: Challenge> Packer<'_, C> {
    fn planes_len(&self) -> usize {
        self.plan.a_pitch
    }

    /// Digits from one line to the next where a strip of lines waits to be packed. With a cache
    /// line between them, runs of the same planes do not compete for places in the cache.
    pub fn line_pitch(&self) -> usize {
        self.planes_len() + 64
    }

    fn split(&self) -> Split<'_> {
        Split { scheme: self.scheme, is_guarded: self.is_guarded, pitch: self.plan.pitch }
    }

    /// Packs B, whose columns are `lines`, into the buffers of every share that needs them, as
    /// many lines each as the scheme makes of them. `scans` has one for each column. Returns what
    /// it found and, per tile, what rows of A must meet.
    pub fn columns<T: Element>(
        &self,
        lines: Lines<'_, T>,
        scans: &[LineScan<T::Real>],
    ) -> (Packed, Vec<C::Projection>) {
        let plan = self.plan;
        let lines = lines.per_column(self.scheme.lines::<T>());
        // A strip is as wide as the chip's alignment, so that it is contiguous in every tile.
        let align = self.chip.limits(plan.arithmetic).col_align;
        let strips: Vec<(usize, usize)> = (0..plan.tiles.len())
            .flat_map(|tile| (0..plan.width(tile)).step_by(align).map(move |col| (tile, col)))
            .collect();
        let totals: Vec<Mutex<C::Running>> = plan
            .tiles
            .iter()
            .map(|_| {
                let mut running = C::Running::default();
                self.challenge.start(self.planes_len(), &mut running);
                Mutex::new(running)
            })
            .collect();

        let scratch = Scratch::<T, C>::default;
        let found = self.threads.map(strips.len(), scratch, |scratch, strip| {
            let (tile, first) = strips[strip];
            let cols = &plan.tiles[tile];
            let range = cols.start + first..cols.end.min(cols.start + first + align);
            self.column_strip(lines, scans, range, (tile, first), &totals[tile], scratch)
        });

        let mut packed = Packed::default();
        found.into_iter().for_each(|found| packed.append(found));
        let vectors = totals
            .into_iter()
            .map(|total| {
                let total = total.into_inner().unwrap_or_else(|e| e.into_inner());
                self.challenge.combine(self.scheme, &total, plan.pitch)
            })
            .collect();
        (packed, vectors)
    }

    /// Packs one strip of lines of B: `at` is its tile and its first line in the tile.
    fn column_strip<T: Element>(
        &self,
        lines: Lines<'_, T>,
        scans: &[LineScan<T::Real>],
        range: std::ops::Range<usize>,
        at: (usize, usize),
        total: &Mutex<C::Running>,
        scratch: &mut Scratch<T, C>,
    ) -> Packed {
        let (len, pitch) = (self.planes_len(), self.line_pitch());
        let Scratch { lines: gathered, planes, running, block } = scratch;
        self.challenge.start(len, running);
        planes.resize(self.chip.limits(self.plan.arithmetic).col_align * pitch, 0);
        planes[range.len() * pitch..].fill(0);
        let mut packed = Packed::default();
        let per_row = lines.per_row();

        lines.visit(range.clone(), gathered, |col, line| {
            let planes = &mut planes[(col - range.start) * pitch..][..len];
            let scan = (&scans[col / per_row], col % per_row == 0);
            self.split().add(line, scan, planes, &mut packed);
        });
        self.challenge.add_columns(range, planes, pitch, running);
        self.write_strip(at, planes, block);

        let mut total = total.lock().unwrap_or_else(|e| e.into_inner());
        self.challenge.merge(&mut total, running);
        packed
    }

    /// Packs the planes of one strip of columns of B, block by block, into the buffers of
    /// every share that needs them. `at` is its tile and its first column in the tile; the
    /// columns are [`Packer::line_pitch`] apart, and `block` is scratch.
    pub fn write_strip(&self, at: (usize, usize), planes: &[i8], block: &mut Vec<u8>) {
        let (tile, first) = at;
        let (plan, limits) = (self.plan, self.chip.limits(self.plan.arithmetic));
        let (pitch, step, bytes) = (plan.pitch, limits.depth_align, plan.arithmetic.bytes());
        block.resize(step * limits.col_align * bytes, 0);
        let shares = plan.shares.iter().zip(self.buffers).filter(|(s, _)| s.tiles.contains(&tile));
        for (s, section) in plan.sections.iter().enumerate() {
            let group = &self.scheme.groups[section.group];
            let planes_of_b: Vec<usize> = group.products().map(|(_, q)| q - 1).collect();
            let before = first * section.span.len() * bytes;
            let strips: Vec<(&dyn Buffer, usize)> = shares
                .clone()
                .map(|(share, to)| (&*to.b, plan.b_offset(share, tile, s) + before))
                .collect();
            for (i, l) in section.span.clone().step_by(step).enumerate() {
                let start = (planes_of_b[l / pitch] * pitch + l % pitch) * bytes;
                let columns = &as_bytes(planes)[start..];
                self.chip.pack_b_block(plan.arithmetic, columns, self.line_pitch(), block);
                for (buffer, strip) in &strips {
                    buffer.write(strip + i * block.len(), block);
                }
            }
        }
    }

    /// Packs A, whose rows are `lines`. Returns what it found and, per row and tile (row-major),
    /// the projection that the results must have.
    pub fn rows<T: Element>(
        &self,
        lines: Lines<'_, T>,
        scans: &[LineScan<T::Real>],
        vectors: &[C::Projection],
    ) -> (Packed, Vec<C::Expected>) {
        let (plan, m) = (self.plan, scans.len());
        let scratch = Scratch::<T, C>::default;
        let found = self.threads.map(m.div_ceil(STRIP), scratch, |scratch, strip| {
            let range = strip * STRIP..m.min((strip + 1) * STRIP);
            let Scratch { lines: gathered, planes, .. } = scratch;
            planes.resize(self.planes_len(), 0);
            let (mut packed, mut expected) = (Packed::default(), Vec::new());
            lines.visit(range, gathered, |row, line| {
                self.split().add(line, (&scans[row], true), planes, &mut packed);
                expected.extend(vectors.iter().map(|v| C::expect(planes, v)));
                for (share, buffers) in plan.shares.iter().zip(self.buffers) {
                    if share.rows.contains(&row) {
                        buffers.a.write(plan.a_offset(share, row), as_bytes(planes));
                    }
                }
            });
            (packed, expected)
        });
        let (mut packed, mut all) = (Packed::default(), Vec::new());
        for (found, expected) in found {
            packed.append(found);
            all.extend(expected);
        }
        (packed, all)
    }
}

/// Digits as the bytes that they are in memory.
fn as_bytes(digits: &[i8]) -> &[u8] {
    // SAFETY: both have the same size and alignment, and any byte is either.
    unsafe { std::slice::from_raw_parts(digits.as_ptr().cast(), digits.len()) }
}
