//! The micro-kernels, and which of them this CPU runs.
//!
//! A family is one file with the vectors of one instruction set and one line in `FAMILIES`.

use super::blocking;
pub use super::blocking::{Blocking, Sizes};
use super::caches::Core;
use super::pack::{Pack, Turn};
use super::tile;
use crate::scalar::{Scalar, c32, c64};
use dot::{Dot, Lines};
use micro::{Micro, Scaling};
use num_complex::Complex;
use sum::{InPlace, Operands, Panels, Reading, Streams, Whole};
use vector::Vector;

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
pub(crate) mod dot;
pub(crate) mod micro;
#[cfg(target_arch = "aarch64")]
mod neon;
mod portable;
pub(crate) mod sum;
mod vector;

/// All kernel families of this build, best first; the last one always runs.
static FAMILIES: &[&Family] = &[
    #[cfg(target_arch = "x86_64")]
    &avx512::HALVES,
    #[cfg(target_arch = "x86_64")]
    &avx512::WHOLE,
    #[cfg(target_arch = "x86_64")]
    &avx2::FAMILY,
    #[cfg(target_arch = "aarch64")]
    &neon::FAMILY,
    &portable::FAMILY,
];

/// Names of all kernel families of this build, best first; the last one always runs.
pub const NAMES: &[&str] = &{
    let mut names = [""; FAMILIES.len()];
    let mut i = 0;
    while i < names.len() {
        names[i] = FAMILIES[i].name;
        i += 1;
    }
    names
};

/// Micro-kernels of one instruction set for the four types.
#[derive(Debug)]
pub struct Family {
    name: &'static str,
    is_available: fn() -> bool,
    /// Whether no family behind it in the list is faster here.
    is_best: fn() -> bool,
    s: MicroKernel<f32>,
    d: MicroKernel<f64>,
    c: MicroKernel<c32>,
    z: MicroKernel<c64>,
}

impl Family {
    /// Its name, one of [`NAMES`].
    pub fn name(&self) -> &'static str {
        self.name
    }
    /// Whether this CPU runs it.
    pub fn is_available(&self) -> bool {
        (self.is_available)()
    }
    /// The family, if this CPU runs it.
    pub fn available(&'static self) -> Option<Available> {
        self.is_available().then_some(Available(self))
    }
}

/// A family that this CPU runs: the proof that its kernels may be called.
#[derive(Debug, Clone, Copy)]
pub struct Available(&'static Family);

impl Available {
    /// The family.
    #[inline]
    pub fn get(self) -> &'static Family {
        self.0
    }
}

/// All kernel families of this build, best first.
pub fn families() -> impl Iterator<Item = &'static Family> {
    FAMILIES.iter().copied()
}

/// The family that a product uses: the best one that this CPU runs, from `limit` on in
/// [`NAMES`]. An unknown limit limits nothing.
pub fn chosen(limit: Option<&str>) -> Available {
    let first = limit.and_then(|limit| NAMES.iter().position(|&name| name == limit)).unwrap_or(0);
    let mut fast = FAMILIES[first..].iter().filter(|family| (family.is_best)());
    fast.find_map(|family| family.available()).unwrap_or(Available(&portable::FAMILY))
}

/// An element type that has micro-kernels.
pub trait Kernels: Scalar {
    /// Those of one family.
    #[doc(hidden)]
    fn of(family: &Family) -> &MicroKernel<Self>;
    /// Real and imaginary part; the latter is 0 for real types.
    #[doc(hidden)]
    fn parts(self) -> (Self::Real, Self::Real);
    /// `Σ a·b`, either or both conjugated, from the sums of a [`Dot`].
    #[doc(hidden)]
    fn from_products(sums: [Self::Real; 4], conj_a: bool, conj_b: bool) -> Self;
}

