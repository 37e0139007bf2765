//! `forebay ca`: the local authority, and who trusts it.

mod bundle;
mod system_store;

use std::path::PathBuf;

use anyhow::Context as _;
use control::Authority;
use jiff::Timestamp;
use serde_json::json;

use super::End;
use crate::admin;
use crate::applied::quoted;
use crate::globals::Globals;
use crate::output::{self, Output};

use system_store::{Change, Store};

/// The local authority: print its certificate, have this machine trust it
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  curl --cacert \"$(forebay ca path)\" https://…
  eval \"$(forebay ca trust)\"      trusted by this machine, and by Python, Node and Git in this shell
  forebay ca untrust")]
pub(crate) struct Options {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// Print the authority's certificate in PEM form
    #[command(after_help = "Examples:\n  forebay ca print > ca.crt\n  forebay ca print -o json")]
    Print(Form),
    /// Print where the authority's certificate is
    #[command(after_help = "Examples:\n  curl --cacert \"$(forebay ca path)\" https://…")]
    Path(Form),
    Trust(Trust),
    /// Have this machine trust it no more
    #[command(after_help = "Examples:\n  sudo -E forebay ca untrust")]
    Untrust(Form),
}

#[derive(Debug, clap::Args)]
struct Form {
    /// How it is printed
    #[arg(short, long, value_enum, default_value_t = Output::Text, value_name = "FORMAT")]
    output: Output,
}

/// Have this machine trust the authority, and print the variables for programs that have stores of their own
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  sudo -E forebay ca trust
  eval \"$(forebay ca trust --variables)\"    for this shell only; nothing of the machine is changed
  forebay ca trust -o json

Programs that have stores of their own are told of it by variables: Python (REQUESTS_CA_BUNDLE, SSL_CERT_FILE), Node
(NODE_EXTRA_CA_CERTS), Git (GIT_SSL_CAINFO). The file that they get has the authorities of this machine, too. For Java and
Chromium the lines that fill their stores are printed as comments; that of Chromium needs Debian's libnss3-tools.")]
struct Trust {
    /// Only print variables
    #[arg(long)]
    variables: bool,

    /// How they are printed
    #[arg(short, long, value_enum, default_value_t = Output::Text, value_name = "FORMAT")]
    output: Output,
}

pub(crate) fn run(options: &Options, globals: &Globals) -> anyhow::Result<End> {
    match &options.what {
        What::Print(form) => print(form.output, globals),
        What::Path(form) => path(form.output, globals),
        What::Trust(options) => trust(options, globals),
        What::Untrust(form) => untrust(form.output, globals),
    }
}

/// The authority of the state folder, made if there is none, with its file.
fn authority(globals: &Globals) -> anyhow::Result<(Authority, PathBuf)> {
    let state_dir = globals.state_dir();
    std::fs::create_dir_all(&state_dir).with_context(|| format!("cannot make `{}`", state_dir.display()))?;
    Ok((Authority::open(&state_dir, Timestamp::now())?, globals.authority_file()))
}

fn print(output: Output, globals: &Globals) -> anyhow::Result<End> {
    let (authority, path) = authority(globals)?;
    match output {
        Output::Text => output::say(authority.certificate())?,
        Output::Json => {
            let facts =
                manifest::read_facts(authority.certificate()).context("its certificate cannot be read")?;
            let mut value = admin::described(&facts);
            value["path"] = json!(path);
            value["certificate"] = json!(authority.certificate());
            output::say(&(serde_json::to_string_pretty(&value)? + "\n"))?;
        }
    }
    Ok(End::Done)
}

fn path(output: Output, globals: &Globals) -> anyhow::Result<End> {
    let (_, path) = authority(globals)?;
    match output {
        Output::Text => output::say(&format!("{}\n", path.display()))?,
        Output::Json => output::say(&format!("{}\n", json!({ "path": path })))?,
    }
    Ok(End::Done)
}

fn trust(options: &Trust, globals: &Globals) -> anyhow::Result<End> {
    let (authority, path) = authority(globals)?;
    let bundle = bundle::write(&globals.state_dir(), authority.certificate())?;
    let store = Store::of_this_machine();
    let change = match options.variables {
        true => None,
        false => Some(store.as_ref().map_or(Change::NoStore, |store| store.add(authority.certificate()))),
    };
    let variables = bundle::variables(&path, &bundle);
    match options.output {
        Output::Json => {
            let named: serde_json::Map<_, _> =
                variables.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect();
            let value = json!({"system": change.as_ref().map(Change::as_str), "variables": named});
            output::say(&(serde_json::to_string_pretty(&value)? + "\n"))?;
        }
        Output::Text => {
            let lines = variables.iter().map(|(name, value)| format!("export {name}={}\n", quoted(value)));
            let comments = bundle::java(&path, &globals.state_dir()) + &bundle::chromium(&path);
            output::say(&(lines.collect::<String>() + &comments))?;
        }
    }
    if let Some(change) = &change {
        eprintln!("{}", change.told(&path, "trust"));
    }
    Ok(if change.is_none_or(|change| change.is_done()) { End::Done } else { End::Failed })
}

fn untrust(output: Output, globals: &Globals) -> anyhow::Result<End> {
    let (authority, path) = authority(globals)?;
    let store = Store::of_this_machine();
    let change = store.as_ref().map_or(Change::NoStore, |store| store.remove(authority.certificate()));
    bundle::remove(&globals.state_dir());
    match output {
        Output::Json => output::say(&format!("{}\n", json!({"system": change.as_str()})))?,
        Output::Text => {
            let names = bundle::variables(&path, &path).map(|(name, _)| name).join(" ");
            output::say(&format!("unset {names}\n"))?;
        }
    }
    eprintln!("{}", change.told(&path, "untrust"));
    Ok(if change.is_done() { End::Done } else { End::Failed })
}
