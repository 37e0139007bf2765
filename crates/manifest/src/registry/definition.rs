//! CustomResourceDefinitions: kinds that somebody brings. What is declared by one is [`declared`](super::declared).

use std::collections::BTreeSet;

use schema::structural;
use serde_json::{Map, Value, json};

use super::columns::CREATED;
use super::declared::{self, DEFINITION};
use super::fill::{fields, set_missing};
use super::{KINDS, Kind, STATUS, cluster, json_path};
use crate::kinds::validation::names::{SERVICE_RULE, SUBDOMAIN_RULE, is_dns_1035, is_subdomain};
use crate::kinds::validation::{Rules, Violation};
use crate::{Object, Objects};

pub(super) static CUSTOM_RESOURCE_DEFINITION: Kind = Kind {
    short_names: &["crd", "crds"],
    categories: &["api-extensions"],
    columns: CREATED,
    subresources: STATUS,
    fill,
    change,
    rules: Rules { check, ..Rules::NONE },
    ..cluster("apiextensions.k8s.io", "v1", DEFINITION, "customresourcedefinitions")
};

/// The longest schemas of a definition, in bytes of JSON.
const BYTES: usize = 2 << 20;
/// How many versions, names and columns there may be of each.
const MANY: usize = 100;

/// Whether a definition is of a kind that stands in the program.
#[must_use]
pub fn is_of_program(definition: &Value) -> bool {
    let spec = &definition["spec"];
    let is_it = |kind: &&&Kind| kind.group == spec["group"] && kind.plural == spec["names"]["plural"];
    KINDS.iter().any(|kind| is_it(&kind))
}

// --- what is filled in ---

fn fill(object: &mut Object, old: Option<&Object>, all: &Objects) {
    let Some(definition) = object.value.as_object_mut() else { return };
    if let Some(spec) = fields(definition, "spec") {
        set_missing(spec, [("conversion", json!({"strategy": "None"}))]);
        if spec.get("preserveUnknownFields") == Some(&json!(false)) {
            spec.remove("preserveUnknownFields");
        }
        if let Some(names) = fields(spec, "names") {
            let kind = names.get("kind").and_then(Value::as_str).unwrap_or_default().to_owned();
            set_missing(
                names,
                [("singular", json!(kind.to_lowercase())), ("listKind", json!(format!("{kind}List")))],
            );
        }
    }
    let status = status(object, old, all);
    if let Some(definition) = object.value.as_object_mut() {
        definition.insert("status".to_owned(), status);
    }
}

/// Whether the names are accepted and the kind is served.
fn status(object: &Object, old: Option<&Object>, all: &Objects) -> Value {
    let (spec, metadata) = (&object.value["spec"], &object.value["metadata"]);
    let old = old.map_or(&Value::Null, |old| &old.value["status"]);
    let conflict = conflict(object, all);
    let condition = |kind: &str, is: bool, reason: &str, message: &str| {
        let status = if is { "True" } else { "False" };
        let before = list(old, "conditions").iter().find(|it| it["type"] == kind && it["status"] == status);
        let since = before.map_or(&metadata["creationTimestamp"], |it| &it["lastTransitionTime"]);
        json!({"type": kind, "status": status, "reason": reason, "message": message, "lastTransitionTime": since})
    };
    let mut conditions: Vec<Value> = match &conflict {
        None => vec![
            condition("NamesAccepted", true, "NoConflicts", "no conflicts found"),
            condition("Established", true, "InitialNamesAccepted", "the initial names have been accepted"),
        ],
        Some((reason, message)) => vec![
            condition("NamesAccepted", false, reason, message),
            condition("Established", false, "NotAccepted", "not all names are accepted"),
        ],
    };
    conditions.extend(list(old, "conditions").iter().filter(|it| it["type"] == "Terminating").cloned());
    let mut stored: Vec<Value> = list(old, "storedVersions").to_vec();
    let storage = list(spec, "versions").iter().find(|version| version["storage"] == true);
    if let Some(name) = storage.map(|storage| &storage["name"]).filter(|name| !stored.contains(name)) {
        stored.push(name.clone());
    }
    let names = if conflict.is_some() { json!({"kind": "", "plural": ""}) } else { spec["names"].clone() };
    json!({"acceptedNames": names, "conditions": conditions, "storedVersions": stored})
}

