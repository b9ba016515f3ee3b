//! The host loops one by one, each over the lines of a whole operand or of a whole C.

use super::call::{Call, Prepared, SCHEME};
use npublas::npu::driver::Buffer;
use npublas::npu::engine::plan::Block;
use npublas::npu::guard::LineStats;
use npublas::npu::scheme::crt_int8::{II_8, II_15};
use npublas::npu::scheme::{LineScan, Real, Scheme};
use npublas::npu::verify;
use std::hint::black_box;

/// What a loop is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    Copy,
    Guard,
    Verification,
    Rest,
}

/// One loop, run once for each of n lines of n elements.
pub struct Loop<'a> {
    pub name: &'static str,
    pub part: Part,
    /// How often a call runs it: once per operand, or once for C.
    pub runs: usize,
    /// Bytes that it reads and writes for each element.
    pub bytes: usize,
    pub run: Box<dyn FnMut() + 'a>,
}

/// All loops, on the data of a call.
pub fn loops<'a>(
    call: &'a Call,
    it: &'a Prepared,
    device: &'a [(Block, Box<dyn Buffer>)],
) -> Vec<Loop<'a>> {
    let (n, plan, slices) = (call.n, &call.plan, SCHEME.planes());
    let (pitch, groups) = (plan.pitch, SCHEME.groups.len());
    let len = slices * pitch;
    let lines = move || call.a.chunks_exact(n);
    let scan = LineScan { max_abs: 1.0, finite: true, nonzeros: n };
    let exponent = SCHEME.exponent(&[1.0], &scan);
    let planes = call.planes(&call.a[..n]);
    let packer = call.packer();
    let strip_pitch = packer.line_pitch();
    let strip = vec![1i8; 32 * strip_pitch];
    let results = call.results(it, 0.5);
    let sums: Vec<i64> = (0..groups * n).map(|i| i as i64 * 7919 - 99_999).collect();
    let values = vec![0.75; n];

    let mut found: Vec<Loop<'a>> = Vec::new();
    let mut add = |name, part, runs, bytes, run: Box<dyn FnMut() + 'a>| {
        found.push(Loop { name, part, runs, bytes, run });
    };
    let (from, mut to) = (call.a.clone(), call.a.clone());
    add(
        "memcpy",
        Part::Copy,
        0,
        8,
        Box::new(move || {
            to.copy_from_slice(black_box(&from));
            black_box(&mut to);
        }),
    );
    let mut scratch = Default::default();
    add(
        "gather",
        Part::Rest,
        2,
        8,
        Box::new(move || {
            call.cols().visit(0..n, &mut scratch, |_, line| {
                black_box(line);
            });
        }),
    );
    add(
        "scan",
        Part::Rest,
        2,
        4,
        Box::new(move || {
            lines().for_each(|line| {
                black_box(LineScan::of(line));
            });
        }),
    );
    let mut out = planes.clone();
    add(
        "split",
        Part::Rest,
        2,
        4 + slices,
        Box::new(move || {
            lines().for_each(|line| {
                SCHEME.split(line, exponent, pitch, &mut out);
                black_box(&out);
            });
        }),
    );
    let digits = planes.clone();
    add(
        "guard: stats",
        Part::Guard,
        2,
        4 + slices,
        Box::new(move || {
            lines().for_each(|line| {
                black_box(LineStats::of(line, &scan, exponent, SCHEME, &digits, pitch));
            });
        }),
    );
    let (digits, mut u) = (planes.clone(), vec![0; len]);
    add(
        "verify: add_column",
        Part::Verification,
        1,
        17 * slices,
        Box::new(move || {
            (0..n).for_each(|j| call.challenge.add_column(j, black_box(&digits), &mut u));
            black_box(&u);
        }),
    );
    let digits = planes.clone();
    add(
        "verify: expect",
        Part::Verification,
        plan.tiles.len(),
        9 * slices,
        Box::new(move || {
            (0..n).for_each(|_| {
                black_box(verify::expect(black_box(&digits), &it.vectors[0]));
            });
        }),
    );
    let bytes: Vec<u8> = planes.iter().map(|d| d.cast_unsigned()).collect();
    add(
        "pack A",
        Part::Rest,
        1,
        2 * slices,
        Box::new(move || {
            (0..n).for_each(|i| call.buffers[0].a.write(i * len, black_box(&bytes)));
        }),
    );
    let mut block = Vec::new();
    add(
        "pack B",
        Part::Rest,
        1,
        2 * SCHEME.products(),
        Box::new(move || {
            for (tile, cols) in plan.tiles.iter().enumerate() {
                for first in (0..cols.len()).step_by(32) {
                    packer.write_strip((tile, first), black_box(&strip), &mut block);
                }
            }
        }),
    );
    let (mut part, mut unpacked) = (Vec::new(), Vec::new());
    add(
        "unpack",
        Part::Rest,
        1,
        12 * groups,
        Box::new(move || {
            for (block, buffer) in device {
                for row in block.rows.clone() {
                    results.read_sums(block, row, &**buffer, &mut part, &mut unpacked);
                    black_box(&unpacked);
                }
            }
        }),
    );
    let seen = sums.clone();
    add(
        "verify: observe",
        Part::Verification,
        1,
        8 * groups + 4,
        Box::new(move || {
            (0..n).for_each(|_| {
                black_box(call.challenge.observe(0, n, black_box(&seen)));
            });
        }),
    );
    let mut joined = values.clone();
    add(
        "recombine: join",
        Part::Rest,
        1,
        8 * groups + 12,
        Box::new(move || {
            (0..n).for_each(|_| {
                SCHEME.join(black_box(&sums), 5, &it.cols.exponents, &mut joined);
                black_box(&joined);
            });
        }),
    );
    let (first, mut c) = (values.clone(), vec![0.5; n]);
    add(
        "recombine: finish",
        Part::Rest,
        1,
        12,
        Box::new(move || {
            (0..n).for_each(|_| f32::finish_row(0.7, black_box(&first), 0.0, &mut c));
            black_box(&c);
        }),
    );
    let mut c = vec![0.5; n];
    add(
        "finish with beta",
        Part::Rest,
        0,
        16,
        Box::new(move || {
            (0..n).for_each(|_| {
                c.fill(0.5);
                f32::finish_row(0.7, black_box(&values), 0.5, &mut c);
            });
            black_box(&c);
        }),
    );
    residues::<f64>(call, &II_15, ["II-15: exponent", "II-15: split", "II-15: join"], &mut add);
    residues::<f32>(call, &II_8, ["II-8: exponent", "II-8: split", "II-8: join"], &mut add);
    found
}

