//! What is known of one request, from its head to its end: one record, which every log is written from.
//!
//! Records are made once and used again: the last of each core are kept, so that it can be asked what became of a request.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::ops::Range;
use std::rc::Rc;
use std::time::Duration;

use net::{Connection, Method, Request, TlsSession, Version};
use plan::Wanted;
use tokio::time::Instant;

use crate::handled::Handled;
use crate::metrics::Lookup;
use crate::names::{GroupNames, ListenerNames};
use crate::recall::{MOST, Past};
use crate::spans::RequestTrace;

/// A number that one connection has, and no other.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct ConnectionId(pub(crate) [u64; 2]);

/// What the rules said to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Act {
    Forward,
    Redirect,
    FixedResponse,
}

impl Act {
    /// As access logs have it.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Forward => "forward",
            Self::Redirect => "redirect",
            Self::FixedResponse => "fixed-response",
        }
    }
}

/// How a request ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Ended {
    pub(crate) status: u16,
    /// Why the answer is the load balancer's own, or not whole.
    pub(crate) reason: Option<&'static str>,
    /// Bytes of the request and of the answer.
    pub(crate) received: u64,
    pub(crate) sent: u64,
    /// From the head of the request to the last byte of the answer.
    pub(crate) took: Duration,
}

/// What is known of one request.
#[derive(Debug)]
pub(crate) struct Record {
    pub(crate) listener: Rc<ListenerNames>,
    pub(crate) client: SocketAddr,
    pub(crate) connection: ConnectionId,
    pub(crate) tls: Option<Rc<TlsSession>>,
    pub(crate) started: Instant,
    /// The version that the client speaks; `None` when what came was no request.
    pub(crate) version: Option<Version>,
    pub(crate) is_grpc: bool,
    pub(crate) is_head: bool,
    texts: Texts,
    /// The priority of the rule, from 1; 0 for the default action; `None` when no rule was looked at.
    pub(crate) rule: Option<usize>,
    pub(crate) act: Option<Act>,
    /// What is done to it and its answer beside that, if anything is.
    pub(crate) handled: Option<Rc<Handled>>,
    /// Whether a copy of it is still to be sent to another target group.
    pub(crate) is_copied: bool,
    /// What became of it where answers are kept.
    pub(crate) lookup: Option<Lookup>,
    /// What the client wants of an answer that could be compressed.
    pub(crate) wanted: Option<Wanted>,
    /// What became of the transforms of the rule, in the words of access logs.
    pub(crate) transform: Option<&'static str>,
    pub(crate) group: Option<Rc<GroupNames>>,
    /// The target that was asked last, and how many were.
    pub(crate) target: Option<SocketAddr>,
    pub(crate) n_asked: u32,
    /// When it was asked.
    pub(crate) asked_at: Option<Instant>,
    /// How long it took to begin its answer, and the status of that.
    pub(crate) target_took: Option<Duration>,
    pub(crate) target_status: Option<u16>,
    /// When the answer to the client was there.
    pub(crate) answered_at: Option<Instant>,
    pub(crate) ended: Ended,
    /// Where it stands in its trace, while it is at work and traces are recorded.
    pub(crate) trace: Option<Rc<RequestTrace>>,
}

/// The texts of a record, in one piece of memory.
#[derive(Debug, Default)]
struct Texts {
    bytes: Vec<u8>,
    places: [Range<u32>; N_TEXTS],
}

/// What texts there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Text {
    Method,
    /// Host and port as the client sent them.
    Authority,
    /// Path and query as sent.
    Target,
    UserAgent,
    /// `X-Amzn-Trace-Id` as the target gets it.
    TraceId,
    /// Where a redirect leads.
    Location,
    /// What transforms made of the host.
    Host,
    /// What they made of path and query.
    Url,
    /// The origin of the page that sent it, where that may read the answer.
    Origin,
}

const N_TEXTS: usize = 9;

/// Bytes of texts that a record that is kept has room for.
const KEPT_BYTES: usize = 1024;

// === impl Record ===