macro_rules! kernels {
    ($($t:ty: $field:ident, $x:ident => $parts:expr, $of_products:expr;)*) => {$(
        impl Kernels for $t {
            fn of(family: &Family) -> &MicroKernel<Self> {
                &family.$field
            }
            #[inline(always)]
            fn parts(self) -> (Self::Real, Self::Real) {
                let $x = self;
                $parts
            }
            #[inline(always)]
            fn from_products(sums: [Self::Real; 4], conj_a: bool, conj_b: bool) -> Self {
                $of_products(sums, conj_a, conj_b)
            }
        }
    )*};
}
kernels! {
    f32: s, x => (x, 0.0), |sums: [f32; 4], _, _| sums[0];
    f64: d, x => (x, 0.0), |sums: [f64; 4], _, _| sums[0];
    c32: c, x => (x.re, x.im), complex;
    c64: z, x => (x.re, x.im), complex;
}

/// A complex sum from those of the products of parts.
#[inline(always)]
fn complex<R: Scalar>(
    [re_re, im_im, re_im, im_re]: [R; 4],
    conj_a: bool,
    conj_b: bool,
) -> Complex<R> {
    let signed = |x: R, negative| if negative { -x } else { x };
    // A difference or sum keeps an exact zero positive, as it comes out of the other kernels.
    Complex {
        re: re_re + signed(im_im, conj_a == conj_b),
        im: R::ZERO + signed(re_im, conj_b) + signed(im_re, conj_a),
    }
}

/// An instruction set: compiles the bodies of the micro-kernels and of packing for it.
pub(crate) trait Isa: Turn {
    /// Most vectors of sums that fit the registers beside a column of A and an element of B.
    const SUMS: usize;
    /// Bytes of C that are written without a pause. A core has room for so many stores that wait for
    /// their sums, and one more holds up everything behind it until the first of them is in the cache.
    const BURST_BYTES: usize = usize::MAX;
    /// Whether to spare operations that are no FMAs. Golden Cove takes in six operations in the time of
    /// two FMAs, but two threads share them, and an FMA that reads from an address with an index counts
    /// twice (Intel's optimization manual, on micro-fusion and indexed addresses).
    const IS_LEAN: bool = false;

    /// [`super::pack::panel`] with the instruction set enabled.
    ///
    /// # Safety
    /// As for [`Pack`], and the CPU has the instruction set.
    unsafe fn pack<T: Scalar, const W: usize>(
        src: *const T,
        across: isize,
        along: isize,
        lines: usize,
        k: usize,
        dst: *mut T,
    );

    /// [`micro::micro`] with the instruction set enabled.
    ///
    /// # Safety
    /// As for [`Micro`].
    unsafe fn micro<T, V, R, const MV: usize, const P: usize, const NC: usize>(
        x: &Operands<T>,
        scaling: &Scaling<T>,
        c: *mut T,
        ld: isize,
    ) where
        T: Kernels,
        V: Vector<Real = T::Real>,
        R: Reading;

    /// [`dot::dot`] with the instruction set enabled.
    ///
    /// # Safety
    /// As for [`Dot`].
    unsafe fn dot<T, V, const P: usize, const R: usize, const C: usize, const U: usize>(
        lines: &Lines<T>,
        scaling: &Scaling<T>,
        c: *mut T,
        strides: (isize, isize),
    ) where
        T: Kernels,
        V: Vector<Real = T::Real>;
}

