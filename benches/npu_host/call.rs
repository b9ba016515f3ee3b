//! A call without its device: everything that the host does for `C ← A·B` of n × n × n.

use super::memory::Memory;
use npublas::MatRef;
use npublas::mat::MatMut;
use npublas::npu::driver::Buffer;
use npublas::npu::engine::area::Spared;
use npublas::npu::engine::formula::Formula;
use npublas::npu::engine::lines::Lines;
use npublas::npu::engine::operands::{self, OperandBuffers, Packed, Packer};
use npublas::npu::engine::plan::{Block, Plan};
use npublas::npu::engine::results::Results;
use npublas::npu::guard;
use npublas::npu::rk3588::Rk3588;
use npublas::npu::scheme::{Element, LineScan, Real, Scheme};
use npublas::npu::verify::Challenge;
use npublas::threads::Threads;

static NOTHING: Spared = Spared { rows: Vec::new(), cols: Vec::new() };

/// The operands of a call, row-major, and everything that is known before the device works.
#[derive(Debug)]
pub struct Call<R> {
    pub scheme: &'static Scheme,
    pub n: usize,
    pub a: Vec<R>,
    pub b: Vec<R>,
    pub plan: Plan,
    pub buffers: Vec<OperandBuffers>,
    pub threads: Threads,
}

/// What packing leaves behind.
#[derive(Debug)]
pub struct Prepared<C: Challenge> {
    pub rows: Packed,
    pub cols: Packed,
    pub vectors: Vec<C::Projection>,
    pub expected: Vec<C::Expected>,
}

/// The nearest number of the type.
pub fn nearest<R: Real>(x: f64) -> R {
    R::finish(R::ONE, x, R::ZERO, None)
}

impl<R: Real + Element> Call<R> {
    pub fn new(scheme: &'static Scheme, n: usize) -> Call<R> {
        let mut state = 1u32;
        let mut number = || {
            state = state.wrapping_mul(747_796_405).wrapping_add(2_891_336_453);
            nearest(f64::from(state) / f64::from(1u32 << 31) - 1.0)
        };
        let mut matrix = || (0..n * n).map(|_| number()).collect();
        let (a, b) = (matrix(), matrix());
        let plan = Plan::new(&Rk3588, scheme, n, n, n, 1);
        let buffers = plan.shares.iter().map(|share| OperandBuffers {
            a: Box::new(Memory::new(plan.a_bytes(share))),
            b: Box::new(Memory::new(plan.b_bytes(share))),
        });
        let buffers = buffers.collect();
        Call { scheme, n, a, b, plan, buffers, threads: Threads::alone() }
    }

