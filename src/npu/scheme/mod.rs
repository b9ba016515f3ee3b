//! Numeric schemes: how many int8 products stand for one floating-point product, in what order,
//! with what bound.
//!
//! A scheme is a value. The engine packs `slices` digit planes of each operand, runs one int8
//! product per [`Group`], and joins the sums; it does not know which scheme it runs.

pub mod ozaki_int8;

/// A slice scheme: `slices` balanced radix-256 digits per element, and the digit products kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scheme {
    /// Name in traces and documents.
    pub name: &'static str,
    /// Digit planes per operand; plane 1 holds the leading digits.
    pub slices: usize,
    /// The kept products by weight, heaviest first.
    pub groups: &'static [Group],
    /// Bits by which the guard's lower bound is scaled, see [`crate::npu::guard`].
    pub guard_shift: u32,
}

/// All kept products A_p · B_q of equal `p + q`. They share one int32 sum: the planes of A, with
/// p ascending, and those of B, with q descending, are laid end to end along the inner
/// dimension.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Group {
    /// p + q of every product in the group.
    pub weight: usize,
    /// Smallest p.
    pub first: usize,
    /// Number of products: p runs from `first` to `first + count - 1`.
    pub count: usize,
}

impl Group {
    /// The (p, q) of the group's products in the order in which they are laid end to end.
    pub fn products(&self) -> impl Iterator<Item = (usize, usize)> + '_ {
        (self.first..self.first + self.count).map(|p| (p, self.weight - p))
    }
}
