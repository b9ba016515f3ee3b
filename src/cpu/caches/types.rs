//! Types of cores, and the caches that they have where nobody tells.
//!
//! From the makers' manuals: *Intel 64 and IA-32 Architectures Optimization Reference Manual*, AMD's
//! *Software Optimization Guide* of each family, Arm's *Technical Reference Manual* of each core, of
//! which those here are RK3588's (*RK3588 TRM*, part 1: 512 KiB and 128 KiB of L2, 3 MiB of L3).

use super::{Cache, Levels};

/// A type of core.
#[derive(Debug)]
pub(super) struct CoreType {
    /// As its maker calls it.
    pub name: &'static str,
    /// The caches of an ordinary one.
    pub caches: Levels,
}

/// A cache of `kib` KiB for `users` CPUs.
const fn cache(kib: usize, users: usize) -> Cache {
    Cache { bytes: kib << 10, users }
}

const fn core(name: &'static str, l1: Cache, l2: Cache, l3: Cache) -> CoreType {
    CoreType { name, caches: Levels { l1, l2, l3: Some(l3) } }
}

/// The type of an x86-64 core, by family and model as CPUID's leaf 1 has them, extensions included.
#[cfg(target_arch = "x86_64")]
pub(super) fn x86(family: u32, model: u32) -> Option<&'static CoreType> {
    static SKYLAKE_SP: CoreType =
        core("Skylake-SP", cache(32, 2), cache(1024, 2), cache(22528, 32));
    static ZEN2: CoreType = core("Zen 2", cache(32, 2), cache(512, 2), cache(16384, 8));
    static ZEN3: CoreType = core("Zen 3", cache(32, 2), cache(512, 2), cache(32768, 16));
    static ZEN4: CoreType = core("Zen 4", cache(32, 2), cache(1024, 2), cache(32768, 16));
    static ZEN5: CoreType = core("Zen 5", cache(48, 2), cache(1024, 2), cache(32768, 16));
    match (family, model) {
        (0x6, 0x55) => Some(&SKYLAKE_SP),
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
