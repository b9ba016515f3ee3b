//! What the blocks must agree on, and what the convolution buffer (CBUF) can hold.

use super::Hang;
use super::cna::Cna;
use super::core::CoreUnit;
use super::dpu::Dpu;

/// Bytes of one CBUF bank.
pub const BANK_BYTES: usize = 32 * 1024;
/// Banks of the CBUF; features and weights share them.
const BANKS: usize = 12;
/// Bytes of one CBUF entry. A feature row always takes whole entries.
const ENTRY_BYTES: usize = 64;
/// Largest result. More than the most rows that the CBUF holds times the most kernels (369 MB)
/// cannot be meant, and would only make the model slow.
const RESULT_BYTES_MAX: u64 = 512 << 20;

/// Compares the blocks with each other, and the task with the CBUF.
///
/// # Errors
/// A contradiction; an impossible split of the banks; a kernel larger than the weight banks.
pub fn check(cna: &Cna, core: &CoreUnit, dpu: &Dpu) -> Result<(), Hang> {
    for (input, block) in [(core.input, "CORE_MISC_CFG"), (dpu.input, "DPU_DATA_FORMAT")] {
        require!(
            input == cna.input,
            "{block} processes {}, but CNA_CONV_CON1 {}",
            input.name(),
            cna.input.name()
        );
    }
    for (kernels, block) in
        [(core.kernels, "CORE_DATAOUT_SIZE_1"), (dpu.kernels, "DPU_DATA_CUBE_CHANNEL")]
    {
        require!(
            kernels == cna.kernels,
            "{block} says {kernels} kernels, but CNA_WEIGHT_SIZE2 {}",
            cna.kernels
        );
    }
    require!(
        (core.width, core.height) == (cna.width, cna.height),
        "CORE_DATAOUT_SIZE_0 says {}x{} positions, but CNA_DATA_SIZE0 {}x{}",
        core.width,
        core.height,
        cna.width,
        cna.height
    );
    // The DPU takes a stream of positions and may break it into rows of its own: programs that
    // read a wide cube and write row-major, or the reverse, run on boards.
    let (positions, written) = (cna.positions(), dpu.width * dpu.height);
    require!(
        written == positions,
        "the DPU's {}x{} plane has {written} positions, but CNA_DATA_SIZE0 {positions}",
        dpu.width,
        dpu.height
    );
    let result = (positions * cna.kernels * dpu.output.bytes()) as u64;
    require!(result <= RESULT_BYTES_MAX, "a result of {result} bytes cannot be meant");
    check_banks(cna)
}

/// The split of the CBUF.
fn check_banks(cna: &Cna) -> Result<(), Hang> {
    let Cna { data_banks, weight_banks, entries, .. } = *cna;
    require!(
        data_banks > 0 && weight_banks > 0 && data_banks + weight_banks <= BANKS,
        "CNA_CBUF_CON0: {data_banks} data and {weight_banks} weight banks of {BANKS}"
    );
    let row = (cna.width * cna.channel_bytes()).div_ceil(ENTRY_BYTES);
    require!(
        entries >= row,
        "CNA_CBUF_CON1: {entries} entries, but a row of {} positions takes {row}",
        cna.width
    );
    require!(
        cna.channel_bytes() <= weight_banks * BANK_BYTES,
        "a kernel of {} bytes does not fit {weight_banks} weight banks",
        cna.channel_bytes()
    );
    Ok(())
}

/// How many positions the data banks hold, counted from the first: `entries * 64 * rows <=
/// data_banks * 32768`. Hardware takes more without complaint and garbles the rest.
pub fn resident_positions(cna: &Cna) -> usize {
    let capacity = cna.data_banks * BANK_BYTES;
    let rows = capacity / (cna.entries * ENTRY_BYTES);
    let in_one_row = capacity / cna.channel_bytes();
    if cna.height == 1 { cna.width.min(in_one_row) } else { cna.height.min(rows) * cna.width }
}

/// Whether all kernels stay in the weight banks, so that the next task may reuse them.
pub fn weights_resident(cna: &Cna) -> bool {
    cna.kernels * cna.channel_bytes() <= cna.weight_banks * BANK_BYTES
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::precision::Input;

    fn tall(height: usize, channels: usize, data_banks: usize) -> Cna {
        Cna {
            input: Input::Int8,
            width: 1,
            height,
            channels,
            kernels: 32,
            feature: 0,
            line: 1,
            surface: height as i64,
            weights: 0,
            entries: channels.div_ceil(64),
            data_banks,
            weight_banks: BANKS - data_banks,
            data_reuse: false,
            weight_reuse: false,
        }
    }

    /// The shapes that boards garble when the banks are counted from bytes instead of entries.
    #[test]
    fn the_rule_finds_the_shapes_that_boards_garble() {
        for (rows, garbled) in
            [(144usize, &[7, 21, 35][..]), (192, &[5, 21, 37]), (240, &[17, 21, 25, 29])]
        {
            for groups in garbled {
                let channels = groups * 32;
                let banks = (rows * channels).div_ceil(BANK_BYTES);
                assert!(resident_positions(&tall(rows, channels, banks)) < rows);
                assert_eq!(resident_positions(&tall(rows, channels, banks + 1)), rows);
            }
            for channels in [64usize, 512, 1024] {
                let banks = (rows * channels).div_ceil(BANK_BYTES);
                assert_eq!(resident_positions(&tall(rows, channels, banks)), rows);
            }
        }
    }

    #[test]
    fn one_row_of_many_positions_is_counted_in_bytes() {
        let wide = Cna { width: 1000, height: 1, entries: 1500, ..tall(1, 96, 2) };
        assert_eq!(resident_positions(&wide), 2 * BANK_BYTES / 96);
    }

    #[test]
    fn a_kernel_must_fit_its_banks() {
        let cna = Cna { weight_banks: 1, ..tall(1, BANK_BYTES, 1) };
        assert!(check_banks(&cna).is_ok());
        let cna = Cna { weight_banks: 1, ..tall(1, BANK_BYTES + 32, 2) };
        let hang = check_banks(&cna).unwrap_err();
        assert!(hang.reason.contains("does not fit 1 weight banks"), "{hang}");
    }
}
