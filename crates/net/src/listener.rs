//! Opening listening sockets, and finding out who holds a port that cannot be had.

use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::path::Path;

use socket2::{Domain, Protocol, Socket, Type};

/// Why a port could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// Somebody else listens there.
    #[error("{address} is in use{}", owner.as_ref().map(|owner| format!(" by {owner}")).unwrap_or_default())]
    InUse {
        /// The address asked for.
        address: SocketAddr,
        /// The process that holds it, as `name (pid 42)`, when it can be found out.
        owner: Option<String>,
    },
    /// The port is below the first unprivileged one.
    #[error("{address} needs the right to bind ports below 1024")]
    Forbidden {
        /// The address asked for.
        address: SocketAddr,
    },
    /// Anything else.
    #[error("cannot listen on {address}: {problem}")]
    Other {
        /// The address asked for.
        address: SocketAddr,
        /// What the system said.
        problem: io::Error,
    },
}

/// How many connections may wait to be accepted, per socket.
const BACKLOG: i32 = 4096;

/// Opens `n_sockets` listening TCP sockets on one address, one for each core; the kernel spreads connections over them.
///
/// Port 0 takes any free port, the same for all.
///
/// # Errors
/// When the address is taken (and by whom), not allowed, or not an address of this machine.
pub fn bind(address: SocketAddr, n_sockets: usize) -> Result<Vec<TcpListener>, BindError> {
    try_bind(address, n_sockets).map_err(|source| match source.kind() {
        io::ErrorKind::AddrInUse => BindError::InUse { address, owner: port_owner(address) },
        io::ErrorKind::PermissionDenied => BindError::Forbidden { address },
        _ => BindError::Other { address, problem: source },
    })
}

fn try_bind(address: SocketAddr, n_sockets: usize) -> io::Result<Vec<TcpListener>> {
    // A first socket that shares with nobody: it alone notices another process that listens here with SO_REUSEPORT,
    // whose connections we would otherwise take, and it gives a number to port 0.
    let probe = socket(address, false)?;
    probe.bind(&address.into())?;
    let address = probe.local_addr()?.as_socket().unwrap_or(address);
    drop(probe);
    let listen = || {
        let socket = socket(address, true)?;
        socket.bind(&address.into())?;
        socket.listen(BACKLOG)?;
        Ok(socket.into())
    };
    (0..n_sockets).map(|_| listen()).collect()
}

fn socket(address: SocketAddr, shared: bool) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(shared)?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.set_nonblocking(true)?;
    Ok(socket)
}

/// The process that listens on an address, as `name (pid 42)`, as far as this user may know.
#[must_use]
pub fn port_owner(address: SocketAddr) -> Option<String> {
    let tables = ["/proc/net/tcp", "/proc/net/tcp6"].map(std::fs::read_to_string);
    let inode = tables
        .iter()
        .flatten()
        .flat_map(|table| table.lines())
        .find_map(|line| listening_inode(line, address))?;
    let socket = format!("socket:[{inode}]");
    let processes = std::fs::read_dir("/proc").ok()?.flatten().map(|entry| entry.path());
    let owner = processes.filter(|process| holds(process, &socket)).min()?;
    let name = std::fs::read_to_string(owner.join("comm")).ok()?;
    Some(format!("{} (pid {})", name.trim(), owner.file_name()?.to_string_lossy()))
}

/// The inode of a socket in a line of `/proc/net/tcp`, if it listens on the address or on all addresses at its port.
fn listening_inode(line: &str, address: SocketAddr) -> Option<&str> {
    const LISTEN: &str = "0A";
    let mut columns = line.split_whitespace().skip(1);
    let (host, port) = columns.next()?.split_once(':')?;
    let state = columns.nth(1)?;
    let inode = columns.nth(5)?;
    let same_port = u16::from_str_radix(port, 16) == Ok(address.port());
    let any_host = host.bytes().all(|digit| digit == b'0');
    let same_host = match address.ip() {
        IpAddr::V4(ip) => host.eq_ignore_ascii_case(&format!("{:08X}", u32::from_ne_bytes(ip.octets()))),
        IpAddr::V6(_) => host.len() == 32 && !any_host,
    };
    (state == LISTEN && same_port && (any_host || same_host)).then_some(inode)
}

fn holds(process: &Path, socket: &str) -> bool {
    let Ok(descriptors) = std::fs::read_dir(process.join("fd")) else { return false };
    let mut links = descriptors.flatten().filter_map(|entry| std::fs::read_link(entry.path()).ok());
    links.any(|link| link.as_os_str() == socket)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taken_port_names_its_owner() {
        let listeners = bind("127.0.0.1:0".parse().unwrap(), 2).unwrap();
        let address = listeners[0].local_addr().unwrap();
        assert_eq!(listeners[1].local_addr().unwrap(), address);
        let error = bind(address, 1).unwrap_err().to_string();
        assert!(error.starts_with(&format!("{address} is in use by ")), "{error}");
        assert!(error.ends_with(&format!("(pid {})", std::process::id())), "{error}");
        drop(listeners);
        bind(address, 1).unwrap();
    }

    #[test]
    fn an_address_of_another_machine_is_refused() {
        let error = bind("192.0.2.1:0".parse().unwrap(), 1).unwrap_err();
        assert!(matches!(error, BindError::Other { .. }), "{error}");
    }
}
