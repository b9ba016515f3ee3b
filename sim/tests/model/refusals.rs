//! One hand-made program per refusal. Each is the worked example with one thing wrong.

use super::support::*;
use npu_sim::model::Kick;

/// The program must hang, and the reason must say so.
fn refused(program: &Program, reason: &str) {
    match run(program) {
        Ok(report) => panic!("ran ({}), expected: {reason}", report.what),
        Err(hang) => assert!(hang.reason.contains(reason), "{hang}, expected: {reason}"),
    }
}

/// One register changed.
fn changed(register: u16, value: u32, reason: &str) {
    refused(Program::worked().set(register, value), reason);
}

#[test]
fn words_that_no_block_takes() {
    let with = |word: u64, reason: &str| {
        let mut program = Program::worked();
        let filler = program.0.len() - 4;
        program.0[filler] = word;
        refused(&program, reason);
    };
    with(0x0201_0000_0000_1048, "unknown CNA register 0x1048");
    with(0x0801_0000_0000_3034, "unknown CORE register 0x3034");
    with(0x1001_0000_0000_4008, "unknown DPU register 0x4008");
    with(0x2001_0000_0000_503c, "unknown DPU_RDMA register 0x503c");
    with(0x0301_0000_0000_100c, "unknown target 0x0301");
    with(0x1001_0000_0000_100c, "misrouted");
    with(0x0201_0000_0000_400c, "misrouted");
    with(0x4001_0000_0000_6004, "PPU");
    with(0x0001_0000_0001_0000, "filler");
    with(0x0101_0000_0001_0020, "PC register 0x0020");
    with(0x0081_0000_001d_0010, "op-enable is sent to 0x0010");
    with(0x0081_0000_001d_0008, "without the 0x0041 word");
}

#[test]
fn pointers_of_the_wrong_block_or_too_late() {
    for (word, reason) in [
        (0x0201_0000_000e_1004, "CNA_S_POINTER"),
        (0x0801_0000_000e_3004, "CORE_S_POINTER"),
        (0x1001_0000_001e_4004, "DPU_S_POINTER = 0x1e is not modelled"),
    ] {
        let mut program = Program::worked();
        program.0[122] = word;
        refused(&program, reason);
    }
    let mut program = Program::worked();
    program.0[0] = 0;
    refused(&program, "written before DPU_S_POINTER");
    let mut program = Program::worked();
    program.0[1] = 0;
    refused(&program, "written before DPU_RDMA_S_POINTER");
    let mut program = Program::worked().without_rdma().clone();
    program.0[1] = 0;
    refused(program.enable(0x1d), "DPU_RDMA_S_POINTER is not written");
}

#[test]
fn ends_that_start_nothing() {
    for (mask, reason) in [
        (0x00, "leaves CNA off"),
        (0x09, "leaves CORE off"),
        (0x05, "leaves DPU off"),
        (0x0c, "leaves CNA off"),
        (0x18, "element-wise programs"),
        (0x60, "PPU"),
        (0x0f, "unknown blocks"),
        (0x8000_000d, "unknown blocks"),
    ] {
        refused(Program::worked().enable(mask), reason);
    }
    let mut program = Program::worked();
    program.0[124] = 0;
    refused(&program, "without the 0x0041 word");
    let mut program = Program::worked();
    program.0[125] = 0;
    refused(&program, "no op-enable");
}

#[test]
fn kicks_that_miss_the_program() {
    let program = Program::worked();
    let ram = worked_ram();
    ram.put(PROGRAM, &program.bytes());
    let kick = program.kick();
    for (kick, reason) in [
        (Kick { amount: 61, ..kick }, "no op-enable within the 124 words"),
        (Kick { regcmd: PROGRAM + 8, ..kick }, "not aligned"),
        (Kick { regcmd: PROGRAM + 1, ..kick }, "slave mode"),
        (Kick { regcmd: 0x7fff_0000, ..kick }, "program fetch"),
        (Kick { amount: 0x200, ..kick }, "program fetch"),
        (Kick { amount: 0x1_0000, ..kick }, "wider than its 16 bits"),
    ] {
        let hang = core().run(&ram, kick).unwrap_err();
        assert!(hang.reason.contains(reason), "{hang}, expected: {reason}");
    }

    // zeros behind the program are fillers, anything else is not
    core().run(&ram, Kick { amount: 63, ..kick }).unwrap();
    ram.put(PROGRAM + 127 * 8, &0x0201_0000_0009_1014u64.to_le_bytes());
    let hang = core().run(&ram, Kick { amount: 63, ..kick }).unwrap_err();
    assert!(hang.reason.contains("word 127 lies behind the op-enable of word 125"), "{hang}");
}

