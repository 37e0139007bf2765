//! Domains of InferenceServices: the ConfigMap `knative-serving/config-domain`.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::kinds::config;
use crate::kinds::selector::has_all;
use crate::wire::{self, Case, Kept};
use crate::{Defaults, Finding, Objects, codes, read};

/// The domain of what is not public.
pub(super) const CLUSTER_LOCAL: &str = "svc.cluster.local";

/// Domains, each with the labels that an InferenceService must have to get it.
pub(super) struct Domains {
    by_name: BTreeMap<String, BTreeMap<String, String>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct DomainSettings {
    selector: BTreeMap<String, String>,
    #[serde(rename = "type")]
    _type: Kept,
}

/// The domains that there are: those of the ConfigMap, else the default one.
pub(super) fn of(objects: &Objects, defaults: &Defaults, findings: &mut Vec<Finding>) -> Domains {
    let mut by_name = BTreeMap::new();
    let object = objects.get("ConfigMap", "knative-serving", "config-domain");
    let texts = object.and_then(|object| config::texts(object, findings)).unwrap_or_default();
    for (name, text) in texts.into_iter().filter(|(name, _)| name != "_example") {
        let Some(object) = object else { continue };
        let path = read::key_path("data", &name);
        let mut wrong = |message: String| {
            findings.push(Finding::new(&codes::FIELD_INVALID, message).at(object, &path));
        };
        if !is_domain(&name) {
            wrong(format!("`{name}` is not a domain"));
            continue;
        }
        match settings(&text) {
            Ok(settings) => {
                by_name.insert(name.to_ascii_lowercase(), settings.selector);
            }
            Err(problem) => wrong(format!("domain `{name}`: {problem}")),
        }
    }
    if by_name.is_empty() {
        by_name.insert(defaults.domain.clone(), BTreeMap::new());
    }
    Domains { by_name }
}

fn settings(text: &str) -> Result<DomainSettings, String> {
    let value = read::parse_yaml(text)?;
    if value.is_null() {
        return Ok(DomainSettings::default());
    }
    wire::from_value(&value, "", Case::Exact).0.map_err(|error| error.to_string())
}

fn is_domain(name: &str) -> bool {
    let is_part = |part: &str| {
        let is_good = part.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        !part.is_empty() && part.len() <= 63 && is_good && !part.starts_with('-') && !part.ends_with('-')
    };
    name.len() <= 200 && name.split('.').all(is_part)
}

// === impl Domains ===

impl Domains {
    /// The domain for something with these labels. The one that asks for most labels wins, and among equals the first.
    pub(super) fn for_labels(&self, labels: &BTreeMap<String, String>) -> &str {
        let fitting = self.by_name.iter().filter(|(_, selector)| has_all(labels, selector));
        let best = fitting.min_by_key(|(_, selector)| usize::MAX - selector.len());
        best.map_or(CLUSTER_LOCAL, |(name, _)| name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Object, read};

    #[track_caller]
    fn check(data: &str, labels: &[(&str, &str)], expected: &str) {
        let text = format!(
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: config-domain, namespace: knative-serving}}\ndata:\n{data}"
        );
        let objects: Vec<Object> = read("f", &text).objects;
        let mut findings = Vec::new();
        let domains = of(&objects.into_iter().collect(), &Defaults::default(), &mut findings);
        let labels = labels.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        assert_eq!(domains.for_labels(&labels), expected);
        assert_eq!(findings, []);
    }

    #[test]
    fn acc_s2_07_the_default_domain_is_example_com() {
        check("  _example: |\n    anything\n", &[], "example.com");
    }

    #[test]
    fn acc_s2_08_and_s2_09_a_domain_without_selector_is_for_all() {
        check("  platform.example.com: ''\n  _example: x\n", &[("a", "b")], "platform.example.com");
        check("  platform.example.com: ||\n".replace("||", "|\n").as_str(), &[], "platform.example.com");
    }

    #[test]
    fn most_labels_win_and_equals_are_taken_in_order() {
        let data = "  z.com: ''\n  b.com: |\n    selector: {app: web}\n  a.com: |\n    selector:\n      app: web\n  c.com: |\n    selector: {app: web, tier: x}\n    type: wildcard\n";
        check(data, &[], "z.com");
        check(data, &[("app", "web")], "a.com");
        check(data, &[("app", "web"), ("tier", "x")], "c.com");
        check("  a.com: |\n    selector: {app: web}\n", &[], CLUSTER_LOCAL);
    }
}
