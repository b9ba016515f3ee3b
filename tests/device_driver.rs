//! The driver and the chip against a device: the first one found.

use npublas::config::Device;
use npublas::npu::chip::{Arithmetic, Chip, Task};
use npublas::npu::driver::{Buffer, Context, Driver, DriverError, Job, TaskRef};
use npublas::npu::drm;
use npublas::npu::rk3588::Rk3588;
use std::io::Write;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Opens the device again and again.
struct Opener {
    driver: &'static dyn Driver,
    path: PathBuf,
}

impl Opener {
    fn open(&self) -> Box<dyn Context> {
        self.driver.open(&self.path).expect("open")
    }
}

/// The device, or a loud word that the test `name` could not run.
fn device(name: &str) -> Option<Opener> {
    let found = drm::find(&Device::Auto);
    let usable =
        |f: &drm::Found| Some(Opener { driver: f.result.clone().ok()?, path: f.path.clone() });
    let opener = found.iter().find_map(usable);
    if opener.is_none() {
        assert!(
            std::env::var_os("NPUBLAS_FORBID_SKIP").is_none(),
            "{name}: no device, and skipping is forbidden; found {found:?}"
        );
        // Not `eprintln!`, which the test runner keeps to itself.
        let _ = writeln!(std::io::stderr(), "SKIPPED: {name}: no device; found {found:?}");
    }
    opener
}

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(20)
}

/// Bytes without a pattern.
fn noise(len: usize, mut seed: u64) -> Vec<i8> {
    let mut next = || {
        seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (seed >> 56) as i8
    };
    (0..len).map(|_| next()).collect()
}

fn bytes(values: &[i8]) -> Vec<u8> {
    values.iter().map(|&v| v as u8).collect()
}

const POISON: u8 = 0xa5;

/// A product on the device: `A` rows × depth, `B` depth × cols (column after column), both
/// dense, and the buffers for it.
struct Product {
    rows: usize,
    cols: usize,
    depth: usize,
    a: Vec<i8>,
    b: Vec<i8>,
    c_pitch: usize,
    buffers: [Box<dyn Buffer>; 4],
    tasks: Vec<TaskRef>,
}

impl Product {
    /// Cuts the product into tasks of at most `step` rows and columns and fills the buffers.
    fn new(
        context: &mut dyn Context,
        (rows, cols, depth): (usize, usize, usize),
        (a_pitch, c_pitch): (usize, usize),
        step: (usize, usize),
    ) -> Product {
        let (a, b) = (noise(rows * depth, 1), noise(depth * cols, 2));
        let packed = bytes(&b);
        let arithmetic = Arithmetic::Int8;
        let count = rows.div_ceil(step.0) * cols.div_ceil(step.1);
        let sizes = [rows * a_pitch, depth * cols, rows * c_pitch, count * 1024];
        let buffers = sizes.map(|size| context.allocate(size).expect("allocate"));
        let [in_a, in_b, out, commands] = &buffers;

        for (row, line) in a.chunks(depth).enumerate() {
            in_a.write(row * a_pitch, &bytes(line));
        }
        out.write(0, &vec![POISON; out.len()]);
        let mut tasks = Vec::new();
        for first_col in (0..cols).step_by(step.1) {
            let width = step.1.min(cols - first_col);
            let mut tile = vec![0; depth * width];
            let mut blocks = tile.chunks_exact_mut(32 * 32);
            for col in (first_col..first_col + width).step_by(32) {
                for l in (0..depth).step_by(32) {
                    let block = blocks.next().expect("a block");
                    Rk3588.pack_b_block(arithmetic, &packed[col * depth + l..], depth, block);
                }
            }
            in_b.write(first_col * depth, &tile);
            for first_row in (0..rows).step_by(step.0) {
                let task = Task {
                    arithmetic,
                    rows: step.0.min(rows - first_row),
                    cols: width,
                    depth,
                    a: in_a.iova() + (first_row * a_pitch) as u32,
                    a_pitch,
                    b: in_b.iova() + (first_col * depth) as u32,
                    c: out.iova() + (first_row * c_pitch + first_col * 4) as u32,
                    c_pitch,
                };
                let program = Rk3588.encode(&task).expect("encode");
                let at = 1024 * tasks.len();
                commands.write(at, &program.bytes());
                let words = program.words().len() as u32;
                tasks.push(TaskRef { commands: commands.iova() + at as u32, words });
            }
        }
        for buffer in &buffers {
            buffer.to_device().expect("to_device");
        }
        Product { rows, cols, depth, a, b, c_pitch, buffers, tasks }
    }