#[test]
fn values_wider_than_their_fields() {
    changed(0x1010, 1024 << 4, "CNA_CONV_CON2");
    changed(0x1020, 2500 << 16 | 4, "CNA_DATA_SIZE0 = 0x9c40004: bits 0x8000000");
    changed(0x1020, 1 << 16 | 2048, "CNA_DATA_SIZE0");
    changed(0x1024, 0x4000_0020, "CNA_DATA_SIZE1");
    changed(0x1034, 0x8_0000, "CNA_WEIGHT_SIZE1");
    changed(0x1038, 0x0101_4000, "CNA_WEIGHT_SIZE2");
    changed(0x1044, 0x2000, "CNA_CBUF_CON1");
    changed(0x1080, 0xffff_fffd, "CNA_DMA_CON2");
    changed(0x4030, 0x2000, "DPU_DATA_CUBE_WIDTH");
    changed(0x4038, 0x2000, "DPU_DATA_CUBE_NOTCH");
    changed(0x5034, 0x10, "RDMA_ERDMA_CFG");
}

#[test]
fn addresses_that_are_misaligned() {
    changed(0x1070, A + 8, "CNA_FEATURE_DATA_ADDR = 0x1008 is not aligned");
    changed(0x1110, B + 4, "CNA_DCOMP_ADDR0 = 0x2004 is not aligned");
    changed(0x4020, C + 8, "DPU_DST_BASE_ADDR");
    changed(0x4024, 0x48, "DPU_DST_SURF_STRIDE");
    changed(0x40c0, 0x108, "DPU_SURFACE_ADD");
}

#[test]
fn addresses_that_are_not_mapped() {
    changed(0x1070, 0x6000, "feature fetch");
    changed(0x1070, A + 0xff0, "feature fetch");
    changed(0x1110, B + 0xff0, "weight fetch");
    changed(0x4020, C + 0xff0, "result write");
    changed(0x4020, 0xffff_fff0, "result write");
    // a negative surface stride leaves the buffer downwards
    changed(0x1080, 0x0f00_0000, "feature fetch");
    refused(Program::worked().set(0x100c, 0x2000_0120).set(0x107c, 0x0fff_ffff), "feature fetch");
}

#[test]
fn sizes_that_contradict_each_other() {
    changed(0x1020, 1 << 16 | 8, "CNA_DATA_SIZE3");
    changed(0x1020, 1 << 16, "an empty product");
    changed(0x1024, 0x001e_0020, "CNA_DATA_SIZE1[29:16]");
    changed(0x1024, 0x002f_0030, "48 channels are not whole groups of 32");
    changed(0x1028, 2, "CNA_DATA_SIZE2");
    changed(0x102c, 5, "CNA_DATA_SIZE3");
    changed(0x1030, 0x401, "CNA_WEIGHT_SIZE0 = 1025");
    changed(0x1034, 0x41, "CNA_WEIGHT_SIZE1");
    changed(0x1038, 0x0101_0020, "CNA_WEIGHT_SIZE0");
    changed(0x1038, 0x0101_0018, "24 kernels are not whole groups of 16");
    changed(0x1038, 0x0301_0010, "CNA_WEIGHT_SIZE2[28:24] = 3");
    changed(0x1084, 1 << 16 | 5, "CNA_FC_DATA_SIZE0");
    changed(0x1088, 0x40, "CNA_FC_DATA_SIZE1");
    changed(0x107c, 5, "four rows of 1 atoms make 4");
    changed(0x3014, 0x0004_0000, "CORE_DATAOUT_SIZE_0");
    changed(0x3018, 0x1f, "CORE_DATAOUT_SIZE_1");
    changed(0x4030, 1, "DPU_WDMA_SIZE_1");
    changed(0x4038, 1, "DPU_DATA_CUBE_NOTCH[28:16]");
    changed(0x403c, 0x000f_001f, "DPU_DATA_CUBE_CHANNEL");
    changed(0x4058, 0x1f, "DPU_WDMA_SIZE_0");
    refused(
        Program::worked().set(0x4034, 4).set(0x405c, 0x0004_0000).set(0x5010, 4),
        "the DPU's 1x5 plane has 5 positions",
    );
    refused(
        Program::worked().set(0x403c, 0x001f_001f).set(0x4058, 0x1f).set(0x5014, 0x1f),
        "DPU_DATA_CUBE_CHANNEL says 32 kernels",
    );
}

