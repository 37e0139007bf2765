//! The documents of OpenAPI: what kinds look like and which paths they have, for `kubectl explain` and for clients that check
//! what they send.
//!
//! They are written from the tables of [`schema`] when somebody first asks, and kept compressed: some 100 kB all together.

mod gnostic;
mod paths;
mod schemas;
#[cfg(test)]
mod tests;

use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};

use aws_lc_rs::digest;
use bytes::Bytes;
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use http::{HeaderValue, Response, StatusCode, header};
use manifest::Kind;
use serde_json::{Map, Value, json};

use super::discovery::{groups, kinds_of, versions};
use super::{Body, Call, respond};
use schemas::{OpenApi, Schemas};

/// The media type in which kubectl asks for `/openapi/v2`.
const V2_PROTOBUF: &str = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf";

/// The same as a type of an answer, which may hold no `@`.
const V2_PROTOBUF_TYPE: &str = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf";

/// Every document, once somebody has asked for one.
#[derive(Debug, Default)]
pub(super) struct Documents {
    v2: OnceCell<Document>,
    v2_protobuf: OnceCell<Document>,
    v3: OnceCell<BTreeMap<String, Document>>,
}

/// A document, compressed.
#[derive(Debug)]
struct Document {
    gzip: Bytes,
    /// In hexadecimal digits, of what it says.
    hash: String,
    media_type: &'static str,
}

impl Call<'_> {
    /// `/openapi/v2`
    pub(super) fn openapi_v2(&self) -> Response<Body> {
        let documents = &self.api.documents;
        let accepted = self.header(header::ACCEPT).unwrap_or_default();
        let document = if accepted.contains(V2_PROTOBUF) {
            let make = || Document::new(&gnostic::document(&v2()), V2_PROTOBUF_TYPE);
            documents.v2_protobuf.get_or_init(make)
        } else {
            documents.v2.get_or_init(|| Document::of(&v2()))
        };
        self.openapi(document)
    }

    /// `/openapi/v3`: where each document is.
    pub(super) fn openapi_index(&self) -> Response<Body> {
        let paths = self.api.documents.v3().iter().map(|(path, document)| {
            let url = format!("/openapi/v3/{path}?hash={}", document.hash);
            (path.clone(), json!({"serverRelativeURL": url}))
        });
        respond::json(StatusCode::OK, &json!({"paths": paths.collect::<Map<_, _>>()}))
    }

    /// `/openapi/v3/apis/apps/v1`
    pub(super) fn openapi_of(&self, group: &str, version: &str) -> Response<Body> {
        let path = group_path(group, version);
        let Some(document) = self.api.documents.v3().get(&path) else {
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
    fn v3(&self) -> &BTreeMap<String, Document> {
        self.v3.get_or_init(|| {
            let all = groups().into_iter().flat_map(|group| {
                versions(group)
                    .into_iter()
                    .map(move |version| (group_path(group, version), Document::of(&v3(group, version))))
            });
            all.collect()
        })
    }
}

// === impl Document ===

impl Document {
    fn of(value: &Value) -> Self {
        Self::new(value.to_string().as_bytes(), "application/json")
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

/// `/openapi/v2`: all kinds in one.
fn v2() -> Value {
    let mut paths = Map::new();
    let mut schemas = Schemas::new(OpenApi::V2);
    for kind in groups().into_iter().flat_map(kinds_of) {
        add(&mut paths, &mut schemas, kind, OpenApi::V2);
    }
    json!({"swagger": "2.0", "info": info(), "paths": paths, "definitions": schemas.into_value()})
}

/// The document of a group and version.
fn v3(group: &'static str, version: &str) -> Value {
    let mut paths = Map::new();
    let mut schemas = Schemas::new(OpenApi::V3);
    for kind in kinds_of(group).filter(|kind| kind.version == version) {
        add(&mut paths, &mut schemas, kind, OpenApi::V3);
    }
    json!({"openapi": "3.0.0", "info": info(), "paths": paths, "components": {"schemas": schemas.into_value()}})
}

fn add(paths: &mut Map<String, Value>, schemas: &mut Schemas, kind: &'static Kind, version: OpenApi) {
    if let Some(known) = schema::of(kind.group, kind.version, kind.kind) {
        schemas.add_kind(known);
        paths::add(paths, kind, &known.full_name(), version);
    }
}

fn info() -> Value {
    json!({"title": "Forebay", "version": env!("CARGO_PKG_VERSION")})
}

fn group_path(group: &str, version: &str) -> String {
    if group.is_empty() { format!("api/{version}") } else { format!("apis/{group}/{version}") }
}
