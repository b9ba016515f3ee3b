//! Every illegal argument of every spelling is reported to the program's own handler, in the
//! reference's order and with its numbers, and leaves C alone.
//!
//! The calls are made by a C program, because only a program can define the handlers.

mod abi_support;

use abi_support::call::{COL_MAJOR, ROW_MAJOR};
use abi_support::{Spelling, build_c, built, gemm_spellings, source};
use std::io::Write;
use std::process::Stdio;

/// A call as the C program reads it.
#[derive(Debug, Clone, Copy)]
struct Call {
    layout: i32,
    transa: i32,
    transb: i32,
    m: i64,
    n: i64,
    k: i64,
    lda: i64,
    ldb: i64,
    ldc: i64,
}

/// Sizes of a legal call; no two are alike.
const M: i64 = 3;
const N: i64 = 4;
const K: i64 = 5;

/// What a handler is told about an argument: its number, or nothing where all are legal.
///
/// In the natural terms of each interface, as its documentation has them: this is a second
/// statement of the rules, not the library's.
fn expected_number(spelling: &Spelling, x: &Call) -> Option<i32> {
    let none = |trans| trans == 111 || trans == i32::from(b'N') || trans == i32::from(b'n');
    let (a, b) = (if none(x.transa) { (x.m, x.k) } else { (x.k, x.m) }, {
        if none(x.transb) { (x.k, x.n) } else { (x.n, x.k) }
    });
    if spelling.cblas {
        let known = |trans| (111..=114).contains(&trans);
        let by_rows = x.layout == ROW_MAJOR;
        if !by_rows && x.layout != COL_MAJOR {
            return Some(1);
        } else if !known(x.transa) {
            return Some(2);
        } else if !known(x.transb) {
            return Some(3);
        }
        // In row-major calls n is looked at before m and ldb before lda, and they go by the
        // numbers of each other.
        let sizes = if by_rows {
            [
                (4, x.n, 0),
                (5, x.m, 0),
                (6, x.k, 0),
                (9, x.ldb, b.1),
                (11, x.lda, a.1),
                (14, x.ldc, x.n),
            ]
        } else {
            [
                (4, x.m, 0),
                (5, x.n, 0),
                (6, x.k, 0),
                (9, x.lda, a.0),
                (11, x.ldb, b.0),
                (14, x.ldc, x.m),
            ]
        };
        first_below(sizes)
    } else {
        let known = |trans: i32| "NnTtCc".bytes().any(|known| i32::from(known) == trans);
        if !known(x.transa) {
            return Some(1);
        } else if !known(x.transb) {
            return Some(2);
        }
        first_below([
            (3, x.m, 0),
            (4, x.n, 0),
            (5, x.k, 0),
            (8, x.lda, a.0),
            (10, x.ldb, b.0),
            (13, x.ldc, x.m),
        ])
    }
}

/// The number of the first size below its least value; leading dimensions are at least 1.
fn first_below(sizes: [(i32, i64, i64); 6]) -> Option<i32> {
    let least = |position: usize, least: i64| if position < 3 { 0 } else { least.max(1) };
    (0..6).find(|&i| sizes[i].1 < least(i, sizes[i].2)).map(|i| sizes[i].0)
}

/// Every combination of legal and illegal arguments.
fn calls(spelling: &Spelling) -> Vec<Call> {
    let (layouts, transpositions) = if spelling.cblas {
        (&[ROW_MAJOR, COL_MAJOR, 0, i32::MIN][..], &[111, 112, 113, 0, -1][..])
    } else {
        (&[0][..], &[78, 110, 84, 99, 47, 255][..])
    };
    let mut calls = Vec::new();
    for &layout in layouts {
        for &transa in transpositions {
            for &transb in transpositions {
                for wrong in 0..1 << 6 {
                    let pick = |bit: i32, legal, illegal| {
                        if wrong >> bit & 1 == 0 { legal } else { illegal }
                    };
                    let some = Call {
                        layout,
                        transa,
                        transb,
                        m: pick(0, M, -1),
                        n: pick(1, N, -2),
                        k: pick(2, K, i64::from(i32::MIN)),
                        // Illegal for some layouts and transpositions, legal for others.
                        lda: pick(3, K, M),
                        ldb: pick(4, K, N),
                        ldc: pick(5, N, 0),
                    };
                    // Matrices without elements have leading dimensions, too.
                    let (lda, ldb, ldc) = (pick(3, 1, 0), pick(4, 1, 0), pick(5, 1, 0));
                    let none = Call {
                        m: some.m.min(0),
                        n: some.n.min(0),
                        k: some.k.min(0),
                        lda,
                        ldb,
                        ldc,
                        ..some
                    };
                    calls.extend([some, none]);
                }
            }
        }
    }
    // The limits of the integers: nothing may overflow while they are compared.
    let (max, min) = match spelling.ilp64 {
        true => (i64::MAX, i64::MIN),
        false => (i32::MAX.into(), i32::MIN.into()),
    };
    for &layout in layouts {
        for transa in &transpositions[..2] {
            let (transa, transb) = (*transa, transpositions[0]);
            let x = Call {
                layout,
                transa,
                transb,
                m: max,
                n: max,
                k: max,
                lda: max,
                ldb: max,
                ldc: max,
            };
            for y in [min, min + 1] {
                calls.extend([Call { m: y, ..x }, Call { n: y, ..x }, Call { k: y, ..x }]);
            }
            for y in [min, -1, 0, 1, max - 1] {
                calls.extend([Call { lda: y, ..x }, Call { ldb: y, ..x }, Call { ldc: y, ..x }]);
            }
        }
    }
    // Calls without an illegal argument would be computed, without matrices.
    calls.retain(|call| expected_number(spelling, call).is_some());
    calls
}