    fn submit(&self, context: &mut dyn Context) {
        let [a, b, c, commands] = &self.buffers;
        let reads = [&**a, &**b, &**commands];
        let job = Job { tasks: &self.tasks, reads: &reads, writes: &[&**c] };
        context.submit(&job).expect("submit");
    }

    fn output(&self) -> &dyn Buffer {
        &*self.buffers[2]
    }

    /// Waits for the job and compares every byte of the output.
    fn check(&self) {
        let (rows, cols, depth) = (self.rows, self.cols, self.depth);
        let shape = format!("{rows}×{cols}×{depth}");
        self.output().to_host(soon()).expect("to_host");
        let mut row = vec![0i32; cols];
        let mut gap = vec![0u8; self.c_pitch - 4 * cols];
        for i in 0..rows {
            self.output().read_i32(i * self.c_pitch, &mut row);
            for (j, &sum) in row.iter().enumerate() {
                let pairs = self.a[i * depth..][..depth].iter().zip(&self.b[j * depth..][..depth]);
                let expected: i32 = pairs.map(|(&x, &y)| i32::from(x) * i32::from(y)).sum();
                assert_eq!(sum, expected, "{shape}: row {i}, column {j}");
            }
            self.output().read(i * self.c_pitch + 4 * cols, &mut gap);
            assert!(gap.iter().all(|&b| b == POISON), "{shape}: wrote behind row {i}");
        }
    }

    /// Nothing of the output was written.
    fn is_untouched(&self) -> bool {
        let mut all = vec![0; self.output().len()];
        self.output().read(0, &mut all);
        all.iter().all(|&b| b == POISON)
    }
}

/// A small product, one task, with dense rows.
fn small(context: &mut dyn Context) -> Product {
    Product::new(context, (4, 32, 32), (32, 128), (4, 32))
}

#[test]
fn products_are_exact() {
    let Some(device) = device("products_are_exact") else { return };
    let mut context = device.open();
    let most = (Rk3588.max_rows(Arithmetic::Int8, 3072), 32, 3072);
    for (rows, cols, depth) in
        [(4, 32, 32), (1, 32, 32), (3, 64, 96), (37, 96, 160), (128, 32, 2048), most, (5, 1024, 64)]
    {
        let shape = (rows, cols, depth);
        for pitches in [(depth, 4 * cols), (depth + 48, 4 * cols + 80)] {
            let product = Product::new(&mut *context, shape, pitches, (rows, cols));
            product.submit(&mut *context);
            product.check();
        }
    }
}

#[test]
fn extreme_values_are_exact() {
    let Some(device) = device("extreme_values_are_exact") else { return };
    let mut context = device.open();
    let mut product = small(&mut *context);
    product.a.fill(-128);
    product.b.fill(-128);
    product.buffers[0].write(0, &[0x80; 4 * 32]);
    product.buffers[1].write(0, &[0x80; 32 * 32]);
    for buffer in &product.buffers {
        buffer.to_device().unwrap();
    }
    product.submit(&mut *context);
    product.check();
}

#[test]
fn a_job_of_many_tasks_tiles_a_matrix_in_place() {
    let Some(device) = device("a_job_of_many_tasks_tiles_a_matrix_in_place") else { return };
    let mut context = device.open();
    let product = Product::new(&mut *context, (75, 160, 128), (144, 656), (32, 64));
    assert_eq!(product.tasks.len(), 9);
    product.submit(&mut *context);
    product.check();
}

#[test]
fn one_buffer_can_hold_everything() {
    let Some(device) = device("one_buffer_can_hold_everything") else { return };
    let mut context = device.open();
    let buffer = context.allocate(0x4000).unwrap();
    let base = buffer.iova();
    let (a, b, c) = (base, base + 0x1000, base + 0x2000);
    let (arithmetic, rows, cols, depth) = (Arithmetic::Int8, 4, 32, 32);
    let task = Task { arithmetic, rows, cols, depth, a, a_pitch: 32, b, c, c_pitch: 128 };
    let program = Rk3588.encode(&task).unwrap();
    buffer.write(0, &[1; 4 * 32]);
    buffer.write(0x1000, &[2; 32 * 32]);
    buffer.write(0x3000, &program.bytes());
    buffer.to_device().unwrap();
    let tasks = [TaskRef { commands: base + 0x3000, words: program.words().len() as u32 }];
    // Twice in one list and once in the other: the kernel would drop the job.
    let job = Job { tasks: &tasks, reads: &[&*buffer, &*buffer], writes: &[&*buffer] };
    context.submit(&job).unwrap();
    buffer.to_host(soon()).unwrap();
    let mut sums = [0; 4 * 32];
    buffer.read_i32(0x2000, &mut sums);
    assert_eq!(sums, [64; 4 * 32]);
}

