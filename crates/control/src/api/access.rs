//! Who asks, and whether he may: the token of whoever started the platform may do everything, and tokens of ServiceAccounts what
//! roles allow them. Whoever may do so can ask as somebody else (`kubectl --as`).

mod built_in;
mod rbac;
mod tokens;

use std::collections::BTreeMap;

use http::{HeaderMap, HeaderValue, Method, header};
use jiff::Timestamp;
use manifest::{Kind, Objects};
use serde_json::{Value, json};

use super::route::Route;
use super::{Api, guard};
use crate::store::{FieldSelector, Reason, Status};

pub(super) use rbac::{check_escalation, decide, rules_of};
pub(super) use tokens::{Bound, ISSUER, Keeper};

/// The group of those who may do everything.
pub(super) const MASTERS: &str = "system:masters";
/// The group of all who are known.
const AUTHENTICATED: &str = "system:authenticated";
/// Whose token the platform gave out at its start.
const OWNER: &str = "kubernetes-admin";
/// Before the namespace and name of a ServiceAccount.
const SERVICE_ACCOUNT: &str = "system:serviceaccount:";

/// How many groups, and how many bytes of others, somebody may ask to be taken for.
const IMPERSONATED: usize = 100;

/// Who asks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct User {
    pub(super) name: String,
    pub(super) uid: String,
    pub(super) groups: Vec<String>,
    pub(super) extra: BTreeMap<String, Vec<String>>,
}

/// What somebody wants to do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Wish {
    /// `get`, `list`, `create`, …
    pub(super) verb: String,
    pub(super) group: String,
    /// `pods`; empty where it is about a path.
    pub(super) resource: String,
    pub(super) subresource: String,
    /// Empty for all, and for kinds without namespaces.
    pub(super) namespace: String,
    pub(super) name: String,
    /// `/metrics`, where it is not about a resource.
    pub(super) path: String,
}

// === impl User ===

impl User {
    /// Whoever started the platform.
    pub(super) fn owner() -> Self {
        let groups = [MASTERS, AUTHENTICATED].map(ToOwned::to_owned).to_vec();
        Self { name: OWNER.to_owned(), groups, ..Self::default() }
    }

    /// A ServiceAccount.
    pub(super) fn service_account(namespace: &str, name: &str, uid: &str) -> Self {
        let groups = vec![
            "system:serviceaccounts".to_owned(),
            format!("system:serviceaccounts:{namespace}"),
            AUTHENTICATED.to_owned(),
        ];
        let name = format!("{SERVICE_ACCOUNT}{namespace}:{name}");
        Self { name, uid: uid.to_owned(), groups, ..Self::default() }
    }

    /// The namespace and name of the ServiceAccount that somebody is.
    pub(super) fn as_service_account(&self) -> Option<(&str, &str)> {
        let (namespace, name) = self.name.strip_prefix(SERVICE_ACCOUNT)?.split_once(':')?;
        let is_name = |text: &str| {
            let is_letter =
                |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-.".contains(&byte);
            !text.is_empty() && text.bytes().all(is_letter)
        };
        (is_name(namespace) && is_name(name)).then_some((namespace, name))
    }

    /// `UserInfo` of `authentication.k8s.io`.
    pub(super) fn to_value(&self) -> Value {
        let mut value = json!({"username": self.name, "groups": self.groups});
        if !self.uid.is_empty() {
            value["uid"] = json!(self.uid);
        }
        if !self.extra.is_empty() {
            value["extra"] = json!(self.extra);
        }
        value
    }
}

// === impl Wish ===

impl Wish {
    /// To make an object.
    pub(super) fn create(kind: &Kind, namespace: &str, name: &str) -> Self {
        Self {
            verb: "create".to_owned(),
            group: kind.group.to_owned(),
            resource: kind.plural.to_owned(),
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            ..Self::default()
        }
    }

