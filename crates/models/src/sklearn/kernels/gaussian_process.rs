//! Gaussian processes (`sklearn/gaussian_process`): the mean of all functions that fit.

use std::f64::consts::PI;

use super::process_kernel::ProcessKernel;
use crate::estimator::{Hint, Step};
use crate::fault::Fault;
use crate::numeric::{dot, normal};
use crate::object::{Grid, Object};
use crate::rows::{Refusal, Rows};
use crate::sklearn::by_row::{Answers, Predict, RowPredictor, answers_rows};
use crate::sklearn::inner::{Combine, Inner, around};
use crate::{Data, Method, Prediction};

/// How the kernel was found, and what else was kept.
pub(super) const FIT: &str = "\
    alpha copy_X_train f_cached kernel L_ log_marginal_likelihood_value_ max_iter_predict multi_class n_classes_ \
    n_restarts_optimizer n_targets normalize_y optimizer rng _rng y_train_ _K_inv";

#[derive(Debug)]
struct Regressor {
    kernel: ProcessKernel,
    points: Grid,
    /// One row per target.
    weights: Grid,
    means: Vec<f64>,
    scales: Vec<f64>,
}

/// Laplace's approximation for two classes.
#[derive(Debug)]
struct Binary {
    kernel: ProcessKernel,
    points: Grid,
    /// How far off the probability of each point is.
    residuals: Vec<f64>,
    roots: Vec<f64>,
    /// Cholesky's lower triangle.
    lower: Grid,
}

/// A classifier that answers as the one inside, whose classes are numbers.
#[derive(Debug)]
struct Renamed {
    classes: Data,
}

pub(super) fn regressor(object: &Object<'_>) -> Result<Step, Fault> {
    let points = object.get("X_train_")?.grid()?;
    let kernel = ProcessKernel::read(&object.get("kernel_")?, points.n_columns)?;
    let saved = object.get("alpha_")?;
    let (weights, predict) = match saved.array()?.shape[..] {
        [n_rows] if n_rows == points.n_rows => {
            (Grid { n_rows: 1, n_columns: n_rows, values: saved.numbers()? }, Predict::Number)
        }
        [n_rows, _] if n_rows == points.n_rows => (saved.grid()?.transposed(), Predict::Targets),
        _ => return Err(saved.problem("are not one per row of fitting")),
    };
    let per_target = |key, default: f64| match object.find(key) {
        None => Ok(vec![default; weights.n_rows]),
        Some(value) => match value.number() {
            Ok(number) => Ok(vec![number; weights.n_rows]),
            Err(_) => value.n_numbers(weights.n_rows),
        },
    };
    let (means, scales) = (per_target("_y_train_mean", 0.0)?, per_target("_y_train_std", 1.0)?);
    let answers = Answers { methods: vec![Method::Predict], predict };
    Ok(answers_rows(object, answers, Regressor { kernel, points, weights, means, scales }))
}

pub(super) fn classifier(object: &Object<'_>) -> Result<Step, Fault> {
    let classes = object.get("classes_")?.labels()?;
    let inner = Inner::read(&object.get("base_estimator_")?, Some("base_estimator_"))?;
    if inner.classes().is_none_or(|own| own.len() != classes.len()) {
        return Err(object.problem("its estimator knows other classes"));
    }
    Ok(around(vec![inner], None, Renamed { classes }))
}

pub(super) fn binary(object: &Object<'_>) -> Result<Step, Fault> {
    let classes = object.get("classes_")?.labels()?;
    let points = object.get("X_train_")?.grid()?;
    let kernel = ProcessKernel::read(&object.get("kernel_")?, points.n_columns)?;
    let targets = object.get("y_train_")?.n_numbers(points.n_rows)?;
    let probabilities = object.get("pi_")?.n_numbers(points.n_rows)?;
    let roots = object.get("W_sr_")?.n_numbers(points.n_rows)?;
    let lower = object.get("L_")?.grid()?;
    if classes.len() != 2 || lower.n_rows != points.n_rows || lower.n_columns != points.n_rows {
        return Err(object.problem("its attributes do not fit its rows of fitting"));
    }
    let residuals = targets.iter().zip(&probabilities).map(|(target, p)| target - p).collect();
    let answers = Answers::class(classes, &[Method::PredictProba]);
    Ok(answers_rows(object, answers, Binary { kernel, points, residuals, roots, lower }))
}

