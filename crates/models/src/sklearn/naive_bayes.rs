//! Naive Bayes: classes by the product of what each column says (`sklearn/naive_bayes.py`).

use super::Kind;
use super::by_row::{Answers, RowPredictor, answers_rows};
use crate::estimator::{Hint, Part, Predictor, Step, predictor};
use crate::fault::Fault;
use crate::numeric::{dot, log_sum_exp};
use crate::object::{Grid, Object};
use crate::rows::{Refusal, Rows, Takes};
use crate::{Data, InputProblem, Method, Prediction};

/// What fitting was told and counted.
const FIT: &str = "\
    alpha category_count_ class_count_ class_prior epsilon_ feature_all_ feature_count_ fit_prior force_alpha \
    min_categories n_categories_ norm priors var_smoothing";

pub(super) const KINDS: &[Kind] = &[
    Kind { path: "sklearn.naive_bayes.GaussianNB", ignores: &[FIT], compile: gaussian },
    Kind { path: "sklearn.naive_bayes.MultinomialNB", ignores: &[FIT, OLD_LINEAR], compile: multinomial },
    Kind { path: "sklearn.naive_bayes.ComplementNB", ignores: &[FIT, OLD_LINEAR], compile: complement },
    Kind { path: "sklearn.naive_bayes.BernoulliNB", ignores: &[FIT, OLD_LINEAR], compile: bernoulli },
    Kind { path: "sklearn.naive_bayes.CategoricalNB", ignores: &[FIT], compile: categorical },
];

/// What the discrete ones saved a second time before 1.1.
const OLD_LINEAR: &str = "coef_ intercept_ n_features_";

const OTHER_METHODS: &[Method] = &[Method::PredictProba];

#[derive(Debug)]
struct Gaussian {
    /// The logarithm of the prior, and of the factor before the exponential.
    offsets: Vec<f64>,
    means: Grid,
    variances: Grid,
}

/// A sum of the columns for each class, after which a column may have become a truth value.
#[derive(Debug)]
struct Linear {
    weights: Grid,
    offsets: Vec<f64>,
    binarize: Option<f64>,
}

#[derive(Debug)]
struct Categorical {
    classes: Data,
    offsets: Vec<f64>,
    /// For each column: a row per class, with a number per category.
    columns: Vec<Grid>,
}

fn gaussian(object: &Object<'_>) -> Result<Step, Fault> {
    let classes = object.get("classes_")?.labels()?;
    let priors = object.get("class_prior_")?.n_numbers(classes.len())?;
    let means = object.get("theta_")?.grid()?;
    // It was called `sigma_` before 1.0.
    let variances = object.get_any(&["var_", "sigma_"])?.grid()?;
    let is_right = means.n_rows == classes.len() && means.n_columns == variances.n_columns;
    if !is_right || means.n_rows != variances.n_rows {
        return Err(object.problem("means and variances do not fit the classes"));
    }
    let offset = |(prior, variances): (&f64, &[f64])| {
        let factor: f64 = variances.iter().map(|variance| (2.0 * std::f64::consts::PI * variance).ln()).sum();
        prior.ln() - 0.5 * factor
    };
    let offsets = priors.iter().zip(variances.rows()).map(offset).collect();
    let answers = Answers::class(classes, OTHER_METHODS);
    Ok(answers_rows(object, answers, Gaussian { offsets, means, variances }))
}

fn multinomial(object: &Object<'_>) -> Result<Step, Fault> {
    linear(object, true)
}

/// Priors count only where there is but one class.
fn complement(object: &Object<'_>) -> Result<Step, Fault> {
    linear(object, object.get("classes_")?.labels()?.len() == 1)
}

fn linear(object: &Object<'_>, counts_priors: bool) -> Result<Step, Fault> {
    let classes = object.get("classes_")?.labels()?;
    let weights = weights(object, classes.len())?;
    let priors = object.get("class_log_prior_")?.n_numbers(classes.len())?;
    let offsets = if counts_priors { priors } else { vec![0.0; classes.len()] };
    let answers = Answers::class(classes, OTHER_METHODS);
    Ok(answers_rows(object, answers, Linear { weights, offsets, binarize: None }))
}

fn bernoulli(object: &Object<'_>) -> Result<Step, Fault> {
    let classes = object.get("classes_")?.labels()?;
    let mut weights = weights(object, classes.len())?;
    let mut offsets = object.get("class_log_prior_")?.n_numbers(classes.len())?;
    let rows = weights.values.chunks_exact_mut(weights.n_columns.max(1));
    for (row, offset) in rows.zip(&mut offsets) {
        let mut sum = 0.0;
        for weight in row {
            let of_absence = (1.0 - weight.exp()).ln();
            sum += of_absence;
            *weight -= of_absence;
        }
        *offset += sum;
    }
    let binarize = object.some("binarize").map(|threshold| threshold.number()).transpose()?;
    let answers = Answers::class(classes, OTHER_METHODS);
    Ok(answers_rows(object, answers, Linear { weights, offsets, binarize }))
}

