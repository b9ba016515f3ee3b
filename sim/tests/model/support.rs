//! Memory, products of every shape and slow oracles for the tests of the chip model.

use std::sync::Mutex;

use half::f16;
use npu_sim::model::{Core, Hang, Machine, Memory, TaskReport, Unmapped};

pub use super::program::*;

/// Mapped buffers at fixed addresses.
pub struct Ram(Vec<(u64, Mutex<Vec<u8>>)>);

impl Ram {
    pub fn new() -> Self {
        Ram(Vec::new())
    }

    pub fn map(mut self, iova: u32, bytes: Vec<u8>) -> Self {
        self.0.push((iova.into(), Mutex::new(bytes)));
        self
    }

    /// The whole buffer at `iova`.
    pub fn bytes(&self, iova: u32) -> Vec<u8> {
        self.0.iter().find(|b| b.0 == u64::from(iova)).unwrap().1.lock().unwrap().clone()
    }

    /// Replaces the start of the buffer at `iova`.
    pub fn put(&self, iova: u32, bytes: &[u8]) {
        self.write(iova.into(), bytes).unwrap();
    }

    fn with<T>(
        &self,
        iova: u64,
        len: usize,
        access: impl FnOnce(&mut [u8]) -> T,
    ) -> Result<T, Unmapped> {
        for (base, bytes) in &self.0 {
            let mut bytes = bytes.lock().unwrap();
            if let Some(at) = iova.checked_sub(*base)
                && at + len as u64 <= bytes.len() as u64
            {
                return Ok(access(&mut bytes[at as usize..][..len]));
            }
        }
        Err(Unmapped { iova, len })
    }
}

impl Memory for Ram {
    fn read(&self, iova: u64, out: &mut [u8]) -> Result<(), Unmapped> {
        self.with(iova, out.len(), |bytes| out.copy_from_slice(bytes))
    }

    fn write(&self, iova: u64, data: &[u8]) -> Result<(), Unmapped> {
        self.with(iova, data.len(), |bytes| bytes.copy_from_slice(data))
    }
}

/// A core at 1 GHz.
pub fn core() -> Core {
    Core::new(Machine { clock_mhz: 1000.0 })
}

/// Memory in which [`WORKED`] runs, all zero.
pub fn worked_ram() -> Ram {
    Ram::new()
        .map(A, vec![0; 0x1000])
        .map(B, vec![0; 0x1000])
        .map(C, vec![0; 0x1000])
        .map(PROGRAM, vec![0; 0x1000])
}

/// Runs a program on a fresh core in fresh memory.
pub fn run(program: &Program) -> Result<TaskReport, Hang> {
    let ram = worked_ram();
    ram.put(PROGRAM, &program.bytes());
    core().run(&ram, program.kick())
}

/// How an operand lies in memory. `total` rows are there, of which the task takes the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Surfaces of one column of rows.
    Tall { total: usize },
    /// The same bytes, told as one row of columns.
    Wide { total: usize },
    /// Row-major with the given pitch in elements.
    Rows { pitch: usize },
    /// Panels of `width` rows.
    Panels { width: usize },
}

impl Form {
    /// Index of element (row, column); `atom` elements fill 16 bytes, a panel holds `columns`.
    pub fn index(self, atom: usize, columns: usize, row: usize, column: usize) -> usize {
        match self {
            Form::Tall { total } | Form::Wide { total } => {
                column / atom * total * atom + row * atom + column % atom
            }
            Form::Rows { pitch } => row * pitch + column,
            Form::Panels { width } => {
                let (panel, row) = (row / width, row % width);
                panel * width * columns + column / atom * width * atom + row * atom + column % atom
            }
        }
    }

    /// Elements to allocate.
    pub fn len(self, rows: usize, columns: usize) -> usize {
        match self {
            Form::Tall { total } | Form::Wide { total } => total * columns,
            Form::Rows { pitch } => rows * pitch,
            Form::Panels { .. } => rows * columns,
        }
    }

    /// Width and height of the plane of `rows` rows.
    fn plane(self, rows: usize) -> (usize, usize) {
        match self {
            Form::Tall { .. } | Form::Rows { .. } => (1, rows),
            Form::Wide { .. } => (rows, 1),
            Form::Panels { width } => (width, rows / width),
        }
    }
}

/// Types of a product.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Types {
    Int8ToInt32,
    Int8ToFp32,
    Int16ToInt32,
    Fp16ToFp32,
    Fp16ToFp16,
}

impl Types {
    /// Operand code, result code, bytes of each, kernels of a group.
    pub fn facts(self) -> (u32, u32, usize, usize, usize) {
        match self {
            Types::Int8ToInt32 => (0, 4, 1, 4, 32),
            Types::Int8ToFp32 => (0, 5, 1, 4, 32),
            Types::Int16ToInt32 => (1, 4, 2, 4, 16),
            Types::Fp16ToFp32 => (2, 5, 2, 4, 16),
            Types::Fp16ToFp16 => (2, 2, 2, 2, 16),
        }
    }
}

