//! `include/npublas.h`, generated from the control functions of the library.

use crate::tree::Tree;
use anyhow::{Context, Result, bail};

/// The C header of `src/abi/control.rs`, as cbindgen.toml wants it.
fn generate(tree: &Tree) -> Result<Vec<u8>> {
    let config = cbindgen::Config::from_file(tree.source("cbindgen.toml"))
        .map_err(|error| anyhow::anyhow!("cbindgen.toml: {error}"))?;
    let bindings = cbindgen::Builder::new()
        .with_config(config)
        .with_src(tree.source("src/abi/control.rs"))
        .generate()
        .context("src/abi/control.rs")?;
    let mut text = Vec::new();
    bindings.write(&mut text);
    Ok(text)
}

/// Writes the header.
pub fn write(tree: &Tree) -> Result<()> {
    let path = tree.source("include/npublas.h");
    std::fs::write(&path, generate(tree)?)
        .with_context(|| format!("writing {}", path.display()))?;
    println!("wrote include/npublas.h");
    Ok(())
}

/// Fails when the header in the tree is not the one that [`write`] would write.
pub fn check(tree: &Tree) -> Result<()> {
    let found = std::fs::read(tree.source("include/npublas.h")).context("include/npublas.h")?;
    if found != generate(tree)? {
        bail!("include/npublas.h is out of date; run `cargo xtask headers`");
    }
    Ok(())
}
