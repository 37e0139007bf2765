//! How much columns matter to trees. That is not saved, but follows from their nodes (`Tree.compute_feature_importances`).

use crate::fault::Fault;
use crate::object::{Object, Value};

/// The importances of the columns to a tree or several; `None` if it is another estimator.
pub(super) fn importances(estimator: &Object<'_>) -> Result<Option<Vec<f64>>, Fault> {
    match estimator.name() {
        name if name.starts_with("DecisionTree")
            || name.starts_with("ExtraTree") && !name.contains("Trees") =>
        {
            Ok(Some(normalized(of_tree(&estimator.get("tree_")?)?.sizes)))
        }
        name if name.starts_with("RandomForest") || name.starts_with("ExtraTrees") => {
            mean_of(estimator, |tree| normalized(tree.sizes)).map(Some)
        }
        name if name.starts_with("GradientBoosting") => mean_of(estimator, |tree| tree.sizes).map(Some),
        _ => Ok(None),
    }
}

/// What a tree says of its columns.
struct OfTree {
    has_splits: bool,
    sizes: Vec<f64>,
}

/// The mean over the trees that have splits, scaled to one.
fn mean_of(estimator: &Object<'_>, of_one: impl Fn(OfTree) -> Vec<f64>) -> Result<Vec<f64>, Fault> {
    let mut sums: Vec<f64> = Vec::new();
    for member in estimator.get("estimators_")?.items()? {
        let tree = of_tree(&member.object()?.get("tree_")?)?;
        sums.resize(tree.sizes.len(), 0.0);
        if tree.has_splits {
            sums.iter_mut().zip(of_one(tree)).for_each(|(sum, size)| *sum += size);
        }
    }
    Ok(normalized(sums))
}

fn normalized(mut sizes: Vec<f64>) -> Vec<f64> {
    let sum: f64 = sizes.iter().sum();
    if sum > 0.0 {
        sizes.iter_mut().for_each(|size| *size /= sum);
    }
    sizes
}

fn of_tree(tree: &Value<'_>) -> Result<OfTree, Fault> {
    let n_features = tree.arguments()?.first().ok_or_else(|| tree.problem("is no tree"))?.count()?;
    let nodes = tree.object()?.get("nodes")?;
    let array = nodes.array()?;
    let problem = || nodes.problem("have an unknown form");
    let longs = |field: &str| array.field_longs(field).ok_or_else(problem);
    let doubles = |field: &str| array.field_doubles(field).ok_or_else(problem);
    let (left, right, features) = (longs("left_child")?, longs("right_child")?, longs("feature")?);
    let (impurity, weight) = (doubles("impurity")?, doubles("weighted_n_node_samples")?);
    if n_features > crate::object::MAX_COLUMNS {
        return Err(problem());
    }
    let mut sizes = vec![0.0; n_features];
    let weighted = |index: i64| -> Option<f64> {
        let index = usize::try_from(index).ok()?;
        Some(weight.get(index)? * impurity.get(index)?)
    };
    for index in (0..left.len()).filter(|index| left[*index] != -1) {
        let children = weighted(left[index]).zip(weighted(right[index])).ok_or_else(problem)?;
        let feature = usize::try_from(features[index]).ok().and_then(|feature| sizes.get_mut(feature));
        *feature.ok_or_else(problem)? += weight[index] * impurity[index] - children.0 - children.1;
    }
    let of_root = weight.first().copied().unwrap_or(1.0);
    sizes.iter_mut().for_each(|size| *size /= of_root);
    Ok(OfTree { has_splits: left.len() > 1, sizes })
}
