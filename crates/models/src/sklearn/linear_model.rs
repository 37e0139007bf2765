//! Linear models: one weighted sum per target or class.

mod generalized;
mod stochastic;

use super::Kind;
use super::inner::Inner;
use crate::classifier::{Scores, two_probabilities};
use crate::estimator::{Part, Predictor, Step, predictor};
use crate::fault::Fault;
use crate::numeric::{dot_rows, expit};
use crate::object::{Grid, Object};
use crate::rows::{Matrix, Refusal, Rows, Takes};
use crate::{Data, Method, Prediction};

/// How a linear model was fitted.
const FIT: &str = "fit_intercept intercept_scaling C dual penalty solver solver_ loss";
const REGRESSION: &str = "alpha eps_ positive l1_ratio precompute selection dual_gap_ rank_ singular_ normalize _normalize residues_ _residues";
/// How the best strength was searched for.
const SEARCH: &str = "\
    alpha_ alpha_per_target alphas alphas_ _alphas best_score_ C_ Cs Cs_ coefs_paths_ cv cv_results_ \
    cv_values_ eps gcv_mode l1_ratio_ l1_ratios l1_ratios_ mse_path_ n_alphas refit scores_ scoring \
    store_cv_results _store_cv_results store_cv_values use_legacy_attributes";
const SUPPORT_VECTOR: &str = "epsilon multi_class";
const RANSAC: &str = "\
    base_estimator estimator inlier_mask_ is_data_valid is_model_valid loss max_skips max_trials min_samples \
    n_skips_invalid_data_ n_skips_invalid_model_ n_skips_no_inliers_ n_trials_ residual_threshold \
    stop_n_inliers stop_probability stop_score";

/// How it was searched for in other ways.
const OTHER: &str = "\
    active_ alpha_1 alpha_2 alphas_ average breakdown_ coef_path_ compute_score coef0 early_stopping epsilon eps \
    eta0 fit_path jitter lambda_ lambda_1 lambda_2 lambda_init alpha_init threshold_lambda l1_ratio \
    learning_rate n_iter max_n_alphas max_subpopulation method n_iter_no_change n_nonzero_coefs \
    n_nonzero_coefs_ n_subpopulation n_subpopulation_ nu outliers_ power_t quantile sigma_ scale_ scores_ \
    shuffle solver_options t_ validation_fraction X_offset_ X_scale_ max_trials min_samples n_subsamples residual_threshold \
    standard_coef_ standard_intercept_ average_coef_ average_intercept_ _average_coef _average_intercept \
    _standard_coef _standard_intercept C_ _expanded_class_weight loss_function_ _loss_function_ criterion \
    criterion_ noise_variance noise_variance_ random_state_ tol_ max_iter_ sparse_coef_ n_features_ alpha_ \
    alphas n_alphas cv cv_alphas_ mse_path_ cv_mse_path_ eta0_ _max_iter \
    _max_subpopulation _normalize _tol";