#[test]
fn splits_of_the_buffer_that_do_not_exist() {
    changed(0x1040, 0xc1, "1 data and 12 weight banks of 12");
    changed(0x1040, 0xb0, "0 data");
    changed(0x1040, 0x0b, "0 weight");
    changed(0x1040, 0x1b1, "fc_data_bank");
    changed(0x1044, 0, "0 entries");
}

#[test]
fn types_that_do_not_fit() {
    changed(0x100c, 0x1a0, "precision differ");
    changed(0x100c, 0x1b0, "bf16 operands");
    changed(0x100c, 0x360, "int4 operands");
    changed(0x100c, 0x3f0, "tf32 operands");
    changed(0x3010, 0x001, "CORE_MISC_CFG processes int8, but CNA_CONV_CON1 fp16");
    changed(0x4010, 0xa800_0000, "precision differ");
    changed(0x4010, 0x8800_0002, "fp16 products to int32");
    // integer size_e under a float, float size_e under an integer, either surface step
    changed(0x4050, 0x7fe, "size_e 7, but fp16 to fp32 fills 4");
    changed(0x40c0, 0x200, "DPU_SURFACE_ADD = 0x200 is not 4 surfaces");
    let tall = Form::Tall { total: 4 };
    for (types, size_e, wrong) in [
        (Types::Int8ToInt32, 0x36e, "size_e 3, but int8 to int32 fills 8"),
        (Types::Int16ToInt32, 0x7fe, "size_e 7, but int16 to int32 fills 4"),
        (Types::Fp16ToFp16, 0x36e, "size_e 3, but fp16 to fp16 fills 2"),
    ] {
        let at = [A, B, C];
        let product = Product { types, m: 4, n: 32, k: 32, a: tall, c: tall, at, data_banks: 2 };
        run(&product.program()).unwrap();
        refused(product.program().set(0x4050, size_e), wrong);
        refused(product.program().set(0x40c0, 0x140), "DPU_SURFACE_ADD");
    }
    changed(0x4084, 0x1_0001, "fp32tofp16 is 1, but the output is fp32");
    changed(0x4084, 5, "DPU_OUT_CVT: scaled");
}

#[test]
fn fetchers_that_nobody_drains() {
    changed(0x5044, 0x7800, "MRDMA");
    changed(0x5034, 0, "ERDMA");
    changed(0x501c, 2, "BRDMA");
    changed(0x5028, 2, "NRDMA");
    changed(0x5044, 0x7811, "flying");
    changed(0x5014, 0x1f, "RDMA_DATA_CUBE_CHANNEL = 31, but the DPU's is 15");
    changed(0x5010, 7, "RDMA_DATA_CUBE_HEIGHT");
    // the same words are harmless while the block stays off
    run(Program::worked().set(0x5034, 0).enable(0x0d)).unwrap();
}

#[test]
fn what_is_not_modelled_yet_is_named() {
    for (register, value, name) in [
        (0x100c, 0x123, "convolution mode 3"),
        (0x100c, 0x4000_0120, "non-aligned DMA"),
        (0x1010, 0x52, "sequencer"),
        (0x1010, 0, "grains"),
        (0x1014, 0x12, "CNA_CONV_CON3"),
        (0x104c, 0xa, "CNA_CVT_CON0"),
        (0x1068, 0x11, "padding"),
        (0x1100, 1, "decompression"),
        (0x3010, 0x203, "depthwise"),
        (0x301c, 1, "CORE_CLIP_TRUNCATE"),
        (0x400c, 0x1e5, "flying mode"),
        (0x400c, 0x1e2, "output mode"),
        (0x4010, 0xa800_000a, "shifts"),
        (0x4040, 0x52, "bias"),
        (0x4060, 0x52, "batch norm"),
        (0x4070, 0x382, "element-wise"),
        (0x4054, 1, "DPU_BS_OW_OP"),
        (0x40c4, 1, "DPU_40C4"),
        (0x4088, 1 << 31, "float converter"),
    ] {
        changed(register, value, name);
    }
    let mut gating = Program::worked();
    gating.0[122] = 0x0801_0000_0000_300c;
    refused(&gating, "CORE_MAC_GATING = 0");
    gating.0[122] = 0x0801_0700_0800_300c;
    refused(&gating, "CORE_MAC_GATING = 0x7000800");
    gating.0[122] = 0x0801_0780_0800_300c;
    run(&gating).unwrap();
}
