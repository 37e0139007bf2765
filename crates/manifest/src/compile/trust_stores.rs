//! What is in the trust stores that listeners name: in a Secret or ConfigMap of the Ingress's namespace, or in a folder of
//! certificates. A load balancer whose store is not here is not served, because it would let everybody in or nobody.

use plan::{ClientAuthentication, LoadBalancer, TrustStore};

use super::world::World;
use crate::kinds::config;
use crate::trust_store::read_trust_store;
use crate::{Finding, Object, codes};

const KEY: &str = "alb.ingress.kubernetes.io/mutual-authentication";
/// Under which an object has its authorities.
const AUTHORITIES: &str = "ca.crt";
/// Under which it may have their lists of revoked certificates.
const REVOCATIONS: [&str; 2] = ["ca.crl", "crl.pem"];

/// Has every listener that verifies clients know whom to believe.
pub(super) fn fill(load_balancer: &mut LoadBalancer, world: &World<'_>, findings: &mut Vec<Finding>) {
    let sources = load_balancer.sources.iter();
    let objects = sources.filter_map(|it| world.objects.get(&it.kind, &it.namespace, &it.name));
    let objects: Vec<&Object> =
        objects.map(AsRef::as_ref).filter(|object: &&Object| object.annotation(KEY).is_some()).collect();
    for listener in &mut load_balancer.listeners {
        let Some(ClientAuthentication::Verify(verification)) = &mut listener.client_authentication else {
            continue;
        };
        match contents(&verification.trust_store, &objects, world) {
            Ok(contents) => verification.contents = contents,
            Err(problem) => {
                let (name, file) = (named(&verification.trust_store), file_of(&verification.trust_store));
                let advice = format!(
                    "kubectl create secret generic {name} --from-file=ca.crt, or --certificates DIR with {file}.pem"
                );
                let message = format!("mutual-authentication: port {}: {problem}", listener.port);
                let finding = Finding::new(&codes::TRUST_STORE_UNKNOWN, message).suggest(advice);
                findings.extend(objects.first().map(|object| finding.at_annotation(object, KEY)));
            }
        }
    }
}

fn contents(trust_store: &str, objects: &[&Object], world: &World<'_>) -> Result<TrustStore, String> {
    let kept = world.defaults.kept_trust_stores.iter();
    if let Some(kept) = kept.clone().find(|kept| kept.is_named(trust_store)) {
        return Ok(kept.contents.clone());
    }
    let name = named(trust_store);
    for object in objects {
        for kind in ["Secret", "ConfigMap"] {
            if let Some(found) = world.objects.get(kind, &object.namespace, name) {
                let place = format!("{} {}/{name}", kind, object.namespace);
                return of_object(found, kind).map_err(|problem| format!("{place}: {problem}"));
            }
        }
    }
    let namespace = objects.first().map_or("default", |object| object.namespace.as_str());
    Err(format!(
        "trust store `{trust_store}` is not on this machine: there is no Secret or ConfigMap {namespace}/{name}"
    ))
}

fn of_object(object: &Object, kind: &str) -> Result<TrustStore, String> {
    let mut texts = config::texts(object, &mut Vec::new()).ok_or("cannot be read")?;
    let authorities =
        texts.remove(AUTHORITIES).ok_or_else(|| format!("there is no text under `{AUTHORITIES}`"))?;
    let revocations: Vec<String> = REVOCATIONS.iter().filter_map(|key| texts.remove(*key)).collect();
    let name = format!("{}:{}/{}", kind.to_ascii_lowercase(), object.namespace, object.name);
    read_trust_store(&name, &authorities, &revocations.join("\n")).map_err(|problem| format!("it {problem}"))
}

/// The name of a trust store, which is the last part but one of its ARN
/// (`arn:aws:elasticloadbalancing:REGION:ACCOUNT:truststore/NAME/ID`).
fn named(trust_store: &str) -> &str {
    let mut parts = trust_store.split('/');
    match (trust_store.starts_with("arn:"), parts.nth(1)) {
        (true, Some(name)) => name,
        _ => trust_store,
    }
}

/// The name of its file in a folder of certificates: the last part of its ARN, as [`crate::trust_store::KeptTrustStore::is_named`] has it.
fn file_of(trust_store: &str) -> &str {
    match trust_store.rsplit_once('/') {
        Some((_, id)) if trust_store.starts_with("arn:") => id,
        _ => trust_store,
    }
}

#[cfg(test)]
mod tests {
    use plan::TrustStore;

