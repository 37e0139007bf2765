//! Where a request stands in its trace, and spans on their way to a collector (OpenTelemetry).
//!
//! ```text
//! traceparent ─► Tracer::begin ─► Trace ─► traceparent of what is asked of others
//!                                   └────► Spans ─ try_send ─► one thread ─► POST …/v1/traces, OTLP in JSON
//! ```
//!
//! No request waits for a collector: what may wait for it is bounded in number and in bytes, and what is dropped is counted.
//! This crate knows nothing of connections, load balancers or models; whoever has spans says what stands in them.

mod context;
mod export;
mod json;
mod sampler;
mod settings;
mod span;
mod tracer;

pub use context::{SpanId, TraceId, TraceParent, trace_state};
pub use export::Counts;
pub use json::push_text;
pub use sampler::Sampler;
pub use settings::{Endpoint, NotAnEndpoint, Settings};
pub use span::{Attributes, Kind, Span, Spans};
pub use tracer::{Trace, Tracer};

/// What the fuzz targets run, and the tests with them.
#[doc(hidden)]
pub mod fuzzing {
    use crate::{TraceParent, trace_state};

    /// Any bytes are a `traceparent` or none, and what is one is the same when it is written; they are members of a
    /// `tracestate` or none, and what is passed on of them is bounded and passes as it is.
    pub fn trace_context(bytes: &[u8]) {
        if let Some(parent) = TraceParent::parse(bytes) {
            let written = parent.write();
            assert_eq!(TraceParent::parse(&written), Some(parent));
            assert_eq!(&written[..52], [b"00", &bytes[2..52]].concat());
        }
        if let Some(state) = trace_state(bytes.split(|byte| *byte == b'\n')) {
            assert!(state.len() <= 512 && state.split(|byte| *byte == b',').count() <= 32);
            assert!(state.iter().all(|byte| (b' '..=b'~').contains(byte)));
            assert_eq!(trace_state([state.as_slice()]), Some(state));
        }
    }
}
