//! `forebay cert`: certificates that are shown, kept, made, and still needed.

mod import;
mod issue;
mod list;
mod names;
mod show;
mod wait;

use manifest::CertificateFacts;

use super::End;
use crate::globals::Globals;

/// See certificates, make them, and say which names they need
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  forebay cert list
  forebay cert show api.example.com
  forebay cert names -n prod -n staging
  forebay cert issue '*.prod.example.com' api.example.com
  forebay cert import fullchain.pem privkey.pem --id 0a1b2c3d
  forebay cert wait api.example.com --by-others")]
pub(crate) struct Options {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    List(list::Options),
    Show(show::Options),
    Issue(issue::Options),
    Names(names::Options),
    Import(import::Options),
    Wait(wait::Options),
}

pub(crate) fn run(options: &Options, globals: &Globals) -> anyhow::Result<End> {
    match &options.what {
        What::List(options) => list::run(options, globals),
        What::Show(options) => show::run(options, globals),
        What::Issue(options) => issue::run(options, globals),
        What::Names(options) => names::run(options, globals),
        What::Import(options) => import::run(options, globals),
        What::Wait(options) => wait::run(options, globals),
    }
}

/// The ARN of a certificate that is kept here. Its account and region are those of nobody, and what is looked at is its end.
fn arn(id: &str) -> String {
    let named = ["AWS_REGION", "AWS_DEFAULT_REGION"].iter().find_map(|name| std::env::var(name).ok());
    let region = named.filter(|region| !region.is_empty()).unwrap_or_else(|| "us-east-1".to_owned());
    format!("arn:aws:acm:{region}:000000000000:certificate/{id}")
}

/// Whether a text can name the files of a certificate.
fn is_id(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= 128
        && !text.starts_with('.')
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
}

/// An id like those of ACM, of what a certificate is.
fn id_of(facts: &CertificateFacts) -> String {
    let digits: String = facts.fingerprint.to_ascii_lowercase().chars().filter(|c| *c != ':').collect();
    let part = |from: usize, to: usize| digits.get(from..to).unwrap_or_default();
    [part(0, 8), part(8, 12), part(12, 16), part(16, 20), part(20, 32)].join("-")
}

/// The day of a time.
fn day(time: &str) -> &str {
    time.split('T').next().unwrap_or(time)
}
