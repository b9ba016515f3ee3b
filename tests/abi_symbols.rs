//! The release libraries export what `include/symbols.txt` lists and nothing else, under the
//! right names, and need nothing but the system.

mod abi_support;

use abi_support::{have, listed, output_of, profile_dir};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

/// The directory of the release libraries, built with the target that this test was built for.
static RELEASE: LazyLock<PathBuf> = LazyLock::new(|| {
    let profile = profile_dir();
    let parent = profile.parent().expect("profiles lie in the target directory");
    // `target/debug`, or `target/aarch64-unknown-linux-gnu/debug` when cross-compiled.
    let triple = parent
        .file_name()
        .and_then(|name| name.to_str())
        .filter(|name| name.starts_with(std::env::consts::ARCH) && name.contains("-linux-"));
    let mut cargo = Command::new(env!("CARGO"));
    cargo.current_dir(env!("CARGO_MANIFEST_DIR"));
    // The build of `cargo xtask`: another choice of packages would be another build.
    cargo.args(["build", "--release", "--workspace", "--exclude", "xtask", "--target-dir"]);
    match triple {
        Some(triple) => cargo.arg(parent.parent().expect("triples too")).args(["--target", triple]),
        None => cargo.arg(parent),
    };
    output_of(&mut cargo);
    parent.join("release")
});

const LIBRARIES: [&str; 2] = ["libnpublas.so", "libblas.so"];

fn exported(library: &Path) -> BTreeSet<String> {
    output_of(Command::new("nm").args(["-D", "--defined-only", "--format=posix"]).arg(library))
        .lines()
        .map(|line| line.split(' ').next().unwrap_or_default().to_owned())
        .collect()
}

/// The values of `tag` in the dynamic section.
fn dynamic(library: &str, tag: &str) -> Vec<String> {
    output_of(Command::new("readelf").args(["-d", "-W"]).arg(RELEASE.join(library)))
        .lines()
        .filter(|line| line.contains(&format!("({tag})")))
        .filter_map(|line| Some(line.split_once('[')?.1.split_once(']')?.0.to_owned()))
        .collect()
}

#[test]
fn exports_are_the_listed_ones() {
    if !have("nm") {
        return;
    }
    let preload: BTreeSet<_> = listed("libnpublas.so").into_iter().collect();
    let full: BTreeSet<_> = preload.iter().cloned().chain(listed("libblas.so.3")).collect();
    for (library, listed) in LIBRARIES.iter().zip([preload, full]) {
        let exported = exported(&RELEASE.join(library));
        let missing: Vec<_> = listed.difference(&exported).collect();
        let unlisted: Vec<_> = exported.difference(&listed).collect();
        assert!(missing.is_empty(), "{library} does not export {missing:?}");
        assert!(unlisted.is_empty(), "{library} exports, and symbols.txt lacks, {unlisted:?}");
    }
}

#[test]
fn exports_carry_no_version() {
    if !have("nm") {
        return;
    }
    for library in LIBRARIES {
        for name in exported(&RELEASE.join(library)) {
            assert!(!name.contains('@'), "{library}: {name}");
        }
    }
}

#[test]
fn the_full_library_has_the_name_that_programs_look_for() {
    if have("readelf") {
        assert_eq!(dynamic("libblas.so", "SONAME"), ["libblas.so.3"]);
    }
}

#[test]
fn the_libraries_need_the_system_only() {
    if !have("readelf") {
        return;
    }
    for library in LIBRARIES {
        for needed in dynamic(library, "NEEDED") {
            let system = ["libc.so.", "libm.so.", "libgcc_s.so.", "ld-linux-"];
            assert!(system.iter().any(|name| needed.starts_with(name)), "{library}: {needed}");
        }
    }
}

#[test]
fn the_list_is_sorted_and_has_no_name_twice() {
    for section in ["libnpublas.so", "libblas.so.3"] {
        let names = listed(section);
        assert!(names.is_sorted_by(|a, b| a < b), "[{section}]");
    }
}