#[test]
fn buffers_are_zeroed_aligned_and_apart() {
    let Some(device) = device("buffers_are_zeroed_aligned_and_apart") else { return };
    let mut context = device.open();
    // SAFETY: a question without pointers.
    let page = unsafe { libc::sysconf(libc::_SC_PAGESIZE) } as usize;
    assert_eq!(context.granule(), 2 * page);
    let mut ranges = Vec::new();
    let mut buffers = Vec::new();
    for len in [0, 1, 4096, 4097, 2 * page, 2 * page + 1, 100_000, 1 << 20] {
        let buffer = context.allocate(len).unwrap();
        assert!(buffer.len() >= len && buffer.len().is_multiple_of(2 * page), "{buffer:?}");
        assert!(!buffer.is_empty() && (buffer.iova() as usize).is_multiple_of(page), "{buffer:?}");
        assert!(buffer.iova() > 0, "that is the sentinel's: {buffer:?}");
        let mut contents = vec![1; buffer.len()];
        buffer.to_host(soon()).unwrap();
        buffer.read(0, &mut contents);
        assert!(contents.iter().all(|&b| b == 0), "{len} bytes: not zeroed");
        let data = bytes(&noise(buffer.len(), len as u64));
        buffer.write(0, &data);
        buffer.to_device().unwrap();
        ranges.push((buffer.iova() as usize, buffer.len()));
        buffers.push((buffer, data));
    }
    for (buffer, data) in &buffers {
        buffer.to_host(Instant::now()).expect("nothing to wait for");
        let mut contents = vec![0; buffer.len()];
        buffer.read(0, &mut contents);
        assert!(contents == *data, "{buffer:?}: changed");
    }
    ranges.sort_unstable();
    assert!(ranges.windows(2).all(|w| w[0].0 + w[0].1 <= w[1].0), "{ranges:x?}");
}

#[test]
fn copies_stay_inside_the_buffer() {
    let Some(device) = device("copies_stay_inside_the_buffer") else { return };
    let buffer = device.open().allocate(8192).unwrap();
    let len = buffer.len();
    let panics = |copy: &dyn Fn()| {
        let run = std::panic::AssertUnwindSafe(copy);
        assert!(std::panic::catch_unwind(run).is_err());
    };
    panics(&|| buffer.write(len - 1, &[0; 2]));
    panics(&|| buffer.write(usize::MAX, &[0; 2]));
    panics(&|| buffer.read(len + 1, &mut []));
    panics(&|| buffer.read_i32(len - 7, &mut [0; 2]));
    buffer.write(len, &[]);
    buffer.write(len - 7, &[1, 2, 3, 4, 5, 6, 7]);
    let mut odd = [0];
    buffer.read_i32(len - 7, &mut odd);
    assert_eq!(odd, [0x0403_0201]);
}

#[test]
fn too_large_a_buffer_is_an_error_and_harmless() {
    let Some(device) = device("too_large_a_buffer_is_an_error_and_harmless") else { return };
    let mut context = device.open();
    for len in [1 << 32, usize::MAX] {
        let result = context.allocate(len);
        assert!(matches!(result, Err(DriverError::NoMemory(_))), "{result:?}");
    }
    context.allocate(1).unwrap();
}

#[test]
fn jobs_that_the_kernel_would_drop_are_refused() {
    let Some(device) = device("jobs_that_the_kernel_would_drop_are_refused") else { return };
    let mut context = device.open();
    let mut other = device.open();
    let (ours, theirs) = (context.allocate(1).unwrap(), other.allocate(1).unwrap());
    let good = TaskRef { commands: ours.iova(), words: 126 };
    let mut refused = |tasks: &[TaskRef], reads: &[&dyn Buffer], writes: &[&dyn Buffer]| {
        let result = context.submit(&Job { tasks, reads, writes });
        assert!(matches!(result, Err(DriverError::Call(..))), "{result:?}");
    };
    refused(&[], &[&*ours], &[]);
    refused(&[TaskRef { words: 0, ..good }], &[&*ours], &[]);
    refused(&[TaskRef { words: 0x2_0001, ..good }], &[&*ours], &[]);
    refused(&[TaskRef { commands: good.commands + 8, ..good }], &[&*ours], &[]);
    refused(&[good], &[&*theirs], &[&*ours]);
    refused(&[good], &[], &[&*theirs]);
}

