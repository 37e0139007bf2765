//! Asking a server to speak something else on a connection (RFC 9110 §7.8).

use std::rc::Rc;

use http::{Method, StatusCode};

use super::{ClientConnection, Outgoing, SendError};
use crate::{Body, Fields, Response, Upgraded};

/// What a server made of a request to speak something else.
pub enum Switch {
    /// It does. What it sent behind its answer is read first.
    Switched {
        /// The fields of its answer.
        fields: Fields,
        /// The connection, which no longer speaks HTTP.
        connection: Upgraded,
    },
    /// It does not, and answers the request as any other.
    Refused(Response),
}

impl ClientConnection {
    /// Sends a request whose field `Upgrade` asks for another protocol, and which has no body. Only what stands there may
    /// be answered with a switch.
    ///
    /// # Errors
    /// See [`SendError`]; the connection is closed then.
    pub async fn ask_to_switch(
        self,
        request: Outgoing<'_>,
        give_back: impl FnOnce(Self) + 'static,
    ) -> Result<Switch, SendError> {
        let (is_head, asked) = (*request.method == Method::HEAD, request.fields);
        let may_switch = matches!(request.body, Body::Empty);
        let mut sending = self.begin(request);
        let head = self.ask(&mut sending).await?;
        if head.status != StatusCode::SWITCHING_PROTOCOLS {
            return Ok(Switch::Refused(self.into_response(is_head, head, sending, give_back)));
        }
        if !may_switch || !is_among(head.fields.get("upgrade"), asked) {
            return Err(SendError::Malformed("an upgrade that nobody asked for"));
        }
        drop(sending);
        // Nothing reads from the connection but this, so nobody else holds it.
        let io = Rc::try_unwrap(self.io).map_err(|_| SendError::Truncated)?;
        Ok(Switch::Switched { fields: head.fields, connection: Upgraded::new(io) })
    }
}

/// Whether a server goes over to a protocol that it was asked for.
fn is_among(chosen: Option<&[u8]>, asked: &Fields) -> bool {
    let wishes = asked.all("upgrade").flat_map(|value| value.split(|byte| *byte == b','));
    chosen.is_some_and(|chosen| wishes.map(<[u8]>::trim_ascii).any(|wish| wish.eq_ignore_ascii_case(chosen)))
}
