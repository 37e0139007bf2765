//! One tree (`src/io/tree.cpp`).

use super::text::Block;
use crate::fault::Fault;
use crate::trees::{Categories, Missing, Node, Test};

/// All that a tree may have. What is not read tells of the training.
const KEYS: &[&str] = &[
    "cat_boundaries",
    "cat_threshold",
    "decision_type",
    "internal_count",
    "internal_value",
    "internal_weight",
    "is_linear",
    "leaf_coeff",
    "leaf_const",
    "leaf_count",
    "leaf_features",
    "leaf_value",
    "leaf_weight",
    "left_child",
    "num_cat",
    "num_features",
    "num_leaves",
    "right_child",
    "shrinkage",
    "split_feature",
    "split_gain",
    "threshold",
];

/// Bits of `decision_type`.
const BY_CATEGORY: u8 = 1;
const DEFAULT_LEFT: u8 = 2;
const MISSING_SHIFT: u8 = 2;

/// Leaves of one tree.
const MAX_LEAVES: usize = 1 << 24;

/// A tree: its inner nodes, and after them its leaves.
#[derive(Debug)]
pub(super) struct SavedTree {
    pub(super) nodes: Vec<Node>,
    pub(super) n_inner: usize,
    pub(super) values: Vec<f64>,
    /// One per leaf, if leaves are linear models.
    pub(super) linear: Option<Vec<LinearLeaf>>,
}

/// A leaf that is a linear model of some columns.
#[derive(Debug)]
pub(super) struct LinearLeaf {
    pub(super) constant: f64,
    /// Columns and their factors.
    pub(super) terms: Vec<(u32, f64)>,
    /// The value if one of the columns is missing.
    pub(super) fallback: f64,
}

// === impl SavedTree ===

impl SavedTree {
    pub(super) fn read(block: &Block<'_>, n_features: usize) -> Result<Self, Fault> {
        block.check_keys(KEYS)?;
        let n_leaves: usize = block.value("num_leaves")?;
        if n_leaves == 0 || n_leaves > MAX_LEAVES {
            return Err(block.problem(format!("{n_leaves} leaves")));
        }
        let values: Vec<f64> = block.n_values("leaf_value", n_leaves)?;
        let linear = match block.find("is_linear") {
            Some("1") => Some(linear_leaves(block, &values, n_features)?),
            _ => None,
        };
        let n_inner = n_leaves - 1;
        let nodes = match n_inner {
            0 => vec![Node::Leaf],
            _ => nodes(block, n_inner)?,
        };
        Ok(Self { nodes, n_inner, values, linear })
    }
}

fn nodes(block: &Block<'_>, n: usize) -> Result<Vec<Node>, Fault> {
    let features: Vec<usize> = block.n_values("split_feature", n)?;
    let thresholds: Vec<f64> = block.n_values("threshold", n)?;
    let decisions: Vec<u8> = block.n_values("decision_type", n)?;
    let left: Vec<i64> = block.n_values("left_child", n)?;
    let right: Vec<i64> = block.n_values("right_child", n)?;
    let sets = match block.find("num_cat") {
        None | Some("0") => Vec::new(),
        Some(_) => category_sets(block)?,
    };
    // Leaves are counted from -1 down; here they follow the inner nodes.
    let child = |child: i64| if child < 0 { n + !child as usize } else { child as usize };

    let mut nodes = Vec::with_capacity(2 * n + 1);
    for index in 0..n {
        let test = if decisions[index] & BY_CATEGORY != 0 {
            let set = sets.get(thresholds[index] as usize);
            let set = set.ok_or_else(|| block.problem("a split has no categories"))?;
            Test::OneOf(Categories {
                right: set.iter().map(|left| !left).collect(),
                others_right: true,
                missing_right: true,
                from_zero: false,
            })
        } else {
            let missing =
                missing(decisions[index]).ok_or_else(|| block.problem("unknown `decision_type`"))?;
            Test::AtMost { threshold: thresholds[index], missing }
        };
        let (left, right) = (child(left[index]), child(right[index]));
        nodes.push(Node::Split { feature: features[index], test, left, right });
    }
    nodes.resize(2 * n + 1, Node::Leaf);
    Ok(nodes)
}

fn missing(decision: u8) -> Option<Missing> {
    let is_left = decision & DEFAULT_LEFT != 0;
    match decision >> MISSING_SHIFT {
        0 => Some(Missing::Zero),
        1 if is_left => Some(Missing::ZeroLeft),
        1 => Some(Missing::ZeroRight),
        2 if is_left => Some(Missing::Left),
        2 => Some(Missing::Right),
        _ => None,
    }
}

/// The categories that go left, as bits, of each split by category.
fn category_sets(block: &Block<'_>) -> Result<Vec<Vec<u32>>, Fault> {
    let boundaries: Vec<usize> = block.values("cat_boundaries")?;
    let words: Vec<u32> = block.values("cat_threshold")?;
    // Rising boundaries keep the sets from being more than the file.
    let is_rising = boundaries.is_sorted() && boundaries.last().is_none_or(|end| *end <= words.len());
    if !is_rising {
        return Err(block.problem("`cat_boundaries` do not fit `cat_threshold`"));
    }
    Ok(boundaries.windows(2).map(|ends| words[ends[0]..ends[1]].to_vec()).collect())
}

fn linear_leaves(block: &Block<'_>, values: &[f64], n_features: usize) -> Result<Vec<LinearLeaf>, Fault> {
    let constants: Vec<f64> = block.n_values("leaf_const", values.len())?;
    let counts: Vec<usize> = block.n_values("num_features", values.len())?;
    let features: Vec<u32> = block.values("leaf_features")?;
    let factors: Vec<f64> = block.n_values("leaf_coeff", features.len())?;
    if features.iter().any(|feature| *feature as usize >= n_features) {
        return Err(block.problem(format!("a leaf looks at a column beyond the {n_features}")));
    }
    let mut terms = features.into_iter().zip(factors);
    let mut leaves = Vec::with_capacity(values.len());
    for (index, fallback) in values.iter().enumerate() {
        let own: Vec<(u32, f64)> = terms.by_ref().take(counts[index]).collect();
        if own.len() != counts[index] {
            return Err(block.problem("`leaf_features` is too short"));
        }
        leaves.push(LinearLeaf { constant: constants[index], terms: own, fallback: *fallback });
    }
    Ok(leaves)
}

// === impl LinearLeaf ===

impl LinearLeaf {
    pub(super) fn value(&self, row: &[f64]) -> f64 {
        let mut value = self.constant;
        for (feature, factor) in &self.terms {
            let cell = row[*feature as usize];
            if cell.is_nan() {
                return self.fallback;
            }
            value += factor * cell;
        }
        value
    }
}
