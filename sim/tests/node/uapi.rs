//! The interface as include/uapi/drm/rocket_accel.h and the kernel's sources have it: what every
//! call returns, through the real binary. No task completes here, on purpose.

use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

use nix::errno::Errno;

use crate::client::*;
use crate::support::{
    Client, in_role, npu_sim, read_trace, stderr, supervised, temporary, under_npu_sim,
};

pub const CLIENTS: &[Client] = &[
    ("identity", identity),
    ("buffers", buffers),
    ("mapping", mapping),
    ("bad_arguments", bad_arguments),
    ("garbage", garbage),
    ("silent_drops", silent_drops),
    ("hanging_job", hanging_job),
    ("first_open_fails", first_open_fails),
    ("second_buffer_fails", second_buffer_fails),
];

/// struct drm_version.
#[repr(C)]
struct Version {
    numbers: [i32; 3],
    name_len: usize,
    name: *mut u8,
    date_len: usize,
    date: *mut u8,
    desc_len: usize,
    desc: *mut u8,
}

#[test]
fn version_and_capabilities() {
    if !supervised() {
        return;
    }
    under_npu_sim(&[], "identity");
}

fn identity() {
    let node = Node::open();
    let mut text = [[b'#'; 16]; 3];
    let [name, date, desc] = text.each_mut().map(|field| field.as_mut_ptr());
    // Room for three bytes of the name, and for no date at all.
    let mut version =
        Version { numbers: [9; 3], name_len: 3, name, date_len: 0, date, desc_len: 16, desc };
    assert_eq!(node.ioctl(VERSION, &mut version), Ok(0));
    assert_eq!(version.numbers, [0; 3]);
    assert_eq!((version.name_len, version.date_len, version.desc_len), (6, 1, 10));
    assert_eq!(&text[0][..4], b"roc#");
    assert_eq!(text[1][0], b'#');
    assert_eq!(&text[2][..11], b"rocket DRM#");

    let cap = |which: u64| {
        let mut cap = [which, 77];
        node.ioctl(GET_CAP, &mut cap).map(|_| cap[1])
    };
    assert_eq!(cap(5), Ok(3), "PRIME");
    assert_eq!(cap(6), Ok(1), "TIMESTAMP_MONOTONIC");
    assert_eq!(cap(0x13), Ok(0), "SYNCOBJ");
    assert_eq!(cap(1), Err(Errno::EOPNOTSUPP), "DUMB_BUFFER");

    // A path beside the node is what the real system makes of it.
    let other = open("/dev/accel/accel1", libc::O_RDWR).unwrap_err();
    assert_eq!(other.raw_os_error(), Some(libc::ENOENT));
    let create = open(NODE, libc::O_RDWR | libc::O_CREAT | libc::O_EXCL).unwrap_err();
    assert_eq!(create.raw_os_error(), Some(libc::EEXIST));
    let read_only = Node(open(NODE, libc::O_RDONLY).unwrap());
    assert!(read_only.create(1).is_ok());
    let fd = |node: &Node| node.0.as_raw_fd();
    // SAFETY: fcntl with plain values.
    let cloexec = |fd| unsafe { libc::fcntl(fd, libc::F_GETFD) } & libc::FD_CLOEXEC;
    assert_eq!((cloexec(fd(&node)), cloexec(fd(&read_only))), (libc::FD_CLOEXEC, 0));
}

#[test]
fn handles_iovas_and_offsets() {
    if !supervised() {
        return;
    }
    under_npu_sim(&[], "buffers");
}

