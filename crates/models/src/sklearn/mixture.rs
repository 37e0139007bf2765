//! Clouds of points: mixtures of them (`sklearn/mixture`), and one with outliers (`sklearn/covariance`).

use std::f64::consts::PI;

use super::Kind;
use super::by_row::{Answers, Predict, RowPredictor, answers_rows, outlier_scores};
use crate::estimator::{Hint, Step};
use crate::fault::Fault;
use crate::numeric::gamma::digamma;
use crate::numeric::{dot, log_sum_exp};
use crate::object::{Grid, Object};
use crate::{Data, Method};

/// How the clouds were found.
const FIT: &str = "\
    contamination converged_ covariance_ covariance_type covariances_ dist_ init_params lower_bound_ lower_bounds_ \
    means_init n_components n_init precisions_ precisions_init raw_covariance_ raw_location_ raw_support_ \
    reg_covar store_precision support_ support_fraction verbose_interval weights_init assume_centered";

/// What was believed before the rows were seen, and what became of the sizes of clouds.
const PRIORS: &str = "\
    covariance_prior covariance_prior_ degrees_of_freedom_prior degrees_of_freedom_prior_ mean_precision_prior \
    mean_precision_prior_ mean_prior mean_prior_ weight_concentration_prior weight_concentration_prior_ weights_";

pub(super) const KINDS: &[Kind] = &[
    Kind { path: "sklearn.mixture.GaussianMixture", ignores: &[FIT], compile: gaussian },
    Kind { path: "sklearn.mixture.BayesianGaussianMixture", ignores: &[FIT, PRIORS], compile: bayesian },
    Kind { path: "sklearn.covariance.EllipticEnvelope", ignores: &[FIT], compile: envelope },
];

#[derive(Debug)]
struct Mixture {
    means: Grid,
    clouds: Vec<Cloud>,
}

#[derive(Debug)]
struct Cloud {
    /// One row per axis.
    axes: Grid,
    /// The mean along each axis.
    middle: Vec<f64>,
    /// The logarithm of the weight, and of the factor before the exponential.
    offset: f64,
}

#[derive(Debug)]
struct Envelope {
    center: Vec<f64>,
    precision: Grid,
    offset: f64,
}

fn gaussian(object: &Object<'_>) -> Result<Step, Fault> {
    let weights = object.get("weights_")?.numbers()?;
    mixture(object, &weights.iter().map(|weight| weight.ln()).collect::<Vec<f64>>())
}

/// A mixture whose weights and sizes are not numbers but distributions of those (`_estimate_log_weights`,
/// `_estimate_log_prob`).
fn bayesian(object: &Object<'_>) -> Result<Step, Fault> {
    let concentrations = object.get("weight_concentration_")?;
    let prior = object.get("weight_concentration_prior_type")?;
    let weights: Vec<f64> = match prior.text()?.as_ref() {
        "dirichlet_process" => {
            let [first, second] = concentrations.items()?[..] else {
                return Err(concentrations.problem("is no pair"));
            };
            let first = first.numbers()?;
            let second = second.n_numbers(first.len())?;
            let mut rest = 0.0;
            let weight = |(a, b): (&f64, &f64)| {
                let both = digamma(a + b);
                let weight = digamma(*a) - both + rest;
                rest += digamma(*b) - both;
                weight
            };
            first.iter().zip(&second).map(weight).collect()
        }
        "dirichlet_distribution" => {
            let numbers = concentrations.numbers()?;
            let all = digamma(numbers.iter().sum());
            numbers.iter().map(|number| digamma(*number) - all).collect()
        }
        _ => return Err(prior.unsupported("it is `dirichlet_process` or `dirichlet_distribution`")),
    };
    let n_columns = object.get("means_")?.grid()?.n_columns;
    let freedoms = object.get("degrees_of_freedom_")?;
    let freedoms = match freedoms.number() {
        Ok(one) => vec![one; weights.len()],
        Err(_) => freedoms.n_numbers(weights.len())?,
    };
    let precisions = object.get("mean_precision_")?.n_numbers(weights.len())?;
    let n = n_columns as f64;
    let size = |(freedom, precision): (&f64, &f64)| {
        let gammas: f64 = (0..n_columns).map(|column| digamma(0.5 * (freedom - column as f64))).sum();
        0.5 * (n * 2.0_f64.ln() + gammas - n / precision - n * freedom.ln())
    };
    let sizes = freedoms.iter().zip(&precisions).map(size);
    mixture(object, &weights.iter().zip(sizes).map(|(weight, size)| weight + size).collect::<Vec<f64>>())
}