/// The loops of a scheme that no call runs here.
fn residues<'a, R: Real>(
    call: &Call,
    scheme: &'static Scheme,
    [choose, split, join]: [&'static str; 3],
    add: &mut impl FnMut(&'static str, Part, usize, usize, Box<dyn FnMut() + 'a>),
) where
    f32: Into<R>,
{
    let (n, pitch, planes) = (call.n, call.plan.pitch, scheme.planes());
    let lines: Vec<R> = call.a.iter().map(|&x| x.into()).collect();
    let scan = LineScan::of(&lines[..n]);
    let exponent = scheme.exponent(&lines[..n], &scan) - 2;
    let operand = lines.clone();
    add(
        choose,
        Part::Rest,
        0,
        size_of::<R>(),
        Box::new(move || {
            operand.chunks_exact(n).for_each(|line| {
                black_box(scheme.exponent(line, &scan));
            });
        }),
    );
    let mut out = vec![0; planes * pitch];
    add(
        split,
        Part::Rest,
        0,
        size_of::<R>() + planes,
        Box::new(move || {
            lines.chunks_exact(n).for_each(|line| {
                scheme.split(line, exponent, pitch, &mut out);
                black_box(&out);
            });
        }),
    );
    let sums: Vec<i64> = (0..planes * n).map(|i| i as i64 * 7919 - 99_999).collect();
    let (exponents, mut joined) = (vec![exponent; n], vec![0.0; n]);
    add(
        join,
        Part::Rest,
        0,
        8 * planes + 12,
        Box::new(move || {
            (0..n).for_each(|_| {
                scheme.join(black_box(&sums), exponent, &exponents, &mut joined);
                black_box(&joined);
            });
        }),
    );
}
