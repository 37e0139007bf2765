//! `forebay domain`: who answers for a host here.

use std::net::{IpAddr, ToSocketAddrs as _};

use serde_json::json;

use super::End;
use crate::globals::Globals;
use crate::output::{self, Output};
use crate::platform::Platform;
use crate::runtime;
use crate::shown::{self, Listener, Shown};

/// Say who answers for a host here: rules, certificate, and what its name resolves to
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  forebay domain check api.example.com
  forebay domain check api.example.com -o json")]
pub(crate) struct Options {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    Check(Check),
}

/// Check whether a host is answered here, with a certificate that is for it, and whether its name leads here
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  forebay domain check api.example.com
  forebay domain check api.example.com -o json

Exit code 1 when no rule is for the host, or its certificate is not.")]
struct Check {
    /// The host
    host: String,

    /// How it is printed
    #[arg(short, long, value_enum, default_value_t = Output::Text, value_name = "FORMAT")]
    output: Output,
}

/// A listener with what a client of the host is shown there.
type Answer = (Listener, Option<Shown>);

pub(crate) fn run(options: &Options, globals: &Globals) -> anyhow::Result<End> {
    let What::Check(options) = &options.what;
    runtime::block_on(async {
        let platform = Platform::find(&globals.state_dir())?;
        let mut answers: Vec<Answer> = Vec::new();
        for listener in shown::listeners(&platform, &options.host).await? {
            let shown = match listener.tls {
                true => Some(shown::ask(&listener, &options.host, globals).await),
                false => None,
            };
            answers.push((listener, shown));
        }
        let host = options.host.clone();
        let resolved = tokio::task::spawn_blocking(move || resolve(&host)).await?;
        match options.output {
            Output::Json => output::say(&json_of(&options.host, &answers, &resolved)?)?,
            Output::Text => output::say(&text(&options.host, &answers, &resolved))?,
        }
        let is_good = |(_, shown): &Answer| shown.as_ref().is_none_or(|shown| shown.problem().is_none());
        Ok(if !answers.is_empty() && answers.iter().all(is_good) { End::Done } else { End::Failed })
    })
}

/// What the resolver of this machine says.
fn resolve(host: &str) -> Result<Vec<IpAddr>, String> {
    let found = (host, 0).to_socket_addrs().map_err(|error| error.to_string())?;
    let mut addresses: Vec<IpAddr> = found.map(|address| address.ip()).collect();
    addresses.sort_unstable();
    addresses.dedup();
    Ok(addresses)
}

/// Whether an address is one at which a listener answers.
fn leads_here(address: IpAddr, answers: &[Answer]) -> bool {
    answers.iter().any(|(listener, _)| {
        let bound = listener.address.parse::<std::net::SocketAddr>();
        bound.is_ok_and(|bound| bound.ip() == address || bound.ip().is_unspecified() && address.is_loopback())
    })
}

fn json_of(host: &str, answers: &[Answer], resolved: &Result<Vec<IpAddr>, String>) -> anyhow::Result<String> {
    let listener = |(listener, shown): &Answer| {
        let rule = |rule: &shown::Rule| json!({"priority": rule.priority, "conditions": rule.conditions, "action": rule.action});
        json!({
            "loadBalancer": listener.load_balancer,
            "objects": listener.objects,
            "address": listener.address,
            "protocol": listener.protocol,
            "rules": listener.rules.iter().map(rule).collect::<Vec<_>>(),
            "acme": listener.acme,
            "certificate": shown.as_ref().map(Shown::json),
        })
    };
    let dns = match resolved {
        Ok(addresses) => {
            let all = addresses
                .iter()
                .map(|it| json!({"address": it.to_string(), "here": leads_here(*it, answers)}));
            json!({"addresses": all.collect::<Vec<_>>(), "problem": null})
        }
        Err(why) => json!({"addresses": [], "problem": why}),
    };
    let value =
        json!({"host": host, "listeners": answers.iter().map(listener).collect::<Vec<_>>(), "dns": dns});
    Ok(serde_json::to_string_pretty(&value)? + "\n")
}

fn text(host: &str, answers: &[Answer], resolved: &Result<Vec<IpAddr>, String>) -> String {
    let mut text = String::new();
    let mut line = |line: String| text.push_str(&(line + "\n"));
    if answers.is_empty() {
        line(format!("no rule here is for {host}: a load balancer would answer 404, or refuse to connect"));
    }
    for (listener, shown) in answers {
        line(format!("{} {} ({})", listener.protocol, listener.address, listener.objects.join(" and ")));
        for rule in &listener.rules {
            let conditions = rule.conditions.join(" and ");
            let conditions = if conditions.is_empty() { "anything".to_owned() } else { conditions };
            line(format!("  rule {:<4} {conditions}  →  {}", rule.priority, rule.action));
        }
        let Some(shown) = shown else { continue };
        match (shown.problem(), &shown.facts) {
            (Some(problem), _) => line(format!("  certificate: {problem}")),
            (None, Some(facts)) => {
                let whose =
                    if shown.is_ours { "the local authority".to_owned() } else { facts.issuer.clone() };
                let until = facts.until.strftime("%Y-%m-%d");
                line(format!("  certificate: {}, of {whose}, until {until}", facts.names_in_words()));
            }
            (None, None) => {}
        }
        if let Some(problem) = &listener.acme {
            line(format!("  ACME: {problem}"));
        }
    }
    match resolved {
        Err(why) => line(format!("DNS: the name does not resolve here ({why})")),
        Ok(addresses) => {
            for address in addresses {
                let where_to = if leads_here(*address, answers) { "here" } else { "elsewhere" };
                line(format!("DNS: {address}, {where_to}"));
            }
        }
    }
    let elsewhere = resolved.as_ref().map_or(true, |all| !all.iter().any(|it| leads_here(*it, answers)));
    if let Some((listener, _)) = answers.first().filter(|_| elsewhere)
        && let Ok(address) = listener.address.parse::<std::net::SocketAddr>()
    {
        let (ip, port) = (address.ip(), address.port());
        line(format!("to ask it all the same: curl --resolve {host}:{port}:{ip} …"));
    }
    text
}