/// The micro-kernels of one family for one type, and what goes with them.
#[derive(Debug)]
pub struct MicroKernel<T: Scalar> {
    /// Rows of a full tile and of a panel of A.
    pub(super) mr: usize,
    /// Columns of a full tile and of a panel of B.
    pub(super) nr: usize,
    /// Elements in a vector, as a power of two.
    pub(super) lanes_log2: u32,
    /// Where the sum is cut, and what is cut into blocks.
    pub(super) blocking: Blocking,
    /// Packs a panel of `mr` rows of A.
    pub(super) pack_a: Pack<T>,
    /// Packs a panel of `nr` columns of B.
    pub(super) pack_b: Pack<T>,
    /// A full tile from packed panels.
    pub(super) full: Micro<T>,
    /// `stream[c - 1]`: MR rows, c columns, operands of any strides, of which A is far away.
    stream: [Micro<T>; MAX_COLUMNS],
    /// The dot product of one row and one column.
    pub(super) dot: Dot<T>,
    /// `dots[c - 1]`: those of rows and c columns.
    pub(super) dots: [Dot<T>; dot::COLUMNS],
    /// How many rows those of several columns take at a time.
    dot_rows: usize,
    /// How many columns there are kernels for.
    pub(super) dot_columns: usize,
    /// `part[v][c - 1]`: v vectors of rows, c columns, operands of any strides; [`SHORT`] stands for one
    /// short vector, [`WHOLE`] for one of which no row is missing.
    part: [[Micro<T>; MAX_COLUMNS]; MAX_VECTORS + 2],
    /// What there is for so many rows, up to MR.
    heights: [Height; MAX_ROWS + 1],
    /// Whether tiles share more rows than MR evenly. Where full tiles come first, A and B are read in
    /// longer pieces, and fewer times.
    shares_rows: bool,
    /// `turned[v - 1][c - 1]`: v vectors of rows, c columns, operands of any strides, for a C whose columns
    /// lie side by side; for vectors of as many elements, or none at all.
    pub(super) turned: &'static [[Micro<T>; TURNED]],
    /// Most columns for which these are better than to pack A.
    pub(super) turned_columns: usize,
}

/// Tiles of some number of rows: found in a table, for a tiny product has no time to think.
#[derive(Debug, Clone, Copy)]
struct Height {
    /// Which of `part` are for them.
    vectors: u8,
    /// How many columns there are kernels for.
    columns: u8,
    /// Rows of the first tile where so many are left: fewer where a short vector takes the rest.
    first: u8,
}

impl Height {
    /// For `rows` in vectors of `lanes` and short ones of `short`, with so many columns of so many
    /// vectors at most.
    const fn new(rows: usize, lanes: usize, short: usize, columns: &[usize]) -> Height {
        let whole = (rows - 1) / lanes;
        let rest = rows - whole * lanes;
        let (vectors, first) = if rows == lanes {
            (WHOLE, rows)
        } else if rows <= short {
            (SHORT, rows)
        } else if whole > 0 && rest <= short && short < lanes {
            (whole + 1, whole * lanes)
        } else {
            (whole + 1, rows)
        };
        Height { vectors: vectors as u8, columns: columns[whole] as u8, first: first as u8 }
    }
}

/// Most vectors of rows in a tile of any family.
const MAX_VECTORS: usize = 4;
/// Most columns in a tile of any family.
const MAX_COLUMNS: usize = 16;
/// Most rows in a tile of any family and type.
const MAX_ROWS: usize = tile::COLUMN_BYTES / size_of::<f32>();
/// Most columns of a tile whose sums are turned, and the elements of its vectors.
pub(super) const TURNED: usize = 8;
/// The place of the kernels of one short vector, among those of some vectors.
const SHORT: usize = 0;
/// The place of those of one vector of which no row is missing.
const WHOLE: usize = MAX_VECTORS + 1;

