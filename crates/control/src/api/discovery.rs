//! Which kinds there are: the answers to `/api` and `/apis`, in the old form and in the aggregated one.

use manifest::{KINDS, Kind};
use serde_json::{Value, json};

use super::route::Subresource;

/// The media type of the aggregated form; kubectl takes the answer for what its type says.
pub(super) const AGGREGATED: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";

/// The kinds that `get all` shows, in its order.
pub fn kinds_of_all() -> impl Iterator<Item = &'static Kind> {
    groups().into_iter().flat_map(kinds_of).filter(|kind| kind.categories.contains(&"all"))
}

/// Whether an `Accept` field asks for the aggregated form before any other.
pub(super) fn is_aggregated(accept: Option<&str>) -> bool {
    let first = accept.and_then(|accept| accept.split(',').next()).unwrap_or_default();
    let parameters: Vec<&str> = first.split(';').map(str::trim).collect();
    parameters.contains(&"as=APIGroupDiscoveryList") && parameters.contains(&"v=v2")
}

/// `/api` or `/apis` in the aggregated form: all groups with all their kinds.
pub(super) fn aggregated(is_core: bool) -> Value {
    let groups = groups().into_iter().filter(|group| group.is_empty() == is_core);
    let items = groups.map(|group| {
        let versions = versions(group).into_iter().map(|version| {
            let kinds = kinds_of(group).filter(|kind| kind.version == version);
            json!({"version": version, "freshness": "Current", "resources": kinds.map(aggregated_kind).collect::<Vec<_>>()})
        });
        let metadata = if group.is_empty() { json!({}) } else { json!({"name": group}) };
        json!({"metadata": metadata, "versions": versions.collect::<Vec<_>>()})
    });
    json!({
        "kind": "APIGroupDiscoveryList",
        "apiVersion": "apidiscovery.k8s.io/v2",
        "metadata": {},
        "items": items.collect::<Vec<_>>(),
    })
}

fn aggregated_kind(kind: &Kind) -> Value {
    let subresources = Subresource::of(kind).map(|(name, subresource)| {
        let (verbs, response) = about(kind, subresource);
        json!({"subresource": name, "responseKind": response, "verbs": verbs})
    });
    let mut value = json!({
        "resource": kind.plural,
        "responseKind": group_version_kind(kind),
        "scope": if kind.is_namespaced { "Namespaced" } else { "Cluster" },
        "singularResource": kind.singular(),
        "verbs": kind.verbs,
        "shortNames": kind.short_names,
        "subresources": subresources.collect::<Vec<_>>(),
    });
    if !kind.categories.is_empty() {
        value["categories"] = json!(kind.categories);
    }
    value
}

/// The verbs of a subresource, and what its answers are.
fn about(kind: &Kind, subresource: Subresource) -> (&'static [&'static str], Value) {
    match subresource {
        Subresource::Status => (&["get", "patch", "update"], group_version_kind(kind)),
        Subresource::Scale => {
            (&["get", "patch", "update"], json!({"group": "autoscaling", "version": "v1", "kind": "Scale"}))
        }
        Subresource::Log => (&["get"], group_version_kind(kind)),
        Subresource::Exec => (&["create", "get"], options("PodExecOptions")),
        Subresource::Attach => (&["create", "get"], options("PodAttachOptions")),
        Subresource::PortForward => (&["create", "get"], options("PodPortForwardOptions")),
    }
}

/// A kind that is only ever the query of a request.
fn options(kind: &str) -> Value {
    json!({"group": "", "version": "v1", "kind": kind})
}

fn group_version_kind(kind: &Kind) -> Value {
    json!({"group": kind.group, "version": kind.version, "kind": kind.kind})
}

/// `/api` in the old form.
pub(super) fn core_versions() -> Value {
    json!({"kind": "APIVersions", "versions": versions(""), "serverAddressByClientCIDRs": []})
}

/// `/apis` in the old form.
pub(super) fn group_list() -> Value {
    let groups = groups().into_iter().filter(|group| !group.is_empty());
    json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups.map(about_group).collect::<Vec<_>>()})
}

/// `/apis/apps`
pub(super) fn group(group: &str) -> Value {
    let mut value = about_group(group);
    value["kind"] = json!("APIGroup");
    value["apiVersion"] = json!("v1");
    value
}

fn about_group(group: &str) -> Value {
    let versions: Vec<Value> = versions(group)
        .into_iter()
        .map(|version| json!({"groupVersion": format!("{group}/{version}"), "version": version}))
        .collect();
    json!({"name": group, "versions": versions, "preferredVersion": versions[0]})
}

/// `/api/v1`, `/apis/apps/v1`: the kinds of a version, and their subresources beside them.
pub(super) fn resource_list(group: &'static str, version: &str) -> Value {
    let kinds = kinds_of(group).filter(|kind| kind.version == version);
    let resources = kinds.flat_map(|kind| {
        let mut resource = json!({
            "name": kind.plural,
            "singularName": kind.singular(),
            "namespaced": kind.is_namespaced,
            "kind": kind.kind,
            "verbs": kind.verbs,
            "shortNames": kind.short_names,
        });
        if !kind.categories.is_empty() {
            resource["categories"] = json!(kind.categories);
        }
        let subresources = Subresource::of(kind).map(|(name, subresource)| {
            let (verbs, response) = about(kind, subresource);
            let mut value = response;
            value["name"] = json!(format!("{}/{name}", kind.plural));
            value["singularName"] = json!("");
            value["namespaced"] = json!(kind.is_namespaced);
            value["verbs"] = json!(verbs);
            value
        });
        std::iter::once(resource).chain(subresources).collect::<Vec<_>>()
    });
    let group_version = if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") };
    json!({
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": group_version,
        "resources": resources.collect::<Vec<_>>(),
    })
}

/// All groups, the core group first, the others in the order of the alphabet.
pub(super) fn groups() -> Vec<&'static str> {
    distinct(KINDS.iter().map(|kind| kind.group))
}

/// The versions of a group.
pub(super) fn versions(group: &str) -> Vec<&'static str> {
    distinct(KINDS.iter().filter(|kind| kind.group == group).map(|kind| kind.version))
}

/// The kinds of a group, in the order of the alphabet.
pub(super) fn kinds_of(group: &'static str) -> impl Iterator<Item = &'static Kind> {
    let mut kinds: Vec<&Kind> = KINDS.iter().copied().filter(|kind| kind.group == group).collect();
    kinds.sort_by_key(|kind| kind.plural);
    kinds.into_iter()
}

fn distinct(texts: impl Iterator<Item = &'static str>) -> Vec<&'static str> {
    let texts: std::collections::BTreeSet<_> = texts.collect();
    texts.into_iter().collect()
}
