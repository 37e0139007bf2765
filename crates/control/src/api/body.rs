//! The bodies of answers.

use bytes::Bytes;

use super::upgrade::Upgrade;
use super::{Permit, log, pass_on, watch};

/// The body of an answer.
#[derive(Debug)]
pub enum Body {
    /// All of it.
    Full(Bytes),
    /// One that goes on.
    Stream(Stream),
    /// None: the connection is used for something else from now on.
    Upgrade(Upgrade),
}

/// A body that goes on until what it tells of ends, or until it is dropped.
#[derive(Debug)]
pub struct Stream {
    source: Source,
    _permit: Permit,
}

#[derive(Debug)]
pub(super) enum Source {
    Watch(Box<watch::Lines>),
    Log(log::Lines),
    PassedOn(pass_on::Rest),
}

// === impl Stream ===

impl Stream {
    pub(super) fn new(source: Source, permit: Permit) -> Self {
        Self { source, _permit: permit }
    }

    /// The next bytes; `None` at the end.
    pub async fn next(&mut self) -> Option<Bytes> {
        match &mut self.source {
            Source::Watch(lines) => lines.next().await,
            Source::Log(lines) => lines.next().await,
            Source::PassedOn(rest) => rest.next().await,
        }
    }
}
