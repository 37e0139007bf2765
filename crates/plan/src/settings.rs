//! What attributes mean for traffic: each text read once, into a type. Defaults are those of [`attributes::TABLE`] and stand
//! nowhere else: [`Attributes`] has a value for every attribute of its scope that has one by default. What a scope has not is
//! off, or zero.
//!
//! ```
//! use plan::attributes::{Attributes, Scope};
//! use plan::{Stickiness, TargetGroupSettings};
//!
//! let settings = TargetGroupSettings::of(&Attributes::new(Scope::ApplicationTargetGroup));
//! assert_eq!(settings.deregistration_delay.as_secs(), 300);
//! assert_eq!(settings.stickiness, Stickiness::Off);
//! ```

use std::time::Duration;

use crate::Attributes;
use crate::attributes::{self, Scope};
use crate::balance::{Algorithm, MinimumHealthy};

/// What the attributes of a target group mean ("Target group attributes", Application and Network Load Balancer guides).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetGroupSettings {
    /// How a target is chosen.
    pub algorithm: Algorithm,
    /// Whether targets that fail more than their peers get less.
    pub mitigates_anomalies: bool,
    /// How long a new target's share grows until it is a full one; `None` where it begins with that.
    pub slow_start: Option<Duration>,
    /// Whether a client stays with its target, and how it is recognised.
    pub stickiness: Stickiness,
    /// Whether targets of all zones are used.
    pub cross_zone: CrossZone,
    /// When all targets are used, whatever their health.
    pub minimum_healthy: MinimumHealthy,
    /// When DNS leaves a zone out. A count of zero never does.
    pub dns_failover: MinimumHealthy,
    /// How long a deregistered target may finish what it has.
    pub deregistration_delay: Duration,
    /// Whether flows of a deregistered target are cut when that time ends.
    pub cuts_deregistered: bool,
    /// Whether flows of a target that turns unhealthy are cut.
    pub cuts_unhealthy: bool,
    /// How long a target that turns unhealthy keeps its flows, where they are not cut.
    pub unhealthy_draining: Duration,
    /// Whether targets see the client's address.
    pub preserves_client_ip: bool,
    /// Whether a PROXY protocol v2 header precedes each connection.
    pub proxy_protocol_v2: bool,
}

/// Whether a client stays with its target, and how it is recognised.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stickiness {
    /// Each request, or flow, gets the target whose turn it is.
    Off,
    /// By a cookie of the load balancer, `AWSALB`.
    LoadBalancerCookie {
        /// How long it lasts.
        duration: Duration,
    },
    /// By a cookie of the application, and one beside it, `AWSALBAPP`.
    ApplicationCookie {
        /// Its name.
        name: String,
        /// How long it lasts.
        duration: Duration,
    },
    /// By the client's address.
    SourceIp,
}

/// Whether targets of all zones are used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CrossZone {
    /// As the load balancer has it.
    OfLoadBalancer,
    /// They are.
    On,
    /// Only those of the zone that the client came to.
    Off,
}

/// What the attributes of an Application Load Balancer mean for requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApplicationSettings {
    /// How long client and target may be silent.
    pub idle_timeout: Duration,
    /// After which age a client connection ends with its next answer.
    pub client_keep_alive: Duration,
    /// What happens to `X-Forwarded-For`.
    pub forwarded_for: ForwardedFor,
    /// Whether `Host` reaches the target as sent.
    pub preserves_host: bool,
    /// Whether fields with unusual names are dropped.
    pub drops_invalid_fields: bool,
    /// Whether clients that speak TLS are offered HTTP/2.
    pub offers_http2: bool,
    /// What an ALB would do with requests that two servers may read in two ways.
    pub desync_mode: DesyncMode,
}

/// What an ALB does with requests that two servers may read in two ways ("Desync mitigation mode", ALB user guide). All of them
/// are refused here; it says which of these an ALB would let through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DesyncMode {
    /// It lets all of them through, and counts them.
    Monitor,
    /// It refuses those of which it is sure that somebody means harm.
    Defensive,
    /// It refuses all that are not as the RFCs have them.
    Strictest,
}

/// What happens to `X-Forwarded-For`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ForwardedFor {
    /// The client's address is added.
    Append {
        /// Whether its port goes with it.
        with_port: bool,
    },
    /// It stays as it came.
    Preserve,
    /// It goes.
    Remove,
}

/// What the attributes of a listener of a Network Load Balancer mean for flows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NetworkSettings {
    /// How long a flow may be silent.
    pub idle_timeout: Duration,
}

// === impl TargetGroupSettings ===

