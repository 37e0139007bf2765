//! Whom to believe that it is a target: what annotations of ours say of targets that are spoken with inside TLS. Without them
//! every certificate is good, as with load balancers of AWS.

use plan::TargetTrust;

use super::world::World;
use crate::annotations::{BACKEND_CA_SECRET, BACKEND_NAME};
use crate::kinds::config;
use crate::{Finding, Object, Severity, codes};

/// What the first of these objects that says it says of the targets of a Service. That nothing can be checked with what is
/// named is an error: who asks for it does not want to speak with just anybody.
pub(super) fn of(
    objects: &[&Object],
    service: &Object,
    is_tls: bool,
    world: &World<'_>,
    findings: &mut Vec<Finding>,
) -> Option<TargetTrust> {
    let written = |key| objects.iter().find_map(|object| Some((*object, object.annotation(key)?)));
    let without_effect = |(object, _): (&Object, &str), key: &str, why: &str| {
        let finding = Finding::new(&codes::ANNOTATION_NO_EFFECT, format!("{}: {why}", short(key)));
        finding.at_annotation(object, key).with_severity(Severity::Warning)
    };
    let Some((object, secret)) = written(BACKEND_CA_SECRET) else {
        let name = written(BACKEND_NAME);
        let why = "without backend-ca-secret nobody has to prove a name";
        findings.extend(name.map(|name| without_effect(name, BACKEND_NAME, why)));
        return None;
    };
    if !is_tls {
        let why = "the targets are not spoken with inside TLS, so there is nothing to check";
        findings.push(without_effect((object, secret), BACKEND_CA_SECRET, why));
        return None;
    }
    let name = written(BACKEND_NAME).map(|(_, name)| name.trim().to_owned());
    let name = name.unwrap_or_else(|| format!("{}.{}.svc", service.name, service.namespace));
    match authorities(object, secret.trim(), world) {
        Ok(authorities) => Some(TargetTrust { name, authorities }),
        Err(problem) => {
            let finding = Finding::new(&codes::BACKEND_UNVERIFIABLE, format!("backend-ca-secret: {problem}"));
            let finding = finding.at_annotation(object, BACKEND_CA_SECRET);
            findings.push(
                finding.suggest(format!("kubectl create secret generic {secret} --from-file={CA}=FILE")),
            );
            None
        }
    }
}

/// Where a Secret has the certificates of authorities.
const CA: &str = "ca.crt";

fn authorities(object: &Object, secret: &str, world: &World<'_>) -> Result<String, String> {
    let found = world.objects.get("Secret", &object.namespace, secret);
    let found = found.ok_or_else(|| format!("there is no Secret `{secret}` in the namespace"))?;
    let text = config::texts(found, &mut Vec::new()).and_then(|mut texts| texts.remove(CA));
    let text = text.ok_or_else(|| format!("Secret `{secret}` has no text under `{CA}`"))?;
    match text.contains("-----BEGIN CERTIFICATE-----") {
        true => Ok(text),
        false => Err(format!("`{CA}` of Secret `{secret}` holds no certificate in PEM form")),
    }
}

fn short(key: &str) -> &str {
    key.rsplit('/').next().unwrap_or(key)
}
