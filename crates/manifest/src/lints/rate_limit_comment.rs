//! A comment that promises rate limiting above settings that limit no rate. No attribute of a load balancer does.

use super::Context;
use crate::{Finding, codes};

pub(super) fn check(context: &Context<'_>, findings: &mut Vec<Finding>) {
    for (object, _) in context.ingresses() {
        let Some(source) = &object.source else { continue };
        for (number, line) in (source.first_line..).zip(source.text.lines()) {
            let comment = line.trim_start().strip_prefix('#').unwrap_or_default().to_ascii_lowercase();
            if !comment.contains("rate limit") && !comment.contains("rate-limit") {
                continue;
            }
            let column = 1 + line.chars().take_while(|c| c.is_whitespace()).count();
            let location = source.location(number, u32::try_from(column).unwrap_or(1));
            let message = "the comment promises rate limiting, and nothing below it limits a rate";
            let finding = Finding::new(&codes::RATE_LIMIT_COMMENT, message).on(object);
            let finding =
                finding.suggest("a web ACL with a rate-based rule limits rates on AWS: wafv2-acl-arn");
            findings.push(Finding { location: Some(location), ..finding });
        }
    }
}
