//! The attributes of load balancers, listeners and target groups: one table, and the values set for one of them.
//!
//! A new attribute is one row of [`TABLE`]. Names and defaults are those of the ELB API ("Attributes" sections of the
//! Application and Network Load Balancer guides); `acts` says whether this data plane does anything with it.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::time::Duration;

use crate::balance::Algorithm;
use crate::{header_modification, suggest};

/// What an attribute belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// An Application Load Balancer.
    Application,
    /// A Network Load Balancer.
    Network,
    /// A listener of an Application Load Balancer.
    ApplicationListener,
    /// A listener of a Network Load Balancer.
    NetworkListener,
    /// A target group of an Application Load Balancer.
    ApplicationTargetGroup,
    /// A target group of a Network Load Balancer.
    NetworkTargetGroup,
}

/// One row of the attribute table.
#[derive(Debug)]
pub struct Attribute {
    /// What it belongs to.
    pub scope: Scope,
    /// The key, as in the ELB API.
    pub key: &'static str,
    /// The value when nobody sets one; `None`: not there unless set.
    pub default: Option<&'static str>,
    /// Which values are taken.
    pub value: Value,
    /// Whether the data plane acts on it; if not, setting it is worth a finding.
    pub acts: bool,
    /// What it does, in one sentence.
    pub doc: &'static str,
}

/// Which values an attribute takes.
#[derive(Debug)]
pub enum Value {
    /// `true` or `false`.
    Bool,
    /// A whole number.
    Integer(RangeInclusive<u32>),
    /// Zero, or a whole number in the range.
    ZeroOr(RangeInclusive<u32>),
    /// `off`, or a whole number in the range.
    OffOr(RangeInclusive<u32>),
    /// One of these words.
    OneOf(&'static [&'static str]),
    /// The name of a header field.
    FieldName,
    /// The value of a header field.
    FieldValue,
    /// A value of `X-Frame-Options`.
    FrameOption,
    /// The name of a bucket of S3.
    Bucket,
    /// What keys of objects in a bucket begin with.
    KeyPrefix,
    /// Any text.
    Text,
}

/// Why an attribute cannot be set.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AttributeError {
    /// No attribute has this key here.
    #[error("attribute `{key}` is not known here")]
    Unknown {
        /// The key as written.
        key: String,
        /// The known key that is nearest to it, if one is near.
        nearest: Option<&'static str>,
    },
    /// The value is not one that the attribute takes.
    #[error("attribute `{key}`: `{value}` is not {expected}")]
    Invalid {
        /// The key.
        key: &'static str,
        /// The value as written.
        value: String,
        /// What the attribute takes.
        expected: String,
    },
}

