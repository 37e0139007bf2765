//! From the attributes of a node to trees.

use std::collections::HashMap;

use super::compact::Compact;
use super::ensemble::{Aggregate, Branch, Ensemble, Leaf, Test};
use crate::Data;
use crate::fault::Fault;
use crate::onnx::node::Node;
use crate::onnx::tensor::Tensor;

/// The names of the attributes that say what leaves add.
#[derive(Debug, Clone, Copy)]
pub(super) struct Names {
    trees: &'static str,
    nodes: &'static str,
    targets: &'static str,
    weights: &'static str,
    weights_as_tensor: &'static str,
}

pub(super) const REGRESSOR: Names = Names {
    trees: "target_treeids",
    nodes: "target_nodeids",
    targets: "target_ids",
    weights: "target_weights",
    weights_as_tensor: "target_weights_as_tensor",
};

pub(super) const CLASSIFIER: Names = Names {
    trees: "class_treeids",
    nodes: "class_nodeids",
    targets: "class_ids",
    weights: "class_weights",
    weights_as_tensor: "class_weights_as_tensor",
};

/// Numbers of either precision.
pub(super) struct Numbers {
    pub(super) values: Vec<f64>,
    pub(super) is_double: bool,
}

/// Numbers of an attribute, or of one that holds them as an array.
pub(super) fn numbers<'a>(node: &Node<'a>, name: &'a str, as_tensor: &'a str) -> Result<Numbers, Fault> {
    let floats = node.floats(name)?.unwrap_or_default();
    match node.tensor(as_tensor)?.map(Tensor::data) {
        Some(Data::Double(values)) => Ok(Numbers { values: values.clone(), is_double: true }),
        Some(Data::Float(values)) => Ok(Numbers { values: wide(values), is_double: false }),
        Some(_) => Err(node.problem(format!("its `{as_tensor}` are neither float nor double"))),
        None => Ok(Numbers { values: wide(floats), is_double: false }),
    }
}

fn wide(floats: &[f32]) -> Vec<f64> {
    floats.iter().map(|float| f64::from(*float)).collect()
}

fn places(node: &Node<'_>, name: &str, longs: &[i64]) -> Result<Vec<usize>, Fault> {
    let places = longs.iter().map(|long| usize::try_from(*long).ok()).collect::<Option<_>>();
    places.ok_or_else(|| node.problem(format!("its `{name}` are negative")))
}

