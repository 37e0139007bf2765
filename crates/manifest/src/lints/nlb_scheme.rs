//! A Network Load Balancer that is internal because nobody says otherwise.

use plan::Scheme;

use super::{Context, aws};
use crate::{Finding, codes};

pub(super) fn check(context: &Context<'_>, findings: &mut Vec<Finding>) {
    for (backend, load_balancer) in context.network() {
        let object = &backend.object;
        let is_said = aws(object, "scheme").is_some() || aws(object, "internal").is_some();
        if load_balancer.scheme == Scheme::Internal && !is_said {
            let message = "the load balancer is internal, because nothing says otherwise";
            let finding = Finding::new(&codes::SCHEME_DEFAULT, message).on(object);
            findings.push(
                finding.suggest("service.beta.kubernetes.io/aws-load-balancer-scheme: internet-facing"),
            );
        }
    }
}
