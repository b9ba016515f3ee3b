//! The NumPys that people have, and how they come to this machine.

use crate::needs::{self, Package};
use crate::shell;
use crate::tree::Tree;
use anyhow::{Result, ensure};
use std::path::{Path, PathBuf};
use std::process::Command;

/// A NumPy: where it is from, and so to which BLAS it is linked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Numpy {
    /// The newest wheel of the Python index.
    Two,
    /// The last wheel of NumPy 1.
    One,
    /// Debian's package, with the reference BLAS and LAPACK.
    Debian,
}

/// Where Debian keeps the `libblas.so.3`, or the testers, of the reference BLAS, whatever the
/// system-wide choice is.
pub fn reference_blas() -> PathBuf {
    Path::new("/usr/lib").join(format!("{}-linux-gnu/blas", std::env::consts::ARCH))
}

impl Numpy {
    /// All of them.
    pub const ALL: [Numpy; 3] = [Numpy::Two, Numpy::One, Numpy::Debian];

    /// Its name in tables.
    pub fn name(self) -> &'static str {
        match self {
            Numpy::Two => "PyPI 2.x",
            Numpy::One => "PyPI 1.26",
            Numpy::Debian => "Debian",
        }
    }

    /// The symbol by which it calls the product of a type letter.
    pub fn symbol(self, letter: char) -> String {
        match self {
            Numpy::Two => format!("scipy_cblas_{letter}gemm64_"),
            Numpy::One => format!("cblas_{letter}gemm64_"),
            Numpy::Debian => format!("cblas_{letter}gemm"),
        }
    }

    /// A Python that has it; installed where it is missing.
    pub fn python(self, tree: &Tree) -> Result<PathBuf> {
        match self {
            Numpy::Two => needs::environment(tree, "python", &["numpy>=2"]),
            Numpy::One => needs::environment(tree, "python-numpy1", &["numpy==1.26.*"]),
            Numpy::Debian => {
                needs::packages(&[Package::NUMPY, Package::BLAS, Package::LAPACK])?;
                Ok("/usr/bin/python3".into())
            }
        }
    }

    /// One that has what NumPy's own tests need as well; `None` where there are no tests.
    pub fn tested(self, tree: &Tree) -> Result<Option<PathBuf>> {
        let (name, wheel) = match self {
            Numpy::Two => ("python-tests", "numpy>=2"),
            Numpy::One => ("python-numpy1-tests", "numpy==1.26.*"),
            Numpy::Debian => return Ok(None),
        };
        needs::environment(tree, name, &[wheel, "pytest", "hypothesis"]).map(Some)
    }

    /// A command for this Python that finds the BLAS meant for it.
    pub fn command(self, python: &Path) -> Command {
        let mut command = shell::command(python);
        if self == Numpy::Debian {
            let blas = reference_blas();
            let libraries = [blas.clone(), blas.with_file_name("lapack")];
            // Neither path has a colon.
            let list = libraries.map(|dir| dir.display().to_string()).join(":");
            command.env("LD_LIBRARY_PATH", list);
        }
        command
    }

    /// The OpenBLAS inside the wheel of a `python` that has NumPy 2.
    pub fn openblas(python: &Path) -> Result<PathBuf> {
        const FIND: &str = "import glob, numpy, os; \
            print(glob.glob(os.path.dirname(numpy.__file__) + '.libs/libscipy_openblas64*')[0])";
        let found = shell::command(python).args(["-c", FIND]).output()?;
        ensure!(found.status.success(), "{}", String::from_utf8_lossy(&found.stderr));
        Ok(String::from_utf8(found.stdout)?.trim().into())
    }
}
