//! Every form of a matrix product in every NumPy.

use crate::calls::Call;
use crate::numpy::Numpy;
use crate::table::Table;
use crate::tally::Tally;
use crate::tree::Tree;
use crate::ways::{Load, Run, Way};
use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(600);

/// The types and the letters of their routines.
const TYPES: [(&str, char); 4] =
    [("float32", 's'), ("float64", 'd'), ("complex64", 'c'), ("complex128", 'z')];

/// A line of the report of `numpy_forms.py`.
#[derive(Debug, Deserialize)]
struct Form {
    #[serde(rename = "type")]
    dtype: String,
    form: String,
    routine: String,
    m: usize,
    n: usize,
    k: usize,
    calls: usize,
}

/// All of them, with tables.
pub fn run(tree: &Tree) -> Result<Tally> {
    let mut tally = Tally::default();
    let mut symbols =
        Table::new(6, &["NumPy", "float32", "float64", "complex64", "complex128", "inv + svd"]);
    let heading =
        ["form", "BLAS routine", "NumPy", "float32", "float64", "complex64", "complex128"];
    let mut forms = Table::new(7, &heading);
    let mut rows: Vec<(usize, Vec<String>)> = Vec::new();
    for numpy in Numpy::ALL {
        let python = numpy.python(tree)?;
        println!("running the forms of a product: {}", numpy.name());
        let mut cells = vec![numpy.name().to_owned()];
        match bound(tree, numpy, &python) {
            Ok(mut names) => cells.append(&mut names),
            Err(error) => tally.note(&format!("{}: symbols", numpy.name()), Err(error)),
        }
        cells.push(match inside_lapack(tree, numpy, &python) {
            Ok(calls) => format!("{calls} calls of dgemm"),
            Err(error) => format!("{error:#}"),
        });
        symbols.row(cells);
        let mut seen = Vec::new();
        tally.add(check(tree, numpy, &mut seen)?.prefixed(numpy.name()));
        rows.extend(seen.into_iter().enumerate());
    }
    println!("\nSymbols of npublas that NumPy's core module is bound to:\n");
    symbols.print();
    println!(
        "\nForms under npu-sim, offload forced: by whom npublas had the product computed, and \
         in how\nmany calls; or that NumPy did not ask it for one.\n"
    );
    rows.sort_by_key(|(form, _)| *form);
    for (_, row) in rows {
        forms.row(row);
    }
    forms.print();
    println!();
    Ok(tally)
}

/// One NumPy: every form reaches npublas, and the NPU where there is one; where there is none the
/// CPU gives results as good, and nothing is printed. `table` gets a row
/// for each form as it went on the NPU.
pub fn check(tree: &Tree, numpy: Numpy, table: &mut Vec<Vec<String>>) -> Result<Tally> {
    let python = numpy.python(tree)?;
    let dir = tree.scratch("forms", false)?;
    let report = dir.join("report.json");
    let mut script = numpy.command(&python);
    script.arg(tree.source("tests/python/numpy_forms.py")).arg(&report);
    script.args(TYPES.map(|(dtype, _)| dtype));

    let mut tally = Tally::default();
    tally.note("without a setting", silent(tree, &script, &dir));
    for (place, way) in [("CPU", Way::Cpu), ("NPU", Way::Sim(None))] {
        let run = match way.run(tree, &script, Load::Preload, &dir, LIMIT) {
            Ok(run) => run,
            Err(error) => {
                tally.note(place, Err(error));
                continue;
            }
        };
        let mut rows: BTreeMap<usize, Vec<String>> = BTreeMap::new();
        let mut forms = Vec::new();
        for line in std::fs::read_to_string(&report)?.lines() {
            forms.push(serde_json::from_str::<Form>(line)?);
        }
        let per_type = forms.len() / TYPES.len();
        for (i, form) in forms.iter().enumerate() {
            let arrived = arrived(form, &run, way);
            let row = rows.entry(i % per_type).or_insert_with(|| {
                vec![form.form.clone(), form.routine.clone(), numpy.name().to_owned()]
            });
            row.push(arrived.as_ref().map_or("WRONG".to_owned(), Clone::clone));
            let name = format!("{}, {} on the {place}", form.form, form.dtype);
            tally.note(&name, arrived.map(|_| ()));
        }
        if way != Way::Cpu {
            table.extend(rows.into_values());
        }
    }
    Ok(tally)
}

