//! `forebay config`: the settings that hold.

use net::{Amount, Limits};
use serde_json::{Value, json};

use super::End;
use crate::globals::Globals;
use crate::limits::LimitOptions;
use crate::memory;
use crate::output::table::Printer;
use crate::output::{self, Output};
use crate::platform::Platform;
use crate::runtime;

/// Show the settings that hold
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  forebay config show
  forebay config show -o json
  forebay up --limit connections=20000 --limit client-connections=5000
  FOREBAY_LIMITS=body-rate=1000 forebay serve model.joblib")]
pub(crate) struct Options {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    Show(ShowOptions),
}

/// Show every limit: of the platform that runs, or else as `up` and `serve` would have it
#[derive(Debug, clap::Args)]
struct ShowOptions {
    #[command(flatten)]
    limits: LimitOptions,

    /// How they are printed
    #[arg(short, long, value_enum, default_value_t = Output::Text, value_name = "FORMAT")]
    output: Output,
}

pub(crate) fn run(options: &Options, globals: &Globals) -> anyhow::Result<End> {
    let Command::Show(options) = &options.command;
    let here = json(&options.limits.limits());
    let running = Platform::find(&globals.state_dir()).ok();
    let told = running.and_then(|platform| runtime::block_on(async { platform.admin("/limits").await }).ok());
    let limits = told.unwrap_or(here);
    match options.output {
        Output::Json => output::say(&(serde_json::to_string_pretty(&limits)? + "\n"))?,
        Output::Text => output::say(&table(&limits))?,
    }
    Ok(End::Done)
}

/// All limits, as programs get them.
pub(crate) fn json(limits: &Limits) -> Value {
    let default = Limits::default();
    let of_connections = Limits::ALL.iter().map(|limit| {
        let (now, default) = (limit.of(limits), limit.of(&default));
        row(&limit.name(), now, default, limit.meaning, limit.told)
    });
    of_connections.chain(of_serve()).collect()
}

/// What only `forebay serve` bounds.
fn of_serve() -> impl Iterator<Item = Value> {
    let settings = serving::Settings::default();
    let bodies = memory::for_bodies();
    let rows: [(&str, Amount, Amount, &str, &str); 3] = [
        (
            "serve: body-limit",
            Amount::Bytes(settings.body_limit as u64),
            Amount::Bytes(settings.body_limit as u64),
            "One body, compressed or not; `--body-limit` changes it.",
            "forebay_model_requests_total, code 413",
        ),
        (
            "serve: bodies",
            Amount::Bytes(bodies as u64),
            Amount::Bytes(bodies as u64),
            "All bodies at a time: a fifth of the memory that the process may use.",
            "forebay_model_requests_total, code 503",
        ),
        (
            "serve: decompression",
            Amount::Count(serving::RATIO as u64),
            Amount::Count(serving::RATIO as u64),
            "How many times as long as it came a body may become, beyond 1 MiB.",
            "forebay_model_requests_total, code 413",
        ),
    ];
    rows.into_iter().map(|(name, now, default, meaning, told)| row(name, now, default, meaning, told))
}

fn row(name: &str, now: Amount, default: Amount, meaning: &str, told: &str) -> Value {
    json!({
        "name": name,
        "value": now.number(),
        "default": default.number(),
        "unit": now.unit(),
        "meaning": meaning,
        "toldBy": told,
    })
}

fn table(limits: &Value) -> String {
    let text = |value: &Value| match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let mut printer = Printer::default();
    let headers = ["LIMIT", "VALUE", "DEFAULT", "UNIT", "MEANING"].map(str::to_owned);
    let rows = limits.as_array().into_iter().flatten().map(|limit| {
        ["name", "value", "default", "unit", "meaning"].map(|column| text(&limit[column])).to_vec()
    });
    let rows: Vec<Vec<String>> = std::iter::once(headers.to_vec()).chain(rows).collect();
    printer.print(&rows)
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect_file;

    /// `UPDATE_EXPECT=1` writes the page anew.
    #[test]
    fn every_limit_is_on_its_page() {
        let mut page = String::from(
            "# Limits\n\nWhat clients may ask of load balancers and of `forebay serve`. `forebay config show` prints what holds; \
             `--limit NAME=NUMBER` of `forebay up` and\n`forebay serve`, or `FOREBAY_LIMITS=NAME=NUMBER,…`, changes it. \
             Loopback, and proxies that `--trusted-proxy CIDR` names, may have as many\nconnections as there may be in all, and any number of requests.\n\n\
             | limit | default | from | to | bounds | told by |\n|---|---|---|---|---|---|\n",
        );
        for limit in Limits::ALL {
            let (default, meaning, told) = (limit.of(&Limits::default()), limit.meaning, limit.told);
            let (name, least, most) = (limit.name(), limit.least, limit.most);
            page.push_str(&format!("| `{name}` | {default} | {least} | {most} | {meaning} | {told} |\n"));
        }
        page.push_str(
            "\n`forebay serve` takes bodies of 10 MB (`--body-limit`), and of all bodies at a time a fifth of the memory that it may use \
             (its cgroup, the limit\nof its container, or the machine): a further one waits for two seconds and is then answered with 503, and \
             one that is longer than that alone with\n413. A compressed body may become a hundred times as long as it came, and 1 MiB always.\n\n\
             Of rules with `forebay.dev/rate-limit` 65 536 clients are known that have asked lately, in 1.1 MB for all cores and rules together; \
             beyond that\nthose go first whose burst is next to whole (forebay_rate_limit_forgotten_clients_total). An answer that is compressed \
             on its way holds 64 KiB, and\neach core 2 MB for all of them.\n\nEach core has 64 copies of the requests of a route under way at most (`forebay.dev/mirror`), each for 30 s, with bodies out of\n\
             `buffered-bytes`; what comes beyond is not copied (forebay_uncopied_requests_total).\n\n\
             A cache of answers (`forebay.dev/cache`) has the bytes that it is given, for all cores and with what stands around them; one answer \
             has 1 MiB of\nthem at most or an eighth where that is less (`object=SIZE`), and there are 16 of one URL. Bodies on their way into it take \
             `buffered-bytes`.\nOf each core 4096 requests wait at most for what another one asks, for 5 s at most.\n\n\
             The embedded Kubernetes API has 1000 watches and logs going on at a time, 300 of one user at most, and keeps 100 for whoever \
             started the platform\n(429 beyond). A body has 3 MiB, and a list that a patch or server-side apply merges item by item 4000 items. \
             There are 1000\nCustomResourceDefinitions with 2 MB of versions and 40 levels each, a pattern of 256 kB and 5 million comparisons for \
             one object; 20 000 kinds\nmay be declared within the life of one process.\n",
        );
        expect_file!["../../../../docs/limits.md"].assert_eq(&page);
    }
}
