//! NumPy's own tests of what multiplies matrices.

use crate::calls::Call;
use crate::numpy::Numpy;
use crate::shell;
use crate::table::Table;
use crate::tally::Tally;
use crate::tree::Tree;
use crate::ways::{Load, Run, Way};
use anyhow::{Result, ensure};
use std::path::Path;
use std::time::Duration;

/// Minutes on an idle machine.
const LIMIT: Duration = Duration::from_secs(3000);

/// Both wheels, on the CPU and on the NPU. The tests make tens of thousands of products, nearly
/// all of a few elements: they show that nothing breaks, not that large products are right.
pub fn run(tree: &Tree) -> Result<Tally> {
    let mut tally = Tally::default();
    let heading = ["NumPy", "with", "tests", "gemm calls", "of sgemm", "by the NPU", "seconds"];
    let mut table = Table::new(3, &heading);
    for numpy in Numpy::ALL {
        let Some(python) = numpy.tested(tree)? else { continue };
        for (place, way) in [("CPU", Way::Cpu), ("NPU", Way::Sim(None))] {
            println!("running the tests of NumPy: {}, {place}", numpy.name());
            let result = test(tree, numpy, &python, way);
            let name = format!("{} on the {place}", numpy.name());
            tally.note(&name, result.map(|run| table.row(cells(numpy, place, &run))));
        }
    }
    table.print();
    Ok(tally)
}

fn test(tree: &Tree, numpy: Numpy, python: &Path, way: Way) -> Result<Run> {
    // NumPy 2 has given its core an underscore.
    const TESTS: &str = "import os, sys, numpy, pytest\n\
        root = os.path.dirname(numpy.__file__)\n\
        core = '_core' if os.path.isdir(os.path.join(root, '_core', 'tests')) else 'core'\n\
        files = [('linalg', 'linalg'), (core, 'multiarray')]\n\
        files = [os.path.join(root, d, 'tests', f'test_{f}.py') for d, f in files]\n\
        options = ['-q', '-p', 'no:cacheprovider', '--capture=sys']\n\
        sys.exit(pytest.main([*options, *files]))";
    // In a folder of its own, where pytest finds no settings. What pytest says comes after the
    // traced calls, not in the middle of their lines.
    const RUN: &str = "cd \"$0\"; \"$@\" >said; status=$?; cat said; exit $status";
    let mut script = numpy.command(python);
    script.args(["-c", TESTS]);
    let dir = tree.scratch("numpy-tests", false)?;
    let mut command = shell::command("sh");
    command.args(["-c", RUN]).arg(&dir);
    command.arg(script.get_program()).args(script.get_args());
    let run = way.run(tree, &command, Load::Preload, &dir, LIMIT)?;
    ensure!(!run.calls.is_empty(), "no product reached npublas");
    ensure!(way == Way::Cpu || run.calls.iter().any(Call::on_npu), "the NPU was not used");
    Ok(run)
}

fn cells(numpy: Numpy, place: &str, run: &Run) -> Vec<String> {
    let said = run.finished.text.lines().rfind(|line| line.contains(" passed"));
    vec![
        numpy.name().to_owned(),
        place.to_owned(),
        said.unwrap_or("").split(" in ").next().unwrap_or("").to_owned(),
        run.calls.len().to_string(),
        run.calls.iter().filter(|call| call.routine == "sgemm").count().to_string(),
        run.calls.iter().filter(|call| call.on_npu()).count().to_string(),
        format!("{:.0}", run.finished.time.as_secs_f64()),
    ]
}
