//! `npublas bench`: this library's CPU products beside those of other BLAS libraries.
//!
//! Each library lives in a process of its own ([`worker`]). For every shape of the [`suite`] each
//! of them first computes a product that is checked, then they take turns: what disturbs the
//! machine for a while disturbs all of them, and the shortest time of each counts. The limits of
//! the machine are measured in the same run.

mod chart;
mod library;
mod limits;
mod product;
mod report;
mod suite;
pub mod worker;

use crate::run;
use clap::Args;
use report::Row;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use suite::Shape;
use worker::Worker;

/// What `npublas bench` is told.
#[derive(Debug, Args)]
#[command(after_help = "\
The last two columns of the lines compare npublas with the first PEER, in GFLOP/s and as a ratio.\n\n\
Example: npublas bench openblas=/usr/lib/x86_64-linux-gnu/openblas-pthread/libblas.so.3")]
pub struct Arguments {
    /// Other libraries with CBLAS or oneDNN products, each as NAME=PATH
    #[arg(value_name = "PEER", value_parser = peer)]
    peers: Vec<Peer>,
    /// The library to measure instead of the one that belongs to this program
    #[arg(long, value_name = "PATH")]
    library: Option<PathBuf>,
    /// Types to measure, out of `sdcz`
    #[arg(long, default_value = "sd", value_parser = types)]
    types: String,
    /// Only these groups of shapes; `--list` shows them
    #[arg(long, value_name = "GROUP", value_delimiter = ',')]
    groups: Vec<String>,
    /// Only shapes with no size above this
    #[arg(long, value_name = "SIZE")]
    up_to: Option<usize>,
    /// Threads of every library; several numbers make several runs
    #[arg(long, default_value = "1", value_delimiter = ',')]
    threads: Vec<usize>,
    /// Threads of the program that call every library at once, each with products of its own; the
    /// figures are of all of them together
    #[arg(long, default_value_t = 1)]
    callers: usize,
    /// Turns that every library takes at each shape
    #[arg(long, default_value_t = 7)]
    rounds: usize,
    /// Milliseconds of a turn, if one product does not take longer
    #[arg(long, default_value_t = 3)]
    turn: u64,
    /// Seconds after which a shape gets no further round
    #[arg(long, default_value_t = 3.0)]
    budget: f64,
    /// Write every time to this file as comma-separated values
    #[arg(long, value_name = "FILE")]
    csv: Option<PathBuf>,
    /// Draw GFLOP/s over size into this folder, one SVG per type and number of threads
    #[arg(long, value_name = "DIR")]
    svg: Option<PathBuf>,
    /// List the groups and leave
    #[arg(long)]
    list: bool,
}

/// A library to compare with.
#[derive(Debug, Clone)]
struct Peer {
    name: String,
    path: PathBuf,
}

fn peer(text: &str) -> Result<Peer, String> {
    match text.split_once('=') {
        Some((name, path)) if !name.is_empty() && !name.contains([',', '"']) => {
            Ok(Peer { name: name.to_owned(), path: path.into() })
        }
        _ => Err("not of the form NAME=PATH".to_owned()),
    }
}

fn types(text: &str) -> Result<String, String> {
    match text.chars().find(|letter| !"sdcz".contains(*letter)) {
        Some(letter) => Err(format!("no type has the letter {letter}")),
        None => Ok(text.to_owned()),
    }
}

