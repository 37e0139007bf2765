//! Classifiers that also learned from rows without a class (`sklearn/semi_supervised`).

use super::by_row::{Answers, RowPredictor, answers_rows};
use super::neighbors::index::Index;
use super::{Kind, compile};
use crate::Method;
use crate::estimator::{Hint, Step};
use crate::fault::Fault;
use crate::numeric::squared_distance;
use crate::object::{Grid, Object};

/// How classes were given to the rows that had none.
const FIT: &str = "\
    alpha base_estimator classes_ criterion estimator k_best labeled_iter_ n_neighbors termination_condition_ threshold \
    transduction_ _variant";

pub(super) const KINDS: &[Kind] = &[
    Kind { path: "sklearn.semi_supervised.SelfTrainingClassifier", ignores: &[FIT], compile: self_training },
    Kind { path: "sklearn.semi_supervised.LabelPropagation", ignores: &[FIT], compile: propagation },
    Kind { path: "sklearn.semi_supervised.LabelSpreading", ignores: &[FIT], compile: propagation },
];

/// Classes of the rows of fitting, handed on to those that are near.
#[derive(Debug)]
struct Propagation {
    points: Grid,
    /// One row per point, one column per class.
    shares: Grid,
    near: Near,
}

#[derive(Debug)]
enum Near {
    All { gamma: f64 },
    Nearest { index: Index, n_neighbors: usize },
}

/// It answers as the classifier that was fitted last.
fn self_training(object: &Object<'_>) -> Result<Step, Fault> {
    let value = object.get_any(&["estimator_", "base_estimator_"])?;
    match compile(&value, Some("estimator"))?.step {
        Step::Transformer(_) => Err(value.problem("does not predict")),
        Step::Predictor(mut last) => {
            last.forget_leaves();
            Ok(Step::Predictor(last))
        }
    }
}

fn propagation(object: &Object<'_>) -> Result<Step, Fault> {
    let points = object.get("X_")?.grid()?;
    let shares = object.get("label_distributions_")?.grid()?;
    let classes = object.get("classes_")?.labels()?;
    if shares.n_rows != points.n_rows || shares.n_columns != classes.len() {
        return Err(object.problem("its shares of classes do not fit its points"));
    }
    let gamma = object.get("gamma")?;
    let neighbors = object.some("nn_fit");
    let kernel = object.get("kernel")?;
    let near = match (kernel.text().as_deref(), neighbors) {
        (Ok("rbf"), _) => Near::All { gamma: gamma.number()? },
        (Ok("knn"), Some(neighbors)) => {
            let neighbors = neighbors.object()?;
            let index = Index::read(&neighbors)?;
            let n_neighbors = neighbors.get("n_neighbors")?.count()?;
            if index.n_points() != points.n_rows
                || index.n_columns() != points.n_columns
                || n_neighbors > points.n_rows
            {
                return Err(object.problem("its neighbors are not its points"));
            }
            Near::Nearest { index, n_neighbors }
        }
        _ => return Err(kernel.unsupported("it is `rbf` or `knn`")),
    };
    let answers = Answers::class(classes, &[Method::PredictProba]);
    Ok(answers_rows(object, answers, Propagation { points, shares, near }))
}

impl RowPredictor for Propagation {
    fn n_inputs(&self) -> usize {
        self.points.n_columns
    }

    fn hint(&self, column: usize) -> Hint {
        Hint::number(self.points.values.get(column).copied().unwrap_or_default())
    }

    fn answer(&self, _method: Method, row: &[f64], numbers: &mut Vec<f64>) {
        let mut sums = vec![0.0; self.shares.n_columns];
        let mut add = |weight: f64, point: usize| {
            sums.iter_mut().zip(self.shares.row(point)).for_each(|(sum, share)| *sum += weight * share);
        };
        match &self.near {
            Near::All { gamma } => {
                let weight = |point: &[f64]| (-gamma * squared_distance(row, point)).exp();
                self.points.rows().map(weight).enumerate().for_each(|(point, weight)| add(weight, point));
            }
            Near::Nearest { index, n_neighbors } => {
                index.nearest(row, *n_neighbors).iter().for_each(|neighbor| add(1.0, neighbor.point));
            }
        }
        // With two classes too there is a number for each, so that the second is taken where it is greater.
        let sum: f64 = sums.iter().sum();
        numbers.extend(sums.iter().map(|share| share / sum));
    }
}
