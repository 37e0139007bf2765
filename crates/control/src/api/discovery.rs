//! Which kinds there are: the answers to `/api` and `/apis`, in the old form and in the aggregated one.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use manifest::{Kind, Kinds};
use serde_json::{Value, json};

use super::questions::{QUESTIONS, Question};
use super::route::Subresource;

/// The versions of the aggregated form, with their media types; kubectl takes the answer for what its type says.
const AGGREGATED: &[(&str, &str)] = &[
    ("v2", "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"),
    ("v2beta1", "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList"),
];

/// The kinds that `get all` shows, in its order.
pub fn kinds_of_all() -> impl Iterator<Item = &'static Kind> {
    let kinds = Kinds::default();
    let all: Vec<&'static Kind> =
        groups(&kinds).into_iter().flat_map(|group| kinds_of(group, &kinds)).collect();
    // One that is served in several versions is one kind.
    let mut seen = BTreeSet::new();
    let is_first = move |kind: &&Kind| seen.insert((kind.group, kind.kind));
    all.into_iter().filter(|kind| kind.categories.contains(&"all")).filter(is_first)
}

/// The version of the aggregated form that an `Accept` field asks for before any other form, and its media type.
pub(super) fn aggregated_form(accept: Option<&str>) -> Option<(&'static str, &'static str)> {
    let mut forms = accept?.split(',').map(|range| {
        let parameters: Vec<&str> = range.split(';').map(str::trim).collect();
        let is_plain = !parameters.iter().any(|parameter| parameter.starts_with("as="));
        let is_list = parameters.contains(&"as=APIGroupDiscoveryList");
        let version = |(version, _): &&(&str, &str)| parameters.contains(&&*format!("v={version}"));
        let found = AGGREGATED.iter().filter(|_| is_list).find(version).copied();
        (is_plain && ["application/json", "*/*"].contains(&parameters[0]), found)
    });
    forms.find(|(is_plain, found)| *is_plain || found.is_some()).and_then(|(_, found)| found)
}

