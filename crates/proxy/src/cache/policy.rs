//! What a shared cache may keep, and how long it may answer with it (RFC 9111 §3, §4). All times are given in.

use std::time::Duration;

use net::{Fields, Method, StatusCode, read_http_date};

use super::directives::Directives;
use crate::stickiness;

/// What of a request decides.
#[derive(Debug, Clone, Copy)]
pub(super) struct Question {
    pub(super) use_of: Use,
    pub(super) directives: Directives,
    /// Whether it has credentials, and whether it has cookies.
    is_authorized: bool,
    has_cookies: bool,
}

/// What a request may have to do with a cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Use {
    /// It may be answered with what is kept, and its answer may be kept.
    Get,
    /// It may be answered with what is kept.
    Head,
    /// It may change what it is about (RFC 9110 §9.2.1).
    Changes,
    /// Its answer is of no use to others.
    Passes,
}

/// When an answer was asked for and came, since the beginning of 1970.
#[derive(Debug, Clone, Copy)]
pub(super) struct Times {
    pub(super) asked: Duration,
    pub(super) answered: Duration,
}

/// How long an answer that is kept may be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Freshness {
    /// How long it is fresh, from its making.
    lifetime: Duration,
    /// How old it was when it came, and when that was.
    initial_age: Duration,
    answered: Duration,
    /// Whether its origin is asked each time.
    is_always_asked: bool,
    /// Whether it may not be used once it is stale.
    must_revalidate: bool,
    /// How long after that it may be used all the same: while its origin is asked, and where that fails.
    while_revalidating: Duration,
    if_error: Duration,
    /// Whether requests with credentials may be answered with it.
    is_for_authorized: bool,
    /// Whether requests with cookies may.
    is_for_known: bool,
}

/// What may be done with an answer that is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reuse {
    /// The request is answered with it.
    Serve,
    /// The same, and its origin is asked meanwhile.
    ServeAndAsk,
    /// Its origin is asked first: the client wants that, or it is not fresh.
    Ask(Why),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Why {
    Request,
    Stale,
}

// === impl Question ===

impl Question {
    /// `has_body` and what asks for another protocol or a part of something go by.
    pub(super) fn of(method: &Method, fields: &Fields, has_body: bool) -> Self {
        /// What is about something else than the whole of what is there now.
        const OF_PARTS: [&str; 5] = ["range", "if-range", "if-match", "if-unmodified-since", "upgrade"];
        let mut directives = Directives::read(fields.all("cache-control"));
        if !fields.contains("cache-control") && fields.lists("pragma", "no-cache") {
            directives.no_cache = true;
        }
        let passes = has_body || directives.no_store || OF_PARTS.iter().any(|name| fields.contains(name));
        let use_of = match *method {
            Method::GET if !passes => Use::Get,
            Method::HEAD if !passes => Use::Head,
            Method::GET | Method::HEAD | Method::OPTIONS | Method::TRACE => Use::Passes,
            _ => Use::Changes,
        };
        let (is_authorized, has_cookies) = (fields.contains("authorization"), stickiness::has_others(fields));
        Self { use_of, directives, is_authorized, has_cookies }
    }

    /// Whether it says nothing of how old the answer may be, and wants one in any case.
    pub(super) fn takes_any_age(&self) -> bool {
        let Directives { no_cache, only_if_cached, max_age, min_fresh, .. } = self.directives;
        !no_cache && !only_if_cached && max_age.is_none() && min_fresh.is_none()
    }

    /// Whether it says nothing of who asks.
    pub(super) fn is_anybodys(&self) -> bool {
        !self.is_authorized && !self.has_cookies
    }
}

// === impl Freshness ===

/// Answers that may be kept although they say nothing of it, where the cache has a time for them.
const PLAIN: [u16; 4] = [200, 203, 301, 308];

