//! Transformers of single columns.

mod encoders;
mod functions;
mod scalers;

use super::Kind;

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
];
