//! Sending a request to a target, and to another one when the first fails and it is safe.

use std::net::SocketAddr;
use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;

use net::{Fields, Method, Request, Response};
use plan::{Handling, Hedging, Origin};
use tokio::time::Instant;

use crate::attempt::{Answered, Attempt, Failure, is_repeatable, may_be_asked_twice};
use crate::exchange::Exchange;
use crate::group::{Taken, WhenFew, Wish, WorkerGroup};
use crate::handled::Handled;
use crate::hedge::hedged;
use crate::line::Place;
use crate::listener::ListenerSlot;
use crate::pool::WorkerTarget;
use crate::replay::{Buffering, Replayable};
use crate::respond::{self, OwnAnswer, Reason};
use crate::stickiness;
use crate::worker::Worker;

/// How often one request is sent, at most.
const ATTEMPTS: u8 = 4;

/// So many targets may go down with a request. It is sent to no other then, for it may be the request that takes them down.
const MOST_LOST: u8 = 2;

/// How long a request waits for a target when none answers, where replicas are ours and others are on their way.
const HOLD_PATIENCE: Duration = Duration::from_secs(3);

/// Time between two looks for a target.
const HOLD_INTERVAL: Duration = Duration::from_millis(10);

/// Where a rule leads a request.
pub(crate) struct Led {
    pub(crate) group: Rc<WorkerGroup>,
    /// For how many seconds its client stays with the group, if it does.
    pub(crate) stays: Option<u32>,
}

/// Sends a request to a target of the group. The error is an answer of our own.
///
/// What every request needs to its end is made before there is a future, which is small without what it is made of.
pub(crate) fn forward(
    slot: &ListenerSlot,
    exchange: &mut Exchange,
    led: Led,
    request: &mut Request,
) -> impl Future<Output = Result<Response, OwnAnswer>> {
    exchange.forwarded(&request.fields);
    let listener = Rc::clone(&exchange.listener);
    let group = &led.group.group;
    let is_repeatable = is_repeatable(group.replay, &request.method);
    let buffering = match group.speech.is_http2() {
        true => Buffering::AsItComes,
        false => Buffering::Whole { may_be_sent_again: is_repeatable },
    };
    let handled = exchange.handled().cloned();
    let asked = handled.as_deref().map(Handled::asked);
    let hedges = match asked.and_then(|asked| asked.hedging) {
        // Who wants nothing sent twice wants it at no other target either.
        None => {
            may_be_asked_twice(group.replay, &request.method)
                && asked.is_none_or(|asked| asked.retries != Some(0))
        }
        Some(Hedging::Off) => false,
        Some(Hedging::After(_)) => is_repeatable,
    };
    let hedges = hedges && !request.fields.contains("upgrade");
    let belongs_to = stickiness::target_of(&listener.worker.seal, group, &request.fields);
    let past = belongs_to.map(|target| Box::new(Past { belongs_to: Some(target), ..Past::default() }));
    led.group.earned.earn();
    let mut choice =
        Choice { slot, led, worker: Rc::clone(&listener.worker), started: net::recently(), handled, past };
    async move {
        let told = listener.snapshot.settings.client_fields.as_ref();
        let prepared = Replayable::prepare(&mut request.body, buffering, &choice.worker.keeping, told).await;
        let body = prepared.map_err(|error| respond::to(Reason::of_client_body(&error)))?;
        choice.started = net::recently();
        // A copy leaves at once where the body is there, so that it hangs on nothing that becomes of the request.
        if body.is_there() {
            exchange.send_copy(request, &body);
        }
        for n_attempts in 1_u8.. {
            let Some(taken) = choice.next().await else { break };
            if n_attempts == 1 {
                choice.led.group.group.metrics.routed.inc();
            }
            exchange.asks(&taken.target.shared);
            let span = exchange.trace().map(|trace| {
                trace.ask(taken.target.shared.address(), &listener.worker.random, &mut request.fields)
            });
            let attempt = Attempt {
                target: &taken.target,
                group: &choice.led.group,
                request,
                body: &body,
                listener: &listener,
                asked: choice.asked(),
                span,
            };
            // What came of it is not kept where it would take room for as long as the request lasts.
            let failure = {
                let (outcome, other) = hedged(pin!(attempt.ask_in_time()), hedges, &attempt).await;
                match outcome {
                    Ok(answered) => {
                        let Answered { mut response, took, switched } = answered;
                        if let Some(other) = &other {
                            exchange.hears(&other.target.shared);
                        }
                        let Taken { target, in_flight } = other.unwrap_or(taken);
                        exchange.holds(in_flight);
                        exchange.answered_after(took, response.status);
                        exchange.went_over(switched);
                        choice.tell(&target, &mut response.fields);
                        exchange.send_copy(request, &body);
                        body.settle();
                        return Ok(response);
                    }
                    Err(Some(failure)) => Box::new(failure),
                    Err(None) => break,
                }
            };
            if !Box::pin(choice.goes_on_after(failure, &taken.target, n_attempts, &request.method)).await {
                break;
            }
            choice.led.group.group.metrics.retries.inc();
        }
        Err(choice.refusal())
    }
}

/// Choosing targets for one request, one after the other.
struct Choice<'a> {
    slot: &'a ListenerSlot,
    led: Led,
    worker: Rc<Worker>,
    started: Instant,
    /// What annotations of ours ask for.
    handled: Option<Rc<Handled>>,
    /// What few requests have.
    past: Option<Box<Past>>,
}

