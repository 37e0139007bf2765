//! Classes as clouds around a mean (`sklearn/discriminant_analysis.py`).

use super::Kind;
use super::by_row::{Answers, RowPredictor, answers_rows};
use crate::Method;
use crate::estimator::{Hint, Step};
use crate::fault::Fault;
use crate::numeric::{dot, expit, softmax};
use crate::object::{Grid, Object, Value};

/// What fitting was told and found besides.
const FIT: &str = "\
    covariance_ covariance_estimator explained_variance_ratio_ _max_components means_ n_components \
    _n_features_out priors priors_ reg_param shrinkage store_covariance store_covariances _store_covariances xbar_";

pub(super) const KINDS: &[Kind] = &[
    Kind {
        path: "sklearn.discriminant_analysis.LinearDiscriminantAnalysis",
        ignores: &[FIT],
        compile: linear,
    },
    Kind {
        path: "sklearn.discriminant_analysis.QuadraticDiscriminantAnalysis",
        ignores: &[FIT, "solver"],
        compile: quadratic,
    },
];

#[derive(Debug)]
struct Linear {
    weights: Grid,
    intercepts: Vec<f64>,
    projection: Option<Projection>,
    /// Until 0.20 probabilities of more than two classes were those of each against the rest.
    is_one_versus_rest: bool,
}

/// To the directions in which classes differ most.
#[derive(Debug)]
struct Projection {
    center: Option<Vec<f64>>,
    /// One row per direction.
    directions: Grid,
}

#[derive(Debug)]
struct Quadratic {
    n_columns: usize,
    classes: Vec<Cloud>,
}

#[derive(Debug)]
struct Cloud {
    mean: Vec<f64>,
    /// One row per axis.
    axes: Grid,
    /// The logarithm of the size.
    log_size: f64,
    log_prior: f64,
}

fn linear(object: &Object<'_>) -> Result<Step, Fault> {
    let classes = object.get("classes_")?.labels()?;
    let weights = object.get("coef_")?.grid()?;
    let expected = if classes.len() == 2 { 1 } else { classes.len() };
    if weights.n_rows != expected {
        return Err(object.problem("the weights are not one row per class"));
    }
    let intercepts = object.get("intercept_")?.n_numbers(weights.n_rows)?;
    let projection = projection(object, weights.n_columns)?;
    let is_one_versus_rest = object.sklearn_version().is_some_and(|version| version < (0, 21));
    let mut methods = vec![Method::PredictProba, Method::DecisionFunction];
    methods.extend(projection.as_ref().map(|_| Method::Transform));
    let answers = Answers::class(classes, &methods);
    Ok(answers_rows(object, answers, Linear { weights, intercepts, projection, is_one_versus_rest }))
}

fn projection(object: &Object<'_>, n_columns: usize) -> Result<Option<Projection>, Fault> {
    let solver = object.get("solver")?;
    let center = match solver.text()?.as_ref() {
        "svd" => Some(object.get("xbar_")?.n_numbers(n_columns)?),
        "eigen" => None,
        "lsqr" => return Ok(None),
        _ => return Err(solver.unsupported("it is `svd`, `eigen` or `lsqr`")),
    };
    let scalings = object.get("scalings_")?.grid()?;
    let n_kept = object.get("_max_components")?.count()?.min(scalings.n_columns);
    if scalings.n_rows != n_columns {
        return Err(object.problem("the scalings are not one row per column"));
    }
    let values: Vec<f64> = (0..n_kept).flat_map(|direction| scalings.column(direction)).collect();
    Ok(Some(Projection { center, directions: Grid { n_rows: n_kept, n_columns, values } }))
}

fn quadratic(object: &Object<'_>) -> Result<Step, Fault> {
    let classes = object.get("classes_")?.labels()?;
    let means = object.get("means_")?.grid()?;
    let priors = object.get("priors_")?.n_numbers(classes.len())?;
    let rotations = object.get("rotations_")?.items()?;
    let scalings = object.get("scalings_")?.items()?;
    let lengths = [means.n_rows, rotations.len(), scalings.len()];
    if lengths.iter().any(|length| *length != classes.len()) {
        return Err(object.problem("its attributes are not one per class"));
    }
    let clouds = means.rows().zip(priors).zip(rotations.iter().zip(&scalings));
    let clouds =
        clouds.map(|((mean, prior), (rotation, scaling))| Cloud::read(mean, prior, rotation, scaling));
    let clouds = clouds.collect::<Result<_, _>>()?;
    let answers = Answers::class(classes, &[Method::PredictProba, Method::DecisionFunction]);
    Ok(answers_rows(object, answers, Quadratic { n_columns: means.n_columns, classes: clouds }))
}

