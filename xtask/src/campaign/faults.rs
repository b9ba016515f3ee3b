//! Every kind of failure of the device, at many positions: no result may be wrong, no program
//! may hang or crash, nothing may leak. Without verification the same failures must show.

use crate::chaos::{self, On, Programs};
use crate::shell::Finished;
use crate::table::Table;
use crate::tally::Tally;
use crate::tree::Tree;
use anyhow::{Context, Result, bail, ensure};
use std::collections::BTreeSet;
use std::fmt;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// Positions of every kind.
const POSITIONS: usize = 20;

/// Those of the short version.
const FEW: [usize; 3] = [2, 7, 20];

/// Kinds of failure; `@` stands where the position goes. Several at once are separated by spaces.
const KINDS: [(&str, &str); 36] = [
    ("job lost", "drop@"),
    ("all lost from there", "drop@+"),
    ("job hangs", "timeout@"),
    ("bit flips", "bitflip@"),
    ("bits flip from there", "bitflip@+"),
    ("core stuck", "stuck@"),
    ("cores busy, past the deadline", "late=6500@"),
    ("cores busy for a while", "late=900@"),
    ("buffer too short", "short@"),
    ("open fails", "errno=EACCES:open@"),
    ("open: no descriptors", "errno=EMFILE:open@"),
    ("version fails", "errno=EIO:version@"),
    ("no memory for a buffer", "errno=ENOMEM:create_bo@"),
    ("no memory from there", "errno=ENOMEM:create_bo@+"),
    ("IOVA exhausted", "errno=ENOSPC:create_bo@"),
    ("IOVA exhausted from there", "errno=ENOSPC:create_bo@+"),
    ("buffer: EINTR", "errno=EINTR:create_bo@"),
    ("mmap fails", "errno=ENOMEM:mmap@"),
    ("mmap fails from there", "errno=EINVAL:mmap@+"),
    ("submit fails", "errno=EIO:submit@"),
    ("submit fails from there", "errno=EINVAL:submit@+"),
    ("submit: EINTR", "errno=EINTR:submit@"),
    ("wait fails", "errno=EIO:prep_bo@"),
    ("wait fails from there", "errno=EIO:prep_bo@+"),
    ("wait: EINTR", "errno=EINTR:prep_bo@"),
    ("wait: EINTR for ever", "errno=EINTR:prep_bo@+"),
    ("wait: no such handle", "errno=ENOENT:prep_bo@"),
    ("hand-over fails", "errno=EIO:fini_bo@"),
    ("hand-over fails from there", "errno=EIO:fini_bo@+"),
    ("close of a handle fails", "errno=EINVAL:gem_close@"),
    ("any call fails", "errno=EIO:any@"),
    ("device removed", "errno=ENODEV:any@+"),
    ("hand-over fails at times", HAND_OVERS),
    ("mmap fails at times", MMAPS),
    ("lost, flipped, no memory", "drop@ bitflip@+ errno=ENOMEM:create_bo@"),
    ("hang, wait and submit fail", "timeout@ errno=EIO:prep_bo@ errno=EIO:submit@"),
];

/// At intervals, so that the device is not given up.
const HAND_OVERS: &str = "errno=EIO:fini_bo@ errno=EIO:fini_bo@40 errno=EIO:fini_bo@65 \
    errno=EIO:fini_bo@90 errno=EIO:fini_bo@120 errno=EIO:fini_bo@150 errno=EIO:fini_bo@180 \
    errno=EIO:fini_bo@210";
const MMAPS: &str = "errno=ENOMEM:mmap@ errno=ENOMEM:mmap@25 errno=ENOMEM:mmap@30 \
    errno=ENOMEM:mmap@35 errno=ENOMEM:mmap@40 errno=ENOMEM:mmap@45";

/// Kinds that show when nothing is verified.
const UNVERIFIED: [usize; 4] = [0, 1, 3, 4];

/// What waits for device time-outs rather than for the processor may do so side by side.
const AT_ONCE: usize = 4;

const LIMIT: Duration = Duration::from_secs(120);

/// What came of one run.
#[derive(Debug, Clone, PartialEq, Eq)]
enum End {
    /// Every result right; whether a failure struck at all.
    Right {
        struck: bool,
    },
    Wrong,
    Hang,
    Crash(String),
    Leak(String),
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            End::Right { struck: true } => "r",
            End::Right { struck: false } => ".",
            End::Wrong => "W",
            End::Hang => "H",
            End::Crash(_) => "C",
            End::Leak(_) => "L",
        })
    }
}

