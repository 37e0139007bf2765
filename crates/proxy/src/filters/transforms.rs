//! Rewriting host and URL of a request before a target is asked, as the rule says that it matches ("Transforms for listener
//! rules", ALB user guide). A port that stands behind the host stays.

use net::{Request, Target};
use plan::{NoHeaders, RequestHead, RequestPath, Transform, TransformError, TransformPart, Transformed};
use plan::{end_of_host, normalise_host};

use super::{Filter, Passing, RequestSide, Verdict};
use crate::listener::WorkerAction;
use crate::record::Text;
use crate::respond::{self, Reason};

pub(super) const FILTER: Filter = Filter { request: Some(RequestSide::Decides(transform)), ..Filter::IDLE };

fn transform(passing: &mut Passing<'_>, request: &mut Request) -> Verdict {
    match passing.action() {
        WorkerAction::Forward(forward) if !forward.transforms.is_empty() => {
            apply(&forward.transforms, passing, request)
        }
        _ => Verdict::Continue,
    }
}

fn apply(transforms: &[Transform], passing: &mut Passing<'_>, request: &mut Request) -> Verdict {
    let transformed = {
        let host = normalise_host(request.authority());
        let head = RequestHead {
            method: request.method.as_str(),
            host: &host,
            path: request.target.path(),
            query: request.target.query(),
            headers: &NoHeaders,
            peer: request.connection.peer.ip(),
        };
        Transform::all(transforms, &head)
    };
    let applied = transformed.and_then(|transformed| rewrite(transformed, request));
    let status = match &applied {
        Ok(None) => return Verdict::Continue,
        Ok(Some(_)) => "TransformSuccess",
        Err(TransformError { part: TransformPart::HostHeader }) => "TransformInvalidHost",
        Err(TransformError { part: TransformPart::Url }) => "TransformInvalidPath",
    };
    passing.exchange.note(|record| {
        record.transform = Some(status);
        let texts = applied.as_ref().ok().and_then(Option::as_ref).unwrap_or(&[None, None]);
        for (text, now) in [Text::Host, Text::Url].into_iter().zip(texts) {
            if let Some(now) = now {
                record.set(text, now.as_bytes());
            }
        }
    });
    match applied {
        Ok(_) => Verdict::Continue,
        Err(_) => Verdict::Respond(respond::to(Reason::TRANSFORM_FAILED)),
    }
}

/// Host and URL, as far as they are others now.
type Rewritten = [Option<String>; 2];

fn rewrite(transformed: Transformed, request: &mut Request) -> Result<Option<Rewritten>, TransformError> {
    let Transformed { host, url } = transformed;
    if host.is_none() && url.is_none() {
        return Ok(None);
    }
    if let Some(url) = &url {
        let target = Target::new(url.as_str());
        // It is in the one spelling, as what came is.
        let read = RequestPath::unmatched(target.path());
        let path = read.map_err(|_| TransformError { part: TransformPart::Url })?.path;
        request.target = match target.query() {
            Some(query) => Target::new(format!("{path}?{query}")),
            None => Target::new(path),
        };
    }
    if let Some(host) = &host {
        let asked = request.authority();
        let authority = format!("{host}{}", &asked[end_of_host(asked)..]);
        request.fields.set("host", authority);
    }
    Ok(Some([host, url]))
}
