//! What /proc says of a client.

use std::collections::BTreeSet;
use std::fs;
use std::ops::Range;

/// PF_EXITING of linux/sched.h.
const PF_EXITING: u64 = 0x4;

/// The device and inode behind a descriptor of a thread.
pub fn descriptor(tid: libc::pid_t, fd: i32) -> Option<(u64, u64)> {
    let stat = nix::sys::stat::stat(format!("/proc/{tid}/fd/{fd}").as_str()).ok()?;
    Some((stat.st_dev, stat.st_ino))
}

/// The process that a thread belongs to.
pub fn process_of(tid: libc::pid_t) -> Option<libc::pid_t> {
    Status::of(tid)?.field("Tgid:")?.parse().ok()
}

/// Whether a process is gone or on its way out.
pub fn is_exiting(pid: libc::pid_t) -> bool {
    let Ok(stat) = fs::read_to_string(format!("/proc/{pid}/stat")) else { return true };
    // The name in parentheses may contain anything; state and flags are the 1st and 7th after it.
    let rest = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    let mut fields = rest.split_ascii_whitespace();
    let state = fields.next().unwrap_or("X");
    let flags: u64 = fields.nth(5).and_then(|flags| flags.parse().ok()).unwrap_or(PF_EXITING);
    matches!(state, "Z" | "X") || flags & PF_EXITING != 0
}

/// Whether a signal waits for this thread to handle it.
///
/// One sent to the process waits for whichever thread takes it. That is the first thread unless it
/// blocks the signal, so the others leave it alone.
pub fn has_signal(tid: libc::pid_t) -> bool {
    let Some(status) = Status::of(tid) else { return true };
    let blocked = status.mask("SigBlk:");
    if status.mask("SigPnd:") & !blocked != 0 {
        return true;
    }
    let shared = status.mask("ShdPnd:") & !blocked;
    if shared == 0 {
        return false;
    }
    match status.field("Tgid:").and_then(|pid| pid.parse().ok()) {
        Some(pid) if pid != tid => {
            Status::of(pid).is_none_or(|first| first.mask("SigBlk:") & shared != 0)
        }
        _ => true,
    }
}

/// The ranges of offsets at which `processes` map the file `(device, inode)` named `name`.
pub fn mappings(processes: &BTreeSet<libc::pid_t>, inode: u64, name: &str) -> Vec<Range<u64>> {
    let mut found = Vec::new();
    for pid in processes {
        // A process that is gone maps nothing.
        let maps = fs::read_to_string(format!("/proc/{pid}/maps")).unwrap_or_default();
        let ours = maps.lines().filter(|line| line.contains(name));
        found.extend(ours.filter_map(|line| mapping(line, inode)));
    }
    found
}

/// One line of maps: `start-end perms offset device inode name`.
fn mapping(line: &str, inode: u64) -> Option<Range<u64>> {
    let mut fields = line.split_ascii_whitespace();
    let (start, end) = fields.next()?.split_once('-')?;
    let hex = |text| u64::from_str_radix(text, 16).ok();
    let len = hex(end)?.checked_sub(hex(start)?)?;
    let offset = hex(fields.nth(1)?)?;
    (fields.nth(1)?.parse() == Ok(inode)).then(|| offset..offset + len)
}

/// /proc/TID/status.
struct Status(String);

impl Status {
    fn of(tid: libc::pid_t) -> Option<Self> {
        fs::read_to_string(format!("/proc/{tid}/status")).ok().map(Status)
    }

    fn field(&self, name: &str) -> Option<&str> {
        self.0.lines().find_map(|line| line.strip_prefix(name)).map(str::trim)
    }

    fn mask(&self, name: &str) -> u64 {
        self.field(name).and_then(|mask| u64::from_str_radix(mask, 16).ok()).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_maps() {
        let line = "7f00-9f00 rw-s 100004000 00:01 77   /memfd:npu-sim:accel0 (deleted)";
        assert_eq!(mapping(line, 77), Some(0x1_0000_4000..0x1_0000_6000));
        assert_eq!(mapping(line, 78), None);
        assert_eq!(mapping("garbage", 77), None);
    }

    #[test]
    fn this_process_is_alive_and_quiet() {
        let me = std::process::id() as libc::pid_t;
        assert_eq!(process_of(me), Some(me));
        assert!(!is_exiting(me));
        assert!(!has_signal(me));
        assert!(is_exiting(libc::pid_t::MAX));
    }
}
