//! Products on the model against the definition, bit for bit: the worked example and its
//! variants, every type, every form of A and C.

use super::support::*;

fn product(types: Types, m: usize, n: usize, k: usize) -> Product {
    let tall = Form::Tall { total: m };
    Product {
        types,
        m,
        n,
        k,
        a: tall,
        c: tall,
        at: [0x100_0000, 0x200_0000, 0x300_0000],
        data_banks: 6,
    }
}

/// Runs the product on random operands and compares all of C, the holes of it included.
fn check(product: Product, program: &Program) {
    let mut random = Random(product.m as u64 * 31 + product.k as u64);
    let a = random.operands(product.types, product.m * product.k);
    let b = random.operands(product.types, product.k * product.n);
    let ram = product.ram(&a, &b);
    ram.put(PROGRAM, &program.bytes());
    let report = core().run(&ram, program.kick()).unwrap_or_else(|e| panic!("{product:?}: {e}"));
    assert_eq!(report.warnings, [""; 0], "{product:?}");
    assert_eq!(report.macs, (product.m * product.n * product.k) as u64);
    let c = ram.bytes(product.at[2]);
    assert!(product.unpack_c(&c) == product.oracle(&a, &b), "{product:?}");
    let bytes = product.types.facts().3;
    let mut hole = vec![true; c.len()];
    for (row, column) in pairs(product.m, product.n) {
        let at = product.c.index(16 / bytes, product.n, row, column) * bytes;
        hole[at..at + bytes].fill(false);
    }
    assert!(c.iter().zip(hole).all(|(&byte, hole)| !hole || byte == 0xaa), "{product:?}: outside");
}

#[test]
fn the_worked_example_runs_as_listed() {
    let product = Product { at: [A, B, C], data_banks: 1, ..product(Types::Fp16ToFp32, 4, 16, 32) };
    check(product, &Program::worked());
    check(product, Program::worked().without_rdma());
}

#[test]
fn the_listed_variants_of_the_worked_example_run() {
    let base = product(Types::Fp16ToFp32, 4, 16, 32);
    let base = Product { at: [A, B, C], data_banks: 1, ..base };

    let mut half = Program::worked();
    half.set(0x4010, 0x4800_0002).set(0x4050, 0x126).set(0x4084, 0x1_0001).set(0x40c0, 0x80);
    check(Product { types: Types::Fp16ToFp16, ..base }, &half);
    check(Product { types: Types::Fp16ToFp16, ..base }, half.set(0x5044, 0x7818));

    let rows = Form::Rows { pitch: 32 };
    let mut row_major = Program::worked();
    row_major.set(0x100c, 0x2000_0120).set(0x107c, 4).set(0x1080, 0);
    row_major.set(0x4024, 0x10).set(0x4038, 0x0003_0003).set(0x40c0, 0x40);
    check(Product { a: rows, c: Form::Rows { pitch: 16 }, ..base }, &row_major);
    check(
        Product { a: rows, c: Form::Rows { pitch: 16 }, ..base },
        row_major.clone().without_rdma(),
    );

    let mut int8 = Program::worked();
    int8.set(0x100c, 0).set(0x1034, 0x20).set(0x1038, 0x0101_0020).set(0x3010, 0);
    int8.set(0x3018, 0x1f).set(0x4010, 0x8000_0000).set(0x403c, 0x001f_001f).set(0x4050, 0x7fe);
    int8.set(0x4058, 0x1f).set(0x40c0, 0x200).set(0x5014, 0x1f);
    let base = Product { types: Types::Int8ToInt32, n: 32, ..base };
    check(base, &int8);
    check(base, int8.clone().without_rdma());
    check(base, int8.set(0x1040, 0xa2).set(0x4050, 0x7fc));
}

/// Registers read 0 after reset, so other authors leave many of them out.
#[test]
fn zeros_need_not_be_written() {
    let base = product(Types::Fp16ToFp32, 4, 16, 32);
    let mut sparse = Program::worked();
    sparse.0.retain(|w| w >> 56 == 0 || w << 16 >> 32 != 0);
    sparse.0.insert(2, 0); // an even number of words
    assert_eq!(sparse.0.len(), 52);
    check(Product { at: [A, B, C], data_banks: 1, ..base }, &sparse);
}

