//! A process with one library in it: checks and times what it is told on standard input.
//!
//! Libraries fight over threads, affinity and symbols; each of them has a process of its own
//! here, which sleeps while the others are measured.

use super::library::{self, Element, Function};
use super::limits::Quiet;
use super::product::Product;
use super::suite;
use nix::sys::prctl;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use npublas::{c32, c64};
use std::io::{self, BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Barrier;
use std::time::{Duration, Instant};

/// The variables by which libraries are told how many threads to use.
const THREADS: [&str; 6] = [
    "NPUBLAS_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "BLIS_NUM_THREADS",
    "OMP_NUM_THREADS",
    "RAYON_NUM_THREADS",
];

/// How long a turn waits for a quiet moment.
const PATIENCE: Duration = Duration::from_millis(60);

/// Seconds that several callers at once warm up.
const WARMING: f64 = 0.04;

/// The command of the program that makes it a worker.
pub const COMMAND: &str = "bench-worker";

/// A worker as the bench sees it.
#[derive(Debug)]
pub struct Worker {
    child: Child,
    say: ChildStdin,
    hear: BufReader<ChildStdout>,
}

impl Worker {
    /// Starts a worker for a library that may use so many threads for each of so many callers.
    pub fn start(library: &Path, threads: usize, callers: usize) -> io::Result<Worker> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg(COMMAND).arg(library).args([threads, callers].map(|count| count.to_string()));
        for name in THREADS {
            command.env(name, threads.to_string());
        }
        // What a library needs often lies beside it, where the loader does not look.
        if let Some(folder) = library.parent() {
            let mut folders = vec![folder.to_owned()];
            let others = std::env::var_os("LD_LIBRARY_PATH").unwrap_or_default();
            folders.extend(std::env::split_paths(&others).filter(|path| *path != Path::new("")));
            let folders = std::env::join_paths(folders).map_err(io::Error::other)?;
            command.env("LD_LIBRARY_PATH", folders);
        }
        // Only the CPU path is measured, whatever this machine has.
        command.env("NPUBLAS_DEVICE", "none");
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let say = child.stdin.take().ok_or(io::ErrorKind::BrokenPipe)?;
        let hear = BufReader::new(child.stdout.take().ok_or(io::ErrorKind::BrokenPipe)?);
        Ok(Worker { child, say, hear })
    }

    /// Prepares a shape, given by its number in the suite, and checks the library's result.
    /// `None` where the library does not have the type.
    pub fn prepare(&mut self, letter: char, shape: usize) -> Result<Option<()>, String> {
        match self.ask(&format!("shape {letter} {shape}"))?.as_str() {
            "right" => Ok(Some(())),
            "absent" => Ok(None),
            wrong => Err(wrong.to_owned()),
        }
    }

    /// Seconds for one product of the prepared shape, from as many as fill the time; those of all
    /// callers count.
    pub fn time(&mut self, time: Duration) -> Result<f64, String> {
        let answer = self.ask(&format!("time {}", time.as_secs_f64()))?;
        answer.parse().map_err(|_| answer)
    }

    fn ask(&mut self, question: &str) -> Result<String, String> {
        let mut answer = String::new();
        self.signal(Signal::SIGCONT);
        let asked = writeln!(self.say, "{question}");
        let heard = asked.and_then(|()| self.hear.read_line(&mut answer));
        self.signal(Signal::SIGSTOP);
        match heard {
            Ok(length) if length > 0 => Ok(answer.trim_end().to_owned()),
            _ => Err("its process ended".to_owned()),
        }
    }

    /// Stops the process or has it go on: threads of some libraries look out for work long after
    /// a product, on a CPU that another library is being measured on.
    fn signal(&self, signal: Signal) {
        // It may be gone, which the next answer shows.
        let _ = kill(Pid::from_raw(self.child.id() as i32), signal);
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // It may be in the middle of something, or gone.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The life of a worker: answers questions until there are no more.
pub fn run(path: &Path, threads: usize, callers: usize) -> Result<(), String> {
    // Stopped, it would outlive a bench that is killed.
    prctl::set_pdeathsig(Signal::SIGKILL).map_err(|error| error.to_string())?;
    stay_on(threads.max(callers))?;
    let library = library::load(path)?;
    let mut current: Option<Box<dyn Timed>> = None;
    let mut output = io::stdout();
    let mut quiet = Quiet::default();
    for line in io::stdin().lock().lines() {
        let line = line.map_err(|error| error.to_string())?;
        let words: Vec<&str> = line.split_whitespace().collect();
        let answer = match (words.as_slice(), &mut current) {
            (["shape", letter, index], current) => {
                // Before the next matrices are made.
                *current = None;
                let shape = index.parse().ok().and_then(|index| suite::shapes().nth(index));
                let shape = shape.ok_or("no such shape")?;
                let prepared = match *letter {
                    "s" => prepare::<f32>(&library, &shape, callers),
                    "d" => prepare::<f64>(&library, &shape, callers),
                    "c" => prepare::<c32>(&library, &shape, callers),
                    "z" => prepare::<c64>(&library, &shape, callers),
                    _ => return Err("no such type".to_owned()),
                };
                match prepared {
                    None => "absent".to_owned(),
                    Some(Err(wrong)) => wrong,
                    Some(Ok(product)) => {
                        *current = Some(product);
                        "right".to_owned()
                    }
                }
            }
            (["time", seconds], Some(product)) => {
                let seconds = seconds.parse().map_err(|_| "no time")?;
                if seconds > 0.0 {
                    quiet.wait(PATIENCE);
                }
                product.time(seconds).to_string()
            }
            _ => return Err(format!("not understood: {line}")),
        };
        let answered = writeln!(output, "{answer}").and_then(|()| output.flush());
        answered.map_err(|error| error.to_string())?;
    }
    Ok(())
}

/// Keeps this process, and the threads that its library will start, on the first CPUs that it may
/// use. Some libraries count CPUs and nothing else.
fn stay_on(threads: usize) -> Result<(), String> {
    use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
    let this = Pid::from_raw(0);
    let change = || {
        let allowed = sched_getaffinity(this)?;
        let mut chosen = CpuSet::new();
        let cpus = (0..CpuSet::count()).filter(|&cpu| allowed.is_set(cpu) == Ok(true));
        for cpu in cpus.take(threads) {
            chosen.set(cpu)?;
        }
        sched_setaffinity(this, &chosen)
    };
    change().map_err(|error: nix::Error| format!("choosing CPUs: {error}"))
}

/// A product of any type with the function that computes it.
trait Timed {
    /// Seconds for one product, from as many as fill about `seconds`.
    fn time(&mut self, seconds: f64) -> f64;
}

struct Prepared<T: Element> {
    /// One for every caller.
    products: Vec<Product<T>>,
    function: Function<T>,
    /// Seconds for one product, as far as known.
    estimate: f64,
}

impl<T: Element> Timed for Prepared<T> {
    fn time(&mut self, seconds: f64) -> f64 {
        let (callers, function) = (self.products.len(), self.function);
        let each = self.estimate * callers as f64;
        let times = (seconds / each).max(1.0) as usize;
        // Schedulers take a while to give several callers a CPU each.
        let warming = if callers > 1 { WARMING.max(seconds / 4.0) } else { seconds / 4.0 };
        let all_warm = Barrier::new(callers);
        let turn = |product: &mut Product<T>| {
            // What slept a while finds its caches cold, its threads parked and its clock low.
            let warm = Instant::now();
            while warm.elapsed().as_secs_f64() < warming {
                product.run(&function);
            }
            all_warm.wait();
            let start = Instant::now();
            for _ in 0..times {
                product.run(&function);
            }
            (start, Instant::now())
        };
        let (first, others) = self.products.split_first_mut().expect("somebody calls");
        let elapsed = std::thread::scope(|scope| {
            let turn = &turn;
            let others: Vec<_> =
                others.iter_mut().map(|product| scope.spawn(move || turn(product))).collect();
            let (mut start, mut end) = turn(first);
            for other in others {
                let turn = other.join().expect("no turn panics");
                (start, end) = (start.min(turn.0), end.max(turn.1));
            }
            end - start
        });
        self.estimate = elapsed.as_secs_f64() / (times * callers) as f64;
        self.estimate
    }
}

fn prepare<T: Element>(
    library: &libloading::Library,
    shape: &suite::Shape,
    callers: usize,
) -> Option<Result<Box<dyn Timed>, String>> {
    let function = Function::<T>::find(library)?;
    let mut products: Vec<_> = (0..callers).map(|_| Product::new(shape)).collect();
    if let Err(wrong) = products[0].check(&function) {
        return Some(Err(wrong));
    }
    let start = Instant::now();
    products[0].run(&function);
    let estimate = start.elapsed().as_secs_f64().max(1e-9);
    Some(Ok(Box::new(Prepared { products, function, estimate })))
}
