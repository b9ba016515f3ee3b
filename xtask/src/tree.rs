//! Where things lie: the sources, what Cargo makes of them, what the tasks make.

use crate::shell;
use anyhow::{Context, Result};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// No build takes this long.
const BUILD_LIMIT: Duration = Duration::from_secs(1200);

/// The workspace on this machine.
#[derive(Debug)]
pub struct Tree {
    root: PathBuf,
    target: PathBuf,
}

impl Tree {
    /// The workspace whose `cargo xtask` this is.
    pub fn find() -> Result<Tree> {
        let package = std::env::var_os("CARGO_MANIFEST_DIR")
            .context("start the tasks with `cargo xtask`, from inside the repository")?;
        let root = Path::new(&package).parent().context("xtask lies in a workspace")?.to_owned();
        // Cargo put this program at TARGET/debug/xtask, wherever TARGET was said to be.
        let own = std::env::current_exe().context("where is this program?")?;
        let target = own.ancestors().nth(2).context("where is the target folder?")?.to_owned();
        Ok(Tree { root, target })
    }

    /// A file of the repository.
    pub fn source(&self, path: &str) -> PathBuf {
        self.root.join(path)
    }

    /// A product of the development profile.
    pub fn debug(&self, name: &str) -> PathBuf {
        self.target.join("debug").join(name)
    }

    /// A product of [`Tree::build`].
    pub fn release(&self, name: &str) -> PathBuf {
        self.target.join("release").join(name)
    }

    /// A folder for what a task makes; emptied first unless `keep`.
    pub fn scratch(&self, name: &str, keep: bool) -> Result<PathBuf> {
        let dir = self.target.join("xtask").join(name);
        if !keep && dir.exists() {
            std::fs::remove_dir_all(&dir).with_context(|| format!("emptying {}", dir.display()))?;
        }
        std::fs::create_dir_all(&dir).with_context(|| format!("making {}", dir.display()))?;
        Ok(dir)
    }

    /// `cargo ARGUMENTS` in the repository.
    pub fn cargo(&self, arguments: &[&str]) -> std::process::Command {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut command = shell::command(cargo);
        command.current_dir(&self.root).args(arguments);
        command
    }

    /// The same with `npu-sim WORDS` as Cargo's runner, so that every test program finds a device.
    pub fn cargo_on_npu(&self, words: &[&str], arguments: &[&str]) -> std::process::Command {
        let mut command = self.cargo(arguments);
        let runner = format!(
            "target.'cfg(all())'.runner = ['{}', '{}']",
            self.release("npu-sim").display(),
            words.join("', '")
        );
        command.arg("--config").arg(runner);
        command
    }

    /// Builds the libraries, `npublas` and `npu-sim`: everything but the tasks themselves, which
    /// nobody needs in the release profile.
    pub fn build(&self) -> Result<()> {
        let build = self.cargo(&["build", "--release", "--workspace", "--exclude", "xtask"]);
        let log = self.scratch("build", true)?.join("output");
        shell::keep(&build, BUILD_LIMIT, &log)?.succeeded().map(|_| ())
    }
}
