//! What was learned, and so how sums of leaves become answers (`src/objective`). All of it is 32-bit arithmetic.

use crate::fault::Fault;
use crate::formats::document::Place;

/// From margins to answers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Link {
    Identity,
    Logistic,
    /// The margins of each row in ascending order: quantiles do not cross.
    Sorted,
    Exponential,
    /// 1 above zero, else 0.
    Hinge,
    /// The class with the highest margin.
    Softmax,
    Softprob,
}

/// All objectives. A further one is a row.
const OBJECTIVES: &[(&str, Link)] = &[
    ("reg:squarederror", Link::Identity),
    ("reg:linear", Link::Identity),
    ("reg:squaredlogerror", Link::Identity),
    ("reg:pseudohubererror", Link::Identity),
    ("reg:absoluteerror", Link::Identity),
    ("reg:quantileerror", Link::Sorted),
    ("reg:expectileerror", Link::Identity),
    ("reg:logistic", Link::Logistic),
    ("reg:gamma", Link::Exponential),
    ("reg:tweedie", Link::Exponential),
    ("binary:logistic", Link::Logistic),
    ("binary:logitraw", Link::Identity),
    ("binary:hinge", Link::Hinge),
    ("count:poisson", Link::Exponential),
    ("survival:cox", Link::Exponential),
    ("survival:aft", Link::Exponential),
    ("multi:softmax", Link::Softmax),
    ("multi:softprob", Link::Softprob),
    ("rank:pairwise", Link::Identity),
    ("rank:ndcg", Link::Identity),
    ("rank:map", Link::Identity),
];

// === impl Link ===

impl Link {
    /// The link of an objective, by its name.
    pub(super) fn read(name: &Place<'_>) -> Result<Self, Fault> {
        let text = name.text()?;
        let known = OBJECTIVES.iter().find(|(known, _)| *known == text).map(|(_, link)| *link);
        known.ok_or_else(|| {
            let names: Vec<&str> = OBJECTIVES.iter().map(|(name, _)| *name).collect();
            name.unsupported(&format!("objectives are {}", names.join(", ")))
        })
    }

    /// Whether `XGBClassifier` tells two classes apart by it. With `binary:logitraw` it takes margins for probabilities.
    pub(super) fn tells_two_classes(self) -> bool {
        matches!(self, Self::Logistic | Self::Hinge | Self::Identity)
    }

    /// Whether answers are probabilities of classes, or can be.
    pub(super) fn is_probability(self) -> bool {
        matches!(self, Self::Logistic | Self::Softmax | Self::Softprob)
    }

    /// The margin of `base_score`, which is saved as an answer (`ProbToMargin`).
    pub(super) fn margin(self, base_score: f32) -> f32 {
        match self {
            Self::Logistic => -(1.0 / base_score - 1.0).ln(),
            Self::Exponential => base_score.ln(),
            Self::Identity | Self::Sorted | Self::Hinge | Self::Softmax | Self::Softprob => base_score,
        }
    }

    /// Makes answers of margins, of which each row has `n_outputs`.
    pub(super) fn apply(self, margins: &mut [f32], n_outputs: usize) {
        match self {
            Self::Identity | Self::Softmax => {}
            Self::Sorted => margins.chunks_exact_mut(n_outputs).for_each(|row| row.sort_by(f32::total_cmp)),
            Self::Logistic => margins.iter_mut().for_each(|margin| *margin = logistic(*margin)),
            Self::Exponential => margins.iter_mut().for_each(|margin| *margin = margin.exp()),
            Self::Hinge => margins.iter_mut().for_each(|margin| *margin = f32::from(*margin > 0.0)),
            Self::Softprob => margins.chunks_exact_mut(n_outputs).for_each(softmax),
        }
    }
}

/// `common::Sigmoid`
fn logistic(margin: f32) -> f32 {
    /// Beyond this the exponential would overflow.
    const MAX: f32 = 88.7;
    1.0 / ((-margin).min(MAX).exp() + 1.0 + 1e-16)
}

/// `common::Softmax`, which sums in 64 bits.
fn softmax(margins: &mut [f32]) {
    let max = margins.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let mut sum = 0.0_f64;
    for margin in margins.iter_mut() {
        *margin = (*margin - max).exp();
        sum += f64::from(*margin);
    }
    for margin in margins {
        *margin /= sum as f32;
    }
}
