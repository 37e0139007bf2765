//! `forebay top`: what load balancers do at this moment.

use std::collections::BTreeMap;
use std::io::{IsTerminal as _, Write as _};
use std::time::{Duration, Instant};

use serde_json::json;

use super::End;
use crate::admin::exposition::{Series, series};
use crate::globals::Globals;
use crate::output::table::Printer;
use crate::output::{self, Output};
use crate::platform::Platform;
use crate::runtime;

/// Show requests per second, their times and errors of each load balancer and target group, live
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  forebay top
  forebay top --once          what one second brought
  forebay top --once -o json

Times are those of targets, from the buckets of forebay_target_response_seconds.")]
pub(crate) struct Options {
    /// Show one second and end
    #[arg(long)]
    once: bool,

    /// How it is printed
    #[arg(short, long, value_enum, default_value_t = Output::Text, value_name = "FORMAT", requires = "once")]
    output: Output,
}

/// How long is counted for one picture.
const INTERVAL: Duration = Duration::from_secs(1);

/// What was counted so far of one load balancer and target group; without one, what the load balancer answered itself.
#[derive(Debug, Clone, Default, PartialEq)]
struct Counts {
    requests: u64,
    client_errors: u64,
    server_errors: u64,
    /// Requests up to each bound, in seconds.
    buckets: Vec<(f64, u64)>,
}

type Counted = BTreeMap<(String, String), Counts>;

/// What one picture shows of them.
#[derive(Debug, PartialEq)]
struct Row {
    load_balancer: String,
    target_group: String,
    per_second: f64,
    /// Seconds that half of the requests took at most, and 99 %.
    p50: Option<f64>,
    p99: Option<f64>,
    client_errors: f64,
    server_errors: f64,
}

pub(crate) fn run(options: &Options, globals: &Globals) -> anyhow::Result<End> {
    runtime::block_on(async {
        let platform = Platform::find(&globals.state_dir())?;
        let is_terminal = std::io::stdout().is_terminal();
        let mut before = (Instant::now(), counted(&platform.admin_text("/metrics").await?));
        loop {
            tokio::time::sleep(INTERVAL).await;
            let now = (Instant::now(), counted(&platform.admin_text("/metrics").await?));
            let rows = rows(&before.1, &now.1, now.0 - before.0);
            // A live picture stands where the one before stood.
            let clear = if is_terminal && !options.once { "\x1b[H\x1b[2J" } else { "" };
            match options.output {
                Output::Json => output::say(&(serde_json::to_string_pretty(&in_json(&rows))? + "\n"))?,
                Output::Text => {
                    let _ = write!(std::io::stdout(), "{clear}");
                    output::say(&table(&rows))?;
                }
            }
            if options.once {
                return Ok(End::Done);
            }
            before = now;
        }
    })
}

fn counted(metrics: &str) -> Counted {
    let mut counted = Counted::new();
    for one in series(metrics) {
        let label = |name: &str| one.labels.get(name).cloned().unwrap_or_default();
        let counts = || (label("load_balancer"), label("target_group"));
        let number = one.value.parse::<u64>().unwrap_or_default();
        match one.name {
            "forebay_requests_total" => {
                add(counted.entry(counts()).or_default(), &label("code_class"), number);
            }
            "forebay_load_balancer_answers_total" => {
                add(counted.entry(counts()).or_default(), &label("code"), number);
            }
            "forebay_target_response_seconds_bucket" => {
                let bound = bound_of(&one);
                counted.entry(counts()).or_default().buckets.push((bound, number));
            }
            _ => {}
        }
    }
    counted
}

fn add(counts: &mut Counts, code: &str, number: u64) {
    counts.requests += number;
    match code.as_bytes().first() {
        Some(b'4') => counts.client_errors += number,
        Some(b'5') => counts.server_errors += number,
        _ => {}
    }
}

fn bound_of(series: &Series<'_>) -> f64 {
    let bound = series.labels.get("le").and_then(|bound| bound.parse().ok());
    bound.unwrap_or(f64::INFINITY)
}

#[expect(clippy::cast_precision_loss, reason = "counts of a second are far from 2^53")]
fn rows(before: &Counted, now: &Counted, time: Duration) -> Vec<Row> {
    let rate = |number: u64| number as f64 / time.as_secs_f64();
    let row = |((load_balancer, target_group), counts): (&(String, String), &Counts)| {
        let key = (load_balancer.clone(), target_group.clone());
        let before = before.get(&key).cloned().unwrap_or_default();
        let since = |now: u64, before: u64| rate(now.saturating_sub(before));
        let buckets: Vec<(f64, u64)> = counts
            .buckets
            .iter()
            .enumerate()
            .map(|(at, (bound, n))| (*bound, n.saturating_sub(before.buckets.get(at).map_or(0, |it| it.1))))
            .collect();
        Row {
            load_balancer: key.0,
            target_group: key.1,
            per_second: since(counts.requests, before.requests),
            p50: quantile(&buckets, 0.5),
            p99: quantile(&buckets, 0.99),
            client_errors: since(counts.client_errors, before.client_errors),
            server_errors: since(counts.server_errors, before.server_errors),
        }
    };
    now.iter().map(row).collect()
}

