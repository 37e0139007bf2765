//! A log that is turned on and goes nowhere: the ELB API refuses one without a bucket.

use plan::attributes;

use super::Context;
use crate::{Finding, codes};

/// What turns a log on, and what says where it goes.
const LOGS: [[&str; 2]; 3] = [
    [attributes::ACCESS_LOGS, attributes::ACCESS_LOGS_BUCKET],
    [attributes::CONNECTION_LOGS, attributes::CONNECTION_LOGS_BUCKET],
    [attributes::HEALTH_CHECK_LOGS, attributes::HEALTH_CHECK_LOGS_BUCKET],
];

pub(super) fn check(context: &Context<'_>, findings: &mut Vec<Finding>) {
    for (source, load_balancer) in &context.by_source {
        let Some(object) = context.object(source) else { continue };
        for [is_on, bucket] in LOGS {
            let attributes = &load_balancer.attributes;
            if attributes.is_on(is_on) && attributes.get(bucket).is_none() {
                let message =
                    format!("nothing is logged: `{is_on}=true` needs `{bucket}`, and AWS refuses it without");
                findings.push(Finding::new(&codes::LOG_WITHOUT_BUCKET, message).on(object));
            }
        }
    }
}
