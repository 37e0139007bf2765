//! Routes: which path is answered by what. Every protocol has a table of them.

use crate::call::{Call, Predict};
use crate::fault::Fault;
use crate::reply::Reply;
use crate::repository::Change;

/// A path that is answered.
pub(crate) struct Route {
    /// The method it takes.
    pub(crate) verb: Verb,
    /// The path, as `/v2/models/{model}/infer`. A name in braces stands for one segment, or for the part of it that
    /// comes before the rest of the pattern's segment; `{rest}` stands for all that is left.
    pub(crate) pattern: &'static str,
    /// What it is for, in one sentence for the reference page; empty when it has no place there.
    pub(crate) doc: &'static str,
    /// What answers it.
    pub(crate) answer: Answer,
}

/// A method that a route takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verb {
    /// `GET`, and with it `HEAD`.
    Get,
    Post,
}

/// What answers a route.
pub(crate) enum Answer {
    /// What the server knows, at once.
    Page(fn(&Call<'_>) -> Result<Reply, Fault>),
    /// The reference of the server, which is written from the routes themselves.
    Reference,
    /// What the server knows, as the body says.
    Read(fn(&Call<'_>, &[u8]) -> Result<Reply, Fault>),
    /// A model.
    Predict(Predict),
    /// A change of the models.
    Change(Change),
}

impl Verb {
    /// The verb of an HTTP method.
    pub(crate) fn of(method: &net::Method) -> Option<Self> {
        match *method {
            net::Method::GET | net::Method::HEAD => Some(Self::Get),
            net::Method::POST => Some(Self::Post),
            _ => None,
        }
    }

    /// What `Allow` says of it.
    pub(crate) fn allow(self) -> &'static str {
        match self {
            Self::Get => "GET, HEAD",
            Self::Post => "POST",
        }
    }
}
