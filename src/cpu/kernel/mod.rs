//! The micro-kernels, and which of them this CPU runs.
//!
//! A family is one file with the vectors of one instruction set and one line in `FAMILIES`.

pub use super::blocking::Blocking;
use super::pack::{Pack, pack};
use super::tile;
use crate::scalar::{Scalar, c32, c64};
use micro::{Micro, Operands, Scaling};
use vector::Vector;

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
pub(crate) mod micro;
#[cfg(target_arch = "aarch64")]
mod neon;
mod portable;
mod vector;

/// All kernel families of this build, best first; the last one always runs.
static FAMILIES: &[&Family] = &[
    #[cfg(target_arch = "x86_64")]
    &avx512::FAMILY,
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
}

/// All kernel families of this build, best first.
pub fn families() -> impl Iterator<Item = &'static Family> {
    FAMILIES.iter().copied()
}

/// The family that a product uses: the best one that this CPU runs, from `limit` on in
/// [`NAMES`]. An unknown limit limits nothing.
pub fn chosen(limit: Option<&str>) -> &'static Family {
    let first = limit.and_then(|limit| NAMES.iter().position(|&name| name == limit)).unwrap_or(0);
    FAMILIES[first..].iter().find(|family| family.is_available()).unwrap_or(&&portable::FAMILY)
}

/// An element type that has micro-kernels.
pub trait Kernels: Scalar {
    /// Those of one family.
    #[doc(hidden)]
    fn of(family: &Family) -> &MicroKernel<Self>;
    /// Real and imaginary part; the latter is 0 for real types.
    #[doc(hidden)]
    fn parts(self) -> (Self::Real, Self::Real);
}

macro_rules! kernels {
    ($($t:ty: $field:ident, $x:ident => $parts:expr;)*) => {$(
        impl Kernels for $t {
            fn of(family: &Family) -> &MicroKernel<Self> {
                &family.$field
            }
            #[inline(always)]
            fn parts(self) -> (Self::Real, Self::Real) {
                let $x = self;
                $parts
            }
        }
    )*};
}
kernels! {
    f32: s, x => (x, 0.0);
    f64: d, x => (x, 0.0);
    c32: c, x => (x.re, x.im);
    c64: z, x => (x.re, x.im);
}

/// An instruction set: compiles the body of the micro-kernels for it.
trait Isa {
    /// [`micro::micro`] with the instruction set enabled.
    ///
    /// # Safety
    /// As for [`Micro`].
    unsafe fn micro<T, V, const MV: usize, const P: usize, const NC: usize, const PACKED: bool>(
        x: &Operands<T>,
        scaling: &Scaling<T>,
        c: *mut T,
        ld: isize,
    ) where
        T: Kernels,
        V: Vector<Real = T::Real>;
}

/// The micro-kernels of one family for one type, and what goes with them.
#[derive(Debug)]
pub struct MicroKernel<T> {
    /// Rows of a full tile and of a panel of A.
    pub(super) mr: usize,
    /// Columns of a full tile and of a panel of B.
    pub(super) nr: usize,
    /// Elements in a vector.
    pub(super) lanes: usize,
    /// Sizes of the blocks.
    pub(super) blocking: Blocking,
    /// Packs panels of `mr` rows of A.
    pub(super) pack_a: Pack<T>,
    /// Packs panels of `nr` columns of B.
    pub(super) pack_b: Pack<T>,
    /// A full tile from packed panels.
    pub(super) full: Micro<T>,
    /// `part[v - 1][c - 1]`: v vectors of rows, c columns, operands of any strides.
    part: [[Micro<T>; MAX_COLUMNS]; MAX_VECTORS],
}

/// Most vectors of rows in a tile of any family.
const MAX_VECTORS: usize = 4;
/// Most columns in a tile of any family.
const MAX_COLUMNS: usize = 8;

impl<T: Kernels> MicroKernel<T> {
    /// The kernels of instruction set I whose full tile is MV vectors V × NR columns, that is
    /// MR × NR elements of P parts.
    const fn new<I, V, const MV: usize, const P: usize, const NR: usize, const MR: usize>(
        blocking: Blocking,
    ) -> Self
    where
        I: Isa,
        V: Vector<Real = T::Real>,
    {
        let lanes = V::LANES / P;
        assert!(MR == MV * lanes && MV <= MAX_VECTORS && NR <= MAX_COLUMNS);
        assert!(size_of::<T>() * MR * NR <= tile::BYTES, "a tile outgrows its buffer");
        assert!(blocking.mc >= MR && blocking.kc >= 1 && blocking.nc >= NR);
        MicroKernel {
            mr: MR,
            nr: NR,
            lanes,
            blocking,
            pack_a: pack::<T, MR>,
            pack_b: pack::<T, NR>,
            full: I::micro::<T, V, MV, P, NR, true>,
            part: [
                parts::<T, I, V, 1, P, NR>(),
                if MV > 1 { parts::<T, I, V, 2, P, NR>() } else { parts::<T, I, V, MV, P, NR>() },
                if MV > 2 { parts::<T, I, V, 3, P, NR>() } else { parts::<T, I, V, MV, P, NR>() },
                if MV > 3 { parts::<T, I, V, 4, P, NR>() } else { parts::<T, I, V, MV, P, NR>() },
            ],
        }
    }

    /// Rows and columns of a full tile, MR and NR.
    pub fn tile(&self) -> (usize, usize) {
        (self.mr, self.nr)
    }

    /// Sizes of the blocks.
    pub fn blocking(&self) -> Blocking {
        self.blocking
    }

    /// The kernel for a tile of `rows ≤ MR` and `cols ≤ NR`, operands of any strides, and how
    /// many rows it computes.
    #[inline]
    pub(super) fn part(&self, rows: usize, cols: usize) -> (Micro<T>, usize) {
        let vectors = rows.div_ceil(self.lanes);
        (self.part[vectors - 1][cols - 1], vectors * self.lanes)
    }
}

/// The kernels of MV vectors and 1, 2 … columns; the places beyond NR are never asked for.
const fn parts<T, I, V, const MV: usize, const P: usize, const NR: usize>()
-> [Micro<T>; MAX_COLUMNS]
where
    T: Kernels,
    I: Isa,
    V: Vector<Real = T::Real>,
{
    [
        I::micro::<T, V, MV, P, 1, false>,
        if NR > 1 { I::micro::<T, V, MV, P, 2, false> } else { I::micro::<T, V, MV, P, NR, false> },
        if NR > 2 { I::micro::<T, V, MV, P, 3, false> } else { I::micro::<T, V, MV, P, NR, false> },
        if NR > 3 { I::micro::<T, V, MV, P, 4, false> } else { I::micro::<T, V, MV, P, NR, false> },
        if NR > 4 { I::micro::<T, V, MV, P, 5, false> } else { I::micro::<T, V, MV, P, NR, false> },
        if NR > 5 { I::micro::<T, V, MV, P, 6, false> } else { I::micro::<T, V, MV, P, NR, false> },
        if NR > 6 { I::micro::<T, V, MV, P, 7, false> } else { I::micro::<T, V, MV, P, NR, false> },
        if NR > 7 { I::micro::<T, V, MV, P, 8, false> } else { I::micro::<T, V, MV, P, NR, false> },
    ]
}
