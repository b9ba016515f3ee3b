//! Reading what `cargo test -- --show-output` prints.

use crate::shell::Finished;
use crate::tally::Tally;
use anyhow::{Result, ensure};

/// Lines of a failed test's output that are worth showing.
const SHOWN: usize = 20;

/// What a test prints that could not run, and the reason behind it.
const SKIPPED: &str = "SKIPPED: ";

/// Counts the tests of those test programs whose source file is `wanted`; documentation tests
/// have none: their file is "".
///
/// A test that prints a line `SKIPPED: reason` and passes counts as skipped.
pub fn count(done: &Finished, wanted: impl Fn(&str) -> bool) -> Result<Tally> {
    let programs = programs(&done.text);
    let mut tally = Tally::default();
    for program in programs.iter().filter(|program| wanted(program.file)) {
        tally.add(program.tally());
    }
    // A source that does not compile, a program that crashed: no test failed by name.
    let tests_failed = programs
        .iter()
        .any(|program| !program.failed.is_empty() || program.began && !program.ended);
    ensure!(
        !programs.is_empty() && (done.status.success() || tests_failed),
        "{} ended with {}\n{}",
        done.command,
        done.status,
        done.tail()
    );
    Ok(tally)
}

/// What each test printed, by name.
pub fn said(text: &str) -> Vec<(&str, Vec<&str>)> {
    let output = programs(text).into_iter().flat_map(|program| program.output);
    // Behind the last one come the names of those that passed or failed.
    let ends = |line: &&str| ["successes:", "failures:"].contains(line);
    output.map(|(test, said)| (test, said.into_iter().take_while(|l| !ends(l)).collect())).collect()
}

/// The part of one test program.
#[derive(Debug, Default)]
struct Program<'a> {
    /// Its source file.
    file: &'a str,
    /// From its last line.
    passed: usize,
    ignored: usize,
    /// Names of the failed tests.
    failed: Vec<&'a str>,
    /// What each test printed, by name.
    output: Vec<(&'a str, Vec<&'a str>)>,
    /// Whether what the tests printed has begun.
    in_output: bool,
    /// Whether its tests have begun, and whether all of them have ended.
    began: bool,
    ended: bool,
}

fn programs(text: &str) -> Vec<Program<'_>> {
    let mut programs: Vec<Program<'_>> = Vec::new();
    for line in text.lines() {
        let word = line.trim_start();
        if let Some(program) = word.strip_prefix("Running ") {
            // "Running unittests src/lib.rs (…)" or "Running tests/house.rs (…)".
            let file = program.split(" (").next().unwrap_or("");
            let file = file.strip_prefix("unittests ").unwrap_or(file);
            programs.push(Program { file, ..Program::default() });
        } else if word.starts_with("Doc-tests ") {
            programs.push(Program::default());
        }
        let Some(program) = programs.last_mut() else { continue };
        if let Some(count) = line.strip_prefix("running ") {
            program.began |= count.ends_with(" test") || count.ends_with(" tests");
        }
        if let Some(result) = line.strip_prefix("test result: ") {
            program.ended = true;
            program.passed = number_before(result, " passed");
            program.ignored = number_before(result, " ignored");
        } else if let Some(heading) = line.strip_prefix("---- ") {
            program.output.push((heading.split(' ').next().unwrap_or(""), Vec::new()));
            program.in_output = true;
        } else if program.in_output
            && let Some((_, said)) = program.output.last_mut()
        {
            said.push(line);
        } else if let Some(at) = line.find(SKIPPED) {
            // Written past the test runner, with the name of the test in front of the reason.
            let test = line[at + SKIPPED.len()..].split(": ").next().unwrap_or("");
            program.output.push((test, vec![&line[at..]]));
        } else if let Some(test) = line.strip_prefix("test ") {
            program.failed.extend(test.strip_suffix(" ... FAILED"));
        }
    }
    programs
}