    use super::file_of;
    use crate::Compiled;
    use crate::compile::fixture::{self, rules_to_web, web};
    use crate::trust_store::KeptTrustStore;

    fn authority() -> String {
        let key = rcgen::KeyPair::generate().unwrap();
        rcgen::CertificateParams::new(Vec::new()).unwrap().self_signed(&key).unwrap().pem()
    }

    fn compiled(setting: &str, more: &str) -> Compiled {
        let annotations = format!(
            "alb.ingress.kubernetes.io/listen-ports: '[{{\"HTTP\":80}},{{\"HTTPS\":443}}]'
alb.ingress.kubernetes.io/mutual-authentication: '[{setting}]'"
        );
        fixture::compiled(&(web(&annotations, &rules_to_web(&["api.example.com"])) + more))
    }

    fn said(compiled: &Compiled) -> Vec<&str> {
        let found =
            compiled.findings.iter().chain(&compiled.findings_here).filter(|finding| finding.is_error());
        found.map(|finding| finding.message.as_str()).collect()
    }

    fn object(kind: &str, text: &str) -> String {
        let field = if kind == "Secret" { "stringData" } else { "data" };
        let value = serde_json::json!({
            "apiVersion": "v1", "kind": kind, "metadata": {"name": "clients"}, field: {"ca.crt": text},
        });
        value.to_string()
    }

    const ARN: &str =
        "arn:aws:elasticloadbalancing:eu-west-1:111122223333:truststore/clients/0123456789abcdef";

    #[test]
    fn a_trust_store_is_a_secret_or_config_map_of_its_name() {
        let authority = authority();
        for (kind, store) in [("Secret", "clients"), ("ConfigMap", "clients"), ("Secret", ARN)] {
            let setting = format!(
                r#"{{"port":443,"mode":"verify","trustStore":"{store}","ignoreClientCertificateExpiry":true}}"#
            );
            let compiled = compiled(&setting, &object(kind, &authority));
            assert_eq!(said(&compiled), Vec::<&str>::new());
            let [plain, secure] = &compiled.plan.load_balancers[0].listeners[..] else { panic!() };
            assert_eq!(plain.client_authentication, None);
            let verification = secure.client_authentication.as_ref().unwrap().verification().unwrap();
            assert!(verification.ignores_expiry && verification.trust_store == store);
            assert_eq!(&*verification.contents.name, format!("{}:default/clients", kind.to_lowercase()));
            assert!(verification.contents.authorities.contains("BEGIN CERTIFICATE"));
        }
    }

    #[test]
    fn the_file_that_is_advised_is_one_that_is_found() {
        for store in ["clients", ARN] {
            let setting = format!(r#"{{"port":443,"mode":"verify","trustStore":"{store}"}}"#);
            let compiled = compiled(&setting, "");
            let advice = compiled.findings_here.iter().chain(&compiled.findings);
            let advice: Vec<&str> = advice.filter_map(|finding| finding.suggestion.as_deref()).collect();
            let file = file_of(store);
            assert!(advice.iter().any(|it| it.ends_with(&format!("DIR with {file}.pem"))), "{advice:?}");
            let kept = KeptTrustStore { name: file.to_owned(), contents: TrustStore::default() };
            assert!(kept.is_named(store), "{store}");
        }
    }

    #[test]
    fn a_load_balancer_whose_clients_nobody_could_check_is_not_served() {
        let verify = r#"{"port":443,"mode":"verify","trustStore":"clients"}"#;
        for (setting, more, expected) in [
            (verify, String::new(), "is not on this machine"),
            (verify, object("Secret", "junk"), "has no certificate of an authority"),
            (
                r#"{"port":80,"mode":"verify","trustStore":"clients"}"#,
                String::new(),
                "is not an HTTPS listener",
            ),
            (r#"{"port":443,"mode":"verify"}"#, String::new(), "needs a `trustStore`"),
            (r#"{"port":443,"mode":"passthrough","trustStore":"a"}"#, String::new(), "only mode `verify`"),
            (r#"{"port":443,"mode":"on"}"#, String::new(), "is not off, passthrough or verify"),
            (r#"{"port":443,"mode":"off"},{"port":443,"mode":"off"}"#, String::new(), "twice"),
        ] {
            let compiled = compiled(setting, &more);
            assert!(compiled.plan.load_balancers.is_empty(), "{setting}");
            assert!(said(&compiled).iter().any(|said| said.contains(expected)), "{:?}", said(&compiled));
        }
    }
}
