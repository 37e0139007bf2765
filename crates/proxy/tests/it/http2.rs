//! Clients and targets of HTTP/2, for the tests.

use std::cell::{Cell, RefCell};
use std::collections::HashSet;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use h2::client::SendRequest;
use http::HeaderMap;
use net::{Body, Bytes, Drain, Fields, Limits, Method, Request, Response, StatusCode, Version};
use plan::{LoadBalancer, LoadBalancerKind, Matcher, ProtocolVersion, TargetGroup};
use tokio::net::{TcpListener, TcpStream};

use crate::world::{free_address, group, load_balancer};

/// A client that speaks HTTP/2 from its first byte.
pub(crate) async fn connect(address: SocketAddr) -> SendRequest<Bytes> {
    begin(TcpStream::connect(address).await.unwrap()).await
}

/// The same over a connection that is open, and on which all has been said that comes before.
pub(crate) async fn begin(stream: TcpStream) -> SendRequest<Bytes> {
    let (client, connection) = h2::client::handshake(stream).await.unwrap();
    tokio::task::spawn_local(async move {
        let _ = connection.await;
    });
    client
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
    trailers: HeaderMap,
}

impl Answer {
    /// A field, wherever it stands.
    pub(crate) fn field(&self, name: &str) -> &str {
        let value = self.headers.get(name).or_else(|| self.trailers.get(name));
        value.and_then(|value| value.to_str().ok()).unwrap_or_default()
    }
}

pub(crate) fn request(method: Method, path: &str, fields: &[(&str, &str)]) -> http::Request<()> {
    let mut request = http::Request::builder().method(method).uri(format!("http://a.example.com{path}"));
    for (name, value) in fields {
        request = request.header(*name, *value);
    }
    request.body(()).unwrap()
}

pub(crate) async fn ask(
    client: &SendRequest<Bytes>,
    request: http::Request<()>,
    body: &[u8],
) -> Result<Answer, h2::Error> {
    let mut ready = client.clone().ready().await?;
    let (answer, mut sending) = ready.send_request(request, body.is_empty())?;
    if !body.is_empty() {
        sending.send_data(Bytes::copy_from_slice(body), true)?;
    }
    let (head, mut stream) = answer.await?.into_parts();
    let mut text = Vec::new();
    while let Some(piece) = stream.data().await {
        let piece = piece?;
        stream.flow_control().release_capacity(piece.len())?;
        text.extend_from_slice(&piece);
    }
    let trailers = stream.trailers().await?.unwrap_or_default();
    let text = String::from_utf8_lossy(&text).into_owned();
    Ok(Answer { status: head.status.as_u16(), headers: head.headers, text, trailers })
}

pub(crate) async fn get(client: &SendRequest<Bytes>, path: &str) -> Result<Answer, h2::Error> {
    ask(client, request(Method::GET, path, &[]), b"").await
}

pub(crate) const CALL: [(&str, &str); 2] = [("content-type", "application/grpc"), ("te", "trailers")];

pub(crate) async fn call(
    client: &SendRequest<Bytes>,
    path: &str,
    message: &[u8],
) -> Result<Answer, h2::Error> {
    ask(client, request(Method::POST, path, &CALL), message).await
}

/// What a target saw.
#[derive(Default)]
pub(crate) struct Seen {
    /// Connections that requests came over.
    pub(crate) connections: RefCell<HashSet<SocketAddr>>,
    pub(crate) n_requests: Cell<usize>,
    pub(crate) n_at_once: Cell<usize>,
    pub(crate) most_at_once: Cell<usize>,
    /// Requests that were taken back before they were answered.
    pub(crate) n_dropped: Cell<usize>,
    pub(crate) n_bytes_sent: Cell<usize>,
}

/// One request at a target; counts as dropped unless it is answered.
struct Working(Rc<Seen>, bool);

impl Drop for Working {
    fn drop(&mut self) {
        self.0.n_at_once.set(self.0.n_at_once.get() - 1);
        self.0.n_dropped.set(self.0.n_dropped.get() + usize::from(!self.1));
    }
}

pub(crate) struct Target {
    pub(crate) address: SocketAddr,
    pub(crate) seen: Rc<Seen>,
    pub(crate) drain: Option<Drain>,
}

