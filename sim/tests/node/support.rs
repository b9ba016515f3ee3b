//! Tests that are their own clients.
//!
//! A test starts its own executable again, as a client under `npu-sim` ([`under_npu_sim`]) or
//! under a supervisor whose cores are puppets ([`under_puppets`]): the environment names the role,
//! and the test function `role` plays it.

use std::process::{Command, Output, exit};
use std::sync::Arc;

use nix::errno::Errno;
use npu_sim::driver::{Config, Node};
use npu_sim::fault::Faults;
use npu_sim::front::seccomp;
use npu_sim::trace::{Journal, Level};

use crate::puppet::Puppet;

/// Names the client function to run.
const CLIENT: &str = "NPU_SIM_TEST_CLIENT";
/// Present in a supervisor: its faults, separated by blanks.
const SUPERVISOR: &str = "NPU_SIM_TEST_SUPERVISOR";
/// Where a supervisor writes its trace.
const TRACE: &str = "NPU_SIM_TEST_TRACE";

/// A client: its name and what it does. It fails by panicking.
pub type Client = (&'static str, fn());

/// A test that cannot run says so, and fails where that is forbidden.
pub fn skip(why: &str) {
    eprintln!("SKIPPED: {why}");
    assert!(std::env::var_os("NPUBLAS_FORBID_SKIP").is_none(), "{why}");
}

/// Whether the kernel knows seccomp at all; otherwise, as under qemu-user, the test is skipped. A
/// kernel that knows it and does not do what npu-sim needs makes tests fail.
pub fn supervised() -> bool {
    let mut sizes =
        libc::seccomp_notif_sizes { seccomp_notif: 0, seccomp_notif_resp: 0, seccomp_data: 0 };
    // SAFETY: the kernel fills the structure, or does nothing.
    let done = unsafe {
        libc::syscall(libc::SYS_seccomp, libc::SECCOMP_GET_NOTIF_SIZES, 0, &raw mut sizes)
    };
    let known = Errno::result(done) != Err(Errno::ENOSYS);
    if !known {
        skip("this kernel has no seccomp");
    }
    known
}

/// This executable, to be run in the role `client`.
pub fn in_role(client: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "role", "--nocapture", "--test-threads=1"]).env(CLIENT, client);
    command
}

/// `npu-sim OPTIONS -- command`.
pub fn npu_sim(options: &[&str], command: &Command) -> Command {
    let mut sim = Command::new(env!("CARGO_BIN_EXE_npu-sim"));
    sim.args(options).arg("--").arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        sim.env(name, value.unwrap_or_default());
    }
    sim
}

/// Runs a client under the real binary; it must succeed.
pub fn under_npu_sim(options: &[&str], client: &str) -> Output {
    checked(&mut npu_sim(options, &in_role(client)))
}

/// Runs a client with puppets for cores; it must succeed. Returns the trace.
pub fn under_puppets(faults: &[&str], client: &str) -> Vec<serde_json::Value> {
    let trace = temporary(client);
    let mut command = in_role(client);
    checked(command.env(SUPERVISOR, faults.join(" ")).env(TRACE, &trace));
    read_trace(&trace)
}

/// Runs a command, which must succeed.
pub fn checked(command: &mut Command) -> Output {
    let output = command.output().unwrap();
    assert!(
        output.status.success(),
        "{command:?}: {}\n{}\n{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    output
}

/// What a command wrote to stderr.
pub fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A file name of this test's own.
pub fn temporary(name: &str) -> String {
    let directory = env!("CARGO_TARGET_TMPDIR");
    format!("{directory}/{name}-{}", std::process::id())
}

/// The jobs of a trace.
pub fn jobs(trace: Vec<serde_json::Value>) -> Vec<serde_json::Value> {
    trace.into_iter().filter(|line| line["warning"].is_null()).collect()
}

/// The objects of a trace file, which is removed.
pub fn read_trace(path: &str) -> Vec<serde_json::Value> {
    let text = std::fs::read_to_string(path).unwrap();
    std::fs::remove_file(path).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Plays the role that the environment asks for; without one, returns.
pub fn play(clients: &[Client]) {
    let Ok(name) = std::env::var(CLIENT) else { return };
    if let Ok(faults) = std::env::var(SUPERVISOR) {
        exit(supervise(&name, &faults));
    }
    let client = clients.iter().find(|(known, _)| *known == name);
    client.unwrap_or_else(|| panic!("no client {name}")).1();
}

fn supervise(client: &str, faults: &str) -> i32 {
    let trace = std::fs::File::create(std::env::var(TRACE).unwrap()).unwrap();
    let rules = faults.split_whitespace().map(|rule| rule.parse().unwrap()).collect();
    let config = Config {
        page: npu_sim::driver::machine_page(),
        cores: 3,
        faults: Faults::new(rules),
        journal: Arc::new(Journal::new(Level::Warn, Some(trace))),
    };
    let node = Arc::new(Node::new(config, |_| Puppet).unwrap());
    seccomp::run(node, in_role(client).env_remove(SUPERVISOR)).unwrap()
}
