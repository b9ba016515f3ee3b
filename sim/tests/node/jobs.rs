//! What becomes of jobs: order, cores, coherence, time-outs, faults and late burials. The cores
//! are puppets.

use std::time::{Duration, Instant};

use nix::errno::Errno;

use crate::client::*;
use crate::puppet::Step::{self, Copy, Hang, Panic, Predict, Sleep, Store};
use crate::support::{Client, jobs, supervised, under_puppets};

pub const CLIENTS: &[Client] = &[
    ("order", order),
    ("coherence", coherence),
    ("one_core", one_core),
    ("three_cores", three_cores),
    ("time_outs", time_outs),
    ("page_fault", page_fault),
    ("injured", injured),
    ("dropped", dropped),
    ("early_close", early_close),
    ("drained_close", drained_close),
    ("late_free", late_free),
    ("large", large),
];

const MS: u64 = 1000;

/// An open node with a program buffer and a data buffer.
fn set_up() -> (Node, Buffer, Buffer) {
    let node = Node::open();
    let (program, data) = (node.buffer(4096), node.buffer(4 * 4096));
    (node, program, data)
}

#[test]
fn tasks_and_jobs_run_in_order() {
    if !supervised() {
        return;
    }
    let jobs = jobs(under_puppets(&[], "order"));
    assert_eq!(jobs.len(), 2);
    for (job, tasks) in [(&jobs[0], 2), (&jobs[1], 1)] {
        assert_eq!(job["outcome"], "done");
        assert_eq!((&job["tasks"], &job["tasks_done"]), (&tasks.into(), &tasks.into()));
        assert_eq!(job["what"][0]["kind"], "puppet");
        assert_eq!(job["what"][0]["tasks"], tasks);
        assert_eq!(job["macs"], tasks);
        assert!(job["fault"].is_null() && job["reason"].is_null());
        assert!(job["predicted_seconds"].as_f64().is_some_and(|s| (5e-5..1e-3).contains(&s)));
    }
    assert_eq!(jobs[0]["file"], 1);
}

fn order() {
    let (node, program, data) = set_up();
    let base = data.bo.dma_address;
    let streams = [
        crate::puppet::stream(&[Store(base, 1), Sleep(20 * MS), Copy(base, base + 1, 1)]),
        crate::puppet::stream(&[Store(base, 2), Copy(base + 1, base + 2, 1)]),
        crate::puppet::stream(&[Copy(base, base + 3, 1), Store(base + 4, 9)]),
    ];
    let tasks: Vec<Task> = (0..3)
        .map(|i| {
            program.write(i * 1024, &streams[i]);
            let regcmd = program.bo.dma_address as u32 + i as u32 * 1024;
            Task { regcmd, regcmd_count: streams[i].len() as u32 / 8 }
        })
        .collect();
    node.fini(program.bo.handle).unwrap();
    let (ins, outs) = ([program.bo.handle], [data.bo.handle]);
    let jobs = [Job::new(&tasks[..2], &ins, &outs), Job::new(&tasks[2..], &ins, &outs)];
    node.submit(&jobs).unwrap();
    assert_eq!(node.prep_until(data.bo.handle, 0), Err(Errno::EBUSY));
    assert_eq!(node.prep_until(program.bo.handle, 0), Ok(0), "nobody writes an input");
    node.wait(data.bo.handle);
    assert_eq!([0, 1, 2, 3, 4].map(|at| data.byte(at)), [2, 1, 1, 2, 9]);
}

#[test]
fn a_forgotten_sync_shows() {
    if !supervised() {
        return;
    }
    under_puppets(&[], "coherence");
}

fn coherence() {
    let (node, program, data) = set_up();
    let (base, handle) = (data.bo.dma_address, data.bo.handle);
    let copy = [Copy(base, base + 4096, 1)];
    let run = || {
        node.run(&program, &copy, &[handle]);
        node.wait(handle);
        data.byte(4096)
    };
    data.write(0, &[1]);
    node.fini(handle).unwrap();
    assert_eq!(run(), 1);
    data.write(0, &[2]);
    assert_eq!(run(), 1, "no FINI: the NPU sees what was there before");
    data.write(64, &[7]);
    assert_eq!(run(), 1);
    assert_eq!((data.byte(0), data.byte(64)), (2, 7), "PREP takes nothing from the CPU");
    node.fini(handle).unwrap();
    assert_eq!(run(), 2);

    node.run(&program, &[Store(base + 4096, 3)], &[handle]);
    std::thread::sleep(Duration::from_millis(100));
    assert_eq!(data.byte(4096), 2, "no PREP: the CPU sees what was there before");
    // FINI of a buffer that the CPU has not touched hands over nothing stale.
    node.fini(handle).unwrap();
    node.run(&program, &[Copy(base + 4096, base + 8192, 1)], &[handle]);
    node.wait(handle);
    assert_eq!((data.byte(4096), data.byte(8192)), (3, 3));
}

