//! Where a running platform is found: a file in its state folder, written when it is up and removed when it ends.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail};
use net::{Body, ClientConnection, Fields, Method, Outgoing};
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

    /// What the admin port tells at a path.
    pub(crate) async fn admin(&self, path: &str) -> anyhow::Result<serde_json::Value> {
        let address: SocketAddr =
            self.admin.trim_start_matches("http://").parse().context("no admin port")?;
        let connection = ClientConnection::open(address, ADMIN_PATIENCE).await?;
        let mut fields = Fields::new();
        fields.push("host", address.to_string());
        let (method, body) = (&Method::GET, Body::Empty);
        let outgoing = Outgoing { method, target: path, fields: &fields, body, timeout: ADMIN_PATIENCE };
        let answer = connection.send(outgoing, drop).await?;
        let text = answer.body.collect(ADMIN_LIMIT).await?;
        serde_json::from_slice(&text).context("the admin port tells something else than JSON")
    }

    /// Lets other commands find this platform. Only this user may read the file: it holds the token.
    pub(crate) fn announce(&self, state_dir: &Path) -> anyhow::Result<()> {
        write_private(&file(state_dir), &serde_json::to_string_pretty(self)?)
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
    let status = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // The name, in parentheses, may hold anything; the state comes after the last one.
    let state = status.rsplit(')').next().and_then(|rest| rest.trim_start().chars().next());
    state.is_some_and(|state| state != 'Z')
}

/// Writes a file that only this user may read, whole or not at all.
pub(crate) fn write_private(path: &Path, text: &str) -> anyhow::Result<()> {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    let new = path.with_extension("new");
    let write = || {
        let mut file =
            fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
        file.write_all(text.as_bytes())?;
        fs::rename(&new, path)
    };
    write().with_context(|| format!("cannot write `{}`", path.display()))
}