pub(super) const KINDS: &[Kind] = &[
    Kind { path: "sklearn.linear_model.LinearRegression", ignores: &[FIT, REGRESSION], compile: regressor },
    Kind { path: "sklearn.linear_model.Ridge", ignores: &[FIT, REGRESSION], compile: regressor },
    Kind { path: "sklearn.linear_model.RidgeCV", ignores: &[FIT, REGRESSION, SEARCH], compile: regressor },
    Kind { path: "sklearn.linear_model.Lasso", ignores: &[FIT, REGRESSION], compile: regressor },
    Kind { path: "sklearn.linear_model.LassoCV", ignores: &[FIT, REGRESSION, SEARCH], compile: regressor },
    Kind { path: "sklearn.linear_model.ElasticNet", ignores: &[FIT, REGRESSION], compile: regressor },
    Kind {
        path: "sklearn.linear_model.ElasticNetCV",
        ignores: &[FIT, REGRESSION, SEARCH],
        compile: regressor,
    },
    Kind { path: "sklearn.linear_model.MultiTaskLasso", ignores: &[FIT, REGRESSION], compile: regressor },
    Kind {
        path: "sklearn.linear_model.MultiTaskLassoCV",
        ignores: &[FIT, REGRESSION, SEARCH],
        compile: regressor,
    },
    Kind {
        path: "sklearn.linear_model.MultiTaskElasticNet",
        ignores: &[FIT, REGRESSION],
        compile: regressor,
    },
    Kind {
        path: "sklearn.linear_model.MultiTaskElasticNetCV",
        ignores: &[FIT, REGRESSION, SEARCH],
        compile: regressor,
    },
    Kind { path: "sklearn.linear_model.Lars", ignores: &[FIT, REGRESSION, OTHER], compile: regressor },
    Kind { path: "sklearn.linear_model.LarsCV", ignores: &[FIT, REGRESSION, OTHER], compile: regressor },
    Kind { path: "sklearn.linear_model.LassoLars", ignores: &[FIT, REGRESSION, OTHER], compile: regressor },
    Kind { path: "sklearn.linear_model.LassoLarsCV", ignores: &[FIT, REGRESSION, OTHER], compile: regressor },
    Kind { path: "sklearn.linear_model.LassoLarsIC", ignores: &[FIT, REGRESSION, OTHER], compile: regressor },
    Kind {
        path: "sklearn.linear_model.OrthogonalMatchingPursuit",
        ignores: &[FIT, REGRESSION, OTHER],
        compile: regressor,
    },
    Kind {
        path: "sklearn.linear_model.OrthogonalMatchingPursuitCV",
        ignores: &[FIT, REGRESSION, OTHER],
        compile: regressor,
    },
    Kind {
        path: "sklearn.linear_model.HuberRegressor",
        ignores: &[FIT, REGRESSION, OTHER],
        compile: regressor,
    },
    Kind {
        path: "sklearn.linear_model.QuantileRegressor",
        ignores: &[FIT, REGRESSION, OTHER],
        compile: regressor,
    },
    Kind {
        path: "sklearn.linear_model.TheilSenRegressor",
        ignores: &[FIT, REGRESSION, OTHER],
        compile: regressor,
    },
    Kind {
        path: "sklearn.linear_model.SGDRegressor",
        ignores: &[FIT, REGRESSION, OTHER],
        compile: regressor,
    },
    Kind {
        path: "sklearn.linear_model.PassiveAggressiveRegressor",
        ignores: &[FIT, REGRESSION, OTHER],
        compile: regressor,
    },
    Kind {
        path: "sklearn.linear_model.BayesianRidge",
        ignores: &[FIT, REGRESSION, OTHER],
        compile: regressor,
    },
    Kind { path: "sklearn.linear_model.ARDRegression", ignores: &[FIT, REGRESSION, OTHER], compile: ard },
    Kind {
        path: "sklearn.linear_model.PoissonRegressor",
        ignores: &[FIT, REGRESSION, "_base_loss _family_instance _link_instance"],
        compile: generalized::logarithmic,
    },
    Kind {
        path: "sklearn.linear_model.GammaRegressor",
        ignores: &[FIT, REGRESSION, "_base_loss _family_instance _link_instance"],
        compile: generalized::logarithmic,
    },
    Kind {
        path: "sklearn.linear_model.TweedieRegressor",
        ignores: &[FIT, REGRESSION, "_base_loss _family_instance _link_instance"],
        compile: generalized::tweedie,
    },
    Kind { path: "sklearn.linear_model.RANSACRegressor", ignores: &[RANSAC], compile: ransac },
    Kind { path: "sklearn.linear_model.LogisticRegression", ignores: &[FIT, "l1_ratio"], compile: logistic },
    Kind {
        path: "sklearn.linear_model.LogisticRegressionCV",
        ignores: &[FIT, SEARCH, "l1_ratio"],
        compile: logistic,
    },
    Kind {
        path: "sklearn.linear_model.SGDClassifier",
        ignores: &[FIT, REGRESSION, OTHER],
        compile: stochastic::classifier,
    },
    Kind {
        path: "sklearn.linear_model.SGDOneClassSVM",
        ignores: &[FIT, REGRESSION, OTHER],
        compile: stochastic::one_class,
    },
    Kind {
        path: "sklearn.linear_model.Perceptron",
        ignores: &[FIT, REGRESSION, OTHER],
        compile: plain_classifier,
    },
    Kind {
        path: "sklearn.linear_model.PassiveAggressiveClassifier",
        ignores: &[FIT, REGRESSION, OTHER],
        compile: plain_classifier,
    },
    Kind {
        path: "sklearn.linear_model.RidgeClassifier",
        ignores: &[FIT, REGRESSION],
        compile: ridge_classifier,
    },
    Kind {
        path: "sklearn.linear_model.RidgeClassifierCV",
        ignores: &[FIT, REGRESSION, SEARCH],
        compile: ridge_classifier,
    },
    Kind { path: "sklearn.svm.LinearSVC", ignores: &[FIT, SUPPORT_VECTOR], compile: plain_classifier },
    Kind { path: "sklearn.svm.LinearSVR", ignores: &[FIT, SUPPORT_VECTOR], compile: regressor },
];

/// Weighted sums of the columns.
#[derive(Debug)]
struct Linear {
    name: String,
    /// One row of weights per sum.
    weights: Grid,
    intercepts: Vec<f64>,
}

#[derive(Debug)]
struct Regressor {
    linear: Linear,
    /// Whether it was fitted with a table of targets, even if of one column.
    has_target_columns: bool,
}

