//! `forebay cert list`.

use jiff::Timestamp;
use serde::Deserialize;

use super::{End, day};
use crate::globals::Globals;
use crate::output::table::Printer;
use crate::output::{self, Output};
use crate::platform::Platform;
use crate::runtime;

/// List the certificates that load balancers show, and those that are kept besides
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  forebay cert list
  forebay cert list -o json")]
pub(super) struct Options {
    /// How they are printed
    #[arg(short, long, value_enum, default_value_t = Output::Text, value_name = "FORMAT")]
    output: Output,
}

/// A certificate as the admin port tells of it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Told {
    certificate: String,
    names: Vec<String>,
    issuer: String,
    not_after: String,
    used_by: Vec<Use>,
    #[serde(default)]
    problem: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Use {
    objects: Vec<String>,
    port: u16,
    default: bool,
}

pub(super) fn run(options: &Options, globals: &Globals) -> anyhow::Result<End> {
    runtime::block_on(async {
        let told = Platform::find(&globals.state_dir())?.admin("/certificates").await?;
        match options.output {
            Output::Json => output::say(&(serde_json::to_string_pretty(&told)? + "\n"))?,
            Output::Text => output::say(&table(&serde_json::from_value::<Vec<Told>>(told)?))?,
        }
        Ok(End::Done)
    })
}

fn table(all: &[Told]) -> String {
    const HEADER: [&str; 5] = ["CERTIFICATE", "NAMES", "ENDS", "ISSUER", "SHOWN BY"];
    let row = |told: &Told| {
        let ended = told.not_after.parse().is_ok_and(|end: Timestamp| end < Timestamp::now());
        let end = day(&told.not_after).to_owned();
        vec![
            told.certificate.clone(),
            told.names.join(","),
            if ended { format!("{end} (ended)") } else { end },
            told.issuer.clone(),
            shown_by(&told.used_by),
        ]
    };
    let header = HEADER.map(str::to_owned).to_vec();
    let rows: Vec<Vec<String>> = std::iter::once(header).chain(all.iter().map(row)).collect();
    let problems = all.iter().filter_map(|told| told.problem.as_ref());
    let problems: String = problems.map(|problem| format!("problem: {problem}\n")).collect();
    Printer::default().print(&rows) + &problems
}

fn shown_by(uses: &[Use]) -> String {
    let one = |it: &Use| {
        let whose = it.objects.join(" and ");
        format!("{whose}:{}{}", it.port, if it.default { " (default)" } else { "" })
    };
    if uses.is_empty() { "nobody".to_owned() } else { uses.iter().map(one).collect::<Vec<_>>().join(", ") }
}