macro_rules! keys {
    ($($(#[$doc:meta])* $name:ident = $key:literal;)*) => { $($(#[$doc])* pub const $name: &str = $key;)* };
}

keys! {
    /// Whether an access log is written.
    ACCESS_LOGS = "access_logs.s3.enabled";
    /// Where it is written to.
    ACCESS_LOGS_BUCKET = "access_logs.s3.bucket";
    /// What the keys of its objects begin with.
    ACCESS_LOGS_PREFIX = "access_logs.s3.prefix";
    /// Whether a connection log is written.
    CONNECTION_LOGS = "connection_logs.s3.enabled";
    /// Where it is written to.
    CONNECTION_LOGS_BUCKET = "connection_logs.s3.bucket";
    /// What the keys of its objects begin with.
    CONNECTION_LOGS_PREFIX = "connection_logs.s3.prefix";
    /// Whether a log of health checks is written.
    HEALTH_CHECK_LOGS = "health_check_logs.s3.enabled";
    /// Where it is written to.
    HEALTH_CHECK_LOGS_BUCKET = "health_check_logs.s3.bucket";
    /// What the keys of its objects begin with.
    HEALTH_CHECK_LOGS_PREFIX = "health_check_logs.s3.prefix";
    /// Seconds until an idle connection is closed.
    IDLE_TIMEOUT = "idle_timeout.timeout_seconds";
    /// How `X-Forwarded-For` is treated.
    XFF_MODE = "routing.http.xff_header_processing.mode";
    /// Whether `X-Forwarded-For` carries the client's port.
    XFF_CLIENT_PORT = "routing.http.xff_client_port.enabled";
    /// Whether `Host` reaches the target as sent.
    PRESERVE_HOST_HEADER = "routing.http.preserve_host_header.enabled";
    /// What an ALB does with requests that two servers may read in two ways.
    DESYNC_MITIGATION_MODE = "routing.http.desync_mitigation_mode";
    /// Whether header fields with unusual names are dropped.
    DROP_INVALID_HEADER_FIELDS = "routing.http.drop_invalid_header_fields.enabled";
    /// Whether targets are told the TLS version and cipher.
    TLS_FIELDS = "routing.http.x_amzn_tls_version_and_cipher_suite.enabled";
    /// Whether targets are told the group of the key exchange.
    TLS_KEY_EXCHANGE_FIELD = "routing.http.x_amzn_tls_kx.enabled";
    /// Whether answers keep their `Server` field.
    SERVER_FIELD = "routing.http.response.server.enabled";
    /// Seconds after which a client connection is closed at its next answer.
    CLIENT_KEEP_ALIVE = "client_keep_alive.seconds";
    /// Seconds until an idle TCP flow is closed.
    TCP_IDLE_TIMEOUT = "tcp.idle_timeout.seconds";
    /// Whether targets of all zones are used.
    CROSS_ZONE = "load_balancing.cross_zone.enabled";
    /// Whether deleting the load balancer is refused.
    DELETION_PROTECTION = "deletion_protection.enabled";
    /// Whether HTTPS listeners offer HTTP/2.
    HTTP2 = "routing.http2.enabled";
    /// Whether traffic may be shifted away from a zone.
    ZONAL_SHIFT = "zonal_shift.config.enabled";
    /// Seconds a deregistered target may finish what it has.
    DEREGISTRATION_DELAY = "deregistration_delay.timeout_seconds";
    /// How a target is chosen.
    ALGORITHM = "load_balancing.algorithm.type";
    /// Whether targets that fail more than their peers get less.
    ANOMALY_MITIGATION = "load_balancing.algorithm.anomaly_mitigation";
    /// Seconds in which a new target's share grows to a full one.
    SLOW_START = "slow_start.duration_seconds";
    /// Whether a client stays with its target.
    STICKINESS = "stickiness.enabled";
    /// How a client is recognised.
    STICKINESS_TYPE = "stickiness.type";
    /// How long stickiness by the load balancer's cookie lasts.
    STICKINESS_DURATION = "stickiness.lb_cookie.duration_seconds";
    /// The application's cookie that stickiness follows.
    STICKINESS_COOKIE = "stickiness.app_cookie.cookie_name";
    /// How long stickiness by the application's cookie lasts.
    STICKINESS_COOKIE_DURATION = "stickiness.app_cookie.duration_seconds";
    /// Whether flows of a deregistered target are cut when the delay ends.
    CONNECTION_TERMINATION = "deregistration_delay.connection_termination.enabled";
    /// Whether flows of a target that turns unhealthy are cut.
    UNHEALTHY_TERMINATION = "target_health_state.unhealthy.connection_termination.enabled";
    /// Seconds a target that turns unhealthy keeps its flows.
    UNHEALTHY_DRAINING = "target_health_state.unhealthy.draining_interval_seconds";
    /// Whether targets see the client's address.
    PRESERVE_CLIENT_IP = "preserve_client_ip.enabled";
    /// Whether a PROXY protocol v2 header precedes each connection.
    PROXY_PROTOCOL_V2 = "proxy_protocol_v2.enabled";
    /// Below this number of healthy targets, all targets are used.
    MINIMUM_HEALTHY_COUNT = "target_group_health.unhealthy_state_routing.minimum_healthy_targets.count";
    /// Below this percentage of healthy targets, all targets are used.
    MINIMUM_HEALTHY_PERCENTAGE = "target_group_health.unhealthy_state_routing.minimum_healthy_targets.percentage";
    /// Below this number of healthy targets, DNS leaves the zone out.
    DNS_FAILOVER_COUNT = "target_group_health.dns_failover.minimum_healthy_targets.count";
    /// Below this percentage of healthy targets, DNS leaves the zone out.
    DNS_FAILOVER_PERCENTAGE = "target_group_health.dns_failover.minimum_healthy_targets.percentage";
}

const fn row(
    scope: Scope,
    key: &'static str,
    default: Option<&'static str>,
    value: Value,
    acts: bool,
    doc: &'static str,
) -> Attribute {
    Attribute { scope, key, default, value, acts, doc }
}

/// Every attribute Forebay knows.
#[rustfmt::skip]
pub const TABLE: &[Attribute] = {
    use Scope::{Application as Alb, ApplicationListener as AlbListener, ApplicationTargetGroup as AlbTargets};
    use Scope::{Network as Nlb, NetworkListener as NlbListener, NetworkTargetGroup as NlbTargets};
    use Value::{Bool, Bucket, FieldName, FieldValue, FrameOption, Integer, KeyPrefix, OffOr, OneOf, Text, ZeroOr};
    const ON: Option<&str> = Some("true");
    const OFF: Option<&str> = Some("false");
    &[
        row(Alb, ACCESS_LOGS_BUCKET, None, Bucket, true, "Bucket of the access log."),
        row(Alb, ACCESS_LOGS, OFF, Bool, true, "Whether an access log is written."),
        row(Alb, ACCESS_LOGS_PREFIX, None, KeyPrefix, true, "Prefix of the access log's objects."),
        row(Alb, CLIENT_KEEP_ALIVE, Some("3600"), Integer(60..=604_800), true, "Seconds after which a client connection is closed at its next answer."),
        row(Alb, CONNECTION_LOGS_BUCKET, None, Bucket, true, "Bucket of the connection log."),
        row(Alb, CONNECTION_LOGS, OFF, Bool, true, "Whether a connection log is written."),
        row(Alb, CONNECTION_LOGS_PREFIX, None, KeyPrefix, true, "Prefix of the connection log's objects."),
        row(Alb, DELETION_PROTECTION, OFF, Bool, true, "Whether deleting the load balancer is refused."),
        row(Alb, HEALTH_CHECK_LOGS_BUCKET, None, Bucket, true, "Bucket of the health check log."),
        row(Alb, HEALTH_CHECK_LOGS, OFF, Bool, true, "Whether a health check log is written."),
        row(Alb, HEALTH_CHECK_LOGS_PREFIX, None, KeyPrefix, true, "Prefix of the health check log's objects."),
        row(Alb, IDLE_TIMEOUT, Some("60"), Integer(1..=4000), true, "Seconds until an idle connection is closed."),
        row(Alb, "ipv6.deny_all_igw_traffic", None, Bool, false, "Whether the internet gateway's IPv6 traffic is refused."),
        row(Alb, CROSS_ZONE, ON, OneOf(&["true"]), true, "Whether targets of all zones are used, which only a target group may turn off."),
        row(Alb, DESYNC_MITIGATION_MODE, Some("defensive"), OneOf(&["monitor", "defensive", "strictest"]), true, "What an ALB does with requests that two servers may read in two ways. All are refused here; those that it would let through are counted."),
        row(Alb, DROP_INVALID_HEADER_FIELDS, OFF, Bool, true, "Whether header fields whose names are not letters, digits and hyphens are dropped."),
        row(Alb, PRESERVE_HOST_HEADER, OFF, Bool, true, "Whether Host reaches the target exactly as sent."),
        row(Alb, TLS_KEY_EXCHANGE_FIELD, None, Bool, true, "Whether targets are told the group of the key exchange."),
        row(Alb, TLS_FIELDS, OFF, Bool, true, "Whether targets are told the TLS version and cipher."),
        row(Alb, XFF_CLIENT_PORT, OFF, Bool, true, "Whether X-Forwarded-For carries the client's port."),
        row(Alb, XFF_MODE, Some("append"), OneOf(&["append", "preserve", "remove"]), true, "How X-Forwarded-For is treated."),
        row(Alb, HTTP2, ON, Bool, true, "Whether HTTPS listeners offer HTTP/2."),
        row(Alb, "waf.http2.traffic_inspection_behavior", None, OneOf(&["inspect_immediately", "inspect_after_sufficient_data"]), false, "When the web ACL looks at a request over HTTP/2."),
        row(Alb, "waf.fail_open.enabled", OFF, Bool, false, "Whether requests pass when the web ACL cannot be asked."),
        row(Alb, ZONAL_SHIFT, OFF, Bool, true, "Whether traffic may be shifted away from a zone."),

        row(Nlb, ACCESS_LOGS_BUCKET, None, Bucket, true, "Bucket of the access log."),
        row(Nlb, ACCESS_LOGS, OFF, Bool, true, "Whether an access log is written."),
        row(Nlb, ACCESS_LOGS_PREFIX, None, KeyPrefix, true, "Prefix of the access log's objects."),
        row(Nlb, DELETION_PROTECTION, OFF, Bool, true, "Whether deleting the load balancer is refused."),
        row(Nlb, "dns_record.client_routing_policy", Some("any_availability_zone"), OneOf(&["any_availability_zone", "partial_availability_zone_affinity", "availability_zone_affinity"]), false, "Which zones a client is sent to."),
        row(Nlb, "ipv6.deny_all_igw_traffic", None, Bool, false, "Whether the internet gateway's IPv6 traffic is refused."),
        row(Nlb, CROSS_ZONE, OFF, Bool, true, "Whether targets of all zones are used."),
        row(Nlb, "secondary_ips.auto_assigned.per_subnet", None, Integer(0..=7), false, "Further addresses per subnet."),
        row(Nlb, ZONAL_SHIFT, OFF, Bool, true, "Whether traffic may be shifted away from a zone."),

        row(AlbListener, "routing.http.request.x_amzn_mtls_clientcert.header_name", None, FieldName, true, "Name of the client certificate header."),
        row(AlbListener, "routing.http.request.x_amzn_mtls_clientcert_issuer.header_name", None, FieldName, true, "Name of the client certificate issuer header."),
        row(AlbListener, "routing.http.request.x_amzn_mtls_clientcert_leaf.header_name", None, FieldName, true, "Name of the client certificate leaf header."),
        row(AlbListener, "routing.http.request.x_amzn_mtls_clientcert_serial_number.header_name", None, FieldName, true, "Name of the client certificate serial number header."),
        row(AlbListener, "routing.http.request.x_amzn_mtls_clientcert_subject.header_name", None, FieldName, true, "Name of the client certificate subject header."),
        row(AlbListener, "routing.http.request.x_amzn_mtls_clientcert_validity.header_name", None, FieldName, true, "Name of the client certificate validity header."),
        row(AlbListener, "routing.http.request.x_amzn_tls_cipher_suite.header_name", None, FieldName, true, "Name of the TLS cipher header."),
        row(AlbListener, "routing.http.request.x_amzn_tls_version.header_name", None, FieldName, true, "Name of the TLS version header."),
        row(AlbListener, "routing.http.response.access_control_allow_credentials.header_value", None, OneOf(&["true"]), true, "Value of a field that every answer has."),
        row(AlbListener, "routing.http.response.access_control_allow_headers.header_value", None, FieldValue, true, "Value of a field that every answer has."),
        row(AlbListener, "routing.http.response.access_control_allow_methods.header_value", None, FieldValue, true, "Value of a field that every answer has."),
        row(AlbListener, "routing.http.response.access_control_allow_origin.header_value", None, FieldValue, true, "Value of a field that every answer has."),
        row(AlbListener, "routing.http.response.access_control_expose_headers.header_value", None, FieldValue, true, "Value of a field that every answer has."),
        row(AlbListener, "routing.http.response.access_control_max_age.header_value", None, Integer(0..=u32::MAX), true, "Value of a field that every answer has."),
        row(AlbListener, "routing.http.response.content_security_policy.header_value", None, FieldValue, true, "Value of a field that every answer has."),
        row(AlbListener, SERVER_FIELD, ON, Bool, true, "Whether the Server field of a response stays."),
        row(AlbListener, "routing.http.response.strict_transport_security.header_value", None, FieldValue, true, "Value of a field that every answer has."),
        row(AlbListener, "routing.http.response.x_content_type_options.header_value", None, OneOf(&["nosniff"]), true, "Value of a field that every answer has."),
        row(AlbListener, "routing.http.response.x_frame_options.header_value", None, FrameOption, true, "Value of a field that every answer has."),
        row(NlbListener, TCP_IDLE_TIMEOUT, Some("350"), Integer(60..=6000), true, "Seconds until an idle flow is closed."),

        row(AlbTargets, DEREGISTRATION_DELAY, Some("300"), Integer(0..=3600), true, "Seconds a deregistered target may finish what it has."),
        row(AlbTargets, ANOMALY_MITIGATION, Some("off"), OneOf(&["on", "off"]), true, "Whether targets that fail more than their peers get less."),
        row(AlbTargets, ALGORITHM, Some("round_robin"), OneOf(&Algorithm::NAMES), true, "How a target is chosen."),
        row(AlbTargets, CROSS_ZONE, Some("use_load_balancer_configuration"), OneOf(&["true", "false", "use_load_balancer_configuration"]), true, "Whether targets of all zones are used."),
        row(AlbTargets, SLOW_START, Some("0"), ZeroOr(30..=900), true, "Seconds in which a new target's share grows to a full one."),
        row(AlbTargets, STICKINESS_COOKIE, None, Text, true, "The application's cookie that stickiness follows."),
        row(AlbTargets, STICKINESS_COOKIE_DURATION, Some("86400"), Integer(1..=604_800), true, "How long application stickiness lasts."),
        row(AlbTargets, STICKINESS, OFF, Bool, true, "Whether a client stays with its target."),
        row(AlbTargets, STICKINESS_DURATION, Some("86400"), Integer(1..=604_800), true, "How long stickiness lasts."),
        row(AlbTargets, STICKINESS_TYPE, Some("lb_cookie"), OneOf(&["lb_cookie", "app_cookie"]), true, "How a client is recognised."),
        row(AlbTargets, DNS_FAILOVER_COUNT, Some("1"), OffOr(1..=1000), true, "Below this number of healthy targets, DNS leaves the zone out."),
        row(AlbTargets, DNS_FAILOVER_PERCENTAGE, Some("off"), OffOr(1..=100), true, "Below this percentage of healthy targets, DNS leaves the zone out."),
        row(AlbTargets, MINIMUM_HEALTHY_COUNT, Some("1"), Integer(1..=1000), true, "Below this number of healthy targets, all targets are used."),
        row(AlbTargets, MINIMUM_HEALTHY_PERCENTAGE, Some("off"), OffOr(1..=100), true, "Below this percentage of healthy targets, all targets are used."),
        row(AlbTargets, "routing.http2.rst_stream_error_forwarding.enabled", None, Bool, false, "Whether clients are told by which code a target ended a stream of HTTP/2, in place of 502."),
        row(AlbTargets, "lambda.multi_value_headers.enabled", None, Bool, false, "For Lambda targets only."),

        row(NlbTargets, CONNECTION_TERMINATION, OFF, Bool, true, "Whether flows of a deregistered target are cut when the delay ends."),
        row(NlbTargets, DEREGISTRATION_DELAY, Some("300"), Integer(0..=3600), true, "Seconds a deregistered target keeps its flows."),
        row(NlbTargets, CROSS_ZONE, Some("use_load_balancer_configuration"), OneOf(&["true", "false", "use_load_balancer_configuration"]), true, "Whether targets of all zones are used."),
        row(NlbTargets, PRESERVE_CLIENT_IP, ON, Bool, false, "Whether targets see the client's address."),
        row(NlbTargets, PROXY_PROTOCOL_V2, OFF, Bool, true, "Whether a PROXY protocol v2 header precedes each connection."),
        row(NlbTargets, "proxy_protocol_v2.client_to_server.header_placement", None, OneOf(&["on_first_ack", "on_first_ack_with_payload"]), false, "When the PROXY protocol header is sent: it is always the first thing."),
        row(NlbTargets, STICKINESS, OFF, Bool, true, "Whether a client stays with its target."),
        row(NlbTargets, STICKINESS_TYPE, Some("source_ip"), OneOf(&["source_ip"]), true, "How a client is recognised."),
        row(NlbTargets, DNS_FAILOVER_COUNT, Some("1"), OffOr(1..=1000), true, "Below this number of healthy targets, DNS leaves the zone out."),
        row(NlbTargets, DNS_FAILOVER_PERCENTAGE, Some("off"), OffOr(1..=100), true, "Below this percentage of healthy targets, DNS leaves the zone out."),
        row(NlbTargets, MINIMUM_HEALTHY_COUNT, Some("1"), Integer(1..=1000), true, "Below this number of healthy targets, all targets are used."),
        row(NlbTargets, MINIMUM_HEALTHY_PERCENTAGE, Some("off"), OffOr(1..=100), true, "Below this percentage of healthy targets, all targets are used."),
        row(NlbTargets, UNHEALTHY_TERMINATION, ON, Bool, true, "Whether flows of a target that turns unhealthy are cut."),
        row(NlbTargets, UNHEALTHY_DRAINING, Some("0"), Integer(0..=360_000), true, "Seconds a target that turns unhealthy keeps its flows."),
    ]
};

/// The attributes of one load balancer, listener or target group: every default, and what was set over it.
#[derive(Debug, Clone, PartialEq)]
pub struct Attributes {
    scope: Scope,
    entries: BTreeMap<String, Entry>,
}

#[derive(Debug, Clone, PartialEq)]
struct Entry {
    value: String,
    is_explicit: bool,
    /// Whether the scope has such an attribute.
    is_known: bool,
}

impl Attributes {
    /// All defaults of a scope.
    #[must_use]
    pub fn new(scope: Scope) -> Self {
        let defaults = TABLE.iter().filter(|attribute| attribute.scope == scope);
        let entries = defaults.filter_map(|attribute| {
            let value = attribute.default?.to_owned();
            Some((attribute.key.to_owned(), Entry { value, is_explicit: false, is_known: true }))
        });
        Self { scope, entries: entries.collect() }
    }

    /// Sets an attribute, as a manifest does.
    ///
    /// # Errors
    /// An unknown key (the value is kept all the same, as written) and a value that the attribute does not take.
    pub fn set(&mut self, key: &str, value: &str) -> Result<&'static Attribute, AttributeError> {
        let attribute = find(self.scope, key);
        if let Some(attribute) = attribute
            && !attribute.value.takes(value)
        {
            let expected = attribute.value.expected();
            return Err(AttributeError::Invalid { key: attribute.key, value: value.to_owned(), expected });
        }
        let entry = Entry { value: value.to_owned(), is_explicit: true, is_known: attribute.is_some() };
        self.entries.insert(key.to_owned(), entry);
        attribute.ok_or_else(|| AttributeError::Unknown {
            key: key.to_owned(),
            nearest: suggest::nearest(key, keys_of(self.scope)),
        })
    }

    /// Changes the default of a key, where it depends on more than the scope. What was set explicitly stays.
    pub fn set_default(&mut self, key: &str, value: &str) {
        let is_known = find(self.scope, key).is_some();
        let entry = self.entries.entry(key.to_owned());
        let entry = entry.or_insert_with(|| Entry { value: value.to_owned(), is_explicit: false, is_known });
        if !entry.is_explicit {
            entry.value = value.to_owned();
        }
    }

    /// Every attribute that has a value, by key.
    pub fn resolved(&self) -> impl Iterator<Item = (&str, &str)> {
        self.entries.iter().map(|(key, entry)| (key.as_str(), entry.value.as_str()))
    }

    /// The keys that somebody set, in order.
    pub fn explicit(&self) -> impl Iterator<Item = &str> {
        self.entries.iter().filter(|(_, entry)| entry.is_explicit).map(|(key, _)| key.as_str())
    }

    /// The value of a key, also of one that nobody knows.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&str> {
        self.entries.get(key).map(|entry| entry.value.as_str())
    }

    /// The value of an attribute that the scope has, which is one that it takes.
    #[must_use]
    pub fn known(&self, key: &str) -> Option<&str> {
        self.entries.get(key).filter(|entry| entry.is_known).map(|entry| entry.value.as_str())
    }

    /// Whether a boolean attribute is on.
    #[must_use]
    pub fn is_on(&self, key: &str) -> bool {
        self.known(key) == Some("true")
    }

    /// A whole number; `None` when it is off or not there.
    #[must_use]
    pub fn number(&self, key: &str) -> Option<u32> {
        self.known(key)?.parse().ok()
    }

    /// A time given in seconds; `None` when it is off or not there.
    #[must_use]
    pub fn seconds(&self, key: &str) -> Option<Duration> {
        self.number(key).map(|seconds| Duration::from_secs(seconds.into()))
    }
}

/// The attribute with this key in this scope.
#[must_use]
pub fn find(scope: Scope, key: &str) -> Option<&'static Attribute> {
    TABLE.iter().find(|attribute| attribute.scope == scope && attribute.key == key)
}

