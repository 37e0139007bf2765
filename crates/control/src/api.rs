//! The embedded Kubernetes API: what kubectl and other Kubernetes clients ask, answered from the [`Store`].
//!
//! It is a plain function from a request to a response. It is *not* a server: sockets, HTTP and time limits of
//! connections are the caller's. Nothing waits here, except for the disk when something is written; answers that go on
//! (watches, logs that are followed) are a [`Stream`].
//!
//! ```
//! # use std::rc::Rc;
//! use control::api::{Api, Settings};
//! use control::store::Store;
//!
//! let settings = Settings { token: "secret".to_owned(), ..Settings::default() };
//! let api = Api::new(Rc::new(Store::in_memory()), None, settings);
//! let request = http::Request::get("/api/v1/namespaces/default").header("host", "127.0.0.1:7443");
//! let request = request.header("authorization", "Bearer secret").body(bytes::Bytes::new()).unwrap();
//! assert_eq!(api.handle(&request).status(), 200);
//! ```

mod access;
mod body;
mod decoding;
mod definitions;
mod discovery;
mod eviction;
mod fields;
mod finish;
mod form;
mod guard;
mod immutable;
mod log;
mod openapi;
mod pages;
mod parameters;
mod pass_on;
mod patch;
pub(crate) mod protobuf;
mod questions;
mod read;
mod request_body;
mod respond;
mod route;
mod scale;
mod served;
mod shared_lines;
mod tell;
pub(crate) mod upgrade;
mod usage;
pub(crate) mod validation;
mod version;
mod warnings;
mod watch;
mod write;

#[cfg(test)]
mod tests;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, StatusCode, header};
use jiff::Timestamp;
use manifest::{Compiler, Kind, Kinds, Objects};

use crate::live_defaults::LiveDefaults;
use crate::local::Machine;
use crate::store::{Part, Reason, Status, Store, metadata};
use access::{User, Wish};
use decoding::Odd;
use form::Form;
use parameters::Parameters;
use route::{Route, Subresource};
use shared_lines::SharedLines;

pub use body::{Body, Stream};
pub use discovery::kinds_of_all;
pub use patch::three_way;
pub use upgrade::Upgrade;
pub use warnings::{FINDING_FIELD, FINDINGS_FIELD};

/// The longest body of a request, in bytes.
pub const BODY_LIMIT: usize = 3 << 20;

/// Bytes that the bodies of all requests together may hold at a time.
pub const BODIES_LIMIT: usize = 16 * BODY_LIMIT;

/// How many answers may be going on at a time.
const STREAMS: usize = 1000;
/// How many of them are for whoever started the platform alone, and how many one of the others may have.
const RESERVED: usize = 100;
const SHARE: usize = 300;

/// How the API is served.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// What a client must know. Nobody is let in while it is empty.
    pub token: String,
    /// Names, besides those of the loopback address, under which this API may be asked for.
    pub hosts: Vec<String>,
    /// What the environment sets, for findings about objects that are written.
    pub defaults: LiveDefaults,
    /// What is known already of what objects mean.
    pub compiler: Compiler,
}

/// The embedded Kubernetes API.
#[derive(Debug)]
pub struct Api {
    store: Rc<Store>,
    machine: Option<Machine>,
    settings: Settings,
    documents: openapi::Documents,
    /// One clone for each answer that is going on.
    streams: Rc<()>,
    /// The same for each who has some.
    shares: RefCell<BTreeMap<String, Rc<()>>>,
    shared_lines: Rc<SharedLines>,
    tokens: access::Keeper,
    counts: tell::Counts,
}

/// One request, with what everybody needs of it.
struct Call<'a> {
    api: &'a Api,
    parameters: Parameters,
    user: &'a User,
    /// What roles there are, where somebody writes one.
    roles: Option<Arc<Objects>>,
    headers: &'a HeaderMap,
    body: &'a Bytes,
    now: Timestamp,
    /// What was found out about the body when it was read, to be told with the answer.
    odd: RefCell<Vec<Odd>>,
    /// The kind that the request is about, in the version in which it is asked for.
    served: Option<&'static Kind>,
}

