//! `forebay logs`: what replicas write.

use std::io::Write as _;
use std::rc::Rc;

use anyhow::bail;
use manifest::{Kind, kind_named};
use serde_json::Value;
use tokio::sync::mpsc;

use super::End;
use crate::client::{self, Client, JSON, collection, path, with_query};
use crate::globals::Globals;
use crate::resource::{self, Named, Scope};
use crate::{duration, runtime};

/// Show what replicas write; of several, interleaved and with their names
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  forebay logs deploy/retail-api -n mlops -f
  forebay logs isvc/sklearn-iris -n staging --tail=20
  forebay logs web-7d9c5b-x2x4z --previous")]
pub(crate) struct Options {
    /// Whose: a pod, or deploy/NAME, isvc/NAME, svc/NAME for all pods of it
    #[arg(value_name = "POD | KIND/NAME", required_unless_present = "selector")]
    resource: Option<String>,

    #[command(flatten)]
    scope: Scope,

    /// Of which container [default: the first]
    #[arg(short, long, value_name = "NAME")]
    container: Option<String>,

    /// Go on with what is written
    #[arg(short, long)]
    follow: bool,

    /// Only so many lines from the end; -1 for all [default: all, or 10 with -l]
    #[arg(long, value_name = "N", allow_hyphen_values = true)]
    tail: Option<i64>,

    /// Only lines not older than this, for example 5m
    #[arg(long, value_name = "AGE", value_parser = duration::parse)]
    since: Option<std::time::Duration>,

    /// Of the start before the last one
    #[arg(short, long)]
    previous: bool,

    /// Begin each line with its time
    #[arg(long)]
    timestamps: bool,

    /// Begin each line with the name of its pod, also when there is only one
    #[arg(long)]
    prefix: bool,
}

/// How many lines of each pod are shown when they are selected by labels.
const TAIL_WHEN_SELECTED: i64 = 10;
/// How many lines may wait to be printed.
const WAITING_LINES: usize = 1000;
/// Colours that tell pods apart.
const COLORS: &[&str] = &["36", "33", "32", "35", "34", "31"];
/// The label that KServe puts on the pods of an InferenceService.
const INFERENCE_SERVICE: &str = "serving.kserve.io/inferenceservice";

/// One log.
#[derive(Debug, Clone)]
struct Log {
    pod: String,
    container: String,
    /// What its lines begin with.
    prefix: String,
}

pub(crate) fn run(options: &Options, globals: &Globals) -> anyhow::Result<End> {
    runtime::block_on(async {
        let client = Client::find(globals)?;
        let mut logs = logs(options, &client).await?;
        if logs.len() > 1 || options.prefix {
            let has_color = globals.has_color(&std::io::stdout());
            for (index, log) in logs.iter_mut().enumerate() {
                log.prefix = prefix(log, has_color.then(|| COLORS[index % COLORS.len()]));
            }
        }
        match logs.as_slice() {
            [log] => print_one(&client, options, log).await?,
            logs if options.follow => follow_all(&client, options, logs).await?,
            logs => return print_by_time(&client, options, logs).await,
        }
        Ok(End::Done)
    })
}

fn prefix(log: &Log, color: Option<&str>) -> String {
    let name = format!("[pod/{}/{}]", log.pod, log.container);
    match color {
        Some(color) => format!("\u{1b}[{color}m{name}\u{1b}[0m "),
        None => format!("{name} "),
    }
}

/// The kind of pods.
pub(super) fn pods() -> anyhow::Result<&'static Kind> {
    kind_named("Pod").ok_or_else(|| anyhow::anyhow!("this build knows no pods"))
}

/// The logs that are meant.
async fn logs(options: &Options, client: &Client) -> anyhow::Result<Vec<Log>> {
    let namespace = options.scope.namespace();
    let pods = match &options.resource {
        None => select(client, namespace, &options.scope.selector).await?,
        Some(written) => {
            let kind_and_name =
                if written.contains('/') { written.clone() } else { format!("pod/{written}") };
            let [named] = <[Named; 1]>::try_from(resource::parse(&[kind_and_name])?)
                .map_err(|_| anyhow::anyhow!("name one thing: POD or KIND/NAME"))?;
            of_named(client, namespace, &named).await?
        }
    };
    if pods.is_empty() {
        bail!("no pods found in {namespace} namespace");
    }
    pods.iter().map(|pod| log_of(pod, options)).collect()
}

