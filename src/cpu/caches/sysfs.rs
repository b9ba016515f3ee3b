//! What Linux says of the CPUs: `/sys/devices/system/cpu` (Documentation/ABI/testing/sysfs-devices-system-cpu).
//!
//! Nothing here opens a file: `read` gives the text of one by its path below that folder.

use super::types::{self, CoreType};
use super::{Cache, Core, Levels, Machine, Source};

/// Caches that Linux may list for a CPU: instructions and data apart, and two levels more.
const INDICES: usize = 5;

/// The caches of a CPU.
fn levels(read: impl Fn(&str) -> Option<String>, cpu: usize) -> Option<Levels> {
    let mut found = [None; 3];
    for index in 0..INDICES {
        let file = |name: &str| read(&format!("cpu{cpu}/cache/index{index}/{name}"));
        let Some(level) = file("level") else { break };
        let level: usize = level.trim().parse().ok()?;
        let holds_data = file("type").is_some_and(|kind| kind.trim() != "Instruction");
        if holds_data && (1..=found.len()).contains(&level) {
            let kib: usize = file("size")?.trim().strip_suffix('K')?.parse().ok()?;
            let users = file("shared_cpu_list").and_then(|list| Some(cpus(&list)?.0)).unwrap_or(1);
            found[level - 1] = Some(Cache { bytes: kib.saturating_mul(1 << 10), users });
        }
    }
    Levels::plausible(found)
}

/// How many CPUs are in a list like `0-3,8`, and the highest one.
fn cpus(list: &str) -> Option<(usize, usize)> {
    let (mut count, mut highest) = (0, 0);
    for range in list.trim().split(',') {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let (first, last): (usize, usize) = (first.parse().ok()?, last.parse().ok()?);
        count += last.checked_sub(first)? + 1;
        highest = last.max(highest);
    }
    Some((count, highest))
}

/// Most CPUs that are looked at one by one: machines with more have cores of one kind.
const MOST_CPUS: usize = 64;

/// The machine. Arm's CPUs tell their types by their main ID register, MIDR_EL1, and those of one
/// type have the same caches; CPUs without that register are all alike, of the type that is given.
pub(super) fn machine(
    read: impl Fn(&str) -> Option<String>,
    of_type: Option<&'static CoreType>,
) -> Machine {
    let last = read("present").and_then(|list| Some(cpus(&list)?.1)).unwrap_or(0);
    let (mut registers, mut cores, mut kinds) = (Vec::new(), Vec::new(), Vec::new());
    for cpu in 0..=last.min(MOST_CPUS - 1) {
        // A CPU that is switched off shows none either.
        let midr = midr(&read, cpu);
        let is_same = |&other: &Option<u64>| midr.is_none() || midr == other;
        let kind = registers.iter().position(is_same).unwrap_or_else(|| {
            let levels = levels(&read, cpu).map(|levels| (levels, Source::Sysfs));
            cores.push(Core::new(midr.map_or(of_type, types::arm), levels));
            registers.push(midr);
            cores.len() - 1
        });
        kinds.push(kind);
    }
    Machine::new(cores, kinds)
}

