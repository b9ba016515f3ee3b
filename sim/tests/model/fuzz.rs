//! The words are a trust boundary: whatever they say, the model answers, quickly.

use super::support::*;
use npu_sim::model::{Kick, TaskReport};
use proptest::prelude::*;

/// Programs to mutate.
fn seeds() -> Vec<Program> {
    let small =
        |types, a, c| Product { types, m: 8, n: 32, k: 32, a, c, at: [A, B, C], data_banks: 2 };
    let tall = Form::Tall { total: 8 };
    vec![
        Program::worked(),
        Program::worked().without_rdma().clone(),
        small(Types::Int8ToInt32, tall, Form::Rows { pitch: 32 }).program(),
        small(Types::Fp16ToFp16, Form::Wide { total: 8 }, tall).program(),
        small(Types::Int16ToInt32, Form::Rows { pitch: 32 }, tall).program(),
        small(Types::Int8ToFp32, Form::Panels { width: 8 }, Form::Panels { width: 8 }).program(),
    ]
}

/// Runs `words` twice, so that both register groups are used, in memory that maps far more than
/// the seeds need.
fn survives(words: &[u64], amount: u32) -> Option<TaskReport> {
    let ram = Ram::new().map(0, vec![0x5a; 1 << 20]);
    let bytes: Vec<u8> = words.iter().flat_map(|w| w.to_le_bytes()).collect();
    let mut core = core();
    let mut last = None;
    for _ in 0..2 {
        ram.put(PROGRAM, &bytes);
        last = core.run(&ram, Kick { regcmd: PROGRAM, amount }).ok();
    }
    last
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(512) })]

    #[test]
    fn random_words(words in prop::collection::vec(any::<u64>(), 1..200), amount in 0..200u32) {
        survives(&words, amount);
    }

    #[test]
    fn known_targets_with_random_values(
        picks in prop::collection::vec((any::<prop::sample::Index>(), any::<u32>()), 1..300),
    ) {
        let known = Program::worked().0;
        let words: Vec<u64> = picks
            .iter()
            .map(|(pick, value)| *pick.get(&known) & !(0xffff_ffff << 16) | u64::from(*value) << 16)
            .chain([0x0041_0000_0000_0000, 0x0081_0000_000d_0008])
            .collect();
        survives(&words, words.len().div_ceil(2) as u32 - 1);
    }

    #[test]
    fn programs_with_a_few_wrong_bits(
        seed in 0..6usize,
        flips in prop::collection::vec((any::<prop::sample::Index>(), 0..64u32), 0..4),
    ) {
        let mut program = seeds()[seed].clone();
        for (index, bit) in &flips {
            let at = index.index(program.0.len());
            program.0[at] ^= 1 << bit;
        }
        let report = survives(&program.0, program.kick().amount);
        prop_assert!(!flips.is_empty() || report.is_some());
    }

    #[test]
    fn programs_with_a_few_other_values(
        seed in 0..6usize,
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u32>(), 0..32u32), 1..4),
    ) {
        let mut program = seeds()[seed].clone();
        for (index, value, shift) in &changes {
            let at = index.index(program.0.len() - 4);
            program.0[at] = program.0[at] & !(0xffff_ffff << 16) | u64::from(value >> shift) << 16;
        }
        survives(&program.0, program.kick().amount);
    }
}

/// Consistent sizes at the ends of their fields: nothing overflows, nothing large is allocated
/// before the memory is known to be there.
#[test]
fn programs_of_extreme_size() {
    for (m, n, k) in [(2047, 8192, 16384), (1, 8192, 16384), (2047, 32, 32), (1, 32, 16384)] {
        for types in [Types::Int8ToInt32, Types::Fp16ToFp16] {
            for a in [Form::Tall { total: m }, Form::Wide { total: m }, Form::Rows { pitch: k }] {
                let c = Form::Rows { pitch: n };
                let product = Product { types, m, n, k, a, c, at: [0, 0, 0], data_banks: 11 };
                survives(&product.program().0, 62);
                let far = Product { at: [0xffff_fff0; 3], ..product };
                survives(&far.program().0, 62);
            }
        }
    }
}

/// Result surfaces on top of each other are written, however little sense they make.
#[test]
fn results_that_overlap() {
    for (surface, notch) in [(0, 0), (16, 0), (0, 0x1fff)] {
        let mut program = Program::worked();
        program.set(0x4024, surface).set(0x40c0, 4 * surface).set(0x4038, notch << 16 | notch);
        assert!(survives(&program.0, 62).is_some());
    }
}