fn buffers() {
    let node = Node::open();
    let first = node.create(5000).unwrap();
    let second = node.create(4096).unwrap();
    let third = node.create(3 * 4096).unwrap();
    assert_eq!((first.handle, first.dma_address, first.offset), (1, 0, 1 << 32));
    assert_eq!((second.handle, second.dma_address, second.offset), (2, 0x2000, 0x1_0000_2000));
    assert_eq!((third.handle, third.dma_address, third.offset), (3, 0x3000, 0x1_0000_3000));

    // The hole of the second, a best fit, and the lowest free handle.
    assert_eq!(node.close_bo(second.handle), Ok(0));
    assert_eq!(node.close_bo(second.handle), Err(Errno::EINVAL));
    let again = node.create(1).unwrap();
    assert_eq!((again.handle, again.dma_address), (2, 0x2000));

    assert_eq!(node.create(0).map(|_| ()), Err(Errno::ENOSPC));
    for size in [0x8000_0000, 0x7fff_f001, 0xf000_0000] {
        assert_eq!(node.create(size).map(|_| ()), Err(Errno::ENOMEM), "{size:#x}");
    }
    let large: Vec<CreateBo> = (0..2).map(|_| node.create(0x7ff0_0000).unwrap()).collect();
    assert_eq!(large[0].dma_address, 0x6000);
    // 4 GiB less 2 times 2 GiB: no room for another.
    assert_eq!(node.create(0x7ff0_0000).map(|_| ()), Err(Errno::ENOSPC));

    // Another file has addresses of its own; offsets belong to the device.
    let other = Node::open();
    let bo = other.create(4096).unwrap();
    assert_eq!((bo.handle, bo.dma_address), (1, 0));
    assert!(bo.offset > large[1].offset);

    // A mapping is a reference: the address is free when it is gone.
    let other = Node::open();
    let mapped = other.buffer(8192);
    mapped.write(0, &[1]);
    assert_eq!(other.close_bo(mapped.bo.handle), Ok(0));
    assert_eq!(other.create(8192).unwrap().dma_address, 0x2000);
    assert_eq!(mapped.byte(0), 1);
    mapped.unmap();
    let fresh = other.buffer(8192);
    assert_eq!((fresh.bo.dma_address, fresh.byte(0)), (0, 0), "zero-filled");
}

#[test]
fn mmap_is_checked() {
    if !supervised() {
        return;
    }
    under_npu_sim(&[], "mapping");
}

fn mapping() {
    let (node, other) = (Node::open(), Node::open());
    let bo = node.create(8192).unwrap();
    let map = |node: &Node, len, flags, offset| node.mmap(len, flags, offset).map(|_| ());
    let shared = libc::MAP_SHARED;
    assert_eq!(map(&node, 8192, shared, bo.offset), Ok(()));
    assert_eq!(map(&node, 100, shared, bo.offset), Ok(()), "a part from the start");
    assert_eq!(map(&node, 8193, shared, bo.offset), Err(Errno::EINVAL));
    assert_eq!(map(&node, 4096, shared, bo.offset + 4096), Err(Errno::EINVAL));
    assert_eq!(map(&node, 4096, shared, bo.offset + (1 << 30)), Err(Errno::EINVAL));
    assert_eq!(map(&node, 8192, libc::MAP_PRIVATE, bo.offset), Err(Errno::EINVAL));
    assert_eq!(map(&other, 8192, shared, bo.offset), Err(Errno::EACCES));
    node.close_bo(bo.handle).unwrap();
    assert_eq!(map(&node, 8192, shared, bo.offset), Err(Errno::EACCES), "no handle, but mapped");
    // SAFETY: seals are plain values; the call has to fail.
    assert_eq!(unsafe { libc::ftruncate(node.0.as_raw_fd(), 0) }, -1);
}

#[test]
fn bad_arguments_have_their_errors() {
    if !supervised() {
        return;
    }
    under_npu_sim(&[], "bad_arguments");
}

