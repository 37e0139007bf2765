//! The Open Inference Protocol over gRPC, and `grpc.health.v1`.
//!
//! A call is one message in and one message out, each after five bytes: whether it is compressed, and its length. What a
//! model is asked and answers is read, predicted and told by the same functions as over REST; only the messages differ.
//!
//! ```text
//! /inference.GRPCInferenceService/ModelInfer → message → Tensor… → models::Batch → predict → message → grpc-status: 0
//! ```
//!
//! One method answers a stream of messages: see [`stream`].

mod frame;
mod infer;
#[doc(hidden)]
pub mod messages;
mod methods;
mod stream;
mod triton;

use std::fmt::Display;

use net::{Body, Bytes, BytesMut, Fields, Hoard, LOADING, NoRoom, Request, Response, StatusCode};

use crate::content_encoding::Encoding;
use crate::fault::{Cause, Fault, quoted};
use crate::handler::ServerHandler;
use crate::reply::Reply;

pub(crate) use infer::INFER;
use methods::{METHODS, Method};

/// Answers a call. Must be called on a [`tokio::task::LocalSet`].
pub(crate) async fn answer(handler: &ServerHandler, request: Request) -> Response {
    match open(request) {
        Err(fault) => respond(Err(fault)),
        Ok(opened) if opened.method.is_stream => streamed(stream::answer(handler.clone(), opened)),
        Ok(opened) => respond(call(handler, opened).await),
    }
}

/// A call whose head was read.
struct Opened {
    method: &'static Method,
    encoding: Option<&'static Encoding>,
    body: Body,
}

/// Finds the method of a call, and how its messages are compressed if they are.
fn open(request: Request) -> Result<Opened, Fault> {
    if request.method != net::Method::POST {
        return Err(Fault::new(Cause::NotSupported, "calls of gRPC are made with POST"));
    }
    let path = request.target.path();
    let method = METHODS.iter().find(|method| method.path == path);
    let method = method
        .ok_or_else(|| Fault::new(Cause::NotSupported, format!("there is no method {}", quoted(path))))?;
    let encoding = request.fields.text("grpc-encoding").map_or(Ok(None), Encoding::named)?;
    Ok(Opened { method, encoding, body: request.body })
}

/// Makes a call: reads its one message, and answers it.
async fn call(handler: &ServerHandler, opened: Opened) -> Result<Reply, Fault> {
    let Opened { method, encoding, body } = opened;
    if let Some(trace) = &handler.trace {
        trace.routed(method.path);
    }
    let limit = handler.body_limit();
    // Held until there is an answer.
    let mut hoard = handler.hoard();
    let body = collect(body, limit, &mut hoard).await?;
    let (is_compressed, bytes) = frame::read(&body, limit)?;
    let message = plain(handler, encoding, is_compressed, bytes, &mut hoard).await?;
    methods::call(handler, method, message).await
}

/// A message as it was before it was compressed.
async fn plain(
    handler: &ServerHandler,
    encoding: Option<&'static Encoding>,
    is_compressed: bool,
    bytes: Bytes,
    hoard: &mut Hoard,
) -> Result<Bytes, Fault> {
    if is_compressed && encoding.is_none() {
        return Err(Fault::new(Cause::Format, "a compressed message needs `grpc-encoding`"));
    }
    handler.plain(encoding.filter(|_| is_compressed), bytes, hoard).await
}

fn unfinished(problem: &dyn Display) -> Fault {
    Fault::new(Cause::Format, format!("the message did not come to its end: {problem}"))
}

/// The body of a call: a message of at most so many bytes. One that says it is longer is not waited for.
async fn collect(mut body: Body, limit: usize, hoard: &mut Hoard) -> Result<Bytes, Fault> {
    let mut collected = BytesMut::new();
    while let Some(piece) = body.chunk().await {
        collected.extend_from_slice(&piece.map_err(|error| unfinished(&error))?);
        let is_longer = frame::announced(&collected).is_some_and(|length| length > limit);
        if is_longer || collected.len() > limit.saturating_add(frame::HEAD) {
            return Err(frame::too_large(limit));
        }
        hoard.hold(collected.len()).await.map_err(|NoRoom| Fault::crowded())?;
    }
    Ok(collected.freeze())
}

/// The response to a call: the message that answers it, and then its status.
fn respond(answer: Result<Reply, Fault>) -> Response {
    let trailers = trailers(answer.as_ref().err());
    let mut response = response();
    let message = match answer {
        Ok(reply) => {
            for (name, value) in &reply.fields {
                response.fields.push(name, value);
            }
            frame::write(&reply.body)
        }
        Err(fault) => {
            if fault.cause == Cause::Loading {
                response.fields.push(LOADING.0, LOADING.1);
            }
            // For those who compressed their message in another way.
            let accepted: Vec<&str> = std::iter::once("identity").chain(Encoding::names()).collect();
            response.fields.push("grpc-accept-encoding", accepted.join(","));
            Bytes::new()
        }
    };
    response.body = Body::with_trailers(message, trailers);
    response
}

/// The response to a call whose answers are still to come.
fn streamed(answers: stream::Answers) -> Response {
    let mut response = response();
    response.body = Body::Stream(Box::new(answers));
    response
}

fn response() -> Response {
    Response::new(StatusCode::OK).with_field("content-type", "application/grpc")
}

/// The status that ends a call.
fn trailers(fault: Option<&Fault>) -> Fields {
    let mut trailers = Fields::with_capacity(2, 64);
    trailers.push("grpc-status", fault.map_or(0, |fault| fault.cause.grpc_code()).to_string());
    if let Some(fault) = fault {
        trailers.push("grpc-message", percent_encoded(&fault.to_string()));
    }
    trailers
}

/// A text as `grpc-message` has it.
fn percent_encoded(text: &str) -> String {
    let encode = |byte: u8| match byte {
        b' '..=b'$' | b'&'..=b'~' => char::from(byte).to_string(),
        byte => format!("%{byte:02X}"),
    };
    text.bytes().map(encode).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_of_a_status_are_plain() {
        assert_eq!(percent_encoded("got `é` 100%\n"), "got `%C3%A9` 100%25%0A");
    }
}