fn midr(read: impl Fn(&str) -> Option<String>, cpu: usize) -> Option<u64> {
    let text = read(&format!("cpu{cpu}/regs/identification/midr_el1"))?;
    u64::from_str_radix(text.trim().strip_prefix("0x")?, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A CPU's folder: its MIDR, and level, type, size and users of each cache.
    struct Cpu {
        midr: Option<&'static str>,
        caches: &'static [[&'static str; 4]],
    }

    fn machine_of(present: &str, cpus: &[Cpu]) -> Machine {
        let read = |path: &str| {
            let mut parts = path.split('/');
            let folder = parts.next()?;
            if folder == "present" {
                return Some(format!("{present}\n"));
            }
            let cpu = cpus.get(folder.strip_prefix("cpu")?.parse::<usize>().ok()?)?;
            let text = match (parts.next()?, parts.next()?, parts.next()?) {
                ("regs", "identification", "midr_el1") => cpu.midr?,
                ("cache", index, name) => {
                    let cache =
                        cpu.caches.get(index.strip_prefix("index")?.parse::<usize>().ok()?)?;
                    let names = ["level", "type", "size", "shared_cpu_list"];
                    cache[names.iter().position(|&other| other == name)?]
                }
                _ => return None,
            };
            (!text.is_empty()).then(|| format!("{text}\n"))
        };
        machine(read, None)
    }

    fn cache(kib: usize, users: usize) -> Cache {
        Cache { bytes: kib << 10, users }
    }

    const A55: Cpu = Cpu {
        midr: Some("0x00000000412fd050"),
        caches: &[
            ["1", "Data", "32K", "0"],
            ["1", "Instruction", "32K", "0"],
            ["2", "Unified", "128K", "0"],
            ["3", "Unified", "3072K", "0-7"],
        ],
    };
    const A76: Cpu = Cpu {
        midr: Some("0x00000000414fd0b0"),
        caches: &[
            ["1", "Data", "64K", "4"],
            ["1", "Instruction", "64K", "4"],
            ["2", "Unified", "512K", "4"],
            ["3", "Unified", "3072K", "0-7"],
        ],
    };
    const OFFLINE: Cpu = Cpu { midr: None, caches: &[] };

    #[test]
    fn large_and_small_cores_are_told_apart() {
        let rk3588 = machine_of("0-7", &[A55, A55, OFFLINE, A55, A76, A76, A76, A76]);
        assert_eq!(rk3588.kinds, [0, 0, 0, 0, 1, 1, 1, 1]);
        let [small, large] = rk3588.cores() else { panic!("{:?}", rk3588.cores()) };
        assert_eq!((small.name(), large.name()), (Some("Cortex-A55"), Some("Cortex-A76")));
        let l3 = Some(cache(3072, 8));
        assert_eq!(small.caches, Levels { l1: cache(32, 1), l2: cache(128, 1), l3 });
        assert_eq!(large.caches, Levels { l1: cache(64, 1), l2: cache(512, 1), l3 });
        assert_eq!((small.source, large.source), (Source::Sysfs, Source::Sysfs));
    }

    #[test]
    fn a_machine_without_l3_has_none() {
        // Four Cortex-A72, of which nothing is known but what Linux says.
        let cpu = || Cpu {
            midr: Some("0x00000000410fd083"),
            caches: &[
                ["1", "Data", "32K", "0"],
                ["1", "Instruction", "48K", "0"],
                ["2", "Unified", "1024K", "0-3"],
            ],
        };
        let machine = machine_of("0-3", &[cpu(), cpu(), cpu(), cpu()]);
        let caches = Levels { l1: cache(32, 1), l2: cache(1024, 4), l3: None };
        assert_eq!(machine.cores(), [Core { of_type: None, caches, source: Source::Sysfs }]);
    }

    #[test]
    fn what_linux_does_not_say_comes_from_the_type() {
        // A device tree without sizes; one with nonsense; no caches at all.
        let without_sizes: &[_] = &[["1", "Data", "", "0"], ["2", "Unified", "", "0"]];
        let nonsense: &[_] = &[["1", "Data", "0K", "0"], ["2", "Unified", "many", "0"]];
        for caches in [without_sizes, nonsense, &[]] {
            let machine = machine_of("0", &[Cpu { caches, ..A76 }]);
            let [core] = machine.cores() else { panic!("{machine:?}") };
            assert_eq!((core.name(), core.source), (Some("Cortex-A76"), Source::Type));
            assert_eq!(core.caches.l2, cache(512, 1));
        }
        assert_eq!(machine_of("", &[]).cores()[0].source, Source::Guess);
    }

    #[test]
    fn lists_are_counted() {
        assert_eq!(cpus("0\n"), Some((1, 0)));
        assert_eq!(cpus("0-3,8,10-11\n"), Some((7, 11)));
        for nonsense in ["", "x", "3-1", "1,", "0-3-4", "-1"] {
            assert_eq!(cpus(nonsense), None, "{nonsense}");
        }
    }
}
