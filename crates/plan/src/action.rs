//! What a rule does with a request.

use std::sync::LazyLock;
use std::time::Duration;

use crate::{Redirect, TargetGroupId};

/// The routing action of a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// To a target of one of these target groups.
    Forward(Forward),
    /// To another URL.
    Redirect(Redirect),
    /// Answered by the load balancer itself.
    FixedResponse(FixedResponse),
}

/// Target groups with weights.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Forward {
    /// Never empty.
    pub targets: Vec<ForwardTarget>,
    /// How a client stays with the target group it got, if at all.
    pub stickiness: Option<GroupStickiness>,
}

/// How a client stays with the target group it got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GroupStickiness {
    /// By a cookie, `AWSALBTG`, for so long.
    Cookie(Duration),
    /// By its address, at a Network Load Balancer.
    SourceIp,
}

/// One weighted target group of a forward action.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForwardTarget {
    /// Which target group.
    pub target_group: TargetGroupRef,
    /// Its share is weight / sum of weights.
    pub weight: Weight,
}

/// The weight of a target group in a forward action: 0 to 999, where 0 means that nothing goes there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Weight(u16);

/// Why a number is no weight.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("weight {weight} is not between 0 and {}", Weight::MAX)]
pub struct WeightError {
    /// The number.
    pub weight: i64,
}

/// Names a target group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TargetGroupRef {
    /// One of the same load balancer.
    Group(TargetGroupId),
    /// One outside, by ARN: nothing is sent there.
    Arn(String),
    /// One outside, by name: nothing is sent there.
    Name(String),
}

/// An answer the load balancer gives itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FixedResponse {
    /// 2xx, 4xx or 5xx.
    pub status: u16,
    /// `text/plain` on the wire when absent.
    pub content_type: Option<String>,
    /// At most 1024 characters.
    pub message_body: Option<String>,
}

// === impl Action ===

impl Action {
    /// Forward everything to one target group of the same load balancer.
    #[must_use]
    pub fn forward_to(target_group: TargetGroupId) -> Self {
        let target_group = TargetGroupRef::Group(target_group);
        Self::Forward(Forward {
            targets: vec![ForwardTarget { target_group, weight: Weight::ONE }],
            stickiness: None,
        })
    }

    /// The default action of an Application Load Balancer without a default backend.
    #[must_use]
    pub fn not_found() -> &'static Self {
        static NOT_FOUND: LazyLock<Action> = LazyLock::new(|| {
            Action::FixedResponse(FixedResponse {
                status: 404,
                content_type: Some("text/plain".to_owned()),
                message_body: None,
            })
        });
        &NOT_FOUND
    }
}

// === impl Weight ===

impl Weight {
    /// The greatest.
    pub const MAX: u16 = 999;
    /// That of a target group which is the only one.
    pub const ONE: Self = Self(1);

    /// A number as a weight.
    ///
    /// # Errors
    /// When it is out of range.
    pub fn new(weight: i64) -> Result<Self, WeightError> {
        let fitting = u16::try_from(weight).ok().filter(|weight| *weight <= Self::MAX);
        fitting.map(Self).ok_or(WeightError { weight })
    }

    /// The number.
    #[must_use]
    pub fn get(self) -> u16 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_go_from_0_to_999() {
        for weight in [0, 1, 999] {
            assert_eq!(Weight::new(weight).map(|weight| i64::from(weight.get())), Ok(weight));
        }
        for weight in [-1, 1000, 65_536, i64::MAX] {
            assert_eq!(Weight::new(weight), Err(WeightError { weight }));
        }
        assert_eq!(WeightError { weight: 1000 }.to_string(), "weight 1000 is not between 0 and 999");
    }
}
