//! Kinds of which no objects are kept, because they are questions with an answer: who am I, may I, whose token is this, how
//! much does a pod use.

use std::fmt;

use http::StatusCode;
use manifest::Object;
use serde_json::{Value, json};

use super::access::{Bound, ISSUER, User, Wish, decide, rules_of};
use super::route::ObjectRoute;
use super::{Answer, Call, respond};
use crate::store::{Cause, Reason, Status, metadata};

/// A kind of question.
pub(super) struct Question {
    pub(super) group: &'static str,
    pub(super) version: &'static str,
    pub(super) kind: &'static str,
    pub(super) plural: &'static str,
    pub(super) is_namespaced: bool,
    pub(super) verbs: &'static [&'static str],
    answer: fn(&Call<'_>, &str, &Value) -> Result<Value, Status>,
}

const AUTHENTICATION: &str = "authentication.k8s.io";
const AUTHORIZATION: &str = "authorization.k8s.io";
const ASKED: &[&str] = &["create"];

/// Every kind of question.
pub(super) static QUESTIONS: &[Question] = &[
    asked(AUTHENTICATION, "SelfSubjectReview", "selfsubjectreviews", |call, _, _| {
        Ok(json!({"userInfo": call.user.to_value()}))
    }),
    asked(AUTHENTICATION, "TokenReview", "tokenreviews", |call, _, review| {
        Ok(call.token_review(&review["spec"]))
    }),
    Question {
        is_namespaced: true,
        ..asked(
            AUTHORIZATION,
            "LocalSubjectAccessReview",
            "localsubjectaccessreviews",
            |call, namespace, review| {
                let spec = &review["spec"];
                let attributes = &spec["resourceAttributes"];
                if attributes["namespace"].as_str() != Some(namespace)
                    || spec["nonResourceAttributes"].is_object()
                {
                    let why = format!("namespace must match: {namespace}");
                    return Err(Status::new(Reason::BadRequest, why));
                }
                call.access_review(&subject(spec)?, spec)
            },
        )
    },
    asked(AUTHORIZATION, "SelfSubjectAccessReview", "selfsubjectaccessreviews", |call, _, review| {
        call.access_review(call.user, &review["spec"])
    }),
    asked(AUTHORIZATION, "SelfSubjectRulesReview", "selfsubjectrulesreviews", |call, _, review| {
        call.rules_review(&review["spec"])
    }),
    asked(AUTHORIZATION, "SubjectAccessReview", "subjectaccessreviews", |call, _, review| {
        let spec = &review["spec"];
        call.access_review(&subject(spec)?, spec)
    }),
    measured("NodeMetrics", "nodes", false),
    measured("PodMetrics", "pods", true),
];

/// A kind of measurements, which are read.
const fn measured(kind: &'static str, plural: &'static str, is_namespaced: bool) -> Question {
    Question {
        group: "metrics.k8s.io",
        version: "v1beta1",
        kind,
        plural,
        is_namespaced,
        verbs: &["get", "list"],
        answer: |_, _, _| Err(super::method_not_allowed()),
    }
}

const fn asked(
    group: &'static str,
    kind: &'static str,
    plural: &'static str,
    answer: fn(&Call<'_>, &str, &Value) -> Result<Value, Status>,
) -> Question {
    Question { group, version: "v1", kind, plural, is_namespaced: false, verbs: ASKED, answer }
}

// === impl Question ===

/// There is one of each name.
impl PartialEq for Question {
    fn eq(&self, other: &Self) -> bool {
        (self.group, self.version, self.kind) == (other.group, other.version, other.kind)
    }
}

impl Eq for Question {}

impl fmt::Debug for Question {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.plural)
    }
}

impl Question {
    /// For example `tokenreview`.
    pub(super) fn singular(&self) -> String {
        self.kind.to_ascii_lowercase()
    }
}

/// For how long tokens are given out, in seconds: at least, where nobody says, and at most.
const TOKEN_SECONDS: (i64, i64, i64) = (600, 3600, 1 << 32);

