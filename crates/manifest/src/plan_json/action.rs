//! Actions in JSON.

use plan::{
    Action, FixedResponse, Forward, GroupStickiness, LoadBalancer, Redirect, TargetGroupRef, UrlPart,
};
use serde::Serialize;

#[derive(Serialize)]
#[serde(tag = "type")]
pub(super) enum ActionJson<'a> {
    #[serde(rename = "forward", rename_all = "camelCase")]
    Forward { forward_config: ForwardJson<'a> },
    #[serde(rename = "redirect", rename_all = "camelCase")]
    Redirect { redirect_config: RedirectJson<'a> },
    #[serde(rename = "fixed-response", rename_all = "camelCase")]
    FixedResponse { fixed_response_config: FixedResponseJson<'a> },
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ForwardJson<'a> {
    target_groups: Vec<TargetJson<'a>>,
    target_group_stickiness_config: StickinessJson,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct TargetJson<'a> {
    target_group: Option<&'a str>,
    target_group_arn: Option<&'a str>,
    target_group_name: Option<&'a str>,
    weight: u16,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct StickinessJson {
    enabled: bool,
    duration_seconds: Option<u64>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RedirectJson<'a> {
    protocol: &'a str,
    host: &'a str,
    port: &'a str,
    path: &'a str,
    query: &'a str,
    status_code: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct FixedResponseJson<'a> {
    status_code: String,
    content_type: Option<&'a str>,
    message_body: Option<&'a str>,
}

impl<'a> ActionJson<'a> {
    pub(super) fn new(action: &'a Action, load_balancer: &'a LoadBalancer) -> Self {
        match action {
            Action::Forward(forward) => {
                Self::Forward { forward_config: ForwardJson::new(forward, load_balancer) }
            }
            Action::Redirect(redirect) => Self::Redirect { redirect_config: RedirectJson::new(redirect) },
            Action::FixedResponse(response) => {
                Self::FixedResponse { fixed_response_config: FixedResponseJson::new(response) }
            }
        }
    }
}

impl<'a> ForwardJson<'a> {
    fn new(forward: &'a Forward, load_balancer: &'a LoadBalancer) -> Self {
        let targets = forward.targets.iter().map(|target| {
            let (mut key, mut arn, mut name) = (None, None, None);
            let place = match &target.target_group {
                TargetGroupRef::Group(_) => &mut key,
                TargetGroupRef::Arn(_) => &mut arn,
                TargetGroupRef::Name(_) => &mut name,
            };
            *place = Some(load_balancer.name_of(&target.target_group));
            let weight = target.weight.get();
            TargetJson { target_group: key, target_group_arn: arn, target_group_name: name, weight }
        });
        let stickiness = forward.stickiness;
        Self {
            target_groups: targets.collect(),
            target_group_stickiness_config: StickinessJson {
                enabled: stickiness.is_some(),
                duration_seconds: match stickiness {
                    Some(GroupStickiness::Cookie(duration)) => Some(duration.as_secs()),
                    Some(GroupStickiness::SourceIp) | None => None,
                },
            },
        }
    }
}

impl<'a> RedirectJson<'a> {
    fn new(redirect: &'a Redirect) -> Self {
        Self {
            protocol: redirect.text(UrlPart::Protocol),
            host: redirect.text(UrlPart::Host),
            port: redirect.text(UrlPart::Port),
            path: redirect.text(UrlPart::Path),
            query: redirect.text(UrlPart::Query),
            status_code: format!("HTTP_{}", redirect.status),
        }
    }
}

impl<'a> FixedResponseJson<'a> {
    fn new(response: &'a FixedResponse) -> Self {
        Self {
            status_code: response.status.to_string(),
            content_type: response.content_type.as_deref(),
            message_body: response.message_body.as_deref(),
        }
    }
}