/// The pods of something.
async fn of_named(client: &Client, namespace: &str, named: &Named) -> anyhow::Result<Vec<Value>> {
    let Named { kind, name: Some(name) } = named else { bail!("name one thing: POD or KIND/NAME") };
    let object = client.get(&path(kind, namespace, name), JSON).await?;
    if kind.kind == "Pod" {
        return Ok(vec![object]);
    }
    let Some(selector) = selector_of(named, &object) else {
        bail!("{} have no pods, and no logs", kind.plural);
    };
    if selector.is_empty() {
        bail!("{} selects no pods", Named::quoted(kind, name));
    }
    select(client, namespace, &selector).await
}

/// The labels of the pods of an object; `None`: objects of its kind have none.
pub(super) fn selector_of(named: &Named, object: &Value) -> Option<String> {
    match named.kind.key {
        "Deployment" | "ReplicaSet" => Some(labels(&object["spec"]["selector"]["matchLabels"])),
        "Service" => Some(labels(&object["spec"]["selector"])),
        "InferenceService" => Some(format!("{INFERENCE_SERVICE}={}", named.name.as_deref()?)),
        _ => None,
    }
}

fn labels(map: &Value) -> String {
    let pairs = map.as_object().into_iter().flatten();
    let pairs = pairs.map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or_default()));
    pairs.collect::<Vec<_>>().join(",")
}

async fn select(client: &Client, namespace: &str, selector: &str) -> anyhow::Result<Vec<Value>> {
    let path = collection(pods()?, Some(namespace));
    let mut list = client.get(&with_query(&path, &[("labelSelector", selector)]), JSON).await?;
    Ok(list["items"].as_array_mut().map(std::mem::take).unwrap_or_default())
}

fn log_of(pod: &Value, options: &Options) -> anyhow::Result<Log> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let name = text(&pod["metadata"]["name"]);
    let containers = pod["spec"]["containers"].as_array().into_iter().flatten();
    let containers: Vec<String> = containers.map(|container| text(&container["name"])).collect();
    let container = match (&options.container, containers.as_slice()) {
        (Some(container), _) => container.clone(),
        (None, [only]) => only.clone(),
        (None, [first, ..]) => {
            eprintln!("Defaulted container \"{first}\" out of: {}", containers.join(", "));
            first.clone()
        }
        (None, []) => bail!("pod \"{name}\" has no containers"),
    };
    Ok(Log { pod: name, container, prefix: String::new() })
}

/// Where a log is, with as much of it as is wanted.
fn target(options: &Options, log: &Log, timestamps: bool) -> anyhow::Result<String> {
    let all = if options.resource.is_none() { TAIL_WHEN_SELECTED } else { -1 };
    let tail = options.tail.unwrap_or(all);
    let tail = if tail < 0 { String::new() } else { tail.to_string() };
    let since = options.since.map(|since| since.as_secs().max(1).to_string()).unwrap_or_default();
    let switch = |on: bool| if on { "true" } else { "" };
    let path = path(pods()?, options.scope.namespace(), &log.pod);
    Ok(with_query(
        &format!("{path}/log"),
        &[
            ("container", log.container.as_str()),
            ("follow", switch(options.follow)),
            ("previous", switch(options.previous)),
            ("sinceSeconds", &since),
            ("tailLines", &tail),
            ("timestamps", switch(timestamps)),
        ],
    ))
}

/// Prints one log as it comes.
async fn print_one(client: &Client, options: &Options, log: &Log) -> anyhow::Result<()> {
    let mut lines = client.lines(&target(options, log, options.timestamps)?, "*/*").await?;
    let mut out = std::io::stdout().lock();
    while let Some(line) = lines.next().await? {
        writeln!(out, "{}{line}", log.prefix)?;
    }
    Ok(())
}

/// Prints several logs as they come.
async fn follow_all(client: &Client, options: &Options, logs: &[Log]) -> anyhow::Result<()> {
    let (sender, mut printed) = mpsc::channel::<String>(WAITING_LINES);
    let client = Rc::new(client.clone());
    for log in logs {
        let (sender, client, prefix) = (sender.clone(), Rc::clone(&client), log.prefix.clone());
        let target = target(options, log, options.timestamps)?;
        tokio::task::spawn_local(async move {
            let told = copy(&client, &target, &prefix, &sender).await;
            if let Err(error) = told {
                eprintln!("{prefix}{error:#}");
            }
        });
    }
    drop(sender);
    let mut out = std::io::stdout().lock();
    while let Some(line) = printed.recv().await {
        writeln!(out, "{line}")?;
    }
    Ok(())
}

