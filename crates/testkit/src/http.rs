//! A small blocking HTTP client, independent of the product's own.

use std::io::{BufReader, Write as _};
use std::net::{SocketAddr, TcpStream};

use crate::{Answer, PATIENCE};

/// A request over a connection of its own.
#[derive(Debug, Clone)]
pub struct Request {
    address: SocketAddr,
    method: String,
    target: String,
    fields: Vec<(String, String)>,
    body: Vec<u8>,
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
        Self::new("POST", address, target).with("content-type", "application/json").body(body.as_bytes())
    }

    /// A request with any method.
    #[must_use]
    pub fn new(method: &str, address: SocketAddr, target: &str) -> Self {
        let (method, target) = (method.to_owned(), target.to_owned());
        Self { address, method, target, fields: Vec::new(), body: Vec::new() }
    }

    /// The same with one more header field.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.fields.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The same with a body.
    #[must_use]
    pub fn body(mut self, body: &[u8]) -> Self {
        body.clone_into(&mut self.body);
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
        head.push_str(&format!("content-length: {}\r\n\r\n", self.body.len()));
        [head.as_bytes(), &self.body].concat()
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn method(&self) -> &str {
        &self.method
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
        let stream = TcpStream::connect(self.address)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let mut stream = BufReader::new(stream);
        // A server may answer, and stop listening, before it has read a body that it does not want.
        let written = stream.get_mut().write_all(&self.bytes(false));
        Answer::read(&mut stream, &self.method).map_err(|error| written.err().unwrap_or(error))
    }
}
