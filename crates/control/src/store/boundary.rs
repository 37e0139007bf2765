//! The one place where the database is called: it panics on some damaged files, and that must be an error like any other.

use std::any::Any;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};
use std::sync::Once;

/// Why the database did not do what it was asked for.
#[derive(Debug, thiserror::Error)]
pub enum DatabaseFailure {
    /// It says so.
    #[error(transparent)]
    Said(#[from] Box<redb::Error>),
    /// It met something in the file that it holds to be impossible.
    #[error("the database cannot make sense of the file ({0})")]
    Senseless(String),
}

thread_local! {
    static IS_GUARDED: Cell<bool> = const { Cell::new(false) };
}

/// Calls the database. A panic in it is a [`DatabaseFailure::Senseless`], and prints nothing.
pub(super) fn guarded<T, E: Into<DatabaseFailure>>(
    call: impl FnOnce() -> Result<T, E>,
) -> Result<T, DatabaseFailure> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let others = take_hook();
        set_hook(Box::new(move |info| {
            if !IS_GUARDED.get() {
                others(info);
            }
        }));
    });
    let was_guarded = IS_GUARDED.replace(true);
    // What is half-done is in the database's own hands, and nobody uses it any more after a failure.
    let called = catch_unwind(AssertUnwindSafe(call));
    IS_GUARDED.set(was_guarded);
    match called {
        Ok(result) => result.map_err(Into::into),
        Err(panic) => Err(DatabaseFailure::Senseless(first_line(&*panic))),
    }
}

fn first_line(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str).or(panic.downcast_ref::<&str>().copied());
    text.and_then(|text| text.lines().next()).unwrap_or("without a word").chars().take(200).collect()
}

impl From<redb::Error> for DatabaseFailure {
    fn from(error: redb::Error) -> Self {
        Self::Said(Box::new(error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_an_error_with_its_first_line() {
        let failing = guarded(|| -> Result<(), redb::Error> {
            assert!(std::hint::black_box(false), "out of luck\nand more");
            Ok(())
        });
        assert_eq!(
            failing.unwrap_err().to_string(),
            "the database cannot make sense of the file (out of luck)"
        );
        assert!(guarded(|| Ok::<_, redb::Error>(1)).is_ok_and(|one| one == 1));
    }
}
