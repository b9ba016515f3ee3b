//! An install tree: what a package would put below `/usr/local`.

use crate::tree::Tree;
use anyhow::{Context, Result};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

/// Builds everything and lays it out below `dir`.
pub fn run(tree: &Tree, dir: &Path) -> Result<()> {
    tree.build()?;
    lay_out(tree, dir)?;
    println!("staged below {}", dir.display());
    Ok(())
}

/// Lays out what is already built below `dir`, which is made when it is not there.
pub fn lay_out(tree: &Tree, dir: &Path) -> Result<()> {
    std::fs::create_dir_all(dir).with_context(|| format!("making {}", dir.display()))?;
    let prefix = dir.canonicalize().with_context(|| format!("finding {}", dir.display()))?;
    let [lib, include, bin] = ["lib", "include", "bin"].map(|folder| prefix.join(folder));
    let pkgconfig = lib.join("pkgconfig");
    for folder in [&lib, &include, &bin, &pkgconfig] {
        std::fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
    }

    copy(&tree.release("libnpublas.so"), &lib.join("libnpublas.so"))?;
    // Cargo names the file after the crate; programs look for the SONAME.
    copy(&tree.release("libblas.so"), &lib.join("libblas.so.3"))?;
    link("libblas.so.3", &lib.join("libblas.so"))?;
    // Some distributions have CBLAS in a library of its own.
    link("libblas.so.3", &lib.join("libcblas.so.3"))?;
    for header in ["cblas.h", "npublas.h"] {
        copy(&tree.source("include").join(header), &include.join(header))?;
    }
    for program in ["npublas", "npu-sim"] {
        copy(&tree.release(program), &bin.join(program))?;
    }
    // The preload library links too, for who wants Level 3 alone.
    for (name, library, what) in [
        ("blas", "blas", "BLAS and CBLAS by npublas"),
        ("npublas", "npublas", "Level-3 BLAS and CBLAS on the NPU"),
    ] {
        let path = pkgconfig.join(format!("{name}.pc"));
        std::fs::write(&path, describe(&prefix, name, library, what))
            .with_context(|| format!("writing {}", path.display()))?;
    }
    Ok(())
}

/// The pkg-config file of a library.
fn describe(prefix: &Path, name: &str, library: &str, what: &str) -> String {
    format!(
        "prefix={}\nlibdir=${{prefix}}/lib\nincludedir=${{prefix}}/include\n\n\
         Name: {name}\nDescription: {what}\nVersion: {}\n\
         Libs: -L${{libdir}} -l{library}\nCflags: -I${{includedir}}\n",
        prefix.display(),
        env!("CARGO_PKG_VERSION"),
    )
}

fn copy(from: &Path, to: &PathBuf) -> Result<()> {
    // Not over the old file: a running program may have it mapped.
    remove(to)?;
    std::fs::copy(from, to)
        .with_context(|| format!("copying {} to {}", from.display(), to.display()))?;
    Ok(())
}

fn link(target: &str, at: &PathBuf) -> Result<()> {
    remove(at)?;
    symlink(target, at).with_context(|| format!("linking {}", at.display()))
}

fn remove(path: &Path) -> Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("replacing {}", path.display()))
        }
        _ => Ok(()),
    }
}
