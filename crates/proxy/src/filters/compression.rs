//! Answers that go out compressed, as `compression` says of a rule.

use net::{Request, Response};
use plan::Handling;

use super::{Filter, Leaving, Passing, RequestSide, Verdict};
use crate::compression;
use crate::snapshot::ListenerSettings;

/// Takes in what the client wants, before a request to a target is made of what it said.
pub(super) const WISH: Filter =
    Filter { is_wanted, request: Some(RequestSide::Decides(take_in)), ..Filter::IDLE };

/// Compresses what is left when all others have changed it.
pub(super) const FILTER: Filter = Filter { is_wanted, answer: Some(compress), ..Filter::IDLE };

fn is_wanted(_: &ListenerSettings, handling: &Handling) -> bool {
    handling.compression.is_some()
}

fn take_in(passing: &mut Passing<'_>, request: &mut Request) -> Verdict {
    if let Some(compression) = passing.asked().and_then(|asked| asked.compression.as_ref()) {
        let wanted = compression.wanted(request.fields.all("accept-encoding"));
        // A client may want it as it is (RFC 9111 §5.2.1.6).
        let wanted = wanted.filter(|_| !request.fields.lists("cache-control", "no-transform"));
        passing.exchange.note(|record| record.wanted = wanted);
    }
    Verdict::Continue
}

fn compress(leaving: &Leaving<'_>, answer: &mut Response) {
    let (Some(handled), Some(record)) = (leaving.handled, leaving.record) else { return };
    if compression::apply(record.wanted, record.is_head, answer) {
        handled.metrics.compressed.inc();
    }
}
