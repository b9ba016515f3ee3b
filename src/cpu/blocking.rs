//! Sizes of the blocks.
//!
//! * KC: length of a panel. A panel of B, KC × NR, stays in L1 beside the panel of A that runs
//!   past it; C is read and written once per KC. One row per kernel family and type.
//! * MC: rows of a packed block of A; MC × KC takes about half of L2. Where the sum is shorter than
//!   KC there are more rows, and C is written in longer runs.
//! * NC: columns of a packed block of B; KC × NC lives in L3 or in memory.
//!
//! The sum is cut by KC, so that the last bits of a result depend on it. It depends on family and
//! type and on nothing else: not on the number of threads, nor on the core that one of them runs on.
//! MC and NC never show, so they follow the caches of the machine, those of the core at hand where
//! cores differ.
//!
//! A smaller C is not worth blocks: with many registers a tile reads its operands so few times that
//! packing them takes longer than to read them where they lie.

use super::caches::{Core, Levels};

/// Where the sum is cut, and from where on there are blocks, in elements.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Blocking {
    /// Longest step of the sum.
    pub kc: usize,
    /// Longest side of a C whose operands are read where they lie, however long the sum is.
    pub in_place: usize,
    /// Most rows of a C for which that holds however many columns it has.
    pub few_rows: usize,
    /// Most columns of a C for which a large A of contiguous rows is read where it lies: few where a
    /// tile is no higher than a line of the cache, for such short pieces of A's columns come slowly
    /// each time that they are read again.
    pub far_cols: usize,
}

/// The two block sizes that never show in a result, in elements.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sizes {
    /// Rows of a block of A: whole tiles.
    pub mc: usize,
    /// Columns of a block of B: whole tiles.
    pub nc: usize,
}

/// The part of L2 that is for the packed block of A, in sixteenths. The rest is for what passes by:
/// B, C, and what the cache throws out too early.
const A_OF_L2: usize = 7;

/// The most that a block of A takes: large caches are far away, or shared.
const MOST_OF_A: usize = 1 << 20;

/// The part of L3 that is for the packed block of B, in eighths.
const B_OF_L3: usize = 4;

/// The most that a block of B takes, and that of memory where there is no L3: more columns save
/// nothing, for A is packed anew for each block of them only.
const MOST_OF_B: usize = 6 << 20;

/// Fewest and most columns of B, whatever the caches: with fewer, A would be packed too often, and
/// it is better to read B from memory.
const COLUMNS: (usize, usize) = (512, 3072);

/// The part of L3 that is for packed A, and for packed B, which threads share, in eighths: both
/// stay there.
const SHARED_OF_L3: usize = 3;

/// The most that either of them takes.
const MOST_SHARED: usize = 4 << 20;

/// The most that all packed blocks of a product take, but for the rest of a last panel each.
pub(super) const MOST_BYTES: usize = {
    let alone = MOST_OF_A + MOST_OF_B;
    if alone > 2 * MOST_SHARED { alone } else { 2 * MOST_SHARED }
};

impl Sizes {
    /// The sizes on a core where so many threads compute, for tiles of `(mr, nr)` elements and steps
    /// of the sum of `line` bytes.
    pub(super) fn new(core: &Core, threads: usize, line: usize, (mr, nr): (usize, usize)) -> Sizes {
        let Levels { l2, l3, .. } = core.caches;
        let for_a = (l2.share(threads) / 16 * A_OF_L2).min(MOST_OF_A);
        let of_l3 = l3.map_or(MOST_OF_B, |l3| l3.share(threads) / 8 * B_OF_L3);
        let (fewest, most) = COLUMNS;
        let columns = (of_l3.min(MOST_OF_B) / line).clamp(fewest, most);
        Sizes { mc: whole(for_a / line, mr), nc: whole(columns, nr) }
    }
}

/// The length of the parts, but for the last, into which so many are cut: at most `most` each, as few
/// parts as that allows, and as even as possible.
#[inline]
pub(super) fn even(count: usize, most: usize) -> usize {
    // Divisions take as long as a short sum.
    if count <= most { count } else { count.div_ceil(count.div_ceil(most)) }
}

