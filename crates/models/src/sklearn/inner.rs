//! Estimators that ask others, and make one answer of theirs.

use std::fmt::Debug;

use super::{Compiled, compile};
use crate::estimator::{Hint, Part, Predictor, Step, Transformer, predictor};
use crate::fault::Fault;
use crate::object::{Grid, Value};
use crate::rows::{Matrix, Refusal, Rows};
use crate::{Data, Method, NotServed, Prediction};

/// An estimator inside another one.
#[derive(Debug)]
pub(super) struct Inner {
    pub(super) predictor: Box<dyn Predictor>,
    names: Option<Vec<String>>,
}

/// How the answers of others become one.
pub(super) trait Combine: Debug + Send + Sync + 'static {
    fn methods(&self) -> Vec<Method>;

    fn classes(&self) -> Option<&Data> {
        None
    }

    /// What else it can be asked for, which depends on those inside.
    fn more_methods(&self, _inner: &[Inner]) -> Vec<Method> {
        Vec::new()
    }

    /// What its library can be asked for, and it cannot.
    fn not_served(&self, _inner: &[Inner]) -> Vec<NotServed> {
        Vec::new()
    }

    /// The classes of those inside, if they are its own.
    fn inner_classes<'i>(&self, _inner: &'i [Inner]) -> Option<&'i Data> {
        None
    }

    /// The most columns that a row has on its way through, if it becomes wider than it was.
    fn widest(&self) -> usize {
        0
    }

    /// The answer to one of [`Combine::methods`].
    fn combine(&self, method: Method, rows: Rows<'_>, inner: &[Inner]) -> Result<Prediction, Refusal>;
}

/// An estimator that asks others. It takes what they take.
#[derive(Debug)]
struct Around<C> {
    inner: Vec<Inner>,
    n_inputs: Option<usize>,
    combine: C,
}

/// A predictor that can transform, in the place of a transformer.
#[derive(Debug)]
struct AsTransformer {
    predictor: Box<dyn Predictor>,
    n_outputs: usize,
}

/// A step of an estimator that asks others. They all take the same rows, unless `n_inputs` says how many columns there
/// are before some of them are picked or added.
pub(super) fn around(inner: Vec<Inner>, n_inputs: Option<usize>, combine: impl Combine) -> Step {
    let n_inputs = n_inputs.or_else(|| inner.iter().find_map(|inner| inner.predictor.n_inputs()));
    predictor(Around { inner, n_inputs, combine })
}

/// A compiled estimator as a transformer, if it is one or can be used as one.
pub(super) fn into_transformer(step: Step) -> Option<Box<dyn Transformer>> {
    let predictor = match step {
        Step::Transformer(transformer) => return Some(transformer),
        Step::Predictor(predictor) => predictor,
    };
    if !predictor.methods().contains(&Method::Transform) {
        return None;
    }
    let zeros = Rows::Matrix(Matrix::zeros(predictor.n_inputs()?));
    let n_outputs = predictor.predict(Method::Transform, zeros).ok()?.data.len();
    Some(Box::new(AsTransformer { predictor, n_outputs }))
}

// === impl Inner ===

impl Inner {
    /// An estimator that predicts. `name` is what the one around it calls it.
    pub(super) fn read(value: &Value<'_>, name: Option<&str>) -> Result<Self, Fault> {
        let Compiled { step, names } = compile(value, name)?;
        match step {
            Step::Predictor(mut predictor) => {
                predictor.forget_leaves();
                Ok(Self { predictor, names })
            }
            Step::Transformer(_) => Err(value.problem("have an estimator that does not predict")),
        }
    }

    /// All estimators of a list.
    pub(super) fn read_all(list: &Value<'_>) -> Result<Vec<Self>, Fault> {
        let all: Vec<Self> =
            list.items()?.iter().map(|value| Self::read(value, None)).collect::<Result<_, _>>()?;
        if all.is_empty() {
            return Err(list.problem("are none"));
        }
        Ok(all)
    }

    pub(super) fn has(&self, method: Method) -> bool {
        self.predictor.methods().contains(&method)
    }