    /// The rows of A, contiguous.
    pub fn rows(&self) -> Lines<'_, R> {
        Lines::of_a(MatRef::from_row_major(&self.a, self.n, self.n, self.n), false)
    }

    /// The columns of B, whose elements are a row apart.
    pub fn cols(&self) -> Lines<'_, R> {
        Lines::of_b(MatRef::from_row_major(&self.b, self.n, self.n, self.n), false)
    }

    pub fn packer<'a, C>(&'a self, challenge: &'a C, is_guarded: bool) -> Packer<'a, C> {
        Packer {
            chip: &Rk3588,
            scheme: self.scheme,
            plan: &self.plan,
            buffers: &self.buffers,
            challenge,
            is_guarded,
            threads: &self.threads,
        }
    }

    pub fn scan(&self) -> (Vec<LineScan<R>>, Vec<LineScan<R>>) {
        let scan = |lines| operands::scan(lines, &self.threads);
        (scan(self.rows()), scan(self.cols()))
    }

    pub fn pack<C: Challenge>(
        &self,
        challenge: &C,
        is_guarded: bool,
        scans: &(Vec<LineScan<R>>, Vec<LineScan<R>>),
    ) -> Prepared<C> {
        let packer = self.packer(challenge, is_guarded);
        let (cols, vectors) = packer.columns(self.cols(), &scans.1);
        let (rows, expected) = packer.rows(self.rows(), &scans.0, &vectors);
        Prepared { rows, cols, vectors, expected }
    }

    pub fn accepts<C: Challenge>(&self, it: &Prepared<C>) -> bool {
        guard::accepts(self.scheme, &it.rows.stats, &it.cols.stats, self.n)
    }

    pub fn results<'a, C: Challenge>(
        &'a self,
        challenge: &'a C,
        it: &'a Prepared<C>,
        beta: R,
    ) -> Results<'a, R, C> {
        Results {
            formula: Formula {
                scheme: self.scheme,
                row_exponents: &it.rows.exponents,
                col_exponents: &it.cols.exponents,
                spared: &NOTHING,
                proof: None,
                alpha: R::ONE,
                beta,
            },
            plan: &self.plan,
            challenge,
            expected: &it.expected,
            verify: true,
        }
    }

    /// Digit planes of one line.
    pub fn planes(&self, line: &[R]) -> Vec<i8> {
        let exponent = self.scheme.exponent(line, &LineScan::of(line));
        let mut planes = vec![0; self.scheme.planes() * self.plan.pitch];
        self.scheme.split(line, exponent, self.plan.pitch, &mut planes);
        planes
    }

    /// What the device would return: the blocks with their buffers.
    pub fn device(&self) -> Vec<(Block, Box<dyn Buffer>)> {
        let column =
            |j: usize| -> Vec<R> { self.b.iter().skip(j).step_by(self.n).copied().collect() };
        let rows: Vec<_> = self.a.chunks(self.n).map(|row| self.planes(row)).collect();
        let cols: Vec<_> = (0..self.n).map(|j| self.planes(&column(j))).collect();
        let blocks = self.plan.shares.iter().flat_map(|share| self.plan.blocks(share));
        let filled = blocks.map(|block| {
            let buffer = Memory::new(self.plan.c_bytes(block.rows.len(), block.tile));
            for section in 0..self.plan.sections.len() {
                self.fill(&block, section, &rows, &cols, &buffer);
            }
            (block, Box::new(buffer) as Box<dyn Buffer>)
        });
        filled.collect()
    }

    /// Writes the sums of one section of a block.
    fn fill(&self, block: &Block, s: usize, rows: &[Vec<i8>], cols: &[Vec<i8>], to: &Memory) {
        let (plan, section) = (&self.plan, &self.plan.sections[s]);
        let products: Vec<_> = self.scheme.groups[section.group].products().collect();
        let side = |line: &[i8], plane: &dyn Fn(&(usize, usize)) -> usize| -> Vec<i16> {
            let planes = products.iter().map(|pq| (plane(pq) - 1) * plan.pitch);
            let all = planes.flat_map(|at| line[at..at + plan.pitch].iter().copied());
            all.skip(section.span.start).take(section.span.len()).map(i16::from).collect()
        };
        let tile: Vec<Vec<i16>> =
            plan.tiles[block.tile].clone().map(|j| side(&cols[j], &|pq| pq.1)).collect();
        let start = s * plan.c_section_bytes(block.rows.len(), block.tile);
        let pitch = plan.width(block.tile) * size_of::<i32>();
        for (i, row) in block.rows.clone().enumerate() {
            let row = side(&rows[row], &|pq| pq.0);
            for (j, col) in tile.iter().enumerate() {
                let sum: i32 =
                    row.iter().zip(col).map(|(&a, &b)| i32::from(a) * i32::from(b)).sum();
                to.write(start + i * pitch + 4 * j, &sum.to_le_bytes());
            }
        }
    }

    /// Turns what the device returned into C; all of it must be right.
    pub fn collect<C: Challenge>(
        &self,
        challenge: &C,
        it: &Prepared<C>,
        device: &[(Block, Box<dyn Buffer>)],
        c: &mut [R],
    ) {
        let c = MatMut::from_row_major(c, self.n, self.n, self.n);
        let results = self.results(challenge, it, R::ZERO);
        for (block, buffer) in device {
            let rows: Vec<usize> = block.rows.clone().collect();
            let bad = results.collect(block, &rows, &**buffer, &c, &self.threads);
            assert!(bad.is_empty(), "rows {bad:?} are wrong");
        }
    }
}
