//! Programs for RK3588: against a published program that runs on boards, against streams that
//! are checked in, and decoded back by code that shares nothing with the encoder.
//!
//! `NPUBLAS_GOLDEN=write` rewrites the checked-in streams.

use npublas::npu::chip::{Arithmetic, Chip, EncodeError, Task};
use npublas::npu::rk3588::{Rk3588, encode::WORDS};
use proptest::prelude::*;
use std::collections::HashMap;
use std::path::PathBuf;

/// A task whose rows lie densely.
fn dense_of(arithmetic: Arithmetic, rows: usize, cols: usize, depth: usize) -> Task {
    let (a, b, c) = (0x1000, 0x2000, 0x3000);
    let (a_pitch, c_pitch) = (depth * arithmetic.bytes(), 4 * cols);
    Task { arithmetic, rows, cols, depth, a, a_pitch, b, c, c_pitch }
}

/// The same of int8.
fn dense(rows: usize, cols: usize, depth: usize) -> Task {
    dense_of(Arithmetic::Int8, rows, cols, depth)
}

fn encode(task: &Task) -> Vec<u64> {
    let program = Rk3588.encode(task).unwrap_or_else(|e| panic!("{task:?}: {e}"));
    program.words().to_vec()
}

fn data(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data/rk3588").join(name)
}

/// The published program: words and register names.
fn published() -> Vec<(u64, String)> {
    let text = std::fs::read_to_string(data("fp16_cube_4x16x32.txt")).unwrap();
    let parse = |line: &str| {
        let mut columns = line.split_whitespace();
        let (target, offset) = columns.next().unwrap().split_once(':').unwrap();
        let hex = |s: &str| u64::from_str_radix(s, 16).unwrap();
        let word = hex(target) << 48 | hex(columns.next().unwrap()) << 16 | hex(offset);
        (word, columns.next().unwrap().to_owned())
    };
    text.lines().filter(|line| !line.starts_with('#')).map(parse).collect()
}

fn target(word: u64) -> u64 {
    word >> 48
}
fn offset(word: u64) -> u64 {
    word & 0xffff
}
fn value(word: u64) -> u64 {
    word >> 16 & 0xffff_ffff
}

/// The program for the same 4 rows and depth 32, but 32 columns, int8 → int32 and row-major
/// operands, is the published one except for the registers that say so.
#[test]
fn the_published_program_with_its_differences() {
    let int8_with_32_columns = [
        (0x100c, 0),           // int8
        (0x1034, 0x20),        // bytes of a kernel
        (0x1038, 0x101_0020),  // 32 kernels of 1×1
        (0x3010, 0),           // int8
        (0x3018, 0x1f),        // 32 channels
        (0x4010, 0x8000_0000), // int8 → int32
        (0x403c, 0x1f_001f),   // 32 channels
        (0x4050, 0x7fe),       // 8 surfaces
        (0x4058, 0x1f),        // 32 channels
        (0x5014, 0x1f),        // 32 channels
    ];
    let row_major = [
        (0x100c, 0x2000_0000), // rows of A by line stride
        (0x107c, 32 / 16),     // pitch of A in atoms
        (0x1080, 0),           // surfaces of A follow each other
        (0x4024, 0x10),        // surfaces of C follow each other
        (0x4038, 0x7_0007),    // pitch of C in atoms, less the one stored
        (0x40c0, 8 * 16),      // next 32 columns: after 8 surfaces
    ];
    let mut overrides: HashMap<u64, u64> = int8_with_32_columns.into();
    overrides.extend(row_major);
    check_against_published(&dense(4, 32, 32), &overrides);
}

/// The program of the very same product is the published one except for the registers that say
/// that A and C are row-major.
#[test]
fn the_published_program_in_row_major() {
    let row_major = [
        (0x100c, 0x2000_0120), // fp16, rows of A by line stride
        (0x107c, 2 * 32 / 16), // pitch of A in atoms
        (0x1080, 0),           // surfaces of A follow each other
        (0x4024, 0x10),        // surfaces of C follow each other
        (0x4038, 0x3_0003),    // pitch of C in atoms, less the one stored
        (0x40c0, 4 * 16),      // next 16 columns: after 4 surfaces
    ];
    check_against_published(&dense_of(Arithmetic::Fp16, 4, 16, 32), &row_major.into());
}

