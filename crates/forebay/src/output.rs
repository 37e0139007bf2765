//! The forms in which objects are printed: tables, JSON, YAML, names, templates.

pub(crate) mod diff;
pub(crate) mod jsonpath;
pub(crate) mod table;
pub(crate) mod yaml;

use std::borrow::Cow;
use std::io::{self, Write as _};
use std::str::FromStr;

use serde::Serialize;
use serde_json::Value;

use jsonpath::Template;

/// What `-o` says.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Format {
    /// A table, with the columns that do not fit a narrow terminal if `wide`.
    Table {
        wide: bool,
    },
    Json,
    Yaml,
    /// `service/api`
    Name,
    JsonPath(Template),
}

/// What `-o` says where there is one form for people and one for programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Output {
    /// For people
    Text,
    /// For programs
    Json,
}

/// Prints to standard output. Whoever reads it may have seen enough, which is an error and no reason to panic.
pub(crate) fn say(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(printable(text).as_bytes())?;
    out.flush()
}

/// A text as a terminal may get it: names in it may come from a model file or a manifest, and what would move the cursor,
/// change colors or the direction of writing is escaped, in JSON's way.
pub(crate) fn printable(text: &str) -> Cow<'_, str> {
    if !text.contains(is_unprintable) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for character in text.chars() {
        if is_unprintable(character) {
            shown.push_str(&format!("\\u{:04x}", u32::from(character)));
        } else {
            shown.push(character);
        }
    }
    Cow::Owned(shown)
}

/// A text that stays on its line.
pub(crate) fn printable_line(text: &str) -> String {
    printable(text).replace('\n', "\\n").replace('\t', "\\t")
}

/// Controls of both sets but ends of lines and tabs, and what changes the direction of writing (UAX #9 §2).
fn is_unprintable(character: char) -> bool {
    let is_control = character.is_control() && !matches!(character, '\n' | '\t');
    is_control
        || matches!(character, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

impl FromStr for Format {
    type Err = String;

    fn from_str(written: &str) -> Result<Self, String> {
        match written.split_once('=').unwrap_or((written, "")) {
            ("table", "") => Ok(Self::Table { wide: false }),
            ("wide", "") => Ok(Self::Table { wide: true }),
            ("json", "") => Ok(Self::Json),
            ("yaml", "") => Ok(Self::Yaml),
            ("name", "") => Ok(Self::Name),
            ("jsonpath", "") => Err("a template is missing: -o jsonpath='{.status.url}'".to_owned()),
            ("jsonpath", template) => template.parse().map(Self::JsonPath).map_err(|error| error.to_string()),
            _ => Err("it is one of table, wide, json, yaml, name, jsonpath=TEMPLATE".to_owned()),
        }
    }
}

impl Format {
    /// An object, or a list of several, in this form. Tables are printed elsewhere.
    pub(crate) fn print(&self, value: &Value) -> anyhow::Result<String> {
        Ok(match self {
            Self::Json => json(value)?,
            Self::Yaml => yaml::print(value),
            Self::Name => names(value),
            Self::JsonPath(template) => template.render(value)?,
            Self::Table { .. } => String::new(),
        })
    }
}

/// JSON as kubectl prints it.
fn json(value: &Value) -> anyhow::Result<String> {
    let mut text = Vec::new();
    let formatter = serde_json::ser::PrettyFormatter::with_indent(b"    ");
    value.serialize(&mut serde_json::Serializer::with_formatter(&mut text, formatter))?;
    text.push(b'\n');
    Ok(String::from_utf8(text)?)
}

/// `service/api`, one a line.
fn names(value: &Value) -> String {
    let items = value["items"].as_array().map_or(std::slice::from_ref(value), Vec::as_slice);
    items.iter().map(|item| name(item) + "\n").collect()
}

fn name(object: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let kind = text(&object["kind"]).to_ascii_lowercase();
    let api_version = text(&object["apiVersion"]);
    let group = api_version.split_once('/').map(|(group, _)| format!(".{group}")).unwrap_or_default();
    format!("{kind}{group}/{}", text(&object["metadata"]["name"]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn forms_are_named_as_for_kubectl() {
        assert_eq!("wide".parse(), Ok(Format::Table { wide: true }));
        assert_eq!("json".parse(), Ok(Format::Json));
        assert!(matches!("jsonpath={.a}".parse(), Ok(Format::JsonPath(_))));
        for wrong in ["", "jsonpath", "jsonpath={", "yaml=x", "xml"] {
            assert!(wrong.parse::<Format>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn nothing_that_is_printed_moves_the_cursor() {
        assert!(matches!(printable("Grün, 価格\n\tx"), Cow::Borrowed(_)));
        assert_eq!(
            printable("a\u{1b}[2J\r\u{9b}b\u{7f}\u{202e}"),
            "a\\u001b[2J\\u000d\\u009bb\\u007f\\u202e"
        );
        assert_eq!(printable_line("a\nb\tc\u{7}"), "a\\nb\\tc\\u0007");
        // JSON says the same as before.
        let said = json!({ "name": "a\u{9b}\u{202e}\u{1b}" });
        let again: Value = serde_json::from_str(&printable(&said.to_string())).unwrap();
        assert_eq!(again, said);
    }

    #[test]
    fn objects_in_every_form() {
        let object = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}});
        assert_eq!(
            Format::Json.print(&json!({"a": {}, "b": [1]})).unwrap(),
            "{\n    \"a\": {},\n    \"b\": [\n        1\n    ]\n}\n"
        );
        assert_eq!(Format::Name.print(&object).unwrap(), "deployment.apps/web\n");
        let list = json!({"kind": "List", "items": [object, object]});
        assert_eq!(Format::Name.print(&list).unwrap(), "deployment.apps/web\ndeployment.apps/web\n");
    }
}
