//! Predicted device time of one task.

use super::Machine;
use super::precision::Input;

/// Multiply-accumulates per cycle of one core, and the part of them that the best known programs
/// reach (1.8 of 2.05 TOPS int8).
const INT8_MACS_PER_CYCLE: f64 = 1024.0;
const UTILISATION: f64 = 0.85;
/// DRAM bytes per second that the three cores pull together; one core is given its third.
const DMA_BYTES_PER_SECOND: f64 = 22e9 / 3.0;
/// Kick, interrupt and pipeline fill of one task.
const TASK_SECONDS: f64 = 4e-6;

/// Time of a task of `macs` multiply-accumulates that moves `bytes`: the slower of arithmetic and
/// DMA, which overlap, plus the fixed cost.
pub fn seconds(machine: Machine, input: Input, macs: u64, bytes: u64) -> f64 {
    let per_cycle = INT8_MACS_PER_CYCLE / input.bytes() as f64;
    let arithmetic = macs as f64 / (per_cycle * UTILISATION * machine.clock_mhz * 1e6);
    let dma = bytes as f64 / DMA_BYTES_PER_SECOND;
    TASK_SECONDS + arithmetic.max(dma)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_slower_of_arithmetic_and_dma_decides() {
        let machine = Machine { clock_mhz: 1000.0 };
        let macs = 128 * 1024 * 8192;
        let busy = seconds(machine, Input::Int8, macs, 0);
        assert!((1.2e-3..1.3e-3).contains(&busy), "{busy}");
        let half = seconds(machine, Input::Fp16, macs, 0);
        assert!((half / busy - 2.0).abs() < 0.01, "{half}");
        let dma = seconds(machine, Input::Int8, macs, 22_000_000);
        assert!((dma - 3.004e-3).abs() < 1e-6, "{dma}");
        let idle = seconds(machine, Input::Int8, 0, 0);
        assert_eq!(idle, TASK_SECONDS);
    }
}
