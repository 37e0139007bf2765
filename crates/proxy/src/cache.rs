//! Answers that are kept for those who ask the same again, as far as RFC 9111 lets a shared cache do that.
//!
//! Answers to GET are kept, and GET and HEAD answered with them; predictions are POST, and pass by. What a client is told of it is
//! `Cache-Status` (RFC 9211). A request that comes while another one of its core asks for the same waits for that (`flights`). The key is
//! what the target is asked. Rules that tell requests apart by more than their URL have answers of their own, and so have requests with fields by which
//! servers make URLs, or read another method or path in a request, that are not there for caches to see.

mod directives;
mod filling;
mod flights;
mod keeping;
mod policy;
mod renewal;
mod store;
mod stored;

use std::rc::Rc;
use std::sync::Arc;

use net::{Body, Fields, Request, Response, StatusCode, since_epoch};

use crate::exchange::Exchange;
use crate::forward::{self, Led};
use crate::handled::Handled;
use crate::headers::Names;
use crate::listener::ListenerSlot;
use crate::metrics::Lookup;
use crate::respond::{self, OwnAnswer, Reason};
pub(crate) use flights::Flights;
use flights::Joined;
use policy::{Question, Reuse, Times, Use, Why};
use renewal::Renewal;
pub(crate) use store::Cache;
use store::{Found, Key, Stored};

/// The cache that a rule has, and what tells the rule from others that have the same.
pub(crate) struct OfRule {
    pub(crate) cache: Arc<Cache>,
    pub(crate) handled: Rc<Handled>,
    pub(crate) rule: u64,
}

/// Takes lines for values of `Cache-Control` and of `If-None-Match`.
pub(crate) fn fuzz(bytes: &[u8]) {
    let lines = || bytes.split(|byte| *byte == b'\n');
    let directives = directives::Directives::read(lines());
    let numbers = [directives.max_age, directives.s_maxage, directives.min_fresh, directives.max_stale];
    assert!(numbers.into_iter().flatten().all(|seconds| seconds <= directives::FOREVER));
    let mut asked = Fields::new();
    lines().for_each(|line| asked.push("if-none-match", line));
    for tag in asked.all("if-none-match").flat_map(policy::tags) {
        let mut kept = Fields::new();
        kept.push("etag", tag);
        assert!(policy::is_known_to_client(&asked, &kept));
    }
}

/// How `Cache-Status` calls this cache.
const NAME: &str = "forebay";

