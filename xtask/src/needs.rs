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
    /// `nm`.
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

/// A Python with NumPy: a virtual environment below the target folder, made once.
pub fn python(tree: &Tree) -> Result<PathBuf> {
    let dir = tree.scratch("python", true)?;
    let python = dir.join("bin/python");
    let has_numpy = || {
        let mut check = shell::command(&python);
        check.args(["-c", "import numpy"]);
        check.output().is_ok_and(|output| output.status.success())
    };
    if !has_numpy() {
        packages(&[Package::PYTHON])?;
        println!("installing NumPy into a virtual environment, {}", dir.display());
        let mut venv = shell::command("python3");
        venv.args(["-m", "venv", "--clear"]).arg(&dir);
        shell::pass(venv)?;
        let mut pip = shell::command(&python);
        pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "numpy>=2"]);
        shell::pass(pip)?;
    }
    Ok(python)
}
