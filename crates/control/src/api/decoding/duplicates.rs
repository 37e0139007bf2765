//! Fields that a JSON text has twice. What reads it for good keeps the last one and says nothing.

use std::collections::HashSet;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

/// How many are named at most.
const FIELDS: usize = 20;

/// The fields that a text has more than once; none of a text that is no JSON.
pub(in crate::api) fn duplicates(text: &[u8]) -> Vec<String> {
    let mut found = Vec::new();
    let mut place = String::new();
    let mut reader = serde_json::Deserializer::from_slice(text);
    // What is no JSON is somebody else's to say.
    let _ = At { place: &mut place, found: &mut found }.deserialize(&mut reader);
    found
}

/// A value somewhere in the text.
struct At<'a> {
    place: &'a mut String,
    found: &'a mut Vec<String>,
}

impl<'de> DeserializeSeed<'de> for At<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for At<'_> {
    type Value = ();

    fn expecting(&self, words: &mut fmt::Formatter<'_>) -> fmt::Result {
        words.write_str("JSON")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut seen = HashSet::new();
        let above = self.place.len();
        while let Some(key) = map.next_key::<String>()? {
            if above > 0 {
                self.place.push('.');
            }
            self.place.push_str(&key);
            if !seen.insert(key) && self.found.len() < FIELDS && !self.found.contains(self.place) {
                self.found.push(self.place.clone());
            }
            map.next_value_seed(At { place: self.place, found: self.found })?;
            self.place.truncate(above);
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        let above = self.place.len();
        for index in 0.. {
            self.place.push_str(&format!("[{index}]"));
            let item = items.next_element_seed(At { place: self.place, found: self.found })?;
            self.place.truncate(above);
            if item.is_none() {
                break;
            }
        }
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }
}
