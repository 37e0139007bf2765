//! Logins and tokens. None of it is done in this build, so whatever asks for it takes its load balancer out: serving
//! without it would let everybody in.

use super::{Annotation, Apply, Input, On, Problem};
use crate::codes;

pub(super) const ANNOTATIONS: &[Annotation] = &[
    Annotation {
        key: "auth-type",
        on: On::IngressAndService,
        example: "none",
        doc: "How people log in before their requests are forwarded.",
        apply: Apply::Refused(|input| match input.text.trim() {
            "none" => Ok(()),
            "oidc" | "cognito" => Err(unsupported(input)),
            other => {
                let message = format!("`{other}` is not one of `none`, `oidc`, `cognito`");
                Err(Problem::new(&codes::ANNOTATION_INVALID, message))
            }
        }),
    },
    detail("auth-idp-oidc", r#"{"issuer":"https://id.example.com"}"#),
    detail("auth-idp-cognito", r#"{"userPoolARN":"arn:aws:cognito-idp:eu-west-1:111122223333:userpool/a"}"#),
    detail("auth-on-unauthenticated-request", "authenticate"),
    detail("auth-scope", "openid"),
    detail("auth-session-cookie", "AWSELBAuthSessionCookie"),
    detail("auth-session-timeout", "604800"),
    Annotation {
        key: "jwt-validation",
        on: On::Ingress,
        example: r#"{"jwksEndpoint":"https://id.example.com/jwks.json","issuer":"https://id.example.com"}"#,
        doc: "Which tokens requests must carry.",
        apply: Apply::Refused(|input| Err(unsupported(input))),
    },
];

/// A detail of a login, which matters only together with `auth-type`.
const fn detail(key: &'static str, example: &'static str) -> Annotation {
    Annotation {
        key,
        on: On::IngressAndService,
        example,
        doc: "it is a detail of auth-type, which this build does not do.",
        apply: Apply::Nothing,
    }
}

fn unsupported(input: &Input<'_>) -> Problem {
    let text: String = input.text.chars().take(60).collect();
    let message =
        format!("`{text}` is not done in this build, and serving without it would let everybody in");
    Problem::new(&codes::ANNOTATION_UNSUPPORTED, message)
        .suggest("take the annotation away to serve without it")
}
