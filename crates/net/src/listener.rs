//! Opening listening sockets, and finding out who holds a port that cannot be had.

use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener, UdpSocket};
use std::path::Path;

use socket2::{Domain, Protocol, Socket, Type};

use crate::socket::spare_congestion_control;

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

/// Opens `n_sockets` sockets for datagrams on one address, one for each core; the system gives all that one client sends to
/// the same one.
///
/// # Errors
/// When the address is taken, not allowed, or not an address of this machine.
pub fn bind_udp(address: SocketAddr, n_sockets: usize) -> Result<Vec<UdpSocket>, BindError> {
    let open = |shared: bool| {
        let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
        socket.set_reuse_port(shared)?;
        if address.is_ipv6() {
            socket.set_only_v6(true)?;
        }
        socket.set_nonblocking(true)?;
        socket.bind(&address.into())?;
        io::Result::Ok(UdpSocket::from(socket))
    };
    // The first shares with nobody, so that another process that does is noticed.
    let sockets = open(false).and_then(|probe| {
        drop(probe);
        (0..n_sockets).map(|_| open(true)).collect()
    });
    sockets.map_err(|source| match source.kind() {
        io::ErrorKind::AddrInUse => BindError::InUse { address, owner: None },
        io::ErrorKind::PermissionDenied => BindError::Forbidden { address },
        _ => BindError::Other { address, problem: source },
    })
}

fn try_bind(address: SocketAddr, n_sockets: usize) -> io::Result<Vec<TcpListener>> {
    // A first socket that shares with nobody: it alone notices another process that listens here with SO_REUSEPORT,
    // whose connections we would otherwise take, and it gives a number to port 0.
    let probe = socket(address, false)?;
    let address = match probe.bind(&address.into()) {
        Ok(()) => probe.local_addr()?.as_socket().unwrap_or(address),
        Err(error) if error.kind() == io::ErrorKind::AddrInUse && only_family_is_beside(address) => address,
        Err(error) => return Err(error),
    };
    drop(probe);
    let listen = || {
        let socket = socket(address, true)?;
        socket.bind(&address.into())?;
        spare_congestion_control(&socket, address.ip());
        socket.listen(BACKLOG)?;
        Ok(socket.into())
    };
    (0..n_sockets).map(|_| listen()).collect()
}

/// Whether all who are in the way at an address listen at *another* address of its port, one for all interfaces and one
/// for a single one, and are this process or next of its kin. Then connections to the single address go on reaching who
/// listens there, and nobody loses any.
fn only_family_is_beside(address: SocketAddr) -> bool {
    let listening = listening_sockets(address);
    let is_beside =
        |local: IpAddr| local != address.ip() && local.is_unspecified() != address.ip().is_unspecified();
    !listening.is_empty()
        && listening
            .iter()
            .all(|found| is_beside(found.local) && owner_of(&found.inode).is_some_and(is_family))
}

/// Whether a process is this one, its parent or a child of it.
fn is_family(process: u32) -> bool {
    let parent_of = |process: u32| {
        let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
        // The name, in parentheses, may hold anything; after it come the state and the parent.
        stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse::<u32>().ok()
    };
    let this = std::process::id();
    process == this || process == std::os::unix::process::parent_id() || parent_of(process) == Some(this)
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
    let owner = listening_sockets(address).iter().find_map(|found| owner_of(&found.inode))?;
    let name = std::fs::read_to_string(format!("/proc/{owner}/comm")).ok()?;
    Some(format!("{} (pid {owner})", name.trim()))
}

/// A socket that listens.
#[derive(Debug, PartialEq, Eq)]
struct Listening {
    local: IpAddr,
    inode: String,
}

/// The sockets that are in the way of another one at an address.
fn listening_sockets(address: SocketAddr) -> Vec<Listening> {
    let tables =
        ["/proc/net/tcp", "/proc/net/tcp6"].map(|path| std::fs::read_to_string(path).unwrap_or_default());
    tables.iter().flat_map(|table| table.lines()).filter_map(|line| listening(line, address)).collect()
}

/// The socket of a line of `/proc/net/tcp` or `tcp6`, if it listens at the port of an address, and one of both is for all
/// addresses, or both are the same.
fn listening(line: &str, address: SocketAddr) -> Option<Listening> {
    const LISTEN: &str = "0A";
    let mut columns = line.split_whitespace().skip(1);
    let (host, port) = columns.next()?.split_once(':')?;
    let state = columns.nth(1)?;
    let inode = columns.nth(5)?;
    let local = parse_host(host)?;
    let same_port = u16::from_str_radix(port, 16) == Ok(address.port());
    // A socket for all addresses of IPv6 may take those of IPv4 too.
    let any = local.is_unspecified() && (local.is_ipv6() || address.is_ipv4());
    let same_host =
        local == address.ip() || (address.ip().is_unspecified() && local.is_ipv4() == address.is_ipv4());
    (state == LISTEN && same_port && (any || same_host)).then(|| Listening { local, inode: inode.to_owned() })
}

