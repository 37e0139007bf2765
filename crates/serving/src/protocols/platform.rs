//! What belongs to no protocol of predictions: probes, metrics, the reference.

use net::StatusCode;

use super::{Protocol, kserve_v1};
use crate::call::Call;
use crate::docs;
use crate::fault::{Cause, Fault};
use crate::metrics::{self, Exposition};
use crate::reply::{Reply, TEXT};
use crate::route::{Answer, Route, Verb};

pub(super) static PROTOCOL: Protocol = Protocol {
    name: "platform",
    title: "Server",
    doc: "Probes, metrics and this reference.",
    routes: &[
        Route {
            verb: Verb::Get,
            pattern: "/livez",
            doc: "Says that the server runs.",
            answer: Answer::Page(live),
        },
        Route {
            verb: Verb::Get,
            pattern: "/readyz",
            doc: "Says whether all models are there: 200, or 503.",
            answer: Answer::Page(ready),
        },
        Route {
            verb: Verb::Get,
            pattern: "/metrics",
            doc: "Counts and times, for Prometheus.",
            answer: Answer::Page(metrics),
        },
        Route {
            verb: Verb::Get,
            pattern: "/openapi.json",
            doc: "This reference, as OpenAPI 3.1.",
            answer: Answer::Reference,
        },
        Route {
            verb: Verb::Get,
            pattern: "/docs",
            doc: "This reference, as a page on which every request can be tried.",
            answer: Answer::Page(docs),
        },
        Route { verb: Verb::Get, pattern: "/docs/{rest}", doc: "", answer: Answer::Page(docs_file) },
    ],
    refuse: kserve_v1::refuse,
};

fn live(_: &Call<'_>) -> Result<Reply, Fault> {
    Ok(Reply::new(StatusCode::OK, TEXT, "ok"))
}

fn ready(call: &Call<'_>) -> Result<Reply, Fault> {
    Ok(if call.models.is_ready() {
        Reply::new(StatusCode::OK, TEXT, "ok")
    } else {
        Reply::new(StatusCode::SERVICE_UNAVAILABLE, TEXT, "not ready")
    })
}

fn metrics(call: &Call<'_>) -> Result<Reply, Fault> {
    let exposition = Exposition::of(call.fields.text("accept"));
    let text = metrics::text(call.metrics, call.models, exposition);
    Ok(Reply::new(StatusCode::OK, exposition.content_type(), text))
}

fn docs(_: &Call<'_>) -> Result<Reply, Fault> {
    Ok(docs::page())
}

fn docs_file(call: &Call<'_>) -> Result<Reply, Fault> {
    let takes_gzip = call.fields.text("accept-encoding").is_some_and(|encodings| encodings.contains("gzip"));
    let file = call.captures.rest.and_then(|name| docs::file(name, takes_gzip));
    file.ok_or_else(|| Fault::new(Cause::NotFound, "the page has no such file"))
}