impl Record {
    pub(crate) fn new(listener: &Rc<ListenerNames>, connection: &Connection) -> Self {
        let texts = Texts { bytes: Vec::with_capacity(KEPT_BYTES / 4), ..Texts::default() };
        Self::with(texts, listener, connection)
    }

    /// Begins anew, with the memory of what it was.
    pub(crate) fn begin(&mut self, listener: &Rc<ListenerNames>, connection: &Connection) {
        let mut texts = std::mem::take(&mut self.texts);
        texts.clear();
        *self = Self::with(texts, listener, connection);
    }

    fn with(texts: Texts, listener: &Rc<ListenerNames>, connection: &Connection) -> Self {
        Self {
            listener: Rc::clone(listener),
            client: connection.peer,
            connection: ConnectionId::default(),
            tls: connection.tls.clone(),
            started: net::recently(),
            version: None,
            is_grpc: false,
            is_head: false,
            texts,
            rule: None,
            act: None,
            handled: None,
            is_copied: false,
            lookup: None,
            wanted: None,
            transform: None,
            group: None,
            target: None,
            n_asked: 0,
            asked_at: None,
            target_took: None,
            target_status: None,
            answered_at: None,
            ended: Ended::default(),
            trace: None,
        }
    }

    /// Takes in what the client asks.
    pub(crate) fn asked(&mut self, request: &Request) {
        self.version = Some(request.version);
        self.is_grpc = request.is_grpc();
        self.is_head = request.method == Method::HEAD;
        self.set(Text::Method, request.method.as_str().as_bytes());
        self.set(Text::Authority, request.authority().as_bytes());
        self.set(Text::Target, request.target.as_str().as_bytes());
        // A target gets another one, if it comes to a target.
        if let Some(trace) = request.fields.get("x-amzn-trace-id") {
            self.set(Text::TraceId, trace);
        }
    }

    /// Takes in a text. The last one counts.
    pub(crate) fn set(&mut self, text: Text, value: &[u8]) {
        self.texts.set(text, value);
    }

    /// A text; nothing where there is none.
    pub(crate) fn text(&self, text: Text) -> &[u8] {
        self.texts.get(text)
    }

    /// Lets go of what nobody asks for once the request has ended, so that many can be kept.
    pub(crate) fn retire(&mut self) {
        self.tls = None;
        self.handled = None;
        self.trace = None;
        self.texts.shorten();
    }
}

/// Requests that a core remembers.
pub(crate) const REMEMBERED: usize = 1000;

/// Records beyond those that are kept for requests to come.
const SPARE: usize = 1024;

/// The records of one core that are not at work: those of the last requests, which are used again from the oldest on.
#[derive(Default)]
pub(crate) struct Records(RefCell<VecDeque<Box<Record>>>);

// === impl Records ===

impl Records {
    /// A record for a request that begins.
    pub(crate) fn begin(&self, listener: &Rc<ListenerNames>, connection: &Connection) -> Box<Record> {
        let mut ended = self.0.borrow_mut();
        let oldest = if ended.len() > REMEMBERED { ended.pop_front() } else { None };
        match oldest {
            Some(mut record) => {
                record.begin(listener, connection);
                record
            }
            None => Box::new(Record::new(listener, connection)),
        }
    }

    /// What became of the last requests whose trace id has this text in it, which all have that it is empty.
    pub(crate) fn about(&self, trace: &str) -> Vec<Past> {
        let trace = trace.as_bytes();
        let is_meant = |record: &&Record| {
            trace.is_empty() || record.text(Text::TraceId).windows(trace.len()).any(|part| part == trace)
        };
        let ended = self.0.borrow();
        ended.iter().rev().map(Box::as_ref).filter(is_meant).take(MOST).map(Past::of).collect()
    }

    /// Remembers a request that has ended.
    pub(crate) fn keep(&self, mut record: Box<Record>) {
        record.retire();
        let mut ended = self.0.borrow_mut();
        if ended.len() >= REMEMBERED + SPARE {
            ended.pop_front();
        }
        ended.push_back(record);
    }
}

// === impl Texts ===