/// The time that this share of requests took at most, somewhere within its bucket, as Prometheus' `histogram_quantile` says.
#[expect(clippy::cast_precision_loss, reason = "counts of a second are far from 2^53")]
fn quantile(buckets: &[(f64, u64)], share: f64) -> Option<f64> {
    let all = buckets.last()?.1;
    if all == 0 {
        return None;
    }
    let wanted = share * all as f64;
    let mut from = (0.0, 0);
    for (bound, n) in buckets {
        if *n as f64 >= wanted {
            // Nobody knows how long those took that took longest.
            if bound.is_infinite() {
                return Some(from.0);
            }
            let within = (wanted - from.1 as f64) / (n - from.1) as f64;
            return Some(from.0 + (bound - from.0) * within);
        }
        from = (*bound, *n);
    }
    None
}

fn table(rows: &[Row]) -> String {
    const HEADER: [&str; 7] = ["LOAD BALANCER", "TARGET GROUP", "REQUESTS/S", "P50", "P99", "4XX/S", "5XX/S"];
    let time = |seconds: Option<f64>| seconds.map_or("-".to_owned(), |it| format!("{:.1} ms", it * 1000.0));
    let row = |row: &Row| {
        let group = if row.target_group.is_empty() { "(itself)" } else { &row.target_group };
        vec![
            row.load_balancer.clone(),
            group.to_owned(),
            format!("{:.1}", row.per_second),
            time(row.p50),
            time(row.p99),
            format!("{:.1}", row.client_errors),
            format!("{:.1}", row.server_errors),
        ]
    };
    let header = HEADER.map(str::to_owned).to_vec();
    Printer::default().print(&std::iter::once(header).chain(rows.iter().map(row)).collect::<Vec<_>>())
}

fn in_json(rows: &[Row]) -> serde_json::Value {
    let row = |row: &Row| {
        json!({
            "loadBalancer": row.load_balancer,
            "targetGroup": Some(&row.target_group).filter(|group| !group.is_empty()),
            "requestsPerSecond": row.per_second,
            "p50Seconds": row.p50,
            "p99Seconds": row.p99,
            "clientErrorsPerSecond": row.client_errors,
            "serverErrorsPerSecond": row.server_errors,
        })
    };
    rows.iter().map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metrics(n_answers: u64, n_errors: u64, buckets: [u64; 3]) -> String {
        let of = "load_balancer=\"lb\",target_group=\"g\"";
        let [fast, slow, all] = buckets;
        format!(
            "forebay_requests_total{{{of},code_class=\"2xx\"}} {n_answers}\n\
             forebay_requests_total{{{of},code_class=\"5xx\"}} {n_errors}\n\
             forebay_load_balancer_answers_total{{load_balancer=\"lb\",port=\"80\",code=\"404\",reason=\"no-route\"}} 3\n\
             forebay_target_response_seconds_bucket{{le=\"0.01\",{of}}} {fast}\n\
             forebay_target_response_seconds_bucket{{le=\"0.02\",{of}}} {slow}\n\
             forebay_target_response_seconds_bucket{{le=\"+Inf\",{of}}} {all}\n"
        )
    }

    #[test]
    fn acc_s3_137_a_picture_shows_what_a_second_brought() {
        let (before, now) =
            (counted(&metrics(10, 0, [10, 10, 10])), counted(&metrics(108, 2, [60, 110, 110])));
        let rows = rows(&before, &now, Duration::from_secs(2));
        let [itself, group] = &rows[..] else { unreachable!("{rows:?}") };
        assert_eq!((itself.target_group.as_str(), itself.per_second, itself.p50), ("", 0.0, None));
        assert_eq!((group.per_second, group.server_errors), (50.0, 1.0));
        let near = |seconds: Option<f64>, wanted: f64| (seconds.unwrap() - wanted).abs() < 1e-9;
        assert!(near(group.p50, 0.01) && near(group.p99, 0.0198), "{group:?}");
        let text = table(&rows);
        assert!(text.contains("lb              (itself)       0.0"), "{text}");
    }
}
