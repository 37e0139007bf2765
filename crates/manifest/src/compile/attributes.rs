//! Attributes as written to attributes as they are.

use plan::attributes::{self, AttributeError};
use plan::{Attributes, CrossZone, TargetGroupSettings};

use crate::annotations::Map;
use crate::{Finding, Object, Severity, codes};

/// Where attributes were written.
pub(super) struct Written<'a> {
    pub(super) object: &'a Object,
    /// The annotation.
    pub(super) key: &'a str,
}

/// Sets attributes. What nobody knows is kept with a warning, what is wrong is an error, and what does nothing here says so.
pub(super) fn set(
    attributes: &mut Attributes,
    values: &Map,
    written: &Written<'_>,
    findings: &mut Vec<Finding>,
) {
    let mut idle = Vec::new();
    let mut push = |code, message: String, suggestion: Option<String>| {
        let finding = Finding::new(code, message).at_annotation(written.object, written.key);
        findings.push(finding.maybe_suggest(suggestion));
    };
    for (key, value) in values {
        match attributes.set(key, value) {
            Ok(attribute) => {
                if !attribute.acts && attribute.default != Some(value.as_str()) {
                    idle.push(format!("{key}={value}"));
                }
            }
            Err(error @ AttributeError::Unknown { nearest, .. }) => {
                push(&codes::ATTRIBUTE_UNKNOWN, error.to_string(), nearest.map(str::to_owned));
            }
            Err(error @ AttributeError::Invalid { .. }) => {
                push(&codes::ATTRIBUTE_INVALID, error.to_string(), None);
            }
        }
    }
    if !idle.is_empty() {
        let message = format!("recorded, and without effect in this build: {}", idle.join(", "));
        push(&codes::ANNOTATION_NO_EFFECT, message, None);
    }
}

/// Combinations of target group attributes that the ELB API refuses.
pub(super) fn check_target_group(
    attributes: &Attributes,
    written: &Written<'_>,
    findings: &mut Vec<Finding>,
) {
    let settings = TargetGroupSettings::of(attributes);
    let algorithm = settings.algorithm.as_str();
    let is_sticky = attributes.is_on(attributes::STICKINESS);
    let by_application = is_sticky && attributes.known(attributes::STICKINESS_TYPE) == Some("app_cookie");
    let cookie = attributes.known(attributes::STICKINESS_COOKIE);
    let problems = [
        (settings.slow_start.is_some() && !settings.algorithm.takes_slow_start()).then(|| {
            format!("attribute `slow_start.duration_seconds` does not go with the algorithm `{algorithm}`")
        }),
        (settings.mitigates_anomalies && !settings.algorithm.takes_anomaly_mitigation()).then(|| {
            format!("attribute `load_balancing.algorithm.anomaly_mitigation` does not go with the algorithm `{algorithm}`")
        }),
        (by_application && cookie.is_none())
            .then(|| "stickiness by `app_cookie` needs `stickiness.app_cookie.cookie_name`".to_owned()),
        cookie.filter(|name| name.starts_with("AWSALB")).map(|name| {
            format!("attribute `stickiness.app_cookie.cookie_name`: `{name}` is a name of the load balancer's own")
        }),
        (is_sticky && settings.cross_zone == CrossZone::Off)
            .then(|| "stickiness does not go with `load_balancing.cross_zone.enabled=false`".to_owned()),
    ];
    findings.extend(problems.into_iter().flatten().map(|message| {
        Finding::new(&codes::ATTRIBUTE_INVALID, message).at_annotation(written.object, written.key)
    }));
}

/// Values of target group attributes that are ours: the ELB API refuses them.
pub(super) fn check_of_ours(
    attributes: &Attributes,
    written: &Written<'_>,
    strict_aws: bool,
    findings: &mut Vec<Finding>,
) {
    let algorithm = TargetGroupSettings::of(attributes).algorithm;
    if !algorithm.is_of_aws() {
        let name = algorithm.as_str();
        let message =
            format!("attribute `{}`: a load balancer of AWS does not know `{name}`", attributes::ALGORITHM);
        let severity = if strict_aws { Severity::Error } else { Severity::Warning };
        let finding = Finding::new(&codes::OURS_ONLY, message).at_annotation(written.object, written.key);
        findings.push(finding.suggest("least_outstanding_requests").with_severity(severity));
    }
}

/// The attributes with which all members of a group agree; those that two members set differently are errors.
pub(super) fn agreed<'a>(
    members: impl Iterator<Item = (&'a Object, &'a Map)>,
    key: &str,
    findings: &mut Vec<Finding>,
) -> Map {
    let mut agreed = Map::new();
    for (object, values) in members {
        for (name, value) in values {
            let other = agreed.entry(name.clone()).or_insert_with(|| value.clone());
            if other != value {
                let message = format!(
                    "attribute `{name}` is `{value}` here and `{other}` in another Ingress of the group"
                );
                findings.push(Finding::new(&codes::ATTRIBUTE_CONFLICT, message).at_annotation(object, key));
            }
        }
    }
    agreed
}