/// A place among the answers that are going on.
#[derive(Debug)]
struct Permit {
    _among_all: Rc<()>,
    _among_own: Rc<()>,
}

type Answer = Result<Response<Body>, Status>;

/// A token that nobody guesses.
#[must_use]
pub fn new_token() -> String {
    metadata::random::<16>().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The kubeconfig with which kubectl finds an API on a loopback address, and believes it is the one that `authority` (a
/// certificate in PEM form) has signed.
#[must_use]
pub fn kubeconfig(address: SocketAddr, authority: &str, token: &str) -> String {
    use base64::Engine as _;
    let authority = base64::prelude::BASE64_STANDARD.encode(authority);
    format!(
        "apiVersion: v1
kind: Config
current-context: forebay
clusters:
- name: forebay
  cluster:
    server: https://{address}
    certificate-authority-data: {authority}
contexts:
- name: forebay
  context:
    cluster: forebay
    user: forebay
users:
- name: forebay
  user:
    token: {token}
"
    )
}

// === impl Api ===

impl Api {
    /// An API over a store, and over the machine that runs the pods if there is one.
    #[must_use]
    pub fn new(store: Rc<Store>, machine: Option<Machine>, settings: Settings) -> Self {
        Self {
            store,
            machine,
            settings,
            documents: openapi::Documents::default(),
            streams: Rc::new(()),
            shares: RefCell::default(),
            shared_lines: Rc::default(),
            tokens: access::Keeper::default(),
            counts: tell::Counts::default(),
        }
    }

    /// The answer to a request that is refused by its head alone: 401 to whoever has no token that is good, 403 to whoever
    /// may not do what he asks for, or asks for a name that is not ours. Without one, the body is worth reading.
    #[must_use]
    pub fn refuse(&self, head: &Request<Bytes>) -> Option<Response<Body>> {
        let route = Route::parse(head.uri().path(), &self.store.kinds());
        let checked = self.check(head, route.as_ref(), Timestamp::now());
        checked.err().map(|status| finish::finish(head, respond::refusal(&status)))
    }

    /// Who asks, if he may; nobody where anybody may.
    fn check(
        &self,
        head: &Request<Bytes>,
        route: Option<&Route>,
        now: Timestamp,
    ) -> Result<Option<User>, Status> {
        guard::check_host(head.uri(), head.headers(), &self.settings)?;
        if route == Some(&Route::Health) {
            return Ok(None);
        }
        let user = self.user(head.headers(), now)?;
        let query = Parameters::parse(head.uri().query().unwrap_or_default()).unwrap_or_default();
        let mut wish = Wish::of(route, head.method(), head.uri().path(), query.is_on("watch"));
        wish.narrow(query.text("fieldSelector").unwrap_or_default());
        self.authorize(&user, &wish)?;
        Ok(Some(user))
    }

    /// Answers a request, if it is to be answered at all, and as far as that takes no waiting: one that is to be passed on is
    /// for [`answer_to`](Self::answer_to).
    #[must_use]
    pub fn handle(&self, request: &Request<Bytes>) -> Response<Body> {
        let answer = self.answer(request, Timestamp::now());
        let answer = answer.unwrap_or_else(|status| respond::refusal(&status));
        self.counts.count(request.method(), answer.status());
        finish::finish(request, answer)
    }

    /// The answer when a body is longer than may be, or has no end.
    #[must_use]
    pub fn too_large() -> Response<Body> {
        respond::refusal(&too_large())
    }

    /// The answer when the bodies of all requests together are more than may be held at a time.
    #[must_use]
    pub fn too_busy() -> Response<Body> {
        let message = "too many long requests at the same time";
        respond::refusal(&Status::new(Reason::TooManyRequests, message))
    }

    /// A place among the answers that are going on.
    fn permit(&self, user: &User) -> Result<Permit, Status> {
        let is_owner = user.groups.iter().any(|group| group == access::MASTERS);
        let most = if is_owner { STREAMS } else { STREAMS - RESERVED };
        let mut shares = self.shares.borrow_mut();
        shares.retain(|_, share| Rc::strong_count(share) > 1);
        let own = shares.entry(user.name.clone()).or_default();
        let refused = |n: usize, whose: &str| {
            let message = format!("{n} watches and logs{whose} are going on already");
            Err(Status::new(Reason::TooManyRequests, message))
        };
        if Rc::strong_count(&self.streams) > most {
            return refused(most, "");
        }
        if Rc::strong_count(own) > SHARE && !is_owner {
            return refused(SHARE, &format!(" of {}", user.name));
        }
        Ok(Permit { _among_all: Rc::clone(&self.streams), _among_own: Rc::clone(own) })
    }

    fn answer(&self, request: &Request<Bytes>, now: Timestamp) -> Answer {
        let headers = request.headers();
        let route = Route::parse(request.uri().path(), &self.store.kinds());
        let Some(user) = self.check(request, route.as_ref(), now)? else {
            let is_verbose = request
                .uri()
                .query()
                .is_some_and(|query| query.split('&').any(|part| part.starts_with("verbose")));
            return Ok(tell::health(request.uri().path(), is_verbose));
        };
        let Some(route) = route else {
            return Ok(respond::text(StatusCode::NOT_FOUND, "404 page not found\n"));
        };
        if request.body().len() > BODY_LIMIT {
            return Err(too_large());
        }
        let parameters = Parameters::parse(request.uri().query().unwrap_or_default())?;
        let writes_roles = route.kind().is_some_and(|kind| kind.group == "rbac.authorization.k8s.io");
        let roles = writes_roles.then(|| self.store.objects());
        let call = Call {
            api: self,
            parameters,
            user: &user,
            roles,
            headers,
            body: request.body(),
            now,
            odd: RefCell::default(),
            served: route.served(),
        };
        // What is asked with HEAD is answered like GET; the caller leaves out the body.
        let method = if request.method() == Method::HEAD { &Method::GET } else { request.method() };
        let mut answer = call.answer(route, method)?;
        if let Some(told) = call.served.and_then(Kind::definition).and_then(|it| it.deprecation()) {
            warnings::write(answer.headers_mut(), &[], &[told], headers);
        }
        Ok(answer)
    }
}

fn method_not_allowed() -> Status {
    let message = "the server does not allow this method on the requested resource";
    Status::new(Reason::MethodNotAllowed, message)
}

fn too_large() -> Status {
    let message = format!("Request entity too large: limit is {BODY_LIMIT}");
    Status::new(Reason::RequestEntityTooLarge, message)
}

// === impl Call ===

impl Call<'_> {
    fn answer(&self, route: Route, method: &Method) -> Answer {
        let wish = Wish::of(Some(&route), method, "", self.parameters.is_on("watch"));
        if route.kind().is_some_and(|kind| !kind.verbs.contains(&wish.verb.as_str())) {
            return Err(method_not_allowed());
        }
        match (route, method.as_str()) {
            (Route::Root, "GET") => Ok(tell::paths(&self.kinds())),
            (Route::Metrics, "GET") => Ok(self.api.metrics()),
            (Route::Version, "GET") => Ok(respond::json(StatusCode::OK, &version::info())),
            (Route::Groups { is_core }, "GET") => Ok(self.groups(is_core)),
            (Route::Group(group), "GET") => {
                Ok(respond::json(StatusCode::OK, &discovery::group(group, &self.kinds())))
            }
            (Route::GroupVersion { group, version }, "GET") => {
                let list = discovery::resource_list(group, version, &self.kinds());
                Ok(respond::json(StatusCode::OK, &list))
            }
            (Route::OpenApiV2, "GET") => Ok(self.openapi_v2()),
            (Route::OpenApi, "GET") => Ok(self.openapi_index()),
            (Route::OpenApiOf { group, version }, "GET") => Ok(self.openapi_of(group, version)),
            (Route::Watch { kind, namespace }, "GET") => self.watch(kind, namespace),
            (Route::WatchOne(object), "GET") => self.watch_one(&object),
            (Route::Collection { kind, namespace }, "GET") if self.parameters.is_on("watch") => {
                self.watch(kind, namespace)
            }
            (Route::Object(object), "GET") if self.parameters.is_on("watch") => self.watch_one(&object),
            (Route::Collection { kind, namespace }, "GET") => self.list(kind, namespace),
            (Route::Collection { kind, namespace }, "POST") if kind.verbs.contains(&"create") => {
                self.create(kind, namespace.as_deref())
            }
            (
                Route::Object(object)
                | Route::Subresource(
                    object,
                    Subresource::Status | Subresource::EphemeralContainers | Subresource::Resize,
                ),
                "GET",
            ) => self.get(&object),
            (Route::Subresource(object, Subresource::EphemeralContainers), "PUT" | "PATCH") => {
                let why = "no container joins a pod that runs, which is a group of processes here: kubectl exec runs a command beside it";
                Err(Status::forbidden(object.kind, &object.name, why))
            }
            (Route::Subresource(object, Subresource::Resize), "PUT" | "PATCH") => {
                let why = "what a pod that runs may use is not changed here: change its Deployment, which starts others";
                Err(Status::forbidden(object.kind, &object.name, why))
            }
            (Route::Collection { kind, namespace }, "DELETE") if kind.verbs.contains(&"deletecollection") => {
                self.delete_collection(kind, namespace)
            }
            (Route::Object(object), "PUT") => self.replace(&object, Part::Object),
            (Route::Object(object), "PATCH") => self.patch(&object, Part::Object),
            (Route::Object(object), "DELETE") => self.delete(&object),
            (Route::Subresource(object, Subresource::Status), "PUT") => self.replace(&object, Part::Status),
            (Route::Subresource(object, Subresource::Status), "PATCH") => self.patch(&object, Part::Status),
            (Route::Subresource(object, Subresource::Finalize), "PUT") => self.finalize(&object),
            (Route::Subresource(object, Subresource::Scale), "GET") => self.scale(&object),
            (Route::Subresource(object, Subresource::Scale), "PUT" | "PATCH") => {
                self.set_scale(&object, method)
            }
            (Route::Subresource(object, Subresource::Log), "GET") => self.log(&object),
            (Route::Subresource(object, Subresource::Eviction), "POST") => self.evict(&object),
            (Route::Subresource(object, Subresource::Token), "POST") => self.token(&object),
            (Route::Question { question, namespace, name }, "GET") if question.verbs.contains(&"get") => {
                self.usage(question, &namespace, &name)
            }
            (Route::Question { question, namespace, .. }, "POST") if question.verbs == ["create"] => {
                self.ask(question, &namespace)
            }
            (
                Route::Subresource(
                    object,
                    subresource @ (Subresource::Exec | Subresource::Attach | Subresource::PortForward),
                ),
                "GET" | "POST",
            ) => self.upgrade(&object, subresource),
            _ => Err(method_not_allowed()),
        }
    }

    fn groups(&self, is_core: bool) -> Response<Body> {
        if let Some((form, media_type)) = discovery::aggregated_form(self.header(header::ACCEPT)) {
            let mut response =
                respond::json(StatusCode::OK, &discovery::aggregated(is_core, form, &self.kinds()));
            let media_type = header::HeaderValue::from_static(media_type);
            response.headers_mut().insert(header::CONTENT_TYPE, media_type);
            return response;
        }
        let groups = if is_core { discovery::core_versions() } else { discovery::group_list(&self.kinds()) };
        respond::json(StatusCode::OK, &groups)
    }

    fn header(&self, name: header::HeaderName) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The form in which objects are wanted.
    fn form(&self) -> Result<Form, Status> {
        let form = Form::accepted(self.header(header::ACCEPT), &self.parameters)?;
        Ok(form.of_kind(self.served))
    }

    fn kinds(&self) -> Arc<Kinds> {
        self.api.store.kinds()
    }

    /// The media type of the body, without its parameters.
    fn media_type(&self) -> &str {
        let written = self.header(header::CONTENT_TYPE).unwrap_or_default();
        written.split(';').next().unwrap_or_default().trim()
    }

    fn permit(&self) -> Result<Permit, Status> {
        self.api.permit(self.user)
    }
}
