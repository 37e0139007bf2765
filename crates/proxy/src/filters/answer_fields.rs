//! Fields that every answer of a listener has or lacks ("HTTP header modification", ALB user guide).

use net::Fields;

use super::Filter;
use crate::snapshot::ListenerSettings;

pub(super) const FILTER: Filter =
    Filter { is_wanted: |settings| settings.answer_fields.is_some(), request: None, answer: Some(modify) };

fn modify(settings: &ListenerSettings, fields: &mut Fields) {
    if let Some(modified) = &settings.answer_fields {
        modified.apply(fields);
    }
}