/// Runs the bench; the error is for people.
pub fn run(arguments: &Arguments) -> Result<(), String> {
    if arguments.list {
        for group in suite::SUITE {
            println!("{:<12}{} {:>4} shapes", group.name, group.ops, group.shapes.len());
        }
        return Ok(());
    }
    if let Some(unknown) =
        arguments.groups.iter().find(|name| !suite::SUITE.iter().any(|group| group.name == **name))
    {
        return Err(format!("there is no group {unknown}"));
    }
    let own = match &arguments.library {
        Some(path) => path.clone(),
        None => {
            let program = std::env::current_exe().map_err(|error| error.to_string())?;
            run::library(&program).map_err(|error| error.to_string())?
        }
    };
    let mut libraries = vec![Peer { name: "npublas".to_owned(), path: own }];
    libraries.extend(arguments.peers.iter().cloned());
    let names: Vec<String> = libraries.iter().map(|library| library.name.clone()).collect();

    println!("{}", cpu());
    let mut rows = Vec::new();
    let mut peaks = Vec::new();
    for &threads in &arguments.threads {
        let threads = threads.max(1);
        let callers = arguments.callers.max(1);
        let cpus = threads.max(callers);
        println!("{cpus} threads read {:.1} GB/s from memory", limits::read(cpus) / 1e9);
        for letter in arguments.types.chars() {
            let bytes = if "sc".contains(letter) { 4 } else { 8 };
            let mut peak = limits::fma(bytes, cpus);
            let mut workers = start(&libraries, threads, callers)?;
            print!("\n{:<28}", format!("{letter}gemm, GFLOP/s"));
            names.iter().for_each(|name| print!("{name:>9.9}"));
            println!("  {:>9}", "ratio");
            let first = rows.len();
            for (index, shape) in suite::shapes().enumerate() {
                if wanted(arguments, &shape) {
                    let row =
                        measure(arguments, &mut workers, &names, (index, shape), letter, threads)?;
                    println!("{}", report::shape_line(&row));
                    rows.push(row);
                }
            }
            // The clock may have risen meanwhile.
            peak = peak.max(limits::fma(bytes, cpus));
            println!("peak of fused multiply-adds: {:.1} GFLOP/s", peak / 1e9);
            peaks.push(peak);
            if let Some(dir) = &arguments.svg {
                let title = format!("{letter}gemm, {threads} threads, {}", cpu());
                let path = dir.join(format!("{letter}gemm-{threads}.svg"));
                let rows: Vec<&Row> = rows[first..].iter().collect();
                let drawn = chart::draw(&path, &title, &names, &rows, peak);
                drawn.map_err(|error| format!("{}: {error}", path.display()))?;
            }
        }
    }
    report::print_groups(&names, &rows, &peaks);
    if let Some(path) = &arguments.csv {
        let written = report::write_csv(path, &names, &rows);
        written.map_err(|error| format!("{}: {error}", path.display()))?;
    }
    Ok(())
}

fn wanted(arguments: &Arguments, shape: &Shape) -> bool {
    let groups = &arguments.groups;
    let limit = arguments.up_to.unwrap_or(usize::MAX);
    (groups.is_empty() || groups.iter().any(|name| name == shape.group.name))
        && shape.m.max(shape.n).max(shape.k) <= limit
}

fn start(libraries: &[Peer], threads: usize, callers: usize) -> Result<Vec<Worker>, String> {
    let start = |library: &Peer| {
        Worker::start(&library.path, threads, callers)
            .map_err(|error| format!("{}: {error}", library.name))
    };
    libraries.iter().map(start).collect()
}

/// The turns of all libraries at one shape. A library that computes wrongly is an error: its
/// times would mean nothing.
fn measure(
    arguments: &Arguments,
    workers: &mut [Worker],
    names: &[String],
    (index, shape): (usize, Shape),
    letter: char,
    threads: usize,
) -> Result<Row, String> {
    let said = |library: usize, what: String| {
        format!(
            "{}, {letter}gemm {} {}×{}×{}: {what}",
            names[library], shape.group.name, shape.m, shape.n, shape.k
        )
    };
    let mut all: Vec<Option<Vec<f64>>> = Vec::new();
    for (library, worker) in workers.iter_mut().enumerate() {
        let prepared = worker.prepare(letter, index).map_err(|what| said(library, what))?;
        all.push(prepared.map(|()| Vec::new()));
    }
    let start = Instant::now();
    for round in 0..arguments.rounds.max(1) {
        if round > 2 && start.elapsed().as_secs_f64() > arguments.budget {
            break;
        }
        // Nobody always comes after the same one.
        for turn in 0..workers.len() {
            let library = (turn + round) % workers.len();
            if let Some(times) = &mut all[library] {
                let time = workers[library].time(Duration::from_millis(arguments.turn));
                times.push(time.map_err(|what| said(library, what))?);
            }
        }
    }
    let times = all
        .into_iter()
        .map(|times| {
            let mut times = times?;
            times.sort_by(f64::total_cmp);
            Some((times[0], times[times.len() / 2]))
        })
        .collect();
    Ok(Row { letter, threads, shape, times })
}

/// The CPU's own name.
fn cpu() -> String {
    let info = std::fs::read_to_string(Path::new("/proc/cpuinfo")).unwrap_or_default();
    let name = info.lines().find(|line| line.starts_with("model name"));
    let name = name.and_then(|line| line.split(':').nth(1)).unwrap_or("an unnamed CPU");
    format!("{}, {}", name.trim(), std::env::consts::ARCH)
}