/// Fails when the program says anything at all on npublas without a setting.
fn silent(tree: &Tree, script: &Command, dir: &Path) -> Result<()> {
    let run = Way::Plain.run(tree, script, Load::Preload, dir, LIMIT)?;
    ensure!(run.finished.text.is_empty(), "it was not silent:\n{}", run.finished.tail());
    Ok(())
}

/// Where the calls of a form arrived; fails where the way does not send them.
fn arrived(form: &Form, run: &Run, way: Way) -> Result<String> {
    let letter = TYPES.iter().find(|(dtype, _)| *dtype == form.dtype).context("a type")?.1;
    let calls = run.calls.iter().filter(|call| call.routine == format!("{letter}gemm"));
    let mine: Vec<&Call> = calls.filter(|call| call.has_shape(form.m, form.n, form.k)).collect();
    ensure!(mine.len() == form.calls, "{} calls, not {}", mine.len(), form.calls);
    let on_npu = matches!(way, Way::Sim(_));
    if let Some(other) = mine.iter().find(|call| call.on_npu() != on_npu) {
        bail!("route={} reason={}", other.text("route"), other.text("reason"));
    }
    Ok(match (mine.len(), on_npu) {
        (0, _) => "not asked".to_owned(),
        (calls, true) => format!("NPU, {calls}×"),
        (calls, false) => format!("CPU, {calls}×"),
    })
}

/// The symbols of npublas by which NumPy's core module calls products, one per type, as the
/// dynamic linker tells.
fn bound(tree: &Tree, numpy: Numpy, python: &Path) -> Result<Vec<String>> {
    let dir = tree.scratch("bindings", false)?;
    let mut script = numpy.command(python);
    // Every type once, for linkers that bind late.
    let types = TYPES.map(|(dtype, _)| format!("{dtype:?}")).join(", ");
    script.arg("-c").arg(format!(
        "import numpy as np\nfor t in [{types}]: np.ones((2, 3), t) @ np.ones((3, 4), t)"
    ));
    script.env("LD_DEBUG", "bindings").env("LD_DEBUG_OUTPUT", dir.join("linker"));
    Way::Cpu.run(tree, &script, Load::Preload, &dir, LIMIT)?;
    let mut said = String::new();
    for entry in std::fs::read_dir(&dir)? {
        said.push_str(&std::fs::read_to_string(entry?.path())?);
    }
    let names = TYPES.map(|(dtype, letter)| {
        // `binding file USER [0] to LIBRARY [0]: normal symbol `NAME'`, at times with a version.
        let product = |line: &&str| {
            let from_core =
                line.split(" to ").next().is_some_and(|user| user.contains("_multiarray_umath"));
            from_core && line.contains("/libnpublas.so ") && line.contains(&format!("{letter}gemm"))
        };
        let line = said.lines().find(product).with_context(|| format!("{dtype}: not bound"))?;
        let name = line.split('`').nth(1).and_then(|name| name.split('\'').next());
        let name = name.context("a line of the linker without a name")?.to_owned();
        ensure!(name == numpy.symbol(letter), "{dtype} is bound to {name}");
        Ok(name)
    });
    names.into_iter().collect()
}

/// How many products of an inversion and a decomposition reach npublas.
fn inside_lapack(tree: &Tree, numpy: Numpy, python: &Path) -> Result<usize> {
    let dir = tree.scratch("lapack", false)?;
    let mut script = numpy.command(python);
    script.arg("-c").arg(
        "import numpy as np\n\
         a = np.random.default_rng(1).standard_normal((320, 320))\n\
         e = np.einsum('ij,jk->ik', a, np.linalg.inv(a)) - np.eye(320)\n\
         assert abs(e).max() < 1e-8, e\n\
         u, s, v = np.linalg.svd(a)\n\
         e = np.einsum('ij,j,jk->ik', u, s, v) - a\n\
         assert abs(e).max() < 1e-10, e",
    );
    let run = Way::Cpu.run(tree, &script, Load::Preload, &dir, LIMIT)?;
    Ok(run.calls.iter().filter(|call| call.routine == "dgemm").count())
}
