//! Label and field selectors: which objects somebody asks for.

use std::borrow::Cow;
use std::collections::BTreeMap;

use manifest::Object;
use serde_json::Value;

use super::{Reason, Status};

/// Requirements on labels; all must hold. Without any, every object is selected.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LabelSelector {
    requirements: Vec<Requirement>,
}

/// Requirements on fields; all must hold. Without any, every object is selected.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FieldSelector {
    requirements: Vec<FieldRequirement>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Requirement {
    In {
        key: String,
        values: Vec<String>,
    },
    NotIn {
        key: String,
        values: Vec<String>,
    },
    Exists {
        key: String,
    },
    Absent {
        key: String,
    },
    /// A label that is a whole number above this one.
    Above {
        key: String,
        bound: i64,
    },
    /// A label that is a whole number below this one.
    Below {
        key: String,
        bound: i64,
    },
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct FieldRequirement {
    path: String,
    value: String,
    equal: bool,
}

/// Fields that are off where they are left out.
const SWITCHES: &[&str] = &["spec.hostNetwork", "spec.unschedulable"];

// === impl LabelSelector ===

impl LabelSelector {
    /// Parses `app=web,tier!=cache,zone in (a,b),env notin (dev),canary,!retired,size>4`.
    ///
    /// # Errors
    /// The first requirement that cannot be read.
    pub fn parse(written: &str) -> Result<Self, Status> {
        if written.trim().is_empty() {
            return Ok(Self::default());
        }
        let requirements = split_outside_parentheses(written).map(str::trim);
        let requirements = requirements.map(|part| {
            Requirement::parse(part)
                .map_err(|why| Status::new(Reason::BadRequest, format!("unable to parse requirement: {why}")))
        });
        Ok(Self { requirements: requirements.collect::<Result<_, _>>()? })
    }

    /// Every label of the map must be there with its value, as in a Service's selector.
    #[must_use]
    pub fn from_map(labels: &Value) -> Self {
        let pairs = labels.as_object().into_iter().flatten();
        let requirements = pairs.map(|(key, value)| Requirement::In {
            key: key.clone(),
            values: vec![value.as_str().unwrap_or_default().to_owned()],
        });
        Self { requirements: requirements.collect() }
    }

    /// `matchLabels` and `matchExpressions`, as in a Deployment's selector. `None`: an operator that is unknown.
    #[must_use]
    pub fn from_selector(selector: &Value) -> Option<Self> {
        let mut all = Self::from_map(&selector["matchLabels"]);
        for expression in selector["matchExpressions"].as_array().into_iter().flatten() {
            let key = expression["key"].as_str()?.to_owned();
            let values = expression["values"].as_array().into_iter().flatten();
            let values = values.filter_map(|value| value.as_str().map(ToOwned::to_owned)).collect();
            all.requirements.push(match expression["operator"].as_str()? {
                "In" => Requirement::In { key, values },
                "NotIn" => Requirement::NotIn { key, values },
                "Exists" => Requirement::Exists { key },
                "DoesNotExist" => Requirement::Absent { key },
                _ => return None,
            });
        }
        Some(all)
    }

    /// Whether there is no requirement.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.requirements.is_empty()
    }

    /// Whether an object with these labels is selected.
    #[must_use]
    pub fn matches(&self, labels: &BTreeMap<&str, &str>) -> bool {
        self.requirements.iter().all(|requirement| requirement.holds(labels))
    }
}

impl Requirement {
    fn parse(part: &str) -> Result<Self, String> {
        // Whoever leaves a requirement out does not mean everything.
        if part.is_empty() {
            return Err("found ',', expected: !, identifier, or 'end of string'".to_owned());
        }
        if let Some(key) = part.strip_prefix('!') {
            return Ok(Self::Absent { key: label_key(key)? });
        }
        let operator_at = part.find(['=', '!', ' ', '(', '>', '<']).unwrap_or(part.len());
        let (key, rest) = part.split_at(operator_at);
        let (key, rest) = (label_key(key)?, rest.trim_start());
        let one = |value: &str| label_value(value).map(|value| vec![value]);
        Ok(if rest.is_empty() {
            Self::Exists { key }
        } else if let Some(value) = rest.strip_prefix("!=") {
            Self::NotIn { key, values: one(value)? }
        } else if let Some(value) = rest.strip_prefix("==").or_else(|| rest.strip_prefix('=')) {
            Self::In { key, values: one(value)? }
        } else if let Some(value) = rest.strip_prefix('>') {
            Self::Above { bound: label_number(value)?, key }
        } else if let Some(value) = rest.strip_prefix('<') {
            Self::Below { bound: label_number(value)?, key }
        } else if let Some(list) = rest.strip_prefix("notin") {
            Self::NotIn { key, values: value_list(list)? }
        } else if let Some(list) = rest.strip_prefix("in") {
            Self::In { key, values: value_list(list)? }
        } else {
            return Err(format!("found '{rest}', expected: in, notin, =, ==, !=, gt, lt"));
        })
    }