#[derive(Debug)]
struct Classifier {
    linear: Linear,
    classes: Data,
    probabilities: Option<Probabilities>,
}

/// How probabilities come from scores (`LogisticRegression.predict_proba` through the versions).
#[derive(Debug, Clone, Copy, PartialEq)]
enum Probabilities {
    /// Each class against the rest: logistic, then scaled to one.
    OneVersusRest,
    /// All at once: softmax.
    Softmax,
    /// Softmax of the score and its opposite, for two classes that were fitted as many are.
    SoftmaxOfTwo,
    /// The score, moved and cut to between 0 and 1: what `modified_huber` means.
    Clipped,
}

fn regressor(object: &Object<'_>) -> Result<Step, Fault> {
    let coefficients = object.get("coef_")?;
    let array = coefficients.array()?;
    let has_target_columns = match array.shape.len() {
        1 => false,
        2 => true,
        _ => return Err(coefficients.problem("is neither a list nor a table")),
    };
    Ok(predictor(Regressor { linear: linear(object)?, has_target_columns }))
}

fn logistic(object: &Object<'_>) -> Result<Step, Fault> {
    let (linear, classes) = linear_classifier(object)?;
    let is_liblinear = object.find("solver").is_some_and(|solver| solver.is_text("liblinear"));
    let multi_class = object.find("multi_class").map(|value| value.text()).transpose()?;
    let probabilities = match multi_class.as_deref() {
        Some("ovr" | "warn") => Probabilities::OneVersusRest,
        Some("auto" | "deprecated") if classes.len() <= 2 || is_liblinear => Probabilities::OneVersusRest,
        Some("auto" | "deprecated") => Probabilities::Softmax,
        Some("multinomial") if classes.len() <= 2 => Probabilities::SoftmaxOfTwo,
        Some("multinomial") => Probabilities::Softmax,
        // Since 1.8 there is no such parameter.
        None if classes.len() <= 2 => Probabilities::OneVersusRest,
        None => Probabilities::Softmax,
        Some(_) => {
            return Err(object.get("multi_class")?.unsupported("it is `ovr`, `multinomial` or `auto`"));
        }
    };
    Ok(predictor(Classifier { linear, classes, probabilities: Some(probabilities) }))
}

fn plain_classifier(object: &Object<'_>) -> Result<Step, Fault> {
    let (linear, classes) = linear_classifier(object)?;
    Ok(predictor(Classifier { linear, classes, probabilities: None }))
}

/// `RidgeClassifier`, whose classes are those of a binarizer.
fn ridge_classifier(object: &Object<'_>) -> Result<Step, Fault> {
    let binarizer = object.get("_label_binarizer")?.object()?;
    let kind = binarizer.get("y_type_")?;
    if kind.text()?.starts_with("multilabel") {
        return Err(kind.unsupported("targets are one class each"));
    }
    object.find("classes_");
    let classes = binarizer.get("classes_")?.labels()?;
    let linear = linear(object)?;
    let expected = if classes.len() == 2 { 1 } else { classes.len() };
    if linear.weights.n_rows != expected {
        return Err(object.problem("the weights are not one row per class"));
    }
    Ok(predictor(Classifier { linear, classes, probabilities: None }))
}

/// Weights of an ARD regression above a threshold are left out of the covariance only, so they count as all others.
fn ard(object: &Object<'_>) -> Result<Step, Fault> {
    object.find("threshold_lambda");
    regressor(object)
}

/// `RANSACRegressor` answers as the model of the rows that agree does.
fn ransac(object: &Object<'_>) -> Result<Step, Fault> {
    let inner = Inner::read(&object.get("estimator_")?, Some("estimator"))?;
    Ok(Step::Predictor(inner.predictor))
}

fn linear_classifier(object: &Object<'_>) -> Result<(Linear, Data), Fault> {
    let classes = object.get("classes_")?.labels()?;
    let linear = linear(object)?;
    let expected = if classes.len() == 2 { 1 } else { classes.len() };
    if linear.weights.n_rows != expected {
        let problem = format!("{} classes have {} rows of weights", classes.len(), linear.weights.n_rows);
        return Err(object.problem(problem));
    }
    Ok((linear, classes))
}

fn linear(object: &Object<'_>) -> Result<Linear, Fault> {
    let coefficients = object.get("coef_")?;
    let array = coefficients.array()?;
    let weights = match array.shape[..] {
        [n_columns] => Grid { n_rows: 1, n_columns, values: coefficients.numbers()? },
        _ => coefficients.grid()?,
    };
    let intercept = object.get("intercept_")?;
    let intercepts = match intercept.number() {
        // A model without an intercept has one zero for all targets.
        Ok(number) => vec![number; weights.n_rows],
        Err(_) => intercept.n_numbers(weights.n_rows)?,
    };
    Ok(Linear { name: object.name().to_owned(), weights, intercepts })
}

