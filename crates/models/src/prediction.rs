//! What a model answers.

use std::fmt;
use std::str::FromStr;

/// What a model is asked for, by the name of the Python method.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Method {
    /// `predict`
    Predict,
    /// `predict_proba`
    PredictProba,
    /// `predict_log_proba`
    PredictLogProba,
    /// `decision_function`
    DecisionFunction,
    /// `transform`
    Transform,
    /// `score_samples`
    ScoreSamples,
    /// `kneighbors(return_distance=False)`: the places of the nearest rows among those of fitting
    Kneighbors,
    /// The distances that `kneighbors` gives with these places
    KneighborsDistance,
    /// `apply`: the numbers of the leaves that rows reach
    Apply,
}

/// A method that a model has in its library, and that is not answered here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotServed {
    /// The method.
    pub method: Method,
    /// Why it is not.
    pub reason: &'static str,
}

/// A model's answer: one value, or one row of values, per row of the batch.
#[derive(Debug, Clone, PartialEq)]
pub struct Prediction {
    /// Rows, and columns if there are any.
    pub shape: Shape,
    /// The values, row after row.
    pub data: Data,
}

/// The shape of a prediction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    /// One per row of the batch.
    pub n_rows: usize,
    /// `None` for a one-dimensional answer.
    pub n_columns: Option<usize>,
}

/// The values of a prediction, in the type Python gives them.
#[derive(Debug, Clone, PartialEq)]
pub enum Data {
    /// `float64`
    Double(Vec<f64>),
    /// `float32`
    Float(Vec<f32>),
    /// `int64`
    Long(Vec<i64>),
    /// `int32`
    Integer(Vec<i32>),
    /// `bool`
    Boolean(Vec<bool>),
    /// `str`
    Text(Vec<String>),
}

impl Method {
    /// Every method.
    pub const ALL: [Self; 9] = [
        Self::Predict,
        Self::PredictProba,
        Self::PredictLogProba,
        Self::DecisionFunction,
        Self::Transform,
        Self::ScoreSamples,
        Self::Kneighbors,
        Self::KneighborsDistance,
        Self::Apply,
    ];

    /// The name of the Python method.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Predict => "predict",
            Self::PredictProba => "predict_proba",
            Self::PredictLogProba => "predict_log_proba",
            Self::DecisionFunction => "decision_function",
            Self::Transform => "transform",
            Self::ScoreSamples => "score_samples",
            Self::Kneighbors => "kneighbors",
            Self::KneighborsDistance => "kneighbors_distance",
            Self::Apply => "apply",
        }
    }
}

impl NotServed {
    /// Probabilities of a model that answers several questions at once.
    pub(crate) fn of_targets(method: Method) -> Self {
        let reason = "for several targets its library gives a list of arrays, one for each, and an answer is one array here";
        Self { method, reason }
    }
}

