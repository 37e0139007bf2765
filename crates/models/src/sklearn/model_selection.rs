//! Searches for the best model, which answer as that one does, and thresholds (`sklearn/model_selection`).

use super::inner::{Combine, Inner, around};
use super::{Kind, compile};
use crate::classifier::pick;
use crate::estimator::Step;
use crate::fault::Fault;
use crate::object::{Object, Value};
use crate::rows::{Refusal, Rows};
use crate::{Data, Method, Prediction};

/// What was searched through, and how.
const SEARCH: &str = "\
    aggressive_elimination best_index_ best_params_ best_score_ _checked_cv_orig cv cv_results_ error_score estimator \
    factor fit_params force_exhaust_budget iid max_resources max_resources_ min_resources min_resources_ \
    multimetric_ n_candidates n_candidates_ n_iter n_iterations_ n_possible_iterations_ n_remaining_candidates_ \
    n_required_iterations_ n_resources_ _n_samples_orig n_splits_ param_distributions param_grid pre_dispatch \
    refit refit_time_ resource return_train_score scorer_ scoring smallest_resources";
const THRESHOLD: &str = "\
    best_score_ cv cv_results_ _curve_scorer estimator objective_metric objective_score_ refit scoring store_cv_results \
    thresholds";

pub(super) const KINDS: &[Kind] = &[
    Kind { path: "sklearn.model_selection.GridSearchCV", ignores: &[SEARCH], compile: best },
    Kind { path: "sklearn.model_selection.RandomizedSearchCV", ignores: &[SEARCH], compile: best },
    Kind { path: "sklearn.model_selection.HalvingGridSearchCV", ignores: &[SEARCH], compile: best },
    Kind { path: "sklearn.model_selection.HalvingRandomSearchCV", ignores: &[SEARCH], compile: best },
    Kind {
        path: "sklearn.model_selection.FixedThresholdClassifier",
        ignores: &[THRESHOLD],
        compile: fixed_threshold,
    },
    Kind {
        path: "sklearn.model_selection.TunedThresholdClassifierCV",
        ignores: &[THRESHOLD],
        compile: tuned_threshold,
    },
    Kind { path: "sklearn.frozen.FrozenEstimator", ignores: &[], compile: frozen },
];

/// A classifier of two classes whose scores are compared with another threshold.
#[derive(Debug)]
struct Threshold {
    asks: Method,
    threshold: f64,
    /// The place of the class that is chosen from the threshold on.
    positive: usize,
}

fn best(object: &Object<'_>) -> Result<Step, Fault> {
    if object.find("best_estimator_").is_none() && object.get("refit")?.flag() == Ok(false) {
        return Err(object.get("refit")?.unsupported("the best model must have been fitted again"));
    }
    let mut best = compile(&object.get("best_estimator_")?, Some("best_estimator_"))?.step;
    if let Step::Predictor(best) = &mut best {
        best.forget_leaves();
    }
    Ok(best)
}

fn frozen(object: &Object<'_>) -> Result<Step, Fault> {
    Ok(compile(&object.get("estimator")?, Some("estimator"))?.step)
}

fn fixed_threshold(object: &Object<'_>) -> Result<Step, Fault> {
    let threshold = object.get("threshold")?;
    let positive = object.get("pos_label")?;
    threshold_classifier(object, &threshold, Some(positive))
}

fn tuned_threshold(object: &Object<'_>) -> Result<Step, Fault> {
    // Which class is positive, the metric says, and that is code unless it is the default one.
    let scorer = object.get("_curve_scorer")?.object()?;
    let settings = scorer.find("_kwargs").and_then(|settings| settings.pairs().ok()).unwrap_or_default();
    let positive = settings.iter().find(|(key, _)| key.is_text("pos_label")).map(|(_, value)| *value);
    threshold_classifier(object, &object.get("best_threshold_")?, positive)
}

fn threshold_classifier(
    object: &Object<'_>,
    threshold: &Value<'_>,
    positive: Option<Value<'_>>,
) -> Result<Step, Fault> {
    let fitted = object.some("estimator_");
    let inner = Inner::read(&fitted.map_or_else(|| object.get("estimator"), Ok)?, Some("estimator"))?;
    let classes = inner.classes().filter(|classes| classes.len() == 2);
    let classes = classes.ok_or_else(|| object.problem("its estimator does not tell two classes apart"))?;
    let positive = match positive.filter(|label| !label.is_none()) {
        None => 1,
        Some(label) => place(&label, classes).ok_or_else(|| label.problem("is none of the classes"))?,
    };
    let method = object.get("response_method")?;
    let wanted = match method.text()?.as_ref() {
        "auto" => {
            [Method::PredictProba, Method::DecisionFunction].into_iter().find(|method| inner.has(*method))
        }
        name => name.parse().ok().filter(|method| *method != Method::Predict && inner.has(*method)),
    };
    let asks = wanted.ok_or_else(|| method.unsupported("its estimator does not have this method"))?;
    let threshold = match threshold.is_text("auto") {
        true => {
            if asks == Method::PredictProba {
                0.5
            } else {
                0.0
            }
        }
        false => threshold.number()?,
    };
    Ok(around(vec![inner], None, Threshold { asks, threshold, positive }))
}

fn place(label: &Value<'_>, classes: &Data) -> Option<usize> {
    match (classes, label.text(), label.number()) {
        (Data::Text(classes), Ok(text), _) => classes.iter().position(|class| *class == text),
        (classes, _, Ok(number)) => classes.to_doubles().iter().position(|class| *class == number),
        _ => None,
    }
}

impl Combine for Threshold {
    fn methods(&self) -> Vec<Method> {
        vec![Method::Predict]
    }

    fn more_methods(&self, inner: &[Inner]) -> Vec<Method> {
        let others = [Method::PredictProba, Method::DecisionFunction];
        others.into_iter().filter(|method| inner[0].has(*method)).collect()
    }

    fn inner_classes<'i>(&self, inner: &'i [Inner]) -> Option<&'i Data> {
        inner[0].classes()
    }

    fn combine(&self, method: Method, rows: Rows<'_>, inner: &[Inner]) -> Result<Prediction, Refusal> {
        let classifier = &inner[0];
        let Some(classes) = classifier.classes().filter(|_| method == Method::Predict) else {
            return classifier.ask(method, &rows);
        };
        let answer = classifier.numbers(self.asks, &rows)?;
        let sign = if self.positive == 1 { 1.0 } else { -1.0 };
        let scores: Vec<f64> = match self.asks {
            Method::PredictProba => answer.column(self.positive),
            _ => answer.column(0).into_iter().map(|score| sign * score).collect(),
        };
        let class = |score: f64| if score >= self.threshold { self.positive } else { 1 - self.positive };
        Ok(pick(classes, scores.into_iter().map(class)))
    }
}
