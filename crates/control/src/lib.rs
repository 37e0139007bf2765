//! Keeps the world as the objects say.

pub mod fuzzing;
pub mod store;
