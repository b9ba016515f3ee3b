//! Failures on order: what goes wrong, where, and at which occurrence.
//!
//! A rule is written `KIND[@WHEN]`:
//!
//! | KIND | what happens |
//! |---|---|
//! | `drop` | the job is silently not run; its fence is signalled at once |
//! | `timeout` | the job hangs: 500 ms on its core, nothing written |
//! | `bitflip` | one bit of what the job wrote is flipped |
//! | `late=MS` | the job starts that many milliseconds late, as behind other processes' jobs |
//! | `stuck` | the core of the job hangs in this job and in every later one |
//! | `short` | a buffer is made a page shorter than asked, but never without a page |
//! | `errno=NAME:CALL` | the call fails with that error before it does anything |
//!
//! CALL is `open`, `mmap`, `version`, `gem_close`, `create_bo`, `submit`, `prep_bo`, `fini_bo` or
//! `any`. WHEN counts the jobs that are submitted, or the calls named, from 1: `3` is the third
//! alone, `3+` the third and all later ones, `all` (the default) every one. A device that is taken
//! out in the middle of its work is `errno=ENODEV:any@N+`.

use std::fmt;
use std::str::FromStr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use nix::errno::Errno;

/// A call of the client that can be made to fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Call {
    /// open, openat or openat2 of the node.
    Open,
    /// mmap of a buffer.
    Mmap,
    /// DRM_IOCTL_VERSION.
    Version,
    /// DRM_IOCTL_GEM_CLOSE.
    GemClose,
    /// DRM_IOCTL_ROCKET_CREATE_BO.
    CreateBo,
    /// DRM_IOCTL_ROCKET_SUBMIT.
    Submit,
    /// DRM_IOCTL_ROCKET_PREP_BO.
    PrepBo,
    /// DRM_IOCTL_ROCKET_FINI_BO.
    FiniBo,
    /// An ioctl of the node with no name here.
    Other,
}

/// Names of the calls in rules.
const CALLS: [(&str, Call); 8] = [
    ("open", Call::Open),
    ("mmap", Call::Mmap),
    ("version", Call::Version),
    ("gem_close", Call::GemClose),
    ("create_bo", Call::CreateBo),
    ("submit", Call::Submit),
    ("prep_bo", Call::PrepBo),
    ("fini_bo", Call::FiniBo),
];

/// What goes wrong with a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JobFault {
    /// Not run, not told.
    Drop,
    /// Hangs to its time-out.
    Timeout,
    /// One bit of its output is flipped.
    Bitflip,
    /// Starts so much later.
    Late(Duration),
    /// Hangs, and so does every later one on its core.
    Stuck,
}

impl fmt::Display for JobFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            JobFault::Drop => "drop",
            JobFault::Timeout => "timeout",
            JobFault::Bitflip => "bitflip",
            JobFault::Late(by) => return write!(f, "late={}", by.as_millis()),
            JobFault::Stuck => "stuck",
        })
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Kind {
    Job(JobFault),
    /// The error, and the call; `None` for any.
    Call(Errno, Option<Call>),
    /// A buffer shorter than asked.
    Short,
}

/// One order for a failure. Parsed from text, as the module describes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    kind: Kind,
    first: u64,
    last: u64,
}

impl FromStr for Rule {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (kind, when) = text.split_once('@').unwrap_or((text, "all"));
        let kind = match kind {
            "drop" => Kind::Job(JobFault::Drop),
            "timeout" => Kind::Job(JobFault::Timeout),
            "bitflip" => Kind::Job(JobFault::Bitflip),
            "stuck" => Kind::Job(JobFault::Stuck),
            "short" => Kind::Short,
            _ => match kind.strip_prefix("late=") {
                Some(by) => Kind::Job(JobFault::Late(parse_millis(by)?)),
                None => parse_errno(kind)?,
            },
        };
        let (first, last) = parse_when(when)
            .ok_or_else(|| format!("`{when}` is no occurrence; try 1, 3+ or all"))?;
        Ok(Rule { kind, first, last })
    }
}

fn parse_millis(text: &str) -> Result<Duration, String> {
    let millis = text.parse().map_err(|_| format!("`{text}` is no number of milliseconds"));
    millis.map(Duration::from_millis)
}