impl<T: Kernels> MicroKernel<T> {
    /// The kernels of instruction set I whose full tile is MV vectors V × NR columns, that is
    /// MR × NR elements of P parts; DR × DC of them are added up at a time where they are dot
    /// products. H are shorter vectors for the edges, or V again.
    const fn new<
        I,
        V,
        H,
        const MV: usize,
        const P: usize,
        const NR: usize,
        const MR: usize,
        const DR: usize,
        const DC: usize,
    >(
        blocking: Blocking,
    ) -> Self
    where
        I: Isa,
        V: Vector<Real = T::Real>,
        H: Vector<Real = T::Real>,
    {
        let lanes = V::LANES / P;
        assert!(
            lanes.is_power_of_two() && MR == MV * lanes && MV <= MAX_VECTORS && NR <= MAX_COLUMNS
        );
        assert!(size_of::<T>() * MR <= tile::COLUMN_BYTES, "a tile outgrows the tiny panel");
        assert!(blocking.kc >= 1);
        let mut columns = [0; MAX_VECTORS];
        let mut v = 1;
        while v <= MV {
            let most = I::SUMS / (v * P);
            columns[v - 1] = if most < MAX_COLUMNS { most } else { MAX_COLUMNS };
            let bytes = size_of::<T>() * v * lanes * columns[v - 1];
            assert!(bytes <= tile::BYTES, "a tile outgrows its buffer");
            v += 1;
        }
        assert!(NR <= columns[MV - 1], "a full tile outgrows the registers");
        let mut heights = [Height { vectors: 0, columns: 0, first: 0 }; MAX_ROWS + 1];
        let mut rows = 1;
        while rows <= MR {
            heights[rows] = Height::new(rows, lanes, H::LANES / P, &columns);
            rows += 1;
        }
        assert!(DR <= dot::ROWS && DC <= dot::COLUMNS);
        assert!(DR * DC * P <= I::SUMS, "dot products outgrow the registers");
        // Places after MV are never asked for.
        let whole = parts::<T, I, V, InPlace, MV, P>(columns[MV - 1]);
        MicroKernel {
            mr: MR,
            nr: NR,
            lanes_log2: lanes.trailing_zeros(),
            blocking,
            pack_a: I::pack::<T, MR>,
            pack_b: I::pack::<T, NR>,
            full: I::micro::<T, V, Panels, MV, P, NR>,
            stream: parts::<T, I, V, Streams, MV, P>(columns[MV - 1]),
            dot: I::dot::<T, V, P, 1, 1, 4>,
            dots: dots::<T, I, V, P, DR>(DC),
            dot_rows: DR,
            dot_columns: DC,
            part: [
                parts::<T, I, H, InPlace, 1, P>(columns[0]),
                if MV > 1 { parts::<T, I, V, InPlace, 1, P>(columns[0]) } else { whole },
                if MV > 2 { parts::<T, I, V, InPlace, 2, P>(columns[1]) } else { whole },
                if MV > 3 { parts::<T, I, V, InPlace, 3, P>(columns[2]) } else { whole },
                whole,
                parts::<T, I, V, Whole, 1, P>(columns[0]),
            ],
            heights,
            shares_rows: true,
            turned: &[],
            turned_columns: 0,
        }
    }

    /// The same with kernels for a C whose columns lie side by side.
    const fn with_turned(self, turned: &'static [[Micro<T>; TURNED]]) -> Self {
        assert!(TURNED == 1 << self.lanes_log2);
        MicroKernel { turned, turned_columns: 2 * TURNED, ..self }
    }

    /// The same for units that are as wide as the vectors: no short ones take the last rows of tiles that
    /// are higher than one, and full tiles come first.
    const fn with_whole_units(mut self) -> Self {
        self.shares_rows = false;
        let mut rows = 1;
        while rows <= self.mr {
            self.heights[rows].first = rows as u8;
            rows += 1;
        }
        self
    }

    /// Rows and columns of a full tile, MR and NR.
    pub fn tile(&self) -> (usize, usize) {
        (self.mr, self.nr)
    }

    /// Where the sum is cut, and what is cut into blocks.
    pub fn blocking(&self) -> Blocking {
        self.blocking
    }

    /// Sizes of the blocks for parts of sums of such a length, on a core where so many threads compute:
    /// the shorter these are, the more rows fill the cache.
    pub fn sizes(&self, length: usize, core: &Core, threads: usize) -> Sizes {
        Sizes::new(core, threads, length.max(1) * size_of::<T>(), self.tile())
    }

    /// How many rows of C dot products are taken of at a time, where it has so many columns.
    pub(super) fn dot_rows(&self, columns: usize) -> usize {
        match columns {
            1 if T::COMPLEX => dot::ROWS / 2,
            1 => dot::ROWS,
            _ => self.dot_rows,
        }
    }