fn weights(object: &Object<'_>, n_classes: usize) -> Result<Grid, Fault> {
    let weights = object.get("feature_log_prob_")?.grid()?;
    if weights.n_rows != n_classes {
        return Err(object.problem("the logarithms are not one row per class"));
    }
    Ok(weights)
}

fn categorical(object: &Object<'_>) -> Result<Step, Fault> {
    let classes = object.get("classes_")?.labels()?;
    let offsets = object.get("class_log_prior_")?.n_numbers(classes.len())?;
    let saved = object.get("feature_log_prob_")?;
    let columns: Vec<Grid> =
        saved.items()?.iter().map(crate::object::Value::grid).collect::<Result<_, _>>()?;
    if columns.iter().any(|column| column.n_rows != classes.len()) {
        return Err(saved.problem("are not one row per class"));
    }
    Ok(predictor(Categorical { classes, offsets, columns }))
}

/// Scores as they are, or as probabilities.
fn finish(method: Method, scores: &mut [f64]) {
    if method == Method::PredictProba {
        let sum = log_sum_exp(scores);
        scores.iter_mut().for_each(|score| *score = (*score - sum).exp());
    }
}

// === impl Gaussian ===

impl RowPredictor for Gaussian {
    fn n_inputs(&self) -> usize {
        self.means.n_columns
    }

    fn hint(&self, column: usize) -> Hint {
        Hint::number(self.means.values.get(column).copied().unwrap_or_default())
    }

    fn answer(&self, method: Method, row: &[f64], numbers: &mut Vec<f64>) {
        let start = numbers.len();
        for ((offset, means), variances) in
            self.offsets.iter().zip(self.means.rows()).zip(self.variances.rows())
        {
            let columns = row.iter().zip(means).zip(variances);
            let distance: f64 = columns.map(|((x, mean), variance)| (x - mean) * (x - mean) / variance).sum();
            numbers.push(offset - 0.5 * distance);
        }
        finish(method, &mut numbers[start..]);
    }
}

// === impl Linear ===

impl RowPredictor for Linear {
    fn n_inputs(&self) -> usize {
        self.weights.n_columns
    }

    fn answer(&self, method: Method, row: &[f64], numbers: &mut Vec<f64>) {
        let start = numbers.len();
        let truth: Vec<f64>;
        let row = match self.binarize {
            None => row,
            Some(threshold) => {
                truth = row.iter().map(|x| f64::from(*x > threshold)).collect();
                &truth
            }
        };
        numbers.extend(
            self.weights.rows().zip(&self.offsets).map(|(weights, offset)| dot(row, weights) + offset),
        );
        finish(method, &mut numbers[start..]);
    }
}

// === impl Categorical ===

impl Part for Categorical {
    fn n_inputs(&self) -> Option<usize> {
        Some(self.columns.len())
    }
}

impl Predictor for Categorical {
    fn methods(&self) -> Vec<Method> {
        vec![Method::Predict, Method::PredictProba]
    }

    fn classes(&self) -> Option<&Data> {
        Some(&self.classes)
    }

    fn predict(&self, method: Method, rows: Rows<'_>) -> Result<Prediction, Refusal> {
        let matrix = rows.into_matrix(Takes::Finite, "CategoricalNB")?;
        let mut values = Vec::with_capacity(matrix.n_rows * self.offsets.len());
        for (row_index, row) in matrix.rows().enumerate() {
            let start = values.len();
            values.extend(&self.offsets);
            for (index, (x, column)) in row.iter().zip(&self.columns).enumerate() {
                if !(*x > -1.0 && *x < column.n_columns as f64) {
                    let (value, n_known) = (x.to_string(), column.n_columns);
                    let known = (0..n_known.min(InputProblem::MAX_KNOWN_SHOWN))
                        .map(|known| known.to_string())
                        .collect();
                    let problem = InputProblem::UnknownCategory { value, n_known, known };
                    return Err(Refusal::at(row_index, index, problem));
                }
                let category = x.trunc() as usize;
                values[start..]
                    .iter_mut()
                    .zip(column.rows())
                    .for_each(|(sum, class)| *sum += class[category]);
            }
            finish(method, &mut values[start..]);
        }
        let scores = crate::classifier::Scores { per_row: self.offsets.len(), values };
        Ok(if method == Method::PredictProba { scores.into_rows() } else { scores.pick(&self.classes) })
    }
}
