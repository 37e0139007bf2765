//! Spans in the JSON of OTLP ("OTLP Specification", JSON Protobuf Encoding): numbers of traces and spans in hexadecimal,
//! nanoseconds and integers in strings, kinds and codes as numbers.

use std::io::Write as _;
use std::time::Duration;

use crate::context::SpanId;
use crate::json::push_text;
use crate::tracer::Trace;

/// Spans that end together, those of one request.
#[derive(Debug, Default)]
pub struct Spans {
    /// Objects of JSON with commas between them.
    pub(crate) json: Vec<u8>,
    pub(crate) n_spans: u64,
}

/// What every span has.
#[derive(Debug, Clone, Copy)]
pub struct Span<'a> {
    /// Its number.
    pub id: SpanId,
    /// The span of this process that it is a part of; `None` for the one of the request.
    pub within: Option<SpanId>,
    /// What it is called: few names in all.
    pub name: &'a str,
    /// Its kind.
    pub kind: Kind,
    /// When it began, since the beginning of 1970.
    pub start: Duration,
    /// When it ended.
    pub end: Duration,
    /// Whether it failed.
    pub has_failed: bool,
}

/// The kind of a span.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Work within a process.
    Internal = 1,
    /// A request that came.
    Server = 2,
    /// A request to somebody else.
    Client = 3,
}

/// The attributes of a span, one after the other.
#[derive(Debug)]
pub struct Attributes<'a> {
    json: &'a mut Vec<u8>,
    is_first: bool,
}

/// Bytes of the text of one attribute. What is longer is cut.
const MOST_TEXT: usize = 2048;

/// What `flags` says beside the flags of the trace: that it is known whether the parent is of another process, and that it is.
const KNOWS_REMOTE: u32 = 0x100;
const IS_REMOTE: u32 = 0x200;

/// The code of a status that says that a span failed.
const STATUS_ERROR: u32 = 2;

// === impl Spans ===

impl Spans {
    /// Adds a span of a trace that is recorded.
    pub fn add(&mut self, trace: &Trace, span: &Span<'_>, attributes: impl FnOnce(&mut Attributes<'_>)) {
        let out = &mut self.json;
        if self.n_spans > 0 {
            out.push(b',');
        }
        self.n_spans += 1;
        let remote = if span.within.is_none() { trace.parent() } else { None };
        // Writing to a vector does not fail.
        let _ = write!(out, "{{\"traceId\":\"{}\",\"spanId\":\"{}\"", trace.id(), span.id);
        if let Some(parent) = span.within.or(remote) {
            let _ = write!(out, ",\"parentSpanId\":\"{parent}\"");
        }
        if let Some(state) = trace.state() {
            push_text(label(out, ",\"traceState\":"), state);
        }
        let remoteness = KNOWS_REMOTE | if remote.is_some() { IS_REMOTE } else { 0 };
        let _ = write!(out, ",\"flags\":{},\"kind\":{}", remoteness | 1, span.kind as u32);
        push_text(label(out, ",\"name\":"), span.name.as_bytes());
        // A clock that was set back must not make a span end before it began.
        let (start, end) = (span.start.as_nanos(), span.end.max(span.start).as_nanos());
        let _ = write!(out, ",\"startTimeUnixNano\":\"{start}\",\"endTimeUnixNano\":\"{end}\"");
        label(out, ",\"attributes\":[");
        attributes(&mut Attributes { json: out, is_first: true });
        label(out, "]");
        if span.has_failed {
            let _ = write!(out, ",\"status\":{{\"code\":{STATUS_ERROR}}}");
        }
        out.push(b'}');
    }
}

// === impl Attributes ===

impl Attributes<'_> {
    /// Adds a text. An empty one says nothing and is left out.
    pub fn text(&mut self, key: &str, value: &[u8]) {
        if value.is_empty() {
            return;
        }
        self.key(key);
        push_text(label(self.json, "{\"stringValue\":"), &value[..value.len().min(MOST_TEXT)]);
        label(self.json, "}}");
    }

    /// Adds a number.
    pub fn number(&mut self, key: &str, value: u64) {
        self.key(key);
        let _ = write!(self.json, "{{\"intValue\":\"{value}\"}}}}");
    }

    fn key(&mut self, key: &str) {
        if !std::mem::replace(&mut self.is_first, false) {
            self.json.push(b',');
        }
        push_text(label(self.json, "{\"key\":"), key.as_bytes());
        label(self.json, ",\"value\":");
    }
}

fn label<'a>(out: &'a mut Vec<u8>, label: &str) -> &'a mut Vec<u8> {
    out.extend_from_slice(label.as_bytes());
    out
}
