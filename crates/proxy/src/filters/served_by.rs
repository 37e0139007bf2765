//! Who gave an answer: `x-served-by: <service>/<revision>/<target>`, where `forebay.dev/served-by` of a rule asks for
//! it.

use net::Response;

use super::{Filter, Leaving};

pub(super) const FILTER: Filter =
    Filter { is_wanted: |_, handling| handling.tells_target, answer: Some(tell), ..Filter::IDLE };

const FIELD: &str = "x-served-by";

/// What a target says of that itself goes, and nobody is named whose answer it is not.
fn tell(leaving: &Leaving<'_>, answer: &mut Response) {
    answer.fields.remove(FIELD);
    let Some(record) = leaving.record.filter(|record| record.target_status.is_some()) else { return };
    let (Some(group), Some(target)) = (&record.group, record.target) else { return };
    let revision = group.revisions.get(&target.ip()).map_or("-", String::as_str);
    answer.fields.push(FIELD, format!("{}/{revision}/{target}", group.service));
}
