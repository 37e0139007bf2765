//! What may be asked of a server: one table of names, defaults and meanings.

use std::fmt;
use std::time::Duration;

/// One limit, as people are told of it.
pub struct Limit {
    name: &'static str,
    /// What it bounds.
    pub meaning: &'static str,
    /// Where it is counted that it was hit.
    pub told: &'static str,
    /// The least it may be set to.
    pub least: Amount,
    /// The most it may be set to.
    pub most: Amount,
    get: fn(&Limits) -> Amount,
    set: fn(&mut Limits, u64),
}

/// How much a limit allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Amount {
    /// Bytes.
    Bytes(u64),
    /// Bytes in a second.
    BytesPerSecond(u64),
    /// Things.
    Count(u64),
    /// Seconds.
    Seconds(u64),
}

/// Why a limit was not set.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LimitError {
    /// There is none of this name.
    #[error("there is no limit `{name}`")]
    Unknown {
        /// The name.
        name: String,
    },
    /// It is not written as `NAME=NUMBER`.
    #[error("`{text}` is not NAME=NUMBER")]
    Malformed {
        /// What was written.
        text: String,
    },
    /// It may not be that.
    #[error("{name} must be from {least} to {most}")]
    OutOfRange {
        /// The name of the limit.
        name: String,
        /// The least it may be.
        least: Amount,
        /// The most it may be.
        most: Amount,
    },
}

macro_rules! limits {
    ($($name:ident: $kind:ident = $default:literal ($least:literal to $most:literal) $meaning:literal, $told:literal;)*) => {
        /// What may be asked of a server and of its connections. Every limit has a default; none is absent.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub struct Limits {
            $(
                #[doc = $meaning]
                pub $name: limits!(@type $kind),
            )*
        }

        impl Default for Limits {
            fn default() -> Self {
                Self { $($name: limits!(@from $kind $default)),* }
            }
        }

        impl Limits {
            /// All there are.
            pub const ALL: &[Limit] = &[$(Limit {
                name: stringify!($name),
                meaning: $meaning,
                told: $told,
                least: Amount::$kind($least),
                most: Amount::$kind($most),
                get: |limits| Amount::$kind(limits!(@amount $kind limits.$name)),
                set: |limits, number| limits.$name = limits!(@from $kind number),
            }),*];
        }
    };
    (@type Seconds) => { Duration };
    (@type BytesPerSecond) => { u64 };
    (@type $kind:ident) => { usize };
    (@from Seconds $number:expr) => { Duration::from_secs($number) };
    (@from BytesPerSecond $number:expr) => { $number };
    (@from $kind:ident $number:expr) => { saturated($number) };
    (@amount Seconds $value:expr) => { $value.as_secs() };
    (@amount BytesPerSecond $value:expr) => { $value };
    (@amount $kind:ident $value:expr) => { $value as u64 };
}

limits! {
    head_bytes: Bytes = 16_384 (1_024 to 65_536)
        "Request line and header fields of one request.",
        "forebay_load_balancer_answers_total, reason head-too-long";
    request_line_bytes: Bytes = 8_192 (256 to 65_536)
        "Request line of one request.",
        "forebay_load_balancer_answers_total, reason request-line-too-long";
    field_bytes: Bytes = 8_192 (256 to 65_536)
        "Name and value of one header field.",
        "forebay_load_balancer_answers_total, reason field-too-long";
    head_fields: Count = 100 (10 to 128)
        "Header fields of one request.",
        "forebay_load_balancer_answers_total, reason too-many-fields";
    head_timeout: Seconds = 10 (1 to 600)
        "Time for a head to arrive, once its first byte has.",
        "forebay_load_balancer_answers_total, reason head-timeout; forebay_http2_connections_ended_total, reason head-timeout or begin-timeout";
    idle_timeout: Seconds = 60 (1 to 6_000)
        "Time a connection may be silent, between requests and within one. A load balancer's attribute goes before it.",
        "forebay_load_balancer_answers_total, reason body-timeout or target-timeout";
    max_age: Seconds = 3_600 (60 to 604_800)
        "Age at which a connection ends with its next answer. A load balancer's attribute goes before it.",
        "–";
    body_patience: Seconds = 30 (1 to 6_000)
        "Time that may be waited for a body in all, beyond what its bytes have earned at the least rate.",
        "forebay_load_balancer_answers_total, reason body-timeout";
    body_rate: BytesPerSecond = 240 (1 to 1_000_000)
        "Least rate at which a body has to come, on average, until its answer begins. Calls of gRPC may take their time.",
        "forebay_load_balancer_answers_total, reason body-timeout";
    connections: Count = 10_000 (16 to 1_000_000)
        "Connections of clients at a time. At more, the one that has been idle for longest goes first.",
        "forebay_connections_refused_total, reason too-many; forebay_connections_shed_total";
    client_connections: Count = 1000 (1 to 1_000_000)
        "Connections of one client address, or of one /64 of IPv6. Loopback and trusted proxies may have more.",
        "forebay_connections_refused_total, reason too-many-connections-of-client";
    client_requests: Count = 500 (1 to 1_000_000)
        "Requests of one client address, or of one /64 of IPv6, that are not done with, or a quarter of all descriptors where that is less. Loopback and trusted proxies may have more.",
        "forebay_load_balancer_answers_total, reason too-many-requests-of-client";
    reserved_descriptors: Count = 256 (16 to 100_000)
        "Descriptors that connections of clients leave to targets, health checks, administrators and logs, or a quarter of all where that is less.",
        "forebay_connections_refused_total, reason no-descriptors; forebay_connections_shed_total";
    kept_body_bytes: Bytes = 1_048_576 (0 to 67_108_864)
        "Largest body of a request that is kept, so that it can be sent to another target when the first fails.",
        "–";
    buffered_bytes: Bytes = 134_217_728 (0 to 1_099_511_627_776)
        "All bodies that are kept at a time. Beyond it they pass through without being kept.",
        "forebay_unkept_bodies_total; forebay_buffered_bytes is what is kept now";
    udp_flows: Count = 10_000 (16 to 1_000_000)
        "Clients of a UDP listener at a time, on each core. At more, those that have been silent for longest go first.",
        "–";
    udp_idle_timeout: Seconds = 120 (1 to 6_000)
        "Time client and target of a UDP listener may be silent before they are forgotten.",
        "–";
    http2_streams: Count = 100 (1 to 1_000)
        "Requests that a connection of HTTP/2 may be asking at a time.",
        "–";
    http2_resets: Count = 200 (10 to 10_000)
        "Requests that a client of HTTP/2 may take back within 10 s, or break, before its connection ends.",
        "forebay_http2_connections_ended_total, reason flood";
    http2_idle_frames: Count = 1_000 (100 to 100_000)
        "Frames of HTTP/2 within 10 s that ask for work without asking for anything (PING, SETTINGS, PRIORITY, those of unknown types, and data or continuations without a byte), beyond two for each frame of a request or an answer, before their connection ends.",
        "forebay_http2_connections_ended_total, reason flood";
}

