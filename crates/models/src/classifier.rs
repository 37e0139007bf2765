//! What all classifiers do once they have a score per class.

use crate::numeric::{argmax, expit, softmax};
use crate::{Data, Prediction};

/// Scores of all rows: one per row for two classes, else one per class.
#[derive(Debug)]
pub(crate) struct Scores {
    pub(crate) per_row: usize,
    pub(crate) values: Vec<f64>,
}

impl Scores {
    fn rows(&self) -> std::slice::ChunksExact<'_, f64> {
        self.values.chunks_exact(self.per_row.max(1))
    }

    /// The class with the highest score. With one score per row: the second class where it is above zero.
    pub(crate) fn pick(&self, classes: &Data) -> Prediction {
        match (self.per_row, classes.len()) {
            (1, 2) => pick(classes, self.values.iter().map(|score| usize::from(*score > 0.0))),
            _ => pick(classes, self.rows().map(argmax)),
        }
    }

    /// As `decision_function` gives them.
    pub(crate) fn into_prediction(self) -> Prediction {
        match self.per_row {
            1 => Prediction::flat(Data::Double(self.values)),
            n => Prediction::rows(n, Data::Double(self.values)),
        }
    }

    /// As `predict_proba` gives them, if they are one per class.
    pub(crate) fn into_rows(self) -> Prediction {
        Prediction::rows(self.per_row, Data::Double(self.values))
    }

    /// Logistic for one score per row, softmax for more.
    pub(crate) fn into_probabilities(mut self) -> Prediction {
        if self.per_row == 1 {
            return two_probabilities(self.values.iter().map(|score| expit(*score)));
        }
        self.values.chunks_exact_mut(self.per_row).for_each(softmax);
        Prediction::rows(self.per_row, Data::Double(self.values))
    }
}

/// For each of some labels: its place among classes. `None` if one is not there.
pub(crate) fn places(labels: &Data, classes: &Data) -> Option<Vec<usize>> {
    if let (Data::Text(labels), Data::Text(classes)) = (labels, classes) {
        return labels.iter().map(|label| classes.iter().position(|class| class == label)).collect();
    }
    let (labels, classes) = (labels.to_doubles(), classes.to_doubles());
    labels.iter().map(|label| classes.iter().position(|class| class == label)).collect()
}

/// Probabilities of two classes, from that of the second.
pub(crate) fn two_probabilities(of_second: impl Iterator<Item = f64>) -> Prediction {
    let both = of_second.flat_map(|probability| [1.0 - probability, probability]);
    Prediction::rows(2, Data::Double(both.collect()))
}

/// Of two classes the second where its probability is at least this, as in scikit-learn's `FixedThresholdClassifier`.
pub(crate) fn decide(classes: &Data, probabilities: &Data, threshold: f64) -> Prediction {
    let probabilities = probabilities.to_doubles();
    pick(classes, probabilities.chunks_exact(2).map(|row| usize::from(row[1] >= threshold)))
}

/// The labels of these classes.
pub(crate) fn pick(classes: &Data, indices: impl Iterator<Item = usize>) -> Prediction {
    Prediction::flat(match classes {
        Data::Double(labels) => Data::Double(indices.map(|index| labels[index]).collect()),
        Data::Float(labels) => Data::Float(indices.map(|index| labels[index]).collect()),
        Data::Long(labels) => Data::Long(indices.map(|index| labels[index]).collect()),
        Data::Integer(labels) => Data::Integer(indices.map(|index| labels[index]).collect()),
        Data::Boolean(labels) => Data::Boolean(indices.map(|index| labels[index]).collect()),
        Data::Text(labels) => Data::Text(indices.map(|index| labels[index].clone()).collect()),
    })
}