impl Call<'_> {
    /// Answers a question: the question, with its answer as its status.
    pub(super) fn ask(&self, question: &Question, namespace: &str) -> Answer {
        let mut review = self.value()?;
        let Some(fields) = review.as_object_mut() else {
            return Err(Status::new(Reason::BadRequest, "the body is not an object"));
        };
        for (field, expected) in [
            ("kind", question.kind.to_owned()),
            ("apiVersion", format!("{}/{}", question.group, question.version)),
        ] {
            if fields
                .get(field)
                .and_then(Value::as_str)
                .is_some_and(|said| !said.is_empty() && said != expected)
            {
                let message = format!("{field} in the data does not match the expected one ({expected})");
                return Err(Status::new(Reason::BadRequest, message));
            }
            fields.insert(field.to_owned(), json!(expected));
        }
        let status = (question.answer)(self, namespace, &review)?;
        review["status"] = status;
        if !review["metadata"].is_object() {
            review["metadata"] = json!({"creationTimestamp": null});
        }
        Ok(respond::json(StatusCode::CREATED, &review))
    }

    fn access_review(&self, user: &User, spec: &Value) -> Result<Value, Status> {
        let (resource, path) = (&spec["resourceAttributes"], &spec["nonResourceAttributes"]);
        if resource.is_object() == path.is_object() {
            let why = "exactly one of nonResourceAttributes or resourceAttributes must be specified";
            return Err(Status::new(
                Reason::BadRequest,
                format!("spec.resourceAttributes: Invalid value: {why}"),
            ));
        }
        let text = |value: &Value, field: &str| value[field].as_str().unwrap_or_default().to_owned();
        let wish = Wish {
            verb: text(if resource.is_object() { resource } else { path }, "verb"),
            group: text(resource, "group"),
            resource: text(resource, "resource"),
            subresource: text(resource, "subresource"),
            namespace: text(resource, "namespace"),
            name: text(resource, "name"),
            path: text(path, "path"),
        };
        let verdict = decide(&self.api.store.objects(), user, &wish);
        let mut status = json!({"allowed": verdict.is_allowed});
        if !verdict.reason.is_empty() {
            status["reason"] = json!(verdict.reason);
        }
        Ok(status)
    }

    fn rules_review(&self, spec: &Value) -> Result<Value, Status> {
        let Some(namespace) = spec["namespace"].as_str().filter(|namespace| !namespace.is_empty()) else {
            return Err(Status::new(Reason::BadRequest, "no namespace on request"));
        };
        let rules = rules_of(&self.api.store.objects(), self.user, namespace);
        let (paths, resources): (Vec<_>, Vec<_>) =
            rules.into_iter().map(|(rule, _)| rule).partition(|rule| rule.get("nonResourceURLs").is_some());
        Ok(json!({"resourceRules": resources, "nonResourceRules": paths, "incomplete": false}))
    }

    fn token_review(&self, spec: &Value) -> Value {
        let token = spec["token"].as_str().unwrap_or_default();
        let audiences: Vec<String> = spec["audiences"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|text| text.as_str().map(ToOwned::to_owned))
            .collect();
        let api = self.api;
        let user = if audiences.is_empty() || audiences.iter().any(|audience| audience == ISSUER) {
            api.user_of(token, self.now)
        } else {
            api.tokens.user_for(token, &api.store, self.now, &audiences)
        };
        match user {
            None => json!({"user": {}, "error": "invalid bearer token"}),
            Some(user) => {
                let audiences = if audiences.is_empty() { vec![ISSUER.to_owned()] } else { audiences };
                json!({"authenticated": true, "user": user.to_value(), "audiences": audiences})
            }
        }
    }

    /// Gives out a token for a ServiceAccount.
    pub(super) fn token(&self, route: &ObjectRoute) -> Answer {
        let account = self.api.store.get(route.kind, &route.namespace, &route.name)?;
        let mut request = if self.body.is_empty() { json!({}) } else { self.value()? };
        let (least, usual, most) = TOKEN_SECONDS;
        let seconds = request["spec"]["expirationSeconds"].as_i64().unwrap_or(usual);
        let refuse = |why: &str| {
            let cause = Cause::invalid("spec.expirationSeconds", &json!(seconds), why);
            let message = format!(
                "TokenRequest.authentication.k8s.io \"{}\" is invalid: {}: {}",
                route.name, cause.field, cause.message
            );
            Err(Status::new(Reason::Invalid, message))
        };
        if seconds < least {
            return refuse("may not specify a duration less than 10 minutes");
        }
        if seconds > most {
            return refuse("may not specify a duration larger than 2^32 seconds");
        }
        let audiences: Vec<String> = request["spec"]["audiences"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|text| text.as_str().map(ToOwned::to_owned))
            .collect();
        let audiences = if audiences.is_empty() { vec![ISSUER.to_owned()] } else { audiences };
        let reference = &request["spec"]["boundObjectRef"];
        let object = if reference.is_object() { Some(self.bound_object(reference, &account)?) } else { None };
        let bound = Bound {
            audiences: audiences.clone(),
            seconds,
            object: object.as_ref().map(|object| {
                let uid = metadata::text(object, "uid").unwrap_or_default().to_owned();
                (object.kind.kind, object.name.clone(), uid)
            }),
        };
        let (token, until) = self.api.tokens.issue(&account, &bound, &self.api.store, self.now)?;
        request["apiVersion"] = json!("authentication.k8s.io/v1");
        request["kind"] = json!("TokenRequest");
        request["metadata"] = json!({
            "name": account.name, "namespace": account.namespace, "creationTimestamp": metadata::time(self.now)});
        request["spec"]["audiences"] = json!(audiences);
        request["spec"]["expirationSeconds"] = json!(seconds);
        request["status"] = json!({"token": token, "expirationTimestamp": metadata::time(until)});
        Ok(respond::json(StatusCode::CREATED, &request))
    }

    /// The Pod or Secret with which a token ends.
    fn bound_object(&self, reference: &Value, account: &Object) -> Result<std::sync::Arc<Object>, Status> {
        let (kind, name) =
            (reference["kind"].as_str().unwrap_or_default(), reference["name"].as_str().unwrap_or_default());
        let known = ["Pod", "Secret"]
            .iter()
            .find(|known| **known == kind)
            .and_then(|kind| manifest::kind_named(kind));
        let Some(kind) = known else {
            let message =
                format!("cannot bind token for serviceaccount {:?} to object of kind {kind:?}", account.name);
            return Err(Status::new(Reason::BadRequest, message));
        };
        let object = self.api.store.get(kind, &account.namespace, name)?;
        let uid = metadata::text(&object, "uid").unwrap_or_default();
        if reference["uid"].as_str().is_some_and(|wanted| !wanted.is_empty() && wanted != uid) {
            let why = format!(
                "the UID in the bound object reference ({}) does not match the UID in record. The object might have been deleted and then recreated",
                reference["uid"].as_str().unwrap_or_default()
            );
            return Err(Status::conflict(kind, name, &why));
        }
        Ok(object)
    }
}

/// Whom a review is about.
fn subject(spec: &Value) -> Result<User, Status> {
    let texts = |value: &Value| -> Vec<String> {
        value
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|text| text.as_str().map(ToOwned::to_owned))
            .collect()
    };
    let user = User {
        name: spec["user"].as_str().unwrap_or_default().to_owned(),
        uid: spec["uid"].as_str().unwrap_or_default().to_owned(),
        groups: texts(&spec["groups"]),
        ..User::default()
    };
    if user.name.is_empty() && user.groups.is_empty() {
        let message = "spec.user: Invalid value: \"\": at least one of user or group must be specified";
        return Err(Status::new(Reason::Invalid, message));
    }
    Ok(user)
}
