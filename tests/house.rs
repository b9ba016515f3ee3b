//! The rules of the house, held by reading the sources: who may import whom, who may call the
//! system, where state may live, and that tables that say the same thing say the same thing.
//! ARCHITECTURE.md has the reasons.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// A text file of the repository, with its path from the root.
#[derive(Debug)]
struct Source {
    path: String,
    text: String,
}

impl Source {
    /// The lines of code with their numbers, comments and documentation left out.
    fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        let lines = self.text.lines().enumerate().map(|(i, line)| (i + 1, line));
        lines
            .map(|(i, line)| (i, line.split("//").next().unwrap_or("")))
            .filter(|(_, l)| !l.is_empty())
    }

    fn is_below(&self, folder: &str) -> bool {
        self.path.starts_with(folder)
    }
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// All text files whose names end in one of `endings`, but for what Cargo builds.
fn sources(endings: &[&str]) -> Vec<Source> {
    fn walk(dir: &Path, endings: &[&str], found: &mut Vec<Source>) {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap();
            if path.is_dir() && name != "target" && name != ".git" {
                walk(&path, endings, found);
            } else if path.is_file() && endings.iter().any(|ending| name.ends_with(ending)) {
                let text = fs::read_to_string(&path).unwrap();
                let path = path.strip_prefix(root()).unwrap().to_str().unwrap().to_owned();
                found.push(Source { path, text });
            }
        }
    }
    let mut found = Vec::new();
    walk(&root(), endings, &mut found);
    assert!(!found.is_empty(), "no source ends in {endings:?}");
    found
}

fn rust() -> Vec<Source> {
    sources(&[".rs"])
}

fn text(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap()
}

/// Fails and names every line of code of `sources` that `breaks` the rule.
fn hold(rule: &str, sources: &[Source], breaks: impl Fn(&Source, &str) -> bool) {
    let broken: Vec<String> = sources
        .iter()
        .flat_map(|source| {
            let lines = source.code().filter(|(_, line)| breaks(source, line));
            lines.map(|(i, line)| format!("{}:{i}: {}", source.path, line.trim()))
        })
        .collect();
    assert!(broken.is_empty(), "{rule}:\n{}", broken.join("\n"));
}

/// The library, without the test folder: what ends up in other people's processes.
fn library() -> Vec<Source> {
    let mut library = rust();
    library.retain(|source| source.is_below("src/"));
    library
}

#[test]
fn only_the_door_exports_symbols() {
    let sources: Vec<Source> =
        rust().into_iter().filter(|s| s.is_below("src/") || s.is_below("libblas/")).collect();
    hold("exported symbols live in src/abi and libblas", &sources, |source, line| {
        let exports = ["no_mangle", "export_name"].iter().any(|word| line.contains(word));
        exports && !source.is_below("src/abi/") && !source.is_below("libblas/src/")
    });
}

#[test]
fn only_drm_calls_ioctl() {
    hold("ioctl is called in src/npu/drm alone", &library(), |source, line| {
        line.contains("ioctl") && !source.is_below("src/npu/drm/")
    });
}

#[test]
fn only_the_runtime_has_state() {
    // What an ordinary static can hold; a cell without a lock is only possible in thread_local!,
    // and what belongs to one thread is no state of the process.
    const CELLS: [&str; 6] = ["static mut", "Atomic", "Mutex", "RwLock", "OnceLock", "LazyLock"];
    // The second one tells processes apart, for the first one and for the drivers; the others
    // remember what the machine is, as the standard library does of its instruction sets.
    const HOMES: [&str; 4] = ["src/runtime.rs", "src/fork.rs", "src/cpu/caches.rs", "src/fenv.rs"];
    hold("state of the process lives in src/runtime.rs", &library(), |source, line| {
        let item = line.trim_start().trim_start_matches("pub ").trim_start_matches("pub(crate) ");
        item.starts_with("static ")
            && CELLS.iter().any(|cell| item.contains(cell))
            && !HOMES.contains(&source.path.as_str())
    });
}

