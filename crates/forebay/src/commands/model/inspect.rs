//! `forebay model inspect`: what a model file is, without serving it.

use std::fmt::Write as _;
use std::path::PathBuf;

use models::{Field, Inputs, Model};
use serde_json::{Value, json};

use super::load;
use crate::commands::End;
use crate::output::{self, Output};
use crate::rows;

/// Show what a model is: its parts, what it takes and gives, which libraries wrote it
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  forebay model inspect model.joblib
  forebay model inspect mlruns/1/abc/artifacts/model -o json

Exit code 1 when it cannot be served, with the class, the operator or the byte that is the reason.")]
pub(crate) struct Options {
    /// A model file or folder; PATH#KEY for what a dict in a pickle has under a key
    #[arg(value_name = "PATH[#KEY]")]
    model: PathBuf,

    /// How it is printed
    #[arg(short, long, value_enum, default_value_t = Output::Text, value_name = "FORMAT")]
    output: Output,
}

pub(crate) fn run(options: &Options) -> anyhow::Result<End> {
    let model = load(&options.model)?;
    let text = match options.output {
        Output::Json => serde_json::to_string_pretty(&as_json(&model))? + "\n",
        Output::Text => as_text(&model),
    };
    output::say(&text)?;
    Ok(End::Done)
}

fn as_json(model: &Model) -> Value {
    let description = model.description();
    let parts = description
        .parts
        .iter()
        .map(|part| json!({ "depth": part.depth, "name": part.name, "class": part.class }));
    let libraries = description.libraries.iter().map(|(name, version)| (name.clone(), json!(version)));
    json!({
        "name": description.name,
        "version": description.version,
        "format": description.format,
        "file": description.file,
        "bytes": description.file_bytes,
        "sha256": description.sha256,
        "parts": parts.collect::<Vec<_>>(),
        "libraries": libraries.collect::<serde_json::Map<_, _>>(),
        "methods": model.methods().iter().map(|method| method.as_str()).collect::<Vec<_>>(),
        "defaultMethod": model.default_method().as_str(),
        "threshold": model.threshold(),
        "classes": model.classes().map(rows::data),
        "inputs": match &model.signature().inputs {
            Inputs::Columns(fields) => fields.iter().map(field).collect(),
            Inputs::Matrix { datatype, n_columns } => {
                json!({ "type": datatype.as_str(), "columns": n_columns })
            }
        },
        "outputs": model.signature().outputs.iter().map(field).collect::<Vec<_>>(),
    })
}

fn field(field: &Field) -> Value {
    json!({ "name": field.name, "type": field.datatype.as_str(), "required": field.required })
}

fn as_text(model: &Model) -> String {
    let description = model.description();
    let mut text = String::new();
    let mut line =
        |name: &str, value: &str| _ = writeln!(text, "{name:<10} {}", output::printable_line(value));
    if let Some(name) = &description.name {
        line("name", name);
    }
    if let Some(version) = &description.version {
        line("version", version);
    }
    line("format", &description.format);
    line("file", &format!("{} ({} bytes)", description.file.display(), description.file_bytes));
    line("sha256", &description.sha256);
    for (index, part) in description.parts.iter().enumerate() {
        let name = part.name.as_ref().map(|name| format!("{name}: ")).unwrap_or_default();
        let label = if index == 0 { "parts" } else { "" };
        line(label, &format!("{:indent$}{name}{}", "", part.class, indent = 2 * part.depth));
    }
    let libraries = description.libraries.iter().map(|(name, version)| format!("{name} {version}"));
    let libraries: Vec<String> = libraries.collect();
    if !libraries.is_empty() {
        line("written by", &libraries.join(", "));
    }
    let methods: Vec<&str> = model.methods().iter().map(|method| method.as_str()).collect();
    line("methods", &methods.join(", "));
    if methods.first() != Some(&model.default_method().as_str()) {
        line("answers", model.default_method().as_str());
    }
    if let Some(threshold) = model.threshold() {
        line("threshold", &threshold.to_string());
    }
    if let Some(classes) = model.classes() {
        let classes: Vec<String> = rows::data(classes).iter().map(Value::to_string).collect();
        line("classes", &classes.join(", "));
    }
    match &model.signature().inputs {
        Inputs::Matrix { datatype, n_columns } => {
            let n_columns = n_columns.map_or_else(|| "any number of".to_owned(), |n| n.to_string());
            line("takes", &format!("rows of {n_columns} numbers ({})", datatype.as_str()));
        }
        Inputs::Columns(fields) => {
            for (index, field) in fields.iter().enumerate() {
                let optional = if field.required { "" } else { ", may be missing" };
                let label = if index == 0 { "takes" } else { "" };
                line(label, &format!("{} ({}{optional})", field.name, field.datatype.as_str()));
            }
        }
    }
    text
}
