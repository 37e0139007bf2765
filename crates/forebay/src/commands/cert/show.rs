//! `forebay cert show`: what clients of a host are shown, seen with a client's eyes.

use serde_json::{Value, json};

use super::{End, day};
use crate::globals::Globals;
use crate::output::{self, Output};
use crate::platform::Platform;
use crate::runtime;
use crate::shown::{self, Shown};

/// Show the certificate that clients of a host get, as they get it
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  forebay cert show api.example.com
  forebay cert show api.example.com -o json

Exit code 1 when nobody shows one, or none that is for this host and holds.")]
pub(super) struct Options {
    /// The host
    host: String,

    /// How it is printed
    #[arg(short, long, value_enum, default_value_t = Output::Text, value_name = "FORMAT")]
    output: Output,
}

pub(super) fn run(options: &Options, globals: &Globals) -> anyhow::Result<End> {
    runtime::block_on(async {
        let platform = Platform::find(&globals.state_dir())?;
        let listeners = shown::listeners(&platform, &options.host).await?;
        let mut all = Vec::new();
        for listener in listeners.iter().filter(|listener| listener.tls) {
            all.push((listener, shown::ask(listener, &options.host, globals).await));
        }
        match options.output {
            Output::Json => {
                let one = |(listener, shown): &(&shown::Listener, Shown)| {
                    let mut value = shown.json();
                    value["objects"] = json!(listener.objects);
                    value["address"] = json!(listener.address);
                    value
                };
                let all: Value = all.iter().map(one).collect();
                output::say(&(serde_json::to_string_pretty(&all)? + "\n"))?;
            }
            Output::Text => {
                for (listener, shown) in &all {
                    output::say(&text(listener, shown))?;
                }
            }
        }
        if all.is_empty() {
            eprintln!("no listener with TLS has a rule for {}", options.host);
        }
        let is_good = !all.is_empty() && all.iter().all(|(_, shown)| shown.problem().is_none());
        Ok(if is_good { End::Done } else { End::Failed })
    })
}

fn text(listener: &shown::Listener, shown: &Shown) -> String {
    let mut text = format!("{} at {}\n", listener.objects.join(" and "), listener.address);
    let mut line = |name: &str, value: &str| text.push_str(&format!("  {name:<12} {value}\n"));
    if let Some(facts) = &shown.facts {
        line("names", &facts.names.join(", "));
        line("subject", &facts.subject);
        line("issuer", &facts.issuer);
        line("holds", &format!("{} to {}", day(&facts.from.to_string()), day(&facts.until.to_string())));
        line("key", &facts.key);
        line("serial", &facts.serial);
        line("sha256", &facts.fingerprint);
        line("chain", &format!("{} more", facts.n_chain));
        line("spoken", &shown.spoken);
        line(
            "trusted",
            if shown.is_ours {
                "by who trusts the local authority: forebay ca trust"
            } else {
                "by who trusts its issuer"
            },
        );
    }
    if let Some(problem) = shown.problem() {
        line("problem", &problem);
    }
    text
}