impl Freshness {
    /// How long an answer may be used; `None` where it may not be kept (§3), or there is no use in keeping it.
    pub(super) fn of(
        question: &Question,
        status: StatusCode,
        fields: &Fields,
        ttl: Option<Duration>,
        times: Times,
    ) -> Option<Self> {
        let said = Directives::read(fields.all("cache-control"));
        let is_whole = !status.is_informational()
            && !matches!(status, StatusCode::PARTIAL_CONTENT | StatusCode::NOT_MODIFIED)
            && !fields.contains("content-range");
        let is_for_authorized = said.public || said.must_revalidate || said.s_maxage.is_some();
        let is_for_others = !said.no_store
            && !said.private
            && !fields.contains("set-cookie")
            && !fields.lists("vary", "*")
            && (!question.is_authorized || is_for_authorized);
        if question.use_of != Use::Get || !is_whole || !is_for_others {
            return None;
        }
        let explicit = explicit_lifetime(&said, fields, times.answered);
        // Who sends cookies is known to most servers, which forget to say that what they answer is for nobody else. Also where they are
        // asked again they may only say that their template has not changed.
        let is_for_known =
            said.public || said.s_maxage.is_some() || explicit.is_some_and(|time| time > Duration::ZERO);
        if question.has_cookies && !is_for_known {
            return None;
        }
        let says_nothing = explicit.is_none() && !said.no_cache;
        let by_default = ttl.filter(|_| says_nothing && PLAIN.contains(&status.as_u16()));
        let lifetime = explicit.or(by_default).unwrap_or(Duration::ZERO);
        let is_known_again = fields.contains("etag") || fields.contains("last-modified");
        let initial_age = initial_age(fields, times);
        // Who says that it may be stale means `s-maxage` no more strictly than that.
        let may_be_stale = |time: Option<u32>| match said.no_cache || said.must_revalidate {
            true => Duration::ZERO,
            false => time.map(seconds).unwrap_or_default(),
        };
        let while_revalidating = may_be_stale(said.stale_while_revalidate);
        let if_error = may_be_stale(said.stale_if_error);
        let is_of_use_for_a_while =
            !said.no_cache && lifetime + while_revalidating.max(if_error) > initial_age;
        // One that has to be asked for each time is of use where that can be answered in short.
        let is_any_use = is_of_use_for_a_while || (is_known_again && status == StatusCode::OK);
        if !is_any_use {
            return None;
        }
        Some(Self {
            lifetime,
            initial_age,
            answered: times.answered,
            is_always_asked: said.no_cache,
            must_revalidate: said.must_revalidate || said.s_maxage.is_some(),
            while_revalidating,
            if_error,
            is_for_authorized,
            is_for_known,
        })
    }

    /// Whether it is for a client that sends cookies, if this one does.
    pub(super) fn is_for(&self, question: &Question) -> bool {
        self.is_for_known || !question.has_cookies
    }

    /// Whether its origin is asked each time.
    pub(super) fn is_always_asked(&self) -> bool {
        self.is_always_asked
    }

    /// Whether requests that came at the same time are answered with it.
    pub(super) fn answers_at_first(&self) -> bool {
        !self.is_always_asked && self.lifetime + self.while_revalidating > self.initial_age
    }

    /// When the answer came, since the beginning of 1970.
    pub(super) fn answered(&self) -> Duration {
        self.answered
    }

    /// How old the answer is (§4.2.3).
    pub(super) fn age(&self, now: Duration) -> Duration {
        self.initial_age + now.saturating_sub(self.answered)
    }

    /// For how many seconds more it is fresh; fewer than none where it is not.
    pub(super) fn time_left(&self, now: Duration) -> i64 {
        let whole = |time: Duration| i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
        whole(self.lifetime) - whole(self.age(now))
    }

