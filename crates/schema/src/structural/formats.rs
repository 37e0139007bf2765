//! Formats of texts: a name, and whether a text is one. Formats that are not here say nothing.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Whether a text is of a format.
pub(super) fn holds(format: &str, text: &str) -> bool {
    FORMATS.iter().find(|(name, _)| *name == format).is_none_or(|(_, holds)| holds(text))
}

type Test = fn(&str) -> bool;

const FORMATS: &[(&str, Test)] = &[
    ("date", is_date),
    ("date-time", is_date_time),
    ("datetime", is_date_time),
    ("duration", is_duration),
    ("email", |text| text.split_once('@').is_some_and(|(name, host)| !name.is_empty() && is_host(host))),
    ("hostname", is_host),
    ("ipv4", |text| text.parse::<Ipv4Addr>().is_ok()),
    ("ipv6", |text| text.parse::<Ipv6Addr>().is_ok()),
    ("cidr", |text| {
        text.split_once('/').is_some_and(|(address, bits)| {
            let most = address.parse::<IpAddr>().map(|address| if address.is_ipv4() { 32 } else { 128 });
            most.is_ok_and(|most| bits.parse::<u8>().is_ok_and(|bits| bits <= most))
        })
    }),
    ("mac", |text| {
        let parts: Vec<&str> = text.split([':', '-']).collect();
        [6, 8, 20].contains(&parts.len()) && parts.iter().all(|part| part.len() == 2 && is_hex(part))
    }),
    ("uuid", is_uuid),
    ("uuid3", is_uuid),
    ("uuid4", is_uuid),
    ("uuid5", is_uuid),
    ("byte", is_base64),
    ("uri", |text| {
        let is_plain = !text.contains(|c: char| c.is_control() || c == ' ');
        is_plain
            && (text.starts_with('/') || text.split_once(':').is_some_and(|(scheme, _)| is_scheme(scheme)))
    }),
];

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_hex(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// A number of so many digits.
fn number(text: Option<&str>, digits: usize) -> Option<u32> {
    text.filter(|text| text.len() == digits && is_digits(text))?.parse().ok()
}

/// `2026-12-01` (RFC 3339)
fn is_date(text: &str) -> bool {
    let mut parts = text.split('-');
    let (year, month, day) = (number(parts.next(), 4), number(parts.next(), 2), number(parts.next(), 2));
    let (Some(year), Some(month), Some(day), None) = (year, month, day, parts.next()) else { return false };
    let is_leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let days = match month {
        2 => 28 + u32::from(is_leap),
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return false,
    };
    (1..=days).contains(&day)
}

/// `2026-12-01T17:00:00.5Z` (RFC 3339)
fn is_date_time(text: &str) -> bool {
    let Some((date, time)) = text.split_once(['T', 't', ' ']) else { return false };
    let Some(zone) = time.find(['Z', 'z', '+', '-']) else { return false };
    let (time, zone) = time.split_at(zone);
    let is_clock = |text: &str, most: &[u32]| {
        let parts: Vec<&str> = text.split(':').collect();
        let in_bounds = |(part, most): (&&str, &u32)| number(Some(part), 2).is_some_and(|it| it <= *most);
        parts.len() == most.len() && parts.iter().zip(most).all(in_bounds)
    };
    let (whole, fraction) = time.split_once('.').unwrap_or((time, "0"));
    let is_zone = zone.eq_ignore_ascii_case("z") || is_clock(&zone[1..], &[23, 59]);
    is_date(date) && is_clock(whole, &[23, 59, 60]) && is_digits(fraction) && is_zone
}

/// `1h30m`, as Go writes it, or `3 days`.
fn is_duration(text: &str) -> bool {
    let mut rest = text.strip_prefix(['-', '+']).unwrap_or(text);
    if rest == "0" {
        return true;
    }
    if rest.is_empty() {
        return false;
    }
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let unit = rest[end..].trim_start();
        let unit_end = unit.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(unit.len());
        if end == 0 || !UNITS.contains(&unit[..unit_end].trim()) {
            return false;
        }
        rest = &unit[unit_end..];
    }
    true
}

const UNITS: &[&str] = &[
    "ns", "us", "µs", "μs", "ms", "s", "m", "h", "d", "w", "sec", "secs", "second", "seconds", "min", "mins",
    "minute", "minutes", "hr", "hrs", "hour", "hours", "day", "days", "week", "weeks",
];

fn is_host(text: &str) -> bool {
    let is_part = |part: &str| {
        let bytes = part.as_bytes();
        let is_inner = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'-';
        (1..=63).contains(&bytes.len())
            && bytes.iter().all(is_inner)
            && bytes.first() != Some(&b'-')
            && bytes.last() != Some(&b'-')
    };
    text.len() <= 255 && text.strip_suffix('.').unwrap_or(text).split('.').all(is_part)
}

fn is_scheme(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
}

/// With or without its dashes.
fn is_uuid(text: &str) -> bool {
    let parts: Vec<usize> = text.split('-').map(str::len).collect();
    is_hex(&text.replace('-', "")) && (parts == [32] || parts == [8, 4, 4, 4, 12])
}

fn is_base64(text: &str) -> bool {
    let body = text.trim_end_matches('=');
    let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || b"+/".contains(&byte);
    text.len().is_multiple_of(4) && text.len() - body.len() <= 2 && body.bytes().all(is_letter)
}
