//! `IsolationForest`: what a few random splits set apart is unlike the rest.

use super::bagging;
use crate::estimator::{Part, Predictor, Step, predictor};
use crate::fault::Fault;
use crate::object::{Object, Value};
use crate::rows::{Refusal, Rows, Takes};
use crate::sklearn::{member, tree};
use crate::trees::{Builder, Forest, Node};
use crate::{Data, Method, Prediction};

/// How the trees were grown, and what follows from them.
pub(super) const FIT: &str = "\
    _average_path_length_per_tree contamination _contamination _decision_path_lengths max_samples_ threshold_";

/// The Euler–Mascheroni constant.
const GAMMA: f64 = 0.577_215_664_901_532_9;

#[derive(Debug)]
struct Isolation {
    n_columns: usize,
    takes: Takes,
    forest: Forest,
    /// The depth that all trees together have for a row that is neither.
    usual_depth: f64,
    offset: f64,
    /// What scores of inliers are not below.
    threshold: f64,
}

pub(super) fn isolation_forest(object: &Object<'_>) -> Result<Step, Fault> {
    let n_columns = object.n_columns(&["n_features_in_", "n_features_"])?;
    let n_columns = n_columns.ok_or_else(|| object.problem("it does not say how many columns it takes"))?;
    let trees = object.get("estimators_")?.items()?;
    let features = object.get("estimators_features_")?.items()?;
    if trees.len() != features.len() || trees.is_empty() {
        return Err(object.problem("its columns are not those of its trees"));
    }
    let lengths = if object.sklearn_version().is_some_and(|version| version < (0, 21)) {
        lengths_before
    } else {
        lengths
    };
    let mut builder = Builder::new(n_columns, 1);
    for (tree, features) in trees.iter().zip(&features) {
        let picked = bagging::columns(&features.integers()?, n_columns)?;
        let picked = picked.ok_or_else(|| features.problem("name a column that is not there"))?;
        let tree = member(tree, |tree| Isolator::read(&tree.get("tree_")?))?;
        let nodes =
            tree.nodes(picked.as_deref()).ok_or_else(|| object.problem("a tree has other columns"))?;
        let depths = tree.depths(lengths);
        let added = builder.add(&nodes, 0, |node, leaves| leaves.push(depths[node]));
        added.map_err(|problem| object.problem(problem))?;
    }
    let n_samples = object.get_any(&["_max_samples", "max_samples_"])?.number()?;
    object.find("max_samples_");
    let takes_missing = object.sklearn_version().is_some_and(|version| version >= (1, 6));
    // Until 0.21 the share of outliers could be told by another threshold, rather than another offset.
    let is_old = object.some("behaviour").is_some_and(|behaviour| behaviour.is_text("old"));
    let threshold = object.some("_threshold_").filter(|_| is_old);
    Ok(predictor(Isolation {
        n_columns,
        threshold: threshold.map_or(Ok(0.0), |threshold| threshold.number())?,
        takes: if takes_missing { Takes::Missing } else { Takes::Finite },
        forest: builder.finish(),
        usual_depth: trees.len() as f64 * lengths(n_samples),
        offset: object.get("offset_")?.number()?,
    }))
}

/// A tree, and how many rows of fitting came by each node.
struct Isolator {
    tree: tree::SavedTree,
    n_samples: Vec<f64>,
}

impl Isolator {
    fn read(value: &Value<'_>) -> Result<Self, Fault> {
        let tree = tree::SavedTree::read(value)?;
        let nodes = value.object()?.get("nodes")?;
        let n_samples = nodes.array()?.field_longs("n_node_samples");
        let n_samples = n_samples.ok_or_else(|| nodes.problem("have an unknown form"))?;
        Ok(Self { tree, n_samples: n_samples.into_iter().map(|n_samples| n_samples as f64).collect() })
    }

    /// The nodes, with columns counted among all.
    fn nodes(&self, picked: Option<&[usize]>) -> Option<Vec<Node>> {
        let node = |node: &Node| match (node.clone(), picked) {
            (Node::Split { feature, test, left, right }, Some(picked)) => {
                Some(Node::Split { feature: *picked.get(feature)?, test, left, right })
            }
            (node, _) => Some(node),
        };
        self.tree.nodes.iter().map(node).collect()
    }

    /// For each node that is a leaf: its depth, with that of the splits that its rows would still have needed.
    fn depths(&self, lengths: fn(f64) -> f64) -> Vec<f64> {
        let mut n_above = vec![0.0; self.tree.nodes.len()];
        // Children come after their parents.
        for (index, node) in self.tree.nodes.iter().enumerate() {
            let Node::Split { left, right, .. } = node else { continue };
            for child in [left, right] {
                if *child > index && *child < n_above.len() {
                    n_above[*child] = n_above[index] + 1.0;
                }
            }
        }
        let depth = |(above, n_samples): (f64, &f64)| (above + 1.0) + lengths(*n_samples) - 1.0;
        n_above.into_iter().zip(&self.n_samples).map(depth).collect()
    }
}

/// The mean depth at which a row is found in a random tree of so many.
fn lengths(n_samples: f64) -> f64 {
    match n_samples {
        n if n <= 1.0 => 0.0,
        2.0 => 1.0,
        n => 2.0 * ((n - 1.0).ln() + GAMMA) - 2.0 * (n - 1.0) / n,
    }
}

/// [`lengths`] until 0.20.
fn lengths_before(n_samples: f64) -> f64 {
    match n_samples {
        n if n <= 1.0 => 1.0,
        2.0 => 2.0 * GAMMA - 1.0,
        n => lengths(n),
    }
}

// === impl Isolation ===

impl Part for Isolation {
    fn n_inputs(&self) -> Option<usize> {
        Some(self.n_columns)
    }
}

impl Predictor for Isolation {
    fn methods(&self) -> Vec<Method> {
        vec![Method::Predict, Method::DecisionFunction]
    }

    fn take_sparse(&mut self) {
        self.takes = Takes::Finite;
    }

    fn predict(&self, method: Method, rows: Rows<'_>) -> Result<Prediction, Refusal> {
        let matrix = tree::rounded(rows, self.takes, "IsolationForest")?;
        let mut depths = vec![0.0; matrix.n_rows];
        self.forest.add_to(&matrix.values, self.n_columns, &mut depths, 1);
        let share = |depth: f64| if self.usual_depth == 0.0 { 1.0 } else { depth / self.usual_depth };
        let scores = depths.into_iter().map(|depth| -(-share(depth)).exp2() - self.offset);
        Ok(Prediction::flat(match method {
            Method::DecisionFunction => Data::Double(scores.collect()),
            _ => Data::Long(scores.map(|score| if score < self.threshold { -1 } else { 1 }).collect()),
        }))
    }
}
