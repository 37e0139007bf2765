//! A server under test: a child process on a core of its own, whose CPU time and memory can be told.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::folder;

/// A running server. It ends when this is dropped, with all it started.
#[derive(Debug)]
pub(super) struct Server {
    name: String,
    child: Child,
    log: PathBuf,
    start: Instant,
}

/// How long a server may take until it answers.
const START_PATIENCE: Duration = Duration::from_secs(120);

/// How long it may take to end.
const END_PATIENCE: Duration = Duration::from_secs(5);

/// A command that runs a program on one core.
pub(super) fn pinned(core: usize, program: &Path) -> Command {
    let mut command = Command::new("taskset");
    command.args(["-c", &core.to_string()]).arg(program);
    command
}

/// An address on loopback that nobody listens at.
pub(super) fn free_address() -> Result<SocketAddr, String> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0));
    listener.and_then(|listener| listener.local_addr()).map_err(|error| format!("no free port: {error}"))
}

// === impl Server ===

impl Server {
    /// Starts a command. What it prints goes to a log.
    pub(super) fn start(name: &str, mut command: Command) -> Result<Self, String> {
        let log = folder("logs")?.join(format!("{}.log", name.replace(|c: char| !c.is_alphanumeric(), "-")));
        let start = Instant::now();
        let output = File::create(&log).and_then(|file| Ok((file.try_clone()?, file)));
        let child =
            output.and_then(|(out, error)| command.stdin(Stdio::null()).stdout(out).stderr(error).spawn());
        let child = child.map_err(|error| format!("cannot start {name}: {error}"))?;
        Ok(Self { name: name.to_owned(), child, log, start })
    }

    /// Asks the server again and again until it gives an answer, and tells how long that took from its start.
    pub(super) fn wait_for<T>(
        &mut self,
        mut ask: impl FnMut(&Self) -> io::Result<T>,
    ) -> Result<(T, Duration), String> {
        loop {
            let problem = match ask(self) {
                Ok(answer) => return Ok((answer, self.start.elapsed())),
                Err(problem) => problem,
            };
            let (name, log) = (&self.name, self.log.display());
            if let Ok(Some(status)) = self.child.try_wait() {
                return Err(format!("{name} ended with {status}; see {log}"));
            }
            if self.start.elapsed() > START_PATIENCE {
                return Err(format!("{name} does not answer: {problem}; see {log}"));
            }
            // Often enough to tell the time within a fiftieth of it, and no more than that costs.
            let pause = self.start.elapsed() / 50;
            std::thread::sleep(pause.clamp(Duration::from_millis(1), Duration::from_millis(100)));
        }
    }

    /// What it has printed so far.
    pub(super) fn printed(&self) -> io::Result<String> {
        fs::read_to_string(&self.log)
    }

    /// CPU time of the server and of its children so far.
    pub(super) fn cpu(&self) -> Duration {
        self.processes().iter().map(|process| cpu_of(process)).sum()
    }

    /// Memory that is resident, of the server and its children, in bytes.
    pub(super) fn resident(&self) -> u64 {
        self.processes().iter().map(|process| resident_of(process)).sum()
    }

    /// The process ids of what the server itself started. It looks at nothing of those: Linux takes long to end a process of
    /// which many have looked at the threads in `/proc`.
    pub(super) fn children(&self) -> Vec<String> {
        ids_of(&children_of(&Path::new("/proc").join(self.child.id().to_string())))
    }

    /// Sends the server a signal.
    pub(super) fn signal(&self, kind: &str) {
        signal(kind, [self.child.id().to_string()]);
    }

    /// Asks the server to end, and waits until it has.
    pub(super) fn end(&mut self) -> Result<(), String> {
        self.signal("-TERM");
        let end = Instant::now() + START_PATIENCE;
        while Instant::now() < end {
            if matches!(self.child.try_wait(), Ok(Some(_))) {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Err(format!("{} does not end; see {}", self.name, self.log.display()))
    }

    /// Folders in `/proc` of the server and of all that it started, the server first.
    fn processes(&self) -> Vec<PathBuf> {
        let mut found = vec![PathBuf::from("/proc").join(self.child.id().to_string())];
        let mut next = 0;
        while let Some(process) = found.get(next) {
            let children = children_of(process);
            found.extend(children);
            next += 1;
        }
        found
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let processes = self.processes();
        signal("-TERM", ids_of(&processes));
        let end = Instant::now() + END_PATIENCE;
        while Instant::now() < end {
            let _ = self.child.try_wait();
            if processes.iter().all(|process| !process.exists()) {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        signal("-KILL", ids_of(&processes));
        let _ = self.child.wait();
    }
}

/// Folders in `/proc` of what a process started.
fn children_of(process: &Path) -> Vec<PathBuf> {
    let threads = fs::read_dir(process.join("task")).into_iter().flatten().flatten();
    let children = threads.flat_map(|thread| {
        let children = fs::read_to_string(thread.path().join("children")).unwrap_or_default();
        children.split_whitespace().map(|pid| Path::new("/proc").join(pid)).collect::<Vec<_>>()
    });
    children.collect()
}

/// Sends processes a signal.
pub(super) fn signal(kind: &str, process_ids: impl IntoIterator<Item = impl AsRef<OsStr>>) {
    let _ = Command::new("kill").arg(kind).args(process_ids).stderr(Stdio::null()).status();
}

/// Those of some folders in `/proc` that are there.
fn ids_of(processes: &[PathBuf]) -> Vec<String> {
    let running = processes.iter().filter(|process| process.exists());
    running.filter_map(|process| Some(process.file_name()?.to_string_lossy().into_owned())).collect()
}

/// User and system time of a process, threads that ended included.
fn cpu_of(process: &Path) -> Duration {
    cpu_in(&fs::read_to_string(process.join("stat")).unwrap_or_default())
}

fn cpu_in(statistics: &str) -> Duration {
    // proc_pid_stat(5): the name of the program is in parentheses, then follow fields 3 and up; 14 and 15 are ticks.
    let fields = statistics.rsplit(')').next().unwrap_or_default().split_whitespace();
    let ticks: u64 = fields.skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum();
    // Linux tells times to programs in hundredths of a second, whatever its own clock.
    Duration::from_millis(ticks * 10)
}

fn resident_of(process: &Path) -> u64 {
    let status = fs::read_to_string(process.join("status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
    line.split_whitespace().next().and_then(|kilobytes| kilobytes.parse::<u64>().ok()).unwrap_or(0) * 1024
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_time_is_found_behind_any_name() {
        let fields = "S 1 31 31 0 -1 4194560 120 7 0 0 150 25 900 900 20 0 2 0 7017 5509120 400";
        assert_eq!(cpu_in(&format!("31 (forebay) {fields}")), Duration::from_millis(1750));
        assert_eq!(cpu_in(&format!("31 (a) b (c) {fields}")), Duration::from_millis(1750));
        assert_eq!(cpu_in(""), Duration::ZERO);
    }

    #[test]
    fn a_process_has_memory_until_it_is_gone() {
        assert!(resident_of(Path::new("/proc/self")) > 0);
        assert_eq!(resident_of(Path::new("/proc/0")), 0);
    }
}