    /// Rows of the next tile where `left` are left: as many as there can be, or about as many as the
    /// tiles after it will have, and such that a short vector takes the rest where it may.
    #[inline(always)]
    pub(super) fn share_of_rows(&self, left: usize) -> usize {
        if left <= self.mr {
            return self.first_rows(left);
        }
        if !self.shares_rows {
            return self.mr;
        }
        let vectors = ((left - 1) >> self.lanes_log2) + 1;
        blocking::share(vectors, self.mr >> self.lanes_log2) << self.lanes_log2
    }

    /// Rows of the first tile where `rows ≤ MR` are left.
    #[inline(always)]
    pub(super) fn first_rows(&self, rows: usize) -> usize {
        self.heights[rows].first.into()
    }

    /// Most columns of a tile of `rows ≤ MR` whose operands may have any strides: NR, or more.
    #[inline(always)]
    pub(super) fn columns(&self, rows: usize) -> usize {
        self.heights[rows].columns.into()
    }

    /// The kernels for tiles of `rows ≤ MR` and 1, 2 … columns, at most as many as [`Self::columns`] says,
    /// operands of any strides.
    #[inline(always)]
    pub(super) fn parts(&self, rows: usize) -> &[Micro<T>; MAX_COLUMNS] {
        &self.part[usize::from(self.heights[rows].vectors)]
    }

    /// The same for an A that is far away: full tiles ask for their next rows meanwhile.
    #[inline(always)]
    pub(super) fn far_parts(&self, rows: usize) -> &[Micro<T>; MAX_COLUMNS] {
        if rows == self.mr { &self.stream } else { self.parts(rows) }
    }
}

/// The dot products of 1, 2 … `columns` columns, R rows at a time, or more where there is one column; the places after these are never
/// asked for, and nothing is compiled for them.
const fn dots<T, I, V, const P: usize, const R: usize>(columns: usize) -> [Dot<T>; dot::COLUMNS]
where
    T: Kernels,
    I: Isa,
    V: Vector<Real = T::Real>,
{
    let column: Dot<T> = if P == 1 {
        I::dot::<T, V, P, { dot::ROWS }, 1, 1>
    } else {
        I::dot::<T, V, P, { dot::ROWS / 2 }, 1, 1>
    };
    let all: [Dot<T>; dot::COLUMNS] = [
        column,
        I::dot::<T, V, P, R, 2, 1>,
        I::dot::<T, V, P, R, 3, 1>,
        I::dot::<T, V, P, R, 4, 1>,
    ];
    first(all, columns)
}

/// The kernels of MV vectors and 1, 2 … `columns` columns; the places after these are never asked
/// for, and nothing is compiled for them.
const fn parts<T, I, V, R, const MV: usize, const P: usize>(
    columns: usize,
) -> [Micro<T>; MAX_COLUMNS]
where
    T: Kernels,
    I: Isa,
    V: Vector<Real = T::Real>,
    R: Reading,
{
    let all: [Micro<T>; MAX_COLUMNS] = [
        I::micro::<T, V, R, MV, P, 1>,
        I::micro::<T, V, R, MV, P, 2>,
        I::micro::<T, V, R, MV, P, 3>,
        I::micro::<T, V, R, MV, P, 4>,
        I::micro::<T, V, R, MV, P, 5>,
        I::micro::<T, V, R, MV, P, 6>,
        I::micro::<T, V, R, MV, P, 7>,
        I::micro::<T, V, R, MV, P, 8>,
        I::micro::<T, V, R, MV, P, 9>,
        I::micro::<T, V, R, MV, P, 10>,
        I::micro::<T, V, R, MV, P, 11>,
        I::micro::<T, V, R, MV, P, 12>,
        I::micro::<T, V, R, MV, P, 13>,
        I::micro::<T, V, R, MV, P, 14>,
        I::micro::<T, V, R, MV, P, 15>,
        I::micro::<T, V, R, MV, P, 16>,
    ];
    first(all, columns)
}

/// The first `count` of some kernels; one of them in the places of the others.
const fn first<F: Copy, const N: usize>(all: [F; N], count: usize) -> [F; N] {
    let mut kept = [all[0]; N];
    let mut i = 0;
    while i < count {
        kept[i] = all[i];
        i += 1;
    }
    kept
}
