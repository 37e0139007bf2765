//! Source ranges that let everybody in, written out at a load balancer that the internet reaches: it was probably meant to be
//! restricted later.

use plan::{Scheme, has_everybody};

use super::Context;
use crate::annotations::values::cidr;
use crate::{Finding, codes};

const FIELD: &str = "spec.loadBalancerSourceRanges";

pub(super) fn check(context: &Context<'_>, findings: &mut Vec<Finding>) {
    for (backend, load_balancer) in context.network() {
        let ranges = &backend.spec.load_balancer_source_ranges;
        let everybody = ranges.iter().position(|range| cidr(range).is_ok_and(|it| has_everybody(&it)));
        if let Some(place) = everybody
            && load_balancer.scheme == Scheme::InternetFacing
        {
            let message = format!("`{}` lets the whole internet in", ranges[place].trim());
            let finding = Finding::new(&codes::OPEN_TO_EVERYBODY, message);
            findings.push(finding.at(&backend.object, &format!("{FIELD}[{place}]")));
        }
    }
}
