//! Conditions in JSON: the field, and the values under the key of the subject.

use plan::{Condition, Pattern, QueryPair, SearchPattern, Shape, Values};
use serde::ser::{Serialize, SerializeMap, Serializer};

/// `{"field": "host-header", "hostHeaderConfig": {…}}`
pub(super) struct ConditionJson<'a>(pub(super) &'a Condition);

struct ConfigJson<'a>(&'a Condition);

#[derive(serde::Serialize)]
struct PairJson<'a> {
    key: Option<&'a str>,
    value: &'a str,
}

impl Serialize for ConditionJson<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let row = self.0.subject.row();
        let mut map = serializer.serialize_map(Some(2))?;
        map.serialize_entry("field", row.field)?;
        map.serialize_entry(row.config, &ConfigJson(self.0))?;
        map.end()
    }
}

impl Serialize for ConfigJson<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Condition { subject, values } = self.0;
        let mut map = serializer.serialize_map(None)?;
        if let (Shape::NamedPatterns(key), Some(name)) = (subject.row().shape, subject.name()) {
            map.serialize_entry(key, name)?;
        }
        let none: [&str; 0] = [];
        match values {
            Values::Wildcards(patterns) => {
                map.serialize_entry("values", &texts(patterns, Pattern::as_str))?;
                map.serialize_entry("regexValues", &none)?;
            }
            Values::Regexes(regexes) => {
                map.serialize_entry("values", &none)?;
                map.serialize_entry("regexValues", &texts(regexes, SearchPattern::as_str))?;
            }
            Values::Texts(texts) | Values::Secrets(texts) => map.serialize_entry("values", texts)?,
            Values::Pairs(pairs) => {
                let pairs: Vec<PairJson<'_>> = pairs.iter().map(PairJson::new).collect();
                map.serialize_entry("values", &pairs)?;
            }
            Values::Ranges(ranges) => {
                let ranges: Vec<String> = ranges.iter().map(ToString::to_string).collect();
                map.serialize_entry("values", &ranges)?;
            }
        }
        map.end()
    }
}

impl<'a> PairJson<'a> {
    fn new(pair: &'a QueryPair) -> Self {
        Self { key: pair.key.as_ref().map(Pattern::as_str), value: pair.value.as_str() }
    }
}

fn texts<T>(values: &[T], text: fn(&T) -> &str) -> Vec<&str> {
    values.iter().map(text).collect()
}
