//! What stands for a part of the platform is not changed, and nobody else says of an object that it does.

use manifest::OF_PLATFORM;

use super::Attempt;
use crate::given::controller;
use crate::store::Status;

pub(super) fn check(attempt: &mut Attempt<'_>) -> Result<(), Status> {
    let stands_for_it = attempt.old.is_some_and(manifest::is_of_platform);
    if stands_for_it {
        return Err(attempt.forbidden(controller::WHY));
    }
    if manifest::is_of_platform(attempt.object) {
        return Err(attempt.forbidden(&format!("the annotation {OF_PLATFORM} is the platform's own")));
    }
    Ok(())
}
