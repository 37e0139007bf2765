//! Gradient boosting: a first guess, and trees that correct it one after another (`sklearn/ensemble/_gb.py`).

use super::{Kind, compile, member, tree};
use crate::classifier::{Scores, pick, two_probabilities};
use crate::estimator::{Part, Predictor, Step, predictor};
use crate::fault::Fault;
use crate::numeric::expit;
use crate::object::{Object, Value};
use crate::rows::{Matrix, Refusal, Rows, Takes};
use crate::trees::{Builder, Forest, LeafNumbers};
use crate::{Data, Method, Prediction};

/// How the trees were grown.
const FIT: &str = "\
    alpha init _n_classes n_estimators n_estimators_ n_iter_no_change n_trees_per_iteration_ \
    oob_improvement_ oob_score_ oob_scores_ _rng subsample train_score_ validation_fraction";
const REGRESSION: &str = "loss loss_ _loss";

pub(super) const KINDS: &[Kind] = &[
    Kind {
        path: "sklearn.ensemble.GradientBoostingClassifier",
        ignores: &[FIT, tree::FIT],
        compile: classifier,
    },
    Kind {
        path: "sklearn.ensemble.GradientBoostingRegressor",
        ignores: &[FIT, REGRESSION, tree::FIT],
        compile: regressor,
    },
];

#[derive(Debug)]
struct Boosting {
    name: String,
    n_features: usize,
    first: FirstGuess,
    forest: Forest,
    /// Scores per row: one per class, or one.
    width: usize,
    /// For `apply`.
    leaf_numbers: Option<LeafNumbers>,
}

/// Where the sum begins.
#[derive(Debug)]
enum FirstGuess {
    /// The same for all rows.
    Constant(Vec<f64>),
    /// The answer of another model, through a link if it is a probability.
    Model { model: Box<dyn Predictor>, link: Option<Link> },
}

/// From probabilities to scores.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Link {
    curve: Curve,
    /// How near to 0 and 1 a probability may be.
    edge: f64,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Curve {
    Logit,
    HalfLogit,
    /// The logarithms themselves, as written before 1.4.
    Log,
    /// The logarithms, moved so that their mean is zero.
    CenteredLog,
}

/// What a classifier was fitted to lessen.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Loss {
    Logistic,
    Exponential,
}

#[derive(Debug)]
struct Regressor(Boosting);

#[derive(Debug)]
struct Classifier {
    boosting: Boosting,
    classes: Data,
    loss: Loss,
    /// Whether a score of exactly zero is the second of two classes, as it is since 1.4.
    zero_is_second: bool,
}

fn regressor(object: &Object<'_>) -> Result<Step, Fault> {
    Ok(predictor(Regressor(boosting(object, 1, None)?)))
}

fn classifier(object: &Object<'_>) -> Result<Step, Fault> {
    let classes = object.get("classes_")?.labels()?;
    let loss = object.get("loss")?;
    let loss = match loss.text()?.as_ref() {
        "deviance" | "log_loss" => Loss::Logistic,
        "exponential" if classes.len() == 2 => Loss::Exponential,
        _ => return Err(loss.unsupported("losses are `log_loss` and `exponential`")),
    };
    // Until 1.3 the losses were classes of their own, and the scores of many classes were not centered.
    let loss_class = object.get_any(&["_loss", "loss_"])?.object()?.class();
    let is_centered = loss_class.starts_with("sklearn._loss.");
    let (width, curve) = match (classes.len(), loss) {
        (2, Loss::Logistic) => (1, Curve::Logit),
        (2, Loss::Exponential) => (1, Curve::HalfLogit),
        (n_classes, _) if is_centered => (n_classes, Curve::CenteredLog),
        (n_classes, _) => (n_classes, Curve::Log),
    };
    // The edge became finer with 1.8.
    let is_old = object.sklearn_version().is_none_or(|version| version < (1, 8));
    let edge = if is_old { f64::from(f32::EPSILON) } else { f64::EPSILON };
    let boosting = boosting(object, width, Some(Link { curve, edge }))?;
    Ok(predictor(Classifier { boosting, classes, loss, zero_is_second: is_centered }))
}

