//! Sizes of the blocks, one row per kernel family and type.
//!
//! * KC: length of a panel. A panel of B, KC × NR, stays in L1 beside the panel of A that runs
//!   past it; C is read and written once per KC.
//! * MC: rows of a packed block of A; MC × KC takes about half of L2.
//! * NC: columns of a packed block of B; KC × NC lives in L3 or in memory.
//!
//! The sum is cut by KC, so that the last bits of a result depend on it; MC and NC never show.
//!
//! A smaller C is not worth blocks: with many registers a tile reads its operands so few times that
//! packing them takes longer than to read them where they lie.

/// The three block sizes, and from where on there are blocks, in elements.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Blocking {
    /// Rows of a block of A.
    pub mc: usize,
    /// Longest step of the sum.
    pub kc: usize,
    /// Columns of a block of B.
    pub nc: usize,
    /// Longest side of a C whose operands are read where they lie, however long the sum is.
    pub in_place: usize,
    /// Most rows of a C for which that holds however many columns it has.
    pub few_rows: usize,
    /// Most columns of a C for which a large A of contiguous rows is read where it lies: few where a
    /// tile is no higher than a line of the cache, for such short pieces of A's columns come slowly
    /// each time that they are read again.
    pub far_cols: usize,
}

/// One row per element type.
pub(super) struct Table {
    pub s: Blocking,
    pub d: Blocking,
    pub c: Blocking,
    pub z: Blocking,
}

/// For 32 KiB of L1 and 1 MiB of L2 or more, as all CPUs with AVX-512 have it.
#[cfg(target_arch = "x86_64")]
pub(super) const AVX512: Table = Table {
    s: Blocking { mc: 288, kc: 384, nc: 3072, in_place: 450, few_rows: 200, far_cols: 256 },
    d: Blocking { mc: 192, kc: 256, nc: 3072, in_place: 450, few_rows: 200, far_cols: 256 },
    c: Blocking { mc: 192, kc: 256, nc: 2048, in_place: 450, few_rows: 200, far_cols: 256 },
    z: Blocking { mc: 96, kc: 256, nc: 1536, in_place: 450, few_rows: 200, far_cols: 256 },
};

/// For 32 KiB of L1 and 512 KiB of L2 or more.
#[cfg(target_arch = "x86_64")]
pub(super) const AVX2: Table = Table {
    s: Blocking { mc: 240, kc: 256, nc: 4080, in_place: 40, few_rows: 40, far_cols: 16 },
    d: Blocking { mc: 120, kc: 256, nc: 4080, in_place: 40, few_rows: 40, far_cols: 16 },
    c: Blocking { mc: 120, kc: 256, nc: 2040, in_place: 40, few_rows: 40, far_cols: 16 },
    z: Blocking { mc: 60, kc: 256, nc: 2040, in_place: 40, few_rows: 40, far_cols: 16 },
};

/// For Cortex-A76 and its kin: 64 KiB of L1, 512 KiB of L2, an L3 that is small and shared.
#[cfg(target_arch = "aarch64")]
pub(super) const NEON: Table = Table {
    s: Blocking { mc: 192, kc: 256, nc: 1536, in_place: 40, few_rows: 40, far_cols: 16 },
    d: Blocking { mc: 96, kc: 256, nc: 1536, in_place: 40, few_rows: 40, far_cols: 16 },
    c: Blocking { mc: 96, kc: 256, nc: 768, in_place: 40, few_rows: 40, far_cols: 16 },
    z: Blocking { mc: 48, kc: 256, nc: 768, in_place: 40, few_rows: 40, far_cols: 16 },
};

/// For unknown caches: 32 KiB of L1, 256 KiB of L2.
pub(super) const PORTABLE: Table = Table {
    s: Blocking { mc: 128, kc: 256, nc: 2048, in_place: 40, few_rows: 40, far_cols: 16 },
    d: Blocking { mc: 64, kc: 256, nc: 2048, in_place: 40, few_rows: 40, far_cols: 16 },
    c: Blocking { mc: 64, kc: 256, nc: 1024, in_place: 40, few_rows: 40, far_cols: 16 },
    z: Blocking { mc: 32, kc: 256, nc: 1024, in_place: 40, few_rows: 40, far_cols: 16 },
};

impl Blocking {
    /// The steps in which a sum of length `k` is taken: as few as KC allows, of equal length but
    /// for the last. One step of length 0 when there is nothing to add.
    pub(super) fn steps(&self, k: usize) -> impl Iterator<Item = (usize, usize)> + use<> {
        let count = k.div_ceil(self.kc).max(1);
        let step = k.div_ceil(count);
        (0..count).map(move |i| (i * step, step.min(k - i * step)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_cover_the_sum_once() {
        let blocking = Blocking { mc: 1, kc: 8, nc: 1, in_place: 1, few_rows: 1, far_cols: 1 };
        for k in 0..100 {
            let mut end = 0;
            for (first, length) in blocking.steps(k) {
                assert_eq!(first, end);
                assert!(length <= 8 && (length > 0 || k == 0));
                end += length;
            }
            assert_eq!(end, k);
        }
    }
}