async fn copy(
    client: &Client,
    target: &str,
    prefix: &str,
    printed: &mpsc::Sender<String>,
) -> anyhow::Result<()> {
    let mut lines = client.lines(target, "*/*").await?;
    while let Some(line) = lines.next().await? {
        if printed.send(format!("{prefix}{line}")).await.is_err() {
            break;
        }
    }
    Ok(())
}

/// Prints several logs in the order in which their lines were written. One that cannot be had is told, and costs only
/// itself; when none can be had, that is a failure.
async fn print_by_time(client: &Client, options: &Options, logs: &[Log]) -> anyhow::Result<End> {
    let mut all: Vec<(String, usize)> = Vec::new();
    let mut n_missing = 0;
    for (index, log) in logs.iter().enumerate() {
        let mut lines = match client.lines(&target(options, log, true)?, "*/*").await {
            Ok(lines) => lines,
            Err(error) if error.is::<client::Refusal>() => {
                eprintln!("{}{error}", log.prefix);
                n_missing += 1;
                continue;
            }
            Err(error) => return Err(error),
        };
        while let Some(line) = lines.next().await? {
            all.push((line, index));
        }
    }
    let mut out = std::io::stdout().lock();
    for (line, index) in by_time(all) {
        let (_, without_time) = line.split_once(' ').unwrap_or(("", &line));
        let line = if options.timestamps { line.as_str() } else { without_time };
        writeln!(out, "{}{line}", logs[index].prefix)?;
    }
    Ok(if n_missing == logs.len() { End::Failed } else { End::Done })
}

/// Lines that begin with their time, in its order. Those of one log keep theirs, whatever the clock did.
fn by_time(mut lines: Vec<(String, usize)>) -> Vec<(String, usize)> {
    lines.sort_by(|(a, _), (b, _)| a.split(' ').next().cmp(&b.split(' ').next()));
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser as _;
    use serde_json::json;

    #[derive(clap::Parser)]
    struct Line {
        #[command(flatten)]
        options: Options,
    }

    fn options(line: &str) -> Options {
        Line::parse_from(std::iter::once("logs").chain(line.split_whitespace())).options
    }

    fn asked(line: &str) -> String {
        let log = Log { pod: "web-1".to_owned(), container: "api".to_owned(), prefix: String::new() };
        target(&options(line), &log, false).unwrap()
    }

    #[test]
    fn acc_s4_113_as_much_of_a_log_as_is_wanted() {
        let log = "/api/v1/namespaces/default/pods/web-1/log?container=api";
        assert_eq!(asked("web-1"), log);
        assert_eq!(asked("web-1 --tail=-1"), log);
        assert_eq!(asked("web-1 --tail 5 --previous"), format!("{log}&previous=true&tailLines=5"));
        assert_eq!(asked("web-1 -f --since=2m"), format!("{log}&follow=true&sinceSeconds=120"));
        assert_eq!(asked("-l app=web"), format!("{log}&tailLines=10"));
    }

    #[test]
    fn the_first_container_is_meant_unless_one_is_named() {
        let pod = json!({"metadata": {"name": "p"}, "spec": {"containers": [{"name": "a"}, {"name": "b"}]}});
        assert_eq!(log_of(&pod, &options("p")).unwrap().container, "a");
        assert_eq!(log_of(&pod, &options("p -c b")).unwrap().container, "b");
        assert!(log_of(&json!({}), &options("p")).is_err());
    }

    #[test]
    fn acc_s3_133_lines_of_several_pods_are_in_the_order_of_time() {
        let line = |text: &str, log: usize| (text.to_owned(), log);
        let sorted = by_time(vec![line("t1 a", 0), line("t3 b", 0), line("t2 c", 1), line("t3 d", 1)]);
        assert_eq!(sorted, [line("t1 a", 0), line("t2 c", 1), line("t3 b", 0), line("t3 d", 1)]);
    }
}
