//! Load from wrk on a core of its own, and what it says.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use super::server::Server;
use crate::tools::root;

/// What is asked, again and again.
pub(super) struct Load {
    pub(super) url: String,
    pub(super) host: Option<&'static str>,
    /// A POST of JSON, or a GET.
    pub(super) body: Option<String>,
    pub(super) connections: usize,
    pub(super) seconds: u32,
    pub(super) core: usize,
}

/// What came of it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Figures {
    pub(super) requests_per_second: f64,
    pub(super) cpu_microseconds: f64,
    pub(super) n_failed: u64,
}

impl Load {
    /// Runs the load, and tells the server's CPU time per request.
    pub(super) fn run(&self, server: &Server) -> Result<Figures, String> {
        let script = self.script()?;
        let before = server.cpu();
        let output = Command::new("taskset")
            .args(["-c", &self.core.to_string(), "wrk", "-t1"])
            .arg(format!("-c{}", self.connections))
            .arg(format!("-d{}s", self.seconds))
            .arg("-s")
            .arg(script)
            .arg(&self.url)
            .output()
            .map_err(|error| format!("cannot run wrk: {error}"))?;
        let cpu = server.cpu().saturating_sub(before);
        let text = String::from_utf8_lossy(&output.stdout);
        let number = |label: &str| -> Option<f64> {
            let line = text.lines().find(|line| line.contains(label))?;
            line.split(label).nth(1)?.split_whitespace().next()?.trim_end_matches(',').parse().ok()
        };
        let n_requests = text.lines().find(|line| line.contains(" requests in "));
        let n_requests = n_requests.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok());
        let (Some(n_requests), Some(requests_per_second)) = (n_requests, number("Requests/sec:")) else {
            return Err(format!("wrk said nothing useful: {text}{}", String::from_utf8_lossy(&output.stderr)));
        };
        let errors = text.lines().find(|line| line.contains("Socket errors")).unwrap_or_default();
        let socket_errors = errors.split(|c: char| !c.is_ascii_digit()).filter_map(|n| n.parse::<u64>().ok());
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count that wrk printed")]
        let n_failed = number("Non-2xx or 3xx responses:").unwrap_or(0.0) as u64 + socket_errors.sum::<u64>();
        Ok(Figures { requests_per_second, cpu_microseconds: cpu.as_secs_f64() * 1e6 / n_requests, n_failed })
    }

    fn script(&self) -> Result<PathBuf, String> {
        let mut script = String::new();
        if let Some(body) = &self.body {
            script.push_str("wrk.method = \"POST\"\nwrk.headers[\"Content-Type\"] = \"application/json\"\n");
            script.push_str(&format!("wrk.body = [==[{body}]==]\n"));
        }
        if let Some(host) = self.host {
            script.push_str(&format!("wrk.headers[\"Host\"] = \"{host}\"\n"));
        }
        let path = folder()?.join("load.lua");
        fs::write(&path, script).map_err(|error| format!("cannot write {}: {error}", path.display()))?;
        Ok(path)
    }
}

/// A folder for files of benchmarks.
pub(super) fn folder() -> Result<PathBuf, String> {
    let folder = root().join("target/bench");
    fs::create_dir_all(&folder).map_err(|error| format!("cannot make {}: {error}", folder.display()))?;
    Ok(folder)
}
