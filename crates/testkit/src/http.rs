//! A small blocking HTTP client, independent of the product's own.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};

use serde_json::Value;

use crate::PATIENCE;

/// A request over a connection of its own.
#[derive(Debug, Clone)]
pub struct Request {
    address: SocketAddr,
    method: String,
    target: String,
    fields: Vec<(String, String)>,
    body: String,
}

/// What came back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// Header fields, their names in lower case.
    pub fields: Vec<(String, String)>,
    /// The body.
    pub text: String,
}

impl Request {
    /// A GET.
    #[must_use]
    pub fn get(address: SocketAddr, target: &str) -> Self {
        Self::new("GET", address, target)
    }

    /// A POST of JSON.
    #[must_use]
    pub fn post(address: SocketAddr, target: &str, body: &str) -> Self {
        Self { body: body.to_owned(), ..Self::new("POST", address, target) }
            .with("content-type", "application/json")
    }

    /// A request with any method.
    #[must_use]
    pub fn new(method: &str, address: SocketAddr, target: &str) -> Self {
        let (method, target) = (method.to_owned(), target.to_owned());
        Self { address, method, target, fields: Vec::new(), body: String::new() }
    }

    /// The same with one more header field.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.fields.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The same for a host.
    #[must_use]
    pub fn host(self, host: &str) -> Self {
        self.with("host", host)
    }

    /// The bytes that go over the wire.
    pub(crate) fn bytes(&self, keeps_connection: bool) -> Vec<u8> {
        let mut head = format!("{} {} HTTP/1.1\r\n", self.method, self.target);
        if !self.fields.iter().any(|(name, _)| name == "host") {
            head.push_str(&format!("host: {}\r\n", self.address));
        }
        for (name, value) in &self.fields {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        if !keeps_connection {
            head.push_str("connection: close\r\n");
        }
        head.push_str(&format!("content-length: {}\r\n\r\n{}", self.body.len(), self.body));
        head.into_bytes()
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Sends the request.
    ///
    /// # Panics
    /// When there is no answer.
    #[must_use]
    pub fn send(&self) -> Answer {
        self.try_send().unwrap_or_else(|error| panic!("{} {}: {error}", self.method, self.target))
    }

    /// Sends the request, if somebody listens.
    ///
    /// # Errors
    /// When there is no answer.
    pub fn try_send(&self) -> std::io::Result<Answer> {
        let mut stream = TcpStream::connect(self.address)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.write_all(&self.bytes(false))?;
        let (mut bytes, mut buffer) = (Vec::new(), [0; 16 * 1024]);
        loop {
            let n_bytes = stream.read(&mut buffer)?;
            bytes.extend_from_slice(&buffer[..n_bytes]);
            if n_bytes == 0 || is_whole(&bytes) {
                return Answer::parse(&bytes).ok_or_else(|| std::io::ErrorKind::UnexpectedEof.into());
            }
        }
    }
}

/// Whether an answer says its length and has it: some servers keep the connection, whatever they are told.
fn is_whole(bytes: &[u8]) -> bool {
    let Some(head_end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") else { return false };
    let head = String::from_utf8_lossy(&bytes[..head_end]).to_ascii_lowercase();
    let length =
        head.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse::<usize>().ok());
    length.is_some_and(|length| bytes.len() >= head_end + 4 + length)
}

impl Answer {
    fn parse(bytes: &[u8]) -> Option<Self> {
        let text = String::from_utf8_lossy(bytes);
        let (head, body) = text.split_once("\r\n\r\n")?;
        let mut lines = head.lines();
        let status = lines.next()?.split_whitespace().nth(1)?.parse().ok()?;
        let field = |line: &str| {
            let (name, value) = line.split_once(':')?;
            Some((name.to_ascii_lowercase(), value.trim().to_owned()))
        };
        let fields: Vec<(String, String)> = lines.filter_map(field).collect();
        let is_chunked = fields.iter().any(|(name, value)| name == "transfer-encoding" && value == "chunked");
        let text = if is_chunked { unchunked(body)? } else { body.to_owned() };
        Some(Self { status, fields, text })
    }

    /// A header field.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The body as JSON.
    ///
    /// # Panics
    /// When it is not.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text)
            .unwrap_or_else(|error| panic!("{error}: {} {}", self.status, self.text))
    }
}

fn unchunked(body: &str) -> Option<String> {
    let (mut rest, mut text) = (body, String::new());
    loop {
        let (size, after) = rest.split_once("\r\n")?;
        let size = usize::from_str_radix(size, 16).ok()?;
        if size == 0 {
            return Some(text);
        }
        text.push_str(after.get(..size)?);
        rest = after.get(size + 2..)?;
    }
}
