//! Certificates of a listener: named, kept in Secrets, found by host, or issued here.

use plan::Certificate;

use super::world::World;
use crate::certificate::covers;
use crate::kinds::ingress::IngressSpec;
use crate::{Finding, Object, Severity, codes};

/// Where the certificates of one Ingress's listeners come from.
pub(super) struct Source<'a> {
    pub(super) object: &'a Object,
    pub(super) spec: &'a IngressSpec,
    /// From the class, else from the annotation.
    pub(super) arns: &'a [String],
    pub(super) arn_source: &'static str,
    pub(super) wants_issued: bool,
}

// === impl Source ===

impl Source<'_> {
    /// The certificates in order, the default first. None at all is an error.
    pub(super) fn certificates(&self, world: &World<'_>, findings: &mut Vec<Finding>) -> Vec<Certificate> {
        let mut certificates: Vec<Certificate> = self.arns.iter().map(|arn| self.named(arn)).collect();
        for arn in self.arns {
            check_known(self.object, CERTIFICATE_ARN, arn, world, findings);
        }
        let secrets = if world.defaults.strict_aws { Vec::new() } else { self.secrets(world, findings) };
        let covered: Vec<&str> = secrets.iter().flat_map(|(_, hosts)| hosts).map(String::as_str).collect();
        if certificates.is_empty() {
            let covers_all = !secrets.is_empty() && covered.is_empty();
            let hosts: Vec<&str> =
                self.hosts().filter(|host| !covered.contains(host) && !covers_all).collect();
            certificates.extend(hosts.into_iter().flat_map(|host| self.for_host(host, world, findings)));
        }
        certificates.extend(secrets.into_iter().map(|(certificate, _)| certificate));
        let mut unique: Vec<Certificate> = Vec::new();
        for certificate in certificates {
            if !unique.iter().any(|other| other.arn == certificate.arn) {
                unique.push(certificate);
            }
        }
        if unique.is_empty() && self.hosts().next().is_none() {
            let message =
                "an HTTPS listener needs a certificate, and there is neither one nor a host to find one for";
            let finding = Finding::new(&codes::CERTIFICATE_MISSING, message).on(self.object);
            findings.push(finding.suggest(format!("{CERTIFICATE_ARN}: arn:…, or a host in spec.rules")));
        }
        unique
    }

    fn named(&self, arn: &str) -> Certificate {
        Certificate { arn: arn.to_owned(), source: self.arn_source }
    }

    /// Hosts of the rules and of `spec.tls`, each once.
    fn hosts(&self) -> impl Iterator<Item = &str> {
        let of_rules = self.spec.rules.iter().map(|rule| rule.host.as_str());
        let of_tls = self.spec.tls.iter().flat_map(|tls| &tls.hosts).map(String::as_str);
        let mut seen = Vec::new();
        of_rules.chain(of_tls).filter(move |host| {
            let is_new = !host.is_empty() && !seen.contains(host);
            seen.push(host);
            is_new
        })
    }

    /// Certificates in Secrets, which the AWS controller cannot use, with the hosts they are for.
    fn secrets(&self, world: &World<'_>, findings: &mut Vec<Finding>) -> Vec<(Certificate, Vec<String>)> {
        let mut secrets = Vec::new();
        for (index, tls) in self.spec.tls.iter().enumerate() {
            let Some(name) = tls.secret_name.as_deref().filter(|name| !name.is_empty()) else { continue };
            let namespace = &self.object.namespace;
            if world.objects.get("Secret", namespace, name).is_none() {
                let message = format!("Secret `{name}` with the certificate does not exist");
                let finding = Finding::new(&codes::CERTIFICATE_MISSING, message);
                let finding = finding.at(self.object, &format!("spec.tls[{index}].secretName"));
                findings.push(finding.with_severity(Severity::Warning));
            }
            let arn = format!("secret:{namespace}/{name}");
            secrets.push((Certificate { arn, source: "secret" }, tls.hosts.clone()));
        }
        secrets
    }

    /// The certificates for one host, when none is named. There may be several, with different kinds of keys.
    fn for_host(&self, host: &str, world: &World<'_>, findings: &mut Vec<Finding>) -> Vec<Certificate> {
        let kept = discovered(host, world);
        if !kept.is_empty() {
            return kept;
        }
        let issued = Certificate { arn: format!("local:{host}"), source: Certificate::ISSUED };
        if self.wants_issued {
            return vec![issued];
        }
        let known = world.defaults.certificates.as_deref();
        let is_for = |domain: &String| domain == "*" || covers(domain, host);
        let mut all = known.into_iter().flatten();
        match all.find(|certificate| certificate.domains.iter().any(is_for)) {
            Some(certificate) => vec![Certificate { arn: certificate.arn.clone(), source: "discovery" }],
            None if known.is_none() && !world.defaults.strict_aws => {
                let message =
                    format!("no certificate is named for `{host}`: one of the local authority is used");
                findings.push(Finding::new(&codes::CERTIFICATE_ISSUED, message).on(self.object));
                vec![issued]
            }
            None => {
                let message = format!("no certificate found for host `{host}`");
                let finding = Finding::new(&codes::CERTIFICATE_MISSING, message).on(self.object);
                findings.push(finding.suggest(format!("{CERTIFICATE_ARN}: arn:…")));
                Vec::new()
            }
        }
    }
}