fn saturated(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

// === impl Limit ===

impl Limit {
    /// What it is called, for example `client-connections`.
    #[must_use]
    pub fn name(&self) -> String {
        self.name.replace('_', "-")
    }

    /// How much these limits allow.
    #[must_use]
    pub fn of(&self, limits: &Limits) -> Amount {
        (self.get)(limits)
    }
}

// === impl Limits ===

impl Limits {
    /// Sets one limit from `NAME=NUMBER`, in seconds or bytes or things.
    ///
    /// # Errors
    /// When there is no such limit, or it may not be that.
    pub fn set(&mut self, text: &str) -> Result<(), LimitError> {
        let malformed = || LimitError::Malformed { text: text.to_owned() };
        let (name, number) = text.split_once('=').ok_or_else(malformed)?;
        let (name, number) = (name.trim().replace('_', "-"), number.trim());
        let Some(limit) = Self::ALL.iter().find(|limit| limit.name() == name) else {
            return Err(LimitError::Unknown { name });
        };
        let number: u64 = number.parse().map_err(|_| malformed())?;
        let (least, most) = (limit.least, limit.most);
        if !(least.number()..=most.number()).contains(&number) {
            return Err(LimitError::OutOfRange { name, least, most });
        }
        (limit.set)(self, number);
        Ok(())
    }
}

// === impl Amount ===

impl Amount {
    /// The bare number.
    #[must_use]
    pub fn number(self) -> u64 {
        match self {
            Self::Bytes(number)
            | Self::BytesPerSecond(number)
            | Self::Count(number)
            | Self::Seconds(number) => number,
        }
    }

    /// What it is a number of.
    #[must_use]
    pub fn unit(self) -> &'static str {
        match self {
            Self::Bytes(_) => "bytes",
            Self::BytesPerSecond(_) => "bytes/s",
            Self::Count(_) => "",
            Self::Seconds(_) => "s",
        }
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = format!("{} {}", self.number(), self.unit());
        f.pad(text.trim_end())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_set_by_its_name_within_its_range() {
        let mut limits = Limits::default();
        limits.set("client-connections=12").unwrap();
        limits.set(" head_timeout = 3 ").unwrap();
        assert_eq!((limits.client_connections, limits.head_timeout), (12, Duration::from_secs(3)));
        for (text, problem) in [
            ("client-connection=1", "there is no limit `client-connection`"),
            ("connections", "`connections` is not NAME=NUMBER"),
            ("connections=many", "`connections=many` is not NAME=NUMBER"),
            ("head-timeout=0", "head-timeout must be from 1 s to 600 s"),
            ("body-rate=-1", "`body-rate=-1` is not NAME=NUMBER"),
        ] {
            assert_eq!(limits.set(text).unwrap_err().to_string(), problem);
        }
        assert_eq!(limits.client_connections, 12);
    }

    #[test]
    fn defaults_are_within_their_ranges() {
        for limit in Limits::ALL {
            let number = limit.of(&Limits::default()).number();
            assert!((limit.least.number()..=limit.most.number()).contains(&number), "{}", limit.name());
        }
    }
}