/// A product with all its choices.
#[derive(Debug, Clone, Copy)]
pub struct Product {
    pub types: Types,
    pub m: usize,
    pub n: usize,
    pub k: usize,
    pub a: Form,
    pub c: Form,
    /// IOVAs of the operands.
    pub at: [u32; 3],
    pub data_banks: usize,
}

impl Product {
    /// The program, patched into the worked example.
    pub fn program(&self) -> Program {
        let Product { types, m, n, k, a, c, at, data_banks } = *self;
        let (code, out, e, eo, group) = types.facts();
        let (w, h) = a.plane(m);
        let (wo, ho) = c.plane(m);
        let kernel = k * e;
        let surfaces = group * eo / 16;
        let dpu_type = out << 29 | code << 26 | code;
        let narrow = u32::from(types == Types::Fp16ToFp16);
        let (line, surface, off) = match a {
            Form::Tall { total } => (4, total as i64 - 4, 0),
            Form::Wide { total } if total == m => (0x200, -3 * total as i64, 0),
            Form::Wide { total } => (total, total as i64 - m as i64, 1),
            Form::Rows { pitch } => (pitch * e / 16, 0, 1),
            Form::Panels { width } => (width * kernel / 16, 0, 1),
        };
        let (dst, notch) = match c {
            Form::Tall { total } | Form::Wide { total } => (total * 16, 0),
            Form::Rows { pitch } => (16, pitch * eo / 16 - 1),
            Form::Panels { width } => (width * 16, (n * eo / 16 - 1) * width),
        };
        let u = |x: usize| x as u32;
        let size_e = u(surfaces) - 1;
        let mut p = Program::worked();
        p.set(0x100c, code << 7 | code << 4 | off << 29)
            .set(0x1010, u(m.min(1022) + 1) << 4)
            .set(0x1020, u(w) << 16 | u(h))
            .set(0x1024, u(k - 1) << 16 | u(k))
            .set(0x1028, u(w))
            .set(0x102c, u(m))
            .set(0x1030, u(kernel * n))
            .set(0x1034, u(kernel))
            .set(0x1038, 1 << 24 | 1 << 16 | u(n))
            .set(0x1040, u(12 - data_banks) << 4 | u(data_banks))
            .set(0x1044, u((w * kernel).div_ceil(64)))
            .set(0x1070, at[0])
            .set(0x107c, u(line))
            .set(0x1080, surface as u32 & 0x0fff_ffff)
            .set(0x1084, u(w) << 16 | u(h))
            .set(0x1088, u(k))
            .set(0x1110, at[1])
            .set(0x3010, code << 8)
            .set(0x3014, u(h - 1) << 16 | u(w - 1))
            .set(0x3018, u(n - 1))
            .set(0x4010, dpu_type)
            .set(0x4020, at[2])
            .set(0x4024, u(dst))
            .set(0x4030, u(wo - 1))
            .set(0x4034, u(ho - 1))
            .set(0x4038, u(notch) << 16 | u(notch))
            .set(0x403c, u(n - 1) << 16 | u(n - 1))
            .set(0x4050, size_e << 8 | size_e << 5 | size_e << 2 | 2)
            .set(0x4058, u(n - 1))
            .set(0x405c, u(ho - 1) << 16 | u(wo - 1))
            .set(0x4084, narrow << 16 | 1)
            .set(0x40c0, u(dst * surfaces))
            .set(0x500c, u(wo - 1))
            .set(0x5010, u(ho - 1))
            .set(0x5014, u(n - 1))
            .set(0x5044, 0x7810 | narrow << 3);
        p
    }

    /// A row-major m by k (elements of `e` bytes) in this product's form, holes filled with 0xee.
    pub fn pack_a(&self, a: &[u8]) -> Vec<u8> {
        let e = self.types.facts().2;
        let mut out = vec![0xee; self.a.len(self.m, self.k) * e];
        for (row, column) in pairs(self.m, self.k) {
            let to = self.a.index(16 / e, self.k, row, column) * e;
            let from = (row * self.k + column) * e;
            out[to..to + e].copy_from_slice(&a[from..from + e]);
        }
        out
    }

    /// B row-major k by n as weight blocks.
    pub fn pack_b(&self, b: &[u8]) -> Vec<u8> {
        let (_, _, e, _, group) = self.types.facts();
        let mut out = vec![0; self.k * self.n * e];
        for (row, column) in pairs(self.k, self.n) {
            let block = column / group * group * self.k + row / 32 * group * 32;
            let to = (block + column % group * 32 + row % 32) * e;
            let from = (row * self.n + column) * e;
            out[to..to + e].copy_from_slice(&b[from..from + e]);
        }
        out
    }