/// An address as the kernel writes it: words in the byte order of the machine.
fn parse_host(host: &str) -> Option<IpAddr> {
    let word = |at: usize| u32::from_str_radix(host.get(at..at + 8)?, 16).ok().map(u32::to_ne_bytes);
    match host.len() {
        8 => Some(IpAddr::from(word(0)?)),
        32 => {
            let words = [word(0)?, word(8)?, word(16)?, word(24)?];
            let mut bytes = [0; 16];
            bytes.copy_from_slice(words.as_flattened());
            Some(IpAddr::from(bytes))
        }
        _ => None,
    }
}

/// The process that holds a socket; the oldest where several do.
fn owner_of(inode: &str) -> Option<u32> {
    let socket = format!("socket:[{inode}]");
    let processes = std::fs::read_dir("/proc").ok()?.flatten();
    let ids = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    ids.filter(|id| holds(Path::new(&format!("/proc/{id}")), &socket)).min()
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
    fn all_interfaces_and_single_ones_share_a_port_within_one_process() {
        use std::io::{Read as _, Write as _};
        let single = bind("127.77.255.254:0".parse().unwrap(), 2).unwrap();
        let port = single[0].local_addr().unwrap().port();
        let all: SocketAddr = format!("0.0.0.0:{port}").parse().unwrap();
        let listeners = bind(all, 2).unwrap();
        bind(all, 1).unwrap_err();
        let later = bind(SocketAddr::new("127.77.255.253".parse().unwrap(), port), 1).unwrap();
        // Who asks a single address reaches who listens there.
        for (ip, listener) in [("127.77.255.254", &single), ("127.77.255.253", &later)] {
            let mut client = std::net::TcpStream::connect((ip, port)).unwrap();
            let mut server = loop {
                match listener.iter().find_map(|socket| socket.accept().ok()) {
                    Some((stream, _)) => break stream,
                    None => std::thread::sleep(std::time::Duration::from_millis(1)),
                }
            };
            server.write_all(b"x").unwrap();
            drop(server);
            let mut text = String::new();
            client.read_to_string(&mut text).unwrap();
            assert_eq!(text, "x");
        }
        drop((single, listeners, later));
    }

    #[test]
    fn addresses_are_read_as_the_kernel_writes_them() {
        let written = |ip: &str| match ip.parse().unwrap() {
            IpAddr::V4(ip) => format!("{:08X}", u32::from_ne_bytes(ip.octets())),
            IpAddr::V6(ip) => {
                let words = ip.octets();
                let words = words.as_chunks::<4>().0.iter();
                words.map(|word| format!("{:08X}", u32::from_ne_bytes(*word))).collect()
            }
        };
        let is_in_the_way = |there: &str, wanted: &str| {
            let line = format!(" 0: {}:1F90 00000000:0000 0A 0:0 00:0 0 0 0 4711 1", written(there));
            listening(&line, wanted.parse().unwrap()).is_some_and(|found| found.inode == "4711")
        };
        assert_eq!(parse_host(&written("127.77.0.2")), Some("127.77.0.2".parse().unwrap()));
        assert_eq!(parse_host(&written("fe80::1")), Some("fe80::1".parse().unwrap()));
        assert!(is_in_the_way("127.77.0.2", "127.77.0.2:8080"));
        assert!(is_in_the_way("127.77.0.2", "0.0.0.0:8080"));
        assert!(is_in_the_way("0.0.0.0", "127.77.0.2:8080"));
        assert!(is_in_the_way("::", "127.77.0.2:8080"));
        assert!(is_in_the_way("::1", "[::]:8080"));
        assert!(!is_in_the_way("127.77.0.3", "127.77.0.2:8080"));
        assert!(!is_in_the_way("127.77.0.2", "127.77.0.2:8081"));
        assert!(!is_in_the_way("0.0.0.0", "[::1]:8080"));
        assert_eq!((parse_host(""), parse_host("zz000000")), (None, None));
    }

    #[test]
    fn an_address_of_another_machine_is_refused() {
        let error = bind("192.0.2.1:0".parse().unwrap(), 1).unwrap_err();
        assert!(matches!(error, BindError::Other { .. }), "{error}");
    }
}
