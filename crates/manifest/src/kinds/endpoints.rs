//! EndpointSlice (`discovery.k8s.io/v1`) and the older Endpoints (`v1`): the addresses behind a Service.

use serde::Deserialize;

use crate::wire::Kept;

/// An EndpointSlice.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct EndpointSlice {
    #[serde(default)]
    pub(crate) endpoints: Vec<Endpoint>,
    #[serde(default)]
    pub(crate) ports: Vec<EndpointPort>,
    #[serde(default, rename = "addressType")]
    _address_type: Kept,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Endpoint {
    pub(crate) addresses: Vec<String>,
    pub(crate) conditions: Conditions,
    pub(crate) zone: Option<String>,
    hostname: Kept,
    node_name: Kept,
    target_ref: Kept,
    hints: Kept,
    deprecated_topology: Kept,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Conditions {
    /// Nothing said means ready.
    pub(crate) ready: Option<bool>,
    serving: Kept,
    terminating: Kept,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct EndpointPort {
    pub(crate) name: Option<String>,
    pub(crate) port: Option<u16>,
    protocol: Kept,
    app_protocol: Kept,
}

/// Endpoints.
#[derive(Debug, Deserialize)]
pub(crate) struct Endpoints {
    #[serde(default)]
    pub(crate) subsets: Vec<Subset>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Subset {
    pub(crate) addresses: Vec<Address>,
    pub(crate) not_ready_addresses: Vec<Address>,
    pub(crate) ports: Vec<EndpointPort>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Address {
    pub(crate) ip: String,
    hostname: Kept,
    node_name: Kept,
    target_ref: Kept,
}
