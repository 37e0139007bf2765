//! A part of a pickle: `model.pkl#model` means what a dict has under `model`, `#models.0.best` goes on inside of that.

use std::path::{Path, PathBuf};

use crate::fault::Fault;
use crate::object::Value;
use crate::record::Record;
use crate::sklearn;

/// How many keys of a dict an error tells.
const MAX_KEYS_SHOWN: usize = 20;
/// How many letters of one.
const SHOWN_LETTERS: usize = 60;

/// A path without the part that it names of its file, and that part. A file of that very name is meant itself.
#[must_use]
pub fn file_and_part(path: &Path) -> (PathBuf, Option<String>) {
    let split = || {
        let (file, part) = path.to_str()?.rsplit_once('#')?;
        let is_part = !file.is_empty() && !file.ends_with('/') && !part.is_empty() && !part.contains('/');
        is_part.then(|| (PathBuf::from(file), Some(part.to_owned())))
    };
    let whole = || (path.to_owned(), None);
    if path.exists() { whole() } else { split().unwrap_or_else(whole) }
}

/// The part of a value that a path of keys and places names. A key may have points in it.
pub(super) fn find<'s>(root: &Value<'s>, part: &str) -> Result<Value<'s>, Fault> {
    let (mut value, mut rest) = (*root, part);
    while !rest.is_empty() {
        let ends = rest.match_indices('.').map(|(at, _)| at).collect::<Vec<_>>();
        let heads = std::iter::once(rest.len()).chain(ends.into_iter().rev());
        let step = heads.filter_map(|end| Some((one(&value, &rest[..end])?, end))).next();
        let Some((next, end)) = step else { return Err(missing(&value, rest)) };
        value = next;
        rest = rest[end..].strip_prefix('.').unwrap_or_default();
    }
    Ok(value)
}

/// What a dict has under a key, or a list at a place.
fn one<'s>(value: &Value<'s>, key: &str) -> Option<Value<'s>> {
    if let Ok(pairs) = value.pairs() {
        return pairs
            .into_iter()
            .find(|(name, _)| name_of(name).as_deref() == Some(key))
            .map(|(_, value)| value);
    }
    match value.record() {
        Record::List(_) | Record::Tuple(_) => value.items().ok()?.into_iter().nth(key.parse().ok()?),
        _ => None,
    }
}

/// A key as a path names it.
fn name_of(key: &Value<'_>) -> Option<String> {
    match key.record() {
        Record::Text(text) => Some(text.to_string()),
        Record::Int(int) => Some(int.to_string()),
        _ => None,
    }
}

fn missing(value: &Value<'_>, key: &str) -> Fault {
    let key: String = key.chars().take(SHOWN_LETTERS).collect();
    let found = match (value.pairs(), value.record()) {
        (Ok(pairs), _) => format!("it has no part `{key}`; the dict there has {}", told(keys(&pairs))),
        (_, Record::List(ids) | Record::Tuple(ids)) => {
            format!("it has no part `{key}`; the list there has {} items, from 0", ids.len())
        }
        _ => format!("it has no part `{key}`; what is there is no dict and no list"),
    };
    Fault::UnknownFormat { found }
}

/// How to name the model, when a file holds a dict or a list with models in it.
pub(super) fn hint(root: &Value<'_>) -> Option<Fault> {
    let (kind, pairs) = match root.record() {
        Record::List(_) | Record::Tuple(_) => {
            let items = root.items().ok()?.into_iter().enumerate();
            ("list", items.map(|(index, item)| (index.to_string(), item)).collect::<Vec<_>>())
        }
        _ => {
            let pairs = root.pairs().ok()?.into_iter();
            ("dict", pairs.filter_map(|(key, value)| Some((name_of(&key)?, value))).collect())
        }
    };
    let is_model = |value: &Value<'_>| match value.record() {
        Record::Instance(instance) => sklearn::is_known(&instance.class),
        _ => false,
    };
    let models =
        pairs.iter().filter(|(_, value)| is_model(value)).map(|(key, _)| key.clone()).collect::<Vec<_>>();
    let found = match &models[..] {
        [] => {
            let keys = pairs.into_iter().map(|(key, _)| key).collect();
            format!("it is a {kind} without a model, of {}", told(keys))
        }
        [first, ..] => {
            let first: String = first.chars().take(SHOWN_LETTERS).collect();
            let others = if models.len() > 1 { format!(", one of {}", told(models)) } else { String::new() };
            format!(
                "it is a {kind} that holds a model; name it as the part `#{first}` at the end of the path{others}"
            )
        }
    };
    Some(Fault::UnknownFormat { found })
}

fn keys(pairs: &[(Value<'_>, Value<'_>)]) -> Vec<String> {
    pairs.iter().filter_map(|(key, _)| name_of(key)).collect()
}

/// Keys as they are told.
fn told(keys: Vec<String>) -> String {
    if keys.is_empty() {
        return "no keys".to_owned();
    }
    let more = keys.len().saturating_sub(MAX_KEYS_SHOWN);
    let shown: Vec<String> = keys
        .into_iter()
        .take(MAX_KEYS_SHOWN)
        .map(|key| format!("`{}`", key.chars().take(SHOWN_LETTERS).collect::<String>()))
        .collect();
    let rest = if more > 0 { format!(" and {more} more") } else { String::new() };
    shown.join(", ") + &rest
}
