//! Multi-layer perceptrons (`sklearn/neural_network/_multilayer_perceptron.py`).

use super::Kind;
use super::by_row::{Answers, Predict, RowPredictor, RowTransformer, answers_rows, transforms_rows};
use crate::Method;
use crate::estimator::{Part, Predictor, Step, predictor};
use crate::fault::Fault;
use crate::numeric::{dot, expit, softmax};
use crate::object::{Grid, Object};
use crate::rows::{Refusal, Rows, Takes};
use crate::{Data, Prediction};

/// How the weights were found.
const FIT: &str = "\
    alpha _coef_indptr _intercept_indptr batch_size beta_1 beta_2 best_loss_ _best_coefs _best_intercepts best_validation_score_ \
    early_stopping epsilon hidden_layer_sizes learning_rate learning_rate_init loss loss_ loss_curve_ max_fun \
    momentum n_iter_no_change n_layers_ n_outputs_ nesterovs_momentum _no_improvement_count _optimizer power_t \
    _random_state shuffle solver t_ validation_fraction validation_scores_";

pub(super) const KINDS: &[Kind] = &[
    Kind { path: "sklearn.neural_network.MLPClassifier", ignores: &[FIT], compile: classifier },
    Kind { path: "sklearn.neural_network.MLPRegressor", ignores: &[FIT], compile: regressor },
    Kind {
        path: "sklearn.neural_network.BernoulliRBM",
        ignores: &[FIT, "h_samples_ intercept_visible_ n_components _n_features_out n_iter"],
        compile: boltzmann,
    },
];

#[derive(Debug)]
struct Network {
    layers: Vec<Layer>,
    hidden: Activation,
    output: Activation,
}

#[derive(Debug)]
struct Layer {
    /// One row per input.
    weights: Grid,
    offsets: Vec<f64>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Activation {
    Identity,
    Logistic,
    Tanh,
    Relu,
    Softmax,
    Exponential,
}

/// Yes or no to each of several classes.
#[derive(Debug)]
struct ManyLabels {
    classes: Data,
    network: Network,
}

/// The hidden units of a restricted Boltzmann machine.
#[derive(Debug)]
struct Boltzmann {
    /// One row per unit.
    weights: Grid,
    offsets: Vec<f64>,
}

fn boltzmann(object: &Object<'_>) -> Result<Step, Fault> {
    let weights = object.get("components_")?.grid()?;
    let offsets = object.get("intercept_hidden_")?.n_numbers(weights.n_rows)?;
    Ok(transforms_rows(object, Boltzmann { weights, offsets }))
}

impl RowTransformer for Boltzmann {
    fn n_inputs(&self) -> usize {
        self.weights.n_columns
    }

    fn n_outputs(&self) -> usize {
        self.weights.n_rows
    }

    fn transform(&self, row: &[f64], transformed: &mut Vec<f64>) {
        let units = self.weights.rows().zip(&self.offsets);
        transformed.extend(units.map(|(weights, offset)| expit(dot(row, weights) + offset)));
    }
}

fn regressor(object: &Object<'_>) -> Result<Step, Fault> {
    let network = Network::read(object)?;
    let predict = if network.n_outputs() == 1 { Predict::Number } else { Predict::Targets };
    Ok(answers_rows(object, Answers { methods: vec![Method::Predict], predict }, network))
}

fn classifier(object: &Object<'_>) -> Result<Step, Fault> {
    let network = Network::read(object)?;
    let binarizer = object.get("_label_binarizer")?.object()?;
    let kind = binarizer.get("y_type_")?;
    let classes = object.get("classes_")?.labels()?;
    let expected = match kind.text()?.as_ref() {
        "binary" => 1,
        "multiclass" | "multilabel-indicator" => classes.len(),
        _ => return Err(kind.unsupported("targets are one class, or several of yes or no")),
    };
    if network.n_outputs() != expected {
        return Err(object.problem("its outputs are not one per class"));
    }
    if kind.is_text("multilabel-indicator") {
        return Ok(predictor(ManyLabels { classes, network }));
    }
    Ok(answers_rows(object, Answers::class(classes, &[Method::PredictProba]), network))
}

// === impl Network ===

impl Network {
    fn read(object: &Object<'_>) -> Result<Self, Fault> {
        let (weights, offsets) = (object.get("coefs_")?, object.get("intercepts_")?);
        let (weights, offsets) = (weights.items()?, offsets.items()?);
        if weights.len() != offsets.len() || weights.is_empty() {
            return Err(object.problem("its layers do not fit each other"));
        }
        let mut layers: Vec<Layer> = Vec::with_capacity(weights.len());
        for (weights, offsets) in weights.iter().zip(offsets) {
            let weights = weights.grid()?;
            if layers.last().is_some_and(|before| before.offsets.len() != weights.n_rows) {
                return Err(object.problem("its layers do not fit each other"));
            }
            layers.push(Layer { offsets: offsets.n_numbers(weights.n_columns)?, weights });
        }
        let activation = |key: &'static str| {
            let value = object.get(key)?;
            Activation::read(&value.text()?).ok_or_else(|| value.unsupported("this activation is not known"))
        };
        Ok(Self { layers, hidden: activation("activation")?, output: activation("out_activation_")? })
    }

