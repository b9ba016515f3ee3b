//! A core that does what the test says: its register commands are instructions of our own.

use std::time::Duration;

use npu_sim::driver::Engine;
use npu_sim::model::{Hang, Kick, Memory, TaskReport, Unmapped};

/// One instruction; four words in a stream.
#[derive(Debug, Clone, Copy)]
pub enum Step {
    /// Copies bytes: from, to, length.
    Copy(u64, u64, u64),
    /// Stores one byte: address, value.
    Store(u64, u8),
    /// Takes so many microseconds.
    Sleep(u64),
    /// Predicts so many milliseconds on the device.
    Predict(u64),
    /// Never completes.
    Hang,
    /// The model is broken.
    Panic,
}

/// Words per step.
const WORDS: usize = 4;

impl Step {
    fn encode(self) -> [u64; WORDS] {
        match self {
            Step::Copy(from, to, len) => [1, from, to, len],
            Step::Store(at, value) => [2, at, value.into(), 0],
            Step::Sleep(us) => [3, us, 0, 0],
            Step::Predict(ms) => [4, ms, 0, 0],
            Step::Hang => [5, 0, 0, 0],
            Step::Panic => [6, 0, 0, 0],
        }
    }
}

/// The stream of some steps.
pub fn stream(steps: &[Step]) -> Vec<u8> {
    steps.iter().flat_map(|step| step.encode()).flat_map(u64::to_ne_bytes).collect()
}

/// The core.
#[derive(Debug)]
pub struct Puppet;

impl Engine for Puppet {
    fn run(&mut self, memory: &dyn Memory, kick: Kick) -> Result<TaskReport, Hang> {
        let mut report = TaskReport { what: "puppet".into(), macs: 1, ..TaskReport::default() };
        let words = (kick.amount as usize + 1) * 2;
        let fault = |fault: Unmapped| Hang { reason: format!("page fault at {:#x}", fault.iova) };
        for step in 0..words / WORDS {
            let mut bytes = [0; WORDS * 8];
            let at = u64::from(kick.regcmd) + (step * bytes.len()) as u64;
            memory.read(at, &mut bytes).map_err(fault)?;
            let word = |i: usize| u64::from_ne_bytes(bytes[i * 8..][..8].try_into().unwrap());
            match word(0) {
                1 => {
                    let mut data = vec![0; word(3) as usize];
                    memory.read(word(1), &mut data).map_err(fault)?;
                    memory.write(word(2), &data).map_err(fault)?;
                    report.bytes_written += word(3);
                }
                2 => memory.write(word(1), &[word(2) as u8]).map_err(fault)?,
                3 => std::thread::sleep(Duration::from_micros(word(1))),
                4 => report.seconds += word(1) as f64 * 1e-3,
                6 => panic!("a puppet with a broken string"),
                _ => return Err(Hang { reason: "told to hang".into() }),
            }
        }
        Ok(report)
    }

    fn reset(&mut self) {}
}