/// Answers a request with what is kept, or asks a target and keeps what it says. The error is an answer of our own.
pub(crate) async fn answer(
    of_rule: Box<OfRule>,
    slot: &ListenerSlot,
    exchange: &mut Exchange,
    led: Led,
    request: &mut Request,
) -> Result<Response, OwnAnswer> {
    let cache = &of_rule.cache;
    // Also what no target sees has its id.
    exchange.forwarded(&request.fields);
    let question = Question::of(&request.method, &request.fields, !matches!(request.body, Body::Empty));
    let (key, way) = (key(request), of_rule.way(&request.fields));
    let may_be_kept = match question.use_of {
        Use::Get => true,
        Use::Head => false,
        Use::Changes | Use::Passes => {
            return of_rule.pass(&question, &key, slot, exchange, led, request).await;
        }
    };
    let (flights, now) = (exchange.listener.worker.flights.clone(), net::recently());
    let number = || cache.number_of((&key, way, liked(&request.fields)));
    let mut looked = of_rule.look(&key, way, &question, request, None);
    let mut lead = None;
    if let Some(why) = looked.joins(&question) {
        let number = number();
        match flights.join(number, now).await {
            Joined::Leads(leads) => lead = Some(leads),
            Joined::Waited => {
                looked = of_rule.look(&key, way, &question, request, Some(why));
                if matches!(looked, Looked::Asks(..)) {
                    flights.is_vain(number, now);
                }
            }
            Joined::Alone => {}
        }
    }
    let (stored, why) = match looked {
        Looked::Served(answer) => {
            of_rule.count(Lookup::Hit, exchange);
            return Ok(*answer);
        }
        Looked::ServedMeanwhile(answer, stored) => {
            of_rule.count(Lookup::Stale, exchange);
            if let Some(lead) = may_be_kept.then(|| flights.lead(number(), now)).flatten() {
                let asking = cache.ask(&key, way, Some(lead));
                let (listener, group) = (Rc::clone(&exchange.listener), led.group);
                Renewal { of_rule, listener, group, question, asking, stored }.begin(request);
            }
            return Ok(*answer);
        }
        Looked::Asks(stored, why) => (stored, why),
    };
    if question.directives.only_if_cached {
        return Err(respond::to(Reason::NOT_CACHED));
    }
    let now = since_epoch();
    // What the client has is compared with what is kept once that is known to be good.
    let client =
        stored.as_ref().filter(|_| may_be_kept).and_then(|stored| stored.ask_whether_modified(request));
    let asking = may_be_kept.then(|| cache.ask(&key, way, lead));
    let outcome = forward::forward(slot, exchange, led, request).await;
    if let Some(asking) = asking.as_ref().filter(|_| is_failure(&outcome)) {
        asking.is_vain();
    }
    let times = Times { asked: now, answered: since_epoch() };
    if let Some(stored) = &stored {
        if let (Ok(news), Some(client), Some(asking)) = (&outcome, &client, &asking)
            && news.status == StatusCode::NOT_MODIFIED
        {
            of_rule.count(Lookup::Revalidated, exchange);
            let fresh = of_rule.freshen(asking, stored, &news.fields, &question, times);
            let left = fresh.freshness.time_left(times.answered);
            let told = format!("{NAME}; fwd={why}; fwd-status=304; ttl={left}");
            return Ok(fresh.answer(client, times.answered, &told));
        }
        if is_failure(&outcome) && stored.freshness.is_better_than_an_error(&question, times.answered) {
            of_rule.count(Lookup::Stale, exchange);
            let status = outcome.map_or_else(|own| own.response.status, |answer| answer.status);
            let left = stored.freshness.time_left(times.answered);
            let told = format!(
                "{NAME}; fwd={why}; fwd-status={}; ttl={left}; detail=stale-if-error",
                status.as_u16()
            );
            return Ok(stored.answer(client.as_ref().unwrap_or(&request.fields), times.answered, &told));
        }
    }
    let mut answer = outcome?;
    of_rule.count(Lookup::Miss, exchange);
    let kept = asking.and_then(|asking| {
        let budget = &exchange.listener.worker.keeping.budget;
        of_rule.keep(asking, &question, request, times, budget, &mut answer)
    });
    let kept = kept.map(|left| format!("; stored; ttl={left}")).unwrap_or_default();
    let told = format!("{NAME}; fwd={why}; fwd-status={}{kept}", answer.status.as_u16());
    answer.fields.push("cache-status", told);
    Ok(answer)
}

/// Whether it is better to answer with something old (RFC 5861 §4).
fn is_failure(outcome: &Result<Response, OwnAnswer>) -> bool {
    let status = outcome.as_ref().map_or_else(|own| own.response.status, |answer| answer.status);
    is_failure_status(status)
}

fn is_failure_status(status: StatusCode) -> bool {
    matches!(status.as_u16(), 500 | 502 | 503 | 504)
}

/// What a look at what is kept comes to.
enum Looked {
    /// It is the answer.
    Served(Box<Response>),
    /// It is the answer, and a target is asked meanwhile whether it is good still.
    ServedMeanwhile(Box<Response>, Arc<Stored>),
    /// A target has to be asked: whether what is kept is good still, if anything is, and why.
    Asks(Option<Arc<Stored>>, &'static str),
}

impl Looked {
    /// Why a target is asked, where its answer may be one for others that ask it too.
    fn joins(&self, question: &Question) -> Option<&'static str> {
        let Self::Asks(stored, why) = self else { return None };
        let is_for_others = match stored {
            Some(stored) => !stored.freshness.is_always_asked(),
            None => question.is_anybodys(),
        };
        let may_wait = question.use_of == Use::Get && *why != REQUEST && question.takes_any_age();
        (may_wait && is_for_others).then_some(*why)
    }
}

/// Why a target is asked: the client wants that.
const REQUEST: &str = "request";

/// What of a request makes answers differ most often.
fn liked(fields: &Fields) -> [Option<&[u8]>; 4] {
    ["accept", "accept-encoding", "accept-language", "origin"].map(|name| fields.get(name))
}

/// What the target is asked.
fn key(request: &Request) -> Key {
    let scheme = if request.connection.is_tls() { "https" } else { "http" };
    let (host, target) = (request.authority(), request.target.as_str());
    let mut key = Vec::with_capacity(8 + host.len() + target.len());
    key.extend_from_slice(scheme.as_bytes());
    key.push(0);
    key.extend(host.bytes().map(|byte| byte.to_ascii_lowercase()));
    key.push(0);
    key.extend_from_slice(target.as_bytes());
    key.into()
}

