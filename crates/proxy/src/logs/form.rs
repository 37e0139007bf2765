//! The forms that lines of requests may have.

use jiff::Timestamp;

use super::{alb, json, text_form};
use crate::record::Record;

/// The form of a line.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Form {
    /// `name=value`, for people.
    #[default]
    Text,
    /// One object of JSON.
    Json,
    /// As Application Load Balancers write it.
    Alb,
}

impl Form {
    pub(super) fn write(self, out: &mut Vec<u8>, time: Timestamp, record: &Record, arn_prefix: &str) {
        match self {
            Self::Text => text_form::write(out, time, record),
            Self::Json => json::write(out, time, record),
            Self::Alb => alb::write(out, time, record, arn_prefix),
        }
    }
}