/// Why a name is not accepted, if another definition of the group, or the program, has it.
fn conflict(object: &Object, all: &Objects) -> Option<(&'static str, String)> {
    let (group, names) = (&object.value["spec"]["group"], &object.value["spec"]["names"]);
    if is_of_program(&object.value) {
        return None;
    }
    let mut taken: BTreeSet<String> = BTreeSet::new();
    let mut taken_kinds: BTreeSet<String> = BTreeSet::new();
    for kind in KINDS.iter().filter(|kind| kind.group == *group) {
        let short_names = kind.short_names.iter().map(|name| (*name).to_owned());
        taken.extend([kind.plural.to_owned(), kind.singular()].into_iter().chain(short_names));
        taken_kinds.extend([kind.kind.to_owned(), kind.list_kind()]);
    }
    let others = all.of_kind(DEFINITION).filter(|other| other.name != object.name);
    for other in others.filter(|other| other.value["spec"]["group"] == *group) {
        let accepted = &other.value["status"]["acceptedNames"];
        let short_names = list(accepted, "shortNames").iter();
        let texts = short_names.chain([&accepted["plural"], &accepted["singular"]]);
        taken.extend(texts.filter_map(Value::as_str).map(ToOwned::to_owned));
        let kinds = [&accepted["kind"], &accepted["listKind"]].into_iter();
        taken_kinds.extend(kinds.filter_map(Value::as_str).map(ToOwned::to_owned));
    }
    let is_taken = |name: &Value| name.as_str().is_some_and(|name| taken.contains(name));
    let is_taken_kind = |name: &Value| name.as_str().is_some_and(|name| taken_kinds.contains(name));
    let short = list(names, "shortNames").iter().find(|name| is_taken(name));
    let found = [
        (Some(&names["plural"]).filter(|name| is_taken(name)), "PluralConflict"),
        (Some(&names["singular"]).filter(|name| is_taken(name)), "SingularConflict"),
        (short, "ShortNamesConflict"),
        (Some(&names["kind"]).filter(|name| is_taken_kind(name)), "KindConflict"),
        (Some(&names["listKind"]).filter(|name| is_taken_kind(name)), "ListKindConflict"),
    ];
    let first = found.into_iter().find_map(|(name, reason)| Some((name?, reason)))?;
    Some((first.1, format!("{} is already in use", first.0)))
}

// --- what is refused ---

fn check(object: &Value, found: &mut Vec<Violation>) {
    let spec = &object["spec"];
    if !spec.is_object() {
        return found.push(Violation::required("spec", ""));
    }
    let (group, plural) = (text(spec, "group"), text(&spec["names"], "plural"));
    let name = text(&object["metadata"], "name");
    if !group.is_empty() && name != format!("{plural}.{group}") {
        let why = "must be spec.names.plural+\".\"+spec.group";
        found.push(Violation::invalid("metadata.name", &json!(name), why));
    }
    let is_protected = group.ends_with(".k8s.io")
        || group.ends_with(".kubernetes.io")
        || group == "k8s.io"
        || group == "kubernetes.io";
    let approval = &object["metadata"]["annotations"]["api-approved.kubernetes.io"];
    if is_protected && approval.as_str().is_none_or(str::is_empty) && !is_of_program(object) {
        let field = "metadata.annotations[api-approved.kubernetes.io]";
        let why = "protected groups must have approval annotation \"api-approved.kubernetes.io\", see https://github.com/kubernetes/enhancements/pull/1111";
        found.push(Violation::required(field, why));
    }
    match group {
        "" => found.push(Violation::required("spec.group", "")),
        group if !is_subdomain(group) => {
            found.push(Violation::invalid("spec.group", &json!(group), SUBDOMAIN_RULE));
        }
        group if !group.contains('.') => {
            found.push(Violation::invalid(
                "spec.group",
                &json!(group),
                "should be a domain with at least one dot",
            ));
        }
        _ => {}
    }
    match text(spec, "scope") {
        "" => found.push(Violation::required("spec.scope", "")),
        "Cluster" | "Namespaced" => {}
        other => found.push(Violation::unsupported("spec.scope", other, &["Cluster", "Namespaced"])),
    }
    check_names(&spec["names"], found);
    if spec["preserveUnknownFields"] == true {
        let why = "cannot set to true, set x-kubernetes-preserve-unknown-fields to true in spec.versions[*].schema instead";
        found.push(Violation::invalid("spec.preserveUnknownFields", &json!(true), why));
    }
    check_conversion(&spec["conversion"], found);
    check_versions(list(spec, "versions"), found);
    if declared::is_full() {
        let why = "this platform has known as many names of kinds as it can since it was started: restart it";
        found.push(Violation::forbidden("spec.names", why));
    }
}

