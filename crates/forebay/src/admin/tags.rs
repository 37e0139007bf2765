//! What load balancers are and how they are tagged, as labels of one metric that others join with.

use std::collections::BTreeMap;

use plan::{Plan, resource};

use super::exposition::push_labels;

/// Tags of one load balancer that become labels: so many may a resource have in AWS.
const MOST_TAGS: usize = 50;

/// The metric, in the OpenMetrics text format.
pub(super) fn metrics(plan: &Plan) -> String {
    let mut text = String::from(
        "# HELP forebay_load_balancer_info What a load balancer is, and its tags.\n\
         # TYPE forebay_load_balancer_info gauge\n",
    );
    for balancer in &plan.load_balancers {
        let mut tags: BTreeMap<String, &str> = BTreeMap::new();
        for (key, value) in balancer.tags.iter().take(MOST_TAGS) {
            // Of two keys that come to one label, the first in order has it.
            tags.entry(label_of(key)).or_insert(value);
        }
        let (id, resource) = (balancer.id.to_string(), resource::of_load_balancer(balancer));
        let labels = [
            ("load_balancer", balancer.name.as_str()),
            ("id", &id),
            ("resource", &resource),
            ("type", balancer.kind.as_str()),
            ("scheme", balancer.scheme.as_str()),
        ];
        let tags = tags.iter().map(|(label, value)| (label.as_str(), *value));
        text.push_str("forebay_load_balancer_info");
        push_labels(&mut text, labels.into_iter().chain(tags));
        text.push_str(" 1\n");
    }
    text
}

/// The label of a tag: `tag_Environment`, and `_` for whatever no label has.
fn label_of(key: &str) -> String {
    let plain = |character: char| if character.is_ascii_alphanumeric() { character } else { '_' };
    format!("tag_{}", key.chars().map(plain).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_of_a_tag_becomes_a_label() {
        assert_eq!(label_of("Environment"), "tag_Environment");
        assert_eq!(label_of("kubernetes.io/cluster/a-b"), "tag_kubernetes_io_cluster_a_b");
        assert_eq!(label_of(""), "tag_");
    }
}
