//! `kubectl port-forward`: connections to ports of a pod over one connection.
//!
//! ```text
//! streams of SPDY, two for each connection: `streamtype: error` and `streamtype: data`, both with `port` and `requestid`
//! channels of WebSocket, two for each port: 2n for data, 2n + 1 for errors; both begin with the port, low byte first
//! ```

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use bytes::Bytes;
use manifest::Object;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::super::parameters::Parameters;
use super::link::{self, Frames, Gone, Messages, Outlet};
use super::{Wire, spdy};
use crate::local::Running;
use crate::store::{Reason, Status};

/// Where connections go.
#[derive(Debug)]
pub(super) struct Forwarding {
    address: IpAddr,
    pod: String,
    /// The ports that are named beforehand, as those who speak in channels do.
    ports: Vec<u16>,
}

/// One connection to a port, on its two streams or channels.
#[derive(Debug, Clone)]
struct Pair {
    outlet: Outlet,
    data: Ends,
    error: Ends,
}

/// A stream of SPDY, or a channel of WebSocket.
#[derive(Debug, Clone, Copy)]
enum Ends {
    Stream(u32),
    Channel(u8),
}

/// What a client sent on a connection to a port.
enum Sent {
    Bytes(Bytes),
    /// It sends nothing more, and still reads.
    End,
}

/// Streams that wait for their other half, and connections that go on.
#[derive(Default)]
struct Connections {
    /// By the number of the request: the port, the stream of errors and the stream of data.
    halves: BTreeMap<String, (Option<u32>, Option<u32>)>,
    /// By the stream of data.
    open: BTreeMap<u32, mpsc::Sender<Sent>>,
    tasks: JoinSet<u32>,
}

/// How many connections one client may have through one forwarding, and streams that wait for their other half.
const CONNECTIONS: usize = 1000;
/// How many ports may be named beforehand: two channels each, and a channel is one byte.
const PORTS: usize = 100;
/// Pieces that wait for a port to take them.
const WAITING: usize = 4;
/// Bytes that one read may bring.
const READ_BYTES: usize = 16 << 10;
/// How long a port may take to accept a connection.
const CONNECT_PATIENCE: Duration = Duration::from_secs(10);

// === impl Forwarding ===

impl Forwarding {
    pub(super) fn new(pod: &Object, parameters: &Parameters, running: &Running) -> Result<Self, Status> {
        let bad = |message: String| Status::new(Reason::BadRequest, message);
        let Some(address) = running.address(&pod.namespace, &pod.name) else {
            return Err(bad(format!("unable to forward port because pod {} does not run now", pod.name)));
        };
        let texts =
            parameters.all("ports").flat_map(|ports| ports.split(',')).filter(|port| !port.is_empty());
        let port = |text: &str| {
            let port = text.parse().ok().filter(|port| *port != 0);
            port.ok_or_else(|| bad(format!("`{text}` is no port: it is a number from 1 to 65535")))
        };
        let ports = texts.map(port).collect::<Result<Vec<u16>, _>>()?;
        if ports.len() > PORTS {
            return Err(bad(format!("more than {PORTS} ports")));
        }
        Ok(Self { address, pod: pod.name.clone(), ports })
    }

    /// Those who speak in channels have to name their ports beforehand.
    pub(super) fn check_ports(&self) -> Result<(), Status> {
        if self.ports.is_empty() {
            return Err(Status::new(Reason::BadRequest, "query parameter \"ports\" is required"));
        }
        Ok(())
    }

    pub(super) async fn run(self, stream: impl AsyncRead + AsyncWrite + 'static, wire: Wire) {
        match wire {
            Wire::Channels => {
                link::over_messages(stream, async |messages: &mut Messages<_>, outlet: Outlet| {
                    self.over_channels(messages, &outlet).await;
                })
                .await;
            }
            Wire::Spdy { is_in_websocket } => {
                link::over_frames(stream, is_in_websocket, async |frames: &mut Frames<_>, outlet: Outlet| {
                    self.over_streams(frames, &outlet).await;
                })
                .await;
            }
        }
    }

    // --- channels ---

    async fn over_channels<S: AsyncRead>(&self, messages: &mut Messages<S>, outlet: &Outlet) {
        let mut tasks = JoinSet::new();
        let mut open = BTreeMap::new();
        for (channel, port) in (0..).step_by(2).zip(&self.ports) {
            for channel in [channel, channel + 1] {
                let _ = outlet.channel(channel, &port.to_le_bytes()).await;
            }
            let pair = Pair {
                outlet: outlet.clone(),
                data: Ends::Channel(channel),
                error: Ends::Channel(channel + 1),
            };
            let (tell, sent) = mpsc::channel(WAITING);
            open.insert(channel, tell);
            tasks.spawn_local(connect(SocketAddr::new(self.address, *port), self.pod.clone(), pair, sent));
        }
        let hearing = async {
            while let Some(mut message) = messages.next().await {
                if message.is_empty() {
                    continue;
                }
                let channel = message.split_to(1)[0];
                if let Some(tell) = open.get(&channel) {
                    let _ = tell.send(Sent::Bytes(message)).await;
                }
            }
        };
        let all_ended = async { while tasks.join_next().await.is_some() {} };
        tokio::select! {
            () = hearing => {}
            () = all_ended => {}
        }
    }

    // --- streams ---