// === impl Linear ===

impl Linear {
    fn sums(&self, rows: Rows<'_>) -> Result<Scores, Refusal> {
        let matrix = rows.into_matrix(Takes::Finite, &self.name)?;
        Ok(Scores { per_row: self.weights.n_rows, values: self.sums_of(&matrix) })
    }

    fn sums_of(&self, matrix: &Matrix<'_>) -> Vec<f64> {
        if self.weights.n_columns == 0 {
            return self.intercepts.repeat(matrix.n_rows);
        }
        let mut sums = dot_rows(&matrix.values, &self.weights.values, self.weights.n_columns);
        for sums in sums.chunks_exact_mut(self.intercepts.len().max(1)) {
            sums.iter_mut().zip(&self.intercepts).for_each(|(sum, intercept)| *sum += intercept);
        }
        sums
    }
}

// === impl Regressor ===

impl Part for Regressor {
    fn n_inputs(&self) -> Option<usize> {
        Some(self.linear.weights.n_columns)
    }
}

impl Predictor for Regressor {
    fn methods(&self) -> Vec<Method> {
        vec![Method::Predict]
    }

    fn predict(&self, _method: Method, rows: Rows<'_>) -> Result<Prediction, Refusal> {
        let sums = self.linear.sums(rows)?;
        Ok(match self.has_target_columns {
            true => Prediction::rows(sums.per_row, Data::Double(sums.values)),
            false => Prediction::flat(Data::Double(sums.values)),
        })
    }
}

// === impl Classifier ===

impl Part for Classifier {
    fn n_inputs(&self) -> Option<usize> {
        Some(self.linear.weights.n_columns)
    }
}

impl Predictor for Classifier {
    fn methods(&self) -> Vec<Method> {
        match self.probabilities {
            Some(_) => vec![Method::Predict, Method::PredictProba, Method::DecisionFunction],
            None => vec![Method::Predict, Method::DecisionFunction],
        }
    }

    fn classes(&self) -> Option<&Data> {
        Some(&self.classes)
    }

    fn predict(&self, method: Method, rows: Rows<'_>) -> Result<Prediction, Refusal> {
        let scores = self.linear.sums(rows)?;
        Ok(match (method, self.probabilities) {
            (Method::DecisionFunction, _) => scores.into_prediction(),
            (Method::PredictProba, Some(probabilities)) => probabilities.of(scores),
            _ => scores.pick(&self.classes),
        })
    }
}

// === impl Probabilities ===

impl Probabilities {
    fn of(self, mut scores: Scores) -> Prediction {
        match self {
            Self::OneVersusRest if scores.per_row == 1 => scores.into_probabilities(),
            Self::OneVersusRest => {
                scores.values.chunks_exact_mut(scores.per_row).for_each(one_versus_rest);
                Prediction::rows(scores.per_row, Data::Double(scores.values))
            }
            Self::Softmax => scores.into_probabilities(),
            Self::Clipped if scores.per_row == 1 => {
                two_probabilities(scores.values.iter().map(|score| clipped(*score)))
            }
            Self::Clipped => {
                scores.values.chunks_exact_mut(scores.per_row).for_each(clipped_each);
                scores.into_rows()
            }
            Self::SoftmaxOfTwo => two_probabilities(scores.values.iter().map(|score| expit(2.0 * score))),
        }
    }
}

/// `LinearClassifierMixin._predict_proba_lr`: if no class is likely at all, all are equally.
fn one_versus_rest(scores: &mut [f64]) {
    let mut sum = 0.0;
    for score in &mut *scores {
        *score = expit(*score);
        sum += *score;
    }
    if sum == 0.0 {
        scores.fill(1.0);
        sum = scores.len() as f64;
    }
    for score in scores {
        *score /= sum;
    }
}

/// `(clip(score, -1, 1) + 1) / 2`
fn clipped(score: f64) -> f64 {
    (score.clamp(-1.0, 1.0) + 1.0) / 2.0
}

/// If all are zero, all classes are equally likely.
fn clipped_each(scores: &mut [f64]) {
    scores.iter_mut().for_each(|score| *score = clipped(*score));
    let sum: f64 = scores.iter().sum();
    let n_classes = scores.len() as f64;
    scores.iter_mut().for_each(|score| *score = if sum == 0.0 { 1.0 / n_classes } else { *score / sum });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_that_are_all_impossible_are_equally_likely() {
        let mut scores = [-1e4, -1e4, -1e4];
        one_versus_rest(&mut scores);
        assert_eq!(scores, [1.0 / 3.0; 3]);
    }
}
