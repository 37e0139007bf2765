//! Trees in the layout of [`crate::trees`], which is many times faster. Most ensembles can have it.

use super::ensemble::{Aggregate, Branch, Ensemble, Test};
use crate::trees::{self, Builder, Forest, Missing, Node};

/// A forest whose sums have the precision of the ensemble.
#[derive(Debug)]
pub(super) enum Compact {
    Float(Forest<f32>),
    Double(Forest<f64>),
}

/// A tree by itself: its nodes, and for each leaf the place of its first weight.
struct Tree {
    nodes: Vec<Node>,
    weights: Vec<usize>,
    /// Which targets its leaves add to: this one and the ones after it.
    target: usize,
}

impl Compact {
    /// The compact form; `None` if a test is not a comparison, or if leaves of a tree add to several sets of targets.
    pub(super) fn of(ensemble: &Ensemble) -> Option<Self> {
        let adds_up = matches!(ensemble.aggregate, Aggregate::Sum | Aggregate::Average);
        let leaf = ensemble.leaves.first().filter(|_| adds_up)?;
        let width = leaf.end - leaf.start;
        let trees: Vec<Tree> =
            ensemble.roots.iter().map(|root| tree(ensemble, *root, width)).collect::<Option<_>>()?;
        let n_features = ensemble.n_features.max(1);
        let weight = |place: usize| ensemble.weights[place].1;
        if ensemble.is_double {
            let mut builder = Builder::new(n_features, width);
            for tree in &trees {
                let values = |node: usize, values: &mut Vec<f64>| {
                    values.extend((0..width).map(|index| weight(tree.weights[node] + index)));
                };
                builder.add(&tree.nodes, tree.target, values).ok()?;
            }
            return Some(Self::Double(builder.finish()));
        }
        let mut builder = Builder::new(n_features, width);
        for tree in &trees {
            let values = |node: usize, values: &mut Vec<f32>| {
                values.extend((0..width).map(|index| weight(tree.weights[node] + index) as f32));
            };
            builder.add(&tree.nodes, tree.target, values).ok()?;
        }
        Some(Self::Float(builder.finish()))
    }

    /// The sums of rows.
    pub(super) fn sums(&self, rows: &[f64], n_columns: usize, n_targets: usize) -> Vec<f64> {
        let n = rows.len() / n_columns * n_targets;
        match self {
            Self::Double(forest) => {
                let mut sums = vec![0.0; n];
                forest.add_to(rows, n_columns, &mut sums, n_targets);
                sums
            }
            Self::Float(forest) => {
                let mut sums = vec![0.0_f32; n];
                forest.add_to(rows, n_columns, &mut sums, n_targets);
                sums.into_iter().map(f64::from).collect()
            }
        }
    }
}

/// The nodes below a root, numbered among themselves.
fn tree(ensemble: &Ensemble, root: usize, width: usize) -> Option<Tree> {
    let mut tree = Tree { nodes: Vec::new(), weights: Vec::new(), target: 0 };
    let mut target = None;
    let mut open = vec![root];
    let mut next = 0;
    while let Some(place) = open.get(next) {
        next += 1;
        match &ensemble.nodes[*place] {
            Branch::Leaf(leaf) => {
                let leaf = ensemble.leaves[*leaf];
                let of_leaf = &ensemble.weights[leaf.start..leaf.end];
                let first = of_leaf.first()?.0;
                let in_order = of_leaf.iter().enumerate().all(|(index, (to, _))| *to == first + index);
                if of_leaf.len() != width || !in_order || *target.get_or_insert(first) != first {
                    return None;
                }
                tree.nodes.push(Node::Leaf);
                tree.weights.push(leaf.start);
            }
            Branch::Split { feature, test, missing_is_true, if_true, if_false } => {
                let (threshold, true_is_left) = match test {
                    Test::AtMost(threshold) => (*threshold, true),
                    Test::Above(threshold) => (*threshold, false),
                    Test::Below(threshold) if threshold.is_finite() => (threshold.next_down(), true),
                    Test::AtLeast(threshold) if threshold.is_finite() => (threshold.next_down(), false),
                    _ => return None,
                };
                let missing = if *missing_is_true == true_is_left { Missing::Left } else { Missing::Right };
                let children = if true_is_left { [*if_true, *if_false] } else { [*if_false, *if_true] };
                let left = open.len();
                // Nodes that share what is below them would become more than they are.
                if left > 2 * ensemble.nodes.len() {
                    return None;
                }
                open.extend(children);
                let test = trees::Test::AtMost { threshold, missing };
                tree.nodes.push(Node::Split { feature: *feature, test, left, right: left + 1 });
                tree.weights.push(0);
            }
        }
    }
    tree.target = target?;
    Some(tree)
}
