//! How many addresses `X-Forwarded-For` may name ("HTTP 463", ALB user guide).

use net::{Fields, Request};

use super::{Filter, RequestSide};
use crate::respond::Reason;

pub(super) const FILTER: Filter = Filter { request: Some(RequestSide::Refuses(refusal)), ..Filter::IDLE };

/// More addresses are refused.
const MOST_ADDRESSES: usize = 30;

fn refusal(request: &Request) -> Option<Reason> {
    names_too_many(&request.fields).then_some(Reason::TOO_MANY_FORWARDED_FOR)
}

fn names_too_many(fields: &Fields) -> bool {
    let values = fields.all("x-forwarded-for");
    let addresses = values.map(|value| 1 + value.iter().filter(|byte| **byte == b',').count());
    addresses.sum::<usize>() > MOST_ADDRESSES
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_than_thirty_addresses_are_too_many() {
        let mut fields = Fields::new();
        fields.push("x-forwarded-for", vec!["10.0.0.1"; 30].join(", "));
        assert!(!names_too_many(&fields));
        fields.push("x-forwarded-for", "10.0.0.1");
        assert!(names_too_many(&fields));
    }
}
