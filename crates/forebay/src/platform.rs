//! Where a running platform is found: a file in its state folder, written when it is up and removed when it ends.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use net::{Body, ClientConnection, ConnectError, Fields, Method, Outgoing, SendError};
use serde::{Deserialize, Serialize};

/// A running platform, as other commands find it.
#[derive(Debug, Clone, Serialize, Deserialize, PartialEq, Eq)]
pub(crate) struct Platform {
    /// Its process.
    pub(crate) pid: u32,
    /// URL of the embedded Kubernetes API, for example `https://127.0.0.1:7443`.
    pub(crate) api: String,
    /// Bearer token of the embedded Kubernetes API.
    pub(crate) token: String,
    /// URL of admin and dashboard, for example `http://127.0.0.1:7070`.
    pub(crate) admin: String,
    /// Kubeconfig for `kubectl`.
    pub(crate) kubeconfig: PathBuf,
    /// Whether others can reach it, and nothing is served there that asks for protection in vain.
    #[serde(default)]
    pub(crate) refuses_unprotected: bool,
}

impl Platform {
    /// The running platform of a state folder.
    pub(crate) fn find(state_dir: &Path) -> anyhow::Result<Self> {
        let path = file(state_dir);
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                bail!(
                    "no platform is running here ({} is not there)\n  help: start one with `forebay up`, or name its folder with --state-dir",
                    path.display()
                );
            }
            Err(error) => return Err(error).with_context(|| format!("cannot read `{}`", path.display())),
        };
        let platform: Self =
            serde_json::from_str(&text).with_context(|| format!("`{}` is damaged", path.display()))?;
        if !is_running(platform.pid) {
            bail!(
                "the platform of `{}` has ended (pid {})\n  help: start it again with `forebay up`",
                state_dir.display(),
                platform.pid
            );
        }
        Ok(platform)
    }

    /// An error when the process is held, for example by Ctrl-Z or `kill -STOP`: the system still accepts connections
    /// for it, and nobody answers them.
    pub(crate) fn must_not_be_stopped(&self) -> anyhow::Result<()> {
        let pid = self.pid;
        if is_stopped(pid) {
            bail!("the platform is stopped (pid {pid})\n  help: have it go on: kill -CONT {pid}");
        }
        Ok(())
    }

    /// What the admin port tells at a path.
    pub(crate) async fn admin(&self, path: &str) -> anyhow::Result<serde_json::Value> {
        let text = self.admin_text(path).await?;
        serde_json::from_str(&text).context("the admin port tells something else than JSON")
    }

    /// The same, where that is no JSON.
    pub(crate) async fn admin_text(&self, path: &str) -> anyhow::Result<String> {
        self.must_not_be_stopped()?;
        let address: SocketAddr =
            self.admin.trim_start_matches("http://").parse().context("no admin port")?;
        let silent = || silent(address, ADMIN_PATIENCE, self.pid);
        let connection = match ClientConnection::open(address, ADMIN_PATIENCE).await {
            Err(ConnectError::TimedOut { .. }) => return Err(silent()),
            opened => opened?,
        };
        let mut fields = Fields::new();
        fields.push("host", address.to_string());
        let (method, body) = (&Method::GET, Body::Empty);
        let outgoing = Outgoing { method, target: path, fields: &fields, body, timeout: ADMIN_PATIENCE };
        let answer = match connection.send(outgoing, drop).await {
            Err(SendError::TimedOut) => return Err(silent()),
            answer => answer?,
        };
        let text = answer.body.collect(ADMIN_LIMIT).await?;
        String::from_utf8(text.to_vec()).context("the admin port tells something else than text")
    }

    /// Lets other commands find this platform. Only this user may read the file: it holds the token.
    pub(crate) fn announce(&self, state_dir: &Path) -> anyhow::Result<()> {
        let (path, text) = (file(state_dir), serde_json::to_string_pretty(self)?);
        // On a full disk there may be room where the announcement of a platform is that was killed.
        write_private(&path, &text).or_else(|error| write_over(&path, &text).map_err(|_| error))
    }

    /// Takes back the announcement.
    pub(crate) fn withdraw(state_dir: &Path) {
        let _ = fs::remove_file(file(state_dir));
    }
}

/// How long the admin port may take to answer.
const ADMIN_PATIENCE: Duration = Duration::from_secs(5);

/// The largest answer that is read from the admin port, in bytes.
const ADMIN_LIMIT: usize = 64 << 20;

fn file(state_dir: &Path) -> PathBuf {
    state_dir.join("platform.json")
}

/// Whether a process is there and has not ended, even if nobody has asked yet how it ended.
pub(crate) fn is_running(pid: u32) -> bool {
    state_of(pid).is_some_and(|state| state != ENDED)
}

/// Whether a signal holds a process.
pub(crate) fn is_stopped(pid: u32) -> bool {
    state_of(pid) == Some(STOPPED)
}

/// The states of processes that have ended, and that a signal holds (proc_pid_stat(5)).
const ENDED: char = 'Z';
const STOPPED: char = 'T';

fn state_of(pid: u32) -> Option<char> {
    let status = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name, in parentheses, may hold anything; the state comes after the last one.
    status.rsplit(')').next().and_then(|rest| rest.trim_start().chars().next())
}

/// That a platform neither refuses nor answers.
pub(crate) fn silent(address: SocketAddr, patience: Duration, pid: u32) -> anyhow::Error {
    let seconds = patience.as_secs();
    anyhow!(
        "the platform at {address} has not answered for {seconds} s, though its process is there (pid {pid})\n  help: it may be stopped or overloaded: `kill -CONT {pid}` has it go on, `forebay down` ends it"
    )
}

/// Writes into a file that is there, without asking the disk for more room than it has.
fn write_over(path: &Path, text: &str) -> io::Result<()> {
    use std::io::Write as _;
    let mut file = fs::OpenOptions::new().write(true).open(path)?;
    file.write_all(text.as_bytes())?;
    file.set_len(text.len() as u64)
}

/// Writes a file that only this user may read, whole or not at all. One that is as it should be is left alone.
pub(crate) fn write_private(path: &Path, text: &str) -> anyhow::Result<()> {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    if fs::read(path).is_ok_and(|there| there == text.as_bytes()) {
        return Ok(());
    }
    let new = path.with_extension("new");
    let write = || {
        let mut file =
            fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
        file.write_all(text.as_bytes())?;
        fs::rename(&new, path)
    };
    let written = write().inspect_err(|_| {
        // Already there is nothing better to say than why it was not written.
        let _ = fs::remove_file(&new);
    });
    written.with_context(|| format!("cannot write `{}`", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_cannot_be_written_leaves_nothing_behind() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("kubeconfig");
        fs::create_dir(&path).unwrap();
        let error = write_private(&path, "text").unwrap_err();
        assert!(error.to_string().contains("kubeconfig"), "{error}");
        assert!(!folder.path().join("kubeconfig.new").exists());
    }

    #[test]
    fn what_is_written_over_is_as_long_as_what_it_is_now() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("platform.json");
        assert!(write_over(&path, "a").is_err(), "there is no room where nothing is");
        write_private(&path, "something long").unwrap();
        write_over(&path, "short").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "short");
    }
}
