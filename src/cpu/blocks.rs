//! Large products: the five loops over packed blocks, on one thread, or on all of them.
//!
//! All threads share what is packed. They pack blocks of A and B together, panel by panel, then
//! they take tiles of the block of C that belongs to these: the same micro-kernels over the same
//! steps of the sum as on one thread, hence the same bits. Nothing is packed twice for their sake,
//! so a ticket may be small.

use super::blocking;
use super::caches::{self, Core, Machine};
use super::kernel::micro::Scaling;
use super::kernel::sum::Operands;
use super::kernel::{Kernels, MicroKernel, Sizes};
use super::pack::{self, Pack};
use super::scratch::Scratch;
use super::small;
use super::tile::{self, Place};
use crate::mat::MatRef;
use crate::problem::Gemm;
use crate::threads::Crew;
use std::ops::Range;

/// The five loops with this thread's memory.
pub(super) fn gemm<T: Kernels>(kernel: &MicroKernel<T>, p: &mut Gemm<'_, T>) {
    five_loops(kernel, p, caches::here().core(), Scratch::take);
}

/// The five loops round the micro-kernel, on the calling thread, which runs on such a core. `take`
/// gives the memory for one block of A and one of B; when it gives none, not even for small blocks,
/// nothing is packed.
fn five_loops<T: Kernels>(
    kernel: &MicroKernel<T>,
    p: &mut Gemm<'_, T>,
    core: &Core,
    take: impl Fn(usize) -> Option<Scratch>,
) {
    let (m, n, k) = (p.m(), p.n(), p.k());
    let sizes = kernel.sizes(kernel.blocking.step(k), core, 1);
    let Some(blocks) = Blocks::reserve(kernel, sizes, (m, n, k), take) else {
        return small::gemm(kernel, p, kernel.blocking.step(k));
    };
    // LOOP 5: columns of C and B, NC at a time.
    for jc in (0..n).step_by(blocks.nc) {
        let nc = blocks.nc.min(n - jc);
        // LOOP 4: the sum, KC at a time. The first step brings in the old C, the others add.
        for (pc, kc) in kernel.blocking.steps(k) {
            let beta = if pc == 0 { p.beta } else { T::ONE };
            let scaling = Scaling { beta, ..Scaling::of(p) };
            let b = p.b.block(pc, jc, kc, nc);
            // SAFETY: the block is readable, and the memory for B holds KC × NC elements in
            // whole panels.
            unsafe {
                let strides = (b.col_stride(), b.row_stride());
                pack::panels((kernel.pack_b, kernel.nr), b.ptr(), strides, (nc, kc), blocks.b);
            }
            // LOOP 3: rows of C and A, MC at a time.
            for ic in (0..m).step_by(blocks.mc) {
                let mc = blocks.mc.min(m - ic);
                let a = p.a.block(ic, pc, mc, kc);
                // SAFETY: likewise for MC × KC elements of A.
                unsafe {
                    let strides = (a.row_stride(), a.col_stride());
                    pack::panels((kernel.pack_a, kernel.mr), a.ptr(), strides, (mc, kc), blocks.a);
                }
                let c = p.c.block(ic, jc, mc, nc);
                let block = Place {
                    c: c.ptr(),
                    rs: c.row_stride(),
                    cs: c.col_stride(),
                    rows: mc,
                    cols: nc,
                };
                // SAFETY: both blocks were just packed for this kernel, whose family runs on
                // this CPU or it would not have been chosen; C is borrowed alone.
                unsafe { macro_kernel(kernel, kc, blocks.a, blocks.b, &scaling, &block) };
            }
        }
    }
    blocks.memory.keep();
}

/// Bytes of C times length of the sum that are worth a ticket: some ten microseconds.
const TICKET_BYTES: usize = 8 << 20;

/// Packed elements that are worth a ticket.
const PACK_TICKET: usize = 16 << 10;

/// Fewest tickets per thread: enough for a thread that lags behind to be relieved of work.
const TICKETS_PER_THREAD: usize = 4;

/// The five loops on all threads of the crew, with memory from `take` for what they share. `false`
/// when it gives none: then nothing has been done.
pub(super) fn gemm_shared<T: Kernels>(
    kernel: &MicroKernel<T>,
    p: &Gemm<'_, T>,
    crew: &mut Crew<'_>,
    take: impl Fn(usize) -> Option<Scratch>,
) -> bool {
    five_loops_shared(kernel, p, crew, caches::here(), take)
}

