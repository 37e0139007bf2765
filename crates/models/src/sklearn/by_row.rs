//! What most estimators have in common: they take numbers, and answer for each row by itself.

use std::fmt::Debug;

use crate::classifier::Scores;
use crate::estimator::{Hint, Part, Predictor, Step, Transformer, predictor, transformer};
use crate::object::Object;
use crate::rows::{Refusal, Rows, Takes};
use crate::{Data, InputProblem, Method, Prediction};

/// A change of each row of numbers by itself.
pub(super) trait RowTransformer: Debug + Send + Sync + 'static {
    fn n_inputs(&self) -> usize;

    fn n_outputs(&self) -> usize;

    fn takes(&self) -> Takes {
        Takes::Finite
    }

    fn hint(&self, _column: usize) -> Hint {
        Hint::default()
    }

    /// The first column whose number it does not take, though it is one, and what it takes instead.
    fn refuses(&self, _row: &[f64]) -> Option<(usize, &'static str)> {
        None
    }

    /// Adds what becomes of a row of [`RowTransformer::n_inputs`] numbers: always [`RowTransformer::n_outputs`].
    fn transform(&self, row: &[f64], transformed: &mut Vec<f64>);
}

/// An answer to each row of numbers by itself.
pub(super) trait RowPredictor: Debug + Send + Sync + 'static {
    fn n_inputs(&self) -> usize;

    fn takes(&self) -> Takes {
        Takes::Finite
    }

    fn hint(&self, _column: usize) -> Hint {
        Hint::default()
    }

    /// Adds the numbers that answer a method for a row: always as many. Where there are labels, the answer to
    /// `predict` is a score per label, or one that is above zero for the second of two.
    fn answer(&self, method: Method, row: &[f64], numbers: &mut Vec<f64>);
}

/// What a [`RowPredictor`] can be asked for, and in which form it answers.
#[derive(Debug)]
pub(super) struct Answers {
    pub(super) methods: Vec<Method>,
    pub(super) predict: Predict,
}

/// The form of the answer to `predict`.
#[derive(Debug)]
pub(super) enum Predict {
    /// One of the classes of a classifier.
    Class(Data),
    /// One of these labels, which are no classes.
    Label(Data),
    Number,
    /// A number for each of several targets.
    Targets,
}

#[derive(Debug)]
struct TransformsRows<T> {
    name: String,
    by_row: T,
}

#[derive(Debug)]
struct AnswersRows<P> {
    name: String,
    answers: Answers,
    by_row: P,
}

/// What [`RowTransformer::refuses`] of estimators that take no negative numbers.
pub(super) fn refuses_negative(row: &[f64]) -> Option<(usize, &'static str)> {
    row.iter().position(|number| *number < 0.0).map(|column| (column, "a number that is not negative"))
}

/// A step of a [`RowTransformer`].
pub(super) fn transforms_rows(object: &Object<'_>, by_row: impl RowTransformer) -> Step {
    transformer(TransformsRows { name: object.name().to_owned(), by_row })
}

/// A step of a [`RowPredictor`].
pub(super) fn answers_rows(object: &Object<'_>, answers: Answers, by_row: impl RowPredictor) -> Step {
    predictor(AnswersRows { name: object.name().to_owned(), answers, by_row })
}

// === impl Answers ===

impl Answers {
    /// A class per row, and these other methods.
    pub(super) fn class(classes: Data, others: &[Method]) -> Self {
        Self { methods: [&[Method::Predict], others].concat(), predict: Predict::Class(classes) }
    }

    /// `1` for what is like the rows of fitting and `-1` for what is not, and a score.
    pub(super) fn outlier() -> Self {
        let labels = Data::Long(vec![-1, 1]);
        Self { methods: vec![Method::Predict, Method::DecisionFunction], predict: Predict::Label(labels) }
    }
}

/// Scores of the labels of [`Answers::outlier`].
pub(super) fn outlier_scores(is_outlier: bool) -> [f64; 2] {
    if is_outlier { [1.0, 0.0] } else { [0.0, 1.0] }
}

// === impl TransformsRows ===

impl<T: RowTransformer> Part for TransformsRows<T> {
    fn n_inputs(&self) -> Option<usize> {
        Some(self.by_row.n_inputs())
    }

    fn hint(&self, column: usize) -> Hint {
        self.by_row.hint(column)
    }
}

impl<T: RowTransformer> Transformer for TransformsRows<T> {
    fn n_outputs(&self, _n_inputs: usize) -> usize {
        self.by_row.n_outputs()
    }

    fn transform<'a>(&self, rows: Rows<'a>) -> Result<Rows<'a>, Refusal> {
        let matrix = rows.into_matrix(self.by_row.takes(), &self.name)?;
        let n_outputs = self.by_row.n_outputs();
        let mut transformed = Vec::with_capacity(matrix.n_rows * n_outputs);
        for (index, row) in matrix.rows().enumerate() {
            if let Some((column, expected)) = self.by_row.refuses(row) {
                let problem = InputProblem::WrongType { expected, got: row[column].to_string() };
                return Err(Refusal::at(index, column, problem));
            }
            self.by_row.transform(row, &mut transformed);
        }
        Ok(Rows::matrix(matrix.n_rows, n_outputs, transformed))
    }
}

// === impl AnswersRows ===

impl<P: RowPredictor> Part for AnswersRows<P> {
    fn n_inputs(&self) -> Option<usize> {
        Some(self.by_row.n_inputs())
    }

    fn hint(&self, column: usize) -> Hint {
        self.by_row.hint(column)
    }
}

impl<P: RowPredictor> Predictor for AnswersRows<P> {
    fn methods(&self) -> Vec<Method> {
        self.answers.methods.clone()
    }

    fn classes(&self) -> Option<&Data> {
        match &self.answers.predict {
            Predict::Class(classes) => Some(classes),
            _ => None,
        }
    }

    fn predict(&self, method: Method, rows: Rows<'_>) -> Result<Prediction, Refusal> {
        let matrix = rows.into_matrix(self.by_row.takes(), &self.name)?;
        let mut values = Vec::new();
        for row in matrix.rows() {
            self.by_row.answer(method, row, &mut values);
        }
        let per_row = values.len() / matrix.n_rows.max(1);
        Ok(match (method, &self.answers.predict) {
            (Method::Predict, Predict::Class(labels) | Predict::Label(labels)) => {
                Scores { per_row, values }.pick(labels)
            }
            (Method::Predict, Predict::Number) => Prediction::flat(Data::Double(values)),
            (Method::DecisionFunction, _) => Scores { per_row, values }.into_prediction(),
            (Method::ScoreSamples, _) => Prediction::flat(Data::Double(values)),
            (Method::Kneighbors, _) => {
                // They are counted, and stand exactly as numbers of 64 bits.
                Prediction::rows(per_row, Data::Long(values.iter().map(|place| *place as i64).collect()))
            }
            _ => Prediction::rows(per_row, Data::Double(values)),
        })
    }
}
