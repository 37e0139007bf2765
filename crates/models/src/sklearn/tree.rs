//! Decision trees, and forests of them.
//!
//! scikit-learn rounds rows to 32 bits and compares them with thresholds of 64 bits (`sklearn/tree/_tree.pyx`).

pub(super) mod targets;

use super::Kind;
use crate::classifier::{Scores, pick};
use crate::estimator::{Part, Predictor, Step, predictor};
use crate::fault::Fault;
use crate::numeric::argmax;
use crate::object::{Object, Value};
use crate::rows::{Matrix, Refusal, Rows, Takes};
use crate::trees::{Builder, Forest, LeafNumbers, Missing, Node, Test};
use crate::{Data, Method, Prediction};

/// How trees were grown.
pub(super) const FIT: &str = "\
    ccp_alpha criterion max_depth max_features max_features_ max_leaf_nodes min_impurity_decrease \
    min_impurity_split min_samples_leaf min_samples_split min_weight_fraction_leaf monotonic_cst presort \
    splitter n_classes_ n_outputs_";
/// A regressor has no classes.
const REGRESSION: &str = "classes_";

pub(super) const KINDS: &[Kind] = &[
    Kind { path: "sklearn.tree.DecisionTreeClassifier", ignores: &[FIT], compile: classifier },
    Kind { path: "sklearn.tree.DecisionTreeRegressor", ignores: &[FIT, REGRESSION], compile: regressor },
    Kind { path: "sklearn.tree.ExtraTreeClassifier", ignores: &[FIT], compile: classifier },
    Kind { path: "sklearn.tree.ExtraTreeRegressor", ignores: &[FIT, REGRESSION], compile: regressor },
];

/// The mean of trees.
#[derive(Debug)]
pub(super) struct Trees {
    name: String,
    n_features: usize,
    takes: Takes,
    forest: Forest,
    /// Values per leaf: targets, or classes.
    width: usize,
    classes: Option<Data>,
    leaves: Option<Leaves>,
}

/// What `apply` answers: which leaves rows reach.
#[derive(Debug)]
struct Leaves {
    numbers: LeafNumbers,
    /// Whether it is one tree, which answers with a number instead of a list.
    is_single: bool,
}

fn classifier(object: &Object<'_>) -> Result<Step, Fault> {
    classifier_of(object, &[object.get("tree_")?])
}

/// A classifier of one target or several.
pub(super) fn classifier_of(object: &Object<'_>, trees: &[Value<'_>]) -> Result<Step, Fault> {
    match object.find("n_outputs_").map_or(Ok(1), |count| count.count())? {
        1 => self::trees(object, trees, Some(object.get("classes_")?.labels()?)),
        _ => targets::many_targets(object, trees),
    }
}

fn regressor(object: &Object<'_>) -> Result<Step, Fault> {
    trees(object, &[object.get("tree_")?], None)
}

/// The mean of trees, of a single one or of a forest.
pub(super) fn trees(object: &Object<'_>, trees: &[Value<'_>], classes: Option<Data>) -> Result<Step, Fault> {
    let saved: Vec<SavedTree> = trees.iter().map(SavedTree::read).collect::<Result<_, _>>()?;
    let Some(first) = saved.first() else { return Err(object.problem("it has no trees")) };
    let (n_features, width) = (first.n_features, first.width);
    if classes.as_ref().is_some_and(|classes| classes.len() != width) {
        return Err(object.problem("the trees know another number of classes"));
    }
    let knows_missing = saved.iter().all(|tree| tree.knows_missing) && object.some("monotonic_cst").is_none();
    let mut builder = Builder::new(n_features, width);
    for tree in &saved {
        let added = builder.add(&tree.nodes, 0, |node, leaves| {
            let values = &tree.values[node * width..(node + 1) * width];
            match &classes {
                None => leaves.extend_from_slice(values),
                Some(_) => leaves.extend(shares(values)),
            }
        });
        added.map_err(|problem| object.problem(problem))?;
        if (tree.n_features, tree.width) != (n_features, width) {
            return Err(object.problem("its trees do not fit each other"));
        }
    }
    let (forest, numbers) = builder.finish_numbered();
    Ok(predictor(Trees {
        name: object.name().to_owned(),
        n_features,
        takes: if knows_missing { Takes::Missing } else { Takes::Finite },
        forest,
        width,
        classes,
        leaves: Some(Leaves::new(object, numbers)),
    }))
}

/// Shares of the classes in a leaf. Since 1.3 they are saved so; before, numbers of rows were.
fn shares(values: &[f64]) -> impl Iterator<Item = f64> {
    let sum: f64 = values.iter().sum();
    let divisor = if sum == 0.0 || (sum - 1.0).abs() < 1e-9 { 1.0 } else { sum };
    values.iter().map(move |value| value / divisor)
}

/// A tree as it is saved (`sklearn.tree._tree.Tree`).
pub(super) struct SavedTree {
    pub(super) n_features: usize,
    /// Values per node: targets times classes.
    pub(super) width: usize,
    pub(super) nodes: Vec<Node>,
    pub(super) values: Vec<f64>,
    /// Whether nodes say where missing values go.
    knows_missing: bool,
}

