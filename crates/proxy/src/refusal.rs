//! Why a request goes no further than to the load balancer, whatever the rules say: for who asks what would become of one. The words,
//! and who decides, are those of requests that come.

use std::net::SocketAddr;

use net::{Connection, Limits, Rejection, Request};
use plan::PathError;

use crate::filters;
use crate::respond::Reason;

/// Why a request is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refusal {
    /// The status of the answer.
    pub status: u16,
    /// What `x-forebay-reason` says.
    pub reason: &'static str,
    /// A sentence for people.
    pub meaning: &'static str,
}

impl Refusal {
    /// Where the path can be read in several ways, of which the rules say something else.
    #[must_use]
    pub fn ambiguous_path() -> Self {
        Reason::AMBIGUOUS_PATH.into()
    }

    /// Where there is something wrong with the path.
    #[must_use]
    pub fn of_path(error: &PathError) -> Self {
        Reason::of_path(error).into()
    }

    /// Where a filter refuses a request that has got past the rules.
    #[must_use]
    pub fn of_filters(request: &Request) -> Option<Self> {
        filters::refusal(request).map(Self::from)
    }
}

impl From<Reason> for Refusal {
    fn from(reason: Reason) -> Self {
        Self { status: reason.status().as_u16(), reason: reason.name, meaning: reason.meaning }
    }
}

impl From<Rejection> for Refusal {
    fn from(rejection: Rejection) -> Self {
        let Rejection { status, reason, meaning } = rejection;
        Self { status: status.as_u16(), reason, meaning }
    }
}

/// Reads the head of a request in HTTP/1.1 as a listener does.
///
/// # Errors
/// Why it is refused.
pub fn read_request(head: &[u8], limits: &Limits, peer: SocketAddr) -> Result<Request, Refusal> {
    net::read_request(head, limits, Connection { peer, local: peer, tls: None }).map_err(Refusal::from)
}