    /// What a request wants.
    pub(super) fn of(route: Option<&Route>, method: &Method, path: &str, is_watch: bool) -> Self {
        let verb = match *method {
            Method::GET | Method::HEAD => "get",
            Method::POST => "create",
            Method::PUT => "update",
            Method::PATCH => "patch",
            Method::DELETE => "delete",
            _ => "",
        };
        let about = |verb: &str, kind: &Kind, namespace: &str, name: &str| Self {
            verb: verb.to_owned(),
            group: kind.group.to_owned(),
            resource: kind.plural.to_owned(),
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            ..Self::default()
        };
        match route {
            Some(Route::Collection { kind, namespace }) => {
                let verb = match verb {
                    "get" if is_watch => "watch",
                    "get" => "list",
                    "delete" => "deletecollection",
                    other => other,
                };
                about(verb, kind, namespace.as_deref().unwrap_or_default(), "")
            }
            Some(Route::Watch { kind, namespace }) => {
                about("watch", kind, namespace.as_deref().unwrap_or_default(), "")
            }
            Some(Route::WatchOne(object)) => about("watch", object.kind, &object.namespace, &object.name),
            Some(Route::Object(object)) => {
                let verb = if verb == "get" && is_watch { "watch" } else { verb };
                // A namespace is in itself.
                let is_namespace = object.kind.key == "Namespace";
                let namespace = if is_namespace { &object.name } else { &object.namespace };
                about(verb, object.kind, namespace, &object.name)
            }
            Some(Route::Subresource(object, subresource)) => Self {
                subresource: subresource.name().to_owned(),
                ..about(verb, object.kind, &object.namespace, &object.name)
            },
            Some(Route::Proxy { object, .. }) => Self {
                subresource: "proxy".to_owned(),
                ..about(verb, object.kind, &object.namespace, &object.name)
            },
            Some(Route::Question { question, namespace, name }) => Self {
                verb: if question.verbs.contains(&"list") && name.is_empty() { "list" } else { verb }
                    .to_owned(),
                group: question.group.to_owned(),
                resource: question.plural.to_owned(),
                namespace: namespace.clone(),
                name: name.clone(),
                ..Self::default()
            },
            _ => {
                let verb = method.as_str().to_ascii_lowercase();
                Self { verb, path: path.to_owned(), ..Self::default() }
            }
        }
    }

    /// Who lists or watches one object by its name needs no more than that.
    pub(super) fn narrow(&mut self, field_selector: &str) {
        if ["list", "watch"].contains(&self.verb.as_str())
            && self.name.is_empty()
            && let Ok(selector) = FieldSelector::parse(field_selector)
            && let Some(name) = selector.required("metadata.name")
        {
            name.clone_into(&mut self.name);
        }
    }

    /// `pods/log`
    pub(super) fn whole_resource(&self) -> String {
        if self.subresource.is_empty() {
            self.resource.clone()
        } else {
            format!("{}/{}", self.resource, self.subresource)
        }
    }

    /// The refusal of somebody who may not.
    pub(super) fn refused(&self, user: &User) -> Status {
        let (name, verb) = (&user.name, &self.verb);
        if self.resource.is_empty() {
            let path = &self.path;
            let message = format!("forbidden: User {name:?} cannot {verb} path {path:?}");
            return Status::new(Reason::Forbidden, message);
        }
        let place = if self.namespace.is_empty() {
            "at the cluster scope".to_owned()
        } else {
            format!("in the namespace {:?}", self.namespace)
        };
        let resource = self.whole_resource();
        let why = format!(
            "User {name:?} cannot {verb} resource {resource:?} in API group {:?} {place}",
            self.group
        );
        Status::forbidden_resource(&self.group, &self.resource, &self.name, &why)
    }
}

// === impl Api ===

impl Api {
    /// Who asks.
    ///
    /// # Errors
    /// [`Reason::Unauthorized`] for whoever has no token that is good, [`Reason::Forbidden`] for whoever may not ask as
    /// somebody else.
    pub(super) fn user(&self, headers: &HeaderMap, now: Timestamp) -> Result<User, Status> {
        let token = guard::bearer_token(headers);
        let user = token.and_then(|token| self.user_of(token, now));
        let user = user.ok_or_else(|| Status::new(Reason::Unauthorized, "Unauthorized"))?;
        impersonated(headers, &self.store.objects(), user)
    }

