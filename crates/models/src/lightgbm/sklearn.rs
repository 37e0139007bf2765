//! The scikit-learn classes of LightGBM, which are pickled with the booster as text inside.

use super::booster::Booster;
use super::{Role, step};
use crate::estimator::Step;
use crate::fault::Fault;
use crate::object::Object;
use crate::sklearn::Kind;

/// How a model was trained. What matters of it is in the booster.
const FIT: &str = "\
    _best_iteration _best_score _class_map _eval_at _class_weight _evals_result _fobj _fitted_with_feature_names _n_classes \
    _n_features _n_features_in _objective _other_params boosting_type colsample_bytree fitted_ importance_type \
    learning_rate max_depth min_child_samples min_child_weight min_split_gain n_estimators num_leaves objective \
    reg_alpha reg_lambda silent subsample subsample_for_bin subsample_freq \
    _LGBMClassifier__is_multiclass _classes _le class_weight";

/// What a booster remembers of its training and its data.
const STATE: &str = "\
    _Booster__attr _Booster__higher_better_inner_eval _Booster__init_predictor _Booster__inner_predict_buffer \
    _Booster__is_predicted_cur_iter _Booster__name_inner_eval _Booster__need_reload_eval_info _Booster__num_class \
    _Booster__num_dataset _Booster__num_inner_eval _Booster__set_objective_to_none __attr __init_predictor \
    __inner_predict_buffer __is_predicted_cur_iter __name_inner_eval __need_reload_eval_info __num_dataset \
    __num_inner_eval __set_objective_to_none __higher_better_inner_eval _network _train_data_name best_score \
    name_valid_sets network pandas_categorical params train_set train_set_version valid_sets";

pub(crate) const KINDS: &[Kind] = &[
    Kind { path: "lightgbm.sklearn.LGBMClassifier", ignores: &[FIT], compile: classifier },
    Kind { path: "lightgbm.sklearn.LGBMRegressor", ignores: &[FIT], compile: regressor },
    Kind { path: "lightgbm.sklearn.LGBMRanker", ignores: &[FIT], compile: regressor },
    Kind { path: "lightgbm.basic.Booster", ignores: &[STATE], compile: plain },
];

fn plain(object: &Object<'_>) -> Result<Step, Fault> {
    step(booster(object)?, Role::Booster)
}

fn regressor(object: &Object<'_>) -> Result<Step, Fault> {
    step(inner(object)?, Role::Booster)
}

fn classifier(object: &Object<'_>) -> Result<Step, Fault> {
    let classes = object.get("_classes")?.labels()?;
    step(inner(object)?, Role::Classifier { classes })
}

fn inner(object: &Object<'_>) -> Result<Booster, Fault> {
    // The parameters that came as keywords are attributes too.
    if let Some(others) = object.some("_other_params") {
        for (name, _) in others.pairs().unwrap_or_default() {
            object.forgive(&name.text()?);
        }
    }
    let value = object.get("_Booster")?;
    if value.is_none() {
        return Err(object.problem("`_Booster` is missing; was the model fitted?"));
    }
    booster(&value.object()?)
}

/// The booster of a state, with the best iteration only if training was stopped early.
fn booster(object: &Object<'_>) -> Result<Booster, Fault> {
    let text = object.get_any(&["_handle", "handle"])?;
    let best = object.some("best_iteration").map(|best| best.integer()).transpose()?;
    let best = best.and_then(|best| usize::try_from(best).ok()).filter(|best| *best > 0);
    Booster::read(&text.text()?, best)
}