fn boosting(object: &Object<'_>, width: usize, link: Option<Link>) -> Result<Boosting, Fault> {
    let stages = object.get("estimators_")?;
    if stages.array()?.shape.get(1) != Some(&width) {
        return Err(stages.problem("do not have one tree per score"));
    }
    let learning_rate = object.get("learning_rate")?.number()?;
    let mut builder = None;
    let mut n_features = 0;
    for (index, value) in stages.items()?.iter().enumerate() {
        let tree = member(value, |tree| tree::SavedTree::read(&tree.get("tree_")?))?;
        let builder = builder.get_or_insert_with(|| Builder::new(tree.n_features, 1));
        if n_features != 0 && n_features != tree.n_features || tree.width != 1 {
            return Err(object.problem("its trees do not fit each other"));
        }
        n_features = tree.n_features;
        let leaf = |node: usize, leaves: &mut Vec<f64>| leaves.push(learning_rate * tree.values[node]);
        let added = builder.add(&tree.nodes, index % width, leaf);
        added.map_err(|problem| object.problem(problem))?;
    }
    let builder = builder.ok_or_else(|| object.problem("it has no trees"))?;
    let first = FirstGuess::read(&object.get("init_")?, n_features, width, link)?;
    let (forest, numbers) = builder.finish_numbered();
    let name = object.name().to_owned();
    Ok(Boosting { name, n_features, first, forest, width, leaf_numbers: Some(numbers) })
}

// === impl FirstGuess ===

impl FirstGuess {
    fn read(init: &Value<'_>, n_features: usize, width: usize, link: Option<Link>) -> Result<Self, Fault> {
        if init.is_text("zero") {
            return Ok(Self::Constant(vec![0.0; width]));
        }
        let object = init.object()?;
        let constant = match object.name() {
            "DummyRegressor" => object.get("constant_")?.numbers()?,
            "DummyClassifier" => dummy_probabilities(&object, width, link)?,
            // What 0.20 had instead: the scores themselves.
            "MeanEstimator" => vec![object.get("mean")?.number()?],
            "QuantileEstimator" => vec![object.get("quantile")?.number()?],
            "LogOddsEstimator" | "ScaledLogOddsEstimator" => vec![object.get("prior")?.number()?],
            "PriorProbabilityEstimator" => object.get("priors")?.numbers()?,
            "ZeroEstimator" => vec![0.0; width],
            _ => {
                let Step::Predictor(mut model) = compile(init, Some("init"))?.step else {
                    return Err(init.problem("does not predict"));
                };
                model.forget_leaves();
                let method = if link.is_some() { Method::PredictProba } else { Method::Predict };
                if !model.methods().contains(&method) || model.n_inputs() != Some(n_features) {
                    return Err(init.problem(&format!("has no `{method}` of {n_features} columns")));
                }
                let first = Self::Model { model, link };
                return match first.scores(&Matrix::zeros(n_features), width) {
                    Ok(scores) if scores.len() == width => Ok(first),
                    _ => Err(init.problem("does not give one score for each")),
                };
            }
        };
        if constant.len() != width {
            return Err(init.problem(&format!("gives {} scores instead of {width}", constant.len())));
        }
        Ok(Self::Constant(constant))
    }

    fn scores(&self, matrix: &Matrix<'_>, width: usize) -> Result<Vec<f64>, Refusal> {
        let (model, link) = match self {
            Self::Constant(scores) => return Ok(scores.repeat(matrix.n_rows)),
            Self::Model { model, link } => (model, link),
        };
        let method = if link.is_some() { Method::PredictProba } else { Method::Predict };
        let rows = Rows::matrix(matrix.n_rows, matrix.n_columns, &*matrix.values);
        let Data::Double(values) = model.predict(method, rows)?.data else { return Ok(Vec::new()) };
        Ok(match link {
            None => values,
            Some(link) => {
                let n_classes = width.max(2);
                values.chunks_exact(n_classes).flat_map(|probabilities| link.scores(probabilities)).collect()
            }
        })
    }
}

/// `DummyClassifier.predict_proba`, which is the same for all rows, through the link.
fn dummy_probabilities(object: &Object<'_>, width: usize, link: Option<Link>) -> Result<Vec<f64>, Fault> {
    let strategy = object.get("strategy")?;
    let link = link.ok_or_else(|| object.problem("it guesses classes for a regression"))?;
    let priors = object.get("class_prior_")?.n_numbers(width.max(2))?;
    match strategy.text()?.as_ref() {
        "prior" => Ok(link.scores(&priors)),
        _ => Err(strategy.unsupported("as a first guess only `prior` is known")),
    }
}

// === impl Link ===

