//! What a Service of type LoadBalancer says about its listeners.

use plan::{Protocol, Weight};
use serde::Deserialize;

use super::ingress_listener::{certificate_arns, listener_name};
use super::settings::ForwardShares;
use super::values::{boolean, json, list, one_of, string_map};
use super::words::ssl_policy;
use super::{Annotation, Apply, Input, On, Problem};
use crate::codes;
use crate::wire::IntOrString;

const PROTOCOLS: &[(&str, Protocol)] =
    &[("TCP", Protocol::Tcp), ("TLS", Protocol::Tls), ("UDP", Protocol::Udp), ("TCP_UDP", Protocol::TcpUdp)];

pub(super) const ANNOTATIONS: &[Annotation] = &[
    Annotation {
        key: "aws-load-balancer-ssl-cert",
        on: On::Service,
        example: "arn:aws:acm:eu-west-1:111122223333:certificate/1234",
        doc: "Certificates of the TLS listeners, the default first.",
        apply: Apply::Service(|settings, input| {
            settings.certificates = certificate_arns(input.text)?;
            Ok(())
        }),
    },
    Annotation {
        key: "aws-load-balancer-ssl-ports",
        on: On::Service,
        example: "443",
        doc: "Ports that end TLS, by number or name; without it all do that may.",
        apply: Apply::Service(|settings, input| {
            settings.ssl_ports = Some(list(input.text)).filter(|ports| !ports.is_empty());
            Ok(())
        }),
    },
    Annotation {
        key: "aws-load-balancer-ssl-negotiation-policy",
        on: On::Service,
        example: "ELBSecurityPolicy-TLS13-1-2-2021-06",
        doc: "TLS policy of the TLS listeners.",
        apply: Apply::Service(|settings, input| {
            settings.ssl_policy = Some(ssl_policy(input.text)?);
            Ok(())
        }),
    },
    Annotation {
        key: "aws-load-balancer-backend-protocol",
        on: On::Service,
        example: "ssl",
        doc: "`ssl` speaks TLS with the targets of TLS listeners.",
        apply: Apply::Service(|settings, input| {
            settings.backend_protocol = Some(input.text.trim().to_owned());
            Ok(())
        }),
    },
    Annotation {
        key: "aws-load-balancer-enable-tcp-udp-listener",
        on: On::Service,
        example: "true",
        doc: "Whether TCP and UDP on one port become one listener.",
        apply: Apply::Service(|settings, input| {
            settings.tcp_udp_listener = Some(boolean(input.text)?);
            Ok(())
        }),
    },
    Annotation {
        key: "aws-load-balancer-alpn-policy",
        on: On::Service,
        example: "HTTP2Preferred",
        doc: "Which HTTP the TLS listeners offer.",
        apply: Apply::Service(|settings, input| {
            let policies = ["None", "HTTP1Only", "HTTP2Only", "HTTP2Optional", "HTTP2Preferred"];
            let policy = one_of(input.text, &policies.map(|policy| (policy, policy)))?;
            settings.alpn_policy = Some(policy.to_owned());
            Ok(())
        }),
    },
    Annotation {
        key: "aws-load-balancer-listener-attributes.<Protocol>-<Port>",
        on: On::Service,
        example: "tcp.idle_timeout.seconds=600",
        doc: "Attributes of one listener.",
        apply: Apply::Service(|settings, input| {
            let listener = listener_name(input.parameter, PROTOCOLS)?;
            settings.listener_attributes.insert(listener, string_map(input.text)?);
            Ok(())
        }),
    },
    Annotation {
        key: "actions.<Protocol>-<Port>",
        on: On::Service,
        example: r#"{"type":"forward","forwardConfig":{"baseServiceWeight":90,"targetGroups":[{"serviceName":"canary","servicePort":80,"weight":10}]}}"#,
        doc: "Shares of other Services in the connections of one listener.",
        apply: Apply::Service(|settings, input| {
            let listener = listener_name(input.parameter, PROTOCOLS)?;
            settings.actions.insert(listener, shares(input)?);
            Ok(())
        }),
    },
];

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ActionWire {
    #[serde(rename = "type")]
    action_type: String,
    forward_config: ForwardWire,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ForwardWire {
    base_service_weight: Option<i64>,
    #[serde(default)]
    target_groups: Vec<TargetWire>,
    target_group_stickiness_config: Option<StickinessWire>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct TargetWire {
    service_name: String,
    service_port: IntOrString,
    weight: i64,
}

#[derive(Deserialize)]
struct StickinessWire {
    #[serde(default)]
    enabled: bool,
}

fn shares(input: &mut Input<'_>) -> Result<ForwardShares, Problem> {
    let invalid = |message: String| Problem::new(&codes::ACTION_INVALID, message);
    let wire: ActionWire = json(input)?;
    if wire.action_type != "forward" {
        return Err(invalid(format!("type `{}` is not forward", wire.action_type)));
    }
    let config = wire.forward_config;
    let is_sticky = config.target_group_stickiness_config.is_some_and(|stickiness| stickiness.enabled);
    let weight = |weight: i64| Weight::new(weight).map_err(|error| invalid(error.to_string()));
    let others = config
        .target_groups
        .into_iter()
        .map(|target| Ok((target.service_name, target.service_port.to_string(), weight(target.weight)?)));
    let others = others.collect::<Result<_, Problem>>()?;
    let own_weight = config.base_service_weight.map_or(Ok(Weight::ONE), weight)?;
    Ok(ForwardShares { own_weight, others, is_sticky })
}
