//! The headers compile as C and as C++, are complete, and fit the library.

mod abi_support;

use abi_support::{build_c, built, compiler, listed, output_of, profile_dir, source};
use std::fs;
use std::path::{Path, PathBuf};

/// A file of this test's making beside the test.
fn write(name: &str, text: &str) -> PathBuf {
    let path = profile_dir().join(name);
    fs::write(&path, text).expect("the target directory can be written");
    path
}

/// Compiles `file` without output, with every warning an error.
fn check(name: &str, flags: &[&str], file: &Path) {
    let Some(mut compiler) = compiler(name) else { return };
    output_of(
        compiler
            .args(["-fsyntax-only", "-Wall", "-Wextra", "-pedantic", "-Werror"])
            .args(flags)
            .arg("-I")
            .arg(source("include"))
            .arg(file),
    );
}

/// The CBLAS names of Levels 1 to 3: `?` stands for each of the letters before it.
const ROUTINES: &[(&str, &str)] = &[
    ("", "sdsdot dsdot scasum dzasum scnrm2 dznrm2 csscal zdscal csrot zdrot scabs1 dcabs1"),
    ("", "xerbla cdotu_sub cdotc_sub zdotu_sub zdotc_sub isamax idamax icamax izamax"),
    ("sd", "?dot ?nrm2 ?asum ?rot ?rotm ?rotmg"),
    ("sdcz", "?swap ?copy ?axpy ?scal ?rotg"),
    ("sdcz", "?gemv ?gbmv ?trmv ?tbmv ?tpmv ?trsv ?tbsv ?tpsv"),
    ("sd", "?symv ?sbmv ?spmv ?ger ?syr ?spr ?syr2 ?spr2"),
    ("cz", "?hemv ?hbmv ?hpmv ?geru ?gerc ?her ?hpr ?her2 ?hpr2"),
    ("sdcz", "?gemm ?gemmtr ?symm ?syrk ?syr2k ?trmm ?trsm"),
    ("cz", "?hemm ?herk ?her2k"),
];

fn cblas_names() -> Vec<String> {
    let mut names = Vec::new();
    for &(letters, patterns) in ROUTINES {
        for pattern in patterns.split(' ') {
            if letters.is_empty() {
                names.push(format!("cblas_{pattern}"));
            }
            for letter in letters.chars() {
                names.push(format!("cblas_{}", pattern.replace('?', &letter.to_string())));
            }
        }
    }
    names
}

/// A program that mentions every one of `names`.
fn mentions(names: impl IntoIterator<Item = String>) -> String {
    let lines: String =
        names.into_iter().map(|name| format!("    count += {name} != 0;\n")).collect();
    format!(
        "#include <cblas.h>\n#include <npublas.h>\n#include <cblas.h>\n\
         int count_names(void);\nint count_names(void) {{\n    int count = 0;\n{lines}    \
         return count;\n}}\n"
    )
}

const DIALECTS: &[(&str, &[&str])] = &[
    ("gcc", &["-std=c99"]),
    ("gcc", &["-std=c11"]),
    ("g++", &["-x", "c++", "-std=c++11"]),
    ("g++", &["-x", "c++", "-std=c++20"]),
];

#[test]
fn the_headers_declare_everything_in_c_and_in_cpp() {
    let names = cblas_names();
    assert_eq!(names.len(), 153);
    let exported = || listed("libnpublas.so").into_iter().chain(listed("libblas.so.3"));
    let declared = |name: &String| name.contains("cblas_") || name.starts_with("npublas_");
    let plain = names.iter().cloned().chain(exported().filter(declared));
    let plain = write("abi_headers_plain.c", &mentions(plain));
    let suffixed = names.iter().map(|name| format!("{name}_64"));
    let suffixed =
        write("abi_headers_64.c", &mentions(suffixed.chain(exported().filter(declared))));
    for (compiler, flags) in DIALECTS {
        let quiet: &[&str] = &["-Wno-address"];
        check(compiler, &[flags, quiet].concat(), &plain);
        check(compiler, &[flags, quiet, &["-DCBLAS_API64"]].concat(), &suffixed);
    }
}

const OLD_AND_NEW: &str = r#"
#include <cblas.h>
#include <stdio.h>
static enum CBLAS_ORDER old_name = CblasRowMajor;
static CBLAS_LAYOUT new_name = CblasColMajor;
static enum CBLAS_TRANSPOSE trans[4] = {CblasNoTrans, CblasTrans, CblasConjTrans, CblasConjNoTrans};
static CBLAS_UPLO uplo[2] = {CblasUpper, CblasLower};
static enum CBLAS_DIAG diag[2] = {CblasNonUnit, CblasUnit};
static CBLAS_SIDE side[2] = {CblasLeft, CblasRight};
int main(void) {
    CBLAS_INDEX index = (CBLAS_INDEX)-1;
    CBLAS_INT integer = -1;
    printf("%d %d %d %d %d %d %d %d %d %d %d %d ", (int)old_name, (int)new_name, (int)trans[0],
        (int)trans[1], (int)trans[2], (int)trans[3], (int)uplo[0], (int)uplo[1], (int)diag[0],
        (int)diag[1], (int)side[0], (int)side[1]);
    printf("%d %d %" CBLAS_IFMT "\n", (int)sizeof index, (int)sizeof integer, integer);
    return 0;
}
"#;

#[test]
fn enums_and_integers_are_the_usual_ones() {
    let file = write("abi_headers_types.c", OLD_AND_NEW);
    for (flag, integer) in [("-DLP64", "4"), ("-DCBLAS_API64", "8")] {
        let Some(program) = build_c(&file, &format!("abi_headers_types{integer}"), &[flag]) else {
            return;
        };
        let printed = output_of(&mut built(&program));
        let enums = "101 102 111 112 113 114 121 122 131 132 141 142";
        assert_eq!(printed.trim(), format!("{enums} 8 {integer} -1"));
    }
}

const CONTROL: &str = r#"
#include <cblas.h>
#include <npublas.h>
#include <stdio.h>
#include <string.h>
int main(void) {
    struct npublas_statistics before, after, part;
    const float a[4] = {1, 2, 3, 4};
    float c[4];
    memset(&part, 0x5a, sizeof part);
    before.size = after.size = sizeof before;
    if (npublas_get_statistics(NULL) != -1) return 1;
    part.size = sizeof part.size - 1;
    if (npublas_get_statistics(&part) != -1 || part.size != sizeof part.size - 1) return 2;
    part.size = sizeof part.size + sizeof part.cpu_calls;
    if (npublas_get_statistics(&part) != 0 || part.size != 16) return 3;
    if (part.npu_calls != 0x5a5a5a5a5a5a5a5a) return 4;
    if (npublas_get_statistics(&before) != 0 || before.size != sizeof before) return 5;
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, 2, 2, 2, 1, a, 2, a, 2, 0, c, 2);
    if (npublas_get_statistics(&after) != 0) return 6;
    if (after.cpu_calls + after.npu_calls != before.cpu_calls + before.npu_calls + 1) return 7;
    if (c[0] != 7 || c[1] != 10 || c[2] != 15 || c[3] != 22) return 8;
    puts(npublas_version());
    return 0;
}
"#;

#[test]
fn a_c_program_links_and_reads_version_and_statistics() {
    let Some(program) =
        build_c(&write("abi_headers_control.c", CONTROL), "abi_headers_control", &[])
    else {
        return;
    };
    let printed = output_of(&mut built(&program));
    assert_eq!(printed.trim(), env!("CARGO_PKG_VERSION"));
}