    fn holds(&self, labels: &BTreeMap<&str, &str>) -> bool {
        let one_of = |key: &String, values: &[String]| {
            labels.get(key.as_str()).is_some_and(|label| values.iter().any(|value| value == label))
        };
        let number = |key: &String| labels.get(key.as_str()).and_then(|label| label.parse::<i64>().ok());
        match self {
            Self::In { key, values } => one_of(key, values),
            Self::NotIn { key, values } => !one_of(key, values),
            Self::Exists { key } => labels.contains_key(key.as_str()),
            Self::Absent { key } => !labels.contains_key(key.as_str()),
            Self::Above { key, bound } => number(key).is_some_and(|number| number > *bound),
            Self::Below { key, bound } => number(key).is_some_and(|number| number < *bound),
        }
    }
}

/// `(a, b)`
fn value_list(written: &str) -> Result<Vec<String>, String> {
    let inside = written.trim().strip_prefix('(').and_then(|rest| rest.strip_suffix(')'));
    let inside = inside.ok_or_else(|| format!("found '{}', expected: '('", written.trim()))?;
    inside.split(',').map(label_value).collect()
}

fn label_key(written: &str) -> Result<String, String> {
    let key = written.trim();
    match manifest::problem_of_label_key(key) {
        None => Ok(key.to_owned()),
        Some(why) => Err(format!("<nil>: Invalid value: \"{key}\": {why}")),
    }
}

fn label_value(written: &str) -> Result<String, String> {
    let value = written.trim();
    match manifest::problem_of_label_value(value) {
        None => Ok(value.to_owned()),
        Some(why) => Err(format!("values[0]: Invalid value: \"{value}\": {why}")),
    }
}

fn label_number(written: &str) -> Result<i64, String> {
    let value = written.trim();
    let why = "for 'Gt', 'Lt' operators, the value must be an integer";
    value.parse().map_err(|_| format!("values[0]: Invalid value: \"{value}\": {why}"))
}

fn split_outside_parentheses(written: &str) -> impl Iterator<Item = &str> {
    let mut is_inside = false;
    written.split(move |character| {
        match character {
            '(' => is_inside = true,
            ')' => is_inside = false,
            _ => {}
        }
        character == ',' && !is_inside
    })
}

// === impl FieldSelector ===

impl FieldSelector {
    /// Parses `metadata.name=web,status.phase!=Running`; `\` takes the meaning from `,`, `=` and itself.
    ///
    /// # Errors
    /// The first requirement that cannot be read.
    pub fn parse(written: &str) -> Result<Self, Status> {
        let requirements = split_unescaped(written).into_iter().filter(|part| !part.is_empty());
        let requirements = requirements.map(|part| {
            FieldRequirement::parse(part)
                .ok_or_else(|| Status::new(Reason::BadRequest, format!("invalid field selector: `{part}`")))
        });
        Ok(Self { requirements: requirements.collect::<Result<_, _>>()? })
    }

    /// The field is this value.
    #[must_use]
    pub fn and(mut self, path: &str, value: &str) -> Self {
        let requirement = FieldRequirement { path: path.to_owned(), value: value.to_owned(), equal: true };
        self.requirements.push(requirement);
        self
    }

    /// The same of fields that are called otherwise where they are stored.
    #[must_use]
    pub(crate) fn renamed(mut self, stored: impl Fn(&str) -> Option<String>) -> Self {
        for requirement in &mut self.requirements {
            if let Some(path) = stored(&requirement.path) {
                requirement.path = path;
            }
        }
        self
    }

    /// Whether there is no requirement.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.requirements.is_empty()
    }

    /// The fields that it is about.
    pub fn paths(&self) -> impl Iterator<Item = &str> {
        self.requirements.iter().map(|requirement| requirement.path.as_str())
    }

    /// The value that a field must have.
    #[must_use]
    pub fn required(&self, path: &str) -> Option<&str> {
        let found =
            self.requirements.iter().find(|requirement| requirement.equal && requirement.path == path);
        found.map(|requirement| requirement.value.as_str())
    }

    /// Whether the object is selected.
    #[must_use]
    pub fn matches(&self, object: &Object) -> bool {
        self.requirements.iter().all(|requirement| requirement.holds(&object.value))
    }
}