/// The next of the parts, of at most `most`, into which what is left is cut: as few parts as that
/// allows, and the last two as even as possible. Takes no division, which would last as long as a
/// column of a small tile.
#[inline(always)]
pub(super) fn share(left: usize, most: usize) -> usize {
    if left <= most {
        left
    } else if left < 2 * most {
        left.div_ceil(2)
    } else {
        most
    }
}

/// As many as there are whole tiles in `lines`, and at least one.
pub(super) fn whole(lines: usize, tile: usize) -> usize {
    (lines - lines % tile).max(tile)
}

/// Most bytes of packed A, and of packed B, that threads share at a time.
pub(super) fn shared_bytes(core: &Core) -> usize {
    core.caches.l3.map_or(MOST_SHARED, |l3| (l3.bytes / 8 * SHARED_OF_L3).min(MOST_SHARED))
}

/// One row per element type.
pub(super) struct Table {
    pub s: Blocking,
    pub d: Blocking,
    pub c: Blocking,
    pub z: Blocking,
}

#[cfg(target_arch = "x86_64")]
pub(super) const AVX512: Table = Table {
    s: Blocking { kc: 384, in_place: 450, few_rows: 200, far_cols: 256 },
    d: Blocking { kc: 256, in_place: 450, few_rows: 200, far_cols: 256 },
    c: Blocking { kc: 256, in_place: 450, few_rows: 200, far_cols: 256 },
    z: Blocking { kc: 256, in_place: 300, few_rows: 200, far_cols: 256 },
};

#[cfg(target_arch = "x86_64")]
pub(super) const AVX2: Table = Table {
    s: Blocking { kc: 256, in_place: 40, few_rows: 40, far_cols: 16 },
    d: Blocking { kc: 256, in_place: 40, few_rows: 40, far_cols: 16 },
    c: Blocking { kc: 256, in_place: 40, few_rows: 40, far_cols: 16 },
    z: Blocking { kc: 256, in_place: 40, few_rows: 40, far_cols: 16 },
};

#[cfg(target_arch = "aarch64")]
pub(super) const NEON: Table = Table {
    s: Blocking { kc: 256, in_place: 40, few_rows: 40, far_cols: 16 },
    d: Blocking { kc: 256, in_place: 40, few_rows: 40, far_cols: 16 },
    c: Blocking { kc: 256, in_place: 40, few_rows: 40, far_cols: 16 },
    z: Blocking { kc: 256, in_place: 40, few_rows: 40, far_cols: 16 },
};

pub(super) const PORTABLE: Table = Table {
    s: Blocking { kc: 256, in_place: 40, few_rows: 40, far_cols: 16 },
    d: Blocking { kc: 256, in_place: 40, few_rows: 40, far_cols: 16 },
    c: Blocking { kc: 256, in_place: 40, few_rows: 40, far_cols: 16 },
    z: Blocking { kc: 256, in_place: 40, few_rows: 40, far_cols: 16 },
};

impl Blocking {
    /// The length of the steps in which a sum of length `k` is taken, but for the last: as few as KC
    /// allows, as even as possible.
    pub(super) fn step(&self, k: usize) -> usize {
        even(k, self.kc)
    }

