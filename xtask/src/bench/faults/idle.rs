//! What connections cost that stay and ask nothing.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread::sleep;
use std::time::Duration;

use super::super::figures::{Row, Table};
use super::super::manifest::{Ingress, documents, rule, service};
use super::super::platform::Platform;
use super::super::proxy::ANSWER;
use super::super::server::{Server, free_address, pinned};
use super::super::{Forebay, LOAD_CORE, constant_server};

const CONNECTIONS: usize = 10_000;

/// More than there are by default: they are all to stay.
const LIMIT: &str = "connections=12000";

/// Until all is quiet.
const RESTS: Duration = Duration::from_secs(2);

pub(super) fn measure(forebay: &Forebay) -> Result<Table, String> {
    let target = free_address()?;
    let mut command = pinned(LOAD_CORE, &constant_server());
    command.arg(ANSWER).arg(target.to_string());
    let _target = Server::start("target", command)?;
    let listeners = &[("HTTP", free_address()?.port())];
    let rules = rule("*.example.com", &["/"]);
    let ingress = Ingress { name: "bench", annotations: &[], listeners, tls: None, has_default: true, rules };
    let manifest = documents(&[service(&[target]), ingress.to_string()]);
    let mut platform =
        Platform::start(forebay, &forebay.name, "faults-idle", &manifest, &["--limit", LIMIT])?;
    let address = platform.address;
    platform.server.wait_for(|_| connection(address))?;
    sleep(RESTS);

    let mut rows = vec![row("before", &platform)];
    let connections: Result<Vec<TcpStream>, _> = (0..CONNECTIONS).map(|_| connection(address)).collect();
    let connections = connections.map_err(|error| {
        format!("cannot have {CONNECTIONS} connections: {error}; see `ulimit -n`, which has to be more")
    })?;
    sleep(RESTS);
    rows.push(row("with 10 000 idle connections", &platform));
    if let Some(silent) = connections.iter().position(|mut stream| ask(&mut stream).is_err()) {
        return Err(format!("connection {silent} did not stay"));
    }
    rows.push(row("after another request on each", &platform));
    drop(connections);
    sleep(RESTS);
    rows.push(row("after them", &platform));
    let notes = vec!["each has had one request answered, and stays".to_owned()];
    Ok(Table { name: "idle connections", notes, columns: &["RSS MB"], rows })
}

fn row(name: &str, platform: &Platform) -> Row {
    #[expect(clippy::cast_precision_loss, reason = "bytes of memory, shown in megabytes")]
    let megabytes = platform.server.resident() as f64 / 1e6;
    (name.to_owned(), vec![Some(megabytes)])
}

/// A connection on which a request has been answered.
fn connection(address: SocketAddr) -> std::io::Result<TcpStream> {
    let mut stream = TcpStream::connect(address)?;
    ask(&mut &stream)?;
    stream.flush()?;
    Ok(stream)
}

/// Asks something on a connection, and takes the whole answer.
fn ask(stream: &mut &TcpStream) -> std::io::Result<()> {
    stream.set_read_timeout(Some(RESTS * 5))?;
    stream.write_all(b"GET / HTTP/1.1\r\nHost: a.example.com\r\n\r\n")?;
    let (mut answer, mut buffer) = (Vec::new(), [0; 4096]);
    while !answer.ends_with(ANSWER.as_bytes()) {
        match stream.read(&mut buffer)? {
            0 => return Err(std::io::ErrorKind::UnexpectedEof.into()),
            n_read => answer.extend_from_slice(&buffer[..n_read]),
        }
    }
    Ok(())
}