/// Compares the program of a task with the published one, some registers of which have other
/// values.
fn check_against_published(task: &Task, overrides: &HashMap<u64, u64>) {
    let words = encode(task);
    let published = published();
    assert_eq!(words.len(), published.len());
    for (&word, (theirs, name)) in words.iter().zip(&published) {
        let expected = match overrides.get(&offset(*theirs)) {
            Some(value) => theirs & !(0xffff_ffff << 16) | value << 16,
            None => *theirs,
        };
        assert_eq!(word, expected, "{name}: {word:016x}, expected {expected:016x}");
    }
}

/// Streams of several shapes, pitches and addresses, as they were when they were last reviewed.
#[test]
fn golden_streams() {
    let cases = [
        ("one_row", dense(1, 32, 32)),
        ("odd_rows", dense(37, 96, 160)),
        ("most_rows", dense(128, 1024, 2048)),
        ("deepest", dense(84, 512, 3072)),
        (
            "pitched",
            Task {
                a: 0x10_0040,
                a_pitch: 5008,
                c: 0xfff0_0000,
                c_pitch: 2064,
                ..dense(64, 256, 512)
            },
        ),
        ("window_end", Task { b: 0xffff_fc00, ..dense(4, 32, 32) }),
        ("fp16_odd", Task { c_pitch: 2064, ..dense_of(Arithmetic::Fp16, 37, 48, 160) }),
        ("fp16_deepest", dense_of(Arithmetic::Fp16, 84, 1024, 1536)),
    ];
    let names = published();
    let rewrite = std::env::var("NPUBLAS_GOLDEN").as_deref() == Ok("write");
    for (name, task) in cases {
        let mut text = format!("# {task:?}\n");
        for (word, (_, register)) in encode(&task).into_iter().zip(&names) {
            let (target, offset, value) = (target(word), offset(word), value(word));
            text += &format!("{target:04x}:{offset:04x} {value:08x} {register}\n");
        }
        let path = data(&format!("{name}.txt"));
        if rewrite {
            std::fs::write(&path, &text).unwrap();
        }
        let golden = std::fs::read_to_string(&path).unwrap_or_default();
        for (line, (new, old)) in text.lines().zip(golden.lines()).enumerate() {
            assert_eq!(new, old, "{name}.txt, line {}", line + 1);
        }
        assert_eq!(text, golden, "{name}.txt");
    }
}

/// A field of a value, from bit `low` to bit `high`.
fn bits(value: u64, high: u32, low: u32) -> usize {
    (value >> low & ((1 << (high - low + 1)) - 1)) as usize
}

