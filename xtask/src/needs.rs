//! What a task needs of the machine, and how it gets it.

use crate::shell;
use crate::tree::Tree;
use anyhow::{Result, bail};
use std::path::PathBuf;

/// A Debian package, and how to see that what is wanted of it is already there.
#[derive(Debug, Clone, Copy)]
pub struct Package {
    name: &'static str,
    /// A shell command that succeeds when it is there.
    check: &'static str,
}

impl Package {
    /// The C compiler.
    pub const GCC: Package = Package { name: "gcc", check: "command -v cc gcc" };
    /// The headers of the C library.
    pub const LIBC: Package =
        Package { name: "libc6-dev", check: "echo '#include <stdio.h>' | gcc -E - >/dev/null" };
    /// `nm` and `objdump`.
    pub const BINUTILS: Package = Package { name: "binutils", check: "command -v nm" };
    /// The headers that programs on a DRM node are built with.
    pub const LIBDRM: Package = Package {
        name: "libdrm-dev",
        check: "test -e /usr/include/libdrm/drm.h || test -e /usr/include/drm/drm.h",
    };
    /// `debootstrap`, which makes a Debian.
    pub const DEBOOTSTRAP: Package =
        Package { name: "debootstrap", check: "command -v debootstrap" };
    /// The keys that it checks what it downloads with.
    pub const DEBIAN_KEYS: Package = Package {
        name: "debian-archive-keyring",
        check: "test -e /usr/share/keyrings/debian-archive-keyring.gpg",
    };
    /// `mount`.
    pub const MOUNT: Package = Package { name: "mount", check: "command -v mount" };
    /// Python with the means to make a virtual environment.
    pub const PYTHON: Package =
        Package { name: "python3-venv", check: "python3 -c 'import ensurepip, venv'" };

    /// What libraries written in Fortran need at run time.
    pub const FORTRAN: Package =
        Package { name: "libgfortran5", check: "test -e /usr/lib/*-linux-gnu/libgfortran.so.5" };
    /// The reference BLAS.
    pub const BLAS: Package =
        Package { name: "libblas3", check: "test -e /usr/lib/*-linux-gnu/blas/libblas.so.3" };
    /// The reference LAPACK, which calls whatever BLAS there is.
    pub const LAPACK: Package =
        Package { name: "liblapack3", check: "test -e /usr/lib/*-linux-gnu/lapack/liblapack.so.3" };
    /// The testers that come with the reference BLAS.
    pub const TESTERS: Package =
        Package { name: "libblas-test", check: "test -e /usr/lib/*-linux-gnu/blas/xblat3s" };
    /// Debian's NumPy, in Debian's Python.
    pub const NUMPY: Package =
        Package { name: "python3-numpy", check: "/usr/bin/python3 -c 'import numpy'" };
    /// The HPC Challenge benchmark.
    pub const HPCC: Package = Package { name: "hpcc", check: "command -v hpcc" };
    /// `mpirun`.
    pub const OPENMPI: Package = Package { name: "openmpi-bin", check: "command -v mpirun" };

    fn is_there(self) -> bool {
        let mut check = shell::command("sh");
        check.args(["-c", self.check]);
        check.output().is_ok_and(|output| output.status.success())
    }
}

/// Makes sure that the packages are there: installs what is missing where it may, and says so.
pub fn packages(packages: &[Package]) -> Result<()> {
    let missing: Vec<&str> =
        packages.iter().filter(|package| !package.is_there()).map(|package| package.name).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let names = missing.join(" ");
    // Only root may, and only Debian and its relatives have it.
    let mut may = shell::command("sh");
    may.args(["-c", "test $(id -u) = 0 && command -v apt-get"]);
    if !may.output()?.status.success() {
        bail!("this machine lacks {names}: please install it (apt-get install {names})");
    }
    println!("installing {names} with apt-get");
    let mut update = shell::command("apt-get");
    update.args(["-qq", "update"]);
    shell::pass(update)?;
    let mut install = shell::command("apt-get");
    install.env("DEBIAN_FRONTEND", "noninteractive");
    install.args(["-qq", "-y", "--no-install-recommends", "install"]).args(missing);
    install.stdout(std::process::Stdio::null());
    shell::pass(install)
}

/// A Python in a virtual environment of its own below the target folder, with `packages` of the
/// Python index, at least one; made once.
pub fn environment(tree: &Tree, name: &str, packages: &[&str]) -> Result<PathBuf> {
    let dir = tree.scratch(name, true)?;
    let python = dir.join("bin/python");
    // Written last; says what is installed.
    let (stamp, wanted) = (dir.join("packages"), packages.join(" "));
    if std::fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) {
        return Ok(python);
    }
    self::packages(&[Package::PYTHON])?;
    println!("installing {wanted} into a virtual environment, {}", dir.display());
    let mut venv = shell::command("python3");
    venv.args(["-m", "venv", "--clear"]).arg(&dir);
    shell::pass(venv)?;
    let mut pip = shell::command(&python);
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]).args(packages);
    shell::pass(pip)?;
    std::fs::write(&stamp, wanted)?;
    Ok(python)
}