/// A target of ours, which speaks both versions.
pub(crate) fn start() -> Target {
    let seen = Rc::<Seen>::default();
    let shared = Rc::clone(&seen);
    let handler = move |request: Request| answer(Rc::clone(&shared), request);
    let address = free_address();
    let listener = net::bind(address, 1).unwrap().remove(0);
    let (drain, watch) = Drain::new();
    tokio::task::spawn_local(net::serve(listener, handler, Limits::default(), watch));
    Target { address, seen, drain: Some(drain) }
}

async fn answer(seen: Rc<Seen>, mut request: Request) -> Response {
    if request.target.path() == "/health" {
        return Response::new(StatusCode::OK);
    }
    assert_eq!(request.version, Version::HTTP_2);
    seen.connections.borrow_mut().insert(request.connection.peer);
    seen.n_requests.set(seen.n_requests.get() + 1);
    seen.n_at_once.set(seen.n_at_once.get() + 1);
    seen.most_at_once.set(seen.most_at_once.get().max(seen.n_at_once.get()));
    let mut working = Working(Rc::clone(&seen), false);
    let ok = |body: Body| Response { body, ..Response::new(StatusCode::OK) };
    let response = match request.target.path() {
        "/pause" => {
            tokio::time::sleep(Duration::from_millis(50)).await;
            ok("paused".into())
        }
        "/never" => std::future::pending().await,
        "/endless" => ok(Body::Stream(Box::new(Endless(Rc::clone(&seen))))),
        // As it comes, with what came behind it.
        "/echo" => ok(request.body).with_field("content-type", "application/grpc"),
        "/fields" => {
            let mut text = format!("{} {}\n", request.method, request.target.as_str());
            for (name, value) in request.fields.iter() {
                let (name, value) = (String::from_utf8_lossy(name), String::from_utf8_lossy(value));
                text.push_str(&format!("{name}: {value}\n"));
            }
            ok(text.into())
        }
        _ => {
            let mut n_bytes = 0;
            while let Some(piece) = request.body.chunk().await {
                n_bytes += piece.map_or(0, |piece| piece.len());
            }
            let mut trailers = Fields::new();
            trailers.push("grpc-status", "0");
            if let Some(came) = request.body.take_trailers().unwrap_or_default().get("x-sum") {
                trailers.push("x-came", came);
            }
            ok(Body::with_trailers(n_bytes.to_string().into(), trailers))
        }
    };
    working.1 = true;
    response
}

/// A body that goes on as long as somebody takes it.
struct Endless(Rc<Seen>);

impl net::BodyStream for Endless {
    fn poll_chunk(
        &mut self,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<Bytes, net::BodyError>>> {
        const PIECE: &[u8] = &[b'x'; 4096];
        self.0.n_bytes_sent.set(self.0.n_bytes_sent.get() + PIECE.len());
        std::task::Poll::Ready(Some(Ok(Bytes::from_static(PIECE))))
    }

    fn remaining(&self) -> Option<u64> {
        None
    }
}

pub(crate) fn http2_group(version: ProtocolVersion, targets: &[SocketAddr]) -> TargetGroup {
    let mut group = group("g", targets);
    group.protocol_version = Some(version);
    group
}

pub(crate) fn balancer_of(group: TargetGroup) -> LoadBalancer {
    load_balancer(LoadBalancerKind::Application, vec![group])
}

pub(crate) async fn wait_until(mut condition: impl FnMut() -> bool) {
    while !condition() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// A target made by hand: what it does with its `n`th connection is told by a function.
pub(crate) fn start_by_hand<F: Future<Output = ()> + 'static>(
    serve: impl Fn(usize, TcpStream) -> F + 'static,
) -> SocketAddr {
    let address = free_address();
    let listener = net::bind(address, 1).unwrap().remove(0);
    let listener = TcpListener::from_std(listener).unwrap();
    tokio::task::spawn_local(async move {
        let mut n_connections = 0;
        while let Ok((stream, _)) = listener.accept().await {
            tokio::task::spawn_local(serve(n_connections, stream));
            n_connections += 1;
        }
    });
    address
}

pub(crate) fn connections_only(mut group: TargetGroup) -> TargetGroup {
    group.health_check.protocol = plan::Protocol::Tcp;
    group.health_check.matcher = Matcher::Connection;
    group
}

pub(crate) fn respond(respond: &mut h2::server::SendResponse<Bytes>, text: &'static str) {
    let mut stream = respond.send_response(http::Response::new(()), false).unwrap();
    stream.send_data(Bytes::from_static(text.as_bytes()), true).unwrap();
}
