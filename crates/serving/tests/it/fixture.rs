//! Servers of fixture models, and requests to them without a socket.

use std::path::{Path, PathBuf};

use net::{Body, Connection, Fields, Handler, Method, Request, Target, Version};
use serving::{LoadedModel, ModelState, ServedModel, Server, ServerHandler, Settings, Style};

/// A model, and the fixture it is in: its name and its file.
pub(crate) struct Fixture {
    pub(crate) name: &'static str,
    pub(crate) path: &'static str,
}

pub(crate) const FIXTURES: &[Fixture] = &[
    Fixture { name: "wine", path: "mlflow-wine-elasticnet-pickle/model" },
    Fixture { name: "iris", path: "iris-svc/model.joblib" },
    Fixture { name: "labels", path: "iris-strlabels/model.joblib" },
    Fixture { name: "retail", path: "mlflow-retail-pipeline/model" },
    Fixture { name: "demand", path: "retail-gbr/model.zlib.joblib" },
    Fixture { name: "texts", path: "sk-tfidf-logreg/model.joblib" },
    Fixture { name: "sales", path: "retail-logit/model.joblib" },
    Fixture { name: "forecast", path: "retail-hgb/model.joblib" },
];

/// The folder of the project.
pub(crate) fn project() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap().to_owned()
}

/// A fixture model by name, loaded, under that name and version `v1`.
pub(crate) fn served(name: &str) -> ServedModel {
    let fixture = FIXTURES.iter().find(|fixture| fixture.name == name);
    let fixture = fixture.unwrap_or_else(|| panic!("there is no fixture `{name}`"));
    let loaded = LoadedModel::load(&project().join("fixtures/models").join(fixture.path)).unwrap();
    ServedModel {
        name: name.to_owned(),
        aliases: Vec::new(),
        version: Some("v1".to_owned()),
        style: Style::default(),
        method: None,
        state: ModelState::Ready(Box::new(loaded)),
    }
}

/// A server of some models.
pub(crate) fn server(models: Vec<ServedModel>, settings: Settings) -> Server {
    Server::new(models, settings).unwrap()
}

/// A response that came whole.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) fields: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        let mut fields = self.fields.iter();
        fields.find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }
}

/// Asks a handler.
pub(crate) fn ask(
    handler: &ServerHandler,
    method: &str,
    path: &str,
    fields: &[(String, String)],
    body: &[u8],
) -> Answer {
    let request = request(method, path, fields, body);
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(answer(handler, request))
}

/// A request.
pub(crate) fn request(method: &str, path: &str, fields: &[(String, String)], body: &[u8]) -> Request {
    let mut request_fields = Fields::new();
    for (name, value) in fields {
        request_fields.push(name, value);
    }
    let address = "127.0.0.1:1".parse().unwrap();
    Request {
        method: Method::from_bytes(method.as_bytes()).unwrap(),
        target: Target::new(path),
        version: Version::HTTP_11,
        fields: request_fields,
        body: Body::from(body.to_vec()),
        connection: Connection { peer: address, local: address, tls: None },
    }
}

/// What a handler answers.
pub(crate) async fn answer(handler: &ServerHandler, request: Request) -> Answer {
    let response = handler.handle(request).await;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let fields = response.fields.iter().map(|(name, value)| (text(name), text(value))).collect();
    let status = response.status.as_u16();
    let body = response.body.collect(100_000_000).await.unwrap();
    Answer { status, fields, body: body.to_vec() }
}

/// Asks a handler for a page.
pub(crate) fn get(handler: &ServerHandler, path: &str) -> Answer {
    ask(handler, "GET", path, &[], &[])
}

/// Sends JSON to a handler.
pub(crate) fn post(handler: &ServerHandler, path: &str, body: &str) -> Answer {
    let json = ("content-type".to_owned(), "application/json".to_owned());
    ask(handler, "POST", path, &[json], body.as_bytes())
}
