//! Types of cores: what they have that nobody tells, and the caches where nobody tells these.
//!
//! From the makers' manuals: *Intel 64 and IA-32 Architectures Optimization Reference Manual*, AMD's
//! *Software Optimization Guide* of each family, Arm's *Technical Reference Manual* of each core, of
//! which those here are RK3588's (*RK3588 TRM*, part 1: 512 KiB and 128 KiB of L2, 3 MiB of L3).

use super::{Cache, Levels};

/// A type of core.
#[derive(Debug, PartialEq, Eq)]
pub struct CoreType {
    /// As its maker calls it.
    pub name: &'static str,
    /// The caches of an ordinary one.
    pub caches: Levels,
    /// Whether its L3 is so near that what does not stay in L2 may as well be read from there each
    /// time: one for a few cores, not one for all cores of a server.
    pub has_near_l3: bool,
    /// Whether it has vectors of 512 bits and multiplies half ones twice as fast.
    pub has_half_units: bool,
}

/// A cache of `kib` KiB for `users` CPUs.
const fn cache(kib: usize, users: usize) -> Cache {
    Cache { bytes: kib << 10, users }
}

const fn core(name: &'static str, l1: Cache, l2: Cache, l3: Cache) -> CoreType {
    let caches = Levels { l1, l2, l3: Some(l3) };
    CoreType { name, caches, has_near_l3: false, has_half_units: false }
}

/// One of AMD's Zen.
const fn zen(name: &'static str, l1: Cache, l2: Cache, l3: Cache) -> CoreType {
    CoreType { has_near_l3: true, ..core(name, l1, l2, l3) }
}

/// The type of an x86-64 core, by family and model as CPUID's leaf 1 has them, extensions included.
#[cfg(target_arch = "x86_64")]
pub(super) fn x86(family: u32, model: u32) -> Option<&'static CoreType> {
    static SKYLAKE_SP: CoreType =
        core("Skylake-SP", cache(32, 2), cache(1024, 2), cache(22528, 32));
    static GOLDEN_COVE: CoreType =
        core("Golden Cove", cache(48, 2), cache(2048, 2), cache(107_520, 112));
    static ZEN2: CoreType = zen("Zen 2", cache(32, 2), cache(512, 2), cache(16384, 8));
    static ZEN3: CoreType = zen("Zen 3", cache(32, 2), cache(512, 2), cache(32768, 16));
    static ZEN4: CoreType = CoreType {
        has_half_units: true,
        ..zen("Zen 4", cache(32, 2), cache(1024, 2), cache(32768, 16))
    };
    static ZEN5: CoreType = zen("Zen 5", cache(48, 2), cache(1024, 2), cache(32768, 16));
    match (family, model) {
        (0x6, 0x55) => Some(&SKYLAKE_SP),
        // Sapphire Rapids and Emerald Rapids.
        (0x6, 0x8f | 0xcf) => Some(&GOLDEN_COVE),
        (0x17, 0x30..) => Some(&ZEN2),
        (0x19, 0x10..=0x1f | 0x60..=0x7f | 0xa0..=0xaf) => Some(&ZEN4),
        (0x19, _) => Some(&ZEN3),
        (0x1a, _) => Some(&ZEN5),
        _ => None,
    }
}

/// The type of an Arm core, by its MIDR: implementer in bits 31 to 24, part number in 15 to 4.
pub(super) fn arm(midr: u64) -> Option<&'static CoreType> {
    static CORTEX_A76: CoreType = core("Cortex-A76", cache(64, 1), cache(512, 1), cache(3072, 8));
    static CORTEX_A55: CoreType = core("Cortex-A55", cache(32, 1), cache(128, 1), cache(3072, 8));
    match (midr >> 24 & 0xff, midr >> 4 & 0xfff) {
        (0x41, 0xd0b) => Some(&CORTEX_A76),
        (0x41, 0xd05) => Some(&CORTEX_A55),
        _ => None,
    }
}