impl fmt::Display for NotServed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` of this model is not served here: {}", self.method, self.reason)
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Method {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let known = Self::ALL.into_iter().find(|method| method.as_str() == name);
        known.ok_or_else(|| format!("`{name}` is none of {}", Self::ALL.map(Self::as_str).join(", ")))
    }
}

impl Prediction {
    /// One value per row.
    #[must_use]
    pub fn flat(data: Data) -> Self {
        Self { shape: Shape { n_rows: data.len(), n_columns: None }, data }
    }

    /// One row of `n_columns` values per row.
    #[must_use]
    pub fn rows(n_columns: usize, data: Data) -> Self {
        let n_rows = data.len().checked_div(n_columns).unwrap_or(0);
        Self { shape: Shape { n_rows, n_columns: Some(n_columns) }, data }
    }

    /// The answers to several questions side by side. They have the type of the first one, unless types differ in how
    /// much they hold: then it is the wider one, as in numpy.
    pub(crate) fn columns(columns: &[Data]) -> Self {
        let n_rows = columns.first().map_or(0, Data::len);
        let width = columns.len();
        let rows = || (0..n_rows).flat_map(|row| (0..width).map(move |column| (column, row)));
        let data = match columns {
            all if all.iter().all(|data| matches!(data, Data::Text(_))) => {
                let text = |(column, row): (usize, usize)| match &columns[column] {
                    Data::Text(texts) => texts.get(row).cloned().unwrap_or_default(),
                    _ => String::new(),
                };
                Data::Text(rows().map(text).collect())
            }
            all => {
                let doubles: Vec<Vec<f64>> = all.iter().map(Data::to_doubles).collect();
                let values =
                    rows().map(|(column, row)| doubles[column].get(row).copied().unwrap_or(f64::NAN));
                let is_whole =
                    |data: &Data| matches!(data, Data::Long(_) | Data::Integer(_) | Data::Boolean(_));
                match all {
                    _ if all.iter().all(|data| matches!(data, Data::Boolean(_))) => {
                        Data::Boolean(values.map(|value| value == 1.0).collect())
                    }
                    _ if all.iter().all(|data| matches!(data, Data::Integer(_))) => {
                        Data::Integer(values.map(|value| value as i32).collect())
                    }
                    _ if all.iter().all(is_whole) => Data::Long(values.map(|value| value as i64).collect()),
                    _ => Data::Double(values.collect()),
                }
            }
        };
        Self::rows(width, data)
    }

    /// The answers for the first rows, for those after them, and so on; `None` unless that is all rows there are.
    #[must_use]
    pub fn split(self, n_rows: &[usize]) -> Option<Vec<Self>> {
        let Shape { n_rows: all_rows, n_columns } = self.shape;
        let width = n_columns.unwrap_or(1);
        if n_rows.iter().sum::<usize>() != all_rows || all_rows * width != self.data.len() {
            return None;
        }
        let lengths = n_rows.iter().map(|n_rows| n_rows * width);
        let parts = self.data.split(lengths);
        let part =
            |(n_rows, data): (&usize, Data)| Self { shape: Shape { n_rows: *n_rows, n_columns }, data };
        Some(n_rows.iter().zip(parts).map(part).collect())
    }

    /// Adds the rows of a further part of the same answer.
    pub(crate) fn append(&mut self, more: Self) {
        self.shape.n_rows += more.shape.n_rows;
        self.data.append(more.data);
    }
}

impl Data {
    /// How many values there are.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Double(values) => values.len(),
            Self::Float(values) => values.len(),
            Self::Long(values) => values.len(),
            Self::Integer(values) => values.len(),
            Self::Boolean(values) => values.len(),
            Self::Text(values) => values.len(),
        }
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The values as numbers; NaN for texts.
    pub(crate) fn to_doubles(&self) -> Vec<f64> {
        match self {
            Self::Double(values) => values.clone(),
            Self::Float(values) => values.iter().map(|value| f64::from(*value)).collect(),
            Self::Long(values) => values.iter().map(|value| *value as f64).collect(),
            Self::Integer(values) => values.iter().map(|value| f64::from(*value)).collect(),
            Self::Boolean(values) => values.iter().map(|value| f64::from(*value)).collect(),
            Self::Text(values) => vec![f64::NAN; values.len()],
        }
    }

    /// Parts of these lengths, one after another.
    fn split(self, lengths: impl Iterator<Item = usize>) -> Vec<Self> {
        fn parts<T>(
            values: Vec<T>,
            lengths: impl Iterator<Item = usize>,
            part: fn(Vec<T>) -> Data,
        ) -> Vec<Data> {
            let mut values = values.into_iter();
            lengths.map(|length| part(values.by_ref().take(length).collect())).collect()
        }
        match self {
            Self::Double(values) => parts(values, lengths, Self::Double),
            Self::Float(values) => parts(values, lengths, Self::Float),
            Self::Long(values) => parts(values, lengths, Self::Long),
            Self::Integer(values) => parts(values, lengths, Self::Integer),
            Self::Boolean(values) => parts(values, lengths, Self::Boolean),
            Self::Text(values) => parts(values, lengths, Self::Text),
        }
    }

    fn append(&mut self, other: Self) {
        match (self, other) {
            (Self::Double(values), Self::Double(more)) => values.extend(more),
            (Self::Float(values), Self::Float(more)) => values.extend(more),
            (Self::Long(values), Self::Long(more)) => values.extend(more),
            (Self::Integer(values), Self::Integer(more)) => values.extend(more),
            (Self::Boolean(values), Self::Boolean(more)) => values.extend(more),
            (Self::Text(values), Self::Text(more)) => values.extend(more),
            _ => unreachable!("one method of one model answers in one type"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_split_by_rows() {
        let answer = || Prediction::rows(2, Data::Long(vec![1, 2, 3, 4, 5, 6]));
        let parts = answer().split(&[1, 0, 2]).unwrap();
        assert_eq!(parts[0], Prediction::rows(2, Data::Long(vec![1, 2])));
        assert_eq!(parts[1].shape, Shape { n_rows: 0, n_columns: Some(2) });
        assert_eq!(parts[2], Prediction::rows(2, Data::Long(vec![3, 4, 5, 6])));
        assert_eq!(answer().split(&[1, 1]), None);
        let texts = Prediction::flat(Data::Text(vec!["a".into(), "b".into()]));
        assert_eq!(texts.split(&[1, 1]).unwrap()[1], Prediction::flat(Data::Text(vec!["b".into()])));
    }
}
