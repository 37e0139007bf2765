//! Everything that a container started, also what left its process group: found by a mark in its environment, which
//! children inherit.
//!
//! A process that takes the mark out of its environment *and* leaves its group is not found.

use std::fs;
use std::time::Duration;

use rustix::fd::OwnedFd;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

/// The variable with the mark: `PLATFORM/START/POD/CONTAINER`.
pub(super) const MARK: &str = "FOREBAY_CONTAINER";

/// How often is looked again for processes that were started while others were killed.
const LOOKS: usize = 20;
/// Time between a look that found none and the one that makes sure.
const AGAIN: Duration = Duration::from_millis(2);
/// How long processes may take to end before they are killed, in steps.
const PATIENCE: Duration = Duration::from_secs(2);
const STEP: Duration = Duration::from_millis(20);

/// A process that is held by more than its number, which could be given to another.
struct Held {
    pid: u32,
    process: OwnedFd,
}

/// Kills every process whose mark begins so, on a thread of its own: the kernel holds up whoever looks at a process that is
/// busy with its memory.
pub(super) async fn kill_beside(mark: String) {
    let _ = tokio::task::spawn_blocking(move || kill(&mark)).await;
}

/// Kills every process whose mark begins so.
pub(super) fn kill(mark: &str) {
    let mut seen_none = false;
    for _ in 0..LOOKS {
        let found = marked(mark);
        // A process that is just becoming another program has no environment for a moment.
        if found.is_empty() && std::mem::replace(&mut seen_none, true) {
            return;
        }
        if found.is_empty() {
            std::thread::sleep(AGAIN);
            continue;
        }
        seen_none = false;
        found.iter().for_each(|held| held.signal(Signal::KILL));
    }
}

/// Asks every process whose mark begins so to end, and kills those that take too long. Blocks for as long as they take.
pub fn end_marked(mark: &str) {
    let found = marked(mark);
    for held in &found {
        tracing::info!(pid = held.pid, "a process of a platform that died is ended");
        held.signal(Signal::TERM);
    }
    let mut waited = Duration::ZERO;
    while waited < PATIENCE && !marked(mark).is_empty() {
        std::thread::sleep(STEP);
        waited += STEP;
    }
    kill(mark);
}

/// The processes whose mark begins so, but for this one. Those of other users cannot be looked at, and are not ours.
fn marked(mark: &str) -> Vec<Held> {
    let wanted = format!("{MARK}={mark}");
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let others = pids.filter(|pid| *pid != std::process::id());
    others.filter_map(|pid| Held::of(pid, wanted.as_bytes())).collect()
}

impl Held {
    /// Holds a process, if its environment has a variable that begins so.
    fn of(pid: u32, variable: &[u8]) -> Option<Self> {
        let is_marked = || {
            let environment = fs::read(format!("/proc/{pid}/environ")).ok()?;
            environment.split(|byte| *byte == 0).any(|entry| entry.starts_with(variable)).then_some(())
        };
        is_marked()?;
        let process = pidfd_open(Pid::from_raw(i32::try_from(pid).ok()?)?, PidfdFlags::empty()).ok()?;
        // Looked at again, now that the number stays its own.
        is_marked()?;
        Some(Self { pid, process })
    }

    fn signal(&self, signal: Signal) {
        // It may have ended by itself.
        let _ = pidfd_send_signal(&self.process, signal);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{BufRead as _, BufReader};
    use std::process::{Command, Stdio};

    /// A child that left its parent's group and session; gives its number.
    fn runaway(mark: &str) -> u32 {
        let mut parent = Command::new("/bin/sh")
            .args(["-c", "setsid sh -c 'echo $$; exec sleep 1000' &"])
            .env(MARK, mark)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(parent.stdout.take().unwrap()).read_line(&mut line).unwrap();
        parent.wait().unwrap();
        line.trim().parse().unwrap()
    }

    fn runs(pid: u32) -> bool {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        stat.rsplit_once(") ").is_some_and(|(_, state)| !state.starts_with('Z'))
    }

    #[test]
    fn what_left_its_group_is_found_by_its_mark_and_others_are_not() {
        let mark = format!("test-{}", std::process::id());
        let (ours, other) = (runaway(&format!("{mark}/1/a")), runaway(&format!("{mark}/2/a")));
        // A process that was killed takes a moment to be gone.
        let is_gone = |pid: u32| {
            (0..500).any(|_| {
                std::thread::sleep(Duration::from_millis(u64::from(runs(pid)) * 10));
                !runs(pid)
            })
        };
        kill(&format!("{mark}/1/"));
        assert!(is_gone(ours) && runs(other));
        end_marked(&format!("{mark}/"));
        assert!(is_gone(other));
    }
}
