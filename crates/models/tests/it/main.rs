//! Tests of the whole crate, on real files.

#[cfg(test)]
mod cases;