    async fn over_streams<S: AsyncRead>(&self, frames: &mut Frames<S>, outlet: &Outlet) {
        let mut encoder = spdy::Encoder::default();
        let mut connections = Connections::default();
        let mut last_stream = 0;
        loop {
            let frame = tokio::select! {
                frame = frames.next() => frame,
                Some(ended) = connections.tasks.join_next() => {
                    if let Ok(stream) = ended {
                        connections.open.remove(&stream);
                    }
                    continue;
                }
                () = outlet.closed() => None,
            };
            match frame {
                Some(spdy::Frame::Open { stream, headers, .. }) => {
                    last_stream = stream;
                    let opened = connections.open(stream, &headers);
                    let answer = match opened {
                        Ok(_) => encoder.reply(stream),
                        Err(NoStream) => spdy::reset(stream),
                    };
                    if outlet.frame(answer).await.is_err() {
                        return;
                    }
                    if let Ok(Some((port, error, data))) = opened {
                        let pair = Pair {
                            outlet: outlet.clone(),
                            data: Ends::Stream(data),
                            error: Ends::Stream(error),
                        };
                        self.begin(&mut connections, port, data, pair);
                    }
                }
                Some(spdy::Frame::Data { stream, bytes, is_last }) => {
                    connections.take(stream, bytes, is_last).await;
                }
                Some(spdy::Frame::Reset { stream }) => {
                    connections.open.remove(&stream);
                }
                Some(spdy::Frame::Ping { .. }) => {}
                // Connections that go on are finished first.
                Some(spdy::Frame::GoAway) if connections.open.is_empty() => break,
                Some(spdy::Frame::GoAway) => {}
                None => break,
            }
        }
        let _ = outlet.frame(spdy::go_away(last_stream)).await;
    }

    fn begin(&self, connections: &mut Connections, port: u16, data: u32, pair: Pair) {
        let (tell, sent) = mpsc::channel(WAITING);
        connections.open.insert(data, tell);
        let (address, pod) = (SocketAddr::new(self.address, port), self.pod.clone());
        connections.tasks.spawn_local(async move {
            connect(address, pod, pair, sent).await;
            data
        });
    }
}

/// A stream that cannot be used.
#[derive(Debug, Clone, Copy)]
struct NoStream;

// === impl Connections ===

impl Connections {
    /// Takes in a stream. When it is the other half of one that waits: the port, the stream of errors, the stream of data.
    fn open(
        &mut self,
        stream: u32,
        headers: &[(String, String)],
    ) -> Result<Option<(u16, u32, u32)>, NoStream> {
        let header = |wanted: &str| {
            headers.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.as_str()).ok_or(NoStream)
        };
        let port: u16 = header("port")?.parse().map_err(|_| NoStream)?;
        let (kind, request) = (header("streamtype")?, header("requestid").unwrap_or_default());
        if port == 0 || self.halves.len() + self.open.len() >= CONNECTIONS {
            return Err(NoStream);
        }
        let key = format!("{port}/{request}");
        let halves = self.halves.entry(key.clone()).or_default();
        match kind {
            "error" => halves.0 = Some(stream),
            "data" => halves.1 = Some(stream),
            _ => return Err(NoStream),
        }
        let (Some(error), Some(data)) = *halves else { return Ok(None) };
        self.halves.remove(&key);
        Ok(Some((port, error, data)))
    }

    /// Takes in bytes of a stream. A port that does not take them holds up the others, as nothing else would bound what
    /// waits for it.
    async fn take(&mut self, stream: u32, bytes: Bytes, is_last: bool) {
        let Some(tell) = self.open.get(&stream) else { return };
        if !bytes.is_empty() {
            let _ = tell.send(Sent::Bytes(bytes)).await;
        }
        if is_last {
            let _ = tell.send(Sent::End).await;
        }
    }
}

/// One connection to a port, from its begin to its end.
async fn connect(address: SocketAddr, pod: String, pair: Pair, mut sent: mpsc::Receiver<Sent>) {
    let connected = match timeout(CONNECT_PATIENCE, TcpStream::connect(address)).await {
        Ok(connected) => connected.map_err(|error| error.to_string()),
        Err(_) => Err("it did not answer in time".to_owned()),
    };
    match connected {
        Ok(mut socket) => {
            let _ = socket.set_nodelay(true);
            let (mut reads, mut writes) = socket.split();
            let up = async {
                while let Some(Sent::Bytes(bytes)) = sent.recv().await {
                    if writes.write_all(&bytes).await.is_err() {
                        break;
                    }
                }
                let _ = writes.shutdown().await;
                // The client may go on sending what nobody takes.
                while sent.recv().await.is_some() {}
            };
            let down = async {
                let mut buffer = vec![0; READ_BYTES];
                while let Ok(n_bytes @ 1..) = reads.read(&mut buffer).await {
                    if pair.say(pair.data, &buffer[..n_bytes], false).await.is_err() {
                        return;
                    }
                }
            };
            // When the port has said all, nothing that is still sent to it is answered.
            tokio::select! {
                () = down => {}
                () = async { up.await; std::future::pending().await } => {}
                () = pair.outlet.closed() => {}
            }
        }
        Err(problem) => {
            let text = format!(
                "cannot connect to port {} of pod {pod} ({address}): {problem}; does a container listen there?",
                address.port()
            );
            let _ = pair.say(pair.error, text.as_bytes(), false).await;
        }
    }
    let _ = pair.say(pair.data, &[], true).await;
    let _ = pair.say(pair.error, &[], true).await;
}

// === impl Pair ===

impl Pair {
    /// Says bytes. The end of a channel is not said: only a stream has one.
    async fn say(&self, on: Ends, bytes: &[u8], is_last: bool) -> Result<(), Gone> {
        match on {
            Ends::Stream(stream) => self.outlet.frame(spdy::data(stream, bytes, is_last)).await,
            Ends::Channel(_) if bytes.is_empty() => Ok(()),
            Ends::Channel(channel) => self.outlet.channel(channel, bytes).await,
        }
    }
}