/// The trees of an ensemble up to version 4, and of the operators that version 5 keeps.
pub(super) fn ensemble(node: &Node<'_>, names: Names, n_targets: usize) -> Result<Ensemble, Fault> {
    node.ignore(&["nodes_hitrates", "nodes_hitrates_as_tensor"]);
    let longs = |name| node.longs(name).map(Option::unwrap_or_default);
    let (trees, ids) = (longs("nodes_treeids")?, longs("nodes_nodeids")?);
    let (if_true, if_false) = (longs("nodes_truenodeids")?, longs("nodes_falsenodeids")?);
    let features = longs("nodes_featureids")?;
    let missing = longs("nodes_missing_value_tracks_true")?;
    let modes = node.texts("nodes_modes")?.unwrap_or_default();
    let thresholds = numbers(node, "nodes_values", "nodes_values_as_tensor")?;
    let aggregate = match node.text("aggregate_function", "SUM")? {
        "SUM" => Aggregate::Sum,
        "AVERAGE" => Aggregate::Average,
        "MIN" => Aggregate::Min,
        "MAX" => Aggregate::Max,
        other => {
            return Err(
                node.unsupported(&format!("the attribute `aggregate_function` that is `{other}` of "))
            );
        }
    };
    let n = ids.len();
    let is_even = [trees.len(), if_true.len(), if_false.len(), features.len(), modes.len()] == [n; 5]
        && thresholds.values.len() == n
        && (missing.is_empty() || missing.len() == n);
    if n == 0 || n_targets == 0 || !is_even {
        return Err(node.problem("it has no nodes, or lists of several lengths"));
    }
    let index: HashMap<(i64, i64), usize> =
        trees.iter().zip(ids).enumerate().map(|(index, (tree, id))| ((*tree, *id), index)).collect();
    if index.len() != n {
        return Err(node.problem("two nodes of a tree have the same number"));
    }

    // The weights of each leaf, in the order of the file.
    let leaf_trees = longs(names.trees)?;
    let leaf_nodes = longs(names.nodes)?;
    let targets = places(node, names.targets, longs(names.targets)?)?;
    let weights = numbers(node, names.weights, names.weights_as_tensor)?;
    if [leaf_nodes.len(), targets.len(), weights.values.len()] != [leaf_trees.len(); 3] {
        return Err(node.problem("its weights have lists of several lengths"));
    }
    if let Some(target) = targets.iter().find(|target| **target >= n_targets) {
        return Err(node.problem(format!("a leaf adds to target {target} of {n_targets}")));
    }
    let mut by_node: Vec<(usize, usize, f64)> = Vec::with_capacity(targets.len());
    for (place, key) in leaf_trees.iter().zip(leaf_nodes).enumerate() {
        let Some(leaf) = index.get(&(*key.0, *key.1)) else {
            return Err(node.problem("a weight belongs to a node that is not there"));
        };
        by_node.push((*leaf, targets[place], weights.values[place]));
    }
    by_node.sort_by_key(|(leaf, ..)| *leaf);

    let mut ensemble = Ensemble {
        n_targets,
        n_features: 0,
        nodes: Vec::with_capacity(n),
        roots: Vec::new(),
        leaves: Vec::new(),
        weights: by_node.iter().map(|(_, target, weight)| (*target, *weight)).collect(),
        aggregate,
        is_double: thresholds.is_double || weights.is_double,
        compact: None,
    };
    for place in 0..n {
        if modes[place] == "LEAF" {
            let start = by_node.partition_point(|(leaf, ..)| *leaf < place);
            let end = by_node.partition_point(|(leaf, ..)| *leaf <= place);
            // With one target, one weight is taken.
            let end = if n_targets == 1 { end.min(start + 1) } else { end };
            ensemble.nodes.push(Branch::Leaf(ensemble.leaves.len()));
            ensemble.leaves.push(Leaf { start, end });
            continue;
        }
        let threshold = thresholds.values[place];
        let child = |id: i64| index.get(&(trees[place], id)).copied();
        let (Some(if_true), Some(if_false)) = (child(if_true[place]), child(if_false[place])) else {
            return Err(node.problem("a node has a child that is not there"));
        };
        ensemble.nodes.push(Branch::Split {
            feature: usize::try_from(features[place]).map_err(|_| node.problem("a column is negative"))?,
            test: match &*modes[place] {
                "BRANCH_LEQ" => Test::AtMost(threshold),
                "BRANCH_LT" => Test::Below(threshold),
                "BRANCH_GTE" => Test::AtLeast(threshold),
                "BRANCH_GT" => Test::Above(threshold),
                "BRANCH_EQ" => Test::Equal(threshold),
                "BRANCH_NEQ" => Test::Unequal(threshold),
                other => return Err(node.unsupported(&format!("the node mode `{other}` of "))),
            },
            missing_is_true: missing.get(place).is_some_and(|missing| *missing != 0),
            if_true,
            if_false,
        });
    }
    // A tree begins where the file's first node of it is.
    let mut last = None;
    for (place, tree) in trees.iter().enumerate() {
        if last != Some(tree) {
            ensemble.roots.push(place);
            last = Some(tree);
        }
    }
    finish(node, ensemble)
}