fn bad_arguments() {
    let node = Node::open();
    let bo = node.create(4096).unwrap();
    let nowhere = 16 as *mut u64;
    for request in [VERSION, GEM_CLOSE, CREATE_BO, SUBMIT, PREP_BO, FINI_BO] {
        assert_eq!(node.ioctl(request, nowhere), Err(Errno::EFAULT), "{request:#x}");
    }
    // Reserved before handle.
    assert_eq!(node.ioctl(PREP_BO, &mut [99u32, 1, 0, 0]), Err(Errno::EINVAL));
    assert_eq!(node.ioctl(FINI_BO, &mut [99u32, 1]), Err(Errno::EINVAL));
    assert_eq!(node.prep_until(99, 0), Err(Errno::ENOENT));
    assert_eq!(node.fini(99), Err(Errno::ENOENT));
    assert_eq!(node.fini(0), Err(Errno::ENOENT));
    for timeout in [0, 1, -1, i64::MIN, i64::MAX, now_ns() + 1_000_000] {
        assert_eq!(node.prep_until(bo.handle, timeout), Ok(0), "idle: {timeout}");
    }

    let submit = |jobs: *const Job, job_count, job_struct_size, reserved| {
        let mut submit = Submit { jobs, job_count, job_struct_size, reserved };
        node.ioctl(SUBMIT, &mut submit)
    };
    let bad = 16 as *const Job;
    assert_eq!(submit(bad, 0, 0, 1), Ok(0), "no jobs come first");
    assert_eq!(submit(bad, 1, 39, 0), Err(Errno::EINVAL));
    assert_eq!(submit(bad, 1, 40, 1), Err(Errno::EINVAL));
    assert_eq!(submit(bad, 1, 40, 0), Err(Errno::EFAULT));
    assert_eq!(submit(bad, 1000, 4096, 0), Err(Errno::EFAULT));
    assert_eq!(submit(bad, u32::MAX, 40, 0), Err(Errno::ENOMEM));
    assert_eq!(submit(bad, i32::MAX as u32 / 40, 40, 0), Err(Errno::EFAULT));

    // The core goes by the number alone and fits the size: a short structure is filled up with
    // zeros, a long one keeps its tail.
    let resized = |request: u32, size: u32| request & !0x3fff_0000 | size << 16;
    assert_eq!(node.ioctl(resized(FINI_BO, 4), &mut [bo.handle, 1]), Ok(0));
    let mut long = [4096u32, 0, 0, 0, 0, 0, 0xabcd, 0xef01];
    assert_eq!(node.ioctl(resized(CREATE_BO, 32), &mut long), Ok(0));
    assert_eq!((long[1], &long[6..]), (2, &[0xabcd, 0xef01][..]));
    let mut write_only = [4096u32, 0, 0, 0, 0, 0];
    let create = CREATE_BO & !(1 << 30);
    assert_eq!(node.ioctl(create, &mut write_only), Err(Errno::ENOSPC), "no size came in");

    assert_eq!(node.ioctl(0xc018_6444, &mut long), Err(Errno::EINVAL), "the driver's fifth");
    assert_eq!(node.ioctl(0xc018_64ff, &mut long), Err(Errno::EINVAL));
    assert_eq!(node.ioctl(0x5401, &mut long), Err(Errno::ENOTTY));
    let gone = Node(node.0.try_clone().unwrap());
    drop(node);
    assert_eq!(gone.fini(bo.handle), Ok(0), "a duplicate keeps the file open");
}

#[test]
fn garbage_hurts_nobody() {
    if !supervised() {
        return;
    }
    let output = under_npu_sim(&[], "garbage");
    let log = stderr(&output);
    assert!(!log.contains("panicked") && !log.contains("failed to serve"), "{log}");
}

/// Random requests with random contents, many of them nearly right.
fn garbage() {
    let node = Node::open();
    let mut seed = 0x1234_5678_9abc_def1u64;
    let mut random = move |below: u64| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        seed % below
    };
    let numbers = [0x00, 0x01, 0x05, 0x06, 0x09, 0x0c, 0x2d, 0x40, 0x41, 0x42, 0x43];
    let mut words = [0u64; 64];
    for _ in 0..3000 {
        let place = words.as_ptr() as u64;
        for word in &mut words {
            *word = match random(6) {
                0 => random(u64::MAX),
                1 => place + 8 * random(64),
                2 => random(1 << 32),
                3 => random(4) << 32 | random(4),
                4 => 40 << 32 | random(3),
                _ => random(64),
            };
        }
        // Waiting for ever is legal, and long.
        let number = numbers[random(11) as usize];
        if number == 0x42 {
            words[1] = random(2);
        }
        let size = [8, 16, 24, 64, random(512)][random(5) as usize];
        let request = random(4) << 30 | size << 16 | 0x6400 | number;
        let _ = node.ioctl(request as u32, words.as_mut_ptr());
        let _ = node.mmap(random(1 << 20) as usize, libc::MAP_SHARED, 1 << 32 | words[0] & !4095);
    }
    drop(node);
    assert_eq!(Node::open().create(4096).unwrap().handle, 1);
}

#[test]
fn wrong_jobs_are_dropped_without_a_word() {
    if !supervised() {
        return;
    }
    let trace = temporary("drops");
    let output = under_npu_sim(&["--trace", &trace, "--summary"], "silent_drops");
    let jobs = read_trace(&trace);
    let reasons: Vec<&str> = jobs.iter().map(|job| job["reason"].as_str().unwrap()).collect();
    assert_eq!(
        reasons,
        [
            "task_count is 0",
            "task_struct_size is 7",
            "regcmd_count of task 1 is 0",
            "task array: EFAULT",
            "there is no BO handle 77",
            "out_bo_handles: EFAULT",
            "BO handle 1 is listed twice in in and out lists",
            "BO handle 2 is listed twice in in and out lists",
        ]
    );
    assert!(jobs.iter().all(|job| job["outcome"] == "dropped" && job["core"].is_null()));
    let log = stderr(&output);
    assert!(log.contains("the driver drops a job: task_count is 0"), "{log}");
    assert!(log.contains("8 dropped"), "{log}");
}

