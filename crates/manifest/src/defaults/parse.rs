//! The file of `--env`: JSON or YAML, every key optional.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{Defaults, KnownCertificate, Named, ServiceSelection};
use crate::annotations::values::cidr;
use crate::annotations::words;
use crate::wire::{self, Case, Kept, Note};
use crate::{Finding, Location, codes, read};

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Environment {
    default_target_type: Option<String>,
    enable_ip_target_type: Option<bool>,
    default_load_balancer_scheme: Option<String>,
    default_ssl_policy: Option<String>,
    default_tags: BTreeMap<String, String>,
    ingress_class: Option<String>,
    service_selection: Option<Selection>,
    tolerate_non_existent_backend_service: Option<bool>,
    tolerate_non_existent_backend_action: Option<bool>,
    enable_backend_security_group: Kept,
    enable_tcp_udp_listener: Option<bool>,
    feature_gates: BTreeMap<String, bool>,
    certificates: Option<Vec<Certificate>>,
    region: Option<String>,
    web_acls: Option<Vec<Entry>>,
    trust_stores: Option<Vec<Entry>>,
    target_groups: Option<Vec<Entry>>,
    prefix_lists: BTreeMap<String, Vec<String>>,
    subnets: Kept,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "camelCase")]
enum Selection {
    All,
    Controller,
}

#[derive(Deserialize)]
struct Certificate {
    arn: String,
    #[serde(default)]
    domains: Vec<String>,
    #[serde(default, rename = "secret")]
    _secret: Kept,
}

#[derive(Deserialize)]
struct Entry {
    arn: String,
    #[serde(default)]
    name: String,
    #[serde(default, rename = "file")]
    _file: Kept,
    #[serde(default, rename = "targets")]
    _targets: Kept,
}

impl Defaults {
    /// Reads the file of `--env`. What is wrong in it is left at its default, with a finding.
    #[must_use]
    pub fn parse(file: &str, text: &str) -> (Self, Vec<Finding>) {
        let mut findings = Vec::new();
        let mut defaults = Self::default();
        if let Err((path, problem)) = defaults.take(file, text, &mut findings) {
            let message = if path.is_empty() { problem } else { format!("{path}: {problem}") };
            findings.push(at(file, Finding::new(&codes::ENV_INVALID, message), &path));
        }
        (defaults, findings)
    }

    fn take(&mut self, file: &str, text: &str, findings: &mut Vec<Finding>) -> Result<(), (String, String)> {
        let value = read::parse_yaml(text).map_err(|problem| (String::new(), problem))?;
        if value.is_null() {
            return Ok(());
        }
        let (environment, notes) = wire::from_value::<Environment>(&value, "", Case::Exact);
        for note in notes {
            let Note::Unknown { path, nearest } = note else { continue };
            if path.starts_with('_') || path.starts_with("[\"_") {
                continue;
            }
            let finding =
                Finding::new(&codes::ENV_UNKNOWN, format!("`{path}` is not a setting that is known"));
            let finding = finding.maybe_suggest(nearest.map(|near| format!("did you mean `{near}`?")));
            findings.push(at(file, finding, &path));
        }
        let environment = environment.map_err(|error| (error.path.clone(), error.problem))?;
        self.follow(environment)
    }

    fn follow(&mut self, environment: Environment) -> Result<(), (String, String)> {
        let Environment { default_tags, feature_gates, .. } = environment;
        self.tags = default_tags;
        self.feature_gates = feature_gates;
        self.enable_ip_target_type = environment.enable_ip_target_type.unwrap_or(true);
        self.tolerate_missing_service = environment.tolerate_non_existent_backend_service.unwrap_or(true);
        self.tolerate_missing_action = environment.tolerate_non_existent_backend_action.unwrap_or(true);
        self.enable_tcp_udp_listener = environment.enable_tcp_udp_listener.unwrap_or(false);
        self.ssl_policy = environment.default_ssl_policy.unwrap_or_else(|| self.ssl_policy.clone());
        self.ingress_class = environment.ingress_class.unwrap_or_else(|| self.ingress_class.clone());
        self.service_selection = match environment.service_selection {
            Some(Selection::Controller) => ServiceSelection::Controller,
            Some(Selection::All) | None => ServiceSelection::All,
        };
        self.certificates = environment.certificates.map(|all| {
            all.into_iter().map(|it| KnownCertificate { arn: it.arn, domains: it.domains }).collect()
        });
        self.region = environment.region;
        self.web_acls = environment.web_acls.map(named);
        self.trust_stores = environment.trust_stores.map(named);
        self.target_groups = environment.target_groups.map(named);
        if let Some(text) = environment.default_target_type {
            let parsed = words::target_type(&text);
            self.target_type = parsed.map_err(|it| ("defaultTargetType".to_owned(), it.message))?;
        }
        if let Some(text) = environment.default_load_balancer_scheme {
            let parsed = words::scheme(&text);
            self.scheme = parsed.map_err(|it| ("defaultLoadBalancerScheme".to_owned(), it.message))?;
        }
        for (id, ranges) in environment.prefix_lists {
            let ranges = ranges.iter().map(|range| cidr(range)).collect::<Result<_, _>>();
            let ranges = ranges.map_err(|problem| (format!("prefixLists.{id}"), problem.message))?;
            self.prefix_lists.insert(id, ranges);
        }
        Ok(())
    }
}