impl SavedTree {
    pub(super) fn read(tree: &Value<'_>) -> Result<Self, Fault> {
        /// What the left child of a leaf is.
        const NO_CHILD: i64 = -1;

        let arguments = tree.arguments()?;
        let n_features = arguments.first().ok_or_else(|| tree.problem("is no tree"))?.count()?;
        let state = tree.object()?;
        let array = state.get("nodes")?.array()?;
        let problem = || state.problem("its nodes have an unknown form");
        let longs = |field: &str| array.field_longs(field).ok_or_else(problem);
        let (left, right, features) = (longs("left_child")?, longs("right_child")?, longs("feature")?);
        let thresholds = array.field_doubles("threshold").ok_or_else(problem)?;
        let missing_left = array.field_longs("missing_go_to_left");

        let missing = |index: usize| match &missing_left {
            Some(missing_left) if missing_left[index] != 0 => Missing::Left,
            _ => Missing::Right,
        };
        let node = |index: usize| -> Option<Node> {
            if left[index] == NO_CHILD {
                return Some(Node::Leaf);
            }
            Some(Node::Split {
                feature: usize::try_from(features[index]).ok()?,
                test: Test::AtMost { threshold: thresholds[index], missing: missing(index) },
                left: usize::try_from(left[index]).ok()?,
                right: usize::try_from(right[index]).ok()?,
            })
        };
        let nodes: Vec<Node> = (0..left.len()).map(node).collect::<Option<_>>().ok_or_else(problem)?;

        let values = state.get("values")?;
        let shape = values.array()?.shape.clone();
        let width = match shape[..] {
            [n_nodes, n_targets, n_classes] if n_nodes == nodes.len() => n_targets * n_classes,
            _ => return Err(values.problem("do not fit the nodes")),
        };
        Ok(Self {
            n_features,
            width,
            nodes,
            values: values.numbers()?,
            knows_missing: missing_left.is_some(),
        })
    }
}

/// Rounds numbers to 32 bits, as scikit-learn's trees see them. A number beyond those is refused as infinite.
pub(super) fn rounded<'a>(rows: Rows<'a>, takes: Takes, name: &str) -> Result<Matrix<'a>, Refusal> {
    let mut matrix = rows.into_matrix(Takes::Everything, name)?;
    matrix.values.to_mut().iter_mut().for_each(|value| *value = f64::from(*value as f32));
    matrix.check(takes, name)?;
    Ok(matrix)
}

// === impl Leaves ===

impl Leaves {
    fn new(object: &Object<'_>, numbers: LeafNumbers) -> Self {
        Self { numbers, is_single: object.some("estimators_").is_none() }
    }

    fn of(&self, forest: &Forest, matrix: &Matrix<'_>) -> Prediction {
        let leaves = forest.leaves(&self.numbers, &matrix.values, matrix.n_columns);
        let leaves = Data::Long(leaves.into_iter().map(i64::from).collect());
        match self.is_single {
            true => Prediction::flat(leaves),
            false => Prediction::rows(forest.n_trees(), leaves),
        }
    }
}

// === impl Trees ===

impl Part for Trees {
    fn n_inputs(&self) -> Option<usize> {
        Some(self.n_features)
    }
}

impl Predictor for Trees {
    fn methods(&self) -> Vec<Method> {
        let mut methods = vec![Method::Predict];
        methods.extend(self.classes.as_ref().map(|_| Method::PredictProba));
        methods.extend(self.leaves.as_ref().map(|_| Method::Apply));
        methods
    }

    fn classes(&self) -> Option<&Data> {
        self.classes.as_ref()
    }

    fn take_sparse(&mut self) {
        self.takes = Takes::Finite;
    }

    fn forget_leaves(&mut self) {
        self.leaves = None;
    }

    fn predict(&self, method: Method, rows: Rows<'_>) -> Result<Prediction, Refusal> {
        if let (Method::Apply, Some(leaves)) = (method, &self.leaves) {
            return Ok(leaves.of(&self.forest, &rounded(rows, self.takes, &self.name)?));
        }
        let means = self.means(rows)?;
        Ok(match (&self.classes, method) {
            (None, _) if self.width == 1 => Prediction::flat(Data::Double(means.values)),
            (None, _) | (Some(_), Method::PredictProba) => {
                Prediction::rows(self.width, Data::Double(means.values))
            }
            (Some(classes), _) => pick(classes, means.values.chunks_exact(self.width).map(argmax)),
        })
    }
}

impl Trees {
    fn means(&self, rows: Rows<'_>) -> Result<Scores, Refusal> {
        let matrix = rounded(rows, self.takes, &self.name)?;
        let mut means = vec![0.0; matrix.n_rows * self.width];
        self.forest.add_to(&matrix.values, self.n_features, &mut means, self.width);
        let n_trees = self.forest.n_trees() as f64;
        means.iter_mut().for_each(|mean| *mean /= n_trees);
        Ok(Scores { per_row: self.width, values: means })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_rows_become_shares_and_shares_stay_as_they_are() {
        assert_eq!(shares(&[1.0, 3.0]).collect::<Vec<_>>(), [0.25, 0.75]);
        assert_eq!(shares(&[0.0, 0.0]).collect::<Vec<_>>(), [0.0, 0.0]);
        let almost = [1.0 / 3.0, 1.0 / 3.0, 1.0 / 3.0];
        assert_eq!(shares(&almost).collect::<Vec<_>>(), almost);
    }

    #[test]
    fn rounding_is_to_32_bits() {
        let rows = Rows::matrix(1, 2, vec![0.1, 1e300]);
        let refusal = rounded(rows, Takes::Missing, "RandomForestRegressor").unwrap_err();
        assert_eq!(
            refusal.problem.to_string(),
            "infinity where RandomForestRegressor takes only finite numbers"
        );
        let rows = Rows::matrix(1, 1, vec![0.1]);
        assert_eq!(*rounded(rows, Takes::Finite, "").unwrap().values, [f64::from(0.1_f32)]);
    }
}