impl FieldRequirement {
    fn parse(part: &str) -> Option<Self> {
        let (path, value, equal) = if let Some((path, value)) = part.split_once("!=") {
            (path, value, false)
        } else if let Some((path, value)) = part.split_once("==") {
            (path, value, true)
        } else {
            let (path, value) = part.split_once('=')?;
            (path, value, true)
        };
        let path = path.trim().to_owned();
        (!path.is_empty()).then(|| Self { path, value: unescape(value), equal })
    }

    fn holds(&self, object: &Value) -> bool {
        let field = self.path.split('.').try_fold(object, |value, key| value.get(key));
        let text = match field {
            Some(Value::String(text)) => Cow::from(text),
            // Who reports an event stands within it.
            Some(Value::Object(source)) if self.path == "source" => {
                Cow::from(source.get("component").and_then(Value::as_str).unwrap_or_default())
            }
            None | Some(Value::Null) if SWITCHES.contains(&self.path.as_str()) => Cow::from("false"),
            None | Some(Value::Null) => Cow::default(),
            Some(other) => Cow::from(other.to_string()),
        };
        (text == self.value) == self.equal
    }
}

fn split_unescaped(written: &str) -> Vec<&str> {
    let (mut parts, mut start, mut escaped) = (Vec::new(), 0, false);
    for (at, character) in written.char_indices() {
        if character == ',' && !escaped {
            parts.push(&written[start..at]);
            start = at + 1;
        }
        escaped = character == '\\' && !escaped;
    }
    parts.push(&written[start..]);
    parts
}

fn unescape(written: &str) -> String {
    let mut escaped = false;
    let characters = written.chars().filter(|character| {
        escaped = *character == '\\' && !escaped;
        !escaped
    });
    characters.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn selects(selector: &str, labels: &[(&str, &str)]) -> bool {
        LabelSelector::parse(selector).unwrap().matches(&labels.iter().copied().collect())
    }

    #[test]
    fn every_form_of_label_requirement() {
        let web = [("app", "web"), ("zone", "a"), ("example.com/track", "stable"), ("n", "5")];
        for selected in [
            "",
            "app=web",
            "app == web , zone=a",
            "app!=api",
            "missing!=x",
            "zone in (a,b)",
            "zone in (a, b),app",
            "zone notin (c)",
            "missing notin (c)",
            "example.com/track",
            "!missing",
            "n>4",
            "n < 6",
        ] {
            assert!(selects(selected, &web), "{selected} should select");
        }
        for other in [
            "app=api",
            "app!=web",
            "zone in (c)",
            "zone notin (a)",
            "missing",
            "!app",
            "app=",
            "missing=",
            "n>5",
            "app>1",
        ] {
            assert!(!selects(other, &web), "{other} should not select");
        }
        for wrong in [
            "=a", "a=b=c", "a in b", "a notin", "a in (b", "a~b", "!", "a b", "a=b c", "n>x", "-a=b",
            "a/b/c=x", "/a=b",
        ] {
            assert!(LabelSelector::parse(wrong).is_err(), "{wrong} should be refused");
        }
    }

    #[test]
    fn selectors_of_deployments_have_expressions() {
        let selector = json!({
            "matchLabels": {"app": "web"},
            "matchExpressions": [{"key": "track", "operator": "NotIn", "values": ["canary"]}],
        });
        let selector = LabelSelector::from_selector(&selector).unwrap();
        assert!(selector.matches(&[("app", "web")].into()));
        assert!(!selector.matches(&[("app", "web"), ("track", "canary")].into()));
        let unknown = json!({"matchExpressions": [{"key": "a", "operator": "Near"}]});
        assert!(LabelSelector::from_selector(&unknown).is_none());
    }

    #[test]
    fn field_requirements_compare_text() {
        let event = json!({"involvedObject": {"name": "a,b", "uid": "1"}, "count": 3});
        let holds = |selector: &str| {
            let selector = FieldSelector::parse(selector).unwrap();
            selector.requirements.iter().all(|requirement| requirement.holds(&event))
        };
        for selected in
            ["", "count=3", r"involvedObject.name=a\,b", "involvedObject.uid!=2", "missing=", "a.b.c!=x"]
        {
            assert!(holds(selected), "{selected} should select");
        }
        for other in ["count=4", "involvedObject.name=a", "count!=3", "missing=x"] {
            assert!(!holds(other), "{other} should not select");
        }
        assert!(FieldSelector::parse("nothing").is_err());
    }
}
