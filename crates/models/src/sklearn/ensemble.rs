//! Several models as one. Forests, which are the mean of many trees, are here; the others have files of their own.

mod adaboost;
mod bagging;
mod embedding;
mod isolation;
mod voting;

use super::{Kind, member, tree};
use crate::estimator::Step;
use crate::fault::Fault;
use crate::object::{Object, Value};

/// How forests were grown.
const FIT: &str = "\
    base_estimator base_estimator_ bootstrap estimator estimator_ estimator_params max_samples n_estimators \
    _n_samples _n_samples_bootstrap oob_decision_function_ oob_prediction_ oob_score oob_score_ \
    _sample_weight";

pub(super) const KINDS: &[Kind] = &[
    Kind { path: "sklearn.ensemble.RandomForestClassifier", ignores: &[FIT, tree::FIT], compile: classifier },
    Kind { path: "sklearn.ensemble.RandomForestRegressor", ignores: &[FIT, tree::FIT], compile: regressor },
    Kind { path: "sklearn.ensemble.ExtraTreesClassifier", ignores: &[FIT, tree::FIT], compile: classifier },
    Kind { path: "sklearn.ensemble.ExtraTreesRegressor", ignores: &[FIT, tree::FIT], compile: regressor },
    Kind {
        path: "sklearn.ensemble.RandomTreesEmbedding",
        ignores: &[FIT, tree::FIT, "_n_features_out"],
        compile: embedding::embedding,
    },
    Kind {
        path: "sklearn.ensemble.AdaBoostClassifier",
        ignores: &[adaboost::FIT],
        compile: adaboost::classifier,
    },
    Kind {
        path: "sklearn.ensemble.AdaBoostRegressor",
        ignores: &[adaboost::FIT],
        compile: adaboost::regressor,
    },
    Kind {
        path: "sklearn.ensemble.BaggingClassifier",
        ignores: &[bagging::FIT],
        compile: bagging::classifier,
    },
    Kind { path: "sklearn.ensemble.BaggingRegressor", ignores: &[bagging::FIT], compile: bagging::regressor },
    Kind {
        path: "sklearn.ensemble.IsolationForest",
        ignores: &[bagging::FIT, isolation::FIT],
        compile: isolation::isolation_forest,
    },
    Kind { path: "sklearn.ensemble.StackingClassifier", ignores: &[voting::FIT], compile: voting::stacking },
    Kind { path: "sklearn.ensemble.StackingRegressor", ignores: &[voting::FIT], compile: voting::stacking },
    Kind {
        path: "sklearn.ensemble.VotingClassifier",
        ignores: &[voting::FIT],
        compile: voting::voting_classifier,
    },
    Kind {
        path: "sklearn.ensemble.VotingRegressor",
        ignores: &[voting::FIT],
        compile: voting::voting_regressor,
    },
];

fn classifier(object: &Object<'_>) -> Result<Step, Fault> {
    tree::classifier_of(object, &members(object)?)
}

fn regressor(object: &Object<'_>) -> Result<Step, Fault> {
    tree::trees(object, &members(object)?, None)
}

fn members<'s>(object: &Object<'s>) -> Result<Vec<Value<'s>>, Fault> {
    // The classes of a tree are those of its forest, by number.
    let tree = |tree: &Object<'s>| {
        tree.find("classes_");
        tree.get("tree_")
    };
    object.get("estimators_")?.items()?.iter().map(|value| member(value, tree)).collect()
}
