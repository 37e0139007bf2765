//! What was learned, and so how sums become answers.

use super::LIBRARY;
use crate::fault::Fault;

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Loss {
    /// A number, or several.
    Identity,
    /// The logarithm of a number was learned.
    Exponential,
    /// A number, and the logarithm of its variance.
    Uncertainty,
    /// One of two classes, or one of many, each by itself.
    Logistic,
    /// One of many classes.
    Softmax,
    /// Any of several labels.
    ManyLabels,
}

/// All losses. A further one is a row.
const LOSSES: &[(&str, Loss)] = &[
    ("RMSE", Loss::Identity),
    ("MAE", Loss::Identity),
    ("MAPE", Loss::Identity),
    ("Quantile", Loss::Identity),
    ("MultiQuantile", Loss::Identity),
    ("LogLinQuantile", Loss::Identity),
    ("LogCosh", Loss::Identity),
    ("Lq", Loss::Identity),
    ("Huber", Loss::Identity),
    ("Expectile", Loss::Identity),
    ("MultiRMSE", Loss::Identity),
    ("MultiRMSEWithMissingValues", Loss::Identity),
    ("Cox", Loss::Identity),
    ("SurvivalAft", Loss::Identity),
    ("RMSEWithUncertainty", Loss::Uncertainty),
    ("Poisson", Loss::Exponential),
    ("Tweedie", Loss::Exponential),
    ("Logloss", Loss::Logistic),
    ("CrossEntropy", Loss::Logistic),
    ("Focal", Loss::Logistic),
    ("MultiClassOneVsAll", Loss::Logistic),
    ("MultiClass", Loss::Softmax),
    ("MultiLogloss", Loss::ManyLabels),
    ("MultiCrossEntropy", Loss::ManyLabels),
    ("YetiRank", Loss::Identity),
    ("YetiRankPairwise", Loss::Identity),
    ("PairLogit", Loss::Identity),
    ("PairLogitPairwise", Loss::Identity),
    ("QueryRMSE", Loss::Identity),
    ("QuerySoftMax", Loss::Identity),
    ("QueryCrossEntropy", Loss::Identity),
    ("GroupQuantile", Loss::Identity),
    ("LambdaMart", Loss::Identity),
    ("StochasticFilter", Loss::Identity),
    ("StochasticRank", Loss::Identity),
];

impl Loss {
    pub(super) fn read(name: &str) -> Result<Self, Fault> {
        let known = LOSSES.iter().find(|(known, _)| *known == name).map(|(_, loss)| *loss);
        known.ok_or_else(|| {
            let names: Vec<&str> = LOSSES.iter().map(|(name, _)| *name).collect();
            let what = format!("{LIBRARY} with loss_function={}", crate::rows::short(name));
            Fault::Unsupported { what, help: Some(format!("loss functions are {}", names.join(", "))) }
        })
    }

    /// Whether answers are classes.
    pub(super) fn tells_classes(self) -> bool {
        matches!(self, Self::Logistic | Self::Softmax | Self::ManyLabels)
    }

    /// Makes answers of sums, where they are no classes.
    pub(super) fn apply(self, sums: &mut [f64]) {
        match self {
            Self::Exponential => sums.iter_mut().for_each(|sum| *sum = sum.exp()),
            Self::Uncertainty => {
                sums.iter_mut().skip(1).step_by(2).for_each(|sum| *sum = (2.0 * *sum).exp());
            }
            _ => {}
        }
    }
}