#[test]
fn one_file_uses_one_core_at_a_time() {
    if !supervised() {
        return;
    }
    let jobs = jobs(under_puppets(&[], "one_core"));
    let cores: Vec<i64> = jobs.iter().map(|job| job["core"].as_i64().unwrap()).collect();
    assert_eq!(cores, [0, 0, 0, 1, 0], "busy it stays, idle it alternates");
}

fn one_core() {
    let (node, program, data) = set_up();
    let start = Instant::now();
    let nap = [Sleep(50 * MS)];
    for _ in 0..3 {
        node.run(&program, &nap, &[data.bo.handle]);
    }
    node.wait(data.bo.handle);
    assert!(start.elapsed() >= Duration::from_millis(150), "{:?}", start.elapsed());
    for _ in 0..2 {
        node.run(&program, &[Sleep(0)], &[data.bo.handle]);
        node.wait(data.bo.handle);
    }
}

#[test]
fn three_files_use_three_cores() {
    if !supervised() {
        return;
    }
    let jobs = jobs(under_puppets(&[], "three_cores"));
    let mut cores: Vec<i64> = jobs.iter().map(|job| job["core"].as_i64().unwrap()).collect();
    cores.sort_unstable();
    assert_eq!(cores, [0, 1, 2]);
}

fn three_cores() {
    let files: Vec<_> = (0..3).map(|_| set_up()).collect();
    let start = Instant::now();
    for (node, program, data) in &files {
        node.run(program, &[Sleep(300 * MS)], &[data.bo.handle]);
    }
    for (node, _, data) in &files {
        node.wait(data.bo.handle);
    }
    assert!(start.elapsed() < Duration::from_millis(700), "{:?}", start.elapsed());
}

#[test]
fn what_hangs_or_takes_too_long_ends_after_500_ms() {
    if !supervised() {
        return;
    }
    let jobs = jobs(under_puppets(&[], "time_outs"));
    let reasons: Vec<&str> = jobs.iter().map(|job| job["reason"].as_str().unwrap_or("")).collect();
    assert_eq!(reasons[0], "task 0: told to hang");
    assert_eq!(reasons[1], "task 0: the model panicked");
    assert!(reasons[2].contains("completes after 600 ms on the device"), "{}", reasons[2]);
    assert_eq!(reasons[3], "");
}

fn time_outs() {
    let (node, program, data) = set_up();
    let base = data.bo.dma_address;
    let run = |steps: &[Step]| {
        let start = Instant::now();
        node.run(&program, steps, &[data.bo.handle]);
        node.wait(data.bo.handle);
        start.elapsed()
    };
    let limit = Duration::from_millis(500);
    assert!(run(&[Store(base, 1), Hang, Store(base, 2)]) >= limit);
    assert_eq!(data.byte(0), 1, "what it did before stays");
    assert!(run(&[Panic]) >= limit);
    assert!(run(&[Predict(600), Store(base, 3)]) >= limit);
    assert!(run(&[Store(base, 4)]) < limit);
    assert_eq!(data.byte(0), 4);
}

#[test]
fn an_unlisted_buffer_is_gone_when_closed() {
    if !supervised() {
        return;
    }
    let jobs = jobs(under_puppets(&[], "page_fault"));
    assert_eq!(jobs[1]["reason"], "task 0: page fault at 0x10000");
}

fn page_fault() {
    let (node, program, data) = set_up();
    let base = data.bo.dma_address;
    let (listed, unlisted) = (node.create(4096).unwrap(), node.create(0x8000).unwrap());
    assert_eq!((listed.dma_address, unlisted.dma_address), (0x5000, 0x6000));
    node.run(&program, &[Sleep(50 * MS)], &[data.bo.handle]);
    let second = node.buffer(4096);
    assert_eq!(second.bo.dma_address, 0xe000);
    let steps = [Copy(listed.dma_address, base, 1), Store(base, 5), Store(0x1_0000, 1)];
    node.run(&second, &steps, &[data.bo.handle, listed.handle]);
    node.close_bo(listed.handle).unwrap();
    node.close_bo(unlisted.handle).unwrap();
    node.wait(data.bo.handle);
    assert_eq!(data.byte(0), 5, "the listed buffer was still there");
}

