//! `forebay up` under test: the whole platform on a core of its own.

use std::fs;
use std::io;
use std::net::SocketAddr;

use serde_json::Value;

use super::contender::Contender;
use super::server::{Server, pinned};
use super::{Forebay, SERVER_CORE, folder, write};

/// Starts the platform with one load balancer, and learns its address from the line that it prints when it is ready.
pub(super) fn up(
    forebay: &Forebay,
    name: &str,
    folder_name: &str,
    manifest: &str,
    options: &[&str],
) -> Result<Contender, String> {
    let folder = folder(folder_name)?;
    let state = folder.join("state");
    let _ = fs::remove_dir_all(&state);
    let manifest = write(folder.join("manifest.yaml"), manifest)?;
    let mut command = pinned(SERVER_CORE, &forebay.path);
    command.arg("up").arg(manifest).arg("--state-dir").arg(state);
    command.args(["--cores", "1", "--admin-port", "0", "--api-port", "0", "--output", "json"]).args(options);
    let mut server = Server::start(name, command)?;
    let (address, _) = server.wait_for(|server| {
        let printed = server.printed()?;
        printed.lines().find_map(address_of).ok_or_else(|| io::Error::other("it is not ready"))
    })?;
    Ok(Contender { name: name.to_owned(), server, address, secure: None, start: None })
}

/// The address in the line of JSON that `forebay up` prints.
fn address_of(line: &str) -> Option<SocketAddr> {
    let line: Value = serde_json::from_str(line).ok()?;
    let endpoint = line.pointer("/endpoints/0")?;
    let port = u16::try_from(endpoint.pointer("/ports/0")?.as_u64()?).ok()?;
    Some(SocketAddr::new(endpoint["address"].as_str()?.parse().ok()?, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_is_in_the_line_that_says_ready() {
        let line = r#"{"ready":true,"endpoints":[{"kind":"Ingress","address":"127.77.0.2","ports":[9001]}]}"#;
        assert_eq!(address_of(line), "127.77.0.2:9001".parse().ok());
        assert_eq!(address_of("note: ports below 1024 may not be bound here"), None);
        assert_eq!(address_of("{\"ready\":true,\"endpoints\":[]}"), None);
    }
}