    /// Whose token it is.
    pub(super) fn user_of(&self, token: &str, now: Timestamp) -> Option<User> {
        if guard::is_same(token.as_bytes(), self.settings.token.as_bytes()) && !token.is_empty() {
            return Some(User::owner());
        }
        self.tokens.user_of(token, &self.store, now)
    }

    /// Refuses what somebody may not.
    pub(super) fn authorize(&self, user: &User, wish: &Wish) -> Result<(), Status> {
        if decide(&self.store.objects(), user, wish).is_allowed { Ok(()) } else { Err(wish.refused(user)) }
    }
}

/// Whom somebody asks to be taken for: himself, where he says nothing of it.
fn impersonated(headers: &HeaderMap, objects: &Objects, user: User) -> Result<User, Status> {
    // What cannot be read, or is too much, is refused: whoever passed over it would give more than was asked for.
    let text = |value: &HeaderValue| {
        let text = std::str::from_utf8(value.as_bytes()).map(ToOwned::to_owned);
        text.map_err(|_| Status::new(Reason::BadRequest, "an Impersonate field is not UTF-8"))
    };
    let n_fields = headers.keys().filter(|name| name.as_str().starts_with("impersonate-"));
    if n_fields.map(|name| headers.get_all(name).iter().count()).sum::<usize>() > IMPERSONATED {
        let message = format!("there are more than {IMPERSONATED} Impersonate fields");
        return Err(Status::new(Reason::BadRequest, message));
    }
    let texts = |name: &str| headers.get_all(name).iter().map(text).collect::<Result<Vec<_>, _>>();
    let name = texts("impersonate-user")?.into_iter().next().unwrap_or_default();
    let (mut groups, uid) = (texts("impersonate-group")?, texts("impersonate-uid")?.into_iter().next());
    let extra_name = |name: &header::HeaderName| {
        let key = name.as_str().strip_prefix("impersonate-extra-")?;
        super::parameters::decoded(key, false).map(std::borrow::Cow::into_owned)
    };
    let mut extra: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (field, value) in headers {
        if let Some(key) = extra_name(field) {
            extra.entry(key).or_default().push(text(value)?);
        }
    }
    if name.is_empty() {
        if groups.is_empty() && uid.is_none() && extra.is_empty() {
            return Ok(user);
        }
        let message = format!("requested {groups:?} without impersonating a user");
        return Err(Status::new(Reason::InternalError, message));
    }
    let may = |group: &str, resource: &str, subresource: &str, namespace: &str, name: &str| {
        let wish = Wish {
            verb: "impersonate".to_owned(),
            group: group.to_owned(),
            resource: resource.to_owned(),
            subresource: subresource.to_owned(),
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            path: String::new(),
        };
        if decide(objects, &user, &wish).is_allowed { Ok(()) } else { Err(wish.refused(&user)) }
    };
    let mut taken = User { name, extra, uid: uid.unwrap_or_default(), ..User::default() };
    match taken.as_service_account() {
        Some((namespace, name)) => may("", "serviceaccounts", "", namespace, name)?,
        None => may("", "users", "", "", &taken.name)?,
    }
    for group in &groups {
        may("", "groups", "", "", group)?;
    }
    if !taken.uid.is_empty() {
        may("authentication.k8s.io", "uids", "", "", &taken.uid)?;
    }
    for (key, values) in &taken.extra {
        for value in values {
            may("authentication.k8s.io", "userextras", key, "", value)?;
        }
    }
    if let Some((namespace, name)) = taken.as_service_account().filter(|_| groups.is_empty()) {
        groups = User::service_account(namespace, name, "").groups;
    }
    if taken.name != "system:anonymous" && !groups.iter().any(|group| group == AUTHENTICATED) {
        groups.push(AUTHENTICATED.to_owned());
    }
    taken.groups = groups;
    Ok(taken)
}