/// The line that the C program prints for an illegal call.
fn expected_line(spelling: &Spelling, x: &Call, fortran: &str, cblas: &str) -> String {
    let number = expected_number(spelling, x).expect("illegal");
    if !spelling.cblas {
        return format!("{fortran} '{}GEMM ' {number}", spelling.letter.to_ascii_uppercase());
    }
    let form = match number {
        1 => format!("layout is {}", x.layout),
        2 => format!("transa is {}", x.transa),
        3 => format!("transb is {}", x.transb),
        _ => String::new(),
    };
    let row_major = match cblas {
        "cblas_xerbla" => i32::from(x.layout == ROW_MAJOR),
        _ => -1,
    };
    format!("{cblas} cblas_{}gemm {number} row_major={row_major} '{form}'", spelling.letter)
}

/// Feeds calls to a program; returns its standard output and its standard error.
fn run(program: &std::path::Path, calls: &[(Spelling, Call)]) -> (String, String) {
    let mut child = built(program)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the C program starts");
    let mut stdin = child.stdin.take().expect("piped");
    let lines: String = calls
        .iter()
        .map(|(Spelling { name, .. }, x)| {
            let Call { layout, transa, transb, m, n, k, lda, ldb, ldc } = x;
            format!("{name} {layout} {transa} {transb} {m} {n} {k} {lda} {ldb} {ldc}\n")
        })
        .collect();
    let writer = std::thread::spawn(move || stdin.write_all(lines.as_bytes()));
    let output = child.wait_with_output().expect("the C program ends");
    assert!(output.status.success(), "{}", output.status);
    writer.join().expect("no panic").expect("all calls were read");
    let text = |bytes| String::from_utf8(bytes).expect("text");
    (text(output.stdout), text(output.stderr))
}

fn compare(
    printed: &str,
    calls: &[(Spelling, Call)],
    expected: impl Fn(&Spelling, &Call) -> String,
) {
    let lines: Vec<_> = printed.lines().collect();
    assert_eq!(lines.len(), calls.len());
    for (line, (spelling, call)) in lines.iter().zip(calls) {
        assert_eq!(*line, expected(spelling, call), "{} {call:?}", spelling.name);
    }
}

fn all_calls() -> Vec<(Spelling, Call)> {
    gemm_spellings()
        .into_iter()
        .flat_map(|s| calls(&s).into_iter().map(move |call| (s.clone(), call)))
        .collect()
}

#[test]
fn the_programs_handlers_are_told() {
    let Some(program) = build_c(&source("tests/abi_errors.c"), "abi_errors", &["-DHANDLERS"])
    else {
        return;
    };
    let calls = all_calls();
    assert!(calls.len() > 200_000);
    let (printed, complaints) = run(&program, &calls);
    compare(&printed, &calls, |s, x| expected_line(s, x, "xerbla_", "cblas_xerbla"));
    assert_eq!(complaints, "");
}

#[test]
fn a_handler_of_the_same_spelling_comes_first() {
    let flags = ["-DHANDLERS", "-DHANDLERS_64"];
    let Some(program) = build_c(&source("tests/abi_errors.c"), "abi_errors_64", &flags) else {
        return;
    };
    let mut calls = all_calls();
    calls.retain(|(_, x)| x.m == -1);
    let (printed, complaints) = run(&program, &calls);
    compare(&printed, &calls, |s, x| {
        let suffixed = !s.name.starts_with("scipy");
        let fortran = if s.ilp64 && suffixed { "xerbla_64_" } else { "xerbla_" };
        let cblas = if s.name.ends_with("_64") { "cblas_xerbla_64" } else { "cblas_xerbla" };
        expected_line(s, x, fortran, cblas)
    });
    assert_eq!(complaints, "");
}

#[test]
fn without_a_handler_one_line_tells_and_the_program_goes_on() {
    let Some(program) = build_c(&source("tests/abi_errors.c"), "abi_errors_alone", &[]) else {
        return;
    };
    let mut calls = all_calls();
    calls.retain(|(_, x)| x.layout <= COL_MAJOR && x.transa != 0 && x.transb != 0);
    let (printed, complaints) = run(&program, &calls);
    compare(&printed, &calls, |_, _| "silent".to_owned());
    compare(&complaints, &calls, |spelling, x| {
        let number = expected_number(spelling, x).expect("illegal");
        let (letter, capital) = (spelling.letter, spelling.letter.to_ascii_uppercase());
        if !spelling.cblas {
            return format!(
                " ** On entry to {capital}GEMM parameter number {number:2} had an illegal value"
            );
        }
        // No handler renumbers, so the line has the position among the C arguments.
        let position = match (x.layout, number) {
            (ROW_MAJOR, 4) => 5,
            (ROW_MAJOR, 5) => 4,
            (ROW_MAJOR, 9) => 11,
            (ROW_MAJOR, 11) => 9,
            _ => number,
        };
        format!("Parameter {position} to routine cblas_{letter}gemm was incorrect")
    });
}