impl TargetGroupSettings {
    /// Reads the attributes of a target group.
    #[must_use]
    pub fn of(attributes: &Attributes) -> Self {
        let slow_start = seconds(attributes, attributes::SLOW_START);
        let algorithm = attributes.known(attributes::ALGORITHM).and_then(Algorithm::named);
        Self {
            algorithm: algorithm.unwrap_or_default(),
            mitigates_anomalies: attributes.known(attributes::ANOMALY_MITIGATION) == Some("on"),
            slow_start: (!slow_start.is_zero()).then_some(slow_start),
            stickiness: Stickiness::of(attributes),
            cross_zone: match attributes.known(attributes::CROSS_ZONE) {
                Some("true") => CrossZone::On,
                Some("false") => CrossZone::Off,
                _ => CrossZone::OfLoadBalancer,
            },
            minimum_healthy: minimum_healthy(
                attributes,
                attributes::MINIMUM_HEALTHY_COUNT,
                attributes::MINIMUM_HEALTHY_PERCENTAGE,
            ),
            dns_failover: minimum_healthy(
                attributes,
                attributes::DNS_FAILOVER_COUNT,
                attributes::DNS_FAILOVER_PERCENTAGE,
            ),
            deregistration_delay: seconds(attributes, attributes::DEREGISTRATION_DELAY),
            cuts_deregistered: attributes.is_on(attributes::CONNECTION_TERMINATION),
            cuts_unhealthy: attributes.is_on(attributes::UNHEALTHY_TERMINATION),
            unhealthy_draining: seconds(attributes, attributes::UNHEALTHY_DRAINING),
            preserves_client_ip: attributes.is_on(attributes::PRESERVE_CLIENT_IP),
            proxy_protocol_v2: attributes.is_on(attributes::PROXY_PROTOCOL_V2),
        }
    }
}

// === impl Stickiness, CrossZone ===

impl Stickiness {
    fn of(attributes: &Attributes) -> Self {
        let kind = attributes.known(attributes::STICKINESS_TYPE);
        match kind.filter(|_| attributes.is_on(attributes::STICKINESS)) {
            Some("lb_cookie") => {
                Self::LoadBalancerCookie { duration: seconds(attributes, attributes::STICKINESS_DURATION) }
            }
            // Without a cookie to follow there is nobody to recognise.
            Some("app_cookie") => attributes.known(attributes::STICKINESS_COOKIE).map_or(Self::Off, |name| {
                let duration = seconds(attributes, attributes::STICKINESS_COOKIE_DURATION);
                Self::ApplicationCookie { name: name.to_owned(), duration }
            }),
            Some("source_ip") => Self::SourceIp,
            _ => Self::Off,
        }
    }
}

impl CrossZone {
    /// Whether targets of all zones are used, where the load balancer says this of all its target groups.
    #[must_use]
    pub fn is_on(self, of_load_balancer: bool) -> bool {
        match self {
            Self::OfLoadBalancer => of_load_balancer,
            Self::On => true,
            Self::Off => false,
        }
    }
}

// === impl ApplicationSettings, NetworkSettings ===

impl ApplicationSettings {
    /// Reads the attributes of a load balancer.
    #[must_use]
    pub fn of(attributes: &Attributes) -> Self {
        let with_port = attributes.is_on(attributes::XFF_CLIENT_PORT);
        Self {
            idle_timeout: seconds(attributes, attributes::IDLE_TIMEOUT),
            client_keep_alive: seconds(attributes, attributes::CLIENT_KEEP_ALIVE),
            forwarded_for: match attributes.known(attributes::XFF_MODE) {
                Some("preserve") => ForwardedFor::Preserve,
                Some("remove") => ForwardedFor::Remove,
                _ => ForwardedFor::Append { with_port },
            },
            preserves_host: attributes.is_on(attributes::PRESERVE_HOST_HEADER),
            drops_invalid_fields: attributes.is_on(attributes::DROP_INVALID_HEADER_FIELDS),
            offers_http2: attributes.is_on(attributes::HTTP2),
            desync_mode: match attributes.known(attributes::DESYNC_MITIGATION_MODE) {
                Some("monitor") => DesyncMode::Monitor,
                Some("strictest") => DesyncMode::Strictest,
                _ => DesyncMode::Defensive,
            },
        }
    }
}

/// As of a load balancer whose attributes nobody set.
impl Default for ApplicationSettings {
    fn default() -> Self {
        Self::of(&Attributes::new(Scope::Application))
    }
}

impl NetworkSettings {
    /// Reads the attributes of a listener.
    #[must_use]
    pub fn of(listener: &Attributes) -> Self {
        Self { idle_timeout: seconds(listener, attributes::TCP_IDLE_TIMEOUT) }
    }
}

fn seconds(attributes: &Attributes, key: &str) -> Duration {
    attributes.seconds(key).unwrap_or_default()
}