fn named(entries: Vec<Entry>) -> Vec<Named> {
    entries.into_iter().map(|entry| Named { arn: entry.arn, name: entry.name }).collect()
}

fn at(file: &str, finding: Finding, path: &str) -> Finding {
    let location = Location { file: file.to_owned(), line: 1, column: 1, text: String::new() };
    Finding { field: (!path.is_empty()).then(|| path.to_owned()), location: Some(location), ..finding }
}

#[cfg(test)]
mod tests {
    use super::*;
    use plan::{Scheme, TargetType};

    #[test]
    fn every_setting_is_read() {
        let text = r#"{
            "_comment": 1, "defaultTargetType": "ip", "enableIpTargetType": false,
            "defaultLoadBalancerScheme": "internet-facing", "defaultSslPolicy": "P", "defaultTags": {"a": "b"},
            "ingressClass": "web", "serviceSelection": "controller", "tolerateNonExistentBackendService": false,
            "tolerateNonExistentBackendAction": false, "enableBackendSecurityGroup": true,
            "enableTcpUdpListener": true, "featureGates": {"X": false},
            "certificates": [{"arn": "arn:a", "domains": ["*"], "secret": "ns/x"}],
            "webAcls": [{"arn": "arn:w", "name": "w", "file": "w.json"}], "trustStores": [{"arn": "arn:t", "name": "t"}],
            "targetGroups": [{"arn": "arn:g", "name": "g", "targets": []}],
            "prefixLists": {"pl-1": ["10.0.0.0/8"]}, "subnets": [{"id": "s", "cidr": "10.0.0.0/24"}]
        }"#;
        let (defaults, findings) = Defaults::parse("env.json", text);
        assert_eq!(findings, []);
        assert_eq!((defaults.target_type, defaults.scheme), (TargetType::Ip, Scheme::InternetFacing));
        assert_eq!(defaults.service_selection, ServiceSelection::Controller);
        assert!(!defaults.has_feature("X") && defaults.has_feature("Y"));
        assert_eq!(defaults.certificates.unwrap()[0].domains, ["*"]);
        assert_eq!(defaults.prefix_lists["pl-1"][0].to_string(), "10.0.0.0/8");
    }

    #[test]
    fn yaml_is_taken_and_nothing_is_fine() {
        assert_eq!(Defaults::parse("env.yaml", ""), (Defaults::default(), Vec::new()));
        assert_eq!(Defaults::parse("env.yaml", "ingressClass: web\n").0.ingress_class, "web");
    }

    #[test]
    fn what_is_wrong_or_unknown_is_said() {
        for (text, code, message) in [
            ("defaultTargetTyp: ip", "env-unknown", "`defaultTargetTyp` is not a setting that is known"),
            ("defaultTargetType: x", "env-invalid", "defaultTargetType: `x` is not one of `instance`, `ip`"),
            (
                "enableIpTargetType: 1",
                "env-invalid",
                "enableIpTargetType: is the number `1`, not `true` or `false`",
            ),
            ("prefixLists: {a: [x]}", "env-invalid", "prefixLists.a: `x` is not a range of addresses"),
            ("[", "env-invalid", "not YAML: unclosed bracket '['"),
        ] {
            let findings = Defaults::parse("env", text).1;
            assert_eq!((findings[0].code, findings[0].message.as_str()), (code, message));
        }
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "\\PC{0,40}") {
            crate::fuzzing::environment(text.as_bytes());
        }
    }
}
