//! A desync mitigation mode that lets through what is refused here (SECURITY.md, "HTTP").

use plan::{ApplicationSettings, DesyncMode, LoadBalancerKind, attributes};

use super::Context;
use crate::{Finding, codes};

pub(super) fn check(context: &Context<'_>, findings: &mut Vec<Finding>) {
    for (source, load_balancer) in &context.by_source {
        let Some(object) = context.object(source) else { continue };
        let mode = ApplicationSettings::of(&load_balancer.attributes).desync_mode;
        if load_balancer.kind == LoadBalancerKind::Application && mode == DesyncMode::Monitor {
            let message = format!(
                "`{}=monitor` has an ALB let requests through that two servers may read in two ways; they are refused here, \
                 and `forebay_refused_beyond_alb_total` counts them",
                attributes::DESYNC_MITIGATION_MODE
            );
            findings.push(Finding::new(&codes::DESYNC_MODE, message).on(object));
        }
    }
}
