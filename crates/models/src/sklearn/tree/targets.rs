//! Trees and forests that answer several questions at once, each with classes of its own.

use super::{Leaves, SavedTree, rounded, shares};
use crate::classifier::pick;
use crate::estimator::{Part, Predictor, Step, predictor};
use crate::fault::Fault;
use crate::numeric::argmax;
use crate::object::{Object, Value};
use crate::rows::{Refusal, Rows, Takes};
use crate::trees::{Builder, Forest};
use crate::{Data, Method, NotServed, Prediction};

#[derive(Debug)]
struct ManyTargets {
    name: String,
    n_features: usize,
    takes: Takes,
    forest: Forest,
    classes: Vec<Data>,
    /// Values per target in a leaf: as many as the target with most classes has.
    width: usize,
    /// Until 0.20 numbers of classes became floats.
    gives_doubles: bool,
    leaves: Option<Leaves>,
}

/// A classifier whose `classes_` are those of several targets.
pub(in crate::sklearn) fn many_targets(object: &Object<'_>, trees: &[Value<'_>]) -> Result<Step, Fault> {
    let classes: Vec<Data> =
        object.get("classes_")?.items()?.iter().map(Value::labels).collect::<Result<_, _>>()?;
    let width = classes.iter().map(Data::len).max().unwrap_or(0);
    let saved: Vec<SavedTree> = trees.iter().map(SavedTree::read).collect::<Result<_, _>>()?;
    let Some(first) = saved.first() else { return Err(object.problem("it has no trees")) };
    let (n_features, n_values) = (first.n_features, classes.len() * width);
    let takes = if saved.iter().all(|tree| tree.knows_missing) { Takes::Missing } else { Takes::Finite };
    let mut builder = Builder::new(n_features, n_values);
    for tree in &saved {
        if (tree.n_features, tree.width) != (n_features, n_values) || n_values == 0 {
            return Err(object.problem("its trees do not fit its classes"));
        }
        let added = builder.add(&tree.nodes, 0, |node, leaves: &mut Vec<f64>| {
            let values = &tree.values[node * n_values..(node + 1) * n_values];
            leaves.extend(values.chunks_exact(width).flat_map(shares));
        });
        added.map_err(|problem| object.problem(problem))?;
    }
    let (forest, numbers) = builder.finish_numbered();
    Ok(predictor(ManyTargets {
        name: object.name().to_owned(),
        n_features,
        takes,
        forest,
        classes,
        width,
        gives_doubles: object.sklearn_version().is_some_and(|version| version < (0, 21)),
        leaves: Some(Leaves::new(object, numbers)),
    }))
}

impl Part for ManyTargets {
    fn n_inputs(&self) -> Option<usize> {
        Some(self.n_features)
    }
}

impl Predictor for ManyTargets {
    fn methods(&self) -> Vec<Method> {
        [Method::Predict].into_iter().chain(self.leaves.as_ref().map(|_| Method::Apply)).collect()
    }

    fn not_served(&self) -> Vec<NotServed> {
        [Method::PredictProba, Method::PredictLogProba].map(NotServed::of_targets).to_vec()
    }

    fn take_sparse(&mut self) {
        self.takes = Takes::Finite;
    }

    fn forget_leaves(&mut self) {
        self.leaves = None;
    }

    fn predict(&self, method: Method, rows: Rows<'_>) -> Result<Prediction, Refusal> {
        let matrix = rounded(rows, self.takes, &self.name)?;
        if let (Method::Apply, Some(leaves)) = (method, &self.leaves) {
            return Ok(leaves.of(&self.forest, &matrix));
        }
        let n_values = self.classes.len() * self.width;
        let mut sums = vec![0.0; matrix.n_rows * n_values];
        self.forest.add_to(&matrix.values, self.n_features, &mut sums, n_values);
        let n_trees = self.forest.n_trees() as f64;
        sums.iter_mut().for_each(|sum| *sum /= n_trees);
        let of_target = |(target, classes): (usize, &Data)| {
            let shares = sums.chunks_exact(n_values).map(|row| &row[target * self.width..][..classes.len()]);
            match pick(classes, shares.map(argmax)).data {
                Data::Text(texts) => Data::Text(texts),
                data if self.gives_doubles => Data::Double(data.to_doubles()),
                data => data,
            }
        };
        let columns: Vec<Data> = self.classes.iter().enumerate().map(of_target).collect();
        Ok(Prediction::columns(&columns))
    }
}
