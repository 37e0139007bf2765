//! Requests in the log of a server, for who wants to see them (`forebay serve -v`).

use std::time::Instant;

use net::{Request, StatusCode};
use tracing::{Level, enabled, info};

/// What is told of a request once it is answered.
pub(crate) struct Told {
    method: String,
    target: String,
    /// What a load balancer calls it, if it came through one.
    trace: String,
    began: Instant,
}

// === impl Told ===

impl Told {
    /// Keeps what is to be told, if anybody wants to hear it.
    pub(crate) fn of(request: &Request) -> Option<Box<Self>> {
        enabled!(Level::INFO).then(|| {
            Box::new(Self {
                method: request.method.to_string(),
                target: request.target.as_str().to_owned(),
                trace: request.fields.text("x-amzn-trace-id").unwrap_or_default().to_owned(),
                began: Instant::now(),
            })
        })
    }

    pub(crate) fn tell(&self, status: StatusCode) {
        let Self { method, target, trace, began } = self;
        let (status, seconds) = (status.as_u16(), began.elapsed().as_secs_f64());
        info!(method, target, status, seconds, trace, "request");
    }
}
