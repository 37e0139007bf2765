//! What a model can be asked for.

use models::Method;

/// What a model is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Ask {
    /// A method.
    Method(Method),
    /// One of the outputs that its file names, by its place.
    Output(usize),
}

/// One thing that a request asks a model for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Output {
    pub(crate) ask: Ask,
    /// What the request calls it, if it does.
    pub(crate) name: Option<String>,
    /// Whether it is answered in bytes, where a protocol has them and the request says.
    pub(crate) is_binary: Option<bool>,
}
