//! `forebay why`: what became of a request.

use serde::Deserialize;
use serde_json::Value;

use super::End;
use crate::client::with_query;
use crate::globals::Globals;
use crate::output::table::Printer;
use crate::output::{self, Output};
use crate::platform::Platform;
use crate::runtime;

/// Say what became of a request: one of the last 1 000 of each core, by its trace id; without one, list the last
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  forebay why                  the last requests, with their trace ids
  forebay why 1-692cdeb0-5a1f0c2b4d6e8f9a0b1c2d3e
  forebay why 'Root=1-692cdeb0-5a1f0c2b4d6e8f9a0b1c2d3e' -o json

The trace id is what targets get as X-Amzn-Trace-Id, and what the access log has as `trace`. A client may send its own:
curl -H 'X-Amzn-Trace-Id: Root=1-00000000-my-request' …")]
pub(crate) struct Options {
    /// The id, or a part of it [default: the last requests are listed]
    #[arg(value_name = "TRACE-ID")]
    trace: Option<String>,

    /// How it is printed
    #[arg(short, long, value_enum, default_value_t = Output::Text, value_name = "FORMAT")]
    output: Output,
}

/// A request as the admin port tells of it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Request {
    time: String,
    client: String,
    method: String,
    host: String,
    target: String,
    load_balancer_id: String,
    load_balancer: String,
    port: u16,
    trace_id: String,
    rule: Option<usize>,
    conditions: Option<Vec<String>>,
    action: Option<String>,
    location: Option<String>,
    target_group: Option<String>,
    target_address: Option<String>,
    targets_asked: u32,
    seconds_until_asked: Option<f64>,
    target_seconds: Option<f64>,
    target_status: Option<u16>,
    status: u16,
    reason: Option<String>,
    cache: Option<String>,
    seconds: f64,
}

pub(crate) fn run(options: &Options, globals: &Globals) -> anyhow::Result<End> {
    let told = runtime::block_on(async {
        let platform = Platform::find(&globals.state_dir())?;
        let asked: Vec<(&str, &str)> = options.trace.iter().map(|trace| ("trace", trace.as_str())).collect();
        platform.admin(&with_query("/why", &asked)).await
    })?;
    if let Some(problem) = told["problem"].as_str() {
        anyhow::bail!("{problem}");
    }
    let requests: Vec<Request> = serde_json::from_value(told["requests"].clone())?;
    if requests.is_empty() {
        match &options.trace {
            Some(trace) => eprintln!(
                "none of the last requests has the trace id `{trace}`; `forebay why` without one lists the last"
            ),
            None => eprintln!("no load balancer has had a request yet"),
        }
        return Ok(End::Failed);
    }
    output::say(&match options.output {
        Output::Json => serde_json::to_string_pretty::<Value>(&told["requests"])? + "\n",
        Output::Text if options.trace.is_none() => list(&requests),
        Output::Text => requests.iter().map(text).collect::<Vec<_>>().join("\n"),
    })?;
    Ok(End::Done)
}

/// A line for each, the newest last.
fn list(requests: &[Request]) -> String {
    const HEADER: [&str; 6] = ["TIME", "STATUS", "TOOK", "REQUEST", "TARGET OR REASON", "TRACE ID"];
    let row = |request: &Request| {
        let Request { time, status, method, host, target, reason, trace_id, .. } = request;
        // To the second; the date is that of today for nearly all.
        let time = time.split_once('.').map_or(time.as_str(), |(seconds, _)| seconds);
        let target = target.split('?').next().unwrap_or_default();
        let cached = || request.cache.as_ref().map(|cache| format!("cache: {cache}"));
        let whom = reason.clone().or_else(|| request.target_address.clone()).or_else(cached);
        vec![
            time.trim_end_matches('Z').to_owned(),
            status.to_string(),
            shown(request.seconds),
            if method.is_empty() { "-".to_owned() } else { format!("{method} {host}{target}") },
            whom.unwrap_or_else(|| "-".to_owned()),
            if trace_id.is_empty() { "-".to_owned() } else { trace_id.clone() },
        ]
    };
    let header = HEADER.map(str::to_owned).to_vec();
    Printer::default().print(&std::iter::once(header).chain(requests.iter().map(row)).collect::<Vec<_>>())
}

fn text(request: &Request) -> String {
    let Request { time, client, method, host, target, load_balancer, load_balancer_id, port, .. } = request;
    let asked = match method.is_empty() {
        true => "something that is no request".to_owned(),
        false => format!("{method} {target} for host {host}"),
    };
    let mut lines = vec![
        format!("request        {asked} from {client}, {time}"),
        format!("load balancer  {load_balancer} ({load_balancer_id}), port {port}"),
    ];
    if !request.trace_id.is_empty() {
        lines.push(format!("trace id       {}", request.trace_id));
    }
    let action = request.action.as_deref().unwrap_or("nothing is configured");
    let conditions =
        request.conditions.as_ref().map(|all| format!(" ({})", all.join(" and "))).unwrap_or_default();
    match request.rule {
        None => lines.push("rule           none was looked at".to_owned()),
        Some(0) => lines.push(format!("rule           the default one: {action}")),
        Some(priority) => lines.push(format!("rule           {priority}{conditions}: {action}")),
    }
    if let Some(location) = &request.location {
        lines.push(format!("location       {location}"));
    }
    if let Some(group) = &request.target_group {
        lines.push(format!("target group   {group}"));
    }
    if let Some(cache) = &request.cache {
        lines.push(format!("cache          {cache}"));
    }
    if let Some(target) = &request.target_address {
        let before = match request.targets_asked {
            0 | 1 => String::new(),
            n_asked => format!(", asked after {} others or again", n_asked - 1),
        };
        let asked =
            request.seconds_until_asked.map(|it| format!(", asked after {}", shown(it))).unwrap_or_default();
        let answered = match (request.target_status, request.target_seconds) {
            (Some(status), Some(took)) => format!(", answered {status} after {}", shown(took)),
            _ => ", gave no answer".to_owned(),
        };
        lines.push(format!("target         {target}{before}{asked}{answered}"));
    }
    let reason = request.reason.as_ref().map(|reason| format!(" {reason}")).unwrap_or_default();
    lines.push(format!("answer         {}{reason} after {}", request.status, shown(request.seconds)));
    lines.into_iter().map(|line| line + "\n").collect()
}

fn shown(seconds: f64) -> String {
    if seconds < 1.0 { format!("{:.1} ms", seconds * 1000.0) } else { format!("{seconds:.2} s") }
}