fn keys_of(scope: Scope) -> impl Iterator<Item = &'static str> {
    TABLE.iter().filter(move |attribute| attribute.scope == scope).map(|attribute| attribute.key)
}

impl Value {
    fn takes(&self, value: &str) -> bool {
        let in_range =
            |range: &RangeInclusive<u32>| value.parse().is_ok_and(|number| range.contains(&number));
        match self {
            Self::Bool => matches!(value, "true" | "false"),
            Self::Integer(range) => in_range(range),
            Self::ZeroOr(range) => value == "0" || in_range(range),
            Self::OffOr(range) => value == "off" || in_range(range),
            Self::OneOf(words) => words.contains(&value),
            Self::FieldName => header_modification::is_field_name(value),
            Self::FieldValue => header_modification::is_field_value(value),
            Self::FrameOption => header_modification::is_frame_option(value),
            Self::Bucket => is_bucket(value),
            Self::KeyPrefix => is_key_prefix(value),
            Self::Text => true,
        }
    }

    fn expected(&self) -> String {
        match self {
            Self::Bool => "`true` or `false`".to_owned(),
            Self::Integer(range) => format!("a number between {} and {}", range.start(), range.end()),
            Self::ZeroOr(range) => format!("0 or a number between {} and {}", range.start(), range.end()),
            Self::OffOr(range) => format!("`off` or a number between {} and {}", range.start(), range.end()),
            Self::OneOf(words) => format!("one of `{}`", words.join("`, `")),
            Self::FieldName => "a name for a header field that means nothing else".to_owned(),
            Self::FieldValue => "4096 characters of visible ASCII at most".to_owned(),
            Self::FrameOption => "`DENY`, `SAMEORIGIN` or `ALLOW-FROM ` and a URI".to_owned(),
            Self::Bucket => "the name of a bucket: lower-case letters, digits, `.` and `-`".to_owned(),
            Self::KeyPrefix => {
                format!(
                    "a prefix of keys: words of {LONGEST_WORD} characters at most with `/` between them, none of them `AWSLogs`"
                )
            }
            Self::Text => "a text".to_owned(),
        }
    }
}

/// "General purpose bucket naming rules", S3 user guide. A bucket may be a folder here, so it is never one above.
fn is_bucket(name: &str) -> bool {
    let is_of_bucket = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'-');
    (1..=63).contains(&name.len())
        && name.bytes().all(is_of_bucket)
        && !name.starts_with(['.', '-'])
        && !name.contains("..")
}

/// A word of a key may be the name of a folder, which has so many bytes at most on any system (`NAME_MAX`, POSIX).
const LONGEST_WORD: usize = 255;

/// Text that can stand in a key as it is, and in the path of a file ("Access logs for your Application Load Balancer").
fn is_key_prefix(prefix: &str) -> bool {
    let is_of_word = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.!*'()=+@,:".contains(&byte);
    let is_word = |word: &str| {
        (1..=LONGEST_WORD).contains(&word.len())
            && word.bytes().all(is_of_word)
            && !matches!(word, "." | ".." | "AWSLogs")
    };
    prefix.len() <= 512 && (prefix.is_empty() || prefix.split('/').all(is_word))
}

#[cfg(test)]
mod tests;