/// Clouds, with the logarithms of their weights.
fn mixture(object: &Object<'_>, weights: &[f64]) -> Result<Step, Fault> {
    let means = object.get("means_")?.grid()?;
    if weights.len() != means.n_rows {
        return Err(object.problem("its weights are not one per cloud"));
    }
    let saved = object.get("precisions_cholesky_")?;
    let (n_clouds, n_columns) = (means.n_rows, means.n_columns);
    let kind = object.get("covariance_type")?;
    let n_saved = match kind.text()?.as_ref() {
        "full" => n_clouds * n_columns * n_columns,
        "tied" => n_columns * n_columns,
        "diag" => n_clouds * n_columns,
        "spherical" => n_clouds,
        _ => return Err(kind.unsupported("it is `full`, `tied`, `diag` or `spherical`")),
    };
    let numbers = saved.n_numbers(n_saved)?;
    if n_clouds == 0 || n_columns == 0 {
        return Err(object.problem("it has no clouds"));
    }
    let axes = |cloud: usize| -> Grid {
        let square =
            |values: &[f64]| Grid { n_rows: n_columns, n_columns, values: values.to_vec() }.transposed();
        match n_saved / n_clouds {
            _ if kind.is_text("tied") => square(&numbers),
            _ if kind.is_text("full") => {
                square(&numbers[cloud * n_columns * n_columns..][..n_columns * n_columns])
            }
            per_cloud => {
                let mut axes =
                    Grid { n_rows: n_columns, n_columns, values: vec![0.0; n_columns * n_columns] };
                for column in 0..n_columns {
                    axes.values[column * (n_columns + 1)] = numbers[cloud * per_cloud + column % per_cloud];
                }
                axes
            }
        }
    };
    let cloud = |(index, (mean, weight)): (usize, (&[f64], &f64))| {
        let axes = axes(index);
        let log_size: f64 = (0..n_columns).map(|column| axes.values[column * (n_columns + 1)].ln()).sum();
        let offset = weight + log_size - 0.5 * n_columns as f64 * (2.0 * PI).ln();
        Cloud { middle: axes.rows().map(|axis| dot(mean, axis)).collect(), axes, offset }
    };
    let clouds: Vec<Cloud> = means.rows().zip(weights).enumerate().map(cloud).collect();
    let labels = Data::Long((0..).take(n_clouds).collect());
    let methods = vec![Method::Predict, Method::PredictProba, Method::ScoreSamples];
    let answers = Answers { methods, predict: Predict::Label(labels) };
    Ok(answers_rows(object, answers, Mixture { means, clouds }))
}

fn envelope(object: &Object<'_>) -> Result<Step, Fault> {
    let center = object.get("location_")?.numbers()?;
    let precision = object.get("precision_")?;
    if precision.is_none() {
        return Err(precision.unsupported("it is kept with store_precision=True"));
    }
    let precision = precision.grid()?;
    if precision.n_rows != center.len() || precision.n_columns != center.len() {
        return Err(object.problem("its precision does not fit its location"));
    }
    let offset = object.get("offset_")?.number()?;
    Ok(answers_rows(object, Answers::outlier(), Envelope { center, precision, offset }))
}

impl RowPredictor for Mixture {
    fn n_inputs(&self) -> usize {
        self.means.n_columns
    }

    fn hint(&self, column: usize) -> Hint {
        Hint::number(self.means.values.get(column).copied().unwrap_or_default())
    }

    fn answer(&self, method: Method, row: &[f64], numbers: &mut Vec<f64>) {
        let start = numbers.len();
        for cloud in &self.clouds {
            let along = cloud.axes.rows().zip(&cloud.middle);
            let distance: f64 = along.map(|(axis, middle)| (dot(row, axis) - middle).powi(2)).sum();
            numbers.push(cloud.offset - 0.5 * distance);
        }
        match method {
            Method::PredictProba => {
                let sum = log_sum_exp(&numbers[start..]);
                numbers[start..].iter_mut().for_each(|score| *score = (*score - sum).exp());
            }
            Method::ScoreSamples => {
                let sum = log_sum_exp(&numbers[start..]);
                numbers.truncate(start);
                numbers.push(sum);
            }
            _ => {}
        }
    }
}

impl RowPredictor for Envelope {
    fn n_inputs(&self) -> usize {
        self.center.len()
    }

    fn hint(&self, column: usize) -> Hint {
        Hint::number(self.center.get(column).copied().unwrap_or_default())
    }

    fn answer(&self, method: Method, row: &[f64], numbers: &mut Vec<f64>) {
        let moved: Vec<f64> = row.iter().zip(&self.center).map(|(x, center)| x - center).collect();
        let turned = self.precision.rows().map(|precision| dot(&moved, precision));
        let distance: f64 = turned.zip(&moved).map(|(a, b)| a * b).sum();
        let score = -distance - self.offset;
        match method {
            Method::DecisionFunction => numbers.push(score),
            _ => numbers.extend(outlier_scores(score < 0.0)),
        }
    }
}
