//! Header fields that targets and clients get with another value, or not, as `request-headers` and `response-headers`
//! say of a rule.

use net::{Fields, Request, Response};
use plan::FieldEdits;

use super::{Filter, Leaving, Passing, RequestSide, Verdict};
use crate::headers::is;
use crate::listener::WorkerAction;

pub(super) const FILTER: Filter = Filter {
    is_wanted: |_, handling| handling.request_fields.is_some() || handling.answer_fields.is_some(),
    request: Some(RequestSide::Decides(edit_request)),
    answer: Some(edit_answer),
};

/// Changes what is the target's already: no client can take out by `Connection` what is put in here.
fn edit_request(passing: &mut Passing<'_>, request: &mut Request) -> Verdict {
    let edits = passing.asked().and_then(|asked| asked.request_fields.as_ref());
    if let (Some(edits), WorkerAction::Forward(_)) = (edits, passing.action()) {
        apply(edits, &mut request.fields);
    }
    Verdict::Continue
}

fn edit_answer(leaving: &Leaving<'_>, answer: &mut Response) {
    if let Some(edits) = leaving.asked().and_then(|asked| asked.answer_fields.as_ref()) {
        apply(edits, &mut answer.fields);
    }
}

/// Fields go in every spelling that servers take for the same.
fn apply(edits: &FieldEdits, fields: &mut Fields) {
    fields.retain(|name, _| !edits.names().any(|edited| is(name, edited)));
    for (name, value) in edits.set() {
        fields.push(name, value);
    }
}