/// What a process holds at its end.
#[derive(Debug, Clone, Copy)]
struct Held {
    descriptors: usize,
    mappings: usize,
    /// Buffers of the open files when they are closed, without the two that each begins with: the
    /// sentinel and its guard are not mapped.
    buffers: usize,
}

impl Held {
    /// Read from what the program and the simulator said.
    fn of(finished: &Finished) -> Result<Held> {
        let line = finished.text.lines().find(|line| line.starts_with("HELD "));
        let line = line.with_context(|| format!("no report\n{}", finished.tail()))?;
        let number = |key: &str| {
            let value = line.split(' ').find_map(|word| word.strip_prefix(key));
            value.and_then(|value| value.parse().ok()).with_context(|| format!("{key} in {line}"))
        };
        let closed = finished.text.lines().filter_map(|line| line.split(" closed with ").nth(1));
        let buffers = closed.filter_map(|rest| rest.split(' ').next()?.parse::<usize>().ok());
        Ok(Held {
            descriptors: number("descriptors=")?,
            mappings: number("mappings=")?,
            buffers: buffers.map(|count| count.saturating_sub(2)).sum(),
        })
    }

    /// Whether something was not given back: descriptors, buffers that are not even mapped, or
    /// more mappings than a process holds that met no failure. Which spare buffers there are
    /// depends on the history, so some may be more; what leaks at every failure shows in the kinds
    /// that fail again and again.
    fn is_more_than(&self, usual: &Held, unclosable: usize) -> bool {
        self.descriptors > usual.descriptors
            || self.buffers > (self.mappings + SPARE).saturating_add(unclosable)
            || self.mappings > usual.mappings + SPARE
    }
}

/// Mappings more or less that say nothing: the buffers of one call on one core. Fewer mappings
/// than buffers are no leak either, because the kernel shows neighbours with neighbouring offsets
/// as one.
const SPARE: usize = 5;

/// The whole campaign, with a table.
pub fn run(tree: &Tree) -> Result<()> {
    let bench = Bench::new(tree)?;
    let all: Vec<usize> = (1..=POSITIONS).collect();
    println!(
        "r: every result right, . likewise, the failure never came to pass (so many such calls\n\
         are not made), W: a wrong one, H: hung, C: crashed, L: leaked\n"
    );
    let verified = bench.table("verified", &KINDS, &all, &[])?;
    let unverified = UNVERIFIED.map(|kind| KINDS[kind]);
    println!("\nNPUBLAS_VERIFY=off:\n");
    let shown = bench.table("unverified", &unverified, &all, &[("NPUBLAS_VERIFY", "off")])?;
    println!();
    judge(&verified)?;
    ensure!(shown.contains(&End::Wrong), "without verification nothing was wrong");
    let wrong = shown.iter().filter(|&end| *end == End::Wrong).count();
    println!("without verification {wrong} of {} runs have wrong results", shown.len());
    Ok(())
}

/// Every kind at a few positions.
pub fn few(tree: &Tree) -> Result<Tally> {
    let bench = Bench::new(tree)?;
    let mut tally = Tally::default();
    for (kind, (name, ends)) in KINDS.iter().zip(bench.ends("few", &KINDS, &FEW, &[])?) {
        tally.note(&format!("{name}: {}", kind.1), judge(&ends));
    }
    let shows = UNVERIFIED.map(|kind| KINDS[kind]);
    let shown = bench.ends("few-unverified", &shows, &FEW, &[("NPUBLAS_VERIFY", "off")])?;
    let wrong = shown.iter().any(|(_, ends)| ends.contains(&End::Wrong));
    let result = if wrong { Ok(()) } else { Err(anyhow::anyhow!("nothing was wrong")) };
    tally.note("failures show without verification", result);
    Ok(tally)
}

fn judge(ends: &[End]) -> Result<()> {
    let bad: BTreeSet<String> = ends
        .iter()
        .filter(|end| !matches!(end, End::Right { .. }))
        .map(|end| format!("{end:?}"))
        .collect();
    if !bad.is_empty() {
        bail!("{}", bad.into_iter().collect::<Vec<_>>().join("\n"));
    }
    Ok(())
}

/// The program, and what it holds when all is well.
#[derive(Debug)]
struct Bench<'a> {
    programs: Programs<'a>,
    usual: Held,
}

