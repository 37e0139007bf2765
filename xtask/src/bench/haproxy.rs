//! HAProxy beside which we are measured, and its configuration.

use std::fmt;
use std::net::SocketAddr;

use super::contender::{Contender, Logs};
use super::server::{Server, pinned};
use super::{SERVER_CORE, folder, installed, write};
use crate::tools::Tool;

pub(super) const HAPROXY: Tool = Tool { program: "haproxy", package: "haproxy", why: "it is a peer" };

/// What it does, with one thread, kept connections that clients share, and the fields that we add, too.
#[derive(Debug)]
pub(super) struct Configuration<'a> {
    pub(super) logs: Logs,
    pub(super) address: SocketAddr,
    /// Where it speaks TLS, and the file of certificate and key.
    pub(super) secure: Option<(SocketAddr, String)>,
    /// How the frontend finds a backend, by line.
    pub(super) rules: &'a [String],
    /// Backends by name, and what is said of each of their servers. All have the same targets.
    pub(super) backends: &'a [(&'a str, &'a str)],
    pub(super) targets: &'a [SocketAddr],
}

/// What it says that it is.
pub(super) fn version() -> Result<String, String> {
    super::version("haproxy", "-v")
}

// === impl Configuration ===

impl Configuration<'_> {
    /// Starts it with this configuration, in the foreground.
    pub(super) fn start(&self, name: &str, folder_name: &str) -> Result<Contender, String> {
        let file = write(folder(folder_name)?.join("haproxy.cfg"), &self.to_string())?;
        let mut command = pinned(SERVER_CORE, &installed("haproxy")?);
        command.args(["-db", "-f"]).arg(file);
        let server = Server::start("HAProxy", command)?;
        let secure = self.secure.as_ref().map(|(address, _)| *address);
        Ok(Contender { name: name.to_owned(), server, address: self.address, secure, start: None })
    }
}

impl fmt::Display for Configuration<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // What it prints goes into a file.
        let (to, log) = match self.logs {
            Logs::No => ("", ""),
            Logs::Yes => ("log stdout format raw daemon", "log global\n  option httplog"),
        };
        write!(
            f,
            "global
  nbthread 1
  maxconn 4000
  {to}
defaults
  mode http
  {log}
  timeout connect 10s
  timeout client 60s
  timeout server 60s
  option http-keep-alive
  option forwardfor
  http-reuse always
frontend front
  bind {}
",
            self.address
        )?;
        if let Some((address, certificate)) = &self.secure {
            writeln!(f, "  bind {address} ssl crt {certificate} alpn h2,http/1.1")?;
        }
        writeln!(f, "  http-request set-header X-Forwarded-Proto %[ssl_fc,iif(https,http)]")?;
        self.rules.iter().try_for_each(|rule| writeln!(f, "  {rule}"))?;
        for (name, said_of_servers) in self.backends {
            writeln!(f, "backend {name}\n  balance roundrobin")?;
            for (index, target) in self.targets.iter().enumerate() {
                writeln!(f, "  server s{} {target} {said_of_servers}", index + 1)?;
            }
        }
        Ok(())
    }
}