    /// Whether a request may be answered with it (§4).
    pub(super) fn reuse(&self, question: &Question, now: Duration) -> Reuse {
        let asks = &question.directives;
        if asks.no_cache || (question.is_authorized && !self.is_for_authorized) {
            return Reuse::Ask(Why::Request);
        }
        let age = self.age(now);
        if asks.max_age.is_some_and(|most| age > seconds(most)) {
            return Reuse::Ask(Why::Request);
        }
        if self.is_always_asked {
            return Reuse::Ask(Why::Stale);
        }
        if self.lifetime > age {
            let is_too_short = asks.min_fresh.is_some_and(|least| self.lifetime - age < seconds(least));
            return if is_too_short { Reuse::Ask(Why::Request) } else { Reuse::Serve };
        }
        let stale_for = age - self.lifetime;
        let is_good_enough = asks.max_stale.is_some_and(|most| stale_for <= seconds(most));
        if is_good_enough && !self.must_revalidate {
            return Reuse::Serve;
        }
        let may_be_asked_meanwhile = stale_for < self.while_revalidating && question.takes_any_age();
        if may_be_asked_meanwhile { Reuse::ServeAndAsk } else { Reuse::Ask(Why::Stale) }
    }

    /// Whether it is better than an error (RFC 5861 §4).
    pub(super) fn is_better_than_an_error(&self, question: &Question, now: Duration) -> bool {
        let is_for_client = !question.is_authorized || self.is_for_authorized;
        let stale_for = self.age(now).saturating_sub(self.lifetime);
        is_for_client && !self.if_error.is_zero() && stale_for <= self.if_error
    }
}

/// How long an answer says that it is fresh (§4.2.1); `None` where it says nothing.
fn explicit_lifetime(said: &Directives, fields: &Fields, answered: Duration) -> Option<Duration> {
    if let Some(age) = said.s_maxage.or(said.max_age) {
        return Some(seconds(age));
    }
    let expires = fields.get("expires")?;
    let made = fields.get("date").and_then(read_http_date).unwrap_or(answered);
    // What is no date lies in the past (§5.3).
    Some(read_http_date(expires).unwrap_or_default().saturating_sub(made))
}

/// How old an answer was when it came (§4.2.3).
fn initial_age(fields: &Fields, times: Times) -> Duration {
    let made = fields.get("date").and_then(read_http_date).unwrap_or(times.answered);
    let apparent = times.answered.saturating_sub(made);
    let told =
        fields.text("age").and_then(|age| age.trim().parse::<u32>().ok()).map_or(Duration::ZERO, seconds);
    apparent.max(told + times.answered.saturating_sub(times.asked))
}

fn seconds(number: u32) -> Duration {
    Duration::from_secs(number.into())
}

/// Whether a client has the answer with these fields already (RFC 9110 §13.2.2).
pub(super) fn is_known_to_client(asked: &Fields, kept: &Fields) -> bool {
    if asked.contains("if-none-match") {
        let Some(tag) = kept.get("etag") else { return asked.lists("if-none-match", "*") };
        return asked.lists("if-none-match", "*")
            || asked.all("if-none-match").any(|value| tags(value).any(|known| is_same(known, tag)));
    }
    let date = |fields: &Fields, name: &str| fields.get(name).and_then(read_http_date);
    let since = date(asked, "if-modified-since");
    since.zip(date(kept, "last-modified")).is_some_and(|(since, modified)| modified <= since)
}

/// Whether two tags are the same by the weak comparison (RFC 9110 §8.8.3.2).
fn is_same(one: &[u8], other: &[u8]) -> bool {
    let opaque = |tag: &'_ [u8]| tag.strip_prefix(b"W/").unwrap_or(tag).to_vec();
    opaque(one) == opaque(other)
}