fn parse_errno(text: &str) -> Result<Kind, String> {
    let unknown = || {
        format!(
            "`{text}` is none of drop, timeout, bitflip, late=MS, stuck, short, errno=NAME:CALL"
        )
    };
    let (name, call) =
        text.strip_prefix("errno=").and_then(|rest| rest.split_once(':')).ok_or_else(unknown)?;
    let errno = (1..=133)
        .map(Errno::from_raw)
        .find(|errno| format!("{errno:?}") == name)
        .ok_or_else(|| format!("`{name}` names no error"))?;
    if call == "any" {
        return Ok(Kind::Call(errno, None));
    }
    match CALLS.iter().find(|(known, _)| *known == call) {
        Some(&(_, call)) => Ok(Kind::Call(errno, Some(call))),
        None => {
            let names: Vec<&str> = CALLS.iter().map(|(name, _)| *name).collect();
            Err(format!("`{call}` is none of {}, any", names.join(", ")))
        }
    }
}

fn parse_when(text: &str) -> Option<(u64, u64)> {
    if text == "all" {
        return Some((1, u64::MAX));
    }
    let (digits, open_ended) = text.strip_suffix('+').map_or((text, false), |head| (head, true));
    let first = digits.parse().ok().filter(|&n| n > 0)?;
    Some((first, if open_ended { u64::MAX } else { first }))
}

/// All rules, each with its count of occurrences so far.
#[derive(Debug, Default)]
pub struct Faults {
    rules: Vec<(Rule, AtomicU64)>,
    struck: AtomicU64,
}

impl Faults {
    /// Faults by these rules; the first that applies wins.
    pub fn new(rules: Vec<Rule>) -> Self {
        let rules = rules.into_iter().map(|rule| (rule, AtomicU64::new(0))).collect();
        Faults { rules, struck: AtomicU64::new(0) }
    }

    /// How many failures there were.
    pub fn struck(&self) -> u64 {
        self.struck.load(Ordering::Relaxed)
    }

    /// Counts one more job that reaches a core; what is to go wrong with it.
    pub fn job(&self) -> Option<JobFault> {
        self.strike(|kind| match kind {
            Kind::Job(fault) => Some(*fault),
            _ => None,
        })
    }

    /// Counts one more `call`; the error that it is to fail with.
    pub fn call(&self, call: Call) -> Option<Errno> {
        self.strike(|kind| match kind {
            Kind::Call(errno, at) if at.is_none_or(|at| at == call) => Some(*errno),
            _ => None,
        })
    }

    /// Counts one more buffer; whether it is to be too short.
    pub fn short(&self) -> bool {
        self.strike(|kind| matches!(kind, Kind::Short).then_some(())).is_some()
    }

    /// Counts an occurrence for every rule that `of` knows; the first that is due.
    fn strike<T>(&self, of: impl Fn(&Kind) -> Option<T>) -> Option<T> {
        let mut due = None;
        for (rule, count) in &self.rules {
            let Some(fault) = of(&rule.kind) else { continue };
            let occurrence = count.fetch_add(1, Ordering::Relaxed) + 1;
            if (rule.first..=rule.last).contains(&occurrence) && due.is_none() {
                due = Some(fault);
            }
        }
        self.struck.fetch_add(u64::from(due.is_some()), Ordering::Relaxed);
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(rules: &[&str]) -> Faults {
        Faults::new(rules.iter().map(|rule| rule.parse().unwrap()).collect())
    }

    #[test]
    fn occurrences_count_from_one() {
        let faults = faults(&["drop@2", "timeout@4+"]);
        let struck: Vec<_> = (0..5).map(|_| faults.job()).collect();
        use JobFault::{Drop, Timeout};
        assert_eq!(struck, [None, Some(Drop), None, Some(Timeout), Some(Timeout)]);
        assert_eq!(faults.call(Call::Open), None);
    }

    #[test]
    fn calls_fail_by_name_and_any() {
        let faults = faults(&["errno=EIO:submit@2", "errno=ENODEV:any@4"]);
        assert_eq!(faults.call(Call::Submit), None);
        assert_eq!(faults.call(Call::Open), None);
        assert_eq!(faults.call(Call::Submit), Some(Errno::EIO));
        assert_eq!(faults.call(Call::Other), Some(Errno::ENODEV));
        assert_eq!(faults.job(), None);
    }

    #[test]
    fn faults_have_their_own_numbers() {
        let faults = faults(&["late=20", "short@2"]);
        assert_eq!(faults.job(), Some(JobFault::Late(Duration::from_millis(20))));
        assert_eq!([(); 3].map(|()| faults.short()), [false, true, false]);
    }

    #[test]
    fn nonsense_is_named() {
        let calls = ["errno=EFOO:open", "errno=EIO:read", "errno=EIO"];
        for text in ["flip", "drop@0", "drop@x", "late=", "late=-1"].into_iter().chain(calls) {
            assert!(text.parse::<Rule>().is_err(), "{text}");
        }
    }
}
