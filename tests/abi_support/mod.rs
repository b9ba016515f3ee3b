//! What the tests of the door share: the library under test, its names, and C programs.

// Every test crate compiles this module and uses its own part of it.
#![allow(dead_code)]

pub mod call;

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The profile's directory, such as `target/debug`, which holds this test in `deps`.
pub fn profile_dir() -> PathBuf {
    let exe = std::env::current_exe().expect("the test knows its own path");
    exe.parent().and_then(Path::parent).expect("it lies in deps").to_path_buf()
}

/// `libnpublas.so` as Cargo built it for this very test.
pub fn preload_library() -> PathBuf {
    profile_dir().join("deps/libnpublas.so")
}

/// A file of this package.
pub fn source(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// The names that `include/symbols.txt` lists in the section of `library`.
pub fn listed(library: &str) -> Vec<String> {
    let text = std::fs::read_to_string(source("include/symbols.txt")).expect("symbols.txt");
    let mut section = "";
    let mut names = Vec::new();
    for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        match line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            Some(name) => section = name,
            None if section == library => names.push(line.to_owned()),
            None => {}
        }
    }
    names
}

/// One exported spelling of gemm.
#[derive(Debug, Clone)]
pub struct Spelling {
    /// The exported name.
    pub name: String,
    /// `s`, `d`, `c` or `z`.
    pub letter: char,
    /// Whether the arguments are those of CBLAS.
    pub cblas: bool,
    /// Whether integers have 64 bits.
    pub ilp64: bool,
}

/// Every gemm that `include/symbols.txt` lists.
pub fn gemm_spellings() -> Vec<Spelling> {
    let spellings: Vec<_> = listed("libnpublas.so")
        .into_iter()
        .filter_map(|name| {
            let letter = name[..name.find("gemm")?].chars().last()?;
            let (cblas, ilp64) = (name.contains("cblas"), name.contains("64"));
            Some(Spelling { name, letter, cblas, ilp64 })
        })
        .collect();
    assert_eq!(spellings.len(), 36);
    spellings
}

/// Says that a test cannot run here. CI forbids that.
pub fn skip(why: &str) {
    eprintln!("SKIPPED: {why}");
    assert!(std::env::var_os("NPUBLAS_FORBID_SKIP").is_none(), "skipping is forbidden: {why}");
}

/// Whether `program` can be run; otherwise the test is skipped.
pub fn have(program: &str) -> bool {
    let found = Command::new(program).arg("--version").output().is_ok();
    if !found {
        skip(&format!("{program} is missing"));
    }
    found
}

/// The compiler `gcc` or `g++`, or the one that `CC` or `CXX` names instead: where the tests are
/// not built for the machine that builds. Without one the test is skipped.
pub fn compiler(name: &str) -> Option<Command> {
    let variable = if name == "g++" { "CXX" } else { "CC" };
    let name = std::env::var(variable).unwrap_or_else(|_| name.to_owned());
    have(&name).then(|| Command::new(name))
}

/// A program that was built for the machine that the tests run on. `NPUBLAS_TEST_RUNNER` holds
/// the words before it where that machine is an emulated one.
pub fn built(program: &Path) -> Command {
    let runner = std::env::var("NPUBLAS_TEST_RUNNER").unwrap_or_default();
    let mut words = runner.split_whitespace().map(OsStr::new).chain([program.as_os_str()]);
    let mut command = Command::new(words.next().expect("the program at least"));
    command.args(words);
    command
}

/// Runs a command that must succeed, and returns what it printed on standard output.
pub fn output_of(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|e| panic!("{command:?}: {e}"));
    assert!(
        output.status.success(),
        "{command:?}: {}\n{}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).expect("text")
}

/// Compiles a C program against our headers and the library under test; `None` where the test is
/// skipped for lack of a compiler. What the program defines is visible to the library.
pub fn build_c(source_file: &Path, name: &str, flags: &[&str]) -> Option<PathBuf> {
    let program = profile_dir().join(name);
    output_of(
        compiler("gcc")?
            .args(["-std=c11", "-O1", "-Wall", "-Wextra", "-Werror", "-rdynamic"])
            .args(flags)
            .arg("-I")
            .arg(source("include"))
            .arg(source_file)
            .arg("-o")
            .arg(&program)
            // This very file is loaded, whatever stands in LD_LIBRARY_PATH: by its path where
            // the compiler gives it no SONAME, and through an old-style RPATH where it does.
            .arg("-Wl,--no-as-needed,--disable-new-dtags,-rpath,$ORIGIN/deps")
            .arg(preload_library())
            .arg("-ldl"),
    );
    Some(program)
}
