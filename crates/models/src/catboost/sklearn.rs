//! The Python classes of CatBoost, which are pickled with a `cbm` file inside.

use super::{cbm, step};
use crate::estimator::Step;
use crate::fault::Fault;
use crate::object::Object;
use crate::sklearn::Kind;

pub(crate) const KINDS: &[Kind] = &[
    Kind { path: "catboost.core.CatBoost", ignores: &[], compile },
    Kind { path: "catboost.core.CatBoostClassifier", ignores: &[], compile },
    Kind { path: "catboost.core.CatBoostRanker", ignores: &[], compile },
    Kind { path: "catboost.core.CatBoostRegressor", ignores: &[], compile },
];

fn compile(object: &Object<'_>) -> Result<Step, Fault> {
    let file = object.get("__model")?.bytes()?;
    // All others are parameters of the training, which the file has too.
    for key in object.unread() {
        object.forgive(key);
    }
    step(cbm::read(file)?)
}