    fn n_outputs(&self) -> usize {
        self.layers.last().map_or(0, |layer| layer.offsets.len())
    }

    fn outputs(&self, row: &[f64]) -> Vec<f64> {
        let mut values = row.to_vec();
        for (index, layer) in self.layers.iter().enumerate() {
            values = layer.outputs(&values);
            let is_last = index + 1 == self.layers.len();
            if is_last { self.output } else { self.hidden }.apply(&mut values);
        }
        values
    }
}

impl Layer {
    fn outputs(&self, inputs: &[f64]) -> Vec<f64> {
        let mut outputs = vec![0.0; self.offsets.len()];
        for (input, weights) in inputs.iter().zip(self.weights.rows()) {
            outputs.iter_mut().zip(weights).for_each(|(output, weight)| *output += input * weight);
        }
        outputs.iter_mut().zip(&self.offsets).for_each(|(output, offset)| *output += offset);
        outputs
    }
}

impl Activation {
    fn read(name: &str) -> Option<Self> {
        Some(match name {
            "identity" => Self::Identity,
            "logistic" => Self::Logistic,
            "tanh" => Self::Tanh,
            "relu" => Self::Relu,
            "softmax" => Self::Softmax,
            "exp" => Self::Exponential,
            _ => return None,
        })
    }

    fn apply(self, values: &mut [f64]) {
        match self {
            Self::Identity => {}
            Self::Logistic => values.iter_mut().for_each(|x| *x = expit(*x)),
            Self::Tanh => values.iter_mut().for_each(|x| *x = x.tanh()),
            Self::Relu => values.iter_mut().for_each(|x| *x = x.max(0.0)),
            Self::Softmax => softmax(values),
            Self::Exponential => values.iter_mut().for_each(|x| *x = x.exp()),
        }
    }
}

impl RowPredictor for Network {
    fn n_inputs(&self) -> usize {
        self.layers[0].weights.n_rows
    }

    fn answer(&self, method: Method, row: &[f64], numbers: &mut Vec<f64>) {
        let outputs = self.outputs(row);
        match (method, &outputs[..]) {
            (Method::PredictProba, [of_second]) => numbers.extend([1.0 - of_second, *of_second]),
            // Of two classes, the second one must be more likely than not.
            (Method::Predict, [of_second]) if self.output == Activation::Logistic => {
                numbers.push(of_second - 0.5);
            }
            _ => numbers.extend(outputs),
        }
    }
}

// === impl ManyLabels ===

impl Part for ManyLabels {
    fn n_inputs(&self) -> Option<usize> {
        Some(self.network.n_inputs())
    }
}

impl Predictor for ManyLabels {
    fn methods(&self) -> Vec<Method> {
        vec![Method::Predict, Method::PredictProba]
    }

    fn classes(&self) -> Option<&Data> {
        Some(&self.classes)
    }

    fn predict(&self, method: Method, rows: Rows<'_>) -> Result<Prediction, Refusal> {
        let matrix = rows.into_matrix(Takes::Finite, "MLPClassifier")?;
        let outputs: Vec<f64> = matrix.rows().flat_map(|row| self.network.outputs(row)).collect();
        let n_outputs = self.network.n_outputs();
        Ok(if method == Method::PredictProba {
            Prediction::rows(n_outputs, Data::Double(outputs))
        } else {
            Prediction::rows(n_outputs, Data::Long(outputs.iter().map(|x| i64::from(*x > 0.5)).collect()))
        })
    }
}
