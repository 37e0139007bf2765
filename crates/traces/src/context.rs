//! Trace context as it goes from one process to the next in header fields (W3C Trace Context, Recommendation of 2021).

use std::fmt;
use std::num::{NonZeroU64, NonZeroU128};

/// The number of a trace.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct TraceId(NonZeroU128);

/// The number of a span in its trace.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct SpanId(NonZeroU64);

/// What `traceparent` says: which trace, which span of it asks, and whether that is recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TraceParent {
    /// The trace.
    pub trace: TraceId,
    /// The span that asks.
    pub parent: SpanId,
    /// Whether it is recorded.
    pub is_sampled: bool,
}

/// The bytes of a `traceparent` of version 00.
const LENGTH: usize = 55;

/// The one flag that version 00 knows (§3.2.2.5.1). Others are not passed on, for nobody knows what they say.
const SAMPLED: u8 = 1;

// === impl TraceId, SpanId ===

impl TraceId {
    /// A new one, from random numbers.
    #[must_use]
    pub fn from_random([high, low]: [u64; 2]) -> Self {
        Self(NonZeroU128::new(u128::from(high) << 64 | u128::from(low)).unwrap_or(NonZeroU128::MIN))
    }

    /// Its lower half, which is random also where the upper one is a time.
    #[must_use]
    pub fn low(self) -> u64 {
        self.0.get() as u64
    }
}

impl SpanId {
    /// A new one, from a random number.
    #[must_use]
    pub fn from_random(random: u64) -> Self {
        Self(NonZeroU64::new(random).unwrap_or(NonZeroU64::MIN))
    }
}

impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Display for SpanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl fmt::Debug for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Debug for SpanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

// === impl TraceParent ===

impl TraceParent {
    /// Reads a `traceparent` of version 00, or of a later one as far as that says the same (§3.2.2, §4.3). `None` for what is
    /// none; a new trace begins then.
    #[must_use]
    pub fn parse(value: &[u8]) -> Option<Self> {
        let (head, more) = value.split_at_checked(LENGTH)?;
        if [2, 35, 52].iter().any(|place| head[*place] != b'-') {
            return None;
        }
        match (hex(&head[..2])?, more) {
            (0xff, _) => return None,
            (_, []) => {}
            // Only a later version may say more.
            (1.., [b'-', ..]) => {}
            _ => return None,
        }
        let trace = NonZeroU128::new(hex(&head[3..35])?)?;
        let parent = NonZeroU64::new(u64::try_from(hex(&head[36..52])?).ok()?)?;
        let flags = u8::try_from(hex(&head[53..])?).ok()?;
        Some(Self { trace: TraceId(trace), parent: SpanId(parent), is_sampled: flags & SAMPLED != 0 })
    }

    /// Writes it in version 00.
    #[must_use]
    pub fn write(self) -> [u8; LENGTH] {
        let mut written = *b"00-00000000000000000000000000000000-0000000000000000-00";
        put_hex(&mut written[3..35], self.trace.0.get());
        put_hex(&mut written[36..52], u128::from(self.parent.0.get()));
        put_hex(&mut written[53..], u128::from(self.is_sampled));
        written
    }
}

/// Lower-case hexadecimal digits, and nothing else.
fn hex(digits: &[u8]) -> Option<u128> {
    digits.iter().try_fold(0, |number, digit| {
        let value = match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'f' => digit - b'a' + 10,
            _ => return None,
        };
        Some(number << 4 | u128::from(value))
    })
}

/// Fills a place with the last digits of a number.
pub(crate) fn put_hex(place: &mut [u8], number: u128) {
    let mut rest = number;
    for digit in place.iter_mut().rev() {
        *digit = b"0123456789abcdef"[(rest & 0xf) as usize];
        rest >>= 4;
    }
}

/// Members of a `tracestate` (§3.3.1.1).
const MOST_MEMBERS: usize = 32;

/// Bytes of a `tracestate` that is passed on (§3.3.1.5).
const MOST_BYTES: usize = 512;

