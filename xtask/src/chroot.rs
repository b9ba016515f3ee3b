//! A Debian 12 below the target folder that builds for aarch64 and runs what it built with
//! qemu-user: the way to another CPU on a machine whose own toolchain has no library for it.

use crate::needs::{self, Package};
use crate::shell;
use crate::tree::Tree;
use anyhow::{Context, Result, bail};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// What is built for.
pub const TARGET: &str = "aarch64-unknown-linux-gnu";

/// Runs a program of [`TARGET`], inside, on the libraries of Debian's arm64. With the `-L` of the
/// cross compiler's libraries the loader would come from there and the C library, by the loader's
/// cache, still from arm64; the two differ in version, and the first `pthread_create` never ends.
pub const RUNNER: &str = "qemu-aarch64 -cpu max";

/// Where the products of a build lie, inside.
const BUILD: &str = "/build";

const SUITE: &str = "bookworm";

/// What is installed inside. The compiler for web browsers is the only one in Debian 12 that is
/// new enough.
const PACKAGES: &str = "rustc-web cargo-web libstd-rust-web-dev libstd-rust-web-dev:arm64 \
    gcc libc6-dev gcc-aarch64-linux-gnu g++-aarch64-linux-gnu libc6-dev-arm64-cross libc6:arm64 \
    libblas3:arm64 libgomp1:arm64 qemu-user";

/// Run inside, with the packages as arguments. That compiler is in the security archive, which
/// lies beside the main one on every mirror.
const INSTALL: &str = "\
    export DEBIAN_FRONTEND=noninteractive
    sed -n 's/^deb \\([^ ]*\\) \\([a-z]*\\) main.*/deb \\1-security \\2-security main/p' \
        /etc/apt/sources.list >/etc/apt/sources.list.d/security.list
    dpkg --add-architecture arm64
    apt-get -qq update
    apt-get -qq -y --no-install-recommends install $* >/dev/null
    apt-get clean";

/// Enters the root $1 with the sources $2 and the crates $3, both read-only, and runs the rest of
/// the arguments in the sources. It runs in a mount namespace of its own, so that no mount is
/// left behind however it ends, and nobody who empties the target folder empties the sources too.
const ENTER: &str = "\
    root=$1 sources=$2 crates=$3
    shift 3
    mount -t proc proc \"$root/proc\"
    mount --rbind /dev \"$root/dev\"
    mount -o bind,ro \"$sources\" \"$root/sources\"
    mount -o bind,ro \"$crates\" \"$root/cargo/registry\"
    exec env -i \"$@\"";

/// Nothing that is asked of the network takes this long.
const LIMIT: Duration = Duration::from_secs(1800);

/// The system, ready for use.
#[derive(Debug)]
pub struct Chroot {
    root: PathBuf,
    sources: PathBuf,
    /// Where the host's Cargo keeps downloaded crates.
    crates: PathBuf,
}

impl Chroot {
    /// Makes the system unless it is there, and says what it installs. Needs root.
    pub fn ready(tree: &Tree) -> Result<Chroot> {
        let mut id = shell::command("id");
        id.arg("-u");
        if id.output()?.stdout != b"0\n" {
            bail!("this needs root: it makes a Debian of its own and enters it with chroot");
        }
        needs::packages(&[Package::DEBOOTSTRAP, Package::DEBIAN_KEYS, Package::MOUNT])?;

        let dir = tree.scratch("aarch64", true)?;
        let chroot =
            Chroot { root: dir.join("root"), sources: tree.source(""), crates: crates(tree)? };
        let (based, installed) = (dir.join("based"), dir.join("installed"));
        if !holds(&based, SUITE) {
            chroot.bootstrap(&dir).context("making a Debian 12 with debootstrap")?;
            fs::write(&based, SUITE)?;
        }
        if !holds(&installed, PACKAGES) {
            println!("installing in it: {PACKAGES}");
            let mut install = chroot.command(&[]);
            install.args(["sh", "-ec", INSTALL, "install"]).args(PACKAGES.split_whitespace());
            shell::keep(&install, LIMIT, &dir.join("install"))?.succeeded()?;
            fs::write(&installed, PACKAGES)?;
        }
        Ok(chroot)
    }

    fn bootstrap(&self, dir: &Path) -> Result<()> {
        println!("making a Debian 12 with debootstrap: {}", self.root.display());
        // What an attempt that was interrupted has left.
        let _ = fs::remove_file(dir.join("installed"));
        if self.root.exists() {
            fs::remove_dir_all(&self.root)?;
        }
        let mut debootstrap = shell::command("debootstrap");
        debootstrap.args(["--variant=minbase", SUITE]).arg(&self.root);
        shell::keep(&debootstrap, LIMIT, &dir.join("debootstrap"))?.succeeded()?;
        for place in ["sources", "cargo/registry"] {
            fs::create_dir_all(self.root.join(place))?;
        }
        Ok(())
    }

    /// A command inside, in the repository's root, with these variables and few others. Its
    /// program and arguments are to be added.
    pub fn command(&self, variables: &[(&str, &str)]) -> Command {
        let mut command = shell::command("unshare");
        command.args(["--mount", "--propagation", "private", "sh", "-ec", ENTER, "enter"]);
        command.args([&self.root, &self.sources, &self.crates]);
        command.arg("PATH=/usr/sbin:/usr/bin:/sbin:/bin").arg(format!("HOME={BUILD}"));
        command.args(variables.iter().map(|(name, value)| format!("{name}={value}")));
        command.arg("chroot").arg(&self.root);
        command.args(["sh", "-ec", "cd /sources; exec \"$@\"", "inside"]);
        command
    }

    /// `cargo ARGUMENTS` inside, for [`TARGET`]. It neither downloads anything nor writes to the
    /// repository.
    pub fn cargo(&self, arguments: &[&str]) -> Command {
        let mut command = self.command(&[
            ("CARGO_HOME", "/cargo"),
            ("CARGO_TARGET_DIR", BUILD),
            ("CARGO_BUILD_TARGET", TARGET),
            ("CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER", "aarch64-linux-gnu-gcc"),
            ("CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER", RUNNER),
            // For tests that build programs, and run them.
            ("CC", "aarch64-linux-gnu-gcc"),
            ("CXX", "aarch64-linux-gnu-g++"),
            ("NPUBLAS_TEST_RUNNER", RUNNER),
        ]);
        command.args(["cargo", "--locked", "--offline"]).args(arguments);
        command
    }

    /// A product of the release profile of [`Chroot::cargo`], as seen from inside.
    pub fn release(&self, name: &str) -> String {
        format!("{BUILD}/{TARGET}/release/{name}")
    }

    /// A program that [`Chroot::cargo`] built in the development profile, on the emulated CPU.
    pub fn emulate(&self, program: &str, arguments: &[&str]) -> Command {
        let mut command = self.command(&[]);
        command.args(RUNNER.split(' ')).arg(format!("{BUILD}/{TARGET}/debug/{program}"));
        command.args(arguments);
        command
    }
}

/// Downloads the crates that a build for [`TARGET`] needs; the folder that they are in.
fn crates(tree: &Tree) -> Result<PathBuf> {
    shell::pass(tree.cargo(&["fetch", "--quiet", "--locked", "--target", TARGET]))?;
    let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cargo")));
    Ok(home.context("neither CARGO_HOME nor HOME is set")?.join("registry"))
}

fn holds(stamp: &Path, text: &str) -> bool {
    fs::read_to_string(stamp).is_ok_and(|found| found == text)
}
