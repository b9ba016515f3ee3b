//! Exact products of int8 digits on this CPU: what a device computes, computed by the host.
//!
//! A is given row by row and B column by column, as digit planes. [`Layout`] packs them into
//! panels and gives the sums of a block of C, group by group of a [`Scheme`], in i64. There is
//! one micro-kernel body ([`micro`]) over one vector trait ([`dot`]); a family is one file with
//! the vectors of an instruction set and one line in `FAMILIES`.
//!
//! Every kernel is exact for all digits from -128 to 127, so that the families cannot be told
//! apart by their results: there is no instruction here that saturates.
//!
//! [`Scheme`]: super::scheme::Scheme

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod block;
mod dot;
mod micro;
#[cfg(target_arch = "aarch64")]
mod neon;
mod panel;
mod portable;

pub use block::Layout;
pub use panel::{ALIGN, Columns, Rows};

use dot::Dot;
use micro::{Micro, TILE};
use panel::{Pack, pack_columns, pack_rows};

/// Most columns of a panel of any family.
pub const MAX_COLUMNS: usize = 48;

/// All kernel families of this build, best first; the last one always runs.
static FAMILIES: &[&Family] = &[
    #[cfg(target_arch = "x86_64")]
    &avx512::VNNI,
    #[cfg(target_arch = "x86_64")]
    &avx512::BW,
    #[cfg(target_arch = "x86_64")]
    &avx2::FAMILY,
    #[cfg(target_arch = "aarch64")]
    &neon::DOT,
    #[cfg(target_arch = "aarch64")]
    &neon::PLAIN,
    &portable::FAMILY,
];

/// The int8 kernels of one instruction set.
#[derive(Debug)]
pub struct Family {
    name: &'static str,
    level: &'static str,
    is_available: fn() -> bool,
    /// Rows of a tile and of a panel of A.
    mr: usize,
    /// Columns of a tile and of a panel of B.
    nr: usize,
    /// Most digits of a line that a panel takes at once: so much of both panels stays in L1.
    kc: usize,
    /// Bytes that a digit takes in a panel.
    digit_bytes: usize,
    /// Neighbouring digits of one line that lie side by side in a panel.
    run: usize,
    pack_rows: Pack,
    pack_columns: Pack,
    micro: Micro,
}

impl Family {
    /// The kernels of instruction set I with tiles of MR rows × NV vectors V, that is MR × NR
    /// sums, from panels with runs of RUN digits.
    const fn new<
        I: Isa,
        V: Dot,
        const MR: usize,
        const NV: usize,
        const NR: usize,
        const RUN: usize,
    >(
        (name, level): (&'static str, &'static str),
        is_available: fn() -> bool,
        kc: usize,
    ) -> Family {
        assert!(NR == NV * V::LANES && NR <= MAX_COLUMNS && MR * NR <= TILE && RUN == V::RUN);
        assert!(size_of::<V::A>() == size_of::<V::B>());
        assert!(kc.is_multiple_of(ALIGN) && ALIGN.is_multiple_of(RUN));
        Family {
            name,
            level,
            is_available,
            mr: MR,
            nr: NR,
            kc,
            digit_bytes: size_of::<V::A>(),
            run: RUN,
            pack_rows: pack_rows::<V::A, V::B, MR, RUN>,
            pack_columns: pack_columns::<V::B, NR, RUN>,
            micro: I::micro::<V, MR, NV>,
        }
    }

    /// Its name.
    pub fn name(&self) -> &'static str {
        self.name
    }
    /// The family of CPU kernels that goes with it: what limits those limits this.
    pub fn level(&self) -> &'static str {
        self.level
    }
    /// Whether this CPU runs it.
    pub fn is_available(&self) -> bool {
        (self.is_available)()
    }
    /// Rows of a panel of A.
    pub fn rows(&self) -> usize {
        self.mr
    }
    /// Columns of a panel of B.
    pub fn columns(&self) -> usize {
        self.nr
    }
}

/// An instruction set: compiles the body of the micro-kernel for it.
trait Isa {
    /// [`micro::micro`] with the instruction set enabled.
    ///
    /// # Safety
    /// As for [`Micro`].
    unsafe fn micro<V: Dot, const MR: usize, const NV: usize>(
        pairs: &[micro::Pair],
        steps: usize,
        tile: &mut micro::Tile,
    );
}

/// All kernel families of this build, best first.
pub fn families() -> impl Iterator<Item = &'static Family> {
    FAMILIES.iter().copied()
}

/// The family that a product uses: the best one that this CPU runs and whose level is not above
/// `limit`. An unknown limit limits nothing.
pub fn chosen(limit: Option<&str>) -> &'static Family {
    let first = limit.and_then(|limit| FAMILIES.iter().position(|family| family.level == limit));
    let mut rest = FAMILIES[first.unwrap_or(0)..].iter();
    rest.find(|family| family.is_available()).unwrap_or(&&portable::FAMILY)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_lowers_the_choice() {
        assert!(chosen(None).is_available());
        assert!(std::ptr::eq(chosen(None), chosen(Some("no such level"))));
        assert_eq!(chosen(Some("portable")).name(), "portable");
        for family in families() {
            let place = |of: &Family| families().position(|other| std::ptr::eq(other, of));
            let limited = chosen(Some(family.level()));
            let first = families().position(|other| other.level() == family.level());
            assert!(place(limited) >= first, "{} above {}", limited.name(), family.level());
        }
    }
}
