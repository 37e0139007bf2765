//! Where the processes of a container listen, as the kernel tells of it (proc_pid_net(5)).

use std::collections::BTreeSet;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// The state of a socket that listens (`TCP_LISTEN`).
const LISTEN: &str = "0A";
/// More processes of one container than these are not looked at.
const PROCESSES: usize = 256;

/// The addresses at which a process and its children listen over TCP.
pub(super) fn addresses(pid: u32) -> BTreeSet<SocketAddr> {
    let held: BTreeSet<String> = with_children(pid).into_iter().flat_map(sockets).collect();
    let tables = ["tcp", "tcp6"].into_iter().filter_map(|table| {
        let text = fs::read_to_string(format!("/proc/{pid}/net/{table}")).ok()?;
        Some(text.lines().filter_map(listener).filter(|(_, inode)| held.contains(inode)).collect::<Vec<_>>())
    });
    tables.flatten().map(|(address, _)| address).collect()
}

fn with_children(pid: u32) -> Vec<u32> {
    let mut found = vec![pid];
    let mut next = 0;
    while let Some(pid) = found.get(next).copied().filter(|_| found.len() < PROCESSES) {
        let threads = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
        let lists = threads.filter_map(|thread| fs::read_to_string(thread.path().join("children")).ok());
        let children: Vec<u32> = lists
            .flat_map(|list| list.split_whitespace().filter_map(|pid| pid.parse().ok()).collect::<Vec<_>>())
            .collect();
        found.extend(children);
        next += 1;
    }
    found
}

/// The inodes of the sockets that a process holds.
fn sockets(pid: u32) -> Vec<String> {
    let descriptors = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    let links = descriptors.filter_map(|descriptor| fs::read_link(descriptor.path()).ok());
    let inode = |link: &str| Some(link.strip_prefix("socket:[")?.strip_suffix(']')?.to_owned());
    links.filter_map(|link| inode(link.to_str()?)).collect()
}

/// Address and inode of a line of the table, if the socket listens.
fn listener(line: &str) -> Option<(SocketAddr, String)> {
    let fields: Vec<&str> = line.split_whitespace().collect();
    let &[_, local, _, LISTEN, _, _, _, _, _, inode, ..] = fields.as_slice() else { return None };
    let (address, port) = local.split_once(':')?;
    Some((SocketAddr::new(ip(address)?, u16::from_str_radix(port, 16).ok()?), inode.to_owned()))
}

/// An address as the table has it: words of 32 bits, in the byte order of the machine.
fn ip(text: &str) -> Option<IpAddr> {
    let word = |at: usize| u32::from_str_radix(text.get(at * 8..at * 8 + 8)?, 16).ok();
    if text.len() == 8 {
        return Some(Ipv4Addr::from(word(0)?.to_ne_bytes()).into());
    }
    let words: Vec<[u8; 4]> = (0..4).map(|at| word(at).map(u32::to_ne_bytes)).collect::<Option<_>>()?;
    Some(Ipv6Addr::from(<[u8; 16]>::try_from(words.concat()).ok()?).into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    #[test]
    fn a_process_listens_where_it_does() {
        let (v4, v6) = (TcpListener::bind("127.0.0.2:0").unwrap(), TcpListener::bind("[::1]:0"));
        let found = addresses(std::process::id());
        assert!(found.contains(&v4.local_addr().unwrap()), "{found:?}");
        if let Ok(v6) = v6 {
            assert!(found.contains(&v6.local_addr().unwrap()), "{found:?}");
        }
        let address = v4.local_addr().unwrap();
        drop(v4);
        assert!(!addresses(std::process::id()).contains(&address));
    }

    #[test]
    fn what_is_no_listener_is_passed_over() {
        let line = "   1: 0200007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 42 1 0000000000000000 100 0 0 10 0";
        assert_eq!(listener(line), Some(("127.0.0.2:8080".parse().unwrap(), "42".to_owned())));
        assert_eq!(listener(&line.replace(" 0A ", " 01 ")), None);
        assert_eq!(listener("  sl  local_address rem_address   st tx_queue"), None);
    }
}
