//! `forebay model predict`: a model's answers to rows in a file.

use std::path::PathBuf;

use models::Method;
use serde_json::{Map, Value};

use super::load;
use crate::commands::End;
use crate::output::{self, Output};
use crate::rows;

/// Print a model's answers to rows in a file
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  forebay model predict model.joblib --input rows.json
  forebay model predict model/ --input rows.csv --method predict_proba
  forebay model predict all.pkl#best --input rows.parquet
  echo '{\"columns\":[\"a\",\"b\"],\"data\":[[1,null]]}' | forebay model predict model.pkl --input -")]
pub(crate) struct Options {
    /// A model file or folder; PATH#KEY for what a dict in a pickle has under a key
    #[arg(value_name = "PATH[#KEY]")]
    model: PathBuf,

    /// Rows: {"columns": […], "data": [[…]]}, null for a missing value, or a .csv or .parquet file; - for standard input
    #[arg(short, long, value_name = "FILE")]
    input: PathBuf,

    #[arg(short, long, value_name = "METHOD", help = method_help())]
    method: Option<Method>,

    /// How answers are printed
    #[arg(short, long, value_enum, default_value_t = Output::Json, value_name = "FORMAT")]
    output: Output,
}

fn method_help() -> String {
    let names = Method::ALL.map(Method::as_str).join(", ");
    format!("What the model is asked for: {names} [default: what it was saved for]")
}

pub(crate) fn run(options: &Options) -> anyhow::Result<End> {
    let model = load(&options.model)?;
    let batch = rows::read(&options.input, model.signature())?;
    let method = options.method.unwrap_or_else(|| model.default_method());
    let answers = rows::prediction(&rows::predict(&model, method, &batch)?);
    let text = match options.output {
        Output::Json => {
            Value::Object(Map::from_iter([(method.as_str().to_owned(), answers)])).to_string() + "\n"
        }
        Output::Text => {
            answers.as_array().into_iter().flatten().map(|row| line(row) + "\n").collect::<String>()
        }
    };
    output::say(&text)?;
    Ok(End::Done)
}

fn line(row: &Value) -> String {
    match row {
        Value::Array(values) => values.iter().map(line).collect::<Vec<_>>().join("\t"),
        Value::String(text) => output::printable_line(text),
        value => value.to_string(),
    }
}