fn check_names(names: &Value, found: &mut Vec<Violation>) {
    let mut name = |field: &str, is_required: bool, why: &str| {
        let written = text(names, field);
        let path = format!("spec.names.{field}");
        if written.is_empty() && is_required {
            found.push(Violation::required(path, ""));
        } else if !written.is_empty() && !is_dns_1035(&written.to_lowercase()) {
            found.push(Violation::invalid(path, &json!(written), format!("{why}{SERVICE_RULE}")));
        }
    };
    const MIXED: &str = "may have mixed case, but should otherwise match: ";
    name("plural", true, "");
    name("singular", false, "");
    name("kind", true, MIXED);
    name("listKind", false, MIXED);
    for field in ["plural", "singular"] {
        let written = text(names, field);
        if written.to_lowercase() != written && is_dns_1035(&written.to_lowercase()) {
            found.push(Violation::invalid(format!("spec.names.{field}"), &json!(written), SERVICE_RULE));
        }
    }
    if !text(names, "kind").is_empty() && names["kind"] == names["listKind"] {
        let why = "kind and listKind may not be the same";
        found.push(Violation::invalid("spec.names.listKind", &names["listKind"], why));
    }
    for field in ["shortNames", "categories"] {
        let all = list(names, field);
        if all.len() > MANY {
            let why = format!("must have at most {MANY} items");
            found.push(Violation::invalid(format!("spec.names.{field}"), &json!(all.len()), why));
        }
        for (nth, name) in all.iter().take(MANY).enumerate() {
            if !name.as_str().is_some_and(is_dns_1035) {
                found.push(Violation::invalid(format!("spec.names.{field}[{nth}]"), name, SERVICE_RULE));
            }
        }
    }
}

fn check_conversion(conversion: &Value, found: &mut Vec<Violation>) {
    match text(conversion, "strategy") {
        "" if conversion.is_null() => {}
        "" => found.push(Violation::required("spec.conversion.strategy", "")),
        "None" if !conversion["webhook"].is_null() => {
            let why = "should not be set when strategy is not set to Webhook";
            found.push(Violation::forbidden("spec.conversion.webhook", why));
        }
        "Webhook" if conversion["webhook"]["clientConfig"].is_null() => {
            let why = "required when strategy is set to Webhook";
            found.push(Violation::required("spec.conversion.webhook.clientConfig", why));
        }
        "None" | "Webhook" => {}
        other => found.push(Violation::unsupported("spec.conversion.strategy", other, &["None", "Webhook"])),
    }
}

fn check_versions(versions: &[Value], found: &mut Vec<Violation>) {
    const FIELD: &str = "spec.versions";
    if versions.is_empty() {
        return found.push(Violation::required(FIELD, "must have at least one version"));
    }
    let n_bytes = versions.iter().map(|version| version.to_string().len()).sum::<usize>();
    if versions.len() > MANY || n_bytes > BYTES {
        let why = format!("must be at most {MANY} versions of at most {BYTES} bytes together");
        return found.push(Violation::invalid(FIELD, &json!(n_bytes), why));
    }
    let names: Vec<&str> = versions.iter().map(|version| text(version, "name")).collect();
    let shown = || json!(names);
    let n_stored = versions.iter().filter(|version| version["storage"] == true).count();
    if n_stored != 1 {
        found.push(Violation::invalid(
            FIELD,
            &shown(),
            "must have exactly one version marked as storage version",
        ));
    }
    if names.iter().collect::<BTreeSet<_>>().len() != names.len() {
        found.push(Violation::invalid(FIELD, &shown(), "must contain unique version names"));
    }
    for (nth, version) in versions.iter().enumerate() {
        let at = |field: &str| format!("{FIELD}[{nth}].{field}");
        let name = names[nth];
        if name.is_empty() {
            found.push(Violation::required(at("name"), ""));
        } else if !is_dns_1035(name) {
            found.push(Violation::invalid(at("name"), &json!(name), SERVICE_RULE));
        }
        for field in ["served", "storage"].into_iter().filter(|field| !version[*field].is_boolean()) {
            found.push(Violation::required(at(field), ""));
        }
        match version.pointer("/schema/openAPIV3Schema").filter(|schema| !schema.is_null()) {
            None => found.push(Violation::required(at("schema.openAPIV3Schema"), "schemas are required")),
            Some(schema) => {
                let problems = structural::check(schema, &at("schema.openAPIV3Schema"));
                found.extend(problems.into_iter().map(Violation::from));
            }
        }
        check_columns(list(version, "additionalPrinterColumns"), &at("additionalPrinterColumns"), found);
        check_scale(&version["subresources"]["scale"], &at("subresources.scale"), found);
        let fields = list(version, "selectableFields");
        if fields.len() > 8 {
            let why = "must have at most 8 selectable fields";
            found.push(Violation::invalid(at("selectableFields"), &json!(fields.len()), why));
        }
        for (nth, field) in fields.iter().enumerate() {
            let path = text(field, "jsonPath");
            if !path.starts_with('.') || path.contains(['[', '*']) || path.starts_with(".metadata") {
                let why = "must be a simple path below the object that is not in its metadata";
                let place = format!("{}[{nth}].jsonPath", at("selectableFields"));
                found.push(Violation::invalid(place, &json!(path), why));
            }
        }
    }
}