impl Program<'_> {
    fn tally(&self) -> Tally {
        let mut tally = Tally::default();
        for name in &self.failed {
            let said = self.output.iter().find(|(test, _)| test == name);
            let said = said.map_or(&[][..], |(_, lines)| lines);
            // A backtrace shows the test runner, not the fault.
            let said = said.iter().take_while(|line| **line != "stack backtrace:").take(SHOWN);
            let said: Vec<&str> = said.copied().collect();
            tally.failed.push(format!("{}: {name}\n{}", self.file, said.join("\n")));
        }
        for (name, said) in &self.output {
            let reason = said.iter().find_map(|line| line.strip_prefix(SKIPPED));
            if let (Some(reason), false) = (reason, self.failed.contains(name)) {
                let reason = reason.strip_prefix(*name).unwrap_or(reason);
                let reason = reason.strip_prefix(": ").unwrap_or(reason);
                tally.skip(&format!("{}: {name}", self.file), reason);
            }
        }
        if self.began && !self.ended {
            tally.failed.push(format!("{}: it ended before its tests did", self.file));
        }
        tally.passed = self.passed - tally.skipped.len().min(self.passed);
        for _ in 0..self.ignored {
            tally.skip(self.file, "a test is switched off in the source");
        }
        tally
    }
}

/// The number in front of `word`.
fn number_before(text: &str, word: &str) -> usize {
    let number = text.split(word).next().and_then(|before| before.rsplit(' ').next());
    number.and_then(|number| number.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const OUTPUT: &str = "\
   Compiling npublas v0.1.0
     Running unittests src/lib.rs (target/debug/deps/npublas-1)

running 4 tests
test a::zero ... SKIPPED: a::zero: no device
ok
test a::one ... ok
test a::two ... FAILED
test a::three ... ok

successes:

---- a::three stdout ----
some words
SKIPPED: no such CPU
SKIPPED: nor such a one

successes:
    a::zero
    a::one
    a::three

failures:

---- a::two stdout ----
left is not right

failures:
    a::two

test result: FAILED. 3 passed; 1 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.1s

     Running tests/device_gemm.rs (target/debug/deps/device_gemm-1)
test result: ok. 7 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.1s
   Doc-tests npublas
test result: ok. 1 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.1s
";

    #[test]
    fn counts_by_program() {
        let programs = programs(OUTPUT);
        assert_eq!(programs.len(), 3);
        let files: Vec<&str> = programs.iter().map(|program| program.file).collect();
        assert_eq!(files, ["src/lib.rs", "tests/device_gemm.rs", ""]);
        assert_eq!(programs[1].tally().passed, 7);
        assert_eq!(programs[2].tally().passed, 1);

        let first = programs[0].tally();
        assert_eq!(first.passed, 1);
        assert_eq!(first.failed.len(), 1);
        assert!(first.failed[0].contains("left is not right"), "{first:?}");
        assert_eq!(first.skipped[0], "src/lib.rs: a::zero: no device");
        assert_eq!(first.skipped[1], "src/lib.rs: a::three: no such CPU");
        assert_eq!(first.skipped.len(), 3, "two skipped, one ignored: {first:?}");
    }

    #[test]
    fn a_program_that_dies_has_failed() {
        let died =
            "     Running tests/a.rs (deps/a-1)\nrunning 2 tests\ntest x ... ok\nerror: signal 9\n";
        let tally = programs(died)[0].tally();
        assert_eq!((tally.passed, tally.failed.len()), (0, 1));
    }

    #[test]
    fn finds_what_each_test_said() {
        let said = said(OUTPUT);
        let tests: Vec<&str> = said.iter().map(|(test, _)| *test).collect();
        assert_eq!(tests, ["a::zero", "a::three", "a::two"]);
        assert_eq!(said[1].1[..2], ["some words", "SKIPPED: no such CPU"]);
        assert_eq!(said[2].1, ["left is not right", ""]);
    }
}
