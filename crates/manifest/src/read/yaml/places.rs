//! The places of fields, by their paths.

use std::collections::BTreeMap;

/// The most text in the paths that are remembered; fields beyond it are located by what is around them.
const MAX_PATH_BYTES: usize = 16 << 20;

/// Line and column, from 1.
pub(super) type Place = (u32, u32);

/// Line and column of fields by their path.
#[derive(Default)]
pub(crate) struct Places {
    by_path: BTreeMap<String, Place>,
    path_bytes: usize,
}

/// The path of a key of the map at another path.
pub(crate) fn key_path(map: &str, key: &str) -> String {
    let mut path = map.to_owned();
    push_key(&mut path, key);
    path
}

/// Appends a map key to a path: `.key`, or `["key"]` when it has other characters than letters, digits, `-` and `_`.
pub(super) fn push_key(path: &mut String, key: &str) {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    if key.is_empty() || !key.bytes().all(is_plain) {
        path.push_str("[\"");
        path.push_str(key);
        path.push_str("\"]");
        return;
    }
    if !path.is_empty() {
        path.push('.');
    }
    path.push_str(key);
}

// === impl Places ===

impl Places {
    pub(super) fn note(&mut self, path: &str, place: Place) {
        self.path_bytes = self.path_bytes.saturating_add(path.len());
        if self.path_bytes <= MAX_PATH_BYTES {
            self.by_path.insert(path.to_owned(), place);
        }
    }

    /// The places with this many lines before them.
    pub(in crate::read) fn shifted(mut self, lines: u32) -> BTreeMap<String, Place> {
        self.by_path.values_mut().for_each(|(line, _)| *line = line.saturating_add(lines));
        self.by_path
    }

    /// Those below a path, relative to it.
    pub(in crate::read) fn below(places: &BTreeMap<String, Place>, path: &str) -> BTreeMap<String, Place> {
        let inside = places.range(path.to_owned()..).take_while(|(key, _)| key.starts_with(path));
        let relative = inside.filter_map(|(key, place)| {
            let rest = &key[path.len()..];
            let is_below = rest.is_empty() || rest.starts_with(['.', '[']);
            is_below.then(|| (rest.strip_prefix('.').unwrap_or(rest).to_owned(), *place))
        });
        relative.collect()
    }
}
