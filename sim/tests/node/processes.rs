//! Programs of all kinds: exit statuses, fork, threads, signals, death, and programs that never
//! heard of the node.

use std::io::{IoSlice, IoSliceMut};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, ControlMessage, ControlMessageOwned, MsgFlags, SockFlag, SockType, recvmsg,
    sendmsg, socketpair,
};

use crate::client::*;
use crate::support::{Client, checked, in_role, npu_sim, skip, stderr, supervised, under_npu_sim};

pub const CLIENTS: &[Client] = &[
    ("descriptors", descriptors),
    ("forks", forks),
    ("hammer", hammer),
    ("killed_in_prep", killed_in_prep),
    ("signals", signals),
    ("busy_waits", busy_waits),
    ("churn", churn),
    ("identify", identify),
];

/// A job that nothing can complete; it takes 500 ms.
fn hang(node: &Node, outputs: &[u32]) {
    let tasks = [Task { regcmd: 0x8000_0000, regcmd_count: 8 }];
    node.submit(&[Job::new(&tasks, &[], outputs)]).unwrap();
}

#[test]
fn the_command_s_status_is_passed_on() {
    if !supervised() {
        return;
    }
    let status = |script: &str| {
        let output = npu_sim(&[], Command::new("sh").args(["-c", script])).output().unwrap();
        (output.status.code().unwrap(), String::from_utf8_lossy(&output.stdout).into_owned())
    };
    assert_eq!(status("echo out; echo err >&2; exit 7"), (7, "out\n".into()));
    assert_eq!(status("kill -9 $$").0, 137);
    assert_eq!(status("kill -TERM $$").0, 143);
    let start = |program: &str| npu_sim(&[], &Command::new(program)).output().unwrap();
    assert_eq!(start("no-such-program").status.code(), Some(127));
    assert_eq!(start("/").status.code(), Some(126));
    let nested = npu_sim(&[], &npu_sim(&[], &Command::new("true"))).output().unwrap();
    assert_eq!(nested.status.code(), Some(125));
    assert!(stderr(&nested).contains("already runs under a supervisor"));
}

#[test]
fn other_programs_run_unharmed() {
    if !supervised() {
        return;
    }
    let sim = |script: &str| {
        let mut shell = Command::new("sh");
        checked(&mut npu_sim(&[], shell.args(["-c", script]))).stdout
    };
    assert_eq!(sim("cat /proc/sys/kernel/ostype"), b"Linux\n");
    assert_eq!(sim("cd / && ls -d dev"), b"dev\n");
    assert_eq!(sim("(sleep 0.1; echo late) & echo early"), b"early\nlate\n");
    assert_eq!(sim("yes | head -n 2"), b"y\ny\n");
    assert_eq!(sim("trap 'echo caught; exit 0' TERM; kill -TERM $$; sleep 5"), b"caught\n");
    if Command::new("python3").arg("-V").output().is_err() {
        skip("python3 is not installed");
        return;
    }
    let script = "python3 -c 'import json,ctypes,socket;print(open(\"/dev/null\").read()==\"\")'";
    assert_eq!(sim(script), b"True\n");
    let script = "python3 -c 'import os; print(os.open(\"/dev/accel/accel0\", os.O_RDWR) > 2)'";
    assert_eq!(sim(script), b"True\n");
}

#[test]
fn signals_to_the_supervisor_reach_the_command() {
    if !supervised() {
        return;
    }
    let mut shell = Command::new("sh");
    shell.args(["-c", "trap 'echo got it; exit 3' TERM; echo ready; while :; do sleep 0.1; done"]);
    let mut sim = npu_sim(&[], &shell).stdout(Stdio::piped()).spawn().unwrap();
    let mut out = std::io::BufReader::new(sim.stdout.take().unwrap());
    let mut line = String::new();
    std::io::BufRead::read_line(&mut out, &mut line).unwrap();
    assert_eq!(line, "ready\n");
    let pid = nix::unistd::Pid::from_raw(sim.id() as i32);
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).unwrap();
    assert_eq!(sim.wait().unwrap().code(), Some(3));
}