/// Members longer than this go first where there are too many bytes (§3.3.1.5).
const LONG_MEMBER: usize = 128;

/// What is passed on of the `tracestate` fields of a request: their members in order, each key once. `None` where there are
/// none, or too many, or one of them is malformed: all of it is dropped then (§3.3, §4.3).
pub fn trace_state<'a>(values: impl IntoIterator<Item = &'a [u8]>) -> Option<Vec<u8>> {
    let mut members: Vec<(&[u8], &[u8])> = Vec::new();
    let all = values.into_iter().flat_map(|value| value.split(|byte| *byte == b','));
    for member in all.map(trim).filter(|member| !member.is_empty()) {
        let end = member.iter().position(|byte| *byte == b'=')?;
        let (key, value) = (&member[..end], &member[end + 1..]);
        if !is_key(key) || !is_value(value) || members.len() == MOST_MEMBERS {
            return None;
        }
        if !members.iter().any(|(known, _)| *known == key) {
            members.push((key, member));
        }
    }
    let length =
        |members: &[(&[u8], &[u8])]| members.iter().map(|(_, member)| member.len() + 1).sum::<usize>();
    while length(&members) > MOST_BYTES + 1 {
        let last_long = members.iter().rposition(|(_, member)| member.len() > LONG_MEMBER);
        members.remove(last_long.unwrap_or(members.len() - 1));
    }
    let members: Vec<&[u8]> = members.into_iter().map(|(_, member)| member).collect();
    Some(members.join(&b',')).filter(|state| !state.is_empty())
}

/// Without the spaces and tabs around it (RFC 9110 §5.6.3).
fn trim(mut member: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = member {
        member = rest;
    }
    member
}

/// `vendor` or `tenant@vendor` (§3.3.1.3.1).
fn is_key(key: &[u8]) -> bool {
    let is_word = |word: &[u8], most: usize, may_begin: fn(&u8) -> bool| {
        let is_inside = |byte: &u8| {
            byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'_' | b'-' | b'*' | b'/')
        };
        word.len() <= most && word.first().is_some_and(may_begin) && word.iter().all(is_inside)
    };
    match key.iter().position(|byte| *byte == b'@') {
        None => is_word(key, 256, u8::is_ascii_lowercase),
        Some(at) => {
            let (tenant, system) = (&key[..at], &key[at + 1..]);
            is_word(tenant, 241, |byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
                && is_word(system, 14, u8::is_ascii_lowercase)
        }
    }
}