/// The certificates for a host that are kept on this machine.
pub(super) fn discovered(host: &str, world: &World<'_>) -> Vec<Certificate> {
    let kept = world.defaults.kept.iter().flatten().filter(|kept| kept.facts.covers(host));
    kept.map(|kept| Certificate { arn: kept.name.clone(), source: "discovery" }).collect()
}

pub(super) const CERTIFICATE_ARN: &str = "alb.ingress.kubernetes.io/certificate-arn";

/// Says what is known of a certificate that an annotation names.
pub(super) fn check_known(
    object: &Object,
    key: &str,
    arn: &str,
    world: &World<'_>,
    findings: &mut Vec<Finding>,
) {
    if world.defaults.kept(arn).is_some() {
        return;
    }
    let finding = |code, message: String| Finding::new(code, message).at_annotation(object, key);
    let known = world.defaults.certificates.as_deref();
    if let Some(known) = known {
        if !known.iter().any(|certificate| certificate.arn == arn) {
            findings.push(finding(&codes::CERTIFICATE_UNKNOWN, format!("certificate `{arn}` is not known")));
        }
        return;
    }
    if is_placeholder(arn) {
        let (severity, instead) = match world.defaults.strict_aws {
            true => (Severity::Error, ""),
            false => (Severity::Warning, ": one of the local authority is shown instead"),
        };
        let message = format!("`{arn}` names no account, so something was left to fill in{instead}");
        let finding = finding(&codes::CERTIFICATE_PLACEHOLDER, message).with_severity(severity);
        findings.push(finding.suggest("name a certificate: arn:aws:acm:<region>:<account>:certificate/<id>"));
    } else if world.defaults.strict_aws && world.defaults.kept.is_some() {
        let message = format!("certificate `{arn}` is not among those of --certificates");
        findings.push(finding(&codes::CERTIFICATE_UNKNOWN, message));
    } else {
        let message =
            format!("nothing on this machine knows certificate `{arn}`: one of the local authority is shown");
        findings.push(finding(&codes::ANNOTATION_NO_EFFECT, message));
    }
}

/// Whether an ARN has something else than twelve digits where its account stands.
pub(super) fn is_placeholder(arn: &str) -> bool {
    let account = arn.split(':').nth(4).unwrap_or_default();
    account.len() != 12 || !account.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn acc_s2_14_a_wildcard_covers_one_level_only() {
        assert!(covers("*.example.com", "a.example.com") && covers("*.Example.com", "a.example.COM"));
        assert!(!covers("*.example.com", "a.b.example.com") && !covers("*.example.com", "example.com"));
        assert!(!covers("*", "anything") && covers("*.example.com", "*.example.com"));
    }

    #[test]
    fn acc_s3_46_places_left_to_fill_in_are_seen() {
        assert!(is_placeholder("arn:aws:acm:us-east-1:YOUR_ACCOUNT_ID:certificate/YOUR_CERT_ID"));
        assert!(!is_placeholder("arn:aws:acm:us-east-1:111122223333:certificate/a"));
    }
}