/// Decodes a program and checks every register that depends on the task, and that nothing is
/// written that must not be.
fn check_program(task: &Task, words: &[u64]) {
    assert_eq!(words.len(), WORDS);
    assert_eq!(words.len() % 2, 0, "the device fetches pairs of words");
    let (body, tail) = words.split_at(words.len() - 4);
    assert_eq!(body[0], 0x1001_0000_000e_4004, "first the pointers");
    assert_eq!(body[1], 0x2001_0000_000e_5004, "first the pointers");
    let expected = [0, 0x0101_0000_0000_0014, 0x0041_0000_0000_0000, 0x0081_0000_001d_0008];
    assert_eq!(tail, expected, "tail");

    let mut registers = HashMap::new();
    for &word in body {
        let page = match target(word) {
            0x0201 => 1,
            0x0801 => 3,
            0x1001 => 4,
            0x2001 => 5,
            other => panic!("target {other:#x} in the body"),
        };
        assert_eq!(offset(word) >> 12, page, "{word:016x} goes to another block");
        let again = registers.insert(offset(word), value(word));
        assert_eq!(again, None, "{:#x} written twice", offset(word));
    }
    for forbidden in [0x1004, 0x3004, 0x300c, 0x1090] {
        assert!(!registers.contains_key(&forbidden), "{forbidden:#x} is not ours to write");
    }
    let get = |offset: u64| registers[&offset];
    let field = |offset, high, low| bits(get(offset), high, low);
    let &Task { arithmetic, rows, cols, depth, a, a_pitch, b, c, c_pitch } = task;
    let row = depth * arithmetic.bytes();

    // The feature map, in the CNA and everywhere else.
    assert_eq!((field(0x1020, 26, 16), field(0x1020, 10, 0)), (1, rows), "width, height");
    assert_eq!((field(0x1024, 29, 16), field(0x1024, 15, 0)), (depth - 1, depth), "channels");
    assert_eq!((get(0x1028), field(0x102c, 21, 0)), (1, rows), "output positions");
    assert_eq!(field(0x1010, 13, 4), rows + 1, "grains");
    assert_eq!((field(0x1084, 29, 16), field(0x1084, 10, 0)), (1, rows), "DMA size");
    assert_eq!(field(0x1088, 15, 0), depth, "DMA channels");
    assert_eq!((field(0x3014, 31, 16), field(0x3014, 15, 0)), (rows - 1, 0), "CORE");
    assert_eq!((field(0x4030, 12, 0), field(0x4034, 12, 0)), (0, rows - 1), "DPU");
    assert_eq!((field(0x405c, 28, 16), field(0x405c, 12, 0)), (rows - 1, 0), "WDMA");
    assert_eq!((get(0x500c), get(0x5010)), (0, rows as u64 - 1), "RDMA");
    // The kernels.
    assert_eq!(get(0x1030) as usize, row * cols, "bytes of B");
    assert_eq!(field(0x1034, 18, 0), row, "bytes of a kernel");
    assert_eq!(field(0x1038, 13, 0), cols, "kernels");
    assert_eq!(field(0x1038, 28, 16), 1 << 8 | 1, "kernels of 1×1");
    assert_eq!(get(0x3018) as usize, cols - 1);
    assert_eq!((field(0x403c, 28, 16), field(0x403c, 12, 0)), (cols - 1, cols - 1));
    assert_eq!(field(0x4058, 12, 0), cols - 1);
    assert_eq!(get(0x5014) as usize, cols - 1);
    // The convolution buffer.
    let (data_bank, weight_bank) = (field(0x1040, 3, 0), field(0x1040, 7, 4));
    assert_eq!(field(0x1040, 31, 8), 0, "no reuse, no FC banks");
    let entries = field(0x1044, 12, 0);
    assert!(entries * 64 >= row && entries * 64 < row + 64, "entries");
    assert!(entries * 64 * rows <= data_bank * 32768, "A does not fit");
    assert!(data_bank <= 8 && data_bank + weight_bank == 12, "banks");
    assert!(32 * row <= weight_bank * 32768, "32 kernels do not fit");
    // Addresses and strides.
    assert_eq!((get(0x1070), get(0x1110), get(0x4020)), (a.into(), b.into(), c.into()));
    assert_eq!(field(0x100c, 31, 10), 1 << 19, "rows by line stride");
    assert_eq!((field(0x107c, 27, 0) * 16, get(0x1080)), (a_pitch, 0), "strides of A");
    let notch = field(0x4038, 12, 0);
    assert_eq!((1 + notch) * 16, c_pitch, "pitch of C");
    assert_eq!(field(0x4038, 28, 16), notch, "both halves of the notch");
    // int8 → int32 or fp16 → fp32, with every stage between bypassed.
    let group = match arithmetic {
        Arithmetic::Int8 => {
            assert_eq!((field(0x100c, 9, 0), get(0x3010)), (0, 0));
            assert_eq!((get(0x4010), get(0x4050)), (4 << 29, 0x7fe));
            32
        }
        Arithmetic::Fp16 => {
            assert_eq!((field(0x100c, 9, 0), get(0x3010)), (0x120, 0x201));
            assert_eq!((get(0x4010), get(0x4050)), (0xa800_0002, 0x36e));
            16
        }
    };
    assert_eq!((get(0x4024), get(0x40c0)), (16, group * 4), "surfaces and groups of C");
    assert_eq!((get(0x4040), get(0x4060), get(0x4070)), (0x53, 0x53, 0x383));
    assert_eq!((get(0x4080), get(0x4084), get(0x4088)), (0, 1, 0), "no conversion");
    // RDMA off.
    assert_eq!((get(0x5034) & 1, get(0x5044) >> 4 & 1, get(0x501c), get(0x5028)), (1, 1, 0, 0));
}

fn any_task() -> impl Strategy<Value = Task> {
    let addresses = (0u32..1 << 24, 0u32..1 << 24, 0u32..1 << 24);
    let arithmetic = prop_oneof![Just(Arithmetic::Int8), Just(Arithmetic::Fp16)];
    let shape = (arithmetic, 0.0f64..1.0, 0.0f64..1.0, 0.0f64..1.0);
    (shape, (0usize..200, 0usize..200), addresses).prop_map(
        |((arithmetic, depth, cols, rows), (a_slack, c_slack), (a, b, c))| {
            let limits = Rk3588.limits(arithmetic);
            let steps =
                |share: f64, max: usize, step| step * (1 + (share * (max / step) as f64) as usize);
            let depth = steps(depth, limits.max_depth, limits.depth_align);
            let cols = steps(cols, limits.max_cols, limits.col_align);
            Task {
                arithmetic,
                rows: steps(rows, Rk3588.max_rows(arithmetic, depth), 1),
                cols,
                depth,
                a: 16 * a,
                a_pitch: depth * arithmetic.bytes() + 16 * a_slack,
                b: 16 * b,
                c: 16 * c,
                c_pitch: 4 * cols + 16 * c_slack,
            }
        },
    )
}

