//! Rewriting host and URL of a request before a target is asked, as the rule says that it matches.

use net::{Request, Target};
use plan::{RequestPath, TransformError, TransformPart, Transformed, end_of_host};

use crate::exchange::Exchange;
use crate::record::Text;
use crate::respond::{self, OwnAnswer, Reason};

/// Makes a request the one that its rule wants targets to see. A port that stands behind the host stays.
pub(crate) fn apply(
    transformed: Result<Transformed, TransformError>,
    exchange: &mut Exchange,
    request: &mut Request,
) -> Result<(), OwnAnswer> {
    let applied = transformed.and_then(|transformed| rewrite(transformed, request));
    let status = match &applied {
        Ok(None) => return Ok(()),
        Ok(Some(_)) => "TransformSuccess",
        Err(TransformError { part: TransformPart::HostHeader }) => "TransformInvalidHost",
        Err(TransformError { part: TransformPart::Url }) => "TransformInvalidPath",
    };
    exchange.note(|record| {
        record.transform = Some(status);
        let texts = applied.as_ref().ok().and_then(Option::as_ref).unwrap_or(&[None, None]);
        for (text, now) in [Text::Host, Text::Url].into_iter().zip(texts) {
            if let Some(now) = now {
                record.set(text, now.as_bytes());
            }
        }
    });
    applied.map(drop).map_err(|_| respond::to(Reason::TRANSFORM_FAILED))
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
        let read = RequestPath::read(target.path());
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
