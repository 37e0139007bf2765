//! The forms in which objects are printed: tables, JSON, YAML, names, templates.

pub(crate) mod diff;
pub(crate) mod jsonpath;
pub(crate) mod table;
pub(crate) mod yaml;

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
    out.write_all(text.as_bytes())?;
    out.flush()
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