fn example(points: &Grid, column: usize) -> Hint {
    Hint::number(points.values.get(column).copied().unwrap_or_default())
}

// === impl Regressor ===

impl RowPredictor for Regressor {
    fn n_inputs(&self) -> usize {
        self.points.n_columns
    }

    fn hint(&self, column: usize) -> Hint {
        example(&self.points, column)
    }

    fn answer(&self, _method: Method, row: &[f64], numbers: &mut Vec<f64>) {
        let similar: Vec<f64> = self.points.rows().map(|point| self.kernel.of(row, point)).collect();
        let targets = self.weights.rows().zip(self.means.iter().zip(&self.scales));
        numbers.extend(targets.map(|(weights, (mean, scale))| scale * dot(&similar, weights) + mean));
    }
}

// === impl Binary ===

impl Binary {
    /// Williams and Barber's approximation of the integral over a logistic curve.
    fn probability(&self, row: &[f64], similar: &[f64], mean: f64) -> f64 {
        const LAMBDAS: [f64; 5] = [0.41, 0.4, 0.37, 0.44, 0.39];
        const COEFFICIENTS: [f64; 5] =
            [-1_854.821_415_1, 3_516.898_936_46, 221.293_467_12, 128.123_238_05, -2_010.494_226_54];

        let solved = self.solve(similar);
        let variance = self.kernel.of_itself(row) - dot(&solved, &solved);
        let alpha = 1.0 / (2.0 * variance);
        let term = |(lambda, coefficient): (f64, f64)| {
            let gamma = lambda * mean;
            let curve = normal::erf(gamma * (alpha / (alpha + lambda * lambda)).sqrt());
            coefficient * ((PI / alpha).sqrt() * curve / (2.0 * (variance * 2.0 * PI).sqrt()))
        };
        let sum: f64 = LAMBDAS.into_iter().zip(COEFFICIENTS).map(term).sum();
        sum + 0.5 * COEFFICIENTS.iter().sum::<f64>()
    }

    /// What the triangle turns into the weighted similarities.
    fn solve(&self, similar: &[f64]) -> Vec<f64> {
        let mut solved: Vec<f64> = Vec::with_capacity(similar.len());
        let weighted = similar.iter().zip(&self.roots).map(|(x, root)| root * x);
        for (index, (x, row)) in weighted.zip(self.lower.rows()).enumerate() {
            let known = dot(&row[..index], &solved);
            solved.push((x - known) / row[index]);
        }
        solved
    }
}

impl RowPredictor for Binary {
    fn n_inputs(&self) -> usize {
        self.points.n_columns
    }

    fn hint(&self, column: usize) -> Hint {
        example(&self.points, column)
    }

    fn answer(&self, method: Method, row: &[f64], numbers: &mut Vec<f64>) {
        let similar: Vec<f64> = self.points.rows().map(|point| self.kernel.of(row, point)).collect();
        let mean = dot(&similar, &self.residuals);
        match method {
            Method::PredictProba => {
                let of_second = self.probability(row, &similar, mean);
                numbers.extend([1.0 - of_second, of_second]);
            }
            _ => numbers.push(mean),
        }
    }
}

// === impl Renamed ===

impl Combine for Renamed {
    fn methods(&self) -> Vec<Method> {
        vec![Method::Predict]
    }

    fn more_methods(&self, inner: &[Inner]) -> Vec<Method> {
        // One against one has no probabilities.
        inner.iter().filter(|inner| inner.has(Method::PredictProba)).map(|_| Method::PredictProba).collect()
    }

    fn classes(&self) -> Option<&Data> {
        Some(&self.classes)
    }

    fn combine(&self, method: Method, rows: Rows<'_>, inner: &[Inner]) -> Result<Prediction, Refusal> {
        inner[0].ask(method, &rows)
    }
}