impl Texts {
    fn set(&mut self, text: Text, value: &[u8]) {
        // Heads are bounded far below what the numbers can say.
        let end_of = |bytes: &Vec<u8>| u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        let start = end_of(&self.bytes);
        self.bytes.extend_from_slice(value);
        self.places[text as usize] = start..end_of(&self.bytes);
    }

    fn get(&self, text: Text) -> &[u8] {
        let Range { start, end } = self.places[text as usize];
        self.bytes.get(start as usize..end as usize).unwrap_or_default()
    }

    fn clear(&mut self) {
        self.bytes.clear();
        self.places = Default::default();
    }

    /// Cuts every text that is long, where all together take too much.
    fn shorten(&mut self) {
        if self.bytes.capacity() <= KEPT_BYTES {
            return;
        }
        let all = [
            Text::Method,
            Text::Authority,
            Text::Target,
            Text::UserAgent,
            Text::TraceId,
            Text::Location,
            Text::Host,
            Text::Url,
            Text::Origin,
        ];
        let mut short = Self { bytes: Vec::with_capacity(KEPT_BYTES), ..Self::default() };
        for text in all {
            let value = self.get(text);
            short.set(text, &value[..value.len().min(KEPT_BYTES / N_TEXTS)]);
        }
        *self = short;
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A record of a request that a target answered.
    pub(crate) fn record() -> Record {
        let peer = "192.0.2.7:50000".parse().unwrap();
        let connection = Connection { peer, local: "127.0.0.1:80".parse().unwrap(), tls: None };
        let listener = Rc::new(ListenerNames {
            load_balancer_id: "ingress:mlops/api".into(),
            load_balancer: "k8s-mlops-api".into(),
            resource: "app/k8s-mlops-api/50dc6c495c0c9188".into(),
            listener: "f2f7dc8efc522ab2".into(),
            port: 80,
            is_tls: false,
            tags: r#"{"Environment":"Production"}"#.into(),
            access_log: None,
            connection_log: None,
        });
        let mut record = Record::new(&listener, &connection);
        record.connection = ConnectionId([1, 0xabcd]);
        record.version = Some(Version::HTTP_11);
        record.set(Text::Method, b"GET");
        record.set(Text::Authority, b"a.example.com");
        record.set(Text::Target, b"/x?y=1");
        record.set(Text::UserAgent, b"curl/8.5");
        record.set(Text::TraceId, b"Root=1-a-b");
        record.rule = Some(3);
        record.act = Some(Act::Forward);
        record.group = Some(Rc::new(GroupNames {
            key: "mlops/api:80".into(),
            name: "k8s-mlops-api".into(),
            resource: "targetgroup/k8s-mlops-api/73e2d6bc24d8a067".into(),
            service: "api".into(),
            revisions: Default::default(),
            health_check_log: None,
        }));
        record.target = Some("127.78.0.2:8080".parse().unwrap());
        record.n_asked = 1;
        record.asked_at = Some(record.started + Duration::from_micros(200));
        record.target_took = Some(Duration::from_micros(1200));
        record.target_status = Some(200);
        record.answered_at = Some(record.started + Duration::from_micros(1450));
        let took = Duration::from_micros(1500);
        record.ended = Ended { status: 200, reason: None, received: 120, sent: 300, took };
        record
    }

    #[test]
    fn a_record_that_is_kept_is_small() {
        let mut record = record();
        record.set(Text::Location, &[b'x'; 16_000]);
        record.retire();
        assert_eq!(record.texts.bytes.capacity(), KEPT_BYTES);
        assert_eq!(record.text(Text::Location), &[b'x'; KEPT_BYTES / N_TEXTS]);
        assert_eq!(record.text(Text::Target), b"/x?y=1");
        let peer = "192.0.2.8:1".parse().unwrap();
        let listener = Rc::clone(&record.listener);
        record.begin(&listener, &Connection { peer, local: peer, tls: None });
        assert_eq!((record.text(Text::Target), record.texts.bytes.capacity()), (&b""[..], KEPT_BYTES));
    }
}
