//! Fields that every answer of a listener has or lacks ("HTTP header modification", ALB user guide).

use net::Response;

use super::{Filter, Leaving};

pub(super) const FILTER: Filter = Filter {
    is_wanted: |settings, _| settings.answer_fields.is_some(),
    answer: Some(modify),
    ..Filter::IDLE
};

fn modify(leaving: &Leaving<'_>, answer: &mut Response) {
    if let Some(modified) = &leaving.settings.answer_fields {
        modified.apply(&mut answer.fields);
    }
}