#[test]
fn every_type_in_every_pair_of_forms() {
    for types in [
        Types::Int8ToInt32,
        Types::Int8ToFp32,
        Types::Int16ToInt32,
        Types::Fp16ToFp32,
        Types::Fp16ToFp16,
    ] {
        let (m, n, k) = (24, 96, 160);
        let forms = |pitch| {
            [
                Form::Tall { total: m },
                Form::Wide { total: m },
                Form::Rows { pitch },
                Form::Panels { width: 8 },
            ]
        };
        for a in forms(k) {
            for c in forms(n) {
                let product = Product { a, c, ..product(types, m, n, k) };
                check(product, &product.program());
                check(product, product.program().without_rdma());
            }
        }
    }
}

#[test]
fn tiles_of_larger_matrices_leave_the_rest_alone() {
    for types in [Types::Int8ToInt32, Types::Fp16ToFp32, Types::Fp16ToFp16] {
        let base = product(types, 20, 64, 96);
        for (a, c) in [
            (Form::Rows { pitch: 256 }, Form::Rows { pitch: 128 }),
            (Form::Tall { total: 64 }, Form::Tall { total: 48 }),
            (Form::Wide { total: 64 }, Form::Wide { total: 48 }),
            (Form::Wide { total: 33 }, Form::Rows { pitch: 72 }),
        ] {
            let product = Product { a, c, ..base };
            check(product, &product.program());
        }
    }
}

#[test]
fn few_and_odd_rows_run_in_every_form() {
    for m in [1, 2, 3, 5, 9, 31] {
        for (a, c) in [
            (Form::Tall { total: m }, Form::Tall { total: m }),
            (Form::Wide { total: m }, Form::Wide { total: m }),
            (Form::Rows { pitch: 64 }, Form::Rows { pitch: 32 }),
        ] {
            let product = Product { a, c, ..product(Types::Int8ToInt32, m, 32, 64) };
            check(product, &product.program());
        }
    }
}

#[test]
fn many_kernels_stream_through_the_weight_banks() {
    // 1 MiB of weights, 288 KiB of features: several chunks, several threads
    let base = product(Types::Int8ToInt32, 288, 1024, 1024);
    let rows = Form::Rows { pitch: 1024 };
    let product = Product { a: rows, c: rows, data_banks: 9, ..base };
    check(product, &product.program());
    let base = self::product(Types::Fp16ToFp32, 100, 512, 512);
    check(base, &base.program());
}

#[test]
fn halves_of_every_size_round_once_per_group() {
    for types in [Types::Fp16ToFp32, Types::Fp16ToFp16] {
        let product = product(types, 12, 32, 96);
        let mut random = Random(5);
        let a = random.halves(product.m * product.k);
        let b = random.halves(product.k * product.n);
        let ram = product.ram(&a, &b);
        core().run(&ram, product.program().kick()).unwrap();
        assert_eq!(product.unpack_c(&ram.bytes(product.at[2])), product.oracle(&a, &b));
    }
}

#[test]
fn int16_sums_saturate() {
    let product = product(Types::Int16ToInt32, 4, 16, 64);
    let fill = |value: i16, count: usize| value.to_le_bytes().repeat(count);
    for (x, y, expected) in
        [(i16::MIN, i16::MIN, i32::MAX), (i16::MIN, i16::MAX, i32::MIN), (32767, 1, 32767 * 64)]
    {
        let ram = product.ram(&fill(x, 4 * 64), &fill(y, 64 * 16));
        core().run(&ram, product.program().kick()).unwrap();
        assert_eq!(product.unpack_c(&ram.bytes(product.at[2])), [expected as u32; 64]);
    }
}

#[test]
fn infinities_and_nan_stay_in_their_rows() {
    let product = product(Types::Fp16ToFp32, 4, 16, 32);
    let mut a = Random(1).operands(product.types, 4 * 32);
    let b = Random(2).operands(product.types, 32 * 16);
    a[..2].copy_from_slice(&half::f16::INFINITY.to_le_bytes());
    a[64..66].copy_from_slice(&half::f16::NAN.to_le_bytes());
    let ram = product.ram(&a, &b);
    core().run(&ram, product.program().kick()).unwrap();
    let c = product.unpack_c(&ram.bytes(product.at[2]));
    assert!(c[..16].iter().all(|&x| f32::from_bits(x).is_infinite()));
    assert_eq!(c[16..32], [0x7fc0_0000; 16]);
    assert!(c[32..].iter().all(|&x| f32::from_bits(x).is_finite()));
}
