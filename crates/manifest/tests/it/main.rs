//! Whole manifests to whole plans.

mod cases;