    pub(super) fn classes(&self) -> Option<&Data> {
        self.predictor.classes()
    }

    pub(super) fn ask(&self, method: Method, rows: &Rows<'_>) -> Result<Prediction, Refusal> {
        self.predictor.predict(method, rows.borrowed())
    }

    /// The answer as numbers, in columns.
    pub(super) fn numbers(&self, method: Method, rows: &Rows<'_>) -> Result<Grid, Refusal> {
        let answer = self.ask(method, rows)?;
        let n_columns = answer.shape.n_columns.unwrap_or(1);
        Ok(Grid { n_rows: answer.shape.n_rows, n_columns, values: answer.data.to_doubles() })
    }

    /// `decision_function` or else the probability of the second class: what `_predict_binary` takes for a score.
    pub(super) fn binary_scores(&self, rows: &Rows<'_>) -> Result<Vec<f64>, Refusal> {
        let method = self.score_method();
        let answer = self.numbers(method, rows)?;
        let place = usize::from(method == Method::PredictProba);
        Ok(answer.column(place))
    }

    /// What [`Inner::binary_scores`] asks for.
    pub(super) fn score_method(&self) -> Method {
        let preferred = [Method::DecisionFunction, Method::PredictProba];
        preferred.into_iter().find(|method| self.has(*method)).unwrap_or(Method::Predict)
    }
}

// === impl Around ===

impl<C: Combine> Part for Around<C> {
    fn n_inputs(&self) -> Option<usize> {
        self.n_inputs
    }

    fn hint(&self, column: usize) -> Hint {
        let mut same = self.inner.iter().filter(|inner| inner.predictor.n_inputs() == self.n_inputs);
        same.next().map_or_else(Hint::default, |inner| inner.predictor.hint(column))
    }

    fn names(&self) -> Option<&[String]> {
        let mut same = self.inner.iter().filter(|inner| inner.predictor.n_inputs() == self.n_inputs);
        same.find_map(|inner| inner.names.as_deref())
    }
}

impl<C: Combine> Predictor for Around<C> {
    fn methods(&self) -> Vec<Method> {
        [self.combine.methods(), self.combine.more_methods(&self.inner)].concat()
    }

    fn not_served(&self) -> Vec<NotServed> {
        self.combine.not_served(&self.inner)
    }

    fn classes(&self) -> Option<&Data> {
        self.combine.classes().or_else(|| self.combine.inner_classes(&self.inner))
    }

    fn widest(&self, n_inputs: usize) -> usize {
        let inner = self.inner.iter().map(|inner| inner.predictor.widest(n_inputs));
        inner.fold(n_inputs.max(self.combine.widest()), usize::max)
    }

    fn take_sparse(&mut self) {
        self.inner.iter_mut().for_each(|inner| inner.predictor.take_sparse());
    }

    fn rows_are_independent(&self) -> bool {
        self.inner.iter().all(|inner| inner.predictor.rows_are_independent())
    }

    fn predict(&self, method: Method, rows: Rows<'_>) -> Result<Prediction, Refusal> {
        self.combine.combine(method, rows, &self.inner)
    }
}

// === impl AsTransformer ===

impl Part for AsTransformer {
    fn n_inputs(&self) -> Option<usize> {
        self.predictor.n_inputs()
    }

    fn hint(&self, column: usize) -> Hint {
        self.predictor.hint(column)
    }

    fn names(&self) -> Option<&[String]> {
        self.predictor.names()
    }
}

impl Transformer for AsTransformer {
    fn n_outputs(&self, _n_inputs: usize) -> usize {
        self.n_outputs
    }

    fn transform<'a>(&self, rows: Rows<'a>) -> Result<Rows<'a>, Refusal> {
        let n_rows = rows.n_rows();
        let mut numbers = self.predictor.predict(Method::Transform, rows)?.data.to_doubles();
        numbers.resize(n_rows * self.n_outputs, f64::NAN);
        Ok(Rows::matrix(n_rows, self.n_outputs, numbers))
    }
}