/// [`gemm_shared`] on such a machine.
fn five_loops_shared<T: Kernels>(
    kernel: &MicroKernel<T>,
    p: &Gemm<'_, T>,
    crew: &mut Crew<'_>,
    machine: &Machine,
    take: impl Fn(usize) -> Option<Scratch>,
) -> bool {
    let (m, n, k) = (p.m(), p.n(), p.k());
    let most = blocking::shared_bytes(machine.core());
    let Some(shared) = Shared::reserve(kernel, most, (m, n, k), take) else { return false };
    let Shared { mc, nc, depth, .. } = shared;
    for jc in (0..n).step_by(nc) {
        for pc in (0..k).step_by(depth) {
            for ic in (0..m).step_by(mc) {
                let lengths = (mc.min(m - ic), nc.min(n - jc), depth.min(k - pc));
                let origin = (ic, jc, pc);
                let stage = Stage { kernel, p, machine, shared: &shared, origin, lengths };
                stage.pack(crew, ic == 0);
                stage.compute(crew);
            }
        }
    }
    shared.memory.keep();
    true
}

/// What packs a panel, and the lines in it.
type Panel<T> = (Pack<T>, usize);

/// A block of C, and the part of the sum that is packed for it.
struct Stage<'a, T: Kernels> {
    kernel: &'a MicroKernel<T>,
    p: &'a Gemm<'a, T>,
    machine: &'a Machine,
    shared: &'a Shared<T>,
    /// First row, first column, first index of the sum.
    origin: (usize, usize, usize),
    /// Rows, columns, indices.
    lengths: (usize, usize, usize),
}

impl<T: Kernels> Stage<'_, T> {
    /// Packs the rows of A, and the columns of B if asked to, for all steps.
    fn pack(&self, crew: &mut Crew<'_>, with_b: bool) {
        let Stage { kernel, p, shared, .. } = *self;
        let (ic, jc, pc) = self.origin;
        let (rows, cols, length) = self.lengths;
        let cols = if with_b { cols } else { 0 };
        let a = p.a.block(ic, pc, rows, length);
        let b = p.b.block(pc, jc, length, cols).t();
        let most = rows.div_ceil(kernel.mr).max(cols.div_ceil(kernel.nr));
        let tickets = ((rows + cols) * length / PACK_TICKET).clamp(1, most);
        crew.for_each(tickets, |ticket| {
            let some = |lines: usize, width: usize| {
                let panels = lines.div_ceil(width);
                let at = |ticket: usize| (panels * ticket / tickets * width).min(lines);
                at(ticket)..at(ticket + 1)
            };
            let (a_lines, b_lines) = (some(rows, kernel.mr), some(cols, kernel.nr));
            for l in (0..length).step_by(shared.step) {
                let kc = shared.step.min(length - l);
                // SAFETY: the lines exist, the panels of a step have room for all of them one
                // after another, and those of different tickets are different.
                unsafe {
                    let to = |panels: *mut T, lines: &Range<usize>| panels.add(lines.start * kc);
                    let (a_to, b_to) = (to(shared.a(l), &a_lines), to(shared.b(l), &b_lines));
                    let pack = |x: &MatRef<'_, T>, lines: &Range<usize>, panel: Panel<T>, to| {
                        let strides = (x.row_stride(), x.col_stride());
                        pack::panels(panel, x.at(lines.start, l), strides, (lines.len(), kc), to);
                    };
                    pack(&a, &a_lines, (kernel.pack_a, kernel.mr), a_to);
                    pack(&b, &b_lines, (kernel.pack_b, kernel.nr), b_to);
                }
            }
        });
    }

    /// Computes the block of C from what is packed.
    fn compute(&self, crew: &mut Crew<'_>) {
        let Stage { kernel, p, machine, shared, .. } = *self;
        let (ic, jc, pc) = self.origin;
        let (rows, cols, length) = self.lengths;
        let (mr, nr, threads) = (kernel.mr, kernel.nr, crew.count());
        let mc = |core: &Core| {
            // A ticket goes through all steps. Where L3 is far, L2 is to hold the rows of all of them.
            let line = if core.has_near_l3() { shared.step } else { length };
            kernel.sizes(line, core, threads).mc
        };
        // Rows first, so that a block of A fits its cache; then columns, for enough tickets.
        let down = rows.div_ceil(machine.cores().iter().map(mc).max().unwrap_or(mr));
        let work =
            rows.saturating_mul(cols).saturating_mul(length) / (TICKET_BYTES / size_of::<T>());
        let right = work.max(TICKETS_PER_THREAD * threads).div_ceil(down);
        let height = rows.div_ceil(down).next_multiple_of(mr);
        let width = cols.div_ceil(right).next_multiple_of(nr);
        let (down, right) = (rows.div_ceil(height), cols.div_ceil(width));
        crew.for_each(down * right, |ticket| {
            let (i, j) = (ticket / right * height, ticket % right * width);
            let (end, cols) = (rows.min(i + height), width.min(cols - j));
            let (rs, cs) = (p.c.row_stride(), p.c.col_stride());
            // A core with a smaller cache than the largest one's takes its ticket piece by piece.
            let mc = mc(machine.core()).min(height);
            for l in (0..length).step_by(shared.step) {
                let kc = shared.step.min(length - l);
                // The first step brings in the old C, the others add.
                let beta = if pc + l == 0 { p.beta } else { T::ONE };
                let scaling = Scaling { beta, ..Scaling::of(p) };
                for i in (i..end).step_by(mc) {
                    let rows = mc.min(end - i);
                    let place = Place { c: p.c.at(ic + i, jc + j), rs, cs, rows, cols };
                    // SAFETY: all panels are packed for this kernel, whose family runs on this CPU or
                    // it would not have been chosen. The blocks of different tickets have no element
                    // in common, every ticket is handed out once, and C is borrowed alone.
                    unsafe {
                        let (a, b) = (shared.a(l).add(i * kc), shared.b(l).add(j * kc));
                        macro_kernel(kernel, kc, a, b, &scaling, &place);
                    }
                }
            }
        });
    }
}

