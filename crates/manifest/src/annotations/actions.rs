//! `actions.<name>`: what a backend with the port `use-annotation` does.

use std::time::Duration;

use plan::{FixedResponse, Redirect, RedirectPart, UrlPart, Weight};
use serde::Deserialize;

use super::values::json;
use super::{Annotation, Apply, Input, On, Problem};
use crate::codes;
use crate::wire::IntOrString;

pub(super) const ANNOTATIONS: &[Annotation] = &[Annotation {
    key: "actions.<name>",
    on: On::Ingress,
    example: r#"{"type":"redirect","redirectConfig":{"host":"new.example.com","statusCode":"HTTP_301"}}"#,
    doc: "An action of its own; a backend leads to it by its name and the port `use-annotation`.",
    apply: Apply::Ingress(|settings, input| {
        let action = action(input)?;
        settings.actions.insert(input.parameter.to_owned(), action);
        Ok(())
    }),
}];

/// An action whose Services are not looked up yet.
#[derive(Debug, Clone)]
pub(crate) enum ActionDraft {
    Forward { targets: Vec<TargetDraft>, stickiness: Option<Duration> },
    Redirect(Redirect),
    FixedResponse(FixedResponse),
}

/// One target group of a forward action.
#[derive(Debug, Clone)]
pub(crate) struct TargetDraft {
    pub(crate) target: TargetName,
    pub(crate) weight: Weight,
}

/// A target group as an action names it.
#[derive(Debug, Clone)]
pub(crate) enum TargetName {
    Service { name: String, port: IntOrString },
    Arn(String),
    Name(String),
}