impl Bench<'_> {
    fn new(tree: &Tree) -> Result<Bench<'_>> {
        let programs = Programs::build(tree, &["faults"])?;
        let well = run_with(&programs, "", &[], "well")?;
        chaos::ended_well(&well)?;
        let usual = Held::of(&well)?;
        Ok(Bench { programs, usual })
    }

    /// Prints a line per kind and returns all ends.
    fn table(
        &self,
        log: &str,
        kinds: &[(&'static str, &str)],
        positions: &[usize],
        environment: &[(&str, &str)],
    ) -> Result<Vec<End>> {
        let heading =
            ["failure", "order", "positions 1 to 20", "right", "wrong", "hang", "crash", "leak"];
        let mut table = Table::new(3, &heading);
        let mut all = Vec::new();
        let ends = self.ends(log, kinds, positions, environment)?;
        for ((name, ends), (_, order)) in ends.into_iter().zip(kinds) {
            let count = |letters: &[&str]| {
                ends.iter().filter(|end| letters.contains(&end.to_string().as_str())).count()
            };
            let mut cells: Vec<String> = vec![
                name.into(),
                order.split(' ').next().unwrap_or("").into(),
                ends.iter().map(End::to_string).collect(),
            ];
            let columns: [&[&str]; 5] = [&["r", "."], &["W"], &["H"], &["C"], &["L"]];
            cells.extend(columns.map(|letters| count(letters).to_string()));
            table.row(cells);
            all.extend(ends);
        }
        table.print();
        Ok(all)
    }

    /// Runs every kind at every position; the ends of each kind by position.
    fn ends(
        &self,
        log: &str,
        kinds: &[(&'static str, &str)],
        positions: &[usize],
        environment: &[(&str, &str)],
    ) -> Result<Vec<(&'static str, Vec<End>)>> {
        let runs = kinds.len() * positions.len();
        let ends: Vec<Mutex<Option<Result<End>>>> = (0..runs).map(|_| Mutex::new(None)).collect();
        let next = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for worker in 0..AT_ONCE {
                let log = format!("{log}-{worker}");
                let (ends, next) = (&ends, &next);
                scope.spawn(move || {
                    while let run = next.fetch_add(1, Ordering::Relaxed)
                        && run < runs
                    {
                        let kind = kinds[run / positions.len()].1;
                        let position = positions[run % positions.len()];
                        let end = self.end(&at(kind, position), environment, &log);
                        *ends[run].lock().unwrap_or_else(|e| e.into_inner()) = Some(end);
                    }
                });
            }
        });
        let mut ends = ends.into_iter().map(|end| {
            end.into_inner().unwrap_or_else(|e| e.into_inner()).context("a run was left out")?
        });
        kinds
            .iter()
            .map(|(name, _)| {
                Ok((*name, ends.by_ref().take(positions.len()).collect::<Result<_>>()?))
            })
            .collect()
    }

    fn end(&self, faults: &str, environment: &[(&str, &str)], log: &str) -> Result<End> {
        let finished = run_with(&self.programs, faults, environment, log)?;
        Ok(match finished.status.code() {
            Some(0) => {
                let held = Held::of(&finished)?;
                // A handle that the kernel refuses to close stays, whatever one does; a device
                // that is gone refuses all.
                let unclosable = match faults.contains(":any") {
                    true => usize::MAX,
                    false => faults.matches("gem_close").count(),
                };
                if held.is_more_than(&self.usual, unclosable) {
                    End::Leak(format!("{faults}: {held:?}, usually {:?}", self.usual))
                } else {
                    let none = finished.text.contains("npu-sim: 0 failures on order struck");
                    End::Right { struck: !none }
                }
            }
            Some(1) => End::Wrong,
            Some(124 | 137) => End::Hang,
            other => End::Crash(format!("{faults}: status {other:?}\n{}", finished.tail())),
        })
    }
}

/// The orders of a kind at one position.
fn at(kind: &str, position: usize) -> String {
    let place = |order: &str| match order.split_once('@') {
        Some((what, when @ ("" | "+"))) => format!("{what}@{position}{when}"),
        _ => order.to_owned(),
    };
    kind.split_whitespace().map(place).collect::<Vec<_>>().join(" ")
}

fn run_with(
    programs: &Programs<'_>,
    faults: &str,
    environment: &[(&str, &str)],
    log: &str,
) -> Result<Finished> {
    let mut options: Vec<String> = ["--summary", "--log", "info"].map(Into::into).to_vec();
    options.extend(faults.split_whitespace().map(|fault| format!("--fault={fault}")));
    let command = programs.command("faults", &[]);
    programs.run(&command, On::Sim(&options), environment, LIMIT, log)
}