/// Memory for what threads pack together, and how much that is.
struct Shared<T> {
    /// Rows of A and columns of B.
    mc: usize,
    nc: usize,
    /// Length of a step of the sum, and of all steps that are packed at a time.
    step: usize,
    depth: usize,
    /// Room for `depth` long panels of `mc` rows and `nc` columns, 64-byte aligned.
    a: *mut T,
    b: *mut T,
    memory: Scratch,
}

// SAFETY: the memory is plain, and who writes where in it is up to those who use it.
unsafe impl<T: Sync> Sync for Shared<T> {}

impl<T: Kernels> Shared<T> {
    /// Memory for at most so many bytes of either, in whole panels, but a step of a panel at least.
    fn reserve(
        kernel: &MicroKernel<T>,
        most: usize,
        (m, n, k): (usize, usize, usize),
        take: impl Fn(usize) -> Option<Scratch>,
    ) -> Option<Self> {
        let step = kernel.blocking.step(k).max(1);
        let line = step * size_of::<T>();
        let share = |lines, width| even(lines, blocking::whole(most / line, width), width);
        let (mc, nc) = (share(m, kernel.mr), share(n, kernel.nr));
        let steps = (most / (mc.max(nc) * line)).clamp(1, k.div_ceil(step));
        let depth = steps * step;
        let (a, b, memory) = side_by_side((mc * depth, nc * depth), take)?;
        Some(Shared { mc, nc, step, depth, a, b, memory })
    }

    /// The panels of A for the step at `l` of those that are packed.
    fn a(&self, l: usize) -> *mut T {
        self.a.wrapping_add(l * self.mc)
    }

    /// The panels of B, likewise.
    fn b(&self, l: usize) -> *mut T {
        self.b.wrapping_add(l * self.nc)
    }
}

/// The two inner loops: all tiles of one block of C from packed blocks of A and B.
///
/// # Safety
/// The CPU runs the kernel's family. `a` and `b` hold the packed rows and columns of the block,
/// `kc` long. C is writable, and for β ≠ 0 readable, without overlap with either.
unsafe fn macro_kernel<T: Kernels>(
    kernel: &MicroKernel<T>,
    kc: usize,
    a: *const T,
    b: *const T,
    scaling: &Scaling<T>,
    c: &Place<T>,
) {
    let (mr, nr) = (kernel.mr, kernel.nr);
    let (a_cs, b_rs) = (mr as isize, nr as isize);
    // LOOP 2: columns of the block, NR at a time; this panel of B stays in L1.
    for jr in (0..c.cols).step_by(nr) {
        let cols = nr.min(c.cols - jr);
        // LOOP 1: rows of the block, MR at a time; panels of A come from L2.
        for ir in (0..c.rows).step_by(mr) {
            let panel_rows = mr.min(c.rows - ir);
            let mut done = 0;
            while done < panel_rows {
                let rows = kernel.share_of_rows(panel_rows - done);
                let whole = rows == mr && cols == nr;
                let micro = if whole { kernel.full } else { kernel.parts(rows)[cols - 1] };
                // SAFETY: panels follow each other at MR·kc and NR·kc elements, the rows of a
                // panel are neighbours, and the tile is inside C; the rest is the caller's
                // promise.
                unsafe {
                    let (a, b) = (a.add(ir * kc + done), b.add(jr * kc));
                    let operands = Operands { k: kc, rows, a, a_cs, b, b_rs, b_cs: 1 };
                    let at = c.c.offset((ir + done) as isize * c.rs + jr as isize * c.cs);
                    let place = Place { c: at, rs: c.rs, cs: c.cs, rows, cols };
                    tile::update(micro, &operands, scaling, place);
                }
                done += rows;
            }
        }
    }
}

