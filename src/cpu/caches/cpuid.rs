//! What an x86-64 CPU says of itself.
//!
//! Leaf 4 of Intel's CPUID and leaf 0x8000001D of AMD's describe one cache per subleaf, in the same
//! bits (*Intel 64 and IA-32 Architectures Software Developer's Manual*, volume 2, CPUID; *AMD64
//! Architecture Programmer's Manual*, volume 3, appendix E).

use super::types::{self, CoreType};
use super::{Cache, Levels};
use std::arch::x86_64::{__cpuid_count, CpuidResult};

/// Asks the CPU for a leaf and subleaf. In a virtual machine the hypervisor answers, and takes a
/// microsecond or more.
pub(super) fn ask(leaf: u32, subleaf: u32) -> CpuidResult {
    __cpuid_count(leaf, subleaf)
}

/// The caches by level, one per subleaf.
const INTEL_CACHES: u32 = 4;
const AMD_CACHES: u32 = 0x8000_001d;

/// The first leaf of its maker's; its answer has the number of the last one.
const EXTENDED: u32 = 0x8000_0000;

/// Bit of leaf 0x80000001's ECX: [`AMD_CACHES`] exists.
const TOPOLOGY_EXTENSIONS: u32 = 1 << 22;

/// Most caches of a core.
const MOST: u32 = 8;

/// The type of the core, as far as `ask` tells.
pub(super) fn of_type(ask: impl Fn(u32, u32) -> CpuidResult) -> Option<&'static CoreType> {
    let signature = ask(1, 0).eax;
    let (family, model) = (signature >> 8 & 0xf, signature >> 4 & 0xf);
    let family = if family == 0xf { family + (signature >> 20 & 0xff) } else { family };
    types::x86(family, model | (signature >> 16 & 0xf) << 4)
}

/// The type of the core and its caches, as far as `ask` tells.
pub(super) fn read(
    ask: impl Fn(u32, u32) -> CpuidResult,
) -> (Option<&'static CoreType>, Option<Levels>) {
    let last = ask(0, 0).eax;
    let is_amds =
        ask(EXTENDED, 0).eax >= AMD_CACHES && ask(EXTENDED + 1, 0).ecx & TOPOLOGY_EXTENSIONS != 0;
    let leaf =
        if is_amds { Some(AMD_CACHES) } else { (last >= INTEL_CACHES).then_some(INTEL_CACHES) };
    let levels = leaf.and_then(|leaf| Levels::plausible(caches(|subleaf| ask(leaf, subleaf))));
    (of_type(ask), levels)
}

/// The caches of each level that hold data.
fn caches(ask: impl Fn(u32) -> CpuidResult) -> [Option<Cache>; 3] {
    let mut found = [None; 3];
    for subleaf in 0..MOST {
        let CpuidResult { eax, ebx, ecx, .. } = ask(subleaf);
        let (kind, level) = (eax & 0x1f, (eax >> 5 & 0x7) as usize);
        match kind {
            0 => break,
            1 | 3 if (1..=found.len()).contains(&level) => {
                let [ways, parts, line] = [ebx >> 22, ebx >> 12 & 0x3ff, ebx & 0xfff].map(size);
                let bytes = [ways, parts, line].into_iter().fold(size(ecx), usize::saturating_mul);
                let users = size(eax >> 14 & 0xfff);
                found[level - 1] = Some(Cache { bytes, users });
            }
            _ => {}
        }
    }
    found
}

