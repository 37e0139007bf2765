//! `forebay explain`: what becomes of a request, and why.

use std::net::IpAddr;
use std::path::PathBuf;

use manifest::Objects;
use net::Limits;

use super::End;
use super::check::Environment;
use crate::explanation::{Explanation, Question};
use crate::globals::Globals;
use crate::output::{self, Output};
use crate::platform::Platform;
use crate::{manifests, runtime};

/// Say what becomes of a request: listener, every rule tried, target group, targets, verdict
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  forebay explain http://api.example.com/predict                  of the running platform, with the health of targets
  forebay explain -X POST -H 'x-api-key: token1' http://127.77.0.2/predict
  forebay explain --from 203.0.113.7 https://api.example.com/ -f deploy/   of manifests, without a platform

The decision is made by the call that serves; nothing is sent to a target. Exit code 1 when nothing listens there.")]
pub(crate) struct Options {
    /// What is asked for
    #[arg(value_name = "URL")]
    url: String,

    /// Manifests: without any, the running platform is asked
    #[arg(value_name = "PATH")]
    paths: Vec<PathBuf>,

    /// The same, as kubectl has it
    #[arg(short, long = "filename", value_name = "PATH")]
    filename: Vec<PathBuf>,

    /// The method
    #[arg(short = 'X', long = "request", value_name = "METHOD", default_value = "GET")]
    method: String,

    /// A header field; Host goes before the URL's
    #[arg(short = 'H', long = "header", value_name = "NAME: VALUE")]
    fields: Vec<String>,

    /// The address that the connection comes from [default: 127.0.0.1]
    #[arg(long, value_name = "IP")]
    from: Option<IpAddr>,

    #[command(flatten)]
    environment: Environment,

    /// How it is printed
    #[arg(short, long, value_enum, default_value_t = Output::Text, value_name = "FORMAT")]
    output: Output,
}

pub(crate) fn run(options: &Options, globals: &Globals) -> anyhow::Result<End> {
    let question = Question::new(&options.method, &options.url, &options.fields, options.from)?;
    let paths: Vec<PathBuf> = options.paths.iter().chain(&options.filename).cloned().collect();
    let explanation = if paths.is_empty() {
        of_platform(&question, globals)?
    } else {
        let manifests = manifests::read(&paths)?;
        let (defaults, _) = options.environment.defaults(globals)?;
        let objects: Objects = manifests.objects.into_iter().collect();
        question.explain(&manifest::compile(&objects, &defaults).plan, None, &Limits::default())?
    };
    output::say(&match options.output {
        Output::Json => serde_json::to_string_pretty(&explanation)? + "\n",
        Output::Text => explanation.text(),
    })?;
    Ok(End::Done)
}

fn of_platform(question: &Question, globals: &Globals) -> anyhow::Result<Explanation> {
    let told = runtime::block_on(async {
        let platform = Platform::find(&globals.state_dir())?;
        platform.admin(&question.target()).await
    })?;
    match told["problem"].as_str() {
        Some(problem) => anyhow::bail!("{problem}"),
        None => Ok(serde_json::from_value(told)?),
    }
}
