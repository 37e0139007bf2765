//! Cookies by which clients stay with their target or their target group ("Sticky sessions for your Application Load Balancer",
//! ALB user guide).
//!
//! What a cookie says is sealed with a key of this process: nobody else can read which target it names, or make one. After a
//! new start clients are given new ones. A cookie of another target group, one that has expired, and one that cannot be opened
//! are as good as none.

use std::net::SocketAddr;
use std::sync::Arc;

use aws_lc_rs::aead::{AES_256_GCM_SIV, Aad, Nonce, RandomizedNonceKey};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimePrinter;
use net::Fields;
use plan::Stickiness;
use plan::balance::affinity::{Belonging, Place, cookies, name_of_group};
use std::time::Duration;

use crate::snapshot::Group;

/// Seals and opens what cookies say. Clones share the key.
#[derive(Clone)]
pub(crate) struct Seal(Arc<RandomizedNonceKey>);

/// How long clients keep a cookie that leads to a target, whatever stickiness lasts.
const COOKIE_AGE: Duration = Duration::from_secs(7 * 86_400);

/// A pair of cookies that say the same: browsers send the second one where a page of another site asks.
struct Names {
    plain: &'static str,
    cross_origin: &'static str,
}

const OF_TARGET: Names = Names { plain: "AWSALB", cross_origin: "AWSALBCORS" };
const OF_GROUP: Names = Names { plain: "AWSALBTG", cross_origin: "AWSALBTGCORS" };

/// The cookie that goes beside one of the application. There may be four, for long values; ours is short.
const OF_APPLICATION: &str = "AWSALBAPP-0";

// === impl Seal ===

impl Seal {
    /// A seal with a key that nobody has seen.
    pub(crate) fn new() -> Self {
        let mut key = [0; 32];
        aws_lc_rs::rand::fill(&mut key).expect("the system gives random numbers");
        let key = RandomizedNonceKey::new(&AES_256_GCM_SIV, &key).expect("a key of 32 bytes fits");
        Self(Arc::new(key))
    }

    /// Seals what is said in a `context`; only there it can be opened.
    fn close(&self, belonging: Belonging, context: &[&str]) -> Option<String> {
        let mut sealed = belonging.to_bytes();
        let nonce = self.0.seal_in_place_append_tag(aad(context), &mut sealed).ok()?;
        let mut whole = nonce.as_ref().to_vec();
        whole.extend_from_slice(&sealed);
        Some(URL_SAFE_NO_PAD.encode(whole))
    }

    fn open(&self, value: &[u8], context: &[&str]) -> Option<Belonging> {
        if value.len() > LONGEST {
            return None;
        }
        let mut whole = URL_SAFE_NO_PAD.decode(value).ok()?;
        let (nonce, sealed) = whole.split_first_chunk_mut()?;
        let nonce = Nonce::assume_unique_for_key(*nonce);
        Belonging::from_bytes(self.0.open_in_place(nonce, aad(context), sealed).ok()?)
    }
}

/// No value of ours is longer: that of a target with an address of IPv6.
const LONGEST: usize = 80;

/// The parts of a context, told apart by a byte that stands in none of them.
fn aad(context: &[&str]) -> Aad<Vec<u8>> {
    Aad::from(context.join("\0").into_bytes())
}

// === Targets ===

/// The target that a request's cookies lead to.
pub(crate) fn target_of(seal: &Seal, group: &Group, fields: &Fields) -> Option<SocketAddr> {
    let values = |name: &'static str| cookies(fields.all("cookie"), name);
    let opened = |kind, value| match seal.open(value, &context(kind, group))?.at(now())? {
        Place::Target(target) => Some(target),
        Place::TargetGroup(_) => None,
    };
    match &group.settings.stickiness {
        Stickiness::LoadBalancerCookie { .. } => {
            let mut both = values(OF_TARGET.plain).chain(values(OF_TARGET.cross_origin));
            both.find_map(|value| opened(OF_TARGET.plain, value))
        }
        Stickiness::ApplicationCookie { name, .. } => {
            // The session ends with the application's own cookie.
            cookies(fields.all("cookie"), name).next()?;
            values(OF_APPLICATION).find_map(|value| opened(OF_APPLICATION, value))
        }
        Stickiness::Off | Stickiness::SourceIp => None,
    }
}

/// Tells a client that it belongs to the target that answered.
pub(crate) fn tell_target(seal: &Seal, group: &Group, target: SocketAddr, answer: &mut Fields) {
    let value = |kind, duration| {
        let belonging = Belonging { place: Place::Target(target), until: after(duration) };
        seal.close(belonging, &context(kind, group))
    };
    match &group.settings.stickiness {
        Stickiness::LoadBalancerCookie { duration } => {
            if let Some(value) = value(OF_TARGET.plain, *duration) {
                OF_TARGET.set(&value, COOKIE_AGE, answer);
            }
        }
        Stickiness::ApplicationCookie { name, duration } => {
            if answer.all("set-cookie").any(|field| is_named(field, name))
                && let Some(value) = value(OF_APPLICATION, *duration)
            {
                set(OF_APPLICATION, &value, COOKIE_AGE, "", answer);
            }
        }
        Stickiness::Off | Stickiness::SourceIp => {}
    }
}

