//! Attributes as written to attributes as they are.

use plan::Attributes;
use plan::attributes::{self, AttributeError};

use crate::annotations::Map;
use crate::{Finding, Object, codes};

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
    let algorithm = attributes.get(attributes::ALGORITHM).unwrap_or_default();
    let is = |key: &str, value: &str| attributes.get(key) == Some(value);
    let ramps = attributes.number(attributes::SLOW_START).is_some_and(|seconds| seconds > 0);
    let cookie = attributes.get("stickiness.app_cookie.cookie_name");
    let by_application =
        attributes.is_on(attributes::STICKINESS) && is(attributes::STICKINESS_TYPE, "app_cookie");
    let problems = [
        (ramps && algorithm != "round_robin").then(|| {
            format!("attribute `slow_start.duration_seconds` does not go with the algorithm `{algorithm}`")
        }),
        (is("load_balancing.algorithm.anomaly_mitigation", "on") && algorithm != "weighted_random").then(|| {
            format!("attribute `load_balancing.algorithm.anomaly_mitigation` does not go with the algorithm `{algorithm}`")
        }),
        (by_application && cookie.is_none())
            .then(|| "stickiness by `app_cookie` needs `stickiness.app_cookie.cookie_name`".to_owned()),
        cookie.filter(|name| name.starts_with("AWSALB")).map(|name| {
            format!("attribute `stickiness.app_cookie.cookie_name`: `{name}` is a name of the load balancer's own")
        }),
        (attributes.is_on(attributes::STICKINESS) && is("load_balancing.cross_zone.enabled", "false"))
            .then(|| "stickiness does not go with `load_balancing.cross_zone.enabled=false`".to_owned()),
    ];
    findings.extend(problems.into_iter().flatten().map(|message| {
        Finding::new(&codes::ATTRIBUTE_INVALID, message).at_annotation(written.object, written.key)
    }));
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
