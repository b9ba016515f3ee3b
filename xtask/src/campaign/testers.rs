//! The Level-3 testers of the reference BLAS, with npublas in front of it.

use crate::calls::Call;
use crate::needs::{self, Package};
use crate::numpy::reference_blas;
use crate::shell;
use crate::table::Table;
use crate::tally::Tally;
use crate::tree::Tree;
use crate::ways::{Load, Run, Way};
use anyhow::{Context, Result, ensure};
use std::path::Path;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(3000);

/// What the simulated NPU is given; the CPU gets the input that comes with the testers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Input {
    /// That input as well: every combination of sizes from 0 to 9.
    Whole,
    /// Sizes 3 and 40 of the product alone.
    Short,
}

/// Runs those of all four types on the CPU and on the NPU. What they say must be what they say
/// about the reference BLAS itself. The table has a row per run.
pub fn run(tree: &Tree, input: Input) -> Result<(Tally, Table)> {
    needs::packages(&[Package::BLAS, Package::TESTERS])?;
    let mut tally = Tally::default();
    let heading =
        ["tester", "with", "PASSED", "gemm calls", "by the NPU", "calls left %", "entries left %"];
    let mut table = Table::new(2, &heading);
    for letter in ['s', 'd', 'c', 'z'] {
        for (tester, given) in [
            (format!("xblat3{letter}"), format!("{letter}blat3.in")),
            (format!("x{letter}cblat3"), format!("{letter}in3")),
        ] {
            let given = std::fs::read_to_string(reference_blas().join(given))?;
            let on_npu = if input == Input::Short { shortened(&given) } else { given.clone() };
            for (place, way, given) in [("CPU", Way::Cpu, given), ("NPU", Way::Sim(None), on_npu)] {
                let result = compare(tree, &tester, way, &given);
                tally.note(
                    &format!("{tester} on the {place}"),
                    result
                        .map(|(passed, run)| table.row(cells(&tester, place, passed, &run.calls))),
                );
            }
        }
    }
    Ok((tally, table))
}

/// The input for two sizes and one routine.
fn shortened(given: &str) -> String {
    let change = |line: &str| {
        if line.contains("NUMBER OF VALUES OF N") {
            "2".to_owned()
        } else if line.ends_with("VALUES OF N") {
            "3 40".to_owned()
        } else if line.contains("T PUT F FOR NO TEST") && !line.to_lowercase().contains("gemm") {
            line.replacen(" T PUT", " F PUT", 1)
        } else {
            line.to_owned()
        }
    };
    given.lines().map(|line| change(line) + "\n").collect()
}

/// Runs a tester on the reference BLAS and `way`; how many times it said PASSED.
fn compare(tree: &Tree, tester: &str, way: Way, given: &str) -> Result<(usize, Run)> {
    let dir = tree.scratch("testers", false)?;
    let (expected, _) = test(tree, tester, Way::Own, given, &dir)?;
    let (said, run) = test(tree, tester, way, given, &dir)?;
    ensure!(!expected.is_empty(), "{tester} said nothing about the reference BLAS");
    let differs = said.iter().zip(&expected).find(|(said, expected)| said != expected);
    ensure!(said.len() == expected.len() && differs.is_none(), "{differs:?} in {said:#?}");
    ensure!(!run.calls.is_empty(), "{tester} did not call npublas");
    ensure!(
        way == Way::Cpu || run.calls.iter().any(Call::on_npu),
        "the NPU was not used by {tester}"
    );
    Ok((said.iter().filter(|line| line.contains("PASSED")).count(), run))
}

/// Runs a tester; its verdicts.
fn test(
    tree: &Tree,
    tester: &str,
    way: Way,
    given: &str,
    dir: &Path,
) -> Result<(Vec<String>, Run)> {
    let input = dir.join("input");
    std::fs::write(&input, given)?;
    // The testers read standard input, and those in Fortran write a file where they are, whose
    // name is in the input's first line.
    let mut program = shell::command("sh");
    program.args(["-c", "cd \"$0\" && rm -f *.out && exec \"$1\" <\"$2\""]);
    program.arg(dir).arg(reference_blas().join(tester)).arg(&input);
    program.env("LD_LIBRARY_PATH", reference_blas());
    let run = way.run(tree, &program, Load::Preload, dir, LIMIT)?;
    let mut text = run.finished.text.clone();
    for entry in std::fs::read_dir(dir)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "out") {
            let report = std::fs::read_to_string(&path);
            text.push_str(&report.with_context(|| format!("reading {}", path.display()))?);
        }
    }
    ensure!(text.contains("END OF TESTS"), "{tester} did not come to its end:\n{text}");
    let words = ["PASSED", "FAIL", "SUSPECT", "ERROR"];
    let verdicts = text.lines().filter(|line| words.iter().any(|word| line.contains(word)));
    let mut verdicts: Vec<String> = verdicts.map(|line| line.trim().to_owned()).collect();
    // Lines of Fortran and C have buffers of their own.
    verdicts.sort();
    Ok((verdicts, run))
}

fn cells(tester: &str, place: &str, passed: usize, calls: &[Call]) -> Vec<String> {
    let entries = |call: &&Call| call.number("m") * call.number("n");
    let left = || calls.iter().filter(|call| !call.on_npu());
    let share = |part: usize, whole: usize| match place {
        "NPU" => format!("{:.2}", 100.0 * part as f64 / whole.max(1) as f64),
        _ => "–".to_owned(),
    };
    vec![
        tester.to_owned(),
        place.to_owned(),
        passed.to_string(),
        calls.len().to_string(),
        (calls.len() - left().count()).to_string(),
        share(left().count(), calls.len()),
        share(left().map(|c| entries(&c)).sum(), calls.iter().map(|c| entries(&c)).sum()),
    ]
}
