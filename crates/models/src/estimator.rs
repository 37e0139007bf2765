//! Fitted estimators, ready to answer. What they were read from is forgotten.

use std::fmt::Debug;

use crate::rows::{Refusal, Rows};
use crate::{Data, DataType, Method, NamedInput, NamedOutput, NotServed, Prediction, Scalar};

/// What all parts of a model have in common.
pub(crate) trait Part: Debug + Send + Sync {
    /// How many columns it takes; `None` if it takes any number.
    fn n_inputs(&self) -> Option<usize>;

    /// What one of its columns is like.
    fn hint(&self, _column: usize) -> Hint {
        Hint::default()
    }

    /// The names of its columns, if it knows better than its attribute `feature_names_in_`.
    fn names(&self) -> Option<&[String]> {
        None
    }
}

/// A part that changes rows.
pub(crate) trait Transformer: Part {
    /// How many columns come out when this many come in.
    fn n_outputs(&self, n_inputs: usize) -> usize;

    /// The most columns that a row has on its way through, which one-hot columns can make many.
    fn widest(&self, n_inputs: usize) -> usize {
        n_inputs.max(self.n_outputs(n_inputs))
    }

    /// Whether Python holds what comes out in a sparse matrix, given whether what goes in is one. Here all are dense; it
    /// matters only to those who take missing values in dense ones alone.
    fn gives_sparse(&self, takes_sparse: bool) -> bool {
        takes_sparse
    }

    /// Whether Python's None is a value that it was fitted with, rather than one that is missing.
    fn knows_none(&self, _column: usize) -> bool {
        false
    }

    /// Who answers what it can be asked for besides `transform`, if there is anything.
    fn besides(&self) -> Option<&dyn Predictor> {
        None
    }

    /// Told that what follows knows None: then None, unlike NaN, is not to be replaced in this column.
    fn keep_none(&mut self, _column: usize) {}

    /// The changed rows. They have as many columns as [`Part::n_inputs`] says.
    fn transform<'a>(&self, rows: Rows<'a>) -> Result<Rows<'a>, Refusal>;
}

/// A part that answers, and so ends a model.
pub(crate) trait Predictor: Part {
    /// What it can be asked for.
    fn methods(&self) -> Vec<Method>;

    /// What its library can be asked for, and it cannot.
    fn not_served(&self) -> Vec<NotServed> {
        Vec::new()
    }

    /// The classes it tells apart, if it does.
    fn classes(&self) -> Option<&Data> {
        None
    }

    /// The most columns that a row has on its way through.
    fn widest(&self, n_inputs: usize) -> usize {
        n_inputs
    }

    /// Told that Python would give it sparse matrices.
    fn take_sparse(&mut self) {}

    /// Told that it is inside of something that does not pass `apply` on.
    fn forget_leaves(&mut self) {}

    /// Whether the answer for a row is the same whatever other rows are asked about with it.
    fn rows_are_independent(&self) -> bool {
        true
    }

    /// The inputs that its file names, in the order of their columns.
    fn inputs(&self) -> Vec<NamedInput> {
        Vec::new()
    }

    /// Its outputs, if it has several at once that have names.
    fn outputs(&self) -> &[NamedOutput] {
        &[]
    }

    /// All of its outputs that have names.
    fn predict_outputs(&self, _rows: Rows<'_>) -> Result<Vec<Prediction>, Refusal> {
        Ok(Vec::new())
    }

    /// The answer to one of [`Predictor::methods`]. The rows have as many columns as [`Part::n_inputs`] says.
    fn predict(&self, method: Method, rows: Rows<'_>) -> Result<Prediction, Refusal>;
}

/// A part of either sort.
#[derive(Debug)]
pub(crate) enum Step {
    Transformer(Box<dyn Transformer>),
    Predictor(Box<dyn Predictor>),
}

/// What a column is like, so that a request can be described and an example made.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Hint {
    pub(crate) datatype: DataType,
    /// A value that is taken.
    pub(crate) example: Scalar,
    /// Whether the answer can depend on it.
    pub(crate) is_used: bool,
    /// Whether its library takes rows that do not have it.
    pub(crate) is_optional: bool,
}

impl Default for Hint {
    fn default() -> Self {
        Self::number(0.0)
    }
}

impl Hint {
    /// A number, and one that is near to what the model was fitted with.
    pub(crate) fn number(near: f64) -> Self {
        let example = if near.is_finite() { (near * 100.0).round() / 100.0 } else { 0.0 };
        Self {
            datatype: DataType::Double,
            example: Scalar::Double(example),
            is_used: true,
            is_optional: false,
        }
    }

    /// What is known of a column that several parts take.
    pub(crate) fn of_all(hints: impl Iterator<Item = Self>) -> Self {
        let used: Vec<Self> = hints.filter(|hint| hint.is_used).collect();
        let telling = used.iter().find(|hint| **hint != Self::default());
        telling.or(used.first()).cloned().unwrap_or_else(Self::unused)
    }

    /// A column that nobody looks at.
    pub(crate) fn unused() -> Self {
        Self { is_used: false, ..Self::default() }
    }
}

// === impl Step ===

impl Step {
    pub(crate) fn part(&self) -> &dyn Part {
        match self {
            Self::Transformer(transformer) => &**transformer,
            Self::Predictor(predictor) => &**predictor,
        }
    }

    pub(crate) fn methods(&self) -> Vec<Method> {
        match self {
            Self::Transformer(transformer) => {
                let besides = transformer.besides().map(Predictor::methods);
                [vec![Method::Transform], besides.unwrap_or_default()].concat()
            }
            Self::Predictor(predictor) => predictor.methods(),
        }
    }

    pub(crate) fn not_served(&self) -> Vec<NotServed> {
        match self {
            Self::Transformer(_) => Vec::new(),
            Self::Predictor(predictor) => predictor.not_served(),
        }
    }

    pub(crate) fn widest(&self, n_inputs: usize) -> usize {
        match self {
            Self::Transformer(transformer) => transformer.widest(n_inputs),
            Self::Predictor(predictor) => predictor.widest(n_inputs),
        }
    }

    pub(crate) fn rows_are_independent(&self) -> bool {
        match self {
            Self::Transformer(_) => true,
            Self::Predictor(predictor) => predictor.rows_are_independent(),
        }
    }

    pub(crate) fn classes(&self) -> Option<&Data> {
        match self {
            Self::Transformer(_) => None,
            Self::Predictor(predictor) => predictor.classes(),
        }
    }
}

/// A predictor as a step.
pub(crate) fn predictor(predictor: impl Predictor + 'static) -> Step {
    Step::Predictor(Box::new(predictor))
}

/// A transformer as a step.
pub(crate) fn transformer(transformer: impl Transformer + 'static) -> Step {
    Step::Transformer(Box::new(transformer))
}
