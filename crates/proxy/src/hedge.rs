//! Asking another target beside one that says nothing ("The Tail at Scale", Dean and Barroso 2013): the first to answer is heard,
//! and the other one is not waited for.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};

use plan::Hedging;
use tokio::time::Sleep;

use crate::attempt::{Attempt, Outcome};
use crate::group::{Taken, Wish};
use crate::silence::Wait;

/// Waits for an answer, and, where a request `hedges`, asks another target as soon as the first one has been silent for too long,
/// there is another, and the budget has room. Returns the other one if it is it that answered.
///
/// Nearly always nothing comes of it, so what it takes then has a place of its own.
pub(crate) fn hedged<'a>(
    mut first: Pin<&'a mut impl Future<Output = Outcome>>,
    hedges: bool,
    attempt: &'a Attempt<'a>,
) -> impl Future<Output = (Outcome, Option<Taken>)> {
    let mut wait: Option<Wait<'a>> = None;
    let mut beside: Option<Box<Beside<'a>>> = None;
    let mut timer: Option<Pin<Box<Sleep>>> = None;
    poll_fn(move |cx| {
        let has_failed = beside.as_ref().is_some_and(|beside| beside.failed.is_some());
        if !has_failed && let Poll::Ready(outcome) = first.as_mut().poll(cx) {
            match &mut beside {
                Some(beside) if outcome.is_err() => beside.failed = Some(outcome),
                _ => return Poll::Ready((outcome, None)),
            }
        }
        // A target that does not have all of a request waits itself.
        if wait.is_none() && attempt.body.is_there() {
            wait = Some(Wait::begin(attempt.target));
        }
        let Some(wait) = wait.as_ref().filter(|_| hedges) else { return Poll::Pending };
        if beside.is_none() && is_time(attempt, wait, &mut timer, cx) {
            beside = another(attempt);
            // Where there is none, it is to be woken again.
            let _ = beside.is_some() || is_time(attempt, wait, &mut timer, cx);
        }
        let Some(second) = &mut beside else { return Poll::Pending };
        let Poll::Ready((outcome, other)) = second.asking.as_mut().poll(cx) else { return Poll::Pending };
        if outcome.is_ok() {
            return Poll::Ready((outcome, Some(other)));
        }
        match beside.take().and_then(|beside| beside.failed) {
            Some(outcome) => Poll::Ready((outcome, None)),
            // It may still be the first one that answers.
            None => {
                let _ = is_time(attempt, wait, &mut timer, cx);
                Poll::Pending
            }
        }
    })
}

/// Whether it is time to ask another target: when the first is silent for longer than it usually is, or after the
/// time that somebody says, which begins when this is asked first, and anew each time that it is over. If it is not,
/// whoever asks is woken when it is.
fn is_time(
    attempt: &Attempt<'_>,
    wait: &Wait<'_>,
    timer: &mut Option<Pin<Box<Sleep>>>,
    cx: &mut Context<'_>,
) -> bool {
    let Some(Hedging::After(time)) = attempt.asked.and_then(|asked| asked.hedging) else {
        return wait.is_woken(cx);
    };
    let sleeping = timer.get_or_insert_with(|| Box::pin(tokio::time::sleep(time)));
    let is_over = sleeping.as_mut().poll(cx).is_ready();
    if is_over {
        *timer = None;
    }
    is_over
}

/// A request to another target, beside the first.
struct Beside<'a> {
    asking: Asking<'a>,
    /// What came of the first one meanwhile, if it was no answer.
    failed: Option<Outcome>,
}

type Asking<'a> = Pin<Box<dyn Future<Output = (Outcome, Taken)> + 'a>>;

/// Asks another target that is not silent itself, if the budget has room for that.
fn another<'a>(attempt: &'a Attempt<'a>) -> Option<Box<Beside<'a>>> {
    let tried = [attempt.target.shared.address()];
    let other = attempt.group.take(&Wish { tried: &tried, ..Wish::default() }, &attempt.listener.worker)?;
    if !attempt.group.may_ask_more() {
        return None;
    }
    attempt.group.group.metrics.hedges.inc();
    let asking = Box::pin(async move {
        // The other target is asked in a span of its own, so it is told another one.
        let Attempt { group, request, body, listener, asked, .. } = *attempt;
        let address = other.target.shared.address();
        let random = &listener.worker.random;
        let span = attempt.span.as_ref().map(|span| span.beside(address, random, &request.fields));
        let outcome = Attempt { target: &other.target, group, request, body, listener, asked, span };
        let outcome = outcome.ask_in_time().await;
        (outcome, other)
    });
    Some(Box::new(Beside { asking, failed: None }))
}
