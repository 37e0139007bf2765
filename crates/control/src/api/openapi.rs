//! The documents of OpenAPI: what kinds look like and which paths they have, for `kubectl explain` and for clients that check
//! what they send.
//!
//! They are written from the tables of [`schema`] when somebody first asks, piece by piece, and kept compressed: a quarter of a megabyte
//! all together.

mod gnostic;
mod paths;
mod schemas;
#[cfg(test)]
mod tests;

use std::cell::{OnceCell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read as _, Write as _};
use std::rc::Rc;
use std::sync::Arc;

use aws_lc_rs::digest;
use bytes::Bytes;
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use http::{HeaderValue, Response, StatusCode, header};
use manifest::{Definition, Kind, Kinds};
use serde_json::{Map, Value, json};

use super::questions::{QUESTIONS, Question};
use super::{Body, Call, respond};
use schemas::{OpenApi, Schemas};

/// The media type in which kubectl asks for `/openapi/v2`.
const V2_PROTOBUF: &str = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf";

/// The same as a type of an answer, which may hold no `@`.
const V2_PROTOBUF_TYPE: &str = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf";

/// The documents of the kinds that there are.
#[derive(Debug, Default)]
pub(super) struct Documents {
    /// Those of the kinds of the program, which stay the same.
    own: OnceCell<BTreeMap<String, Rc<Document>>>,
    made: RefCell<Rc<Made>>,
}

/// Every document of some kinds, once somebody has asked for it.
#[derive(Debug, Default)]
struct Made {
    kinds: Arc<Kinds>,
    v2: OnceCell<Document>,
    v2_protobuf: OnceCell<Document>,
    v3: OnceCell<BTreeMap<String, Rc<Document>>>,
}

/// A document, compressed.
#[derive(Debug)]
struct Document {
    gzip: Bytes,
    /// In hexadecimal digits, of what it says.
    hash: String,
    media_type: &'static str,
}

/// What a document is made of: paths and schemas by name, each in JSON.
struct Source {
    version: OpenApi,
    paths: BTreeMap<String, String>,
    schemas: BTreeMap<String, String>,
}

/// Something that has paths: a kind of objects that are kept, or of questions.
struct Served {
    group: &'static str,
    version: &'static str,
    kind: &'static str,
    plural: &'static str,
    is_namespaced: bool,
    verbs: &'static [&'static str],
    /// What its objects look like, where a definition says so.
    definition: Option<Arc<Definition>>,
}

impl Call<'_> {
    /// `/openapi/v2`
    pub(super) fn openapi_v2(&self) -> Response<Body> {
        let documents = self.api.documents.of(&self.kinds());
        let kinds = &documents.kinds;
        let accepted = self.header(header::ACCEPT).unwrap_or_default();
        let document = if accepted.contains(V2_PROTOBUF) {
            let make = || Document::new(&gnostic::document(&Source::v2(kinds)), V2_PROTOBUF_TYPE);
            documents.v2_protobuf.get_or_init(make)
        } else {
            documents.v2.get_or_init(|| Document::of(&Source::v2(kinds)))
        };
        self.openapi(document)
    }

    /// `/openapi/v3`: where each document is.
    pub(super) fn openapi_index(&self) -> Response<Body> {
        let documents = self.api.documents.of(&self.kinds());
        let paths = self.api.documents.v3(&documents).iter().map(|(path, document)| {
            let url = format!("/openapi/v3/{path}?hash={}", document.hash);
            (path.clone(), json!({"serverRelativeURL": url}))
        });
        respond::json(StatusCode::OK, &json!({"paths": paths.collect::<Map<_, _>>()}))
    }

    /// `/openapi/v3/apis/apps/v1`
    pub(super) fn openapi_of(&self, group: &str, version: &str) -> Response<Body> {
        let path = group_path(group, version);
        let documents = self.api.documents.of(&self.kinds());
        let Some(document) = self.api.documents.v3(&documents).get(&path) else {
            return respond::text(StatusCode::NOT_FOUND, "404 page not found\n");
        };
        let Some(hash) = self.parameters.text("hash") else { return self.openapi(document) };
        let location = format!("/openapi/v3/{path}?hash={}", document.hash);
        match HeaderValue::from_str(&location) {
            Ok(location) if hash != document.hash => {
                let mut response = respond::text(StatusCode::MOVED_PERMANENTLY, "");
                response.headers_mut().insert(header::LOCATION, location);
                response
            }
            _ => {
                let mut response = self.openapi(document);
                let forever = HeaderValue::from_static("public, immutable");
                response.headers_mut().insert(header::CACHE_CONTROL, forever);
                response
            }
        }
    }

    /// A document, unless the client has it already.
    fn openapi(&self, document: &Document) -> Response<Body> {
        let tag = format!("\"{}\"", document.hash);
        let has_it =
            self.header(header::IF_NONE_MATCH).is_some_and(|tags| tags == "*" || tags.contains(&tag));
        let takes_gzip = self.header(header::ACCEPT_ENCODING).is_some_and(|it| it.contains("gzip"));
        let (status, body) = match (has_it, takes_gzip) {
            (true, _) => (StatusCode::NOT_MODIFIED, Bytes::new()),
            (false, true) => (StatusCode::OK, document.gzip.clone()),
            (false, false) => (StatusCode::OK, document.text()),
        };
        let mut response = respond::with_type(status, document.media_type, Body::Full(body));
        let headers = response.headers_mut();
        headers.insert(header::VARY, HeaderValue::from_static("Accept-Encoding, Accept"));
        if takes_gzip && !has_it {
            headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        if let Ok(tag) = HeaderValue::from_str(&tag) {
            headers.insert(header::ETAG, tag);
        }
        response
    }
}

