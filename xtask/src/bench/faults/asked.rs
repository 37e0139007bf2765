//! Requests at a steady rate, each of which is written down.

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::time::{Duration, SystemTime};

use super::super::folder;
use super::super::http::Request;
use super::super::load::{Load, Over};

/// One request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Asked {
    /// When it was due, since 1970.
    pub(super) due: Duration,
    /// How long after that it was sent.
    pub(super) waited: Duration,
    /// How long its answer took from there.
    pub(super) took: Duration,
    pub(super) is_success: bool,
}

/// How often, by how many, and for how long it is asked.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pace {
    pub(super) rate: u32,
    pub(super) connections: usize,
    pub(super) seconds: u32,
}

/// A load that goes on.
#[derive(Debug)]
pub(super) struct Asking {
    child: Child,
    file: PathBuf,
}

/// The time of this moment, as requests are told in.
pub(super) fn now() -> Duration {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()
}

// === impl Asking ===

impl Asking {
    pub(super) fn start(
        name: &str,
        address: SocketAddr,
        request: &Request,
        pace: Pace,
    ) -> Result<Self, String> {
        let Pace { rate, connections, seconds } = pace;
        let load = Load { over: Over::Paced { rate }, request: request.clone(), connections, seconds };
        let file = folder("faults")?.join(format!("asked-{name}"));
        let mut command = load.paced(address, rate);
        let child = command.arg(&file).stdin(Stdio::piped()).stdout(Stdio::null()).spawn();
        Ok(Self { child: child.map_err(|error| format!("cannot ask: {error}"))?, file })
    }

    /// Whether the last request has its answer.
    pub(super) fn is_over(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(Some(_)) | Err(_))
    }

    /// Has nothing more asked.
    pub(super) fn stop(&mut self) {
        drop(self.child.stdin.take());
    }

    /// Waits for the end of it. Requests are in the order in which they were due.
    pub(super) fn finish(mut self) -> Result<Vec<Asked>, String> {
        // Waiting would close its input.
        let _input = self.child.stdin.take();
        let status = self.child.wait().map_err(|error| format!("cannot wait: {error}"))?;
        let text =
            fs::read_to_string(&self.file).map_err(|error| format!("{}: {error}", self.file.display()))?;
        let mut asked: Vec<Asked> = text.lines().filter_map(Asked::of_line).collect();
        asked.sort_unstable_by_key(|asked| asked.due);
        if asked.is_empty() { Err(format!("nothing was asked: {status}")) } else { Ok(asked) }
    }
}

impl Drop for Asking {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

// === impl Asked ===

impl Asked {
    fn of_line(line: &str) -> Option<Self> {
        let mut numbers = line.split(' ').map(|number| number.parse::<u64>().ok());
        let mut time = || numbers.next()?.map(Duration::from_micros);
        let (due, waited, took) = (time()?, time()?, time()?);
        Some(Self { due, waited, took, is_success: numbers.next()? == Some(1) })
    }

    pub(super) fn sent(&self) -> Duration {
        self.due + self.waited
    }

    /// How long whoever wanted it when it was due had to wait.
    pub(super) fn late(&self) -> Duration {
        self.waited + self.took
    }
}

/// Milliseconds of each, sorted.
pub(super) fn milliseconds(times: impl IntoIterator<Item = Duration>) -> Vec<f64> {
    let mut times: Vec<f64> = times.into_iter().map(|time| time.as_secs_f64() * 1e3).collect();
    times.sort_by(f64::total_cmp);
    times
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_read_from_its_line() {
        let [due, waited, took] = [1_000_001, 20, 300].map(Duration::from_micros);
        assert_eq!(Asked::of_line("1000001 20 300 1"), Some(Asked { due, waited, took, is_success: true }));
        assert_eq!(Asked::of_line("1000001 20 300 0").map(|asked| asked.is_success), Some(false));
        assert_eq!(Asked::of_line("1000001 20"), None);
    }
}
