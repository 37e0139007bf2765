//! Numbers that have bounds. Kubernetes' own have 32 bits: what does not fit, or is no number at all, is not even decoded.

use serde_json::Value;

use super::texts::go_type;
use super::{Violation, at, each};
use crate::Kind;
use crate::kinds::pod::MAX_REPLICAS;

/// A number of an object.
pub(crate) struct Number {
    /// Where; `[]` stands for every item of a list.
    path: &'static str,
    least: i64,
    most: i64,
    /// What it may be besides.
    or: Or,
}

/// What may stand in place of a number.
#[derive(PartialEq, Eq)]
pub(crate) enum Or {
    Nothing,
    /// A name, which is looked up elsewhere.
    Name,
    Percentage,
}

pub(crate) const INT32: i64 = i32::MAX as i64;
pub(crate) const PORTS: (i64, i64) = (1, 65_535);
pub(crate) const REPLICAS: i64 = MAX_REPLICAS as i64;

/// The numbers of a pod's spec.
const POD_NUMBERS: &[Number] = &[
    number("terminationGracePeriodSeconds", 0, INT32),
    number("containers[].ports[].containerPort", PORTS.0, PORTS.1),
    number("containers[].ports[].hostPort", 0, PORTS.1),
];

const PROBES: &[&str] = &["startupProbe", "readinessProbe", "livenessProbe"];

/// The numbers of a container's probe.
const PROBE_NUMBERS: &[Number] = &[
    number("initialDelaySeconds", 0, INT32),
    number("timeoutSeconds", 0, INT32),
    number("periodSeconds", 0, INT32),
    number("successThreshold", 0, INT32),
    number("failureThreshold", 0, INT32),
    number("httpGet.port", PORTS.0, PORTS.1).or(Or::Name),
    number("tcpSocket.port", PORTS.0, PORTS.1).or(Or::Name),
    number("grpc.port", PORTS.0, PORTS.1).or(Or::Name),
];

/// Finds every number that is none, or out of bounds.
pub(super) fn check(kind: &Kind, object: &Value, found: &mut Vec<Violation>) {
    let mut check = |within: &Value, above: &str, number: &Number| {
        each(within, above, number.path, &mut |field, value| {
            found.extend(number.problem(value).map(|why| violation(kind, field, value, why)));
        });
    };
    kind.rules.numbers.iter().for_each(|number| check(object, "", number));
    if let Some(spec) = kind.pods.spec() {
        let Some(pod) = at(object, spec) else { return };
        POD_NUMBERS.iter().for_each(|number| check(pod, spec, number));
        for probe in PROBES {
            each(pod, spec, &format!("containers[].{probe}"), &mut |path, probe| {
                PROBE_NUMBERS.iter().for_each(|number| check(probe, &path, number));
            });
        }
    }
}

fn violation(kind: &Kind, field: String, value: &Value, why: String) -> Violation {
    let is_undecodable = why == NO_NUMBER || (value.is_number() && as_int32(value).is_none());
    if !is_undecodable {
        return Violation::invalid(field, value, why);
    }
    let written = if value.is_number() { format!("number {value}") } else { go_type(value).to_owned() };
    let name: String = field.split(['[', ']']).step_by(2).collect();
    let of = innermost_type(kind, &name);
    let message = format!("json: cannot unmarshal {written} into Go struct field {of}.{name} of type int32");
    let ours = format!("is `{}`: it {why}", value.to_string().trim_matches('"'));
    Violation::undecodable(field, message, ours)
}

/// The type that has a field itself, which Go's decoder names: `DeploymentSpec` of `spec.replicas`.
fn innermost_type(kind: &Kind, field: &str) -> &'static str {
    let Some(known) = schema::of(kind.group, kind.version, kind.kind) else { return kind.kind };
    let above = field.rsplit_once('.').map_or("", |(above, _)| above);
    let steps = above.split('.').filter(|step| !step.is_empty());
    let inside = |of: &'static schema::Type, step: &str| {
        of.field(step).and_then(|field| field.holds.object()).unwrap_or(of)
    };
    steps.fold(known, inside).name
}

// === impl Number ===

pub(crate) const fn number(path: &'static str, least: i64, most: i64) -> Number {
    Number { path, least, most, or: Or::Nothing }
}

impl Number {
    pub(crate) const fn or(mut self, or: Or) -> Self {
        self.or = or;
        self
    }

    /// Why a value is not one of these; null counts as nothing.
    fn problem(&self, value: &Value) -> Option<String> {
        let number = match value {
            Value::Null => return None,
            Value::String(_) if self.or == Or::Name => return None,
            Value::String(text) if self.or == Or::Percentage => return problem_of_percentage(text),
            value => value.as_f64(),
        };
        let Some(number) = number else { return Some(NO_NUMBER.to_owned()) };
        let (least, most) = (self.least as f64, self.most as f64);
        if (least..=most).contains(&number) && as_int32(value).is_some() {
            return None;
        }
        Some(match (self.least, self.most) {
            (0, _) if number < 0.0 => "must be greater than or equal to 0".to_owned(),
            (_, REPLICAS) => {
                format!("must be less than or equal to {REPLICAS}, the most that one machine runs")
            }
            (least, INT32) if number < least as f64 => format!("must be greater than or equal to {least}"),
            (least, most) => format!("must be between {least} and {most}, inclusive"),
        })
    }
}

fn problem_of_percentage(text: &str) -> Option<String> {
    let percent = text.strip_suffix('%').filter(|digits| !digits.is_empty() && digits.len() <= 9);
    let is_good = percent.is_some_and(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()));
    (!is_good).then(|| NO_PERCENTAGE.to_owned())
}

const NO_PERCENTAGE: &str = "a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', regex used for validation is '[0-9]+%')";
const NO_NUMBER: &str = "must be a number";

fn as_int32(value: &Value) -> Option<i32> {
    i32::try_from(value.as_i64()?).ok()
}
