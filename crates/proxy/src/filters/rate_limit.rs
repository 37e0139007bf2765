//! How often one client may ask, as `rate-limit` says of a rule.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use net::{Fields, Gate, Request};
use plan::LimitedBy;

use super::{Filter, Passing, RequestSide, Verdict};
use crate::respond::{self, OwnAnswer, Reason};

pub(super) const FILTER: Filter = Filter {
    is_wanted: |_, handling| handling.rate_limit.is_some(),
    request: Some(RequestSide::Decides(look)),
    ..Filter::IDLE
};

/// Who counts as one client.
#[derive(Hash)]
enum Client<'a> {
    Network(IpAddr),
    /// By what it sends.
    Named(&'a [u8]),
}

/// So many values of the field in one request are counted each by itself; who sends more is counted by its address.
const MOST_VALUES: usize = 8;

fn look(passing: &mut Passing<'_>, request: &mut Request) -> Verdict {
    let limit = passing.handled.and_then(|handled| handled.limit());
    let Some((limit, scope)) = limit else { return Verdict::Continue };
    let worker = &passing.listener.worker;
    let (now, mut n_values) = (net::recently(), 0);
    if let LimitedBy::Header(name) = &limit.by {
        n_values = request.fields.all(name).count();
        // Any of several may be the one that lets the request in, so each is as good as spent.
        for value in request.fields.all(name).filter(|_| n_values <= MOST_VALUES) {
            if let Err(wait) = worker.rates.take(scope, Client::Named(value), limit, now) {
                return Verdict::Respond(refusal(wait));
            }
        }
    }
    if (1..=MOST_VALUES).contains(&n_values) {
        return Verdict::Continue;
    }
    let client = Client::Network(net::network_of(address_of(request, &worker.gate)));
    match worker.rates.take(scope, client, limit, now) {
        Ok(()) => Verdict::Continue,
        Err(wait) => Verdict::Respond(refusal(wait)),
    }
}

fn refusal(wait: Duration) -> OwnAnswer {
    let mut own = respond::to(Reason::RATE_LIMITED);
    let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
    own.response.fields.set("retry-after", seconds.max(1).to_string());
    own
}

/// Where a request comes from: for proxies that are trusted, where they say it does.
fn address_of(request: &Request, gate: &Gate) -> IpAddr {
    let peer = request.connection.peer.ip();
    if !gate.is_proxy(peer) {
        return peer;
    }
    told_client(&request.fields, |address| gate.is_proxy(address)).unwrap_or(peer)
}

/// The last address of `X-Forwarded-For` that is not of a trusted proxy; `None` where something else stands there, for what is before
/// it may be anybody's invention.
fn told_client(fields: &Fields, is_proxy: impl Fn(IpAddr) -> bool) -> Option<IpAddr> {
    let parts = fields.all("x-forwarded-for").flat_map(|value| value.split(|byte| *byte == b','));
    let parts = parts.map(<[u8]>::trim_ascii).filter(|part| !part.is_empty());
    parts.map(read_address).filter(|address| !address.is_some_and(&is_proxy)).last().flatten()
}

/// An address, with or without a port and the brackets of IPv6.
fn read_address(text: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(text).ok()?;
    let inside = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let socket = || text.parse::<SocketAddr>().ok().map(|socket| socket.ip());
    match inside {
        Some(inside) => inside.parse().map(IpAddr::V6).ok(),
        None => text.parse().ok().or_else(socket),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_is_who_the_last_trusted_proxy_says() {
        let told = |values: &[&str]| {
            let mut fields = Fields::new();
            values.iter().for_each(|value| fields.push("x-forwarded-for", value));
            let is_proxy = |address: IpAddr| address.to_string().starts_with("10.");
            told_client(&fields, is_proxy).map(|address| address.to_string())
        };
        assert_eq!(told(&["203.0.113.7"]).as_deref(), Some("203.0.113.7"));
        assert_eq!(told(&["198.51.100.1, 203.0.113.7", "10.0.0.1"]).as_deref(), Some("203.0.113.7"));
        assert_eq!(told(&["203.0.113.7:4711"]).as_deref(), Some("203.0.113.7"));
        assert_eq!(told(&["[2001:db8::1]:4711, "]).as_deref(), Some("2001:db8::1"));
        assert_eq!(told(&["198.51.100.1, [2001:db8::1]", "10.0.0.1"]).as_deref(), Some("2001:db8::1"));
        // What stands before something that nobody can read may be anybody's invention.
        for unreadable in ["unknown", "fe80::1%eth0", "\"203.0.113.7\"", "203.0.113.07"] {
            assert_eq!(told(&["198.51.100.1", unreadable]), None, "{unreadable}");
        }
        assert_eq!(told(&["10.0.0.1", ""]), None);
        assert_eq!(told(&[]), None);
    }

    #[test]
    fn who_asks_too_often_is_told_when_to_ask_again() {
        for (wait, told) in [(1, "1"), (999_999_999, "1"), (1_000_000_001, "2"), (60_000_000_000, "60")] {
            let own = refusal(Duration::from_nanos(wait));
            assert_eq!((own.response.status.as_u16(), own.reason), (429, "rate-limited"));
            assert_eq!(own.response.fields.text("retry-after"), Some(told));
            let own = respond::in_grpc(own);
            assert_eq!(own.response.fields.text("retry-after"), Some(told));
            assert_eq!(own.response.fields.text("grpc-status"), Some("8"));
        }
    }
}