/// The tags of a list. A comma between quotes is a part of one.
pub(super) fn tags(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut is_quoted = false;
    let parts = value.split(move |byte| {
        is_quoted ^= *byte == b'"';
        *byte == b',' && !is_quoted
    });
    parts.map(<[u8]>::trim_ascii)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::from_secs(784_111_777);

    fn fields(all: &[(&str, &str)]) -> Fields {
        let mut fields = Fields::new();
        all.iter().for_each(|(name, value)| fields.push(name, value));
        fields
    }

    fn question(all: &[(&str, &str)]) -> Question {
        Question::of(&Method::GET, &fields(all), false)
    }

    fn kept(
        asked: &[(&str, &str)],
        status: u16,
        answer: &[(&str, &str)],
        ttl: Option<u64>,
    ) -> Option<Freshness> {
        let status = StatusCode::from_u16(status).unwrap();
        let times = Times { asked: NOW, answered: NOW };
        Freshness::of(&question(asked), status, &fields(answer), ttl.map(Duration::from_secs), times)
    }

    #[test]
    fn what_may_be_kept_and_for_how_long() {
        const DATE: (&str, &str) = ("date", "Sun, 06 Nov 1994 08:49:37 GMT");
        const CC: &str = "cache-control";
        let auth: &[(&str, &str)] = &[("authorization", "Basic YTpi")];
        let cookie: &[(&str, &str)] = &[("cookie", "a=b")];
        let none: &[(&str, &str)] = &[];
        type Row<'a> = (&'a [(&'a str, &'a str)], u16, &'a [(&'a str, &'a str)], Option<u64>, Option<u64>);
        let rows: &[Row<'_>] = &[
            (none, 200, &[(CC, "max-age=60")], None, Some(60)),
            (none, 200, &[(CC, "max-age=60, s-maxage=5")], None, Some(5)),
            (none, 200, &[DATE, ("expires", "Sun, 06 Nov 1994 08:50:37 GMT")], None, Some(60)),
            (none, 200, &[(CC, "max-age=5"), ("expires", "Sun, 06 Nov 1994 08:50:37 GMT")], None, Some(5)),
            (none, 200, &[("expires", "0")], Some(60), None),
            (none, 200, &[], None, None),
            (none, 200, &[], Some(60), Some(60)),
            (none, 404, &[], Some(60), None),
            (none, 404, &[(CC, "max-age=5")], None, Some(5)),
            (none, 500, &[(CC, "max-age=5")], None, Some(5)),
            // It is stale when it comes, and cannot be asked for in short.
            (none, 200, &[(CC, "max-age=60"), ("age", "60")], None, None),
            (none, 200, &[(CC, "max-age=60"), ("age", "60"), ("etag", "\"a\"")], None, Some(60)),
            (cookie, 200, &[], Some(60), None),
            (cookie, 200, &[(CC, "max-age=5")], Some(60), Some(5)),
            (cookie, 200, &[("etag", "\"a\"")], None, None),
            (cookie, 200, &[("etag", "\"a\"")], Some(60), None),
            (cookie, 200, &[(CC, "no-cache"), ("etag", "\"a\"")], None, None),
            (cookie, 200, &[(CC, "max-age=0"), ("etag", "\"a\"")], None, None),
            (cookie, 200, &[(CC, "public, no-cache"), ("etag", "\"a\"")], None, Some(0)),
            (none, 200, &[(CC, "no-store, max-age=60")], Some(60), None),
            (none, 200, &[(CC, "private, max-age=60")], Some(60), None),
            (none, 200, &[(CC, "private=\"x-a\", max-age=60")], Some(60), None),
            (none, 200, &[(CC, "no-cache")], Some(60), None),
            (none, 200, &[(CC, "no-cache"), ("etag", "\"a\"")], Some(60), Some(0)),
            (none, 200, &[("last-modified", "Sun, 06 Nov 1994 08:49:37 GMT")], None, Some(0)),
            (none, 404, &[("etag", "\"a\"")], None, None),
            (none, 200, &[(CC, "max-age=60"), ("set-cookie", "a=b")], None, None),
            (none, 200, &[(CC, "max-age=60"), ("vary", "*")], None, None),
            (none, 200, &[(CC, "max-age=60"), ("vary", "accept")], None, Some(60)),
            (none, 206, &[(CC, "max-age=60")], None, None),
            (none, 304, &[(CC, "max-age=60")], None, None),
            (auth, 200, &[(CC, "max-age=60")], None, None),
            (auth, 200, &[], Some(60), None),
            (auth, 200, &[(CC, "public, max-age=60")], None, Some(60)),
            (auth, 200, &[(CC, "s-maxage=60")], None, Some(60)),
            (auth, 200, &[(CC, "must-revalidate, max-age=60")], None, Some(60)),
        ];
        for (asked, status, answer, ttl, expected) in rows {
            let lifetime = kept(asked, *status, answer, *ttl).map(|kept| kept.lifetime.as_secs());
            assert_eq!(lifetime, *expected, "{asked:?} {status} {answer:?} {ttl:?}");
        }
        let of = |method: Method, has_body| Question::of(&method, &fields(&[]), has_body).use_of;
        assert_eq!((of(Method::GET, false), of(Method::HEAD, false)), (Use::Get, Use::Head));
        assert_eq!((of(Method::GET, true), of(Method::OPTIONS, false)), (Use::Passes, Use::Passes));
        assert_eq!((of(Method::POST, true), of(Method::DELETE, false)), (Use::Changes, Use::Changes));
        for passes in [("range", "bytes=0-1"), ("if-match", "\"a\""), ("cache-control", "no-store")] {
            assert_eq!(question(&[passes]).use_of, Use::Passes, "{passes:?}");
        }
    }

    #[test]
    fn an_answer_grows_old_from_its_making_on() {
        let status = StatusCode::OK;
        let age = |answer: &[(&str, &str)], took: u64, later: u64| {
            let times = Times { asked: NOW, answered: NOW + Duration::from_secs(took) };
            let freshness =
                Freshness::of(&question(&[]), status, &fields(answer), Some(Duration::from_secs(600)), times);
            freshness.unwrap().age(times.answered + Duration::from_secs(later)).as_secs()
        };
        assert_eq!(age(&[], 0, 7), 7);
        assert_eq!(age(&[("age", "10")], 3, 7), 20);
        assert_eq!(age(&[("date", "Sun, 06 Nov 1994 08:49:17 GMT")], 0, 7), 27);
        assert_eq!(age(&[("date", "Sun, 06 Nov 1994 08:49:17 GMT"), ("age", "100")], 0, 7), 107);
        assert_eq!(age(&[("date", "Sun, 06 Nov 2094 08:49:17 GMT"), ("age", "many")], 0, 7), 7);
    }

    #[test]
    fn when_a_request_is_answered_with_what_is_kept() {
        const SERVE: Reuse = Reuse::Serve;
        const STALE: Reuse = Reuse::Ask(Why::Stale);
        const REQUEST: Reuse = Reuse::Ask(Why::Request);
        let reuse = |answer: &str, asked: (&str, &str), later: u64| {
            let answer = [("cache-control", answer), ("etag", "\"a\"")];
            let kept = kept(&[], 200, &answer, None).unwrap();
            kept.reuse(&question(&[asked]), NOW + Duration::from_secs(later))
        };
        let nothing = ("accept", "*/*");
        assert_eq!(reuse("max-age=60", nothing, 59), SERVE);
        assert_eq!(reuse("max-age=60", nothing, 60), STALE);
        assert_eq!(reuse("no-cache, max-age=60", nothing, 0), STALE);
        let cc = |value| ("cache-control", value);
        assert_eq!(reuse("max-age=60", cc("no-cache"), 0), REQUEST);
        assert_eq!(reuse("max-age=60", ("pragma", "no-cache"), 0), REQUEST);
        assert_eq!(reuse("max-age=60", cc("max-age=0"), 1), REQUEST);
        assert_eq!(reuse("max-age=60", cc("max-age=10"), 10), SERVE);
        assert_eq!(reuse("max-age=60", cc("min-fresh=10"), 50), SERVE);
        assert_eq!(reuse("max-age=60", cc("min-fresh=10"), 51), REQUEST);
        assert_eq!(reuse("max-age=60", cc("max-stale=10"), 70), SERVE);
        assert_eq!(reuse("max-age=60", cc("max-stale=10"), 71), STALE);
        assert_eq!(reuse("max-age=60", cc("max-stale"), 7100), SERVE);
        for strict in ["max-age=60, must-revalidate", "max-age=60, proxy-revalidate", "s-maxage=60"] {
            assert_eq!(reuse(strict, cc("max-stale"), 71), STALE, "{strict}");
        }
        const MEANWHILE: Reuse = Reuse::ServeAndAsk;
        for (answer, later, expected) in [
            ("max-age=60, stale-while-revalidate=30", 59, SERVE),
            ("max-age=60, stale-while-revalidate=30", 60, MEANWHILE),
            ("max-age=60, stale-while-revalidate=30", 89, MEANWHILE),
            ("max-age=60, stale-while-revalidate=30", 90, STALE),
            ("s-maxage=60, stale-while-revalidate=30", 60, MEANWHILE),
            ("max-age=60, stale-while-revalidate=30, must-revalidate", 60, STALE),
            ("max-age=60, stale-while-revalidate=30, no-cache", 0, STALE),
        ] {
            assert_eq!(reuse(answer, nothing, later), expected, "{answer} {later}");
        }
        assert_eq!(reuse("max-age=60, stale-while-revalidate=30", cc("max-age=70"), 65), STALE);
        let auth = ("authorization", "Basic YTpi");
        assert_eq!(reuse("max-age=60", auth, 0), REQUEST);
        assert_eq!(reuse("max-age=60, public", auth, 0), SERVE);
        let better = |answer: &str, later: u64| {
            let kept = kept(&[], 200, &[("cache-control", answer)], None).unwrap();
            kept.is_better_than_an_error(&question(&[]), NOW + Duration::from_secs(later))
        };
        assert!(better("max-age=60, stale-if-error=30", 90) && !better("max-age=60, stale-if-error=30", 91));
        assert!(!better("max-age=60", 61) && !better("max-age=60, stale-if-error=30, must-revalidate", 61));
    }

    #[test]
    fn a_client_that_has_the_answer_is_told_so() {
        let known =
            |asked: (&str, &str), kept: (&str, &str)| is_known_to_client(&fields(&[asked]), &fields(&[kept]));
        let etag = |tag| ("etag", tag);
        for (asked, tag, is_known) in [
            ("\"a\"", "\"a\"", true),
            ("W/\"a\"", "\"a\"", true),
            ("\"b\", W/\"a\"", "W/\"a\"", true),
            ("\"a,b\"", "\"a\"", false),
            ("\"x\", \"a,b\"", "\"a,b\"", true),
            ("*", "\"a\"", true),
            ("a", "\"a\"", false),
            ("", "\"a\"", false),
        ] {
            assert_eq!(known(("if-none-match", asked), etag(tag)), is_known, "{asked} {tag}");
        }
        let modified = ("last-modified", "Sun, 06 Nov 1994 08:49:37 GMT");
        assert!(known(("if-modified-since", "Sun, 06 Nov 1994 08:49:37 GMT"), modified));
        assert!(!known(("if-modified-since", "Sun, 06 Nov 1994 08:49:36 GMT"), modified));
        assert!(!known(("if-modified-since", "yesterday"), modified));
        let both =
            fields(&[("if-none-match", "\"b\""), ("if-modified-since", "Sun, 06 Nov 1994 08:49:37 GMT")]);
        assert!(!is_known_to_client(&both, &fields(&[etag("\"a\""), modified])), "tags go before dates");
    }
}