proptest! {
    #[test]
    fn every_task_within_limits_decodes_to_what_was_asked(task in any_task()) {
        check_program(&task, &encode(&task));
    }
}

#[test]
fn every_limit_is_kept() {
    let fits = Task { a_pitch: 256, c_pitch: 256, ..dense(100, 64, 128) };
    check_program(&fits, &encode(&fits));
    let window_end = 0u32.wrapping_sub(16);
    let broken = [
        ("rows", Task { rows: 0, ..fits.clone() }),
        ("rows", Task { rows: 129, ..fits.clone() }),
        ("rows", dense(85, 32, 3072)),
        ("rows", dense(125, 32, 2080)),
        ("rows", dense_of(Arithmetic::Fp16, 125, 32, 1056)),
        ("cols", dense_of(Arithmetic::Fp16, 4, 24, 32)),
        ("depth", dense_of(Arithmetic::Fp16, 1, 32, 1568)),
        ("a_pitch", Task { arithmetic: Arithmetic::Fp16, a_pitch: 240, ..fits.clone() }),
        ("rows", Task { rows: usize::MAX, ..fits.clone() }),
        ("cols", Task { cols: 0, ..fits.clone() }),
        ("cols", Task { cols: 33, ..fits.clone() }),
        ("cols", dense(4, 1056, 32)),
        ("cols", Task { cols: usize::MAX, ..fits.clone() }),
        ("depth", Task { depth: 0, ..fits.clone() }),
        ("depth", Task { depth: 48, ..fits.clone() }),
        ("depth", dense(1, 32, 3104)),
        ("depth", Task { depth: usize::MAX - 31, ..fits.clone() }),
        ("a_pitch", Task { a_pitch: 0, ..fits.clone() }),
        ("a_pitch", Task { a_pitch: 112, ..fits.clone() }),
        ("a_pitch", Task { a_pitch: 136, ..fits.clone() }),
        ("a_pitch", Task { a_pitch: 1 << 32, ..fits.clone() }),
        ("c_pitch", Task { c_pitch: 240, ..fits.clone() }),
        ("c_pitch", Task { c_pitch: 264, ..fits.clone() }),
        ("c_pitch", Task { c_pitch: 8192 * 16, ..fits.clone() }),
        ("a =", Task { a: 0x1008, ..fits.clone() }),
        ("a =", Task { a: window_end, ..fits.clone() }),
        ("a =", Task { a_pitch: 1 << 28, ..fits.clone() }),
        ("b =", Task { b: 0x1004, ..fits.clone() }),
        ("b =", Task { b: window_end, ..fits.clone() }),
        ("c =", Task { c: 0x1001, ..fits.clone() }),
        ("c =", Task { c: window_end, ..fits.clone() }),
    ];
    for (what, task) in broken {
        match Rk3588.encode(&task) {
            Err(EncodeError(why)) => assert!(why.starts_with(what), "{task:?}: {why}"),
            Ok(_) => panic!("accepted {task:?}"),
        }
    }
    let furthest = Task { c_pitch: 8191 * 16, ..fits };
    check_program(&furthest, &encode(&furthest));
}

#[test]
fn the_limits_are_consistent() {
    assert_eq!(Rk3588.cores(), 3);
    for arithmetic in Arithmetic::ALL {
        let limits = Rk3588.limits(arithmetic);
        assert_eq!(limits.max_depth % limits.depth_align, 0);
        assert_eq!(limits.max_cols % limits.col_align, 0);
        for depth in (limits.depth_align..=limits.max_depth).step_by(limits.depth_align) {
            let rows = Rk3588.max_rows(arithmetic, depth);
            let task = dense_of(arithmetic, rows, limits.max_cols, depth);
            check_program(&task, &encode(&task));
            // The next row is refused, except where a multiple of 4 was preferred.
            let next = Task { rows: task.rows + 1, ..task };
            assert!(Rk3588.encode(&next).is_err());
        }
    }
}