/// Printable, without `,` and `=`; spaces behind it are gone already (§3.3.1.3.2).
fn is_value(value: &[u8]) -> bool {
    let is_of_value = |byte: &u8| (b' '..=b'~').contains(byte) && !matches!(byte, b',' | b'=');
    (1..=256).contains(&value.len()) && value.iter().all(is_of_value)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    fn parse(value: &str) -> Option<String> {
        let parent = TraceParent::parse(value.as_bytes())?;
        Some(String::from_utf8(parent.write().to_vec()).unwrap())
    }

    #[test]
    fn a_parent_is_read_and_written() {
        assert_eq!(parse(PARENT).as_deref(), Some(PARENT));
        let unsampled = PARENT.replace("-01", "-00");
        assert_eq!(parse(&unsampled), Some(unsampled));
        // Flags that nobody knows say nothing.
        assert_eq!(parse(&PARENT.replace("-01", "-ff")).as_deref(), Some(PARENT));
        assert_eq!(parse(&PARENT.replace("-01", "-02")), Some(PARENT.replace("-01", "-00")));
    }

    #[test]
    fn a_later_version_is_read_as_far_as_it_is_known() {
        for (version, more) in [("01", ""), ("cc", ""), ("cc", "-"), ("fe", "-what-the-future-will-be-like")]
        {
            let later = format!("{version}{}{more}", &PARENT[2..]);
            assert_eq!(parse(&later).as_deref(), Some(PARENT), "{later}");
        }
        for wrong in [format!("cc{}.what", &PARENT[2..]), format!("ff{}", &PARENT[2..]), format!("{PARENT}-")]
        {
            assert_eq!(parse(&wrong), None, "{wrong}");
        }
    }

    #[test]
    fn what_is_no_parent_is_none() {
        let wrong = [
            String::new(),
            PARENT[..54].to_owned(),
            format!("{PARENT} "),
            format!(" {PARENT}"),
            PARENT.to_uppercase(),
            PARENT.replace('-', "_"),
            PARENT.replace("4bf92f3577b34da6a3ce929d0e0e4736", &"0".repeat(32)),
            PARENT.replace("00f067aa0ba902b7", &"0".repeat(16)),
            PARENT.replace("4bf9", "4bg9"),
            PARENT.replace("00-4", "0x-4"),
            PARENT.replace("-01", "-0x"),
            PARENT.replace("-01", "--1"),
        ];
        for wrong in wrong {
            assert_eq!(parse(&wrong), None, "{wrong}");
        }
    }

    fn state(values: &[&str]) -> Option<String> {
        let state = trace_state(values.iter().map(|value| value.as_bytes()))?;
        Some(String::from_utf8(state).unwrap())
    }

    #[test]
    fn state_keeps_its_order_and_each_key_once() {
        assert_eq!(state(&["rojo=00f0,congo=t61"]).as_deref(), Some("rojo=00f0,congo=t61"));
        assert_eq!(state(&["b=1 , ,\t a=x y", "", "c=3"]).as_deref(), Some("b=1,a=x y,c=3"));
        assert_eq!(state(&["a=1,b=2,a=3"]).as_deref(), Some("a=1,b=2"));
        assert_eq!(state(&["0t@sys=1,a-*/_9=!"]).as_deref(), Some("0t@sys=1,a-*/_9=!"));
        assert_eq!((state(&[]), state(&["", " ,"])), (None, None));
    }

    #[test]
    fn malformed_state_is_dropped_as_a_whole() {
        let long_key = format!("{}=1", "a".repeat(257));
        for wrong in [
            "a",
            "=1",
            "a=",
            "A=1",
            "1a=1",
            "a=1=2",
            "a=\u{7f}",
            "a b=1",
            "@a=1",
            "a@=1",
            "a@b@c=1",
            "a@012345678901234=1",
            &long_key,
        ] {
            assert_eq!(state(&["x=1", wrong]), None, "{wrong}");
        }
        let many = |n: usize| (0..n).map(|index| format!("a{index}=1")).collect::<Vec<_>>().join(",");
        assert_eq!(state(&[&many(32)]), Some(many(32)));
        assert_eq!(state(&[&many(33)]), None);
    }

    #[test]
    fn of_too_much_state_long_members_go_first_and_then_the_last() {
        let member = |key: &str, length: usize| format!("{key}={}", "x".repeat(length - 2));
        let (a, b, c, d) = (member("a", 127), member("b", 200), member("c", 127), member("d", 127));
        let all = [a.as_str(), &b, &c, &d].join(",");
        assert_eq!(state(&[&all]), Some([a.as_str(), &c, &d].join(",")));
        let short: Vec<String> = (0..30).map(|index| format!("k{index:02}={}", "x".repeat(20))).collect();
        let kept = state(&[&short.join(",")]).unwrap();
        assert!(kept.len() <= 512 && short.join(",").starts_with(&kept), "{kept}");
        assert_eq!(kept.split(',').count(), 20);
    }

    proptest! {
        #[test]
        fn any_bytes_are_context_or_none(bytes in prop::collection::vec(any::<u8>(), 0..700)) {
            crate::fuzzing::trace_context(&bytes);
        }

        #[test]
        fn what_looks_like_context_is_context_or_none(
            text in "[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}(-.{0,9})?|([a-z0-9@/]{0,9}=[ -~]{0,140},?\n?){0,40}",
        ) {
            crate::fuzzing::trace_context(text.as_bytes());
        }
    }
}
