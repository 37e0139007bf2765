//! Whole manifests to whole plans.
#![expect(clippy::unwrap_used, reason = "a test that cannot read its own files fails")]

mod cases;
mod deep;
mod mutations;
mod rows;