#[test]
fn the_command_dies_with_its_supervisor() {
    if !supervised() {
        return;
    }
    let mut shell = Command::new("sh");
    shell.args(["-c", "echo $$; exec sleep 100"]);
    let mut sim = npu_sim(&[], &shell).stdout(Stdio::piped()).spawn().unwrap();
    let mut out = std::io::BufReader::new(sim.stdout.take().unwrap());
    let mut line = String::new();
    std::io::BufRead::read_line(&mut out, &mut line).unwrap();
    sim.kill().unwrap();
    sim.wait().unwrap();
    // The pipe ends when its last writer, the command, is gone.
    let start = Instant::now();
    std::io::Read::read_to_string(&mut out, &mut line).unwrap();
    assert!(start.elapsed() < Duration::from_secs(10));
}

#[test]
fn nobody_may_use_it() {
    if !supervised() {
        return;
    }
    // SAFETY: no conditions.
    if unsafe { libc::geteuid() } != 0 {
        // Then every other test already runs without privileges.
        return;
    }
    let directory = std::path::Path::new(env!("CARGO_BIN_EXE_npu-sim"));
    let script = "test -x \"$0\" && test -r \"$1\"";
    let mut reachable = Command::new("sh");
    reachable.args(["-c", script]).arg(directory).arg(std::env::current_exe().unwrap());
    if !reachable.uid(65534).gid(65534).status().unwrap().success() {
        skip("the build directory is out of an ordinary user's reach");
        return;
    }
    checked(npu_sim(&[], &in_role("identify")).uid(65534).gid(65534));
}

fn identify() {
    let node = Node::open();
    let buffer = node.buffer(8192);
    buffer.write(0, &[1]);
    node.fini(buffer.bo.handle).unwrap();
    assert!(node.create(4096).is_ok());
}

#[test]
fn a_file_is_the_same_through_every_descriptor() {
    if !supervised() {
        return;
    }
    under_npu_sim(&[], "descriptors");
}

fn descriptors() {
    let node = Node::open();
    let handle = node.create(4096).unwrap().handle;
    let works = |fd: RawFd| {
        // SAFETY: the descriptor is a fresh one that nobody else owns.
        let node = Node(unsafe { OwnedFd::from_raw_fd(fd) });
        assert_eq!(node.fini(handle), Ok(0));
        assert_eq!(node.fini(handle + 1), Err(Errno::ENOENT));
    };
    let fd = node.0.as_raw_fd();
    // SAFETY: plain values throughout.
    unsafe {
        works(libc::dup(fd));
        works(libc::fcntl(fd, libc::F_DUPFD_CLOEXEC, 100));
    }
    let (here, there) =
        socketpair(AddressFamily::Unix, SockType::Stream, None, SockFlag::empty()).unwrap();
    let fds = [fd];
    let rights = [ControlMessage::ScmRights(&fds)];
    let data = [IoSlice::new(b"x")];
    sendmsg::<()>(here.as_raw_fd(), &data, &rights, MsgFlags::empty(), None).unwrap();
    let (mut byte, mut space) = ([0], nix::cmsg_space!(RawFd));
    let mut data = [IoSliceMut::new(&mut byte)];
    let flags = MsgFlags::empty();
    let message = recvmsg::<()>(there.as_raw_fd(), &mut data, Some(&mut space), flags).unwrap();
    for control in message.cmsgs().unwrap() {
        if let ControlMessageOwned::ScmRights(received) = control {
            works(received[0]);
        }
    }
    // A second open is a second file.
    assert_eq!(Node::open().fini(handle), Err(Errno::ENOENT));
    // What is no node is left alone.
    let null = Node(open("/dev/null", libc::O_RDWR).unwrap());
    assert_eq!(null.fini(handle), Err(Errno::ENOTTY));
    let nothing = Node::open();
    // SAFETY: closing a descriptor behind its owner's back, whose drop then closes nothing: the
    // owner is forgotten.
    unsafe { libc::close(nothing.0.as_raw_fd()) };
    assert_eq!(nothing.fini(handle), Err(Errno::EBADF));
    std::mem::forget(nothing);
}

