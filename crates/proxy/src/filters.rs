//! What is looked at, refused or changed between routing and acting: one file, and one line of [`REGISTRY`], for each filter.
//!
//! A request whose rule is found passes the filters in their order before anything is done with it: each lets it go
//! on, as it is or changed, or answers it. An answer passes them on its way out, whoever gave it. A listener keeps
//! the sides of those that it has a use for, and so does a rule that is handled as annotations of ours ask for
//! ([`plan::Handling`]), so a filter that does nothing there costs nothing, and passing one is a call.
//!
//! A filter decides at once, from the request, its rule, the handling of that and the listener's settings. What it
//! decides by may have to be fetched: then a task beside it fetches that and puts it where the filter finds it, and
//! no request waits for it.

mod answer_fields;
mod client_certificate;
mod compression;
mod cors;
mod field_edits;
mod forwarded_for;
mod forwarding;
mod rate_limit;
mod served_by;
mod trace;
mod transforms;

use net::{Request, Response};
use plan::Handling;

use crate::exchange::Exchange;
use crate::handled::Handled;
use crate::listener::{WorkerAction, WorkerListener};
use crate::record::Record;
use crate::respond::{self, OwnAnswer, Reason};
use crate::snapshot::ListenerSettings;

/// One filter. What it has is written over [`Filter::IDLE`].
struct Filter {
    /// Whether it does anything at a listener with these settings, to what is handled so.
    is_wanted: fn(&ListenerSettings, &Handling) -> bool,
    request: Option<RequestSide>,
    answer: Option<AnswerSide>,
}

/// What a filter does with a request.
#[derive(Debug, Clone, Copy)]
enum RequestSide {
    /// It refuses it, or not, by nothing but what it says itself, and at every listener: so it can be told of one that never came.
    Refuses(fn(&Request) -> Option<Reason>),
    /// Whatever else.
    Decides(fn(&mut Passing<'_>, &mut Request) -> Verdict),
}

type AnswerSide = fn(&Leaving<'_>, &mut Response);

/// Every filter, in the order in which requests pass them. What makes the client's request the target's comes behind
/// all that look at what the client said; what targets get whatever a client said is put in last.
const REGISTRY: &[Filter] = &[
    trace::FILTER,
    forwarded_for::FILTER,
    client_certificate::FILTER,
    cors::QUESTION,
    rate_limit::FILTER,
    compression::WISH,
    answer_fields::FILTER,
    cors::FILTER,
    transforms::FILTER,
    forwarding::FILTER,
    served_by::FILTER,
    field_edits::FILTER,
    compression::FILTER,
];

/// Why the filters refuse a request, of those that look at nothing but the request itself: for who asks what would become of it.
pub(crate) fn refusal(request: &Request) -> Option<Reason> {
    REGISTRY.iter().find_map(|filter| match filter.request {
        Some(RequestSide::Refuses(refusal)) => refusal(request),
        _ => None,
    })
}

/// Where a request is, besides what it says itself.
pub(crate) struct Passing<'a> {
    pub(crate) listener: &'a WorkerListener,
    /// The place of the rule that holds; `None` when none does.
    pub(crate) rule: Option<usize>,
    /// What is done beside its action, if anything is.
    pub(crate) handled: Option<&'a Handled>,
    /// The request's record, for what is to be known of it later.
    pub(crate) exchange: &'a mut Exchange,
}

/// Whose answer it is that goes out.
pub(crate) struct Leaving<'a> {
    pub(crate) settings: &'a ListenerSettings,
    /// The handling of the rule of its request, if that has one, and came as far.
    pub(crate) handled: Option<&'a Handled>,
    /// What is known of its request; `None` where what came was none.
    pub(crate) record: Option<&'a Record>,
}

/// What becomes of a request at a filter.
pub(crate) enum Verdict {
    /// It goes on, as it is or changed.
    Continue,
    /// It is answered here.
    Respond(OwnAnswer),
}

/// The filters that a listener, or a rule of it, has a use for.
#[derive(Debug)]
pub(crate) struct Filters {
    request: Box<[RequestSide]>,
    answer: Box<[AnswerSide]>,
}

// === impl Filter ===

impl Filter {
    /// Stands at every listener and does nothing there.
    const IDLE: Self = Self { is_wanted: |_, _| true, request: None, answer: None };
}

// === impl Passing ===

impl<'a> Passing<'a> {
    /// What is done with the request when it has passed.
    pub(crate) fn action(&self) -> &'a WorkerAction {
        self.listener.action(self.rule)
    }

    /// What annotations of ours ask for, if they do.
    fn asked(&self) -> Option<&'a Handling> {
        self.handled.map(Handled::asked)
    }
}

// === impl Leaving ===

impl Leaving<'_> {
    /// What annotations of ours ask for, if they do.
    fn asked(&self) -> Option<&Handling> {
        self.handled.map(Handled::asked)
    }
}

// === impl Filters ===

impl Filters {
    pub(crate) fn of(settings: &ListenerSettings, handling: &Handling) -> Self {
        let wanted = || REGISTRY.iter().filter(|filter| (filter.is_wanted)(settings, handling));
        Self {
            request: wanted().filter_map(|filter| filter.request).collect(),
            answer: wanted().filter_map(|filter| filter.answer).collect(),
        }
    }

    /// Has a request pass. The error is the answer of the filter at which it ends.
    pub(crate) fn pass(&self, passing: &mut Passing<'_>, request: &mut Request) -> Result<(), OwnAnswer> {
        for side in &self.request {
            let verdict = match side {
                RequestSide::Refuses(refusal) => refusal(request).map_or(Verdict::Continue, Verdict::refused),
                RequestSide::Decides(decide) => decide(passing, request),
            };
            if let Verdict::Respond(answer) = verdict {
                return Err(answer);
            }
        }
        Ok(())
    }

    /// Has an answer pass.
    pub(crate) fn pass_answer(&self, leaving: &Leaving<'_>, answer: &mut Response) {
        self.answer.iter().for_each(|filter| filter(leaving, answer));
    }
}

// === impl Verdict ===

impl Verdict {
    fn refused(reason: Reason) -> Self {
        Self::Respond(respond::to(reason))
    }
}
