//! Ingress (`networking.k8s.io/v1`).

use serde::Deserialize;

use crate::wire::Kept;

/// An Ingress.
#[derive(Debug, Deserialize)]
pub(crate) struct Ingress {
    pub(crate) spec: IngressSpec,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct IngressSpec {
    pub(crate) ingress_class_name: Option<String>,
    pub(crate) default_backend: Option<Backend>,
    pub(crate) tls: Vec<Tls>,
    pub(crate) rules: Vec<Rule>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Tls {
    pub(crate) hosts: Vec<String>,
    pub(crate) secret_name: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Rule {
    pub(crate) host: String,
    pub(crate) http: Http,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Http {
    pub(crate) paths: Vec<Path>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Path {
    #[serde(default)]
    pub(crate) path: String,
    #[serde(default)]
    pub(crate) path_type: PathType,
    pub(crate) backend: Backend,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
pub(crate) enum PathType {
    Exact,
    Prefix,
    #[default]
    ImplementationSpecific,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Backend {
    pub(crate) service: Option<BackendService>,
    pub(crate) resource: Option<Kept>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct BackendService {
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) port: BackendPort,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct BackendPort {
    pub(crate) name: Option<String>,
    pub(crate) number: Option<u16>,
}