/// `/api` or `/apis` in the aggregated form: all groups with all their kinds.
pub(super) fn aggregated(is_core: bool, form: &str, kinds: &Kinds) -> Value {
    let groups = all_groups(kinds).into_iter().filter(|group| group.is_empty() == is_core);
    let items = groups.map(|group| {
        let versions = all_versions(group, kinds).into_iter().map(|version| {
            let kinds = kinds_of(group, kinds).filter(|kind| kind.version == version).map(aggregated_kind);
            let questions = questions_of(group, version).map(aggregated_question);
            json!({"version": version, "freshness": "Current", "resources": kinds.chain(questions).collect::<Vec<_>>()})
        });
        let metadata = if group.is_empty() { json!({}) } else { json!({"name": group}) };
        json!({"metadata": metadata, "versions": versions.collect::<Vec<_>>()})
    });
    json!({
        "kind": "APIGroupDiscoveryList",
        "apiVersion": format!("apidiscovery.k8s.io/{form}"),
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

fn aggregated_question(question: &Question) -> Value {
    json!({
        "resource": question.plural,
        "responseKind": {"group": question.group, "version": question.version, "kind": question.kind},
        "scope": if question.is_namespaced { "Namespaced" } else { "Cluster" },
        "singularResource": question.singular(),
        "verbs": question.verbs,
    })
}

/// The verbs of a subresource, and what its answers are.
fn about(kind: &Kind, subresource: Subresource) -> (&'static [&'static str], Value) {
    match subresource {
        Subresource::Status | Subresource::EphemeralContainers | Subresource::Resize => {
            (&["get", "patch", "update"], group_version_kind(kind))
        }
        Subresource::Scale => {
            (&["get", "patch", "update"], json!({"group": "autoscaling", "version": "v1", "kind": "Scale"}))
        }
        Subresource::Log => (&["get"], group_version_kind(kind)),
        Subresource::Exec => (&["create", "get"], options("PodExecOptions")),
        Subresource::Attach => (&["create", "get"], options("PodAttachOptions")),
        Subresource::Finalize => (&["update"], group_version_kind(kind)),
        Subresource::PortForward => (&["create", "get"], options("PodPortForwardOptions")),
        Subresource::Eviction => {
            (&["create"], json!({"group": "policy", "version": "v1", "kind": "Eviction"}))
        }
        Subresource::Token => {
            (&["create"], json!({"group": "authentication.k8s.io", "version": "v1", "kind": "TokenRequest"}))
        }
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
    json!({"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []})
}

/// `/apis` in the old form.
pub(super) fn group_list(kinds: &Kinds) -> Value {
    let groups = all_groups(kinds).into_iter().filter(|group| !group.is_empty());
    json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups.map(|group| about_group(group, kinds)).collect::<Vec<_>>()})
}

/// `/apis/apps`
pub(super) fn group(group: &str, kinds: &Kinds) -> Value {
    let mut value = about_group(group, kinds);
    value["kind"] = json!("APIGroup");
    value["apiVersion"] = json!("v1");
    value
}

fn about_group(group: &str, kinds: &Kinds) -> Value {
    let versions: Vec<Value> = all_versions(group, kinds)
        .into_iter()
        .map(|version| json!({"groupVersion": format!("{group}/{version}"), "version": version}))
        .collect();
    json!({"name": group, "versions": versions, "preferredVersion": versions[0]})
}

/// `/api/v1`, `/apis/apps/v1`: the kinds of a version, and their subresources beside them.
pub(super) fn resource_list(group: &'static str, version: &str, kinds: &Kinds) -> Value {
    let kinds = kinds_of(group, kinds).filter(|kind| kind.version == version);
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
    let questions = questions_of(group, version).map(|question| {
        json!({
            "name": question.plural,
            "singularName": question.singular(),
            "namespaced": question.is_namespaced,
            "kind": question.kind,
            "verbs": question.verbs,
        })
    });
    let resources = resources.chain(questions);
    let group_version = if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") };
    json!({
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": group_version,
        "resources": resources.collect::<Vec<_>>(),
    })
}

/// Every group with its versions.
pub(super) fn all(kinds: &Kinds) -> impl Iterator<Item = (&'static str, Vec<&'static str>)> {
    all_groups(kinds).into_iter().map(|group| (group, all_versions(group, kinds)))
}

/// All groups, those of questions too: the core group first, the others in the order of the alphabet.
fn all_groups(kinds: &Kinds) -> Vec<&'static str> {
    distinct(kinds.all().map(|kind| kind.group).chain(QUESTIONS.iter().map(|question| question.group)))
}

/// The versions of a group, with those of questions, the most wanted one first.
fn all_versions(group: &str, kinds: &Kinds) -> Vec<&'static str> {
    let of_kinds = kinds.all().filter(|kind| kind.group == group).map(|kind| kind.version);
    let of_questions =
        QUESTIONS.iter().filter(|question| question.group == group).map(|question| question.version);
    let mut versions = distinct(of_kinds.chain(of_questions));
    versions.sort_by_key(|version| Reverse(maturity(version)));
    versions
}

/// How much a version is wanted: `v2`, `v1`, `v1beta2`, `v1beta1`, `v1alpha1`, and then what is called otherwise ("Version
/// priority", CustomResourceDefinitions, Kubernetes documentation).
fn maturity(version: &str) -> (u8, u32, u32, Reverse<&str>) {
    let number = |text: &str| text.parse::<u32>().ok();
    let read = || {
        let rest = version.strip_prefix('v')?;
        for (stage, word) in ["alpha", "beta"].iter().enumerate() {
            if let Some((major, minor)) = rest.split_once(word) {
                return Some((u8::try_from(stage).ok()? + 1, number(major)?, number(minor)?));
            }
        }
        Some((3, number(rest)?, 0))
    };
    let (stage, major, minor) = read().unwrap_or_default();
    (stage, major, minor, Reverse(version))
}

fn questions_of(group: &str, version: &str) -> impl Iterator<Item = &'static Question> {
    QUESTIONS.iter().filter(move |question| (question.group, question.version) == (group, version))
}

/// The kinds of a group, in the order of the alphabet.
fn kinds_of(group: &'static str, kinds: &Kinds) -> impl Iterator<Item = &'static Kind> {
    let mut kinds: Vec<&Kind> = kinds.all().filter(|kind| kind.group == group).collect();
    kinds.sort_by_key(|kind| kind.plural);
    kinds.into_iter()
}

fn groups(kinds: &Kinds) -> Vec<&'static str> {
    distinct(kinds.all().map(|kind| kind.group))
}

fn distinct(texts: impl Iterator<Item = &'static str>) -> Vec<&'static str> {
    let texts: BTreeSet<_> = texts.collect();
    texts.into_iter().collect()
}
