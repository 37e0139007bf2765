//! Load from wrk on a core of its own, and what it says.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use super::http::Request;
use super::server::{Server, pinned};
use super::{LOAD_CORE, folder};

/// What is asked, again and again.
#[derive(Debug, Clone)]
pub(super) struct Load {
    pub(super) request: Request,
    pub(super) connections: usize,
    pub(super) seconds: u32,
}

/// What came of it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Figures {
    pub(super) requests_per_second: f64,
    /// CPU time of the server for one request.
    pub(super) cpu_microseconds: f64,
    /// Answers that were no success, and connections that failed.
    pub(super) n_failed: u64,
    /// Memory of the server after the load.
    pub(super) resident_bytes: u64,
}

// === impl Load ===

impl Load {
    /// Runs it on a server that listens at an address.
    pub(super) fn run(&self, server: &Server, address: SocketAddr) -> Result<Figures, String> {
        let script = self.script(address)?;
        let before = server.cpu();
        let output = pinned(LOAD_CORE, Path::new("wrk"))
            .arg("-t1")
            .arg(format!("-c{}", self.connections))
            .arg(format!("-d{}s", self.seconds))
            .arg("-s")
            .arg(script)
            .arg(format!("http://{address}{}", self.request.path))
            .output()
            .map_err(|error| format!("cannot run wrk: {error}"))?;
        let cpu = server.cpu().saturating_sub(before);
        let said = String::from_utf8_lossy(&output.stdout);
        let Some(said) = Said::read(&said) else {
            return Err(format!(
                "wrk said nothing useful: {said}{}",
                String::from_utf8_lossy(&output.stderr)
            ));
        };
        Ok(Figures {
            requests_per_second: said.requests_per_second,
            cpu_microseconds: cpu.as_secs_f64() * 1e6 / said.n_requests,
            n_failed: said.n_failed,
            resident_bytes: server.resident(),
        })
    }

    fn script(&self, address: SocketAddr) -> Result<PathBuf, String> {
        let (host, body) = (self.request.host_at(address), &self.request.body);
        let script = format!(
            "wrk.method = \"POST\"\nwrk.headers[\"Content-Type\"] = \"application/json\"\n\
             wrk.headers[\"Host\"] = \"{host}\"\nwrk.body = [==[{body}]==]\n"
        );
        let path = folder("load")?.join("load.lua");
        fs::write(&path, script).map_err(|error| format!("cannot write {}: {error}", path.display()))?;
        Ok(path)
    }
}

/// The numbers in what wrk prints.
#[derive(Debug, PartialEq)]
struct Said {
    n_requests: f64,
    requests_per_second: f64,
    n_failed: u64,
}

// === impl Said ===

impl Said {
    fn read(text: &str) -> Option<Self> {
        let after =
            |label: &str| text.lines().find_map(|line| line.trim().strip_prefix(label)).map(str::trim);
        let n_requests = text.lines().find_map(|line| line.trim().split_once(" requests in "))?.0;
        let refused = after("Non-2xx or 3xx responses:").map_or(Some(0), |n| n.parse().ok())?;
        let socket_errors = after("Socket errors:").unwrap_or_default().split([' ', ',']);
        let broken: u64 = socket_errors.filter_map(|word| word.parse::<u64>().ok()).sum();
        Some(Self {
            n_requests: n_requests.parse().ok().filter(|n| *n > 0.0)?,
            requests_per_second: after("Requests/sec:")?.parse().ok()?,
            n_failed: refused + broken,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Said;

    #[test]
    fn a_calm_run_is_read() {
        let text = "\
Running 5s test @ http://127.0.0.1:9001/predict
  1 threads and 16 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency   240.12us   98.33us   4.10ms   91.02%
    Req/Sec    65.10k     2.06k   69.55k    76.47%
  330188 requests in 5.10s, 45.34MB read
Requests/sec:  64743.31
Transfer/sec:      8.89MB
";
        let said = Said { n_requests: 330_188.0, requests_per_second: 64_743.31, n_failed: 0 };
        assert_eq!(Said::read(text), Some(said));
    }

    #[test]
    fn what_failed_is_counted() {
        let text = "\
  120 requests in 5.00s, 45.34KB read
  Socket errors: connect 1, read 20, write 0, timeout 300
  Non-2xx or 3xx responses: 4000
Requests/sec:  24.00
";
        assert_eq!(Said::read(text).map(|said| said.n_failed), Some(4_321));
    }

    #[test]
    fn a_run_without_requests_says_nothing() {
        assert_eq!(Said::read("  0 requests in 5.00s, 0.00B read\nRequests/sec:      0.00\n"), None);
        assert_eq!(Said::read("unable to connect to 127.0.0.1:1 Connection refused\n"), None);
    }
}
