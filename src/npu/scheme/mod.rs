//! Numeric schemes: how many int8 products stand for one floating-point product, in what order,
//! with what bound.
//!
//! A scheme is a value. The engine packs `slices` digit planes of each operand, runs one int8
//! product per [`Group`], and joins the sums; it does not know which scheme it runs.

pub mod float;
pub mod ladder;
pub mod ozaki_int8;

/// Most digit planes that a scheme may have: what single precision needs.
pub const MAX_SLICES: usize = 4;

/// Greatest number of int8 products whose sum surely fits an int32: each is at most 2^14, and
/// 131071 · 2^14 < 2^31. A device task takes no more of a [`Group`], all its products counted.
pub const MAX_INT32_TERMS: usize = 131_071;

/// A slice scheme: `slices` balanced radix-256 digits per element, and the digit products kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scheme {
    /// Name in traces and documents.
    pub name: &'static str,
    /// Digit planes per operand, at most [`MAX_SLICES`]; plane 1 holds the leading digits.
    pub slices: usize,
    /// The kept products by weight, heaviest first.
    pub groups: &'static [Group],
    /// Bits by which the guard's lower bound is scaled, see [`crate::npu::guard`].
    pub guard_shift: u32,
}

impl Scheme {
    /// The weight of the last group, the unit of the joined sum.
    pub fn last_weight(&self) -> usize {
        self.groups.last().map_or(2, |group| group.weight)
    }

    /// Number of kept digit products.
    pub fn products(&self) -> usize {
        self.groups.iter().map(|g| g.count).sum()
    }

    /// Whether no group keeps the product A_p · B_q.
    pub fn drops(&self, p: usize, q: usize) -> bool {
        let keeps = |g: &Group| g.weight == p + q && (g.first..g.first + g.count).contains(&p);
        !self.groups.iter().any(keeps)
    }

    /// The (p, q) of the products that no group keeps.
    pub fn dropped(&self) -> impl Iterator<Item = (usize, usize)> + '_ {
        let all = (1..=self.slices).flat_map(|p| (1..=self.slices).map(move |q| (p, q)));
        all.filter(|&(p, q)| self.drops(p, q))
    }

    /// Greatest inner dimension whose joined sum surely fits an i64: every digit product is at
    /// most 2^14 in magnitude.
    pub fn max_k(&self) -> usize {
        let last = self.last_weight();
        let per_term: u128 =
            self.groups.iter().map(|g| (g.count as u128) << (14 + 8 * (last - g.weight))).sum();
        (i64::MAX as u128 / per_term.max(1)) as usize
    }
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

#[cfg(test)]
mod tests {
    use super::ozaki_int8::{I_3S8P, I_4S10P};

    #[test]
    fn dropped_products_are_those_of_the_names() {
        assert!(I_3S8P.dropped().eq([(3, 3)]));
        assert!(I_4S10P.dropped().eq([(2, 4), (3, 3), (3, 4), (4, 2), (4, 3), (4, 4)]));
        for (scheme, kept) in [(&I_3S8P, 8), (&I_4S10P, 10)] {
            assert_eq!(scheme.products(), kept);
            assert_eq!(scheme.dropped().count(), scheme.slices * scheme.slices - kept);
        }
    }

    #[test]
    fn joined_sums_fit_up_to_max_k() {
        // |T| ≤ k · 2^38.02.
        for scheme in [&I_3S8P, &I_4S10P] {
            assert!((1 << 24..1 << 25).contains(&scheme.max_k()), "{}", scheme.max_k());
        }
    }
}
