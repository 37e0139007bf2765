//! What is done to columns before a model sees them.

mod bins;
mod encoders;
pub(super) mod functions;
pub(super) mod normalizer;
mod polynomial;
pub(super) mod power;
pub(super) mod quantile;
mod scalers;
mod splines;

use super::Kind;
pub(super) use encoders::categories;

pub(super) const KINDS: &[Kind] = &[
    Kind {
        path: "sklearn.preprocessing.StandardScaler",
        ignores: &[scalers::FIT],
        compile: scalers::standard,
    },
    Kind { path: "sklearn.preprocessing.MinMaxScaler", ignores: &[scalers::FIT], compile: scalers::min_max },
    Kind { path: "sklearn.preprocessing.MaxAbsScaler", ignores: &[scalers::FIT], compile: scalers::max_abs },
    Kind { path: "sklearn.preprocessing.RobustScaler", ignores: &[scalers::FIT], compile: scalers::robust },
    Kind {
        path: "sklearn.preprocessing.OneHotEncoder",
        ignores: &[encoders::FIT],
        compile: encoders::one_hot,
    },
    Kind {
        path: "sklearn.preprocessing.OrdinalEncoder",
        ignores: &[encoders::FIT],
        compile: encoders::ordinal,
    },
    Kind {
        path: "sklearn.preprocessing.FunctionTransformer",
        ignores: &[functions::FIT],
        compile: functions::function_transformer,
    },
    Kind {
        path: "sklearn.preprocessing.TargetEncoder",
        ignores: &[encoders::target::FIT],
        compile: encoders::target::target_encoder,
    },
    Kind {
        path: "sklearn.preprocessing.LabelEncoder",
        ignores: &[encoders::label::FIT],
        compile: encoders::label::encoder,
    },
    Kind {
        path: "sklearn.preprocessing.LabelBinarizer",
        ignores: &[encoders::label::FIT],
        compile: encoders::label::binarizer,
    },
    Kind {
        path: "sklearn.preprocessing.PolynomialFeatures",
        ignores: &[polynomial::FIT],
        compile: polynomial::polynomial,
    },
    Kind {
        path: "sklearn.preprocessing.SplineTransformer",
        ignores: &[splines::FIT],
        compile: splines::spline,
    },
    Kind { path: "sklearn.preprocessing.PowerTransformer", ignores: &[], compile: power::power_transformer },
    Kind {
        path: "sklearn.preprocessing.QuantileTransformer",
        ignores: &[quantile::FIT],
        compile: quantile::quantile_transformer,
    },
    Kind {
        path: "sklearn.preprocessing.KBinsDiscretizer",
        ignores: &[bins::FIT],
        compile: bins::discretizer,
    },
    Kind { path: "sklearn.preprocessing.Binarizer", ignores: &[], compile: bins::binarizer },
    Kind { path: "sklearn.preprocessing.Normalizer", ignores: &[], compile: normalizer::normalizer },
];