fn minimum_healthy(attributes: &Attributes, count: &str, percentage: &str) -> MinimumHealthy {
    let number = |key| attributes.number(key).map(|number| number as usize);
    MinimumHealthy { count: number(count).unwrap_or_default(), percentage: number(percentage) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(scope: Scope, set: &[(&str, &str)]) -> Attributes {
        let mut attributes = Attributes::new(scope);
        for (key, value) in set {
            attributes.set(key, value).unwrap();
        }
        attributes
    }

    #[test]
    fn defaults_are_those_of_the_table() {
        let application = TargetGroupSettings::of(&Attributes::new(Scope::ApplicationTargetGroup));
        let one = MinimumHealthy { count: 1, percentage: None };
        let expected = TargetGroupSettings {
            algorithm: Algorithm::default(),
            mitigates_anomalies: false,
            slow_start: None,
            stickiness: Stickiness::Off,
            cross_zone: CrossZone::OfLoadBalancer,
            minimum_healthy: one,
            dns_failover: one,
            deregistration_delay: Duration::from_secs(300),
            cuts_deregistered: false,
            cuts_unhealthy: false,
            unhealthy_draining: Duration::ZERO,
            preserves_client_ip: false,
            proxy_protocol_v2: false,
        };
        assert_eq!(application, expected);
        let network = TargetGroupSettings::of(&Attributes::new(Scope::NetworkTargetGroup));
        assert_eq!(
            network,
            TargetGroupSettings { cuts_unhealthy: true, preserves_client_ip: true, ..expected }
        );
        let load_balancer = ApplicationSettings::default();
        assert_eq!(load_balancer.idle_timeout, Duration::from_secs(60));
        assert_eq!(load_balancer.forwarded_for, ForwardedFor::Append { with_port: false });
        assert!(load_balancer.offers_http2);
        let expected = NetworkSettings { idle_timeout: Duration::from_secs(350) };
        assert_eq!(NetworkSettings::of(&Attributes::new(Scope::NetworkListener)), expected);
    }

    #[test]
    fn stickiness_is_by_what_the_attributes_name() {
        let scope = Scope::ApplicationTargetGroup;
        let on = ("stickiness.enabled", "true");
        let by_application = ("stickiness.type", "app_cookie");
        let named = ("stickiness.app_cookie.cookie_name", "JSESSIONID");
        let short = ("stickiness.app_cookie.duration_seconds", "60");
        let day = Duration::from_secs(86_400);
        let followed = |duration| Stickiness::ApplicationCookie { name: "JSESSIONID".to_owned(), duration };
        for (scope, set, expected) in [
            (scope, vec![], Stickiness::Off),
            (scope, vec![by_application, named], Stickiness::Off),
            (scope, vec![on], Stickiness::LoadBalancerCookie { duration: day }),
            (scope, vec![on, by_application], Stickiness::Off),
            (scope, vec![on, by_application, named], followed(day)),
            (scope, vec![on, by_application, named, short], followed(Duration::from_secs(60))),
            (Scope::NetworkTargetGroup, vec![on], Stickiness::SourceIp),
        ] {
            assert_eq!(TargetGroupSettings::of(&with(scope, &set)).stickiness, expected, "{set:?}");
        }
    }

    #[test]
    fn off_is_no_threshold_and_zero_no_slow_start() {
        let mut attributes = with(
            Scope::ApplicationTargetGroup,
            &[
                ("target_group_health.dns_failover.minimum_healthy_targets.count", "off"),
                ("target_group_health.dns_failover.minimum_healthy_targets.percentage", "50"),
                ("slow_start.duration_seconds", "30"),
            ],
        );
        let settings = TargetGroupSettings::of(&attributes);
        assert_eq!(settings.dns_failover, MinimumHealthy { count: 0, percentage: Some(50) });
        assert_eq!(settings.slow_start, Some(Duration::from_secs(30)));
        attributes.set("slow_start.duration_seconds", "0").unwrap();
        assert_eq!(TargetGroupSettings::of(&attributes).slow_start, None);
    }

    #[test]
    fn an_attribute_that_the_scope_has_not_means_nothing() {
        let mut attributes = Attributes::new(Scope::ApplicationTargetGroup);
        attributes.set("proxy_protocol_v2.enabled", "true").unwrap_err();
        assert!(!TargetGroupSettings::of(&attributes).proxy_protocol_v2);
    }

    #[test]
    fn a_target_group_may_leave_zones_to_its_load_balancer() {
        for (value, of_load_balancer, expected) in [
            ("use_load_balancer_configuration", true, true),
            ("use_load_balancer_configuration", false, false),
            ("true", false, true),
            ("false", true, false),
        ] {
            let attributes = with(Scope::NetworkTargetGroup, &[("load_balancing.cross_zone.enabled", value)]);
            let cross_zone = TargetGroupSettings::of(&attributes).cross_zone;
            assert_eq!(cross_zone.is_on(of_load_balancer), expected, "{value}");
        }
    }
}
