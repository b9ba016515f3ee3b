//! What one task leaves for the next: shadow registers, the convolution buffer, reports.

use super::support::*;
use npu_sim::model::{Core, Hang, TaskReport};

/// Memory of the worked example with random operands.
fn ram() -> Ram {
    let ram = worked_ram();
    ram.put(A, &Random(1).operands(Types::Fp16ToFp32, 4 * 32));
    ram.put(B, &Random(2).operands(Types::Fp16ToFp32, 32 * 16));
    ram
}

fn step(core: &mut Core, ram: &Ram, program: &Program) -> Result<TaskReport, Hang> {
    ram.put(PROGRAM, &program.bytes());
    core.run(ram, program.kick())
}

/// The C of the worked example after one task in fresh memory.
fn expected() -> Vec<u8> {
    let ram = ram();
    step(&mut core(), &ram, &Program::worked()).unwrap();
    ram.bytes(C)
}

#[test]
fn a_register_that_is_not_written_keeps_the_value_of_two_tasks_back() {
    let (ram, mut core) = (ram(), core());
    let mut elsewhere = Program::worked();
    elsewhere.set(0x4020, C + 0x800);
    let mut silent = Program::worked();
    silent.0.remove(silent.index(0x4020));
    silent.0.insert(0, 0);

    step(&mut core, &ram, &elsewhere).unwrap();
    step(&mut core, &ram, &Program::worked()).unwrap();
    ram.put(C, &[0; 0x1000]);
    let report = step(&mut core, &ram, &silent).unwrap();
    assert_eq!(report.warnings, ["kept from the task two back: DPU_DST_BASE_ADDR = 0x3800"]);
    assert_eq!(ram.bytes(C)[..0x800], [0; 0x800]);
    assert_eq!(ram.bytes(C)[0x800..], expected()[..0x800]);

    // the other group has the other address
    step(&mut core, &ram, &silent).unwrap();
    assert_eq!(ram.bytes(C)[..0x800], expected()[..0x800]);

    // a reset forgets both: address 0 is not mapped here
    core.reset();
    let hang = step(&mut core, &ram, &silent).unwrap_err();
    assert!(hang.reason.contains("result write"), "{hang}");
}

#[test]
fn a_task_after_a_refused_one_runs() {
    let (ram, mut core) = (ram(), core());
    step(&mut core, &ram, Program::worked().set(0x1040, 0xff)).unwrap_err();
    step(&mut core, &ram, &Program::worked()).unwrap();
    assert_eq!(ram.bytes(C), expected());
}

#[test]
fn reused_operands_come_from_the_buffer() {
    for (bit, operand) in [(1 << 12, A), (1 << 13, B)] {
        let (ram, mut core) = (ram(), core());
        let mut reuse = Program::worked();
        reuse.set(0x1040, reuse.get(0x1040) | bit);

        let hang = step(&mut core, &ram, &reuse).unwrap_err();
        assert!(hang.reason.contains("does not hold"), "{hang}");

        let first = step(&mut core, &ram, &Program::worked()).unwrap();
        ram.put(operand, &[0; 0x400]);
        for _ in 0..2 {
            ram.put(C, &[0; 0x1000]);
            let report = step(&mut core, &ram, &reuse).unwrap();
            assert!(report.bytes_read < first.bytes_read);
            assert_eq!(ram.bytes(C), expected());
        }

        core.begin_job();
        step(&mut core, &ram, &reuse).unwrap_err();
    }
}

#[test]
fn operands_of_another_shape_are_not_reused() {
    for bit in [1 << 12, 1 << 13] {
        let (ram, mut core) = (ram(), core());
        step(&mut core, &ram, &Program::worked()).unwrap();
        let mut reuse = Program::worked();
        reuse.set(0x1040, 0xa2 | bit);
        let hang = step(&mut core, &ram, &reuse).unwrap_err();
        assert!(hang.reason.contains("another shape"), "{hang}");
    }
}

#[test]
fn streamed_weights_are_not_left_in_the_buffer() {
    let tall = Form::Tall { total: 4 };
    let product = Product {
        types: Types::Int8ToInt32,
        m: 4,
        n: 1024,
        k: 512,
        a: tall,
        c: tall,
        at: [0x10_0000, 0x20_0000, 0x30_0000],
        data_banks: 1,
    };
    let ram = product.ram(&[0; 4 * 512], &vec![0; 1024 * 512]);
    let mut core = core();
    step(&mut core, &ram, &product.program()).unwrap();
    let mut reuse = product.program();
    reuse.set(0x1040, reuse.get(0x1040) | 1 << 13);
    let hang = step(&mut core, &ram, &reuse).unwrap_err();
    assert!(hang.reason.contains("does not hold"), "{hang}");
}

#[test]
fn rows_that_overflow_their_banks_come_out_garbled() {
    // 35 half-filled last entries per row: the bytes fit 9 banks exactly, the entries do not
    let (m, k) = (144, 35 * 32);
    let tall = Form::Tall { total: m };
    let at = [0x10_0000, 0x20_0000, 0x30_0000];
    let enough = Product {
        types: Types::Int8ToInt32,
        m,
        n: 32,
        k,
        a: tall,
        c: tall,
        at,
        data_banks: (m * k.div_ceil(64) * 64).div_ceil(32768),
    };
    let tight = Product { data_banks: (m * k).div_ceil(32768), ..enough };
    assert_eq!((enough.data_banks, tight.data_banks), (6, 5));

    let a = Random(3).operands(enough.types, m * k);
    let b = Random(4).operands(enough.types, k * 32);
    let oracle = enough.oracle(&a, &b);
    for (product, warnings) in [(enough, 0), (tight, 1)] {
        let ram = product.ram(&a, &b);
        let report = step(&mut core(), &ram, &product.program()).unwrap();
        assert_eq!(report.warnings.len(), warnings, "{:?}", report.warnings);
        let c = product.unpack_c(&ram.bytes(at[2]));
        let good = if warnings == 0 { m } else { 5 * 32768 / (18 * 64) };
        assert_eq!(c[..good * 32], oracle[..good * 32]);
        assert!(c[good * 32..].iter().zip(&oracle[good * 32..]).all(|(c, right)| c != right));
    }

    // what does not fit is fetched all the same
    let mut outside = tight.program();
    let hang = step(&mut core(), &tight.ram(&a, &b), outside.set(0x1070, at[0] + 16)).unwrap_err();
    assert!(hang.reason.contains("feature fetch"), "{hang}");
}

#[test]
fn reports_count_what_the_task_did() {
    let report = run(&Program::worked()).unwrap();
    assert_eq!(report.macs, 4 * 32 * 16);
    assert_eq!(report.bytes_read, 4 * 32 * 2 + 32 * 16 * 2 + 126 * 8);
    assert_eq!(report.bytes_written, 4 * 16 * 4);
    assert!((4e-6..5e-6).contains(&report.seconds), "{}", report.seconds);
    assert_eq!(report.what, "fp16 4x16x32 -> fp32, A tall cube, C tall cube");
    assert!(report.warnings.is_empty());
}