fn silent_drops() {
    let node = Node::open();
    let (a, b) = (node.create(4096).unwrap().handle, node.create(4096).unwrap().handle);
    let (only_a, only_b, both, a_twice, unknown) = ([a], [b], [a, b], [a, a], [77]);
    let task = Task { regcmd: 0, regcmd_count: 4 };
    let tasks = [task, task];
    let one = &tasks[..1];
    let empty_stream = [task, Task { regcmd: 0, regcmd_count: 0 }];
    let good = Job::new(one, &[], &[]);
    let nowhere = 16 as *const u32;
    let wrong = [
        Job { task_count: 0, ..good },
        Job { task_struct_size: 7, ..good },
        Job::new(&empty_stream, &only_a, &only_b),
        Job { tasks: nowhere.cast(), ..good },
        Job::new(one, &unknown, &only_b),
        Job { out_bos: nowhere, out_bo_count: 1, ..good },
        Job::new(one, &a_twice, &only_b),
        Job::new(one, &only_b, &both),
    ];
    assert_eq!(node.submit(&wrong), Ok(0));
    assert_eq!((node.prep_until(a, 0), node.prep_until(b, 0)), (Ok(0), Ok(0)));
    assert_eq!(node.submit(&[]), Ok(0));
}

#[test]
fn a_refused_stream_takes_500_ms_and_then_succeeds() {
    if !supervised() {
        return;
    }
    let trace = temporary("hang");
    let output = under_npu_sim(&["--trace", &trace, "--summary"], "hanging_job");
    let jobs = read_trace(&trace);
    let timed_out = jobs.iter().filter(|job| job["outcome"] == "timed_out").count();
    assert_eq!(timed_out, 2, "{jobs:?}");
    assert!(jobs[0]["reason"].as_str().is_some_and(|reason| reason.starts_with("task 0: ")));
    let log = stderr(&output);
    assert_eq!(log.matches("the chip refuses a stream").count(), 1, "named once: {log}");
    assert!(log.contains("2 refused, 0 dropped, 2 timed out"), "{log}");

    let quiet = under_npu_sim(&["--quiet"], "hanging_job");
    assert_eq!(stderr(&quiet), "");
}

fn hanging_job() {
    let node = Node::open();
    let (out, idle) = (node.create(4096).unwrap(), node.create(4096).unwrap());
    // Nothing is mapped there, so the very fetch fails, whatever the model knows.
    let task = Task { regcmd: 0x8000_0000, regcmd_count: 8 };
    let start = Instant::now();
    let tasks = [task];
    let job = Job::new(&tasks, &[], std::slice::from_ref(&out.handle));
    assert_eq!(node.submit(&[job, job]), Ok(0));
    assert_eq!(node.prep_until(out.handle, 0), Err(Errno::EBUSY));
    assert_eq!(node.prep_until(out.handle, now_ns() - 1), Err(Errno::EBUSY));
    assert_eq!(node.prep_until(idle.handle, 0), Ok(0));
    assert_eq!(node.prep(out.handle, Duration::from_millis(20)), Err(Errno::ETIMEDOUT));
    let waited = start.elapsed();
    assert!(waited >= Duration::from_millis(20), "{waited:?}");
    assert_eq!(node.prep_until(out.handle, i64::MAX), Ok(0));
    let took = start.elapsed();
    assert!(took >= Duration::from_secs(1), "each its own 500 ms: {took:?}");
    assert!(took < Duration::from_secs(3), "{took:?}");
}

#[test]
fn calls_fail_on_order() {
    if !supervised() {
        return;
    }
    under_npu_sim(&["--fault", "errno=EACCES:open@1"], "first_open_fails");
    let second = ["--fault", "errno=ENOMEM:create_bo@2", "--fault", "errno=EBUSY:prep_bo"];
    under_npu_sim(&second, "second_buffer_fails");
    let nonsense = in_role("identity");
    let output = npu_sim(&["--fault", "sabotage"], &nonsense).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("sabotage"));
}

fn first_open_fails() {
    let error = open(NODE, libc::O_RDWR).unwrap_err();
    assert_eq!(error.raw_os_error(), Some(libc::EACCES));
    Node::open();
}

fn second_buffer_fails() {
    let node = Node::open();
    assert!(node.create(4096).is_ok());
    assert_eq!(node.create(4096).map(|_| ()), Err(Errno::ENOMEM));
    assert!(node.create(4096).is_ok());
    assert_eq!(node.prep_until(1, 0), Err(Errno::EBUSY));
}