fn check_columns(columns: &[Value], path: &str, found: &mut Vec<Violation>) {
    if columns.len() > MANY {
        let why = format!("must have at most {MANY} items");
        found.push(Violation::invalid(path, &json!(columns.len()), why));
    }
    for (nth, column) in columns.iter().take(MANY).enumerate() {
        let at = |field: &str| format!("{path}[{nth}].{field}");
        if text(column, "name").is_empty() {
            found.push(Violation::required(at("name"), ""));
        }
        match text(column, "type") {
            "" => {
                found.push(Violation::required(
                    at("type"),
                    "must be one of boolean,date,integer,number,string",
                ));
            }
            "boolean" | "date" | "integer" | "number" | "string" => {}
            other => {
                let why = "must be one of boolean,date,integer,number,string";
                found.push(Violation::invalid(at("type"), &json!(other), why));
            }
        }
        match text(column, "jsonPath") {
            "" => found.push(Violation::required(at("jsonPath"), "")),
            written if !json_path::is_path(written) => {
                let why = "must be a simple json path starting with .";
                found.push(Violation::invalid(at("jsonPath"), &json!(written), why));
            }
            _ => {}
        }
    }
}

fn check_scale(scale: &Value, path: &str, found: &mut Vec<Violation>) {
    if scale.is_null() {
        return;
    }
    for (field, above, is_required) in [
        ("specReplicasPath", ".spec.", true),
        ("statusReplicasPath", ".status.", true),
        ("labelSelectorPath", ".", false),
    ] {
        let written = text(scale, field);
        let place = format!("{path}.{field}");
        if written.is_empty() {
            if is_required {
                found.push(Violation::required(place, ""));
            }
        } else if !written.starts_with(above) || written.contains('[') {
            let why = match above {
                "." => "should be a json path under either .status or .spec".to_owned(),
                above => format!("should be a json path under {}", above.trim_end_matches('.')),
            };
            found.push(Violation::invalid(place, &json!(written), why));
        }
    }
}

fn change(new: &Value, old: &Value, found: &mut Vec<Violation>) {
    for field in ["group", "scope"] {
        if new["spec"][field] != old["spec"][field] {
            found.push(Violation::invalid(
                format!("spec.{field}"),
                &new["spec"][field],
                "field is immutable",
            ));
        }
    }
    if new["spec"]["names"]["kind"] != old["spec"]["names"]["kind"] {
        let value = &new["spec"]["names"]["kind"];
        found.push(Violation::invalid("spec.names.kind", value, "field is immutable"));
    }
    let names: BTreeSet<&str> = list(&new["spec"], "versions").iter().map(|it| text(it, "name")).collect();
    for (nth, stored) in list(&old["status"], "storedVersions").iter().enumerate() {
        if !names.contains(stored.as_str().unwrap_or_default()) {
            let version = stored.as_str().unwrap_or_default();
            let why = format!(
                "missing from spec.versions; {version} was previously a storage version, and must remain in spec.versions until a storage migration ensures no data remains persisted in {version} and removes {version} from status.storedVersions"
            );
            found.push(Violation::invalid(format!("status.storedVersions[{nth}]"), stored, why));
        }
    }
}

fn list<'a>(value: &'a Value, field: &str) -> &'a [Value] {
    value.get(field).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value.get(field).and_then(Value::as_str).unwrap_or_default()
}

/// Whether a schema has rules that nothing here checks.
pub(crate) fn has_rules(schema: &Value) -> bool {
    match schema {
        Value::Object(words) => has_rules_in(words),
        Value::Array(all) => all.iter().any(has_rules),
        _ => false,
    }
}

fn has_rules_in(words: &Map<String, Value>) -> bool {
    let has_own =
        words.get("x-kubernetes-validations").and_then(Value::as_array).is_some_and(|it| !it.is_empty());
    has_own || words.values().any(has_rules)
}
