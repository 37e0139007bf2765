//! A server under test: a child process on a core of its own, whose CPU time can be told.

use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A running server. It ends when this is dropped.
pub(super) struct Server {
    pub(super) name: String,
    child: Child,
}

/// How long a server may take to accept connections.
const PATIENCE: Duration = Duration::from_secs(120);

impl Server {
    /// Starts a command on one core and waits until it accepts connections at an address.
    pub(super) fn start(name: &str, core: usize, command: &[&str], address: SocketAddr) -> Result<Self, String> {
        Self::start_with(name, core, command, address, |_| {})
    }

    /// The same, with something done to the command before it starts.
    pub(super) fn start_with(
        name: &str,
        core: usize,
        command: &[&str],
        address: SocketAddr,
        prepare: impl FnOnce(&mut Command),
    ) -> Result<Self, String> {
        let mut taskset = Command::new("taskset");
        taskset.args(["-c", &core.to_string()]).args(command);
        taskset.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        prepare(&mut taskset);
        let child = taskset.spawn().map_err(|error| format!("cannot start {name}: {error}"))?;
        let mut server = Self { name: name.to_owned(), child };
        let start = Instant::now();
        while TcpStream::connect(address).is_err() {
            if let Ok(Some(status)) = server.child.try_wait() {
                return Err(format!("{name} ended with {status}: {}", command.join(" ")));
            }
            if start.elapsed() > PATIENCE {
                return Err(format!("{name} does not accept connections at {address}"));
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(server)
    }

    /// CPU time of all threads of the server and of its children so far.
    pub(super) fn cpu(&self) -> Duration {
        self.processes().iter().map(|process| cpu_of(process)).sum()
    }

    /// Memory that is resident, of the server and its children, in bytes.
    pub(super) fn resident(&self) -> u64 {
        self.processes().iter().map(|process| resident_of(process)).sum()
    }

    fn processes(&self) -> Vec<PathBuf> {
        let mut found = vec![PathBuf::from("/proc").join(self.child.id().to_string())];
        let mut next = 0;
        while let Some(process) = found.get(next).cloned() {
            next += 1;
            let threads = fs::read_dir(process.join("task")).into_iter().flatten().flatten();
            for thread in threads {
                let children = fs::read_to_string(thread.path().join("children")).unwrap_or_default();
                found.extend(children.split_whitespace().map(|pid| Path::new("/proc").join(pid)));
            }
        }
        found
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // A platform stops its replicas when it is asked to end, not when it is killed.
        let pid = self.child.id().to_string();
        let _ = Command::new("kill").arg(&pid).status();
        let start = Instant::now();
        while start.elapsed() < Duration::from_secs(5) {
            if matches!(self.child.try_wait(), Ok(Some(_))) {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn cpu_of(process: &Path) -> Duration {
    let threads = fs::read_dir(process.join("task")).into_iter().flatten().flatten();
    let nanoseconds = threads.filter_map(|thread| {
        let statistics = fs::read_to_string(thread.path().join("schedstat")).ok()?;
        statistics.split_whitespace().next()?.parse::<u64>().ok()
    });
    Duration::from_nanos(nanoseconds.sum())
}

fn resident_of(process: &Path) -> u64 {
    let status = fs::read_to_string(process.join("status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
    line.split_whitespace().next().and_then(|kilobytes| kilobytes.parse::<u64>().ok()).unwrap_or(0) * 1024
}