// === impl Documents ===

impl Documents {
    /// The documents of these kinds.
    fn of(&self, kinds: &Arc<Kinds>) -> Rc<Made> {
        let mut made = self.made.borrow_mut();
        if !Arc::ptr_eq(&made.kinds, kinds) {
            *made = Rc::new(Made { kinds: Arc::clone(kinds), ..Made::default() });
        }
        Rc::clone(&made)
    }

    /// The documents of the third version, each of a group and version.
    fn v3<'a>(&self, made: &'a Made) -> &'a BTreeMap<String, Rc<Document>> {
        made.v3.get_or_init(|| {
            let document = |(group, version), kinds: &Kinds| {
                (group_path(group, version), Rc::new(Document::of(&Source::v3(group, version, kinds))))
            };
            let own = self.own.get_or_init(|| {
                let kinds = Kinds::default();
                let all: BTreeSet<_> = served(&kinds).iter().map(|it| (it.group, it.version)).collect();
                all.into_iter().map(|of| document(of, &kinds)).collect()
            });
            let declared: BTreeSet<_> =
                made.kinds.declared().iter().map(|kind| (kind.group, kind.version)).collect();
            let declared = declared.into_iter().map(|of| document(of, &made.kinds));
            own.iter().map(|(path, document)| (path.clone(), Rc::clone(document))).chain(declared).collect()
        })
    }
}

// === impl Document ===

impl Document {
    fn of(source: &Source) -> Self {
        Self::new(source.json().as_bytes(), "application/json")
    }

    fn new(text: &[u8], media_type: &'static str) -> Self {
        let hash = digest::digest(&digest::SHA256, text);
        let hash = hash.as_ref().iter().map(|byte| format!("{byte:02X}")).collect();
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        let written = encoder.write_all(text).and_then(|()| encoder.finish());
        Self { gzip: written.expect("memory takes whatever is written").into(), hash, media_type }
    }

    fn text(&self) -> Bytes {
        let mut text = Vec::new();
        GzDecoder::new(&*self.gzip).read_to_end(&mut text).expect("it was compressed here");
        text.into()
    }
}

// === impl Source ===

impl Source {
    /// What a document says of some kinds.
    fn of(served: impl Iterator<Item = Served>, version: OpenApi) -> Self {
        let mut paths = BTreeMap::new();
        let mut schemas = Schemas::new(version);
        for served in served {
            if let Some(definition) = &served.definition {
                let name = schemas.add_declared(&served, definition);
                paths::add(&mut paths, &served, &name, version);
            } else if let Some(known) = schema::of(served.group, served.version, served.kind) {
                schemas.add_kind(known);
                paths::add(&mut paths, &served, &known.full_name(), version);
            }
        }
        Self { version, paths, schemas: schemas.into_texts() }
    }

    /// `/openapi/v2`: all kinds in one.
    fn v2(kinds: &Kinds) -> Self {
        Self::of(served(kinds).into_iter(), OpenApi::V2)
    }

    /// The document of a group and version.
    fn v3(group: &str, version: &str, kinds: &Kinds) -> Self {
        let is_of = |served: &Served| (served.group, served.version) == (group, version);
        Self::of(served(kinds).into_iter().filter(is_of), OpenApi::V3)
    }

    /// The document in JSON.
    fn json(&self) -> String {
        let (info, paths, schemas) = (info(), map(&self.paths), map(&self.schemas));
        match self.version {
            OpenApi::V2 => {
                format!(r#"{{"swagger":"2.0","info":{info},"paths":{paths},"definitions":{schemas}}}"#)
            }
            OpenApi::V3 => {
                let components = format!(r#"{{"schemas":{schemas}}}"#);
                format!(r#"{{"openapi":"3.0.0","info":{info},"paths":{paths},"components":{components}}}"#)
            }
        }
    }
}

// === impl Served ===

impl Served {
    fn new_kind(kind: &'static Kind) -> Self {
        let Kind { group, version, kind: name, plural, is_namespaced, verbs, .. } = *kind;
        Self { group, version, kind: name, plural, is_namespaced, verbs, definition: kind.definition() }
    }

    fn new_question(question: &'static Question) -> Self {
        let Question { group, version, kind, plural, is_namespaced, verbs, .. } = *question;
        Self { group, version, kind, plural, is_namespaced, verbs, definition: None }
    }
}

/// Everything that has paths.
fn served(kinds: &Kinds) -> Vec<Served> {
    let kinds = kinds.all().map(Served::new_kind);
    kinds.chain(QUESTIONS.iter().map(Served::new_question)).collect()
}

/// A map of JSON, of entries that are JSON already.
fn map(entries: &BTreeMap<String, String>) -> String {
    let entries: Vec<String> = entries.iter().map(|(key, value)| format!("{}:{value}", json!(key))).collect();
    format!("{{{}}}", entries.join(","))
}

fn info() -> Value {
    json!({"title": "Forebay", "version": env!("CARGO_PKG_VERSION")})
}

fn group_path(group: &str, version: &str) -> String {
    if group.is_empty() { format!("api/{version}") } else { format!("apis/{group}/{version}") }
}