/// The trees of `TreeEnsemble` of version 5, whose leaves are not among the nodes.
pub(super) fn ensemble_of_version_5(node: &Node<'_>) -> Result<Ensemble, Fault> {
    node.ignore(&["nodes_hitrates"]);
    let list = |name| places(node, name, node.longs(name)?.unwrap_or_default());
    let roots = list("tree_roots")?;
    let (if_true, if_false) = (list("nodes_truenodeids")?, list("nodes_falsenodeids")?);
    let (true_is_leaf, false_is_leaf) = (list("nodes_trueleafs")?, list("nodes_falseleafs")?);
    let features = list("nodes_featureids")?;
    let missing = list("nodes_missing_value_tracks_true")?;
    let targets = list("leaf_targetids")?;
    let splits = numbers(node, "", "nodes_splits")?;
    let weights = numbers(node, "", "leaf_weights")?;
    let members = numbers(node, "", "membership_values")?.values;
    let modes = match node.tensor("nodes_modes")?.map(Tensor::data) {
        Some(Data::Integer(modes)) => modes.clone(),
        _ => return Err(node.problem("its `nodes_modes` are not uint8")),
    };
    let n_targets = usize::try_from(node.long("n_targets", 1)?).unwrap_or(0);
    let aggregate = match node.long("aggregate_function", 1)? {
        0 => Aggregate::Average,
        1 => Aggregate::Sum,
        2 => Aggregate::Min,
        3 => Aggregate::Max,
        other => {
            return Err(node.unsupported(&format!("the attribute `aggregate_function` that is {other} of ")));
        }
    };
    let n = modes.len();
    let lengths = [if_true.len(), if_false.len(), true_is_leaf.len(), false_is_leaf.len(), features.len()];
    let is_even = lengths == [n; 5]
        && splits.values.len() == n
        && (missing.is_empty() || missing.len() == n)
        && targets.len() == weights.values.len()
        && targets.iter().all(|target| *target < n_targets);
    if n == 0 || n_targets == 0 || !is_even {
        return Err(node.problem("it has no nodes, or lists that do not fit each other"));
    }
    let mut sets = members.split(|member| member.is_nan());
    let child = |place: usize, is_leaf: bool| if is_leaf { n.saturating_add(place) } else { place };
    let mut nodes = Vec::with_capacity(n + targets.len());
    for place in 0..n {
        let split = splits.values[place];
        nodes.push(Branch::Split {
            feature: features[place],
            test: match modes[place] {
                0 => Test::AtMost(split),
                1 => Test::Below(split),
                2 => Test::AtLeast(split),
                3 => Test::Above(split),
                4 => Test::Equal(split),
                5 => Test::Unequal(split),
                6 => Test::Among(sets.next().unwrap_or_default().to_vec()),
                other => return Err(node.unsupported(&format!("the node mode {other} of "))),
            },
            missing_is_true: missing.get(place).is_some_and(|missing| *missing != 0),
            if_true: child(if_true[place], true_is_leaf[place] != 0),
            if_false: child(if_false[place], false_is_leaf[place] != 0),
        });
    }
    // A root whose two children are the same leaf is a tree of that leaf alone.
    nodes.extend((0..targets.len()).map(Branch::Leaf));
    finish(
        node,
        Ensemble {
            n_targets,
            n_features: 0,
            nodes,
            roots,
            leaves: (0..targets.len()).map(|leaf| Leaf { start: leaf, end: leaf + 1 }).collect(),
            weights: targets.into_iter().zip(weights.values).collect(),
            aggregate,
            is_double: splits.is_double,
            compact: None,
        },
    )
}

/// Checks that all walks end: that no node is below itself. Two nodes may share what is below them.
fn finish(node: &Node<'_>, mut ensemble: Ensemble) -> Result<Ensemble, Fault> {
    #[derive(Clone, Copy, PartialEq)]
    enum Seen {
        Not,
        Above,
        Done,
    }

    let mut seen = vec![Seen::Not; ensemble.nodes.len()];
    let mut open: Vec<usize> = ensemble.roots.clone();
    while let Some(place) = open.pop() {
        let Some(branch) = ensemble.nodes.get(place) else {
            return Err(node.problem("a node has a child that is not there"));
        };
        match (seen[place], branch) {
            (Seen::Not, Branch::Split { feature, if_true, if_false, .. }) => {
                seen[place] = Seen::Above;
                ensemble.n_features = ensemble.n_features.max(feature.saturating_add(1));
                // Met again when all below it is done.
                open.push(place);
                for child in [*if_true, *if_false] {
                    match seen.get(child) {
                        Some(Seen::Above) => return Err(node.problem("a node is below itself")),
                        Some(Seen::Done) => {}
                        _ => open.push(child),
                    }
                }
            }
            _ => seen[place] = Seen::Done,
        }
    }
    ensemble.compact = Compact::of(&ensemble);
    Ok(ensemble)
}
