//! The scikit-learn classes of XGBoost, which are pickled with the booster as UBJSON inside.

use super::booster::{self, Booster, Use};
use super::{Role, binary, step};
use crate::estimator::Step;
use crate::fault::Fault;
use crate::formats::document::{Document, Place, json, ubjson};
use crate::object::{Object, Value};
use crate::sklearn::Kind;

/// How a model was trained. What matters of it is in the booster.
const FIT: &str = "\
    base_score booster callbacks colsample_bylevel colsample_bynode colsample_bytree device early_stopping_rounds \
    enable_categorical verbosity eval_metric evals_result_ feature_types feature_weights gamma gpu_id grow_policy \
    importance_type interaction_constraints kwargs learning_rate max_bin max_cat_threshold max_cat_to_onehot \
    max_delta_step max_depth max_leaves min_child_weight monotone_constraints multi_strategy n_estimators nthread \
    num_parallel_tree objective predictor reg_alpha reg_lambda sampling_method scale_pos_weight seed silent \
    subsample tree_method use_label_encoder validate_parameters _estimator_type best_score best_ntree_limit \
    best_iteration _features_count";

pub(crate) const KINDS: &[Kind] = &[
    Kind { path: "xgboost.sklearn.XGBClassifier", ignores: &[FIT], compile: classifier },
    Kind { path: "xgboost.sklearn.XGBRFClassifier", ignores: &[FIT], compile: classifier },
    Kind { path: "xgboost.sklearn.XGBRegressor", ignores: &[FIT, "n_classes_"], compile: regressor },
    Kind { path: "xgboost.sklearn.XGBRFRegressor", ignores: &[FIT, "n_classes_"], compile: regressor },
    Kind { path: "xgboost.sklearn.XGBRanker", ignores: &[FIT, "n_classes_"], compile: regressor },
    Kind {
        path: "xgboost.core.Booster",
        ignores: &["best_iteration best_score booster feature_types"],
        compile: plain,
    },
];

/// The class that a file says it was saved from.
pub(super) fn saved_class(learner: &Place<'_>) -> Result<Option<&'static str>, Fault> {
    let about = learner.find("attributes").and_then(|attributes| attributes.find("scikit_learn"));
    let Some(about) = about else { return Ok(None) };
    let about = json::read(about.text()?.as_bytes())?;
    Ok(match about.find("_estimator_type") {
        Some(Document::Text(kind)) if kind == "classifier" => Some("xgboost.sklearn.XGBClassifier"),
        Some(Document::Text(kind)) if kind == "ranker" => Some("xgboost.sklearn.XGBRanker"),
        _ => Some("xgboost.sklearn.XGBRegressor"),
    })
}

pub(super) fn is_classifier(class: &str) -> bool {
    class.ends_with("Classifier")
}

fn plain(object: &Object<'_>) -> Result<Step, Fault> {
    step(saved(object, false)?, Role::Booster, None)
}

fn regressor(object: &Object<'_>) -> Result<Step, Fault> {
    let booster = inner(object)?;
    step(booster, Role::Booster, missing(object)?)
}

fn classifier(object: &Object<'_>) -> Result<Step, Fault> {
    let booster = inner(object)?;
    let n_classes = object.find("n_classes_");
    // Until 1.5 labels were encoded.
    let encoder = object.some("_le").map(|encoder| encoder.object()).transpose()?;
    let own = object.some("classes_").map(|classes| classes.labels()).transpose()?;
    let classes = match (encoder, own) {
        (Some(encoder), _) => encoder.get("classes_")?.labels()?,
        (None, Some(classes)) => classes,
        (None, None) => booster.classes(),
    };
    if let Some(n_classes) = n_classes
        && n_classes.count()? != classes.len()
    {
        return Err(n_classes.problem("contradicts the booster"));
    }
    step(booster, Role::Classifier { classes }, missing(object)?)
}

fn inner(object: &Object<'_>) -> Result<Booster, Fault> {
    let value = object.get("_Booster")?;
    if value.is_none() {
        return Err(object.problem("`_Booster` is missing; was the model fitted?"));
    }
    saved(&value.object()?, true)
}

/// The booster that a pickled one holds.
fn saved(object: &Object<'_>, is_sklearn: bool) -> Result<Booster, Fault> {
    let document = document(object)?;
    let best = object.some("best_ntree_limit").map(|n_trees| n_trees.count()).transpose()?;
    let used = if is_sklearn { Use::Best { n_trees: best } } else { Use::All };
    let mut booster = Booster::read(&booster::root(&document), used)?;
    // Until 1.3 names are beside what is saved, and made up where there are none.
    let names = object.some("feature_names").map(|names| names.texts()).transpose()?;
    let is_made_up =
        |names: &[String]| names.iter().enumerate().all(|(place, name)| *name == format!("f{place}"));
    booster.names = booster.names.or(names.filter(|names| !is_made_up(names)));
    Ok(booster)
}

fn document(object: &Object<'_>) -> Result<Document, Fault> {
    let handle = object.get("handle")?;
    let bytes = handle.bytes()?;
    match bytes {
        bytes if ubjson::is_likely(bytes) => ubjson::read(bytes),
        bytes if json::is_likely(bytes) => json::read(bytes),
        _ => binary::read(bytes),
    }
}

/// The number that counts as missing, unless it is NaN.
fn missing(object: &Object<'_>) -> Result<Option<f64>, Fault> {
    let missing = object.some("missing").map(|missing: Value<'_>| missing.number()).transpose()?;
    Ok(missing.filter(|missing| !missing.is_nan()))
}