/// Fields by which servers make URLs, or read another method, host or path in a request, and of which hardly one tells in `Vary`. Who
/// sends them must not choose what others get ("Practical Web Cache Poisoning", Kettle 2018).
static LEADING: Names<17> = Names::new([
    "forwarded",
    "front-end-https",
    "x-forwarded-host",
    "x-forwarded-path",
    "x-forwarded-prefix",
    "x-forwarded-scheme",
    "x-forwarded-server",
    "x-forwarded-ssl",
    "x-forwarded-uri",
    "x-host",
    "x-http-method",
    "x-http-method-override",
    "x-method-override",
    "x-original-host",
    "x-original-url",
    "x-rewrite-url",
    "x-url-scheme",
]);

// === impl OfRule ===

impl OfRule {
    /// What else leads to an answer than what the target is asked: the rule, and fields by which the target may take it for something else.
    fn way(&self, fields: &Fields) -> u64 {
        let leading = fields.iter().filter(|(name, _)| LEADING.have(name));
        // Servers take `_` for `-` in them.
        let plain = |name: &[u8]| {
            name.to_ascii_lowercase().iter().map(|byte| if *byte == b'_' { b'-' } else { *byte }).collect()
        };
        let leading: Vec<(Vec<u8>, &[u8])> = leading.map(|(name, value)| (plain(name), value)).collect();
        self.cache.number_of((self.rule, leading))
    }

    /// Looks at what is kept; where that brought the answer for `collapsed` reasons, another request asked for it.
    fn look(
        &self,
        key: &Key,
        way: u64,
        question: &Question,
        request: &Request,
        collapsed: Option<&'static str>,
    ) -> Looked {
        let stored = match self.cache.find(key, way, &request.fields) {
            Found::Nothing => return Looked::Asks(None, "uri-miss"),
            Found::OtherVariants => return Looked::Asks(None, "vary-miss"),
            Found::Answer(stored) if !stored.freshness.is_for(question) => {
                return Looked::Asks(None, REQUEST);
            }
            Found::Answer(stored) => stored,
        };
        let now = since_epoch();
        let left = stored.freshness.time_left(now);
        match stored.freshness.reuse(question, now) {
            Reuse::Serve => {
                let told = match collapsed {
                    None => format!("{NAME}; hit; ttl={left}"),
                    Some(why) => format!("{NAME}; fwd={why}; collapsed; ttl={left}"),
                };
                Looked::Served(Box::new(stored.answer(&request.fields, now, &told)))
            }
            Reuse::ServeAndAsk => {
                let told = format!("{NAME}; hit; ttl={left}; detail=stale-while-revalidate");
                let answer = stored.answer(&request.fields, now, &told);
                Looked::ServedMeanwhile(Box::new(answer), stored)
            }
            Reuse::Ask(Why::Stale) => Looked::Asks(Some(stored), "stale"),
            Reuse::Ask(Why::Request) => Looked::Asks(Some(stored), REQUEST),
        }
    }

    fn count(&self, lookup: Lookup, exchange: &mut Exchange) {
        exchange.note(|record| record.lookup = Some(lookup));
        self.handled.metrics.lookups[lookup as usize].inc();
    }

    /// Has a request pass by the cache. What it may have changed is forgotten (RFC 9111 §4.4).
    async fn pass(
        &self,
        question: &Question,
        key: &Key,
        slot: &ListenerSlot,
        exchange: &mut Exchange,
        led: Led,
        request: &mut Request,
    ) -> Result<Response, OwnAnswer> {
        self.count(Lookup::Bypass, exchange);
        let outcome = forward::forward(slot, exchange, led, request).await;
        let changes = question.use_of == Use::Changes;
        // Where no answer came it may have been done all the same.
        let may_be_done =
            outcome.as_ref().map_or(true, |it| it.status.is_success() || it.status.is_redirection());
        if changes && may_be_done {
            self.cache.invalidate(key);
        }
        let mut answer = outcome?;
        let why = if changes { "method" } else { "bypass" };
        answer
            .fields
            .push("cache-status", format!("{NAME}; fwd={why}; fwd-status={}", answer.status.as_u16()));
        Ok(answer)
    }
}
