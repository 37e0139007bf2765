//! Processes that outlived a platform that died: remembered while they run, and ended by the next one.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::time::sleep;
use tracing::{info, warn};

use super::folder;

/// One small file per process that runs, named after its number. What it says tells it from any other process that may
/// get the number later.
#[derive(Debug)]
pub(super) struct Leftovers {
    folder: PathBuf,
}

/// How long leftovers may take to end before they are killed, in steps.
const PATIENCE: Duration = Duration::from_secs(2);
const STEP: Duration = Duration::from_millis(10);

impl Leftovers {
    pub(super) fn new(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// Remembers a process that was just started.
    pub(super) fn remember(&self, pid: u32) {
        let Some(birth) = birth(pid) else { return };
        let written = folder::create(&self.folder).and_then(|()| fs::write(self.file(pid), birth));
        if let Err(error) = written {
            warn!(pid, %error, "a process could not be remembered; it would outlive a crash");
        }
    }

    /// Forgets a process that has ended.
    pub(super) fn forget(&self, pid: u32) {
        let _ = fs::remove_file(self.file(pid));
    }

    /// Ends all processes that are remembered: they belong to a platform that is no more.
    pub(super) async fn end_all(&self) {
        let remembered: Vec<u32> = numbers(&self.folder).collect();
        let running = || remembered.iter().copied().filter(|pid| self.is_same(*pid));
        for pid in running() {
            info!(pid, "a process of a platform that died is ended");
            signal(pid, Signal::TERM);
        }
        let mut waited = Duration::ZERO;
        while running().next().is_some() && waited < PATIENCE {
            sleep(STEP).await;
            waited += STEP;
        }
        running().for_each(|pid| signal(pid, Signal::KILL));
        remembered.iter().for_each(|pid| self.forget(*pid));
    }

    fn file(&self, pid: u32) -> PathBuf {
        self.folder.join(pid.to_string())
    }

    fn is_same(&self, pid: u32) -> bool {
        birth(pid).is_some_and(|birth| fs::read_to_string(self.file(pid)).is_ok_and(|known| known == birth))
    }
}

fn numbers(folder: &Path) -> impl Iterator<Item = u32> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

fn signal(pid: u32, signal: Signal) {
    if let Some(group) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
        let _ = kill_process_group(group, signal);
    }
}

/// When a process was started, and in which life of the machine; `None` when it is gone or only waits to be told of.
fn birth(pid: u32) -> Option<String> {
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    let start = start_time(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)?;
    Some(format!("{start} {boot}"))
}

/// The 22nd field of `/proc/<pid>/stat` (proc_pid_stat(5)). The second is a name in parentheses that may hold anything.
fn start_time(stat: &str) -> Option<u64> {
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_ascii_whitespace();
    let state = fields.next()?;
    (state != "Z").then(|| fields.nth(18)?.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::process::CommandExt;
    use std::process::{Child, Command};

    #[test]
    fn the_start_time_is_found_behind_any_name() {
        let stat = "12 (a) b 1 2) S 1 12 12 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 987654 1 2";
        assert_eq!(start_time(stat), Some(987_654));
        assert_eq!(start_time(&stat.replace(") S", ") Z")), None);
        assert_eq!(start_time("12 (a"), None);
    }

    fn sleeper() -> Child {
        Command::new("sleep").arg("1000").process_group(0).spawn().unwrap()
    }

    #[tokio::test]
    async fn leftovers_are_ended_and_others_are_not() {
        let folder = tempfile::tempdir().unwrap();
        let leftovers = Leftovers::new(folder.path().join("processes"));
        let (mut left, mut other) = (sleeper(), sleeper());
        leftovers.remember(left.id());
        // A file that names a process with another start: the number was given out again.
        fs::write(leftovers.file(other.id()), "1 another life").unwrap();

        leftovers.end_all().await;
        assert!(!left.wait().unwrap().success());
        assert!(other.try_wait().unwrap().is_none(), "a process that is not ours was ended");
        other.kill().unwrap();
        other.wait().unwrap();
        assert_eq!(numbers(&leftovers.folder).count(), 0);
    }
}