/// Memory for the packed blocks, and how large these are.
struct Blocks<T> {
    mc: usize,
    nc: usize,
    /// Room for MC × KC elements of A, 64-byte aligned.
    a: *mut T,
    /// Room for KC × NC elements of B, 64-byte aligned.
    b: *mut T,
    memory: Scratch,
}

impl<T: Kernels> Blocks<T> {
    /// Blocks no larger than the problem needs. When memory is short they shrink, down to one
    /// panel each; KC stays, because the sum must be cut at the same places.
    fn reserve(
        kernel: &MicroKernel<T>,
        sizes: Sizes,
        (m, n, k): (usize, usize, usize),
        take: impl Fn(usize) -> Option<Scratch>,
    ) -> Option<Self> {
        let kc = kernel.blocking.step(k);
        let mut mc = even(m, sizes.mc, kernel.mr);
        let mut nc = even(n, sizes.nc, kernel.nr);
        loop {
            if let Some((a, b, memory)) = side_by_side((mc * kc, nc * kc), &take) {
                return Some(Blocks { mc, nc, a, b, memory });
            }
            if nc > kernel.nr {
                nc = (nc / 2).next_multiple_of(kernel.nr);
            } else if mc > kernel.mr {
                mc = (mc / 2).next_multiple_of(kernel.mr);
            } else {
                return None;
            }
        }
    }
}

/// Lines of a block where there are so many, at least one: whole panels, as even as possible and at
/// most `most`, which is whole panels.
fn even(lines: usize, most: usize, width: usize) -> usize {
    blocking::even(lines, most).next_multiple_of(width)
}

/// Room for so many elements of A and of B, each 64-byte aligned.
fn side_by_side<T>(
    (a, b): (usize, usize),
    take: impl Fn(usize) -> Option<Scratch>,
) -> Option<(*mut T, *mut T, Scratch)> {
    // A takes whole cache lines, so that B begins with one.
    let a_bytes = (a * size_of::<T>()).next_multiple_of(64);
    let memory = take(a_bytes + b * size_of::<T>())?;
    // SAFETY: the memory is larger than that.
    let b = unsafe { memory.start().add(a_bytes) };
    Some((memory.start().cast(), b.cast(), memory))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cpu::caches::{Cache, CoreType, Levels, Source};
    use crate::cpu::sample::{self, kernels};
    use crate::threads::Threads;

    const M: usize = 470;
    const N: usize = 150;
    const K: usize = 600;

    /// A product by the five loops: these run on what is given here.
    fn product(run: impl FnOnce(&mut Gemm<'_, f32>)) -> Vec<u32> {
        sample::product((M, N, K), false, 1, run)
    }

    #[test]
    fn short_memory_costs_time_only() {
        kernels().for_each(|kernel| {
            let core = caches::here().core();
            let plenty = product(|p| five_loops(kernel, p, core, Scratch::take));
            let panel = kernel.blocking.step(K) * size_of::<f32>();
            for lines in [kernel.mr + 2 * kernel.nr, kernel.mr + kernel.nr, 0] {
                let limit = lines * panel + 64;
                let take = |bytes| if bytes <= limit { Scratch::take(bytes) } else { None };
                let little = product(|p| five_loops(kernel, p, core, take));
                assert!(little == plenty, "{lines} lines");
            }
        });
    }

    #[test]
    fn neither_caches_nor_threads_show() {
        let threads = Threads::new(3);
        // Cores of different kinds, whose blocks are a few panels or more than there is to pack. The L3
        // of one is near.
        const fn levels(l2_kib: usize, l3_kib: usize) -> Levels {
            const fn cache(kib: usize) -> Cache {
                Cache { bytes: kib << 10, users: 1 }
            }
            Levels { l1: cache(16), l2: cache(l2_kib), l3: Some(cache(l3_kib)) }
        }
        static NEAR: CoreType = CoreType {
            name: "near",
            caches: levels(256, 32 << 10),
            has_near_l3: true,
            has_half_units: false,
        };
        let core = |of_type, caches| Core { of_type, caches, source: Source::Guess };
        let cores = [
            core(None, levels(64, 128)),
            core(None, levels(256, 512)),
            core(None, levels(1024, 32 << 10)),
            core(Some(&NEAR), NEAR.caches),
        ];
        kernels().for_each(|kernel| {
            let expected = product(|p| five_loops(kernel, p, &cores[0], Scratch::take));
            for here in 0..cores.len() {
                let alone = product(|p| five_loops(kernel, p, &cores[here], Scratch::take));
                assert!(alone == expected, "one thread");
                let machine = Machine::new(cores.to_vec(), vec![here; 4096]);
                let shared = product(|p| {
                    let crew = &mut threads.crew();
                    assert!(five_loops_shared(kernel, p, crew, &machine, Scratch::take));
                });
                assert!(shared == expected, "three threads");
            }
        });
    }
}
