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

mod body;
mod discovery;
mod fields;
mod finish;
mod form;
mod guard;
mod immutable;
mod log;
mod openapi;
mod pages;
mod parameters;
mod patch;
pub(crate) mod protobuf;
mod read;
mod request_body;
mod respond;
mod route;
mod scale;
mod shared_lines;
pub(crate) mod upgrade;
mod validation;
mod version;
mod warnings;
mod watch;
mod write;

#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::rc::Rc;

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, StatusCode, header};
use jiff::Timestamp;
use manifest::Compiler;

use crate::live_defaults::LiveDefaults;
use crate::local::Machine;
use crate::store::{Part, Reason, Status, Store, metadata};
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
    /// One clone for each answer that is going on.
    streams: Rc<()>,
    shared_lines: Rc<SharedLines>,
}

/// One request, with what everybody needs of it.
struct Call<'a> {
    api: &'a Api,
    parameters: Parameters,
    headers: &'a HeaderMap,
    body: &'a Bytes,
    now: Timestamp,
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
        Self { store, machine, settings, streams: Rc::new(()), shared_lines: Rc::default() }
    }

    /// The answer to a request that is refused by its head alone: 401 to whoever does not know the token, 403 to whoever
    /// asks for a name that is not ours. Without one, the body is worth reading.
    #[must_use]
    pub fn refuse(&self, head: &Request<Bytes>) -> Option<Response<Body>> {
        let checked = self.check(head, Route::parse(head.uri().path()).as_ref());
        checked.err().map(|status| respond::refusal(&status))
    }

    fn check(&self, head: &Request<Bytes>, route: Option<&Route>) -> Result<(), Status> {
        guard::check_host(head.uri(), head.headers(), &self.settings)?;
        if route == Some(&Route::Health) {
            return Ok(());
        }
        guard::check_token(head.headers(), &self.settings)
    }

    /// Answers a request, if it is to be answered at all.
    #[must_use]
    pub fn handle(&self, request: &Request<Bytes>) -> Response<Body> {
        let answer = self.answer(request, Timestamp::now());
        finish::finish(request, answer.unwrap_or_else(|status| respond::refusal(&status)))
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

    fn answer(&self, request: &Request<Bytes>, now: Timestamp) -> Answer {
        let headers = request.headers();
        let route = Route::parse(request.uri().path());
        self.check(request, route.as_ref())?;
        if route == Some(Route::Health) {
            return Ok(respond::text(StatusCode::OK, "ok"));
        }
        let Some(route) = route else {
            return Ok(respond::text(StatusCode::NOT_FOUND, "404 page not found\n"));
        };
        if request.body().len() > BODY_LIMIT {
            return Err(too_large());
        }
        let parameters = Parameters::parse(request.uri().query().unwrap_or_default())?;
        let call = Call { api: self, parameters, headers, body: request.body(), now };
        // What is asked with HEAD is answered like GET; the caller leaves out the body.
        let method = if request.method() == Method::HEAD { &Method::GET } else { request.method() };
        call.answer(route, method)
    }
}

fn too_large() -> Status {
    let message = format!("Request entity too large: limit is {BODY_LIMIT}");
    Status::new(Reason::RequestEntityTooLarge, message)
}

// === impl Call ===

impl Call<'_> {
    fn answer(&self, route: Route, method: &Method) -> Answer {
        match (route, method.as_str()) {
            (Route::Version, "GET") => Ok(respond::json(StatusCode::OK, &version::info())),
            (Route::Groups { is_core }, "GET") => Ok(self.groups(is_core)),
            (Route::Group(group), "GET") => Ok(respond::json(StatusCode::OK, &discovery::group(group))),
            (Route::GroupVersion { group, version }, "GET") => {
                Ok(respond::json(StatusCode::OK, &discovery::resource_list(group, version)))
            }
            (Route::OpenApiV2, "GET") => Ok(self.openapi_v2()),
            (Route::OpenApi, "GET") => Ok(respond::json(StatusCode::OK, &openapi::index())),
            (Route::OpenApiOf { group, version }, "GET") => {
                Ok(respond::json(StatusCode::OK, &openapi::document(group, version)))
            }
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
            (Route::Object(object) | Route::Subresource(object, Subresource::Status), "GET") => {
                self.get(&object)
            }
            (Route::Object(object), "PUT") => self.replace(&object, Part::Object),
            (Route::Object(object), "PATCH") => self.patch(&object, Part::Object),
            (Route::Object(object), "DELETE") => self.delete(&object),
            (Route::Subresource(object, Subresource::Status), "PUT") => self.replace(&object, Part::Status),
            (Route::Subresource(object, Subresource::Status), "PATCH") => self.patch(&object, Part::Status),
            (Route::Subresource(object, Subresource::Scale), "GET") => self.scale(&object),
            (Route::Subresource(object, Subresource::Scale), "PUT" | "PATCH") => {
                self.set_scale(&object, method)
            }
            (Route::Subresource(object, Subresource::Log), "GET") => self.log(&object),
            (
                Route::Subresource(
                    object,
                    subresource @ (Subresource::Exec | Subresource::Attach | Subresource::PortForward),
                ),
                "GET" | "POST",
            ) => self.upgrade(&object, subresource),
            _ => {
                let message = "the server does not allow this method on the requested resource";
                Err(Status::new(Reason::MethodNotAllowed, message))
            }
        }
    }

    fn openapi_v2(&self) -> Response<Body> {
        let accepted = self.header(header::ACCEPT).unwrap_or_default();
        if accepted.contains(openapi::V2_PROTOBUF) {
            let body = Body::Full(openapi::v2_protobuf().into());
            return respond::with_type(StatusCode::OK, openapi::V2_PROTOBUF_TYPE, body);
        }
        respond::json(StatusCode::OK, &openapi::v2())
    }

    fn groups(&self, is_core: bool) -> Response<Body> {
        if discovery::is_aggregated(self.header(header::ACCEPT)) {
            let mut response = respond::json(StatusCode::OK, &discovery::aggregated(is_core));
            let media_type = header::HeaderValue::from_static(discovery::AGGREGATED);
            response.headers_mut().insert(header::CONTENT_TYPE, media_type);
            return response;
        }
        let groups = if is_core { discovery::core_versions() } else { discovery::group_list() };
        respond::json(StatusCode::OK, &groups)
    }

    fn header(&self, name: header::HeaderName) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The form in which objects are wanted.
    fn form(&self) -> Result<Form, Status> {
        Form::accepted(self.header(header::ACCEPT), &self.parameters)
    }

    /// The media type of the body, without its parameters.
    fn media_type(&self) -> &str {
        let written = self.header(header::CONTENT_TYPE).unwrap_or_default();
        written.split(';').next().unwrap_or_default().trim()
    }

    /// A place among the answers that are going on.
    fn permit(&self) -> Result<Rc<()>, Status> {
        if Rc::strong_count(&self.api.streams) > STREAMS {
            let message = format!("{STREAMS} watches and logs are going on already");
            return Err(Status::new(Reason::TooManyRequests, message));
        }
        Ok(Rc::clone(&self.api.streams))
    }
}