/// CPUID gives sizes less one.
fn size(less_one: u32) -> usize {
    less_one as usize + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What such a CPU answers: leaf, subleaf, EAX, EBX, ECX. All others are 0.
    type Dump<'a> = &'a [(u32, u32, [u32; 3])];

    const SKYLAKE_SP: Dump<'_> = &[
        (0, 0, [0x16, 0x756e_6547, 0x6c65_746e]),
        (1, 0, [0x0005_0654, 0, 0]),
        (4, 0, [0x1c00_4121, 0x01c0_003f, 0x3f]),
        (4, 1, [0x1c00_4122, 0x01c0_003f, 0x3f]),
        (4, 2, [0x1c00_4143, 0x03c0_003f, 0x3ff]),
        (4, 3, [0x1c07_c163, 0x0280_003f, 0xbfff]),
        (0x8000_0000, 0, [0x8000_0008, 0, 0]),
        (0x8000_0001, 0, [0, 0, 0x121]),
    ];
    /// In a virtual machine of two CPUs without hyperthreads.
    const EMERALD_RAPIDS: Dump<'_> = &[
        (0, 0, [0x1c, 0x756e_6547, 0x6c65_746e]),
        (1, 0, [0x000c_06f2, 0x0102_0800, 0xfffa_3203]),
        (4, 0, [0x0400_0121, 0x02c0_003f, 0x3f]),
        (4, 1, [0x0400_0122, 0x01c0_003f, 0x3f]),
        (4, 2, [0x0400_0143, 0x03c0_003f, 0x7ff]),
        (4, 3, [0x0400_4163, 0x04c0_003f, 0x0003_3fff]),
        (0x8000_0000, 0, [0x8000_0021, 0, 0]),
        (0x8000_0001, 0, [0, 0, 0x121]),
    ];
    const ZEN2: Dump<'_> = &[
        (0, 0, [0x10, 0x6874_7541, 0x444d_4163]),
        (1, 0, [0x0083_0f10, 0, 0]),
        (0x8000_0000, 0, [0x8000_0020, 0, 0]),
        (0x8000_0001, 0, [0x0083_0f10, 0, 0x75c2_37ff]),
        (0x8000_001d, 0, [0x0000_4121, 0x01c0_003f, 0x3f]),
        (0x8000_001d, 1, [0x0000_4122, 0x01c0_003f, 0x3f]),
        (0x8000_001d, 2, [0x0000_4143, 0x01c0_003f, 0x3ff]),
        (0x8000_001d, 3, [0x0001_c163, 0x03c0_003f, 0x3fff]),
    ];
    const ZEN3: Dump<'_> = &[
        (0, 0, [0x10, 0x6874_7541, 0x444d_4163]),
        (1, 0, [0x00a0_0f11, 0, 0]),
        (0x8000_0000, 0, [0x8000_0023, 0, 0]),
        (0x8000_0001, 0, [0x00a0_0f11, 0, 0x75c2_37ff]),
        (0x8000_001d, 0, [0x0000_4121, 0x01c0_003f, 0x3f]),
        (0x8000_001d, 1, [0x0000_4122, 0x01c0_003f, 0x3f]),
        (0x8000_001d, 2, [0x0000_4143, 0x01c0_003f, 0x3ff]),
        (0x8000_001d, 3, [0x0003_c163, 0x03c0_003f, 0x7fff]),
    ];
    /// In a virtual machine of two CPUs without hyperthreads, which has leaf 4 too and nothing in it.
    const ZEN4: Dump<'_> = &[
        (0, 0, [0x1c, 0x6874_7541, 0x444d_4163]),
        (1, 0, [0x00a1_0f11, 0x0002_0800, 0xfffa_3203]),
        (0x8000_0000, 0, [0x8000_0021, 0x6874_7541, 0x444d_4163]),
        (0x8000_0001, 0, [0x00a1_0f11, 0x4000_0000, 0x0040_03f3]),
        (0x8000_001d, 0, [0x0000_0121, 0x01c0_003f, 0x3f]),
        (0x8000_001d, 1, [0x0000_0122, 0x01c0_003f, 0x3f]),
        (0x8000_001d, 2, [0x0000_0143, 0x01c0_003f, 0x7ff]),
        (0x8000_001d, 3, [0x0000_4163, 0x03c0_003f, 0x7fff]),
    ];
    const ZEN5: Dump<'_> = &[
        (0, 0, [0x10, 0x6874_7541, 0x444d_4163]),
        (1, 0, [0x00b0_0f21, 0, 0]),
        (0x8000_0000, 0, [0x8000_0028, 0, 0]),
        (0x8000_0001, 0, [0x00b0_0f21, 0, 0x75c2_37ff]),
        (0x8000_001d, 0, [0x0000_4121, 0x02c0_003f, 0x3f]),
        (0x8000_001d, 1, [0x0000_4122, 0x01c0_003f, 0x3f]),
        (0x8000_001d, 2, [0x0000_4143, 0x03c0_003f, 0x3ff]),
        (0x8000_001d, 3, [0x0003_c163, 0x03c0_003f, 0x7fff]),
    ];

    fn read_dump(dump: Dump<'_>) -> (Option<&'static str>, Option<Levels>) {
        let (of_type, levels) = read(|leaf, subleaf| {
            let answer = dump.iter().find(|answer| (answer.0, answer.1) == (leaf, subleaf));
            let [eax, ebx, ecx] = answer.map_or([0; 3], |answer| answer.2);
            CpuidResult { eax, ebx, ecx, edx: 0 }
        });
        (of_type.map(|of_type| of_type.name), levels)
    }

    /// Levels of so many KiB and users each.
    fn levels([l1, l2, l3]: [(usize, usize); 3]) -> Option<Levels> {
        let cache = |(kib, users)| Cache { bytes: kib << 10, users };
        Some(Levels { l1: cache(l1), l2: cache(l2), l3: Some(cache(l3)) })
    }

    #[test]
    fn every_maker_is_understood() {
        let skylake = levels([(32, 2), (1024, 2), (33 << 10, 32)]);
        assert_eq!(read_dump(SKYLAKE_SP), (Some("Skylake-SP"), skylake));
        let emerald_rapids = levels([(48, 1), (2048, 1), (260 << 10, 2)]);
        assert_eq!(read_dump(EMERALD_RAPIDS), (Some("Golden Cove"), emerald_rapids));
        let zen2 = levels([(32, 2), (512, 2), (16 << 10, 8)]);
        assert_eq!(read_dump(ZEN2), (Some("Zen 2"), zen2));
        let zen3 = levels([(32, 2), (512, 2), (32 << 10, 16)]);
        assert_eq!(read_dump(ZEN3), (Some("Zen 3"), zen3));
        let zen4 = levels([(32, 1), (1024, 1), (32 << 10, 2)]);
        assert_eq!(read_dump(ZEN4), (Some("Zen 4"), zen4));
        let zen5 = levels([(48, 2), (1024, 2), (32 << 10, 16)]);
        assert_eq!(read_dump(ZEN5), (Some("Zen 5"), zen5));
    }

    #[test]
    fn a_cpu_that_tells_nothing_still_has_a_type() {
        // No leaf 4; a leaf 4 of zeros; an L2 of 0 bytes, or of more than there can be.
        assert_eq!(read_dump(&[(0, 0, [2, 0, 0]), (1, 0, [0x0005_0654, 0, 0])]).1, None);
        assert_eq!(read_dump(&ZEN4[..4]), (Some("Zen 4"), None));
        for ecx in [0, u32::MAX] {
            let mut lies = ZEN3.to_vec();
            lies[6].2[1..].copy_from_slice(&[0, ecx]);
            assert_eq!(read_dump(&lies), (Some("Zen 3"), None));
        }
        assert_eq!(read_dump(&[]), (None, None));
    }
}