#[test]
fn a_hung_job_ends_and_the_next_one_runs() {
    let Some(device) = device("a_hung_job_ends_and_the_next_one_runs") else { return };
    let mut context = device.open();
    let mut hung = small(&mut *context);
    // The program ends before its tail: nothing ever starts.
    hung.tasks[0].words = 62;
    hung.submit(&mut *context);
    let early = hung.output().to_host(Instant::now() + Duration::from_millis(20));
    assert_eq!(early, Err(DriverError::TimedOut));
    let past = hung.output().to_host(Instant::now() - Duration::from_secs(1));
    assert_eq!(past, Err(DriverError::TimedOut));
    // The kernel gives up after half a second, and calls that success.
    hung.output().to_host(soon()).unwrap();
    assert!(hung.is_untouched());
    let product = small(&mut *context);
    product.submit(&mut *context);
    product.check();
}

#[test]
fn a_context_drains_and_goes_on() {
    let Some(device) = device("a_context_drains_and_goes_on") else { return };
    let mut context = device.open();
    context.drain();
    let mut kept = Vec::new();
    for round in 0..5 {
        let product = small(&mut *context);
        product.submit(&mut *context);
        product.check();
        // Leave holes of many sizes, at other places each time.
        let granule = context.granule();
        kept.push(context.allocate(granule * (1 + round)).unwrap());
        if round % 2 == 0 {
            kept.remove(0);
        }
        let start = Instant::now();
        context.drain();
        context.drain();
        assert!(start.elapsed() < Duration::from_millis(800), "the drain ran out of patience");
        let iovas: Vec<_> = kept.iter().map(|b| b.iova()).collect();
        assert!(!iovas.contains(&0), "a buffer took the sentinel's place");
    }
}

#[test]
fn a_context_can_be_dropped_at_any_time() {
    let Some(device) = device("a_context_can_be_dropped_at_any_time") else { return };
    // With a job in flight.
    let mut context = device.open();
    let product = small(&mut *context);
    product.submit(&mut *context);
    drop(context);
    // Its buffers live on.
    product.check();
    product.buffers[0].to_device().unwrap();
    // With a hung job in flight, and its buffers gone already.
    let mut context = device.open();
    let mut hung = small(&mut *context);
    hung.tasks[0].words = 62;
    hung.submit(&mut *context);
    drop(hung);
    let start = Instant::now();
    drop(context);
    assert!(start.elapsed() < Duration::from_secs(3));
}

#[test]
fn contexts_run_at_once() {
    let Some(device) = device("contexts_run_at_once") else { return };
    std::thread::scope(|scope| {
        for _ in 0..Rk3588.cores() {
            scope.spawn(|| {
                let mut context = device.open();
                for _ in 0..4 {
                    let product = Product::new(&mut *context, (40, 64, 256), (256, 256), (20, 32));
                    product.submit(&mut *context);
                    product.check();
                }
            });
        }
    });
}

#[test]
fn a_forked_child_leaves_the_device_alone() {
    let Some(device) = device("a_forked_child_leaves_the_device_alone") else { return };
    let mut context = device.open();
    let product = small(&mut *context);
    // SAFETY: the child only looks at errors, drops what it inherited, and leaves at once.
    let child = unsafe { libc::fork() };
    assert!(child >= 0);
    if child == 0 {
        let gone = product.output().to_device() == Err(DriverError::Gone)
            && product.output().to_host(soon()) == Err(DriverError::Gone)
            && context.allocate(1).err() == Some(DriverError::Gone);
        drop(context);
        drop(product);
        // SAFETY: leaves without running anything of the parent's.
        unsafe { libc::_exit(if gone { 0 } else { 1 }) }
    }
    let mut status = 0;
    // SAFETY: waits for the child just made.
    let waited = unsafe { libc::waitpid(child, &mut status, 0) };
    assert_eq!((waited, status), (child, 0), "the child saw something else than Gone");
    product.submit(&mut *context);
    product.check();
}
