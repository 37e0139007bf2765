//! `forebay cert import`: takes a certificate that somebody else made, once it was looked at closely.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use jiff::Timestamp;
use manifest::{Fault, Part};
use serde_json::json;

use super::{End, arn, id_of, is_id};
use crate::admin;
use crate::globals::Globals;
use crate::kept_certificates::keep;
use crate::output::{self, Output};

/// Check a certificate with its key, and keep it where `up` finds it
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  forebay cert import fullchain.pem privkey.pem
  forebay cert import both.pem --id 0a1b2c3d    for an ARN that ends with /0a1b2c3d
  eval \"$(forebay cert import fullchain.pem privkey.pem --export)\"    sets certArn

A certificate of the same id is replaced, and shown at once by a platform that runs.")]
pub(super) struct Options {
    /// The certificate, then its chain, in PEM form
    certificate: PathBuf,

    /// Its key in PEM form [default: in the same file]
    key: Option<PathBuf>,

    /// The last part of its ARN, and the name of its files [default: made up]
    #[arg(long)]
    id: Option<String>,

    /// Print `export certArn=ARN`, for the shell
    #[arg(long, conflicts_with = "output")]
    export: bool,

    /// How it is printed
    #[arg(short, long, value_enum, default_value_t = Output::Text, value_name = "FORMAT")]
    output: Output,
}

pub(super) fn run(options: &Options, globals: &Globals) -> anyhow::Result<End> {
    let key_path = options.key.as_ref().unwrap_or(&options.certificate);
    let (certificate, key) = (read(&options.certificate)?, read(key_path)?);
    let place = |fault: &Fault| match fault.part {
        Part::Certificate => format!("{}:{}", options.certificate.display(), fault.line),
        Part::Key => format!("{}:{}", key_path.display(), fault.line),
    };
    let read = match manifest::read_pair(&certificate, &key) {
        Ok(read) => read,
        Err(fault) => bail!("{}: it {}\n  fix: {}", place(&fault), fault.problem, fault.fix),
    };
    for note in &read.notes {
        eprintln!("warning: {}: it {}\n  fix: {}", place(note), note.problem, note.fix);
    }
    if !read.facts.holds(Timestamp::now()).is_good() {
        let (from, until) = (read.facts.from, read.facts.until);
        eprintln!("warning: it does not hold now, but from {from} to {until}: clients refuse it");
    }
    let id = options.id.clone().unwrap_or_else(|| id_of(&read.facts));
    anyhow::ensure!(is_id(&id), "`{id}` cannot name a file: it may have letters, digits, `-`, `_` and `.`");
    keep(&globals.certificates_dir(), &id, &read.pair)?;
    let arn = arn(&id);
    match options.output {
        Output::Json => {
            let mut value = admin::described(&read.facts);
            value["arn"] = json!(arn);
            output::say(&(serde_json::to_string_pretty(&value)? + "\n"))?;
        }
        Output::Text if options.export => output::say(&format!("export certArn={arn}\n"))?,
        Output::Text => {
            let until = read.facts.until.strftime("%Y-%m-%d");
            output::say(&format!("{arn}\n  for {}, until {until}\n", read.facts.names_in_words()))?;
        }
    }
    Ok(End::Done)
}

fn read(path: &Path) -> anyhow::Result<String> {
    let bytes = std::fs::read(path).with_context(|| format!("cannot read `{}`", path.display()))?;
    manifest::text_of(bytes).map_err(|_| {
        let path = path.display();
        anyhow::anyhow!(
            "`{path}` is no text, so it is not in PEM form\n  fix: openssl pkcs12 -in {path} -nodes, or openssl x509 -inform der -in {path}"
        )
    })
}
