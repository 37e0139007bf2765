//! `forebay url`: where to ask, and how.

use std::path::Path;

use anyhow::bail;
use serde::Deserialize;

use super::End;
use crate::endpoints::Endpoint;
use crate::globals::Globals;
use crate::output::{self, Output};
use crate::platform::Platform;
use crate::{runtime, sample};

/// Print the right URL of an endpoint, with its Host and a ready curl line
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  forebay url
  forebay url sklearn-iris --curl
  eval \"$(forebay url isvc/sklearn-iris -n staging --env)\"    sets INGRESS_HOST and SERVICE_HOSTNAME")]
pub(crate) struct Options {
    /// An endpoint: its name, with or without isvc/, ingress/ or svc/ before it [default: all]
    #[arg(value_name = "[KIND/]NAME")]
    name: Option<String>,

    /// Only endpoints of this namespace
    #[arg(short, long)]
    namespace: Option<String>,

    /// Print INGRESS_HOST and SERVICE_HOSTNAME, for the shell
    #[arg(long, conflicts_with_all = ["curl", "output"])]
    env: bool,

    /// Print a line for the shell that asks the endpoint
    #[arg(long, conflicts_with = "output")]
    curl: bool,

    /// How endpoints are printed
    #[arg(short, long, value_enum, default_value_t = Output::Text, value_name = "FORMAT")]
    output: Output,
}

/// An endpoint as the admin port tells of it.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Told {
    #[serde(flatten)]
    endpoint: Endpoint,
    state: String,
    message: String,
}

pub(crate) fn run(options: &Options, globals: &Globals) -> anyhow::Result<End> {
    runtime::block_on(async {
        let platform = Platform::find(&globals.state_dir())?;
        let all = platform.admin("/endpoints").await?;
        let told: Vec<Told> = serde_json::from_value(all.clone())?;
        let chosen: Vec<&Told> = told.iter().filter(|told| is_chosen(&told.endpoint, options)).collect();
        if chosen.is_empty() {
            bail!("{}", nothing_found(&told, options));
        }
        match options.output {
            Output::Json => output::say(&(serde_json::to_string_pretty(&json_of(&all, &chosen))? + "\n"))?,
            Output::Text if options.env => output::say(&env(&chosen)?)?,
            Output::Text if options.curl => output::say(&curl(&chosen, &globals.authority_file()).await)?,
            Output::Text => output::say(&lines(&chosen))?,
        }
        Ok(End::Done)
    })
}

fn is_chosen(endpoint: &Endpoint, options: &Options) -> bool {
    let in_namespace = options.namespace.as_ref().is_none_or(|namespace| *namespace == endpoint.namespace);
    let is_named = match options.name.as_deref().map(|name| name.split_once('/').unwrap_or(("", name))) {
        None => true,
        Some((kind, name)) => {
            let same_kind =
                kind.is_empty() || manifest::kind_named(kind).is_some_and(|kind| kind.kind == endpoint.kind);
            same_kind && name == endpoint.name
        }
    };
    in_namespace && is_named
}

fn nothing_found(told: &[Told], options: &Options) -> String {
    let wanted = options.name.as_deref().unwrap_or("endpoint");
    let known: Vec<String> = told.iter().map(|told| told.endpoint.object().to_string()).collect();
    if known.is_empty() {
        return "nothing has an address yet\n  help: apply an InferenceService, an Ingress or a Service of type LoadBalancer".to_owned();
    }
    format!("no `{wanted}` has an address here\n  help: there is {}", known.join(", "))
}

fn json_of<'a>(all: &'a serde_json::Value, chosen: &[&Told]) -> Vec<&'a serde_json::Value> {
    let is_chosen = |value: &&serde_json::Value| {
        chosen.iter().any(|told| {
            let endpoint = &told.endpoint;
            value["kind"] == endpoint.kind.as_str()
                && value["namespace"] == endpoint.namespace.as_str()
                && value["name"] == endpoint.name.as_str()
        })
    };
    all.as_array().into_iter().flatten().filter(is_chosen).collect()
}

/// The two variables that scripts for such services use.
fn env(chosen: &[&Told]) -> anyhow::Result<String> {
    let with_host = chosen.iter().find(|told| !told.endpoint.host.is_empty());
    let Some(Told { endpoint, .. }) = with_host.or(chosen.first()) else { bail!("no endpoint") };
    Ok(format!("INGRESS_HOST={}\nSERVICE_HOSTNAME={}\n", endpoint.authority(), endpoint.host))
}

async fn curl(chosen: &[&Told], authority: &Path) -> String {
    let mut lines = String::new();
    for told in chosen {
        let found = sample::sample(&told.endpoint, authority).await;
        lines.push_str(&sample::curl(&told.endpoint, found.as_ref(), authority));
        lines.push('\n');
    }
    lines
}

fn lines(chosen: &[&Told]) -> String {
    let line = |told: &&Told| {
        let endpoint = &told.endpoint;
        let host =
            if endpoint.host.is_empty() { String::new() } else { format!("  (Host: {})", endpoint.host) };
        let state =
            if told.state == "ready" { String::new() } else { format!("  {}: {}", told.state, told.message) };
        let url = if endpoint.address.is_empty() {
            "no address".to_owned()
        } else {
            format!("{}://{}/", endpoint.scheme(), endpoint.authority())
        };
        format!("{}  {url}{host}{state}\n", endpoint.object())
    };
    chosen.iter().map(line).collect()
}
