//! What a running platform shows to clients of a host: its listeners that answer, and their certificates as a client sees them.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use anyhow::Context as _;
use jiff::Timestamp;
use manifest::{CertificateFacts, Holds};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::admin;
use crate::globals::Globals;
use crate::platform::Platform;

/// A listener with what it does for a host, as the admin port tells of it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Listener {
    pub(crate) load_balancer: String,
    pub(crate) objects: Vec<String>,
    pub(crate) address: String,
    pub(crate) protocol: String,
    pub(crate) tls: bool,
    pub(crate) rules: Vec<Rule>,
    /// Why it has no certificate by ACME, where one was wanted.
    #[serde(default)]
    pub(crate) acme: Option<String>,
}

/// A rule that a request for the host may meet.
#[derive(Debug, Deserialize)]
pub(crate) struct Rule {
    /// From 1.
    pub(crate) priority: usize,
    pub(crate) conditions: Vec<String>,
    pub(crate) action: String,
}

/// What a client of a host is shown.
#[derive(Debug)]
pub(crate) struct Shown {
    host: String,
    pub(crate) facts: Option<CertificateFacts>,
    /// Version, cipher and protocol.
    pub(crate) spoken: String,
    /// Whether the local authority has signed it.
    pub(crate) is_ours: bool,
    /// Why there is none.
    failure: Option<String>,
}

/// How long a handshake may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// The listeners that have a rule for a host.
pub(crate) async fn listeners(platform: &Platform, host: &str) -> anyhow::Result<Vec<Listener>> {
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"-._*:".contains(&byte);
    anyhow::ensure!(!host.is_empty() && host.bytes().all(is_name), "`{host}` is not a host");
    let told = platform.admin(&format!("/domain?host={host}")).await?;
    serde_json::from_value(told).context("the platform is of another version than this command")
}

/// Asks a listener for a host.
pub(crate) async fn ask(listener: &Listener, host: &str, globals: &Globals) -> Shown {
    let shown =
        |facts, spoken, is_ours, failure| Shown { host: host.to_owned(), facts, spoken, is_ours, failure };
    let failed = |why: String| shown(None, String::new(), false, Some(why));
    let Ok(mut address) = listener.address.parse::<SocketAddr>() else {
        return failed(format!("`{}` is no address", listener.address));
    };
    if address.ip().is_unspecified() {
        address.set_ip(IpAddr::V4(Ipv4Addr::LOCALHOST));
    }
    // A wildcard is asked for by one of the names that it stands for.
    let name = host.replacen('*', "any", 1);
    match net::shown_by(address, &name, &["h2", "http/1.1"], PATIENCE).await {
        Err(error) => failed(format!("no TLS with {address}: {error}")),
        Ok(seen) => {
            let facts = seen.chain.first().and_then(|der| manifest::facts_of_der(der));
            let facts = facts.map(|facts| CertificateFacts { n_chain: seen.chain.len() - 1, ..facts });
            let protocol = seen.protocol.unwrap_or_else(|| "no protocol agreed on".to_owned());
            let spoken = format!("{}, {}, {protocol}", seen.version, seen.cipher);
            let authority = std::fs::read_to_string(globals.authority_file()).ok();
            let authority = authority.and_then(|text| manifest::read_facts(&text));
            let is_ours = authority.zip(facts.as_ref()).is_some_and(|(ours, it)| ours.subject == it.issuer);
            shown(facts, spoken, is_ours, None)
        }
    }
}

// === impl Shown ===

impl Shown {
    /// Why clients of the host would not take it, whomever they trust.
    pub(crate) fn problem(&self) -> Option<String> {
        let Some(facts) = &self.facts else {
            return Some(self.failure.clone().unwrap_or_else(|| "the certificate cannot be read".to_owned()));
        };
        let until = facts.until.strftime("%Y-%m-%d");
        match facts.holds(Timestamp::now()) {
            Holds::Ended => return Some(format!("it ended on {until}")),
            Holds::NotYet => return Some(format!("it does not hold before {}", facts.from)),
            Holds::ForDays | Holds::ForWeeks | Holds::Well => {}
        }
        let asked = self.host.replacen('*', "any", 1);
        if facts.covers(&asked) {
            return None;
        }
        let above = facts.names.iter().find(|name| {
            name.strip_prefix("*.").is_some_and(|parent| asked.ends_with(&format!(".{parent}")))
        });
        Some(match above {
            Some(name) => format!("it is not for {}: `{name}` stands for one label, no more", self.host),
            None => format!("it is not for {}, but for {}", self.host, facts.names_in_words()),
        })
    }

    /// For programs.
    pub(crate) fn json(&self) -> Value {
        let mut value = self.facts.as_ref().map_or_else(|| json!({}), admin::described);
        value["host"] = json!(self.host);
        value["spoken"] = json!(self.spoken);
        value["localAuthority"] = json!(self.is_ours);
        value["problem"] = json!(self.problem());
        value
    }
}
