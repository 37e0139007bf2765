//! The Network Load Balancer in front of a group's load balancer, which clients reach at another address and, if they are mapped,
//! other ports (`pkg/ingress/model_build_frontend_nlb.go` of the AWS controller). Nothing is between the two here: the listeners are
//! open at both addresses.

use std::collections::BTreeMap;

use plan::Frontend;

use super::{Group, PREFIX};
use crate::{Finding, Severity, codes};

const MAPPING: &str = "frontend-nlb-listener-port-mapping";

impl Group<'_> {
    /// What is in front, if anything is.
    pub(super) fn frontend(&mut self) -> Option<Frontend> {
        let is_wanted = self.agreed("enable-frontend-nlb", |member| member.settings.has_frontend_nlb);
        let key = format!("{PREFIX}{MAPPING}");
        if is_wanted != Some(true) {
            for member in self.members.iter().filter(|member| !member.settings.frontend_ports.is_empty()) {
                let message = format!("{MAPPING}: there is no load balancer in front");
                let finding = Finding::new(&codes::ANNOTATION_NO_EFFECT, message);
                let finding = finding.suggest(format!("{PREFIX}enable-frontend-nlb: \"true\""));
                self.draft.findings.push(finding.at_annotation(&member.object, &key));
            }
            return None;
        }
        let mut ports: BTreeMap<u16, u16> = BTreeMap::new();
        for member in self.members {
            let listened: Vec<u16> = member.listen_ports().into_iter().map(|(port, _)| port).collect();
            let mapped: Vec<(u16, u16)> = match &member.settings.frontend_ports {
                mapped if mapped.is_empty() => listened.iter().map(|port| (*port, *port)).collect(),
                mapped => mapped.iter().map(|(from, to)| (*from, *to)).collect(),
            };
            for (from, to) in mapped {
                let mut push = |code, message: String, severity| {
                    let finding = Finding::new(code, message).with_severity(severity);
                    self.draft.findings.push(finding.at_annotation(&member.object, &key));
                };
                if !listened.contains(&to) {
                    let message =
                        format!("{MAPPING}: port {to} is none of the Ingress, so {from} is not opened");
                    push(&codes::ANNOTATION_NO_EFFECT, message, Severity::Warning);
                    continue;
                }
                let other = *ports.entry(from).or_insert(to);
                if other != to {
                    let message = format!(
                        "{MAPPING}: port {from} leads to {to} here, and to {other} elsewhere in the group"
                    );
                    push(&codes::GROUP_CONFLICT, message, Severity::Error);
                }
            }
        }
        Some(Frontend { ports, address: None })
    }
}

#[cfg(test)]
mod tests {
    use crate::compile::fixture::{TO_WEB, compiled, web};

    /// The ports in front, and what is said of them.
    fn ports(annotations: &str) -> (String, String) {
        let listen = r#"alb.ingress.kubernetes.io/listen-ports: '[{"HTTP": 80}, {"HTTP": 8080}]'"#;
        let compiled = compiled(&web(&format!("{listen}\n{annotations}"), TO_WEB));
        let about = compiled.findings.iter().filter(|finding| finding.message.contains("frontend"));
        let about: Vec<String> = about.map(|finding| finding.message.clone()).collect();
        let balancer = compiled.plan.load_balancers.first();
        let frontend = balancer.and_then(|balancer| balancer.frontend.as_ref());
        let ports = frontend.map(|frontend| {
            let ports = frontend.ports.iter().map(|(from, to)| format!("{from}={to}"));
            ports.collect::<Vec<_>>().join(" ")
        });
        (ports.unwrap_or_else(|| "none".to_owned()), about.join("; "))
    }

    const ON: &str = "alb.ingress.kubernetes.io/enable-frontend-nlb: 'true'\n";

    #[test]
    fn all_ports_are_in_front_or_those_that_are_mapped() {
        let mapped =
            |text: &str| format!("alb.ingress.kubernetes.io/frontend-nlb-listener-port-mapping: {text}\n");
        assert_eq!(ports(""), ("none".to_owned(), String::new()));
        assert_eq!(ports(ON), ("80=80 8080=8080".to_owned(), String::new()));
        assert_eq!(ports(&(ON.to_owned() + &mapped("443=8080"))), ("443=8080".to_owned(), String::new()));
        let (opened, said) = ports(&(ON.to_owned() + &mapped("443=8080,90=9090")));
        assert_eq!(opened, "443=8080");
        assert_eq!(
            said,
            "frontend-nlb-listener-port-mapping: port 9090 is none of the Ingress, so 90 is not opened"
        );
        let (opened, said) = ports(&mapped("443=8080"));
        assert_eq!(
            (opened.as_str(), said.as_str()),
            ("none", "frontend-nlb-listener-port-mapping: there is no load balancer in front")
        );
        let (opened, said) = ports(&(ON.to_owned() + &mapped("443=https")));
        assert_eq!(opened, "none");
        assert!(said.contains("`https`"), "{said}");
    }
}