#[test]
fn forked_children_share_the_file() {
    if !supervised() {
        return;
    }
    under_npu_sim(&[], "forks");
}

fn forks() {
    let node = Node::open();
    let buffer = node.buffer(4096);
    let status = forked(|| {
        buffer.write(0, &[7]);
        assert_eq!(node.fini(buffer.bo.handle), Ok(0));
        let own = Node::open();
        assert_eq!(own.create(4096).unwrap().handle, 1);
        assert_eq!(node.create(4096).unwrap().handle, 2);
        // A grandchild dies without a word.
        assert_eq!(forked(|| std::process::abort()), -libc::SIGABRT);
    });
    assert_eq!(status, 0);
    assert_eq!(buffer.byte(0), 7, "one memory");
    assert_eq!(node.create(4096).unwrap().handle, 3, "one table of handles");
    let mut command = Command::new("sh");
    command.args(["-c", "exec cat /proc/self/status"]).stdout(Stdio::null());
    assert!(command.status().unwrap().success());
}

#[test]
fn eight_threads_hammer_three_files() {
    if !supervised() {
        return;
    }
    under_npu_sim(&[], "hammer");
}

fn hammer() {
    let nodes = [Node::open(), Node::open(), Node::open()];
    thread::scope(|scope| {
        for i in 0..8 {
            let node = &nodes[i % 3];
            scope.spawn(move || {
                for round in 0..60 {
                    let buffer = node.buffer(4096 * (1 + (i as u32 + round) % 5));
                    assert_eq!((buffer.byte(0), buffer.byte(4095)), (0, 0));
                    buffer.write(0, &[i as u8 + 1]);
                    buffer.write(4095, &[i as u8 + 1]);
                    assert_eq!(node.fini(buffer.bo.handle), Ok(0));
                    assert_eq!(node.prep_until(buffer.bo.handle, 0), Ok(0));
                    assert_eq!(buffer.byte(4095), i as u8 + 1);
                    let bo = buffer.unmap();
                    assert_eq!(node.close_bo(bo.handle), Ok(0));
                }
            });
        }
    });
    for node in nodes {
        let bo = node.create(4096).unwrap();
        assert_eq!((bo.handle, bo.dma_address), (1, 0), "nothing is left behind");
    }
}

#[test]
fn death_in_a_wait_frees_everything() {
    if !supervised() {
        return;
    }
    let output = under_npu_sim(&["--summary"], "killed_in_prep");
    assert!(stderr(&output).contains("2 timed out"), "{}", stderr(&output));
}

fn killed_in_prep() {
    let start = Instant::now();
    for _ in 0..2 {
        let status = forked(|| {
            let node = Node::open();
            let out = node.create(16 << 20).unwrap();
            hang(&node, &[out.handle]);
            let me = nix::unistd::getpid();
            thread::spawn(move || {
                thread::sleep(Duration::from_millis(50));
                nix::sys::signal::kill(me, nix::sys::signal::Signal::SIGKILL).unwrap();
            });
            let _ = node.prep_until(out.handle, i64::MAX);
        });
        assert_eq!(status, -libc::SIGKILL);
    }
    assert!(start.elapsed() < Duration::from_millis(450), "{:?}", start.elapsed());
    // The killed ones' jobs are on cores 0 and 1; the third is free.
    let node = Node::open();
    assert!(node.create(4096).is_ok());
}

static CAUGHT: AtomicU32 = AtomicU32::new(0);

extern "C" fn count(_: i32) {
    CAUGHT.fetch_add(1, Ordering::Relaxed);
}

/// Installs `count` for SIGUSR1.
fn catch(flags: i32) {
    // SAFETY: a zeroed sigaction is valid; the handler only touches an atomic.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = count as *const () as usize;
        action.sa_flags = flags;
        assert_eq!(libc::sigaction(libc::SIGUSR1, &action, std::ptr::null_mut()), 0);
    }
}

