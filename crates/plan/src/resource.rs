//! The names that AWS gives to what a plan has, for log lines, keys of objects and metrics that tools for AWS read.
//!
//! AWS draws the last part of each at random. Here it follows from the identity, so that it stays the same over restarts.

use crate::{LoadBalancer, LoadBalancerKind, TargetGroup};

/// The account that things are said to belong to, and its region.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Twelve digits.
    pub id: String,
    /// For example `eu-west-1`.
    pub region: String,
}

impl Default for Account {
    fn default() -> Self {
        Self { id: "000000000000".to_owned(), region: "us-east-1".to_owned() }
    }
}

impl Account {
    /// The beginning of the ARNs of all load balancing, up to the resource.
    #[must_use]
    pub fn arn_prefix(&self) -> String {
        let Self { id, region } = self;
        let partition = match region.split('-').next() {
            Some("cn") => "aws-cn",
            Some("us") if region.starts_with("us-gov-") => "aws-us-gov",
            _ => "aws",
        };
        format!("arn:{partition}:elasticloadbalancing:{region}:{id}:")
    }
}

/// What logs and metrics call a load balancer, for example `app/retail-api/50dc6c495c0c9188`.
#[must_use]
pub fn of_load_balancer(load_balancer: &LoadBalancer) -> String {
    let kind = match load_balancer.kind {
        LoadBalancerKind::Application => "app",
        LoadBalancerKind::Network => "net",
    };
    let id = load_balancer.id.to_string();
    format!("{kind}/{}/{:016x}", load_balancer.name, digest(&[&id]))
}

/// What logs call a listener: sixteen hexadecimal digits.
#[must_use]
pub fn of_listener(load_balancer: &LoadBalancer, port: u16) -> String {
    let id = load_balancer.id.to_string();
    format!("{:016x}", digest(&[&id, &port.to_string()]))
}

/// What logs and metrics call a target group, for example `targetgroup/k8s-mlops-api/73e2d6bc24d8a067`.
#[must_use]
pub fn of_target_group(load_balancer: &LoadBalancer, group: &TargetGroup) -> String {
    let id = load_balancer.id.to_string();
    format!("targetgroup/{}/{:016x}", group.name, digest(&[&id, &group.key]))
}

/// FNV-1a (Fowler, Noll, Vo), which is the same in every build.
fn digest(parts: &[&str]) -> u64 {
    const OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
    const PRIME: u64 = 0x0100_0000_01b3;
    let bytes = parts.iter().flat_map(|part| part.bytes().chain([0xff]));
    bytes.fold(OFFSET, |digest, byte| (digest ^ u64::from(byte)).wrapping_mul(PRIME))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arns_begin_with_the_partition_of_their_region() {
        let prefix = |region: &str| Account { region: region.to_owned(), ..Account::default() }.arn_prefix();
        assert_eq!(prefix("eu-west-1"), "arn:aws:elasticloadbalancing:eu-west-1:000000000000:");
        assert!(prefix("cn-north-1").starts_with("arn:aws-cn:"));
        assert!(prefix("us-gov-west-1").starts_with("arn:aws-us-gov:"));
        assert!(prefix("us-east-1").starts_with("arn:aws:"));
    }

    #[test]
    fn the_same_identity_has_the_same_name_and_others_have_others() {
        assert_eq!(digest(&["a"]), digest(&["a"]));
        assert_ne!(digest(&["a", "b"]), digest(&["ab"]));
        assert_ne!(digest(&["ab", ""]), digest(&["a", "b"]));
    }
}
