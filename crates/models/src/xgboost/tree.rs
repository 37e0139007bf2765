//! One tree (`RegTree`, `MultiTargetTree`).

use std::collections::HashMap;

use super::LIBRARY;
use crate::fault::Fault;
use crate::formats::document::Place;
use crate::trees::{Categories, Missing, Node, Test};

/// All that a tree may have. What is not read tells of the training.
const KEYS: &[&str] = &[
    "base_weights",
    "categories",
    "categories_nodes",
    "categories_segments",
    "categories_sizes",
    "default_left",
    "id",
    "leaf_child_counts",
    "leaf_weights",
    "left_children",
    "loss_changes",
    "parents",
    "right_children",
    "split_conditions",
    "split_indices",
    "split_type",
    "sum_hessian",
    "tree_param",
];

/// A category that XGBoost takes for one at all (`OutOfRangeCat`).
const MAX_CATEGORY: usize = 1 << 24;

/// A tree, and the values of its leaves.
pub(super) struct SavedTree<'d> {
    pub(super) nodes: Vec<Node>,
    /// Values per leaf.
    pub(super) width: usize,
    values: &'d [f64],
    /// The place of a leaf among the values.
    places: Vec<usize>,
}

// === impl SavedTree ===

impl<'d> SavedTree<'d> {
    pub(super) fn read(tree: &Place<'d>) -> Result<Self, Fault> {
        super::booster::check_keys(tree, KEYS)?;
        let width = tree.find("tree_param").and_then(|parameters| parameters.find("size_leaf_vector"));
        let width = width.map_or(Ok(1), |width| width.count())?.max(1);

        let left = tree.get("left_children")?.numbers()?;
        let n = left.len();
        let right = tree.get("right_children")?.n_numbers(n)?;
        let features = tree.get("split_indices")?.n_numbers(n)?;
        let conditions = tree.get("split_conditions")?.n_numbers(n)?;
        let default_left = tree.get("default_left")?.n_numbers(n)?;
        let split_type = match tree.find("split_type") {
            Some(split_type) if !split_type.numbers()?.is_empty() => Some(split_type.n_numbers(n)?),
            _ => None,
        };
        let mut sets = category_sets(tree)?;

        let mut nodes = Vec::with_capacity(n);
        for index in 0..n {
            if left[index] < 0.0 {
                nodes.push(Node::Leaf);
                continue;
            }
            let is_left = default_left[index] != 0.0;
            let test = match split_type.map_or(0.0, |kinds| kinds[index]) {
                0.0 => less_than(conditions[index] as f32, is_left),
                1.0 => Test::OneOf(Categories {
                    right: sets
                        .remove(&index)
                        .ok_or_else(|| tree.problem("has a split without categories"))?,
                    others_right: false,
                    missing_right: !is_left,
                    from_zero: true,
                }),
                _ => return Err(Fault::unsupported(format!("{LIBRARY} with an unknown `split_type`"))),
            };
            let number = |number: f64| match number >= 0.0 {
                true => Ok(number as usize),
                false => Err(tree.problem("has a node without a right child or a column")),
            };
            let (left, right, feature) =
                (number(left[index])?, number(right[index])?, number(features[index])?);
            nodes.push(Node::Split { feature, test, left, right });
        }

        // The values of a leaf are in place of its threshold; if they are many, in a list of their own.
        let is_leaf = |index: &usize| nodes[*index] == Node::Leaf;
        let (values, places) = match tree.find("leaf_weights") {
            Some(weights) if width > 1 && !weights.numbers()?.is_empty() => {
                (weights.numbers()?, right.iter().map(|place| place.max(0.0) as usize).collect())
            }
            _ if width > 1 => (tree.get("base_weights")?.numbers()?, (0..n).collect()),
            _ => (conditions, (0..n).collect::<Vec<_>>()),
        };
        if (0..n).filter(is_leaf).any(|index| places[index] >= values.len() / width) {
            return Err(tree.problem("has a leaf without values"));
        }
        Ok(Self { nodes, width, values, places })
    }

    /// The values of a leaf.
    pub(super) fn leaf(&self, node: usize) -> impl Iterator<Item = f32> {
        let start = self.places[node] * self.width;
        self.values[start..start + self.width].iter().map(|value| *value as f32)
    }
}

/// XGBoost sends left what is below a threshold; others, what is not above one.
fn less_than(threshold: f32, missing_left: bool) -> Test {
    let missing = if missing_left { Missing::Left } else { Missing::Right };
    Test::AtMost { threshold: f64::from(threshold.next_down()), missing }
}

/// The categories that go right, as bits, by node.
fn category_sets(tree: &Place<'_>) -> Result<HashMap<usize, Vec<u32>>, Fault> {
    let Some(nodes) = tree.find("categories_nodes") else { return Ok(HashMap::new()) };
    let nodes = nodes.counts()?;
    let categories = tree.get("categories")?;
    let all = categories.counts()?;
    let segments = tree.get("categories_segments")?.counts()?;
    let sizes = tree.get("categories_sizes")?.counts()?;
    if segments.len() != nodes.len() || sizes.len() != nodes.len() {
        return Err(categories.problem("does not fit its nodes"));
    }
    let mut sets = HashMap::new();
    // Segments may overlap, so that together they could be more than the file.
    let mut n_left = all.len();
    for ((node, start), size) in nodes.into_iter().zip(segments).zip(sizes) {
        let own = start.checked_add(size).and_then(|end| all.get(start..end));
        let own = own.filter(|own| own.len() <= n_left).ok_or_else(|| categories.problem("is too short"))?;
        n_left -= own.len();
        let greatest = own.iter().copied().max().unwrap_or(0);
        if greatest >= MAX_CATEGORY {
            return Err(categories.problem("holds what is no category"));
        }
        let mut bits = vec![0_u32; greatest / 32 + 1];
        for category in own {
            bits[category / 32] |= 1 << (category % 32);
        }
        sets.insert(node, bits);
    }
    Ok(sets)
}
