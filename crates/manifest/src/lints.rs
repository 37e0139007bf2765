//! Lints.
use crate::Finding;
use crate::compile::world::World;
use plan::Plan;
pub(crate) fn all(_world: &World<'_>, _plan: &Plan) -> Vec<Finding> {
    Vec::new()
}
