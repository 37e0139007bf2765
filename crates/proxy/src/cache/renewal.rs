//! Asking a target whether what is kept is good still, while clients are answered with it (RFC 5861 §3).
//!
//! One request of a core asks at a time, in a task of its own; what fails is not tried again for a while.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use net::{Body, Bytes, Fields, Request, Response, StatusCode, since_epoch};

use super::policy::{Question, Times};
use super::store::{Asking, Stored};
use super::{OfRule, is_failure_status};
use crate::attempt::Attempt;
use crate::group::{Taken, Wish, WorkerGroup};
use crate::handled::Handled;
use crate::listener::WorkerListener;
use crate::replay::Replayable;

/// How long it may take in all.
const PATIENCE: Duration = Duration::from_secs(30);

/// What is asked, by which rule, and what is kept of it.
pub(super) struct Renewal {
    pub(super) of_rule: Box<OfRule>,
    pub(super) listener: Rc<WorkerListener>,
    pub(super) group: Rc<WorkerGroup>,
    pub(super) question: Question,
    pub(super) asking: Asking,
    pub(super) stored: Arc<Stored>,
}

impl Renewal {
    /// Begins to ask what this request asks.
    pub(super) fn begin(self, request: &Request) {
        let Request { method, target, version, fields, connection, .. } = request;
        let (method, target, connection) = (method.clone(), target.clone(), connection.clone());
        // What this client has is of no account.
        let mut fields: Fields = fields.clone();
        fields.remove("if-none-match");
        fields.remove("if-modified-since");
        let copy = Request { method, target, version: *version, fields, body: Body::Empty, connection };
        tokio::task::spawn_local(async move {
            let _ = tokio::time::timeout(PATIENCE, self.run(copy)).await;
        });
    }

    async fn run(self, mut request: Request) {
        let can_be_asked_in_short = self.stored.ask_whether_modified(&mut request).is_some();
        let asked = since_epoch();
        let answer = self.ask(&request).await;
        let times = Times { asked, answered: since_epoch() };
        let Self { of_rule, listener, question, asking, stored, .. } = self;
        let (mut response, _taken) = match answer {
            Some(answer) if !is_failure_status(answer.0.status) => answer,
            _ => return asking.is_vain(),
        };
        if response.status == StatusCode::NOT_MODIFIED {
            match can_be_asked_in_short {
                true => _ = of_rule.freshen(&asking, &stored, &response.fields, &question, times),
                false => asking.is_vain(),
            }
            return;
        }
        let budget = &listener.worker.keeping.budget;
        if of_rule.keep(asking, &question, &request, times, budget, &mut response).is_some() {
            // What comes is taken in as it goes by.
            while let Some(Ok(_)) = response.body.chunk().await {}
        }
    }

    /// What one target says, which works on it until that is let go.
    async fn ask(&self, request: &Request) -> Option<(Response, Taken)> {
        let Self { listener, group, of_rule, .. } = self;
        let taken = group.take(&Wish::default(), &listener.worker)?;
        group.group.metrics.routed.inc();
        let (body, asked) = (Replayable::Kept(Bytes::new(), None), Some(Handled::asked(&of_rule.handled)));
        let attempt =
            Attempt { target: &taken.target, group, request, body: &body, listener, asked, span: None };
        match attempt.ask_in_time().await {
            Ok(answered) => Some((answered.response, taken)),
            Err(failure) => {
                if failure.is_some_and(|failure| failure.is_of_target()) {
                    taken.target.failed();
                }
                None
            }
        }
    }
}
