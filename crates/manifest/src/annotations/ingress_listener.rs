//! What an Ingress says about its listeners.

use std::collections::BTreeMap;

use plan::Protocol;

use super::mutual_authentication::mutual_authentication;
use super::values::{boolean, json, list, port, string_map};
use super::words::ssl_policy;
use super::{Annotation, Apply, Input, On, Problem};

pub(super) const ANNOTATIONS: &[Annotation] = &[
    Annotation {
        key: "listen-ports",
        on: On::Ingress,
        example: r#"[{"HTTP":80},{"HTTPS":443}]"#,
        doc: "Ports of the load balancer and what is spoken on them.",
        apply: Apply::Ingress(|settings, input| {
            settings.listen_ports = Some(listen_ports(input)?);
            Ok(())
        }),
    },
    Annotation {
        key: "ssl-redirect",
        on: On::Ingress,
        example: "443",
        doc: "Sends all that comes to an HTTP listener to this HTTPS port.",
        apply: Apply::Ingress(|settings, input| {
            settings.ssl_redirect = Some(port(input.text)?);
            Ok(())
        }),
    },
    Annotation {
        key: "certificate-arn",
        on: On::Ingress,
        example: "arn:aws:acm:eu-west-1:111122223333:certificate/1234",
        doc: "Certificates of the HTTPS listeners, the default first.",
        apply: Apply::Ingress(|settings, input| {
            settings.certificates = certificate_arns(input.text)?;
            Ok(())
        }),
    },
    Annotation {
        key: "create-acm-cert",
        on: On::Ingress,
        example: "true",
        doc: "Issues a certificate for the hosts of the rules.",
        apply: Apply::Ingress(|settings, input| {
            settings.issue_certificate = boolean(input.text)?;
            Ok(())
        }),
    },
    Annotation {
        key: "acm-pca-arn",
        on: On::Ingress,
        example: "arn:aws:acm-pca:eu-west-1:111122223333:certificate-authority/1234",
        doc: "certificates on one machine are issued by the local authority.",
        apply: Apply::Nothing,
    },
    Annotation {
        key: "ssl-policy",
        on: On::Ingress,
        example: "ELBSecurityPolicy-TLS13-1-2-2021-06",
        doc: "TLS policy of the HTTPS listeners.",
        apply: Apply::Ingress(|settings, input| {
            settings.ssl_policy = Some(ssl_policy(input.text)?);
            Ok(())
        }),
    },
    Annotation {
        key: "mutual-authentication",
        on: On::Ingress,
        example: r#"[{"port":443,"mode":"verify","trustStore":"clients"}]"#,
        doc: "Client certificates of the HTTPS listeners. A trust store is a Secret or ConfigMap with `ca.crt`, or lies in a \
              folder of --certificates.",
        apply: Apply::Ingress(|settings, input| {
            settings.client_authentication = mutual_authentication(input)?;
            Ok(())
        }),
    },
    Annotation {
        key: "listener-attributes.<Protocol>-<Port>",
        on: On::Ingress,
        example: "routing.http.response.server.enabled=false",
        doc: "Attributes of one listener.",
        apply: Apply::Ingress(|settings, input| {
            let listener = listener_name(input.parameter, HTTP_PROTOCOLS)?;
            settings.listener_attributes.insert(listener, string_map(input.text)?);
            Ok(())
        }),
    },
];

const HTTP_PROTOCOLS: &[(&str, Protocol)] = &[("HTTP", Protocol::Http), ("HTTPS", Protocol::Https)];

/// `HTTPS-443`: the protocol and port of a listener.
pub(super) fn listener_name(text: &str, protocols: &[(&str, Protocol)]) -> Result<(u16, Protocol), Problem> {
    let parsed = text.split_once('-').and_then(|(protocol, number)| {
        let (_, protocol) = protocols.iter().find(|(name, _)| *name == protocol)?;
        Some((port(number).ok()?, *protocol))
    });
    parsed.ok_or_else(|| {
        let names: Vec<&str> = protocols.iter().map(|(name, _)| *name).collect();
        format!("`{text}` is not one of {}, a hyphen and a port", names.join(", ")).into()
    })
}

fn listen_ports(input: &mut Input<'_>) -> Result<Vec<(u16, Protocol)>, Problem> {
    let written: Vec<BTreeMap<String, i64>> = json(input)?;
    let mut ports = Vec::new();
    for (protocol, number) in written.into_iter().flatten() {
        let Some((_, protocol)) = HTTP_PROTOCOLS.iter().find(|(name, _)| *name == protocol) else {
            return Err(format!("protocol `{protocol}` is not HTTP or HTTPS").into());
        };
        let Some(port) = u16::try_from(number).ok().filter(|port| *port > 0) else {
            return Err(format!("port {number} is not within 1–65535").into());
        };
        ports.push((port, *protocol));
    }
    if ports.is_empty() {
        return Err("there is no port in it".to_owned().into());
    }
    Ok(ports)
}

/// Certificates, each with an ARN; a place left to fill in such as `<ACM_ARN>` is none.
pub(super) fn certificate_arns(text: &str) -> Result<Vec<String>, Problem> {
    let arns = list(text);
    let separated: Vec<&str> = text.split([',', ' ', '\n', '\t']).filter(|arn| !arn.is_empty()).collect();
    if separated.len() > arns.len() && separated.iter().all(|arn| arn.starts_with("arn:")) {
        let message = "ARNs have commas between them, and here there is only a space";
        return Err(Problem::from(message.to_owned()).suggest(separated.join(",")));
    }
    match arns.iter().find(|arn| !arn.starts_with("arn:")) {
        Some(wrong) if wrong.starts_with('<') => {
            Err(format!("the placeholder `{wrong}` is left in it").into())
        }
        Some(wrong) => Err(format!("`{wrong}` is not an ARN").into()),
        None => Ok(arns),
    }
}
