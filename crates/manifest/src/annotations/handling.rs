//! What is done to requests of a route and to their answers: annotations of ours on whatever routes are made from, an Ingress (all its
//! rules and its default backend) or an InferenceService (its hosts, and its path under `/serving/`).

mod field_edits;

use plan::FieldSide;

use super::{Annotation, Apply, On};

pub(super) const ANNOTATIONS: &[Annotation] = &[
    Annotation {
        key: "request-headers",
        on: On::Route,
        example: r#"{"set": {"x-tenant": "ml"}, "remove": ["x-debug"]}"#,
        doc: "Header fields that targets get with another value, or not, as YAML or JSON: `set` maps names to values, `remove` \
              lists names. Fields of connections and framing, `host`, `cookie` and `x-forwarded-*` stay what they are.",
        apply: Apply::Handling(|handling, input| {
            handling.request_fields = Some(field_edits::read(FieldSide::Request, input)?);
            Ok(())
        }),
    },
    Annotation {
        key: "response-headers",
        on: On::Route,
        example: r#"{"set": {"cache-control": "no-store"}, "remove": ["x-powered-by"]}"#,
        doc: "The same for header fields of answers, those that the load balancer gives itself among them.",
        apply: Apply::Handling(|handling, input| {
            handling.answer_fields = Some(field_edits::read(FieldSide::Answer, input)?);
            Ok(())
        }),
    },
];
