//! How much memory a process holds.

use std::fs;

/// The resident memory of a process in bytes; `None` when it is gone.
pub(super) fn resident(pid: u32) -> Option<u64> {
    parse(&fs::read_to_string(format!("/proc/{pid}/status")).ok()?)
}

/// `VmRSS:    1234 kB` in `/proc/<pid>/status` (proc_pid_status(5)).
fn parse(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kilobytes.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_resident_memory_is_read() {
        assert_eq!(parse("Name:\tsh\nVmRSS:\t    1020 kB\nThreads:\t1\n"), Some(1020 * 1024));
        assert_eq!(parse("Name:\tkworker\n"), None);
        assert!(resident(std::process::id()).is_some_and(|bytes| bytes > 100_000));
    }
}
