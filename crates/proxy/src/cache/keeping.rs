//! Taking in what targets say: answers that may be kept, and that what is kept is good still.

use net::{Body, Budget, Bytes, Fields, Request, Response, http_date};

use super::OfRule;
use super::filling::Filling;
use super::policy::{Freshness, Question, Times};
use super::store::{Asking, Stored, Variant};
use crate::stickiness;

impl OfRule {
    /// Keeps an answer, if it may be. Returns for how many seconds it is fresh.
    pub(super) fn keep(
        &self,
        asking: Asking,
        question: &Question,
        request: &Request,
        times: Times,
        budget: &Budget,
        answer: &mut Response,
    ) -> Option<i64> {
        let most = self.cache.settings.object;
        if answer.upgrade.is_some() || answer.body.remaining().is_some_and(|length| length > most as u64) {
            asking.is_vain();
            return None;
        }
        if !answer.fields.contains("date") {
            answer.fields.push("date", http_date(times.answered));
        }
        let (status, mut fields, body) = (answer.status, answer.fields.clone(), Bytes::new());
        // Where this client belongs is nothing to others.
        fields
            .retain(|name, value| !(name.eq_ignore_ascii_case(b"set-cookie") && stickiness::is_told(value)));
        let freshness = Freshness::of(question, status, &fields, self.cache.settings.ttl, times);
        let (Some(freshness), Some(variant)) = (freshness, Variant::of(&fields, &request.fields)) else {
            asking.is_vain();
            return None;
        };
        let left = freshness.time_left(times.answered);
        let stored = Stored { way: asking.way(), status, fields, body, freshness, variant };
        let body = match std::mem::take(&mut answer.body) {
            Body::Stream(stream) => {
                let filling = Filling::new(Body::Stream(stream), asking, stored, budget.clone());
                Body::Stream(Box::new(filling))
            }
            whole => {
                // What came may stand in memory that is much larger.
                let body =
                    if let Body::Full(bytes) = &whole { Bytes::copy_from_slice(bytes) } else { Bytes::new() };
                let is_kept = asking.keep(Stored { body, ..stored });
                answer.body = whole;
                return is_kept.then_some(left);
            }
        };
        answer.body = body;
        Some(left)
    }

    /// Takes in that an answer is still good, and what is said of it now (RFC 9111 §3.2, §4.3.4).
    pub(super) fn freshen(
        &self,
        asking: &Asking,
        stored: &Stored,
        news: &Fields,
        question: &Question,
        times: Times,
    ) -> Stored {
        let mut fields = stored.fields.clone();
        let is_new = |name: &[u8]| !KEPT.iter().any(|kept| name.eq_ignore_ascii_case(kept.as_bytes()));
        let named = |name: &[u8]| std::str::from_utf8(name).unwrap_or_default().to_owned();
        for (name, _) in news.iter().filter(|(name, _)| is_new(name)) {
            fields.remove(&named(name));
        }
        for (name, value) in news.iter().filter(|(name, _)| is_new(name)) {
            fields.push(&named(name), value);
        }
        if !news.contains("date") {
            fields.set("date", http_date(times.answered));
        }
        fields.remove("age");
        news.all("age").for_each(|age| fields.push("age", age));
        let fresh = |freshness, fields| Stored {
            way: stored.way,
            status: stored.status,
            fields,
            body: stored.body.clone(),
            freshness,
            variant: stored.variant.clone(),
        };
        match Freshness::of(question, stored.status, &fields, self.cache.settings.ttl, times) {
            Some(freshness) => {
                asking.keep(fresh(freshness.clone(), fields.clone()));
                fresh(freshness, fields)
            }
            None => {
                asking.forget();
                asking.is_vain();
                fresh(stored.freshness.clone(), fields)
            }
        }
    }
}

/// Fields of an answer that stay when it is said to be good still: those of what it is, and of who was asked.
const KEPT: [&str; 7] = [
    "content-encoding",
    "content-length",
    "content-range",
    "content-type",
    "set-cookie",
    "transfer-encoding",
    "x-amzn-trace-id",
];
