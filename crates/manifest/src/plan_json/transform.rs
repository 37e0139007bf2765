//! Transforms in JSON: the type, and the rewrites under its key.

use plan::Transform;
use serde::ser::{Serialize, SerializeMap, Serializer};

/// `{"type": "url-rewrite", "urlRewriteConfig": {"rewrites": […]}}`
pub(super) struct TransformJson<'a>(pub(super) &'a Transform);

#[derive(serde::Serialize)]
struct RewritesJson<'a> {
    rewrites: Vec<RewriteJson<'a>>,
}

#[derive(serde::Serialize)]
struct RewriteJson<'a> {
    regex: &'a str,
    replace: &'a str,
}

impl Serialize for TransformJson<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Transform { part, rewrites } = self.0;
        let rewrites = rewrites
            .iter()
            .map(|rewrite| RewriteJson { regex: rewrite.regex.as_str(), replace: &rewrite.replace });
        let mut map = serializer.serialize_map(Some(2))?;
        map.serialize_entry("type", part.as_str())?;
        map.serialize_entry(part.config(), &RewritesJson { rewrites: rewrites.collect() })?;
        map.end()
    }
}