    /// First index and length of these steps. One step of length 0 when there is nothing to add.
    pub(super) fn steps(&self, k: usize) -> impl Iterator<Item = (usize, usize)> + use<> {
        let step = self.step(k);
        let count = k.div_ceil(step.max(1)).max(1);
        (0..count).map(move |i| (i * step, step.min(k - i * step)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cpu::caches::{Cache, Source};
    use crate::cpu::kernel::{self, Kernels};
    use crate::scalar::{c32, c64};

    fn core(l2_kib: usize, l3_kib: Option<usize>) -> Core {
        let cache = |kib| Cache { bytes: kib << 10, users: 8 };
        let l2 = Cache { users: 1, ..cache(l2_kib) };
        let caches = Levels { l1: Cache { users: 1, ..cache(32) }, l2, l3: l3_kib.map(cache) };
        Core { of_type: None, caches, source: Source::Guess }
    }

    #[test]
    fn blocks_follow_the_caches() {
        let sizes = |core: &Core, line, tile| {
            let Sizes { mc, nc } = Sizes::new(core, 1, line, tile);
            (mc, nc)
        };
        // AVX-512 on Zen 4: s, d, c, z.
        let zen4 = core(1024, Some(32 << 10));
        assert_eq!(sizes(&zen4, 384 * 4, (48, 8)), (288, 3072));
        assert_eq!(sizes(&zen4, 256 * 8, (24, 8)), (216, 3072));
        assert_eq!(sizes(&zen4, 256 * 8, (24, 4)), (216, 3072));
        assert_eq!(sizes(&zen4, 256 * 16, (12, 4)), (108, 1536));
        assert_eq!(sizes(&zen4, 8 * 4, (48, 8)), (14304, 3072), "sums of length 8");
        // AVX2 on Zen 3.
        let zen3 = core(512, Some(32 << 10));
        assert_eq!(sizes(&zen3, 256 * 4, (16, 6)), (224, 3072));
        assert_eq!(sizes(&zen3, 256 * 8, (8, 6)), (112, 3072));
        // NEON on the two cores of RK3588, and on one without L3.
        let (large, small) = (core(512, Some(3072)), core(128, Some(3072)));
        assert_eq!(sizes(&large, 256 * 4, (16, 6)), (224, 1536));
        assert_eq!(sizes(&small, 256 * 4, (16, 6)), (48, 1536));
        assert_eq!(sizes(&large, 256 * 8, (8, 6)), (112, 768));
        assert_eq!(sizes(&small, 256 * 16, (4, 3)), (12, 510));
        assert_eq!(sizes(&core(1024, None), 256 * 8, (8, 6)), (224, 3072));
        assert_eq!(
            [&zen4, &large, &core(256, None)].map(|core| shared_bytes(core) >> 10),
            [4096, 1152, 4096]
        );
    }

    #[test]
    fn threads_get_their_share_of_a_cache_in_common() {
        let mut core = core(1024, Some(32 << 10));
        core.caches.l2.users = 2;
        let rows = [1, 2, 9].map(|threads| Sizes::new(&core, threads, 2048, (8, 6)).mc);
        assert_eq!(rows, [224, 112, 112]);
    }

    #[test]
    fn no_cache_is_too_small_or_too_large_for_blocks() {
        for bytes in [0, 1, 64 << 10, 64 << 20, usize::MAX] {
            let cache = Cache { bytes, users: 1 };
            for l3 in [None, Some(cache)] {
                let caches = Levels { l1: cache, l2: cache, l3 };
                let core = Core { of_type: None, caches, source: Source::Guess };
                let Sizes { mc, nc } = Sizes::new(&core, 3, 6144, (48, 8));
                assert!(mc >= 48 && mc.is_multiple_of(48) && nc >= 8 && nc.is_multiple_of(8));
                assert!((mc + nc) * 6144 <= MOST_BYTES && shared_bytes(&core) <= MOST_SHARED);
            }
        }
    }

    fn panels_fit_the_first_cache<T: Kernels>() {
        for family in kernel::families() {
            let kernel = T::of(family);
            let (_, nr) = kernel.tile();
            assert!(kernel.blocking().kc * nr * size_of::<T>() <= 24 << 10, "{}", family.name());
        }
    }

    #[test]
    fn a_panel_of_b_fits_the_smallest_first_cache() {
        panels_fit_the_first_cache::<f32>();
        panels_fit_the_first_cache::<f64>();
        panels_fit_the_first_cache::<c32>();
        panels_fit_the_first_cache::<c64>();
    }

    #[test]
    fn steps_cover_the_sum_once() {
        let blocking = Blocking { kc: 8, in_place: 1, few_rows: 1, far_cols: 1 };
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
