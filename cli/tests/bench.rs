//! `npublas bench` on a few shapes: every result is checked, no time is judged.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// Shapes up to this size: packing, edges and all transpositions take part.
const UP_TO: &str = "65";

/// The preload library as Cargo leaves it beside the dependencies of this test.
fn library() -> PathBuf {
    let program = Path::new(env!("CARGO_BIN_EXE_npublas"));
    // Beside the programs there may be one of an earlier build.
    program.parent().unwrap().join("deps/libnpublas.so")
}

/// Whether the tests run on an emulated CPU, where no program can start another of its kind:
/// then this one is skipped.
fn is_emulated() -> bool {
    let emulated = std::env::var_os("NPUBLAS_TEST_RUNNER").is_some();
    if emulated {
        eprintln!("SKIPPED: the workers of the bench cannot be started on an emulated CPU");
        let forbidden = std::env::var_os("NPUBLAS_FORBID_SKIP").is_some();
        assert!(!forbidden, "a skip, and NPUBLAS_FORBID_SKIP is set");
    }
    emulated
}

fn bench(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_npublas"));
    command.arg("bench").arg("--library").arg(library());
    command.args(["--rounds", "1", "--turn", "0"]).args(arguments).output().unwrap()
}

#[test]
fn every_type_is_right_and_every_table_is_written() {
    if is_emulated() {
        return;
    }
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let csv = dir.join("bench.csv");
    let peer = format!("again={}", library().display());
    let run = bench(&[
        "--types",
        "sdcz",
        "--up-to",
        UP_TO,
        "--csv",
        csv.to_str().unwrap(),
        "--svg",
        dir.to_str().unwrap(),
        "--threads",
        "1,2",
        &peer,
    ]);
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    let said = String::from_utf8(run.stdout).unwrap();
    for word in ["sgemm, GFLOP/s", "zgemm, 2 threads", "tiny 1×1×1", "trans-tt", "peak"] {
        assert!(said.contains(word), "{word} is missing:\n{said}");
    }
    let table = std::fs::read_to_string(csv).unwrap();
    let width = table.lines().next().unwrap().split(',').count();
    assert!(table.lines().all(|line| line.split(',').count() == width));
    assert!(table.lines().any(|line| line.starts_with("c,2,trans-nt,NT,64,64,64,1,again,")));
    let picture = std::fs::read_to_string(dir.join("dgemm-1.svg")).unwrap();
    assert!(picture.contains("</svg>") && picture.contains("again"));
}

#[test]
fn what_is_not_there_is_named() {
    if is_emulated() {
        return;
    }
    let run = bench(&["--groups", "nonsense"]);
    assert!(String::from_utf8_lossy(&run.stderr).contains("there is no group nonsense"));
    let run = bench(&["--groups", "tiny", "gone=nowhere.so"]);
    assert!(!run.status.success());
    let said = String::from_utf8_lossy(&run.stderr);
    assert!(said.contains("nowhere.so") && said.contains("gone"), "{said}");
}
