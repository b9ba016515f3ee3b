//! The host loops one by one, each over the lines of a whole operand or of a whole C.

use super::call::{Call, Prepared, nearest};
use npublas::npu::driver::Buffer;
use npublas::npu::engine::plan::Block;
use npublas::npu::guard::LineStats;
use npublas::npu::scheme::{Element, LineScan, Real};
use npublas::npu::verify::{Challenge, Exact};
use std::hint::black_box;

/// One loop, run once for each of n lines of n elements.
pub struct Loop<'a> {
    pub name: &'static str,
    /// Bytes that it reads and writes for each element.
    pub bytes: usize,
    pub run: Box<dyn FnMut() + 'a>,
}

/// All loops, on the data of a call.
pub fn loops<'a, R: Real + Element>(
    call: &'a Call<R>,
    challenge: &'a Exact,
    it: &'a Prepared<Exact>,
    device: &'a [(Block, Box<dyn Buffer>)],
) -> Vec<Loop<'a>> {
    let (scheme, n, plan) = (call.scheme, call.n, &call.plan);
    let (slices, pitch, groups) = (scheme.planes(), plan.pitch, scheme.groups.len());
    let size = size_of::<R>();
    let len = slices * pitch;
    let lines = move || call.a.chunks_exact(n);
    let scan = LineScan { max_abs: R::ONE, finite: true, nonzeros: n };
    let exponent = scheme.exponent(&[R::ONE], &scan);
    let planes = call.planes(&call.a[..n]);
    let packer = call.packer(challenge, true);
    let strip_pitch = packer.line_pitch();
    let strip = vec![1i8; 32 * strip_pitch];
    let results = call.results(challenge, it, nearest(0.5));
    let sums: Vec<i64> = (0..groups * n).map(|i| i as i64 * 7919 - 99_999).collect();
    let values = vec![0.75; n];

    let mut found: Vec<Loop<'a>> = Vec::new();
    let mut add = |name, bytes, run: Box<dyn FnMut() + 'a>| {
        found.push(Loop { name, bytes, run });
    };
    let (from, mut to) = (call.a.clone(), call.a.clone());
    add(
        "memcpy",
        2 * size,
        Box::new(move || {
            to.copy_from_slice(black_box(&from));
            black_box(&mut to);
        }),
    );
    let mut scratch = Default::default();
    add(
        "gather",
        2 * size,
        Box::new(move || {
            call.cols().visit(0..n, &mut scratch, |_, line| {
                black_box(line);
            });
        }),
    );
    add(
        "scan",
        size,
        Box::new(move || {
            lines().for_each(|line| {
                black_box(LineScan::of(line));
            });
        }),
    );
    let mut out = planes.clone();
    add(
        "split",
        size + slices,
        Box::new(move || {
            lines().for_each(|line| {
                scheme.split(line, exponent, pitch, &mut out);
                black_box(&out);
            });
        }),
    );
    let digits = planes.clone();
    add(
        "guard: stats",
        size + slices,
        Box::new(move || {
            lines().for_each(|line| {
                black_box(LineStats::of(line, &scan, exponent, scheme, &digits, pitch));
            });
        }),
    );
    let (digits, mut u) = (strip.clone(), vec![0; len]);
    add(
        "verify: add_columns",
        slices,
        Box::new(move || {
            for first in (0..n).step_by(32) {
                let cols = first..n.min(first + 32);
                challenge.add_columns(cols, black_box(&digits), strip_pitch, &mut u);
            }
            black_box(&u);
        }),
    );
    let digits = planes.clone();
    add(
        "verify: expect",
        9 * slices,
        Box::new(move || {
            (0..n).for_each(|_| {
                black_box(Exact::expect(black_box(&digits), &it.vectors[0]));
            });
        }),
    );
    let bytes: Vec<u8> = planes.iter().map(|d| d.cast_unsigned()).collect();
    add(
        "pack A",
        2 * slices,
        Box::new(move || {
            (0..n).for_each(|i| call.buffers[0].a.write(i * len, black_box(&bytes)));
        }),
    );
    let mut block = Vec::new();
    add(
        "pack B",
        2 * scheme.products(),
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
    let (row, mut added) = (vec![7919; n], vec![0; n]);
    add(
        "verify: confirm",
        24,
        Box::new(move || {
            (0..n).for_each(|_| {
                let mut seen = 0;
                challenge.observe(0, 0, black_box(&row), &mut added, &mut seen);
                black_box(seen);
            });
        }),
    );
    let mut joined = values.clone();
    add(
        "recombine: join",
        8 * groups + 12,
        Box::new(move || {
            (0..n).for_each(|_| {
                scheme.join(black_box(&sums), 5, &it.cols.exponents, &mut joined);
                black_box(&joined);
            });
        }),
    );
    let (first, mut c) = (values.clone(), vec![nearest::<R>(0.5); n]);
    add(
        "recombine: finish",
        8 + size,
        Box::new(move || {
            (0..n).for_each(|_| {
                Real::finish_row(nearest::<R>(0.7), black_box(&first), R::ZERO, &mut c)
            });
            black_box(&c);
        }),
    );
    let mut c = vec![nearest::<R>(0.5); n];
    add(
        "finish with beta",
        8 + 2 * size,
        Box::new(move || {
            (0..n).for_each(|_| {
                c.fill(nearest(0.5));
                Real::finish_row(nearest::<R>(0.7), black_box(&values), nearest(0.5), &mut c);
            });
            black_box(&c);
        }),
    );
    found
}
