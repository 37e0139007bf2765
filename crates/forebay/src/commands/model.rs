//! `forebay model`: look at a model file, ask it, compare it.

mod inspect;
mod predict;
mod verify;

use std::path::Path;

use anyhow::Context;
use models::Model;

use super::End;

/// Look at a model file, ask it without a server, compare its answers
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  forebay model inspect model.joblib
  forebay model predict model.joblib --input rows.json
  forebay model verify model.joblib --input rows.json --expected answers.json")]
pub(crate) struct Options {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    Inspect(inspect::Options),
    Predict(predict::Options),
    Verify(verify::Options),
}

pub(crate) fn run(options: &Options) -> anyhow::Result<End> {
    match &options.what {
        What::Inspect(options) => inspect::run(options),
        What::Predict(options) => predict::run(options),
        What::Verify(options) => verify::run(options),
    }
}

fn load(path: &Path) -> anyhow::Result<Model> {
    models::load(path).with_context(|| format!("cannot load the model at `{}`", path.display()))
}