impl Link {
    /// Scores of one row: one for two classes, else one per class.
    fn scores(self, probabilities: &[f64]) -> Vec<f64> {
        let clipped: Vec<f64> = probabilities.iter().map(|p| p.clamp(self.edge, 1.0 - self.edge)).collect();
        let logit = |probability: f64| (probability / (1.0 - probability)).ln();
        match (self.curve, clipped.last()) {
            (Curve::Logit, Some(of_second)) => vec![logit(*of_second)],
            (Curve::HalfLogit, Some(of_second)) => vec![0.5 * logit(*of_second)],
            (Curve::CenteredLog, Some(_)) => {
                let sum_of_logs: f64 = clipped.iter().map(|probability| probability.ln()).sum();
                let geometric_mean = (sum_of_logs / clipped.len() as f64).exp();
                clipped.iter().map(|probability| (probability / geometric_mean).ln()).collect()
            }
            (Curve::Log, _) | (_, None) => clipped.iter().map(|probability| probability.ln()).collect(),
        }
    }
}

// === impl Boosting ===

impl Boosting {
    fn scores(&self, rows: Rows<'_>) -> Result<Scores, Refusal> {
        let matrix = tree::rounded(rows, Takes::Finite, &self.name)?;
        let mut scores = self.first.scores(&matrix, self.width)?;
        self.forest.add_to(&matrix.values, self.n_features, &mut scores, self.width);
        Ok(Scores { per_row: self.width, values: scores })
    }

    /// These methods, and `apply` if it is there.
    fn methods(&self, methods: &[Method]) -> Vec<Method> {
        let apply = self.leaf_numbers.as_ref().map(|_| Method::Apply);
        methods.iter().copied().chain(apply).collect()
    }

    /// What `apply` answers, if that is the method: a column for each tree, in floats as scikit-learn has them. Those of
    /// the classes lie side by side, stage after stage.
    fn leaves(&self, method: Method, rows: &Rows<'_>) -> Option<Result<Prediction, Refusal>> {
        let numbers = self.leaf_numbers.as_ref().filter(|_| method == Method::Apply)?;
        Some(tree::rounded(rows.borrowed(), Takes::Finite, &self.name).map(|matrix| {
            let leaves = self.forest.leaves(numbers, &matrix.values, self.n_features);
            let leaves = leaves.into_iter().map(f64::from).collect();
            Prediction::rows(self.forest.n_trees(), Data::Double(leaves))
        }))
    }
}

// === impl Regressor ===

impl Part for Regressor {
    fn n_inputs(&self) -> Option<usize> {
        Some(self.0.n_features)
    }
}

impl Predictor for Regressor {
    fn methods(&self) -> Vec<Method> {
        self.0.methods(&[Method::Predict])
    }

    fn forget_leaves(&mut self) {
        self.0.leaf_numbers = None;
    }

    fn predict(&self, method: Method, rows: Rows<'_>) -> Result<Prediction, Refusal> {
        if let Some(leaves) = self.0.leaves(method, &rows) {
            return leaves;
        }
        Ok(Prediction::flat(Data::Double(self.0.scores(rows)?.values)))
    }
}

// === impl Classifier ===

impl Part for Classifier {
    fn n_inputs(&self) -> Option<usize> {
        Some(self.boosting.n_features)
    }
}

impl Predictor for Classifier {
    fn methods(&self) -> Vec<Method> {
        self.boosting.methods(&[Method::Predict, Method::PredictProba, Method::DecisionFunction])
    }

    fn forget_leaves(&mut self) {
        self.boosting.leaf_numbers = None;
    }

    fn classes(&self) -> Option<&Data> {
        Some(&self.classes)
    }

    fn predict(&self, method: Method, rows: Rows<'_>) -> Result<Prediction, Refusal> {
        if let Some(leaves) = self.boosting.leaves(method, &rows) {
            return leaves;
        }
        let scores = self.boosting.scores(rows)?;
        Ok(match (method, self.loss) {
            (Method::DecisionFunction, _) => scores.into_prediction(),
            (Method::PredictProba, Loss::Exponential) => {
                two_probabilities(scores.values.iter().map(|score| expit(2.0 * score)))
            }
            (Method::PredictProba, Loss::Logistic) => scores.into_probabilities(),
            _ if scores.per_row == 1 && self.zero_is_second => {
                pick(&self.classes, scores.values.iter().map(|score| usize::from(*score >= 0.0)))
            }
            _ => scores.pick(&self.classes),
        })
    }
}
