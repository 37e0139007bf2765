//! `forebay cert issue`: a certificate of the local authority, to be kept here or taken elsewhere.

use std::path::PathBuf;

use anyhow::Context as _;
use control::Authority;
use jiff::Timestamp;
use serde_json::json;

use super::{End, arn, id_of, is_id};
use crate::admin;
use crate::globals::Globals;
use crate::kept_certificates::keep;
use crate::output::{self, Output};

/// Make a certificate of the local authority for these hosts, and keep it where `up` finds it
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  forebay cert issue api.example.com '*.prod.example.com'
  eval \"$(forebay cert issue api.example.com --export)\"    sets certArn
  forebay cert issue api.example.com --id 0a1b2c3d           for an ARN that ends with /0a1b2c3d
  forebay cert issue api.example.com --out ./certs           elsewhere

All hosts stand in one certificate, as with `aws acm request-certificate --domain-name A --subject-alternative-names B`.")]
pub(super) struct Options {
    /// Names or addresses; one with * for its first label stands for all that are one label longer
    #[arg(value_name = "HOST", required = true)]
    hosts: Vec<String>,

    /// The last part of its ARN, and the name of its files [default: made up]
    #[arg(long)]
    id: Option<String>,

    /// Folder for ID.crt and ID.key [default: certificates in the state folder]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,

    /// Print `export certArn=ARN`, for the shell
    #[arg(long, conflicts_with = "output")]
    export: bool,

    /// How it is printed
    #[arg(short, long, value_enum, default_value_t = Output::Text, value_name = "FORMAT")]
    output: Output,
}

pub(super) fn run(options: &Options, globals: &Globals) -> anyhow::Result<End> {
    let state_dir = globals.state_dir();
    std::fs::create_dir_all(&state_dir).with_context(|| format!("cannot make `{}`", state_dir.display()))?;
    let authority = Authority::open(&state_dir, Timestamp::now())?;
    let mut hosts: Vec<String> = options.hosts.iter().map(|host| host.to_ascii_lowercase()).collect();
    hosts.dedup();
    for host in &hosts {
        let name = host.strip_prefix("*.").unwrap_or(host);
        anyhow::ensure!(
            !name.contains('*'),
            "`{host}`: a wildcard stands for the whole first label, as in *.example.com"
        );
    }
    let names: Vec<&str> = hosts.iter().map(String::as_str).collect();
    let issued = authority.issue(&names, Timestamp::now())?;
    let read = manifest::read_pair(&issued.certificate, &issued.key);
    let read = read.map_err(|fault| anyhow::anyhow!("the certificate {}", fault.problem))?;
    let id = options.id.clone().unwrap_or_else(|| id_of(&read.facts));
    anyhow::ensure!(is_id(&id), "`{id}` cannot name a file: it may have letters, digits, `-`, `_` and `.`");
    let folder = options.out.clone().unwrap_or_else(|| globals.certificates_dir());
    keep(&folder, &id, &read.pair)?;
    let (arn, files) = (arn(&id), folder.join(&id));
    match options.output {
        Output::Json => {
            let mut value = admin::described(&read.facts);
            value["arn"] = json!(arn);
            value["certificateFile"] = json!(files.with_added_extension("crt"));
            value["keyFile"] = json!(files.with_added_extension("key"));
            output::say(&(serde_json::to_string_pretty(&value)? + "\n"))?;
        }
        Output::Text if options.export => output::say(&format!("export certArn={arn}\n"))?,
        Output::Text => {
            let (whose, files) = (read.facts.names.join(", "), files.display());
            let until = read.facts.until.strftime("%Y-%m-%d");
            output::say(&format!("{arn}\n  for {whose}, until {until}\n  {files}.crt\n  {files}.key\n"))?;
        }
    }
    Ok(End::Done)
}
