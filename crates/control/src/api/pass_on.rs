//! Requests that go on to a pod or a Service: the `proxy` subresource.
//!
//! What is asked is asked over HTTP/1.0, so that an answer ends with its connection. Only pods that run on this machine are
//! asked, whatever addresses objects name.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{HeaderName, HeaderValue, Request, Response, StatusCode, header};
use jiff::Timestamp;
use manifest::Object;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::access::User;
use super::body::{Source, Stream};
use super::route::{ObjectRoute, Route};
use super::{Api, Body, finish, respond};
use crate::store::{Reason, Status, metadata};

/// How long connecting may take, and how long a pod may take until it begins to answer.
const CONNECT: Duration = Duration::from_secs(5);
const BEGIN: Duration = Duration::from_secs(60);
/// How long an answer may say nothing.
const SILENCE: Duration = Duration::from_secs(10 * 60);
/// The longest head of an answer, in bytes.
const HEAD_BYTES: usize = 32 * 1024;
/// How much of an answer is read at a time.
const CHUNK_BYTES: usize = 16 * 1024;

/// Fields that are about one connection, or about who asks us.
const NOT_PASSED_ON: &[HeaderName] = &[
    header::AUTHORIZATION,
    header::CONNECTION,
    header::CONTENT_LENGTH,
    header::HOST,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

/// The rest of an answer.
#[derive(Debug)]
pub(super) struct Rest {
    connection: TcpStream,
    begun: Bytes,
    /// How much is left, where the answer says how long it is.
    left: Option<u64>,
}

impl Api {
    /// Answers a request as [`handle`](Self::handle) does, and passes on what is for a pod or a Service.
    pub async fn answer_to(&self, request: &Request<Bytes>) -> Response<Body> {
        let Some(Route::Proxy { object, path }) = Route::parse(request.uri().path(), &self.store.kinds())
        else {
            return self.handle(request);
        };
        let passed_on = match self.refuse(request) {
            Some(refusal) => return refusal,
            None => match self.user(request.headers(), Timestamp::now()) {
                Ok(user) => self.pass_on(request, &user, &object, &path).await,
                Err(status) => Err(status),
            },
        };
        let answer = passed_on.unwrap_or_else(|status| respond::refusal(&status));
        self.counts.count(request.method(), answer.status());
        finish::finish(request, answer)
    }

    async fn pass_on(
        &self,
        request: &Request<Bytes>,
        user: &User,
        object: &ObjectRoute,
        path: &str,
    ) -> Result<Response<Body>, Status> {
        let permit = self.permit(user)?;
        let address = self.address_of(object)?;
        let failed = |what: &dyn std::fmt::Display| {
            Status::new(
                Reason::ServiceUnavailable,
                format!("error trying to reach service: dial tcp {address}: {what}"),
            )
        };
        let connected = timeout(CONNECT, TcpStream::connect(address)).await;
        let mut connection =
            connected.map_err(|_| failed(&"i/o timeout"))?.map_err(|error| failed(&error))?;
        let asking = async {
            connection.write_all(&head_of(request, address, path)).await?;
            connection.write_all(request.body()).await?;
            read_head(&mut connection).await
        };
        let read = timeout(BEGIN, asking).await.map_err(|_| failed(&"it does not answer"))?;
        let (head, begun) = read.map_err(|error| failed(&error))?;
        let (mut answer, left) = answer_of(&head).ok_or_else(|| failed(&"malformed HTTP response"))?;
        let rest = Rest { connection, begun, left };
        *answer.body_mut() = Body::Stream(Stream::new(Source::PassedOn(rest), permit));
        Ok(answer)
    }

    /// Where an object is reached that is named as `NAME`, `NAME:PORT` or `http:NAME:PORT`.
    fn address_of(&self, object: &ObjectRoute) -> Result<SocketAddr, Status> {
        let bad = |why: String| Status::new(Reason::BadRequest, why);
        let parts: Vec<&str> = object.name.split(':').collect();
        let (scheme, name, port) = match *parts.as_slice() {
            [name] => ("", name, ""),
            [name, port] => ("", name, port),
            [scheme, name, port] => (scheme, name, port),
            _ => return Err(bad(format!("invalid {} request {:?}", object.kind.resource(), object.name))),
        };
        if !["", "http"].contains(&scheme) {
            return Err(bad(format!("requests are passed on over http only, not over {scheme:?}")));
        }
        if object.kind.key == "Node" {
            let why = "there is no kubelet to ask: pods are processes of this machine";
            return Err(Status::new(Reason::ServiceUnavailable, why));
        }
        let found = self.store.get(object.kind, &object.namespace, name)?;
        if object.kind.key == "Pod" {
            let first = || {
                let containers = found.value["spec"]["containers"].as_array().into_iter().flatten();
                containers.filter_map(|container| container["ports"][0]["containerPort"].as_u64()).next()
            };
            let port = if port.is_empty() { first().unwrap_or(80).to_string() } else { port.to_owned() };
            let port = port.parse().map_err(|_| bad(format!("{port:?} is not a port")))?;
            let address = self.running_address(&object.namespace, name).ok_or_else(|| {
                Status::new(Reason::ServiceUnavailable, format!("pod {name:?} does not run on this machine"))
            })?;
            return Ok(SocketAddr::new(address, port));
        }
        self.endpoint_of(&found, port)
    }

    fn running_address(&self, namespace: &str, pod: &str) -> Option<IpAddr> {
        self.machine.as_ref()?.running.address(namespace, pod)
    }

    /// A pod that is ready to answer for a Service, one after the other.
    fn endpoint_of(&self, service: &Object, port: &str) -> Result<SocketAddr, Status> {
        let ports = service.value["spec"]["ports"].as_array().map(Vec::as_slice).unwrap_or_default();
        let is_meant = |known: &&Value| {
            known["name"] == port || known["port"].as_u64().is_some_and(|number| number.to_string() == port)
        };
        let meant = if port.is_empty() { ports.first() } else { ports.iter().find(is_meant) };
        let none = || {
            let message = format!("no endpoints available for service {:?}", service.name);
            Status::new(Reason::ServiceUnavailable, message)
        };
        let name = meant.ok_or_else(none)?["name"].as_str().unwrap_or_default();
        let objects = self.store.objects();
        let slices = objects.of_kind("EndpointSlice").filter(|slice| {
            slice.namespace == service.namespace
                && slice.labels().get("kubernetes.io/service-name") == Some(&service.name.as_str())
        });
        let mut addresses = Vec::new();
        for slice in slices {
            let ports = slice.value["ports"].as_array().into_iter().flatten();
            let port = ports
                .filter(|port| port["name"].as_str().unwrap_or_default() == name)
                .find_map(|port| port["port"].as_u64());
            let Some(port) = port.and_then(|port| u16::try_from(port).ok()) else { continue };
            for endpoint in slice.value["endpoints"].as_array().into_iter().flatten() {
                let target = &endpoint["targetRef"];
                let address = target["name"]
                    .as_str()
                    .filter(|_| endpoint["conditions"]["ready"] != false)
                    .and_then(|pod| self.running_address(&service.namespace, pod));
                addresses.extend(address.map(|address| SocketAddr::new(address, port)));
            }
        }
        let [byte] = metadata::random::<1>();
        addresses.get(usize::from(byte) % addresses.len().max(1)).copied().ok_or_else(none)
    }
}

/// The head of the request that a pod gets.
fn head_of(request: &Request<Bytes>, address: SocketAddr, path: &str) -> Vec<u8> {
    let query = request.uri().query().map(|query| format!("?{query}")).unwrap_or_default();
    let mut head = format!("{} {path}{query} HTTP/1.0\r\nHost: {address}\r\n", request.method()).into_bytes();
    let fields = request
        .headers()
        .iter()
        .filter(|(name, _)| !NOT_PASSED_ON.contains(name) && !name.as_str().starts_with("impersonate-"));
    for (name, value) in fields {
        head.extend_from_slice(name.as_str().as_bytes());
        head.extend_from_slice(b": ");
        head.extend_from_slice(value.as_bytes());
        head.extend_from_slice(b"\r\n");
    }
    head.extend_from_slice(
        format!("Content-Length: {}\r\nConnection: close\r\n\r\n", request.body().len()).as_bytes(),
    );
    head
}

/// Reads the head of an answer, and what came with it of its body.
async fn read_head(connection: &mut TcpStream) -> std::io::Result<(Bytes, Bytes)> {
    let mut read = BytesMut::new();
    loop {
        if let Some(end) = memchr::memmem::find(&read, b"\r\n\r\n") {
            let body = read.split_off(end + 4).freeze();
            return Ok((read.freeze(), body));
        }
        if read.len() > HEAD_BYTES || connection.read_buf(&mut read).await? == 0 {
            return Err(std::io::Error::other("malformed HTTP response"));
        }
    }
}

/// The answer that a head begins, and how long its body is, if it says so.
fn answer_of(head: &[u8]) -> Option<(Response<Body>, Option<u64>)> {
    let text = std::str::from_utf8(head).ok()?;
    let mut lines = text.split("\r\n");
    let code = lines.next()?.strip_prefix("HTTP/1.")?.get(2..5)?.parse::<u16>().ok()?;
    let mut answer = Response::new(Body::Full(Bytes::new()));
    *answer.status_mut() = StatusCode::from_u16(code).ok().filter(|status| status.as_u16() >= 200)?;
    let mut left = None;
    for line in lines.take_while(|line| !line.is_empty()) {
        let (name, value) = line.split_once(':')?;
        let name = HeaderName::from_bytes(name.as_bytes()).ok()?;
        let value = HeaderValue::from_str(value.trim()).ok()?;
        match name {
            header::CONTENT_LENGTH => left = Some(value.to_str().ok()?.parse().ok()?),
            // Nobody may answer so to HTTP/1.0.
            header::TRANSFER_ENCODING => return None,
            name if NOT_PASSED_ON.contains(&name) => {}
            name => drop(answer.headers_mut().append(name, value)),
        }
    }
    Some((answer, left))
}

// === impl Rest ===

impl Rest {
    /// The next bytes; `None` at the end, and when nothing comes any more.
    pub(super) async fn next(&mut self) -> Option<Bytes> {
        if self.left == Some(0) {
            return None;
        }
        let mut bytes = std::mem::take(&mut self.begun);
        if bytes.is_empty() {
            let mut chunk = BytesMut::with_capacity(CHUNK_BYTES);
            match timeout(SILENCE, self.connection.read_buf(&mut chunk)).await {
                Ok(Ok(n_bytes)) if n_bytes > 0 => bytes = chunk.freeze(),
                _ => return None,
            }
        }
        if let Some(left) = &mut self.left {
            bytes.truncate(usize::try_from(*left).unwrap_or(usize::MAX));
            *left -= bytes.len() as u64;
        }
        Some(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_read_as_they_begin() {
        let (answer, left) = answer_of(b"HTTP/1.1 404 Not Found\r\nContent-Type: text/plain\r\nconnection: close\r\ncontent-length: 3\r\n\r\n").unwrap();
        assert_eq!((answer.status().as_u16(), left), (404, Some(3)));
        assert_eq!(answer.headers().len(), 1);
        for wrong in [
            "HTTP/2 200\r\n\r\n",
            "HTTP/1.1 100 Continue\r\n\r\n",
            "HTTP/1.1 200 OK\r\nx\r\n\r\n",
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n",
            "",
        ] {
            assert!(answer_of(wrong.as_bytes()).is_none(), "{wrong:?}");
        }
    }
}