#[test]
fn signals_interrupt_waits_and_nothing_else() {
    if !supervised() {
        return;
    }
    under_npu_sim(&[], "signals");
}

fn signals() {
    let node = Node::open();
    let out = node.create(4096).unwrap().handle;
    // How a wait for a new job ends under a signal each 30 ms, after how long, after how many.
    let interrupted_wait = || {
        hang(&node, &[out]);
        let before = CAUGHT.load(Ordering::Relaxed);
        let start = Instant::now();
        let result = pestered(Duration::from_millis(30), || node.prep_until(out, i64::MAX));
        let took = start.elapsed();
        while node.prep_until(out, i64::MAX).is_err() {}
        (result, took, CAUGHT.load(Ordering::Relaxed) - before)
    };
    catch(0);
    let (result, took, _) = interrupted_wait();
    assert_eq!(result, Err(Errno::EINTR));
    assert!(took < Duration::from_millis(400), "{took:?}");
    catch(libc::SA_RESTART);
    let (result, took, caught) = interrupted_wait();
    assert_eq!(result, Ok(0));
    assert!(took >= Duration::from_millis(400) && caught >= 3, "{took:?}, {caught}");

    // Calls that do not wait are done once, whatever arrives meanwhile.
    catch(libc::SA_RESTART);
    let handles: Vec<u32> = pestered(Duration::from_micros(200), || {
        (0..200).map(|_| node.create(4096).unwrap().handle).collect()
    });
    assert!(handles.iter().zip(out + 1..).all(|(handle, expected)| *handle == expected));
}

/// Does `work` while a signal comes for this thread in every `period`.
fn pestered<T>(period: Duration, work: impl FnOnce() -> T) -> T {
    // SAFETY: no conditions.
    let worker = unsafe { libc::pthread_self() };
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let done = &done;
        scope.spawn(move || {
            while !done.load(Ordering::Relaxed) {
                thread::sleep(period);
                // SAFETY: the worker outlives this scope.
                unsafe { libc::pthread_kill(worker, libc::SIGUSR1) };
            }
        });
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
        done.store(true, Ordering::Relaxed);
        result.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

#[test]
fn waits_do_not_hold_up_other_calls() {
    if !supervised() {
        return;
    }
    under_npu_sim(&[], "busy_waits");
}

fn busy_waits() {
    let nodes: Vec<Node> = (0..3).map(|_| Node::open()).collect();
    let other = Node::open();
    thread::scope(|scope| {
        for node in &nodes {
            let out = node.create(4096).unwrap().handle;
            hang(node, &[out]);
            for _ in 0..4 {
                scope.spawn(move || assert_eq!(node.prep_until(out, i64::MAX), Ok(0)));
            }
        }
        thread::sleep(Duration::from_millis(20));
        let start = Instant::now();
        for _ in 0..100 {
            let bo = other.create(4096).unwrap();
            assert_eq!(other.close_bo(bo.handle), Ok(0));
        }
        assert!(start.elapsed() < Duration::from_millis(400), "{:?}", start.elapsed());
    });
}

#[test]
fn memory_goes_back() {
    if !supervised() {
        return;
    }
    under_npu_sim(&[], "churn");
}

/// Memory of the whole system in shared pages, KiB.
fn shared_memory() -> u64 {
    let info = std::fs::read_to_string("/proc/meminfo").unwrap();
    let line = info.lines().find_map(|line| line.strip_prefix("Shmem:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

fn churn() {
    let node = Node::open();
    let before = shared_memory();
    for round in 0..128 {
        let buffer = node.buffer(8 << 20);
        for page in 0..2048 {
            buffer.write(page * 4096, &[round]);
        }
        let bo = buffer.unmap();
        node.close_bo(bo.handle).unwrap();
    }
    // 1 GiB went through. Others use shared memory too, but not that much.
    let growth = shared_memory().saturating_sub(before);
    assert!(growth < 512 << 10, "{growth} KiB");
}
