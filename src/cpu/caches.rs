//! What caches the machine has: found when the first product is cut into blocks, not before.
//!
//! The CPU itself tells on x86-64 (`cpuid`), Linux elsewhere and where the CPU says nothing
//! (`sysfs`). What neither tells, or tells wrongly, as some hypervisors do, comes from a table of
//! core types (`types`).

#[cfg(target_arch = "x86_64")]
mod cpuid;
mod sysfs;
mod types;

use std::fmt;
use std::ops::RangeInclusive;
use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};
pub use types::CoreType;

/// A cache that holds data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cache {
    /// Its size in bytes.
    pub bytes: usize,
    /// How many CPUs use it, hyperthreads counted; no fewer than there are, on x86-64 perhaps more.
    pub users: usize,
}

impl Cache {
    /// What a thread has of it when so many compute.
    pub fn share(&self, threads: usize) -> usize {
        self.bytes / self.users.min(threads).max(1)
    }
}

impl fmt::Display for Cache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.bytes {
            bytes if bytes.is_multiple_of(1 << 20) => write!(f, "{} MiB", bytes >> 20)?,
            bytes => write!(f, "{} KiB", bytes >> 10)?,
        }
        if self.users > 1 { write!(f, " for {} CPUs", self.users) } else { Ok(()) }
    }
}

/// The caches on the way from a core to memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Levels {
    /// The first one for data.
    pub l1: Cache,
    /// The second.
    pub l2: Cache,
    /// The third, if there is one.
    pub l3: Option<Cache>,
}

/// Sizes that caches have, in bytes: those outside are some hypervisor's fancy.
const L1_BYTES: RangeInclusive<usize> = 8 << 10..=512 << 10;
const L2_BYTES: RangeInclusive<usize> = 64 << 10..=64 << 20;
const L3_BYTES: RangeInclusive<usize> = 256 << 10..=2 << 30;

impl Levels {
    /// The caches by level, from what was read of each; `None` if that cannot be.
    fn plausible(read: [Option<Cache>; 3]) -> Option<Levels> {
        let [Some(l1), Some(l2), l3] = read else { return None };
        let fits = L1_BYTES.contains(&l1.bytes)
            && L2_BYTES.contains(&l2.bytes)
            && l3.is_none_or(|l3| L3_BYTES.contains(&l3.bytes) && l3.bytes >= l2.bytes)
            && l1.bytes <= l2.bytes;
        fits.then_some(Levels { l1, l2, l3 })
    }
}

/// Who told what caches a core has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// The CPU.
    Cpuid,
    /// Linux.
    Sysfs,
    /// Nobody: they are those that cores of its type have.
    Type,
    /// Nobody, and the type is unknown: they are a guess on the small side.
    Guess,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Source::Cpuid => "the CPU says so",
            Source::Sysfs => "Linux says so",
            Source::Type => "as such cores have them",
            Source::Guess => "a guess",
        })
    }
}

/// A kind of core of this machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Core {
    /// Its type, where that is a known one.
    pub of_type: Option<&'static CoreType>,
    /// Its caches.
    pub caches: Levels,
    /// Who said so.
    pub source: Source,
}

/// Of an unknown core nobody tells anything about.
const GUESS: Levels = Levels {
    l1: Cache { bytes: 32 << 10, users: 1 },
    l2: Cache { bytes: 256 << 10, users: 1 },
    l3: None,
};

impl Core {
    /// A core by its type and by what was read of its caches, as far as either is known.
    fn new(of_type: Option<&'static CoreType>, read: Option<(Levels, Source)>) -> Core {
        let by_type = of_type.map(|of_type| (of_type.caches, Source::Type));
        let (caches, source) = read.or(by_type).unwrap_or((GUESS, Source::Guess));
        Core { of_type, caches, source }
    }

    /// What its maker calls it, where that is known.
    pub fn name(&self) -> Option<&'static str> {
        self.of_type.map(|of_type| of_type.name)
    }

    /// [`CoreType::has_near_l3`]; an unknown core has none.
    pub(super) fn has_near_l3(&self) -> bool {
        self.of_type.is_some_and(|of_type| of_type.has_near_l3)
    }
}

/// The kinds of cores of a machine: several where large and small ones work together.
#[derive(Debug)]
pub struct Machine {
    /// The kinds; at least one.
    cores: Vec<Core>,
    /// Which of them each CPU is, if there are several; those missing here are of the first kind.
    kinds: Vec<usize>,
}

/// Where Linux describes the CPUs.
const CPUS: &str = "/sys/devices/system/cpu";

impl Machine {
    /// A machine with such kinds of cores, and which of them each CPU is.
    pub(super) fn new(cores: Vec<Core>, kinds: Vec<usize>) -> Machine {
        Machine { cores, kinds }
    }