/// Who must not import whom, with the reason.
const WALLS: [(&str, &[&str], &str); 13] = [
    ("src/cpu", &["npu", "runtime", "abi", "blas", "route", "trace"], "the CPU path only computes"),
    ("src/npu", &["cpu", "runtime", "abi", "blas"], "falling back is the runtime's decision"),
    ("src/route.rs", &["cpu", "npu", "runtime", "abi", "blas", "trace"], "it is a pure function"),
    ("src/trace.rs", &["cpu", "npu", "runtime", "abi", "blas"], "it says what others did"),
    ("src/config.rs", &["npu", "runtime", "abi", "blas", "route", "trace"], "it is read by all"),
    ("src/runtime.rs", &["abi", "blas"], "the runtime does not know who calls it"),
    ("src/blas", &["abi", "cpu", "npu", "route"], "the meaning only knows the runtime"),
    ("src/problem.rs", &["abi", "blas", "cpu", "npu", "route", "runtime"], "vocabulary"),
    ("src/mode.rs", &["abi", "blas", "config", "cpu", "npu", "route", "runtime"], "vocabulary"),
    ("src/mat.rs", &["abi", "blas", "cpu", "npu", "route", "runtime"], "vocabulary"),
    ("src/scalar.rs", &["abi", "blas", "cpu", "npu", "route", "runtime"], "vocabulary"),
    ("src/count.rs", &["abi", "blas", "cpu", "npu", "route", "runtime"], "vocabulary"),
    ("src/fork.rs", &["abi", "blas", "cpu", "npu", "route", "runtime"], "vocabulary"),
];

#[test]
fn imports_point_downwards() {
    for (place, strangers, reason) in WALLS {
        let rule = format!("{place} must not import from {strangers:?}: {reason}");
        hold(&rule, &library(), |source, line| {
            source.is_below(place)
                && strangers.iter().any(|module| line.contains(&format!("crate::{module}")))
        });
    }
}

#[test]
fn the_simulator_and_the_library_do_not_know_each_other() {
    let files = sources(&[".rs", ".toml"]);
    let breaks = |folder, word: &str| {
        let mut files = files.iter().filter(|s| s.is_below(folder));
        files.find(|s| s.text.contains(word)).map(|s| s.path.clone())
    };
    assert_eq!(breaks("sim/", "npublas"), None, "two readings of the same facts");
    assert_eq!(breaks("src/", "npu_sim"), None, "no line for the simulator's sake");
    assert_eq!(breaks("src/", "npu-sim"), None, "no line for the simulator's sake");
}

#[test]
fn no_path_of_some_machine() {
    let places = ["home", "root", "work", "tmp"].map(|folder| format!("/{folder}/"));
    for source in sources(&[".rs", ".toml", ".md", ".py", ".c", ".h", ".sh", "run"]) {
        for (i, line) in source.text.lines().enumerate() {
            let named = places.iter().find(|&place| {
                let at = line.find(place.as_str()).map(|at| at + place.len());
                at.is_some_and(|at| line[at..].starts_with(|c: char| c.is_ascii_alphanumeric()))
            });
            assert_eq!(named, None, "{}:{}: {line}", source.path, i + 1);
        }
    }
}

#[test]
fn files_hold_one_thing() {
    for source in rust() {
        let lines = source.text.lines().count();
        assert!(lines < 600, "{} has {lines} lines: does it hold two things?", source.path);
    }
}

#[test]
fn no_test_is_switched_off_and_nothing_is_left_undone() {
    // In two parts each, so that this list is not what it forbids.
    let words = [["#[ign", "ore"], ["todo", "!("], ["unimplem", "ented!("]].map(|w| w.concat());
    hold("nothing is switched off or left undone", &rust(), |_, line| {
        words.iter().any(|word| line.contains(word))
    });
}

/// The rows of the first Markdown table in `text` whose first column holds variables, each line
/// stripped of what its file puts in front.
fn knobs_table(text: &str) -> Vec<&str> {
    let lines = text.lines().map(|line| line.trim_start_matches("//!").trim());
    let table = lines.skip_while(|line| !line.starts_with("| variable |"));
    table.take_while(|line| line.starts_with('|')).collect()
}

#[test]
fn the_readme_has_the_table_of_knobs() {
    let (config, readme) = (text("src/config.rs"), text("README.md"));
    assert!(knobs_table(&config).len() > 2, "src/config.rs has a table of knobs");
    assert_eq!(knobs_table(&config), knobs_table(&readme), "config.rs and README.md differ");
}

/// The words between `open` and `close` that start with the prefix of our variables.
fn variables(text: &str, open: &str, close: char) -> BTreeSet<String> {
    let start = format!("{open}NPUBLAS_");
    let places = text.match_indices(&start).map(|(at, _)| at + open.len());
    places.filter_map(|at| text[at..].split(close).next()).map(ToOwned::to_owned).collect()
}

#[test]
fn every_knob_is_a_field_and_in_the_table() {
    let config = text("src/config.rs");
    let table: BTreeSet<String> = knobs_table(&config)
        .iter()
        .flat_map(|row| variables(row.split('|').nth(1).unwrap_or(""), "`", '`'))
        .collect();
    let after = config.split("pub struct Config {").nth(1).unwrap();
    let fields = variables(after.split("\n}").next().unwrap(), "/// `", '`');
    assert_eq!(table, fields, "rows of the table and fields of Config");
    let code = config.split("#[cfg(test)]").next().unwrap();
    assert_eq!(table, variables(code, "read(\"", '"'), "rows of the table and variables read");
}
