//! Partial least squares (`sklearn/cross_decomposition/_pls.py`).

use super::Kind;
use super::by_row::{Answers, Predict, RowPredictor, RowTransformer, answers_rows, transforms_rows};
use crate::Method;
use crate::estimator::{Hint, Step};
use crate::fault::Fault;
use crate::numeric::dot;
use crate::object::{Grid, Object};

/// How the directions were found, and those of the targets.
const FIT: &str = "\
    algorithm deflation_mode mode n_components _n_features_out norm_y_weights _norm_y_weights scale x_loadings_ _x_scores x_scores_ \
    x_weights_ y_loadings_ _y_mean y_mean_ y_std_ y_rotations_ _y_scores y_scores_ _y_std y_weights_";

pub(super) const KINDS: &[Kind] = &[
    Kind { path: "sklearn.cross_decomposition.PLSRegression", ignores: &[FIT], compile: least_squares },
    Kind { path: "sklearn.cross_decomposition.PLSCanonical", ignores: &[FIT], compile: least_squares },
    Kind { path: "sklearn.cross_decomposition.CCA", ignores: &[FIT], compile: least_squares },
    Kind { path: "sklearn.cross_decomposition.PLSSVD", ignores: &[FIT], compile: singular },
];

#[derive(Debug)]
struct LeastSquares {
    means: Vec<f64>,
    scales: Vec<f64>,
    /// One row per target.
    weights: Grid,
    intercepts: Vec<f64>,
    /// One row per direction.
    directions: Grid,
}

fn least_squares(object: &Object<'_>) -> Result<Step, Fault> {
    let intercepts = object.some("intercept_");
    // Until 1.0 there was a column per target, and until 1.4 they were for columns that are scaled.
    let mut weights = object.get_any(&["_coef_", "coef_"])?.grid()?;
    if intercepts.is_none() {
        weights = weights.transposed();
    }
    let means = object.get_any(&["_x_mean", "x_mean_"])?.n_numbers(weights.n_columns)?;
    let scales = object.get_any(&["_x_std", "x_std_"])?.n_numbers(weights.n_columns)?;
    if object.sklearn_version().is_some_and(|version| version < (1, 5)) {
        for weights in weights.values.chunks_exact_mut(scales.len().max(1)) {
            weights.iter_mut().zip(&scales).for_each(|(weight, scale)| *weight /= scale);
        }
    }
    let intercepts = intercepts.map_or_else(|| object.get_any(&["_y_mean", "y_mean_"]), Ok)?;
    let intercepts = intercepts.n_numbers(weights.n_rows)?;
    let directions = object.get("x_rotations_")?.grid()?.transposed();
    if directions.n_columns != weights.n_columns {
        return Err(object.problem("its directions do not fit its weights"));
    }
    let is_flat = object.flag_or("_predict_1d", false)? && weights.n_rows == 1;
    let predict = if is_flat { Predict::Number } else { Predict::Targets };
    let answers = Answers { methods: vec![Method::Predict, Method::Transform], predict };
    Ok(answers_rows(object, answers, LeastSquares { means, scales, weights, intercepts, directions }))
}

/// The directions in which columns and targets vary together most.
#[derive(Debug)]
struct Singular {
    means: Vec<f64>,
    scales: Vec<f64>,
    /// One row per direction.
    directions: Grid,
}

fn singular(object: &Object<'_>) -> Result<Step, Fault> {
    let directions = object.get("x_weights_")?.grid()?.transposed();
    let means = object.get_any(&["_x_mean", "x_mean_"])?.n_numbers(directions.n_columns)?;
    let scales = object.get_any(&["_x_std", "x_std_"])?.n_numbers(directions.n_columns)?;
    Ok(transforms_rows(object, Singular { means, scales, directions }))
}

impl RowTransformer for Singular {
    fn n_inputs(&self) -> usize {
        self.directions.n_columns
    }

    fn n_outputs(&self) -> usize {
        self.directions.n_rows
    }

    fn hint(&self, column: usize) -> Hint {
        Hint::number(self.means.get(column).copied().unwrap_or_default())
    }

    fn transform(&self, row: &[f64], transformed: &mut Vec<f64>) {
        let scaled = row.iter().zip(&self.means).zip(&self.scales);
        let scaled: Vec<f64> = scaled.map(|((x, mean), scale)| (x - mean) / scale).collect();
        transformed.extend(self.directions.rows().map(|direction| dot(&scaled, direction)));
    }
}

impl RowPredictor for LeastSquares {
    fn n_inputs(&self) -> usize {
        self.weights.n_columns
    }

    fn hint(&self, column: usize) -> Hint {
        Hint::number(self.means.get(column).copied().unwrap_or_default())
    }

    fn answer(&self, method: Method, row: &[f64], numbers: &mut Vec<f64>) {
        let mut moved: Vec<f64> = row.iter().zip(&self.means).map(|(x, mean)| x - mean).collect();
        if method == Method::Transform {
            moved.iter_mut().zip(&self.scales).for_each(|(x, scale)| *x /= scale);
            numbers.extend(self.directions.rows().map(|direction| dot(&moved, direction)));
        } else {
            let targets = self.weights.rows().zip(&self.intercepts);
            numbers.extend(targets.map(|(weights, intercept)| dot(&moved, weights) + intercept));
        }
    }
}