/// What became of a request so far, and where its client was before.
#[derive(Default)]
struct Past {
    /// The target that its client belongs to.
    belongs_to: Option<SocketAddr>,
    tried: Vec<SocketAddr>,
    /// How often it was sent to a target that may have seen it, and failed.
    n_seen: u8,
    /// Targets that went down with it.
    n_lost: u8,
    /// Whether all that could be asked have as many requests as they take.
    is_busy: bool,
    /// Whether a target failed it: others may be on their way.
    has_failed: bool,
    /// The answer of our own if no other target has a better one.
    refusal: Option<OwnAnswer>,
}

impl Choice<'_> {
    /// A target that was not tried yet. When there is none, and waiting makes sense, one that comes a little later, or
    /// one that was tried before.
    async fn next(&mut self) -> Option<Taken> {
        let mut place = None;
        loop {
            // A replica that is starting is no better than none, as long as there is time.
            let taken = self.led.group.take(&self.wish(WhenFew::Nobody), &self.worker);
            if taken.is_some() {
                return taken;
            }
            let may_wait = self.may_wait();
            let when_few = if may_wait { WhenFew::Healthy } else { WhenFew::All };
            let taken = self.led.group.take(&self.wish(when_few), &self.worker);
            if taken.is_some() {
                return taken;
            }
            if self.led.group.is_busy(&self.wish(when_few)) {
                self.past().is_busy = true;
                if !Box::pin(self.wait_in_line(&mut place)).await {
                    return None;
                }
                self.past().is_busy = false;
            } else if may_wait {
                Box::pin(tokio::time::sleep(HOLD_INTERVAL)).await;
                self.past().tried.clear();
            } else {
                return None;
            }
            // Replacements come with a new plan, so this one request does not stay with the plan it began under.
            self.led.group = self.slot.current().group(&self.led.group.group.key)?;
        }
    }

    /// Takes in why a target did not answer. Returns whether the request goes to another one, or to the same once more.
    async fn goes_on_after(
        &mut self,
        failure: Box<Failure>,
        target: &WorkerTarget,
        n_attempts: u8,
        method: &Method,
    ) -> bool {
        if failure.is_ours() {
            self.past().refusal = Some(failure.into_answer());
            return false;
        }
        self.past().has_failed = true;
        if failure.is_of_target() {
            target.failed();
        }
        let may_go_on = (n_attempts < ATTEMPTS || self.may_wait())
            && failure.may_be_replayed(self.led.group.group.replay, method);
        let has_gone = match &*failure {
            Failure::NotSent(_) | Failure::Lost(_) | Failure::NotReady(_) => true,
            Failure::Sent(_) | Failure::TooSlow => {
                if failure.is_break() {
                    target.broke_off();
                }
                may_go_on && failure.is_break() && target.has_gone().await
            }
        };
        if has_gone {
            target.shared.report_unreachable();
        }
        let went_with_it = has_gone && (failure.is_break() || matches!(*failure, Failure::Lost(_)));
        // What nobody has seen, or was lost with its target, costs nothing. A target that has not looked at a request may do so
        // over another connection.
        let is_unseen = failure.is_unseen();
        let most_retries = self.asked().and_then(|asked| asked.retries);
        let was_seen = failure.may_have_been_seen();
        let past = self.past();
        past.n_lost += u8::from(went_with_it);
        past.n_seen += u8::from(was_seen);
        let may_go_on = may_go_on && !(was_seen && most_retries.is_some_and(|most| past.n_seen > most));
        if !is_unseen {
            past.tried.push(target.shared.address());
        }
        let takes_all_down = past.n_lost >= MOST_LOST;
        past.refusal = Some(match takes_all_down {
            true => respond::to(Reason::COSTLY_REQUEST),
            false => failure.into_answer(),
        });
        may_go_on && !takes_all_down && (has_gone || is_unseen || self.led.group.may_ask_more())
    }

    /// The answer where no target gave one.
    fn refusal(self) -> OwnAnswer {
        let Past { refusal, is_busy, .. } = self.past.map(|past| *past).unwrap_or_default();
        let reason = if is_busy { Reason::TARGETS_BUSY } else { Reason::NO_TARGETS };
        refusal.unwrap_or_else(|| respond::to(reason))
    }

    fn asked(&self) -> Option<&Handling> {
        self.handled.as_deref().map(Handled::asked)
    }

    fn past(&mut self) -> &mut Past {
        self.past.get_or_insert_default()
    }

    /// Tells the client where it belongs, if it does.
    fn tell(&self, target: &WorkerTarget, answer: &mut Fields) {
        let (group, seal) = (&self.led.group.group, &self.worker.seal);
        stickiness::tell_target(seal, group, target.shared.address(), answer);
        if let Some(seconds) = self.led.stays {
            stickiness::tell_group(seal, group, Duration::from_secs(seconds.into()), answer);
        }
    }

    /// Waits until a target may have room. Returns whether it is worth looking again.
    async fn wait_in_line(&self, place: &mut Option<Place>) -> bool {
        let group = &self.led.group.group;
        if place.is_none() && group.concurrency.is_some_and(|concurrency| concurrency.waits) {
            *place = Place::take(&group.line, &group.metrics.queued);
        }
        match place {
            Some(place) => place.wait().await,
            None => false,
        }
    }

    fn wish(&self, when_few: WhenFew) -> Wish<'_> {
        let past = self.past.as_deref();
        Wish {
            tried: past.map_or(&[], |past| &past.tried),
            when_few,
            belongs_to: past.and_then(|past| past.belongs_to),
            client: None,
        }
    }

    /// Whether the request may wait for a target: replicas of ours that went a moment ago come back.
    fn may_wait(&self) -> bool {
        let group = &self.led.group.group;
        let is_ours = group.origin == Origin::Ours;
        let has_failed = self.past.as_ref().is_some_and(|past| past.has_failed);
        let is_disturbed = || has_failed || group.was_disturbed_within(HOLD_PATIENCE);
        is_ours && self.started.elapsed() < HOLD_PATIENCE && is_disturbed()
    }
}
