//! What an authority elsewhere looks for before it believes that a host is ours (RFC 8555 §8), put where it looks.
//!
//! An answer over HTTP is a rule before all others of the listeners without TLS; an answer in TLS is a certificate that is
//! shown to those only who ask for `acme-tls/1` (RFC 8737).

use std::collections::BTreeMap;

use plan::{
    Action, Certificate, Condition, FixedResponse, KeyPair, Listener, LoadBalancer, Plan, Protocol, Rule,
    Subject,
};

use super::placement::Problem;
use crate::authority::AuthorityError;

/// Answers that wait to be asked for, by host. It holds keys, so it has no `Debug`.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Challenges {
    /// What is answered for each host.
    pub answers: BTreeMap<String, ChallengeAnswer>,
    /// Why there is no certificate for a host, in a sentence each.
    pub problems: BTreeMap<String, String>,
}

/// One answer.
#[derive(Clone, PartialEq, Eq)]
pub enum ChallengeAnswer {
    /// At a path, which a token ends (`http-01`).
    Http {
        /// The end of the path.
        token: String,
        /// The answer.
        text: String,
    },
    /// As a certificate (`tls-alpn-01`).
    Tls(KeyPair),
}

/// The path of answers over HTTP, before the token.
pub const CHALLENGE_PATH: &str = "/.well-known/acme-challenge/";
/// What certificates that are answers are named with, before the host.
pub const CHALLENGE_NAME: &str = "acme-tls/1:";

// === impl Challenges ===

impl Challenges {
    /// Has the listeners of a plan give the answers: those of load balancers that have rules for the host.
    pub(super) fn answer_in(&self, plan: &mut Plan) {
        for (host, answer) in &self.answers {
            for balancer in plan.load_balancers.iter_mut().filter(|balancer| is_for(balancer, host)) {
                for listener in &mut balancer.listeners {
                    match answer {
                        ChallengeAnswer::Http { token, text } if listener.protocol == Protocol::Http => {
                            listener.rules.insert(0, rule(host, token, text).into());
                        }
                        ChallengeAnswer::Tls(_) if listener.protocol.is_tls() => {
                            let arn = format!("{CHALLENGE_NAME}{host}");
                            listener.certificates.push(Certificate { arn, source: Certificate::ISSUED });
                        }
                        _ => {}
                    }
                }
            }
        }
    }

    /// The problems, each with the load balancers that would show the certificate.
    pub(super) fn problems(&self, plan: &Plan) -> Vec<Problem> {
        let of_host = |(host, problem): (&String, &String)| {
            let balancers = plan.load_balancers.iter().filter(|balancer| is_for(balancer, host));
            balancers.map(|balancer| (balancer.id.clone(), problem.clone())).collect::<Vec<_>>()
        };
        self.problems.iter().flat_map(of_host).collect()
    }

    /// The certificates among the answers, by name.
    pub(super) fn keys(&self) -> impl Iterator<Item = (String, KeyPair)> {
        self.answers.iter().filter_map(|(host, answer)| match answer {
            ChallengeAnswer::Tls(pair) => Some((format!("{CHALLENGE_NAME}{host}"), pair.clone())),
            ChallengeAnswer::Http { .. } => None,
        })
    }
}

/// The certificate that is an answer for a host: it signs itself, and holds the digest of what the authority said.
///
/// # Errors
/// When the host is no name.
pub fn challenge_certificate(host: &str, digest: &[u8]) -> Result<KeyPair, AuthorityError> {
    let key = rcgen::KeyPair::generate()?;
    let mut parameters = rcgen::CertificateParams::new([host.to_owned()])?;
    parameters.custom_extensions = vec![rcgen::CustomExtension::new_acme_identifier(digest)];
    let certificate = parameters.self_signed(&key)?;
    Ok(KeyPair { certificate: certificate.pem(), key: key.serialize_pem() })
}

/// Whether a load balancer has a rule for a host.
fn is_for(balancer: &LoadBalancer, host: &str) -> bool {
    let is_met = |rule: &Rule| {
        rule.conditions.iter().any(|condition| {
            condition.subject == Subject::HOST_HEADER && condition.values.match_any(host.as_bytes())
        })
    };
    let has_rule = |listener: &Listener| listener.rules.iter().any(|rule| is_met(rule));
    balancer.listeners.iter().any(has_rule)
}

fn rule(host: &str, token: &str, text: &str) -> Rule {
    let path = format!("{CHALLENGE_PATH}{token}");
    let answer = FixedResponse {
        status: 200,
        content_type: Some("application/octet-stream".to_owned()),
        message_body: Some(text.to_owned()),
    };
    let conditions = vec![Condition::hosts(&[host]), Condition::paths(&[path])];
    Rule::new(conditions, Action::FixedResponse(answer))
}

#[cfg(test)]
mod tests {
    use super::*;
    use plan::RequestHead;

    fn plan() -> Plan {
        let mut balancer =
            super::super::load_balancer::tests::balancer(&plan::LoadBalancerId::ingress("a", "b"), &[]);
        for (port, protocol) in [(80, Protocol::Http), (443, Protocol::Https)] {
            let mut listener = Listener::new(port, protocol);
            let host = Condition::hosts(&["*.example.com"]);
            let answer = FixedResponse { status: 418, content_type: None, message_body: None };
            let action = Action::FixedResponse(answer);
            listener.rules = vec![Rule::new(vec![host], action).into()];
            balancer.listeners.push(listener);
        }
        Plan { load_balancers: vec![balancer], ..Plan::default() }
    }

    fn answered(host: &str, answer: ChallengeAnswer) -> Plan {
        let mut plan = plan();
        Challenges { answers: [(host.to_owned(), answer)].into(), ..Challenges::default() }
            .answer_in(&mut plan);
        plan
    }

    #[test]
    fn an_answer_comes_before_all_rules_where_its_host_is_asked_for() {
        let answer = || ChallengeAnswer::Http { token: "t-0_k".to_owned(), text: "t-0_k.print".to_owned() };
        let plan = answered("a.example.com", answer());
        let status = |listener: &Listener, url: &str| {
            let decision = plan::route(listener, &RequestHead::get(url));
            match decision.action {
                Some(Action::FixedResponse(response)) => response.status,
                _ => 0,
            }
        };
        let [plain, tls] = plan.load_balancers[0].listeners.as_slice() else { unreachable!() };
        assert_eq!(status(plain, "http://a.example.com/.well-known/acme-challenge/t-0_k"), 200);
        for other in [
            "http://a.example.com/.well-known/acme-challenge/other",
            "http://b.example.com/.well-known/acme-challenge/t-0_k",
        ] {
            assert_eq!(status(plain, other), 418, "{other}");
        }
        assert_eq!(tls.rules.len(), 1);
        assert_eq!(answered("a.example.org", answer()).load_balancers[0].listeners[0].rules.len(), 1);
    }

    #[test]
    fn an_answer_in_tls_is_a_certificate_of_its_own_name() {
        let pair = KeyPair { certificate: "c".to_owned(), key: "k".to_owned() };
        let plan = answered("a.example.com", ChallengeAnswer::Tls(pair));
        let names: Vec<usize> =
            plan.load_balancers[0].listeners.iter().map(|listener| listener.certificates.len()).collect();
        assert_eq!(names, [0, 1]);
        assert_eq!(plan.load_balancers[0].listeners[1].certificates[0].arn, "acme-tls/1:a.example.com");
    }
}
