//! Addresses, numbers and times as text, as their `Display` writes them. Its way there takes longer than all else that is done to a
//! field or to a line, because it serves every format.

use std::cell::RefCell;
use std::io::Write as _;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use jiff::Timestamp;

/// Appends an address.
pub(crate) fn push_ip(out: &mut Vec<u8>, address: IpAddr) {
    match address {
        IpAddr::V4(address) => {
            let [first, rest @ ..] = address.octets();
            push_number(out, u64::from(first));
            for octet in rest {
                out.push(b'.');
                push_number(out, u64::from(octet));
            }
        }
        // Writing to a vector does not fail.
        IpAddr::V6(address) => _ = write!(out, "{address}"),
    }
}

/// Appends an address and its port.
pub(crate) fn push_socket(out: &mut Vec<u8>, address: SocketAddr) {
    match address {
        SocketAddr::V4(address) => {
            push_ip(out, IpAddr::V4(*address.ip()));
            out.push(b':');
            push_number(out, u64::from(address.port()));
        }
        SocketAddr::V6(address) => _ = write!(out, "{address}"),
    }
}

/// Appends a number in decimal digits.
pub(crate) fn push_number(out: &mut Vec<u8>, number: u64) {
    push_digits(out, number, 1);
}

/// Appends a time in seconds, to the microsecond.
pub(crate) fn push_seconds(out: &mut Vec<u8>, time: Duration) {
    push_number(out, time.as_secs());
    out.push(b'.');
    push_digits(out, u64::from(time.subsec_micros()), 6);
}

/// Appends a moment, to the microsecond.
pub(crate) fn push_moment(out: &mut Vec<u8>, moment: Timestamp) {
    thread_local! {
        /// The text of this second, up to its fraction, and which second that is.
        static SECOND: RefCell<(i64, String)> = const { RefCell::new((0, String::new())) };
    }
    let (second, nanoseconds) = (moment.as_second(), moment.subsec_nanosecond());
    SECOND.with_borrow_mut(|(known, text)| {
        if *known != second || text.is_empty() {
            *known = second;
            *text = Timestamp::from_second(second).unwrap_or_default().to_string();
        }
        out.extend_from_slice(text.trim_end_matches('Z').as_bytes());
    });
    out.push(b'.');
    push_digits(out, u64::from(nanoseconds.unsigned_abs()) / 1000, 6);
    out.push(b'Z');
}

/// Appends the 32 hexadecimal digits of an id.
pub(crate) fn push_trace(out: &mut Vec<u8>, id: [u64; 2]) {
    id.into_iter().for_each(|half| push_hex(out, half, 16));
}

/// Appends the last hexadecimal digits of a number, 16 at most.
pub(crate) fn push_hex(out: &mut Vec<u8>, number: u64, n_digits: usize) {
    let mut digits = [0; 16];
    for (place, digit) in digits.iter_mut().rev().enumerate() {
        *digit = b"0123456789abcdef"[usize::try_from(number >> (4 * place) & 0xf).unwrap_or_default()];
    }
    out.extend_from_slice(&digits[digits.len() - n_digits..]);
}

/// Appends a number with at least so many decimal digits.
pub(crate) fn push_digits(out: &mut Vec<u8>, number: u64, n_digits: usize) {
    let mut digits = [b'0'; 20];
    let (mut start, mut rest) = (digits.len(), number);
    while rest > 0 {
        start -= 1;
        digits[start] = b'0' + u8::try_from(rest % 10).unwrap_or_default();
        rest /= 10;
    }
    out.extend_from_slice(&digits[start.min(digits.len() - n_digits)..]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(write: impl FnOnce(&mut Vec<u8>), expected: &dyn std::fmt::Display) {
        let mut out = b"a=".to_vec();
        write(&mut out);
        assert_eq!(String::from_utf8(out).unwrap(), format!("a={expected}"));
    }

    #[test]
    fn addresses_and_numbers_are_written_as_they_are_displayed() {
        for text in
            ["0.0.0.0", "9.10.99.100", "203.0.113.7", "255.255.255.255", "2001:db8::7", "::ffff:10.0.0.1"]
        {
            let address: IpAddr = text.parse().unwrap();
            check(|out| push_ip(out, address), &address);
            for port in [0, 80, 65_535] {
                let address = SocketAddr::new(address, port);
                check(|out| push_socket(out, address), &address);
            }
        }
        for number in [0, 9, 10, 99, 100, 12_345, 1_000_000, u64::MAX] {
            check(|out| push_number(out, number), &number);
        }
    }

    #[test]
    fn times_are_written_to_the_microsecond() {
        for (microseconds, text) in
            [(0, "0.000000"), (7, "0.000007"), (1_500, "0.001500"), (61_000_020, "61.000020")]
        {
            check(|out| push_seconds(out, Duration::from_micros(microseconds)), &text);
        }
        let moment = |second, nanosecond| Timestamp::new(second, nanosecond).unwrap();
        for moment in [
            moment(0, 0),
            moment(1_796_000_000, 0),
            moment(1_796_000_000, 1_000),
            moment(1_796_000_001, 999_999_000),
        ] {
            check(|out| push_moment(out, moment), &format!("{moment:.6}"));
        }
    }
}
