//! How much processors and memory containers use.

use std::cell::Cell;
use std::fs;
use std::rc::Rc;
use std::time::{Duration, Instant};

use super::memory;

/// What a container has used lately.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Used {
    /// Billionths of a processor.
    pub nanocores: u64,
    /// Resident memory, in bytes.
    pub memory: u64,
    /// Over how long processors were looked at.
    pub window: Duration,
}

/// Where a process was when it was looked at last.
#[derive(Debug, Clone)]
pub(super) struct Meter {
    pid: u32,
    last: Rc<Cell<(Instant, u64)>>,
}

/// Who looks again so soon is told of the same time as who looked last.
const SHORTEST: Duration = Duration::from_secs(1);

/// `USER_HZ`, in which Linux tells times of processes on every machine that Forebay runs on.
const TICKS_PER_SECOND: u128 = 100;

// === impl Meter ===

impl Meter {
    pub(super) fn new(pid: u32) -> Self {
        Self { pid, last: Rc::new(Cell::new((Instant::now(), 0))) }
    }

    /// What the process has used since it was looked at last; `None` when it is gone.
    pub(super) fn read(&self) -> Option<Used> {
        let ticks = parse(&fs::read_to_string(format!("/proc/{}/stat", self.pid)).ok()?)?;
        let memory = memory::resident(self.pid)?;
        let (now, (since, before)) = (Instant::now(), self.last.get());
        let window = now - since;
        if window >= SHORTEST {
            self.last.set((now, ticks));
        }
        let spent = u128::from(ticks.saturating_sub(before)) * 1_000_000_000 / TICKS_PER_SECOND;
        let nanocores = spent * 1_000_000_000 / window.as_nanos().max(1_000_000);
        Some(Used { nanocores: u64::try_from(nanocores).unwrap_or(u64::MAX), memory, window })
    }
}

/// `utime` and `stime` in `/proc/<pid>/stat` (`proc_pid_stat(5)`), fields 14 and 15. The name before them may hold anything.
fn parse(stat: &str) -> Option<u64> {
    let mut fields = stat.rsplit_once(") ")?.1.split(' ').skip(11);
    let mut ticks = || fields.next()?.parse::<u64>().ok();
    ticks()?.checked_add(ticks()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_process_used_is_read() {
        let stat = "12 (a) b c) S 1 12 12 0 -1 4194560 100 0 0 0 70 30 0 0 20 0 1 0 100 1000 10";
        assert_eq!(parse(stat), Some(100));
        assert_eq!(parse("12 (a"), None);
        let used = Meter::new(std::process::id()).read().unwrap();
        assert!(used.memory > 100_000);
        assert_eq!(Meter::new(u32::MAX).read(), None);
    }
}