// === impl Linear ===

impl RowPredictor for Linear {
    fn n_inputs(&self) -> usize {
        self.weights.n_columns
    }

    fn hint(&self, column: usize) -> Hint {
        let center = self.projection.as_ref().and_then(|projection| projection.center.as_ref()?.get(column));
        center.map_or_else(Hint::default, |center| Hint::number(*center))
    }

    fn answer(&self, method: Method, row: &[f64], numbers: &mut Vec<f64>) {
        if let (Method::Transform, Some(projection)) = (method, &self.projection) {
            return projection.project(row, numbers);
        }
        let start = numbers.len();
        let weights = self.weights.rows().zip(&self.intercepts);
        numbers.extend(weights.map(|(weights, intercept)| dot(row, weights) + intercept));
        match (method, &mut numbers[start..]) {
            (Method::PredictProba, [score]) => {
                let of_second = expit(*score);
                *score = 1.0 - of_second;
                numbers.push(of_second);
            }
            (Method::PredictProba, scores) if self.is_one_versus_rest => {
                scores.iter_mut().for_each(|score| *score = expit(*score));
                let sum: f64 = scores.iter().sum();
                scores.iter_mut().for_each(|score| *score /= sum);
            }
            (Method::PredictProba, scores) => softmax(scores),
            _ => {}
        }
    }
}

impl Projection {
    fn project(&self, row: &[f64], projected: &mut Vec<f64>) {
        let moved: Vec<f64> = match &self.center {
            Some(center) => row.iter().zip(center).map(|(x, center)| x - center).collect(),
            None => row.to_vec(),
        };
        projected.extend(self.directions.rows().map(|direction| dot(&moved, direction)));
    }
}

// === impl Quadratic ===

impl Cloud {
    fn read(mean: &[f64], prior: f64, rotation: &Value<'_>, scaling: &Value<'_>) -> Result<Self, Fault> {
        let (rotation, sizes) = (rotation.grid()?, scaling.numbers()?);
        if rotation.n_rows != mean.len() || rotation.n_columns != sizes.len() {
            return Err(scaling.problem("do not fit the rotations"));
        }
        let axis = |(axis, size): (usize, &f64)| -> Vec<f64> {
            let factor = size.powf(-0.5);
            rotation.column(axis).iter().map(|x| x * factor).collect()
        };
        let values: Vec<f64> = sizes.iter().enumerate().flat_map(axis).collect();
        Ok(Self {
            mean: mean.to_vec(),
            axes: Grid { n_rows: sizes.len(), n_columns: mean.len(), values },
            log_size: sizes.iter().map(|size| size.ln()).sum(),
            log_prior: prior.ln(),
        })
    }

    fn log_likelihood(&self, row: &[f64]) -> f64 {
        let moved: Vec<f64> = row.iter().zip(&self.mean).map(|(x, mean)| x - mean).collect();
        let distance: f64 = self.axes.rows().map(|axis| dot(&moved, axis).powi(2)).sum();
        -0.5 * (distance + self.log_size) + self.log_prior
    }
}

impl RowPredictor for Quadratic {
    fn n_inputs(&self) -> usize {
        self.n_columns
    }

    fn hint(&self, column: usize) -> Hint {
        let mean = self.classes.first().and_then(|class| class.mean.get(column));
        mean.map_or_else(Hint::default, |mean| Hint::number(*mean))
    }

    fn answer(&self, method: Method, row: &[f64], numbers: &mut Vec<f64>) {
        let start = numbers.len();
        numbers.extend(self.classes.iter().map(|class| class.log_likelihood(row)));
        match (method, &numbers[start..]) {
            (Method::PredictProba, _) => softmax(&mut numbers[start..]),
            (Method::DecisionFunction, [first, second]) => {
                let difference = second - first;
                numbers.truncate(start);
                numbers.push(difference);
            }
            _ => {}
        }
    }
}