    /// C as bits, row-major, from the bytes that the task wrote.
    pub fn unpack_c(&self, c: &[u8]) -> Vec<u32> {
        let eo = self.types.facts().3;
        let element = |(row, column)| {
            let at = self.c.index(16 / eo, self.n, row, column) * eo;
            let mut bits = [0; 4];
            bits[..eo].copy_from_slice(&c[at..at + eo]);
            u32::from_le_bytes(bits)
        };
        pairs(self.m, self.n).map(element).collect()
    }

    /// The product by definition, as bits.
    pub fn oracle(&self, a: &[u8], b: &[u8]) -> Vec<u32> {
        let Product { types, m, n, k, .. } = *self;
        let bits = |bytes: &[u8], i: usize| u16::from_le_bytes([bytes[2 * i], bytes[2 * i + 1]]);
        let int = |bytes: &[u8], i: usize| match types {
            Types::Int16ToInt32 => i64::from(bits(bytes, i) as i16),
            _ => i64::from(bytes[i] as i8),
        };
        let float = |bytes: &[u8], i: usize| f16::from_bits(bits(bytes, i));
        let element = |(row, column): (usize, usize)| match types {
            Types::Int8ToInt32 | Types::Int16ToInt32 | Types::Int8ToFp32 => {
                let sum: i64 = (0..k).map(|i| int(a, row * k + i) * int(b, i * n + column)).sum();
                let sum = sum.clamp(i32::MIN.into(), i32::MAX.into()) as i32;
                if types == Types::Int8ToFp32 { (sum as f32).to_bits() } else { sum as u32 }
            }
            Types::Fp16ToFp32 | Types::Fp16ToFp16 => {
                let mut sum = 0f32;
                for group in (0..k).step_by(32) {
                    let products = (group..group + 32)
                        .map(|i| (float(a, row * k + i), float(b, i * n + column)));
                    sum += rounded_once(products.collect());
                }
                if types == Types::Fp16ToFp32 {
                    sum.to_bits()
                } else {
                    f16::from_f32(sum).to_bits().into()
                }
            }
        };
        pairs(m, n).map(element).collect()
    }

    /// Memory with this product's operands and program, and a C full of 0xaa.
    pub fn ram(&self, a: &[u8], b: &[u8]) -> Ram {
        let c = vec![0xaa; self.c.len(self.m, self.n) * self.types.facts().3];
        Ram::new()
            .map(self.at[0], self.pack_a(a))
            .map(self.at[1], self.pack_b(b))
            .map(self.at[2], c)
            .map(PROGRAM, self.program().bytes())
    }
}

/// The sum of finite products, in units of 2^-48, rounded by hand to the nearest single, ties to
/// even.
fn rounded_once(products: Vec<(f16, f16)>) -> f32 {
    let units = |x: f16| (f64::from(x) * 2f64.powi(24)) as i128;
    let sum: i128 = products.into_iter().map(|(a, b)| units(a) * units(b)).sum();
    let (sign, magnitude) = (if sum < 0 { -1.0 } else { 1.0 }, sum.unsigned_abs());
    let drop = (128 - magnitude.leading_zeros()).saturating_sub(24);
    let (kept, rest) = (magnitude >> drop, magnitude & ((1 << drop) - 1));
    let half = (1u128 << drop) >> 1;
    let up = drop > 0 && (rest > half || (rest == half && kept & 1 == 1));
    let rounded = (kept + u128::from(up)) as f64;
    (sign * rounded * 2f64.powi(drop as i32 - 48)) as f32 + 0.0
}

/// All (row, column) in row-major order.
pub fn pairs(rows: usize, columns: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..rows).flat_map(move |row| (0..columns).map(move |column| (row, column)))
}

/// Reproducible random bytes.
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }

    /// Operands of `types`: all int8 and int16 values; halves of modest size.
    pub fn operands(&mut self, types: Types, count: usize) -> Vec<u8> {
        let mut bytes = Vec::new();
        for _ in 0..count {
            let bits = self.next();
            match types {
                Types::Int8ToInt32 | Types::Int8ToFp32 => bytes.push(bits as u8),
                Types::Int16ToInt32 => bytes.extend((bits as u16).to_le_bytes()),
                Types::Fp16ToFp32 | Types::Fp16ToFp16 => {
                    let value = (bits >> 40) as f32 / (1 << 23) as f32 - 1.0;
                    bytes.extend(f16::from_f32(value).to_le_bytes());
                }
            }
        }
        bytes
    }

    /// Finite halves of every size, subnormals included.
    pub fn halves(&mut self, count: usize) -> Vec<u8> {
        let mut half = || loop {
            let half = f16::from_bits(self.next() as u16);
            if half.is_finite() {
                return half.to_le_bytes();
            }
        };
        (0..count).flat_map(|_| half()).collect()
    }
}