/// What the cookie of a kind is sealed for: cookies of one target group mean nothing in another.
fn context<'a>(kind: &'a str, group: &'a Group) -> [&'a str; 3] {
    [kind, &group.load_balancer_name, &group.key]
}

// === Target groups ===

/// The name of the target group that a request's cookies lead to.
pub(crate) fn group_of(seal: &Seal, load_balancer: &str, fields: &Fields) -> Option<u64> {
    let values = |name: &'static str| cookies(fields.all("cookie"), name);
    let mut both = values(OF_GROUP.plain).chain(values(OF_GROUP.cross_origin));
    both.find_map(|value| match seal.open(value, &[OF_GROUP.plain, load_balancer])?.at(now())? {
        Place::TargetGroup(name) => Some(name),
        Place::Target(_) => None,
    })
}

/// Tells a client that it belongs to a target group.
pub(crate) fn tell_group(seal: &Seal, group: &Group, duration: Duration, answer: &mut Fields) {
    let place = Place::TargetGroup(name_of_group(&group.key));
    let belonging = Belonging { place, until: after(duration) };
    if let Some(value) = seal.close(belonging, &[OF_GROUP.plain, &group.load_balancer_name]) {
        OF_GROUP.set(&value, duration, answer);
    }
}

// === Cookies ===

impl Names {
    fn set(&self, value: &str, age: Duration, answer: &mut Fields) {
        set(self.plain, value, age, "", answer);
        set(self.cross_origin, value, age, "; SameSite=None; Secure", answer);
    }
}

fn set(name: &str, value: &str, age: Duration, more: &str, answer: &mut Fields) {
    let expires = i64::try_from(after(age)).ok().and_then(|seconds| Timestamp::from_second(seconds).ok());
    let expires = expires.and_then(|at| DateTimePrinter::new().timestamp_to_rfc9110_string(&at).ok());
    let expires = expires.unwrap_or_default();
    answer.push("set-cookie", format!("{name}={value}; Expires={expires}; Path=/{more}"));
}

/// Whether an answer has this cookie from the load balancer: it says where the client belongs, and nothing of the answer.
pub(crate) fn is_told(set_cookie: &[u8]) -> bool {
    NAMES.iter().any(|name| is_named(set_cookie, name))
}

/// Whether a request has cookies that the load balancer did not give.
pub(crate) fn has_others(fields: &Fields) -> bool {
    let pairs = fields.all("cookie").flat_map(|field| field.split(|byte| *byte == b';'));
    pairs.map(<[u8]>::trim_ascii).any(|pair| !pair.is_empty() && !is_told(pair))
}

const NAMES: [&str; 5] =
    [OF_TARGET.plain, OF_TARGET.cross_origin, OF_GROUP.plain, OF_GROUP.cross_origin, OF_APPLICATION];

fn is_named(cookie: &[u8], name: &str) -> bool {
    cookie.strip_prefix(name.as_bytes()).is_some_and(|rest| rest.starts_with(b"="))
}

fn now() -> u64 {
    net::since_epoch().as_secs()
}

fn after(time: Duration) -> u64 {
    now() + time.as_secs()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sealed_is_opened_only_by_its_key_in_its_context_and_as_it_was() {
        let (seal, other) = (Seal::new(), Seal::new());
        for target in ["10.0.0.1:8080", "[2001:db8:1234:5678:9abc:def0:1234:5678]:65535"] {
            let belonging = Belonging { place: Place::Target(target.parse().unwrap()), until: 1 << 40 };
            let value = seal.close(belonging, &["AWSALB", "lb", "g"]).unwrap();
            assert!(value.len() <= LONGEST && !value.contains(&target[..8]), "{value}");
            assert_eq!(seal.open(value.as_bytes(), &["AWSALB", "lb", "g"]), Some(belonging));
            assert_eq!(seal.open(value.as_bytes(), &["AWSALB", "lb", "h"]), None);
            assert_eq!(other.open(value.as_bytes(), &["AWSALB", "lb", "g"]), None);
            assert_ne!(seal.close(belonging, &["AWSALB", "lb", "g"]).unwrap(), value);
            for at in 0..value.len() {
                let mut changed = value.clone().into_bytes();
                changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
                assert_ne!(seal.open(&changed, &["AWSALB", "lb", "g"]), Some(belonging), "byte {at}");
            }
        }
        for value in [b"".as_slice(), b"x", b"%41", &[b'A'; 79], &[b'A'; 4096]] {
            assert_eq!(seal.open(value, &["AWSALB", "lb", "g"]), None);
        }
    }
}
