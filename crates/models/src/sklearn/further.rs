//! Methods that follow from others: logarithms of probabilities, and scores without the offset of those who decide.
//!
//! scikit-learn has them in some classes and not in others; here the classes are a table, and the rest is the same for all.

use crate::estimator::{Hint, Part, Predictor, Step, predictor};
use crate::fault::Fault;
use crate::object::{Object, Value};
use crate::rows::{Refusal, Rows};
use crate::{Data, Method, NamedInput, NamedOutput, NotServed, Prediction};

/// The classes of scikit-learn with `predict_log_proba`. It is the logarithm of `predict_proba`.
const LOG_PROBABILITIES: &str = "\
    discriminant_analysis.LinearDiscriminantAnalysis discriminant_analysis.QuadraticDiscriminantAnalysis \
    dummy.DummyClassifier ensemble.AdaBoostClassifier ensemble.BaggingClassifier ensemble.ExtraTreesClassifier \
    ensemble.GradientBoostingClassifier ensemble.RandomForestClassifier linear_model.LogisticRegression \
    linear_model.LogisticRegressionCV linear_model.SGDClassifier naive_bayes.BernoulliNB naive_bayes.CategoricalNB \
    naive_bayes.ComplementNB naive_bayes.GaussianNB naive_bayes.MultinomialNB neural_network.MLPClassifier \
    semi_supervised.SelfTrainingClassifier svm.NuSVC svm.SVC tree.DecisionTreeClassifier tree.ExtraTreeClassifier \
    model_selection.FixedThresholdClassifier model_selection.TunedThresholdClassifierCV";

/// The classes of scikit-learn whose `score_samples` is their `decision_function` and their `offset_`.
const SCORES: &str = "\
    covariance.EllipticEnvelope ensemble.IsolationForest linear_model.SGDOneClassSVM neighbors.LocalOutlierFactor \
    svm.OneClassSVM";

/// An estimator with methods that follow from others.
#[derive(Debug)]
struct Further {
    inner: Box<dyn Predictor>,
    /// Whether it has the logarithms of its probabilities.
    has_logarithms: bool,
    /// What is added to its decisions, if it has scores.
    offset: Option<f64>,
}

/// The same estimator with the methods that follow from those it has.
pub(super) fn add(path: &str, object: &Object<'_>, step: Step) -> Result<Step, Fault> {
    let Step::Predictor(inner) = step else { return Ok(step) };
    let methods = inner.methods();
    let is_of = |list: &str| {
        let name = path.strip_prefix("sklearn.");
        name.is_some_and(|name| list.split_whitespace().any(|known| known == name))
    };
    let has_logarithms = is_of(LOG_PROBABILITIES) && methods.contains(&Method::PredictProba);
    let has_scores = is_of(SCORES) && methods.contains(&Method::DecisionFunction);
    let offset =
        if has_scores { object.some("offset_").map(|offset| number(&offset)).transpose()? } else { None };
    Ok(match has_logarithms || offset.is_some() {
        true => predictor(Further { inner, has_logarithms, offset }),
        false => Step::Predictor(inner),
    })
}

/// A number, or the only one of a list.
fn number(value: &Value<'_>) -> Result<f64, Fault> {
    match value.items().as_deref() {
        Ok([only]) => only.number(),
        _ => value.number(),
    }
}

impl Part for Further {
    fn n_inputs(&self) -> Option<usize> {
        self.inner.n_inputs()
    }

    fn hint(&self, column: usize) -> Hint {
        self.inner.hint(column)
    }

    fn names(&self) -> Option<&[String]> {
        self.inner.names()
    }
}

impl Predictor for Further {
    fn methods(&self) -> Vec<Method> {
        let mut methods = self.inner.methods();
        if self.has_logarithms {
            let after = methods.iter().position(|method| *method == Method::PredictProba);
            methods.insert(after.map_or(methods.len(), |place| place + 1), Method::PredictLogProba);
        }
        methods.extend(self.offset.map(|_| Method::ScoreSamples));
        methods
    }

    fn not_served(&self) -> Vec<NotServed> {
        self.inner.not_served()
    }

    fn classes(&self) -> Option<&Data> {
        self.inner.classes()
    }

    fn widest(&self, n_inputs: usize) -> usize {
        self.inner.widest(n_inputs)
    }

    fn take_sparse(&mut self) {
        self.inner.take_sparse();
    }

    fn forget_leaves(&mut self) {
        self.inner.forget_leaves();
    }

    fn rows_are_independent(&self) -> bool {
        self.inner.rows_are_independent()
    }

    fn inputs(&self) -> Vec<NamedInput> {
        self.inner.inputs()
    }

    fn outputs(&self) -> &[NamedOutput] {
        self.inner.outputs()
    }

    fn predict_outputs(&self, rows: Rows<'_>) -> Result<Vec<Prediction>, Refusal> {
        self.inner.predict_outputs(rows)
    }

    fn predict(&self, method: Method, rows: Rows<'_>) -> Result<Prediction, Refusal> {
        let (of, change): (Method, &dyn Fn(f64) -> f64) = match (method, self.offset) {
            (Method::PredictLogProba, _) => (Method::PredictProba, &|probability: f64| probability.ln()),
            (Method::ScoreSamples, Some(offset)) => {
                (Method::DecisionFunction, &move |score: f64| score + offset)
            }
            _ => return self.inner.predict(method, rows),
        };
        let Prediction { shape, data } = self.inner.predict(of, rows)?;
        let values = data.to_doubles().into_iter().map(change).collect();
        Ok(Prediction { shape, data: Data::Double(values) })
    }
}
