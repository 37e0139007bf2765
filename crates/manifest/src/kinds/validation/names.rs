//! Names: of Services and ports, of labels and annotations and what labels hold, and the keys of ConfigMaps and Secrets.

use serde_json::{Map, Value, json};

use super::{Violation, at, items};
use crate::Object;
use crate::read::key_path;

/// The rule of DNS labels (RFC 1123 §2.1), as names of containers and ports are.
pub(super) const LABEL_RULE: &str = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";
/// The rule of host names (RFC 1123 §2.1).
pub(crate) const SUBDOMAIN_RULE: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
/// The rule of Services, which become names of hosts (RFC 1035 §2.3.1).
pub(crate) const SERVICE_RULE: &str = "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')";
const VALUE_RULE: &str = "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";
const NAME_RULE: &str = "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";
const KEY_RULE: &str = "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')";

const FINALIZER_RULE: &str = "name is neither a standard finalizer name nor is it fully qualified";

/// Finalizers without a domain.
const FINALIZERS: &[&str] = &["foregroundDeletion", "kubernetes", "orphan"];

const MAX_LABEL: usize = 63;
const MAX_SUBDOMAIN: usize = 253;

pub(super) fn check(object: &Object, found: &mut Vec<Violation>) {
    let (kind, value) = (object.kind, &object.value);
    check_labels(value, "metadata", found);
    let controllers =
        || items(&value["metadata"], "ownerReferences").iter().filter(|it| it["controller"] == true);
    if let [one, other, ..] =
        controllers().map(|it| it["name"].as_str().unwrap_or_default()).collect::<Vec<_>>()[..]
    {
        let why = format!(
            "Only one reference can have Controller set to true. Found \"true\" in references for {one} and {other}"
        );
        found.push(Violation::invalid(
            "metadata.ownerReferences",
            &value["metadata"]["ownerReferences"],
            why,
        ));
    }
    for finalizer in items(&value["metadata"], "finalizers") {
        let written = finalizer.as_str().unwrap_or_default();
        let rule = problem_of_label_key(written).or_else(|| {
            let is_known = written.contains('/') || FINALIZERS.contains(&written);
            (!is_known).then(|| FINALIZER_RULE.to_owned())
        });
        found.extend(rule.map(|rule| Violation::invalid("metadata.finalizers", finalizer, rule)));
    }
    if let Some(template) = kind.pods.spec().and_then(|place| place.strip_suffix(".spec")) {
        check_labels(value, &format!("{template}.metadata"), found);
    }
    // Keys are names of files or variables.
    for map in kind.rules.texts.iter().chain(kind.rules.bytes) {
        for key in fields(value, map).map(|(key, _)| key).filter(|key| !is_key(key)) {
            found.push(Violation::invalid(key_path(map, key), &json!(key), KEY_RULE));
        }
    }
}

fn check_labels(value: &Value, metadata: &str, found: &mut Vec<Violation>) {
    for field in ["labels", "annotations"] {
        let path = format!("{metadata}.{field}");
        for (key, text) in fields(value, &path) {
            // Kubernetes takes keys of annotations in any case.
            if let Some(rule) = problem_of_label_key(&key.to_ascii_lowercase()) {
                found.push(Violation::invalid(key_path(&path, key), &json!(key), rule));
            }
            if field == "labels"
                && let Some(rule) = text.as_str().and_then(problem_of_label_value)
            {
                found.push(Violation::invalid(key_path(&path, key), text, rule));
            }
        }
    }
}

/// Why a text is no name with perhaps a domain before it (`IsQualifiedName` of Kubernetes).
#[must_use]
pub fn problem_of_label_key(key: &str) -> Option<String> {
    let (prefix, name) = match key.split_once('/') {
        Some((prefix, name)) => (Some(prefix), name),
        None => (None, key),
    };
    match prefix {
        Some("") => return Some("prefix part must be non-empty".to_owned()),
        Some(prefix) if !is_subdomain(prefix) => return Some(format!("prefix part {SUBDOMAIN_RULE}")),
        _ => {}
    }
    match name {
        "" => Some("name part must be non-empty".to_owned()),
        name if name.len() > MAX_LABEL => {
            Some(format!("name part must be no more than {MAX_LABEL} characters"))
        }
        name => (!is_name(name)).then(|| NAME_RULE.to_owned()),
    }
}

/// Why a text is nothing that a label holds.
#[must_use]
pub fn problem_of_label_value(value: &str) -> Option<String> {
    (!value.is_empty() && !is_name(value)).then(|| VALUE_RULE.to_owned())
}

fn fields<'a>(value: &'a Value, path: &str) -> impl Iterator<Item = (&'a String, &'a Value)> {
    at(value, path).and_then(Value::as_object).into_iter().flat_map(Map::iter)
}

/// What a label may hold, and be called.
fn is_name(text: &str) -> bool {
    let is_inner = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    let is_outer = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    let bytes = text.as_bytes();
    text.len() <= MAX_LABEL && text.bytes().all(is_inner) && is_outer(bytes.first()) && is_outer(bytes.last())
}

fn is_key(key: &str) -> bool {
    let is_inner = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    !key.is_empty() && key.len() <= MAX_SUBDOMAIN && key.bytes().all(is_inner)
}

/// Whether a name is a label of DNS.
pub(super) fn is_label(name: &str) -> bool {
    let is_inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    !name.is_empty()
        && name.len() <= MAX_LABEL
        && name.bytes().all(is_inner)
        && !name.starts_with('-')
        && !name.ends_with('-')
}

/// Whether a name is a label of DNS that begins with a letter (RFC 1035 §2.3.1).
pub(crate) fn is_dns_1035(name: &str) -> bool {
    is_label(name) && name.starts_with(|first: char| first.is_ascii_lowercase())
}

/// Whether a name is one of a host.
pub(crate) fn is_subdomain(name: &str) -> bool {
    name.len() <= MAX_SUBDOMAIN && name.split('.').all(is_label)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_names_with_perhaps_a_domain() {
        for good in
            ["a", "app.kubernetes.io/name", "A_b.c-1", "kubectl.kubernetes.io/last-applied-configuration"]
        {
            assert_eq!(problem_of_label_key(&good.to_ascii_lowercase()), None, "{good}");
        }
        for (bad, words) in [
            ("a b", "name part must consist of"),
            ("", "name part must be non-empty"),
            ("a/", "name part must be non-empty"),
            ("/a", "prefix part must be non-empty"),
            ("a_b/c", "prefix part a lowercase RFC 1123 subdomain"),
            ("a/b/c", "name part must consist of"),
            (&"a".repeat(64), "name part must be no more than 63"),
        ] {
            assert!(problem_of_label_key(bad).unwrap().starts_with(words), "{bad}");
        }
    }
}