    /// This one. Asks the CPU or reads a few small files. x86-64 counts as of one kind: that of the
    /// core that is asked.
    fn find() -> Machine {
        let read = |path: &str| std::fs::read_to_string(format!("{CPUS}/{path}")).ok();
        #[cfg(target_arch = "x86_64")]
        let of_type = match cpuid::read(cpuid::ask) {
            (of_type, Some(levels)) => {
                let core = Core::new(of_type, Some((levels, Source::Cpuid)));
                return Machine::new(vec![core], Vec::new());
            }
            (of_type, None) => of_type,
        };
        #[cfg(not(target_arch = "x86_64"))]
        let of_type = None;
        sysfs::machine(read, of_type)
    }

    /// The kinds of cores.
    pub fn cores(&self) -> &[Core] {
        &self.cores
    }

    /// The core that the calling thread is on; the next moment it may be on another.
    pub fn core(&self) -> &Core {
        if self.cores.len() == 1 {
            return &self.cores[0];
        }
        // SAFETY: takes no argument.
        let cpu = usize::try_from(unsafe { libc::sched_getcpu() }).unwrap_or(0);
        &self.cores[self.kinds.get(cpu).copied().unwrap_or(0)]
    }
}

/// [`CoreType::has_half_units`] of this machine's cores; an unknown core has none. Asks the CPU.
#[cfg(target_arch = "x86_64")]
pub(super) fn have_half_units() -> bool {
    cpuid::of_type(cpuid::ask).is_some_and(|of_type| of_type.has_half_units)
}

/// This machine once it is known. It stays what it is: not even a forked child needs to look again.
static HERE: AtomicPtr<Machine> = AtomicPtr::new(ptr::null_mut());

/// This machine. The first call looks at it, which takes some microseconds; no lock is held
/// meanwhile.
pub fn here() -> &'static Machine {
    // SAFETY: null, or published below and never freed or changed.
    if let Some(machine) = unsafe { HERE.load(Ordering::Acquire).as_ref() } {
        return machine;
    }
    let fresh = Box::into_raw(Box::new(Machine::find()));
    match HERE.compare_exchange(ptr::null_mut(), fresh, Ordering::AcqRel, Ordering::Acquire) {
        // SAFETY: `fresh` came from a box and is now shared for ever.
        Ok(_) => unsafe { &*fresh },
        // SAFETY: the exchange failed, so nobody else has seen `fresh`; `other` was published by the
        // winner.
        Err(other) => unsafe {
            drop(Box::from_raw(fresh));
            &*other
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cache(kib: usize) -> Option<Cache> {
        Some(Cache { bytes: kib << 10, users: 1 })
    }

    #[test]
    fn nonsense_is_no_cache() {
        assert!(Levels::plausible([cache(32), cache(512), cache(16384)]).is_some());
        assert!(Levels::plausible([cache(32), cache(512), None]).is_some());
        let nonsense = [
            [cache(0), cache(512), None],
            [None, cache(512), None],
            [cache(32), None, cache(16384)],
            [cache(32), cache(0), None],
            [cache(32), cache(16), None],
            [cache(32), cache(512), cache(0)],
            [cache(32), cache(1024), cache(512)],
            [cache(32), cache(512), cache(4 << 20)],
            [cache(4096), cache(8192), None],
        ];
        for read in nonsense {
            assert_eq!(Levels::plausible(read), None, "{read:?}");
        }
    }

    #[test]
    fn a_share_is_what_others_leave() {
        let cache = Cache { bytes: 1 << 20, users: 8 };
        assert_eq!([0, 1, 2, 8, 99].map(|n| cache.share(n) >> 10), [1024, 1024, 512, 128, 128]);
        let of_nobody = Cache { users: 0, ..cache };
        assert_eq!(of_nobody.share(4), 1 << 20);
    }

    #[test]
    fn what_nobody_tells_is_taken_from_the_type_or_guessed() {
        let read = (Levels { l3: None, ..GUESS }, Source::Sysfs);
        let known = types::arm(0x411f_d050).unwrap();
        assert_eq!(Core::new(Some(known), Some(read)).source, Source::Sysfs);
        assert_eq!(Core::new(Some(known), None).caches, known.caches);
        let unknown = Core { of_type: None, caches: GUESS, source: Source::Guess };
        assert_eq!(Core::new(None, None), unknown);
    }

    #[test]
    fn this_machine_is_found_once() {
        let found: Vec<_> =
            (0..8).map(|_| std::thread::spawn(|| ptr::from_ref(here()) as usize)).collect();
        let mut found = found.into_iter().map(|thread| thread.join().unwrap());
        let first = found.next().unwrap();
        assert!(found.all(|other| other == first));
        let levels = here().core().caches;
        assert!(Levels::plausible([Some(levels.l1), Some(levels.l2), levels.l3]).is_some());
    }
}
