//! One request and its answer, for the first prediction and for what a server says. The load itself comes from wrk.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// What is asked.
#[derive(Debug, Clone)]
pub(super) struct Request {
    /// The `Host`, if it is not the server's address.
    pub(super) host: Option<&'static str>,
    pub(super) path: &'static str,
    /// JSON that is posted.
    pub(super) body: String,
}

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// The most bytes of an answer that are read.
const ANSWER_LIMIT: u64 = 1 << 20;

impl Request {
    /// Sends it on a connection of its own; the body of the answer, if that is 200.
    pub(super) fn send(&self, address: SocketAddr) -> io::Result<String> {
        let Self { path, body, .. } = self;
        let (host, length) = (self.host_at(address), body.len());
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n\
             Content-Length: {length}\r\nConnection: close\r\n\r\n"
        );
        exchange(address, path, &(head + body))
    }

    /// The `Host` that a server at this address is sent.
    pub(super) fn host_at(&self, address: SocketAddr) -> String {
        self.host.map_or_else(|| address.to_string(), str::to_owned)
    }
}

/// What is at a path; the body of the answer, if that is 200.
pub(super) fn get(address: SocketAddr, path: &str) -> io::Result<String> {
    exchange(address, path, &format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n"))
}

fn exchange(address: SocketAddr, path: &str, request: &str) -> io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(request.as_bytes())?;
    let mut answer = String::new();
    stream.take(ANSWER_LIMIT).read_to_string(&mut answer)?;
    body_of(&answer).map(str::to_owned).ok_or_else(|| io::Error::other(format!("answer to {path}: {answer}")))
}

fn body_of(answer: &str) -> Option<&str> {
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let is_ok = head.starts_with("HTTP/1.1 200 ");
    let is_chunked = head.to_ascii_lowercase().contains("transfer-encoding");
    (is_ok && !is_chunked).then_some(body)
}

#[cfg(test)]
mod tests {
    use super::body_of;

    #[test]
    fn only_a_whole_answer_has_a_body() {
        assert_eq!(body_of("HTTP/1.1 200 OK\r\nA: b\r\n\r\n{}"), Some("{}"));
        assert_eq!(body_of("HTTP/1.1 503 Service Unavailable\r\n\r\n{}"), None);
        assert_eq!(body_of("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n"), None);
        assert_eq!(body_of(""), None);
    }
}