/// The most target groups of one action.
const MAX_TARGET_GROUPS: usize = 5;
/// The longest stickiness, a week.
const MAX_STICKINESS_SECONDS: u32 = 604_800;
/// The longest body of a fixed response, in characters.
const MAX_BODY: usize = 1024;
const CONTENT_TYPES: &[&str] =
    &["text/plain", "text/css", "text/html", "application/javascript", "application/json"];

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ActionWire {
    #[serde(rename = "type")]
    action_type: String,
    #[serde(rename = "targetGroupARN")]
    target_group_arn: Option<String>,
    target_group_name: Option<String>,
    forward_config: Option<ForwardWire>,
    redirect_config: Option<RedirectWire>,
    fixed_response_config: Option<FixedResponseWire>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ForwardWire {
    #[serde(default)]
    target_groups: Vec<TargetWire>,
    target_group_stickiness_config: Option<StickinessWire>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct TargetWire {
    service_name: Option<String>,
    service_port: Option<IntOrString>,
    #[serde(rename = "targetGroupARN")]
    target_group_arn: Option<String>,
    target_group_name: Option<String>,
    weight: Option<i64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct StickinessWire {
    #[serde(default)]
    enabled: bool,
    duration_seconds: Option<u32>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RedirectWire {
    protocol: Option<String>,
    host: Option<String>,
    port: Option<String>,
    path: Option<String>,
    query: Option<String>,
    status_code: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct FixedResponseWire {
    status_code: Option<String>,
    content_type: Option<String>,
    message_body: Option<String>,
}

fn invalid(message: impl Into<String>) -> Problem {
    Problem::new(&codes::ACTION_INVALID, message)
}

fn action(input: &mut Input<'_>) -> Result<ActionDraft, Problem> {
    let wire: ActionWire = json(input)?;
    match wire.action_type.as_str() {
        "forward" => forward(wire),
        "redirect" => {
            let config =
                wire.redirect_config.ok_or_else(|| invalid("a redirect needs a `redirectConfig`"))?;
            redirect(config).map(ActionDraft::Redirect)
        }
        "fixed-response" => {
            let config = wire.fixed_response_config;
            let config = config.ok_or_else(|| invalid("a fixed response needs a `fixedResponseConfig`"))?;
            fixed_response(config).map(ActionDraft::FixedResponse)
        }
        other => Err(invalid(format!("type `{other}` is not forward, redirect or fixed-response"))),
    }
}

fn forward(wire: ActionWire) -> Result<ActionDraft, Problem> {
    let simple = match (wire.target_group_arn, wire.target_group_name) {
        (None, None) => None,
        (Some(arn), None) => Some(TargetName::Arn(arn)),
        (None, Some(name)) => Some(TargetName::Name(name)),
        (Some(_), Some(_)) => return Err(invalid("either targetGroupARN or targetGroupName, not both")),
    };
    let config = match (simple, wire.forward_config) {
        (Some(target), None) => {
            return Ok(ActionDraft::Forward {
                targets: vec![TargetDraft { target, weight: Weight::ONE }],
                stickiness: None,
            });
        }
        (None, Some(config)) => config,
        (Some(_), Some(_)) => return Err(invalid("either one target group or a `forwardConfig`, not both")),
        (None, None) => return Err(invalid("a forward needs a `forwardConfig`")),
    };
    let n_targets = config.target_groups.len();
    if n_targets == 0 || n_targets > MAX_TARGET_GROUPS {
        let message =
            format!("forwardConfig has {n_targets} targetGroups: 1 to {MAX_TARGET_GROUPS} are taken");
        return Err(invalid(message));
    }
    let targets = config.target_groups.into_iter().map(|target| target_draft(target, n_targets == 1));
    let targets = targets.collect::<Result<_, _>>()?;
    let stickiness = config.target_group_stickiness_config.as_ref().map(stickiness).transpose()?.flatten();
    Ok(ActionDraft::Forward { targets, stickiness })
}

fn target_draft(wire: TargetWire, is_only: bool) -> Result<TargetDraft, Problem> {
    let target = match (wire.service_name, wire.target_group_arn, wire.target_group_name) {
        (Some(name), None, None) => {
            let port = wire
                .service_port
                .ok_or_else(|| invalid(format!("service `{name}` needs a `servicePort`")))?;
            TargetName::Service { name, port: numeric_if_possible(port) }
        }
        (None, Some(arn), None) => TargetName::Arn(arn),
        (None, None, Some(name)) => TargetName::Name(name),
        (None, None, None) => return Err(invalid("a target group needs a `serviceName`")),
        _ => return Err(invalid("a target group is named by its service, its ARN or its name, once")),
    };
    let weight = match wire.weight {
        Some(weight) => Weight::new(weight).map_err(|error| invalid(error.to_string()))?,
        None if is_only => Weight::ONE,
        None => return Err(invalid("each of several target groups needs a `weight`")),
    };
    Ok(TargetDraft { target, weight })
}

/// A numeric text means the number.
fn numeric_if_possible(port: IntOrString) -> IntOrString {
    match port {
        IntOrString::String(text) => match text.parse() {
            Ok(number) => IntOrString::Int(number),
            Err(_) => IntOrString::String(text),
        },
        number @ IntOrString::Int(_) => number,
    }
}

fn stickiness(wire: &StickinessWire) -> Result<Option<Duration>, Problem> {
    match wire.duration_seconds {
        Some(seconds) if !(1..=MAX_STICKINESS_SECONDS).contains(&seconds) => Err(invalid(format!(
            "stickiness of {seconds} seconds is not between 1 and {MAX_STICKINESS_SECONDS}"
        ))),
        None if wire.enabled => Err(invalid("stickiness needs `durationSeconds`")),
        Some(seconds) if wire.enabled => Ok(Some(Duration::from_secs(seconds.into()))),
        _ => Ok(None),
    }
}

fn redirect(wire: RedirectWire) -> Result<Redirect, Problem> {
    let status = match wire.status_code.as_deref() {
        Some("HTTP_301") => 301,
        Some("HTTP_302") => 302,
        Some(other) => return Err(invalid(format!("statusCode `{other}` is not HTTP_301 or HTTP_302"))),
        None => return Err(invalid("a redirect needs a `statusCode`: HTTP_301 or HTTP_302")),
    };
    let part = |part, written: Option<String>| {
        written.map_or(RedirectPart::Keep, |text| RedirectPart::new(part, &text))
    };
    let redirect = Redirect {
        protocol: part(UrlPart::Protocol, wire.protocol),
        host: part(UrlPart::Host, wire.host),
        port: part(UrlPart::Port, wire.port),
        path: part(UrlPart::Path, wire.path),
        query: part(UrlPart::Query, wire.query),
        status,
    };
    if !redirect.protocol.stays(|protocol| matches!(protocol, "HTTP" | "HTTPS")) {
        let protocol = redirect.text(UrlPart::Protocol);
        return Err(invalid(format!("protocol `{protocol}` is not HTTP, HTTPS or #{{protocol}}")));
    }
    if !redirect.port.stays(|port| port.parse::<std::num::NonZeroU16>().is_ok()) {
        return Err(invalid(format!("port `{}` is not a port or #{{port}}", redirect.text(UrlPart::Port))));
    }
    let path = redirect.text(UrlPart::Path);
    if !path.starts_with('/') {
        return Err(invalid(format!("path `{path}` does not begin with `/`")));
    }
    // They become part of a header field, where a line break would begin another one.
    let parts = [UrlPart::Host, UrlPart::Path, UrlPart::Query].map(|part| redirect.text(part));
    if parts.iter().any(|part| part.contains(|c: char| c.is_control() || c.is_whitespace()))
        || redirect.text(UrlPart::Host).is_empty()
    {
        return Err(invalid("host, path and query have no spaces or line breaks, and a host is not empty"));
    }
    let unchanged = Redirect { query: redirect.query.clone(), ..Redirect::keeping_everything(status) };
    if redirect == unchanged {
        return Err(invalid("the redirect changes neither protocol, host, port nor path"));
    }
    Ok(redirect)
}

fn fixed_response(wire: FixedResponseWire) -> Result<FixedResponse, Problem> {
    let written = wire.status_code.ok_or_else(|| invalid("a fixed response needs a `statusCode`"))?;
    let status = written.parse().ok().filter(|status: &u16| matches!(status / 100, 2 | 4 | 5));
    let status = status.ok_or_else(|| invalid(format!("statusCode `{written}` is not a 2XX, 4XX or 5XX")))?;
    if let Some(other) = wire.content_type.as_deref().filter(|it| !CONTENT_TYPES.contains(it)) {
        return Err(invalid(format!("contentType `{other}` is not one of `{}`", CONTENT_TYPES.join("`, `"))));
    }
    let n_characters = wire.message_body.as_deref().map_or(0, |body| body.chars().count());
    if n_characters > MAX_BODY {
        return Err(invalid(format!("messageBody has {n_characters} characters: {MAX_BODY} are taken")));
    }
    Ok(FixedResponse { status, content_type: wire.content_type, message_body: wire.message_body })
}
