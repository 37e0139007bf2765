//! `forebay up` under test: the whole platform on a core of its own.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::contender::Contender;
use super::environment::succeed;
use super::http::get;
use super::server::{Server, pinned};
use super::{Forebay, LOAD_CORE, SERVER_CORE, folder, write};

/// A running platform. It ends when this is dropped.
#[derive(Debug)]
pub(super) struct Platform {
    pub(super) server: Server,
    /// Where the load balancer of its Ingresses is.
    pub(super) address: SocketAddr,
    manifest: PathBuf,
    program: PathBuf,
    state: PathBuf,
    admin: SocketAddr,
}

/// What `forebay up` prints when it is ready.
#[derive(Debug, PartialEq, Eq)]
struct Ready {
    address: SocketAddr,
    admin: SocketAddr,
}

/// Starts the platform with one load balancer, beside which others are measured.
pub(super) fn up(
    forebay: &Forebay,
    name: &str,
    folder_name: &str,
    manifest: &str,
    options: &[&str],
) -> Result<Contender, String> {
    let Platform { server, address, .. } = Platform::start(forebay, name, folder_name, manifest, options)?;
    Ok(Contender { name: name.to_owned(), server, address, secure: None, start: None })
}

// === impl Platform ===

impl Platform {
    /// Starts it in a folder of its own, with nothing of an earlier run.
    pub(super) fn start(
        forebay: &Forebay,
        name: &str,
        folder_name: &str,
        manifest: &str,
        options: &[&str],
    ) -> Result<Self, String> {
        let folder = folder(folder_name)?;
        let state = folder.join("state");
        let _ = fs::remove_dir_all(&state);
        let manifest = write(folder.join("manifest.yaml"), manifest)?;
        let mut command = pinned(SERVER_CORE, &forebay.path);
        command.arg("up").arg(&manifest).arg("--state-dir").arg(&state);
        command
            .args(["--cores", "1", "--admin-port", "0", "--api-port", "0", "--output", "json"])
            .args(options);
        let mut server = Server::start(name, command)?;
        let (Ready { address, admin }, _) = server.wait_for(|server| {
            let printed = server.printed()?;
            printed.lines().find_map(Ready::in_line).ok_or_else(|| io::Error::other("it is not ready"))
        })?;
        Ok(Self { server, address, manifest, program: forebay.path.clone(), state, admin })
    }

    /// Runs a command of Forebay on it, as somebody who has time.
    pub(super) fn run(&self, arguments: &[&str]) -> Result<(), String> {
        let mut command = pinned(LOAD_CORE, Path::new("nice"));
        command.args(["-n", "19"]).arg(&self.program).args(arguments).arg("--state-dir").arg(&self.state);
        succeed(&mut command).map(drop).map_err(|problem| format!("forebay {arguments:?}: {problem}"))
    }

    /// Applies a manifest.
    pub(super) fn apply(&self, manifest: &str) -> Result<(), String> {
        let file = write(self.state.join("applied.yaml"), manifest)?;
        self.run(&["apply", "-f", &file.display().to_string()])
    }

    /// Puts another manifest in the place of the one that it was started with.
    pub(super) fn write_manifest(&self, manifest: &str) -> Result<(), String> {
        write(self.manifest.clone(), manifest).map(drop)
    }

    /// Has it read its manifest again.
    pub(super) fn read_again(&self) {
        self.server.signal("-HUP");
    }

    /// The process ids of its replicas, the oldest first (they are given in turn).
    pub(super) fn replicas(&self) -> Vec<String> {
        let is_replica = |pid: &String| {
            let words = fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            words.split('\0').nth(1) == Some("serve")
        };
        let mut replicas: Vec<String> = self.server.children().into_iter().filter(is_replica).collect();
        replicas.sort_by_key(|pid| pid.parse::<u32>().unwrap_or(u32::MAX));
        replicas
    }

    /// Whether health checks of a target succeed.
    pub(super) fn is_healthy(&self, target: SocketAddr) -> Result<bool, String> {
        let text = get(self.admin, "/targets").map_err(|error| format!("no targets: {error}"))?;
        let targets: Value = serde_json::from_str(&text).map_err(|error| format!("targets: {error}"))?;
        let is_it = |it: &Value| it["target"] == target.to_string() && it["state"] == "healthy";
        Ok(targets.as_array().is_some_and(|targets| targets.iter().any(is_it)))
    }

    /// The sum over all series of a metric.
    pub(super) fn metric(&self, name: &str) -> Result<f64, String> {
        let text = get(self.admin, "/metrics").map_err(|error| format!("no metrics: {error}"))?;
        Ok(sum_of(&text, name))
    }
}

// === impl Ready ===

impl Ready {
    /// What is in a line of JSON that says so.
    fn in_line(line: &str) -> Option<Self> {
        let line: Value = serde_json::from_str(line).ok()?;
        let mut endpoints = line["endpoints"].as_array()?.iter();
        let endpoint = endpoints.find(|endpoint| endpoint["kind"] == "Ingress")?;
        let port = u16::try_from(endpoint.pointer("/ports/0")?.as_u64()?).ok()?;
        let address = SocketAddr::new(endpoint["address"].as_str()?.parse().ok()?, port);
        Some(Self { address, admin: line["admin"].as_str()?.strip_prefix("http://")?.parse().ok()? })
    }
}

/// The sum of a metric's series in the text of OpenMetrics.
fn sum_of(text: &str, name: &str) -> f64 {
    let value = |line: &str| {
        let (series, value) = line.rsplit_once(' ')?;
        (series.split('{').next() == Some(name)).then(|| value.parse::<f64>().ok())?
    };
    text.lines().filter_map(value).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_addresses_are_in_the_line_that_says_ready() {
        let line = r#"{"ready":true,"admin":"http://127.0.0.1:7070","endpoints":[
            {"kind":"InferenceService","address":"127.77.0.1","ports":[80]},
            {"kind":"Ingress","address":"127.77.0.2","ports":[9001]}]}"#;
        let (address, admin) = ("127.77.0.2:9001".parse().unwrap(), "127.0.0.1:7070".parse().unwrap());
        assert_eq!(Ready::in_line(line), Some(Ready { address, admin }));
        assert_eq!(Ready::in_line("note: ports below 1024 may not be bound here"), None);
        assert_eq!(Ready::in_line("{\"ready\":true,\"endpoints\":[]}"), None);
    }

    #[test]
    fn series_of_one_metric_are_added() {
        let text = "# TYPE a counter\na_total{x=\"1 2\"} 3\na_total 4.5\na_total_b{x=\"1\"} 9\n";
        assert!((sum_of(text, "a_total") - 7.5).abs() < 1e-9);
        assert!(sum_of(text, "c").abs() < 1e-9);
    }
}