#[test]
fn faults_strike_the_job_they_name() {
    if !supervised() {
        return;
    }
    let jobs = jobs(under_puppets(&["drop@2", "timeout@3", "bitflip@4"], "injured"));
    let faults: Vec<_> = jobs.iter().map(|job| job["fault"].as_str().unwrap_or("")).collect();
    assert_eq!(faults, ["", "drop", "timeout", "bitflip", ""]);
    under_puppets(&["drop"], "dropped");
}

fn injured() {
    let (node, program, data) = set_up();
    let base = data.bo.dma_address;
    let mut took = Vec::new();
    let mut ones = Vec::new();
    for _ in 0..5 {
        data.write(0, &[0xff; 8192]);
        data.write(0, &[0; 4096]);
        node.fini(data.bo.handle).unwrap();
        let start = Instant::now();
        node.run(&program, &[Copy(base, base + 4096, 4096)], &[data.bo.handle]);
        node.wait(data.bo.handle);
        took.push(start.elapsed());
        ones.push((4096..8192).map(|at| data.byte(at).count_ones()).sum::<u32>());
    }
    assert_eq!(ones, [0, 8 * 4096, 8 * 4096, 1, 0]);
    assert!(took[1] < Duration::from_millis(400) && took[2] >= Duration::from_millis(500));
}

fn dropped() {
    let (node, program, data) = set_up();
    for _ in 0..3 {
        node.run(&program, &[Store(data.bo.dma_address, 1)], &[data.bo.handle]);
        node.wait(data.bo.handle);
    }
    assert_eq!(data.byte(0), 0);
}

#[test]
fn closing_right_after_the_last_prep_is_the_kernels_bug() {
    if !supervised() {
        return;
    }
    // The free worker may be quicker than the close, on the board as here.
    let early = under_puppets(&[], "early_close");
    assert!(early.iter().any(|line| {
        let warning = line["warning"].as_str().unwrap_or("");
        warning.starts_with("kernel bug 4.7 would strike: file ")
            && warning.ends_with("closed while a finished job still held BOs")
    }));
    let drained = under_puppets(&[], "drained_close");
    assert!(drained.iter().all(|line| line["warning"].is_null()), "{drained:?}");
}

fn early_close() {
    for _ in 0..40 {
        let (node, program, data) = set_up();
        node.run(&program, &[Sleep(1)], &[data.bo.handle]);
        node.wait(data.bo.handle);
        // A mapping would keep the file open beyond the drop of `node`.
        program.unmap();
        data.unmap();
    }
}

/// The way around it: a sentinel at IOVA 0, the last output of every job.
fn drained_close() {
    for _ in 0..4 {
        let node = Node::open();
        let sentinel = node.create(4096).unwrap();
        let (program, data) = (node.buffer(8192), node.buffer(8192));
        node.run(&program, &[Sleep(1)], &[data.bo.handle, sentinel.handle]);
        node.wait(data.bo.handle);
        node.close_bo(sentinel.handle).unwrap();
        while node.create(4096).unwrap().dma_address != 0 {}
        program.unmap();
        data.unmap();
    }
}

#[test]
fn a_job_in_flight_keeps_its_buffers() {
    if !supervised() {
        return;
    }
    under_puppets(&[], "late_free");
}

fn late_free() {
    let (node, program, data) = set_up();
    let scratch = node.create(4096).unwrap();
    node.run(&program, &[Sleep(50 * MS)], &[data.bo.handle, scratch.handle]);
    node.close_bo(scratch.handle).unwrap();
    assert_ne!(node.create(4096).unwrap().dma_address, scratch.dma_address);
    node.wait(data.bo.handle);
    let deadline = Instant::now() + Duration::from_secs(5);
    while node.create(4096).unwrap().dma_address != scratch.dma_address {
        assert!(Instant::now() < deadline, "never freed");
    }
}

#[test]
fn large_buffers_work() {
    if !supervised() {
        return;
    }
    under_puppets(&[], "large");
}

fn large() {
    let node = Node::open();
    let program = node.buffer(4096);
    let size = 600 << 20;
    let (a, b) = (node.buffer(size), node.buffer(size));
    a.write(size as usize - 1, &[42]);
    let start = Instant::now();
    node.fini(a.bo.handle).unwrap();
    let (from, to) = (a.bo.dma_address + u64::from(size) - 1, b.bo.dma_address + (500 << 20));
    node.run(&program, &[Copy(from, to, 1)], &[b.bo.handle]);
    node.wait(b.bo.handle);
    assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
    assert_eq!(b.byte(500 << 20), 42);
}
