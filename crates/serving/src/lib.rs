//! The model server.
mod json;
