//! Load from a core of its own, by the tool that speaks what is measured.

mod grpc;
mod said;

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::contender::Contender;
use super::http::Request;
use super::server::pinned;
use super::{LOAD_CORE, folder, program};
use said::Said;

/// What is asked, again and again.
#[derive(Debug, Clone)]
pub(super) struct Load {
    pub(super) over: Over,
    pub(super) request: Request,
    pub(super) connections: usize,
    pub(super) seconds: u32,
}

/// What is spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Over {
    /// HTTP/1.1 in the clear, on connections that stay, by wrk.
    Clear,
    /// HTTP/1.1 in the clear with so many requests a second, however late their answers are, by our `paced`.
    Paced { rate: u32 },
    /// HTTP/1.1 in TLS, on connections that stay, by wrk.
    Tls,
    /// Nothing but whole handshakes of TLS, one after the other, by `openssl s_time`. What counts is their CPU time.
    Handshakes,
    /// HTTP/2 in TLS with so many requests at a time on each connection, by h2load.
    Http2 { streams: usize },
    /// The same with unary calls of gRPC. The message that answers has so many bytes.
    Grpc { streams: usize, n_answered: usize },
}

const JSON: &str = "content-type: application/json";

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
    /// How long requests took, where their rate was given.
    pub(super) latency: Option<Latency>,
}

/// From the moment at which a request was due to its whole answer.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Latency {
    pub(super) p50_microseconds: f64,
    pub(super) p99_microseconds: f64,
}

// === impl Load ===

impl Load {
    /// Runs it on a server.
    pub(super) fn run(&self, contender: &Contender) -> Result<Figures, String> {
        let secure = || contender.secure.ok_or_else(|| format!("{} speaks no TLS", contender.name));
        let (mut command, read): (Command, fn(&str) -> Option<Said>) = match self.over {
            Over::Clear => (self.wrk("http", contender.address)?, Said::of_wrk),
            Over::Paced { rate } => (self.paced(contender.address, rate), Said::of_paced),
            Over::Tls => (self.wrk("https", secure()?)?, Said::of_wrk),
            Over::Handshakes => (self.handshakes(secure()?), Said::of_s_time),
            Over::Http2 { streams } => {
                let body = self.request.body.as_bytes();
                (self.h2load(secure()?, streams, body, &[JSON])?, Said::of_h2load)
            }
            Over::Grpc { streams, .. } => {
                let message = grpc::message(self.request.body.as_bytes());
                (self.h2load(secure()?, streams, &message, &grpc::FIELDS)?, Said::of_h2load)
            }
        };
        let server = &contender.server;
        let before = server.cpu();
        let program = command.get_args().nth(2).unwrap_or_default().to_string_lossy().into_owned();
        let output = command.output().map_err(|error| format!("cannot run {program}: {error}"))?;
        let cpu = server.cpu().saturating_sub(before);
        let printed = String::from_utf8_lossy(&output.stdout);
        let Some(mut said) = read(&printed) else {
            let problem = String::from_utf8_lossy(&output.stderr);
            return Err(format!("{program} said nothing useful: {printed}{problem}"));
        };
        if let Over::Grpc { n_answered, .. } = self.over {
            let has_status = grpc::has_status(&self.request, secure()?)?;
            said.n_failed = grpc::n_failed(&said, &printed, n_answered, has_status);
        }
        Ok(Figures {
            requests_per_second: said.requests_per_second,
            cpu_microseconds: cpu.as_secs_f64() * 1e6 / said.n_requests,
            n_failed: said.n_failed,
            resident_bytes: server.resident(),
            latency: said.latency,
        })
    }

    fn wrk(&self, scheme: &str, address: SocketAddr) -> Result<Command, String> {
        let script = self.script(address)?;
        let mut command = pinned(LOAD_CORE, Path::new("wrk"));
        command.arg("-t1").arg(format!("-c{}", self.connections)).arg(format!("-d{}s", self.seconds));
        command.arg("-s").arg(script).arg(format!("{scheme}://{address}{}", self.request.path));
        Ok(command)
    }

    /// What asks at a steady rate.
    pub(super) fn paced(&self, address: SocketAddr, rate: u32) -> Command {
        let Request { path, body, .. } = &self.request;
        let mut command = pinned(LOAD_CORE, &program("paced"));
        command.arg(address.to_string()).arg(self.request.host_at(address)).args([path, body.as_str()]);
        command.args([rate, self.seconds].map(|number| number.to_string())).arg(self.connections.to_string());
        command
    }

    fn handshakes(&self, address: SocketAddr) -> Command {
        let mut command = pinned(LOAD_CORE, Path::new("openssl"));
        command.args(["s_time", "-new", "-connect", &address.to_string()]);
        command.args(["-time", &self.seconds.to_string()]);
        command
    }

    fn h2load(
        &self,
        address: SocketAddr,
        streams: usize,
        content: &[u8],
        fields: &[&str],
    ) -> Result<Command, String> {
        let body = folder("load")?.join("body");
        write(&body, content)?;
        let mut command = pinned(LOAD_CORE, Path::new("h2load"));
        command.arg("-t1").arg(format!("-c{}", self.connections)).arg(format!("-m{streams}"));
        command.arg(format!("-D{}", self.seconds)).arg(format!("--connect-to={address}"));
        command.arg("-d").arg(body).args(fields.iter().flat_map(|field| ["-H", field]));
        command.arg(format!("https://{}{}", self.request.host_at(address), self.request.path));
        Ok(command)
    }

    fn script(&self, address: SocketAddr) -> Result<PathBuf, String> {
        let (host, body) = (self.request.host_at(address), &self.request.body);
        let script = format!(
            "wrk.method = \"POST\"\nwrk.headers[\"Content-Type\"] = \"application/json\"\n\
             wrk.headers[\"Host\"] = \"{host}\"\nwrk.body = [==[{body}]==]\n"
        );
        let path = folder("load")?.join("load.lua");
        write(&path, script.as_bytes())?;
        Ok(path)
    }
}

fn write(path: &Path, content: &[u8]) -> Result<(), String> {
    fs::write(path, content).map_err(|error| format!("cannot write {}: {error}", path.display()))
}
