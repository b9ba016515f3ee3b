//! Other BLAS libraries for `npublas bench`, below the target folder: nothing that this task
//! fetches becomes the BLAS of this machine.

use crate::needs::{self, Package};
use crate::shell;
use crate::tree::Tree;
use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};

/// A library of a package: its name in the bench, the package, and the end of its path.
type Peer = (&'static str, &'static str, &'static str);

/// From the Python index.
const WHEELS: [Peer; 3] = [
    ("openblas", "scipy-openblas32", "/libscipy_openblas.so"),
    ("mkl", "mkl", "/libmkl_rt.so.3"),
    ("onednn", "onednn", "/libdnnl.so.3"),
];

/// From Debian, taken apart and not installed; their runtime is.
const DEBIAN: [Peer; 2] = [
    ("openblas-deb", "libopenblas0-pthread", "/openblas-pthread/libblas.so.3"),
    ("blis", "libblis4-pthread", "/blis-pthread/libblis.so.4"),
];

/// Crates, built here.
const CRATES: [&str; 3] = ["gemm", "faer", "matrixmultiply"];

/// Fetches and builds whatever can be had on this machine, and prints the command that measures
/// beside it.
pub fn run(tree: &Tree) -> Result<()> {
    let mut found = Vec::new();
    let mut add = |name: &str, library: Result<PathBuf>| match library {
        Ok(path) => found.push(format!("{name}={}", path.display())),
        Err(error) => println!("NOT FOUND: {name}: {error:#}"),
    };
    for (name, package, end) in WHEELS {
        add(name, wheel(tree, package, end));
    }
    for (name, package, end) in DEBIAN {
        add(name, debian(tree, package, end));
    }
    let built = crates(tree);
    for name in CRATES {
        let library = match &built {
            Ok(dir) => Ok(dir.join(format!("lib{name}.so"))),
            Err(error) => Err(anyhow::anyhow!("{error:#}")),
        };
        add(name, library);
    }
    tree.build()?;
    println!("\n{} bench {}", tree.release("npublas").display(), found.join(" "));
    Ok(())
}

fn wheel(tree: &Tree, package: &str, end: &str) -> Result<PathBuf> {
    let python = needs::environment(tree, &format!("peer-{package}"), &[package])?;
    // What a wheel brings besides Python modules lies beside them, or in the environment's lib.
    let environment = python.ancestors().nth(2).context("a Python lies in an environment")?;
    find(environment, end)
}

fn debian(tree: &Tree, package: &str, end: &str) -> Result<PathBuf> {
    needs::packages(&[Package::FORTRAN])?;
    let dir = tree.scratch(&format!("peer-{package}"), true)?;
    if let Ok(library) = find(&dir, end) {
        return Ok(library);
    }
    println!("fetching {package} with apt-get, into {}", dir.display());
    let mut fetch = shell::command("apt-get");
    fetch.current_dir(&dir).args(["-qq", "download", package]);
    shell::pass(fetch)?;
    let mut open = shell::command("sh");
    open.current_dir(&dir).args(["-c", "for package in *.deb; do dpkg -x \"$package\" .; done"]);
    shell::pass(open)?;
    find(&dir, end)
}

/// Builds the crates; says in which folder they are then.
fn crates(tree: &Tree) -> Result<PathBuf> {
    let dir = tree.scratch("peer-crates", true)?;
    println!("building {} in {}", CRATES.join(", "), dir.display());
    let manifest = tree.source("benches/peers/Cargo.toml").display().to_string();
    let target = dir.display().to_string();
    let options = ["--manifest-path", &manifest, "--target-dir", &target];
    shell::pass(
        tree.cargo(&[&["build", "--release", "--quiet", "--examples"], &options[..]].concat()),
    )?;
    Ok(dir.join("release/examples"))
}

/// The file below `dir` whose path ends so.
fn find(dir: &Path, end: &str) -> Result<PathBuf> {
    let mut left = vec![dir.to_owned()];
    while let Some(dir) = left.pop() {
        for entry in
            std::fs::read_dir(&dir).with_context(|| format!("reading {}", dir.display()))?
        {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                left.push(entry.path());
            } else if entry.path().to_string_lossy().ends_with(end) {
                return Ok(entry.path());
            }
        }
    }
    bail!("no file below {} ends in {end}", dir.display())
}
