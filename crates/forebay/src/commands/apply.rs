//! `forebay apply`: makes the platform's objects say what manifests say.

use std::path::PathBuf;

use manifest::{CODES, Finding, Object, Severity};
use net::Method;
use serde_json::{Value, json};

use control::store::{remember, remembered};

use super::End;
use crate::client::{self, Ask, Client, JSON, MERGE_PATCH, Written, collection, path_of, with_query};
use crate::globals::Globals;
use crate::{findings, manifests, output, resource, runtime};

/// Apply manifests to the running platform, as kubectl apply does
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  forebay apply -f deploy/ -n mlops
  kustomize build overlays/prod | forebay apply -f -
  forebay apply --dry-run=server -f ingress.yaml")]
pub(crate) struct Options {
    /// Manifests: files, folders, or - for standard input
    #[arg(short, long, value_name = "PATH", required = true)]
    filename: Vec<PathBuf>,

    /// Namespace of objects that do not say theirs
    #[arg(short, long, value_name = "NAME")]
    namespace: Option<String>,

    /// Only say what would be done; `server` has the platform check it too
    #[arg(long, value_enum, default_value_t = DryRun::None, value_name = "WHERE")]
    dry_run: DryRun,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum DryRun {
    /// It is done.
    None,
    /// Nothing is sent but questions.
    Client,
    /// What is sent is checked and forgotten.
    Server,
}

/// How often a write is tried again that somebody else came before.
const ATTEMPTS: usize = 5;

/// What became of an object.
struct Applied {
    word: &'static str,
    written: Option<Written>,
}

pub(crate) fn run(options: &Options, globals: &Globals) -> anyhow::Result<End> {
    runtime::block_on(apply(options, globals))
}

async fn apply(options: &Options, globals: &Globals) -> anyhow::Result<End> {
    let client = Client::find(globals)?;
    let manifests = manifests::read_for(&client, &options.filename).await?;
    let read = manifest::weighed(manifests.findings, client.exposure);
    findings::print(&read, globals);
    let mut end = if read.iter().any(Finding::is_error) { End::Failed } else { End::Done };
    let mut doubtful = Vec::new();
    for object in manifests.objects {
        match apply_one(&client, object, options).await {
            Ok((object, applied)) => {
                let (kind, name, suffix) = (object.kind.resource(), &object.name, options.dry_run.suffix());
                output::say(&format!("{kind}/{name} {}{suffix}\n", applied.word))?;
                let Some(written) = applied.written else { continue };
                written.warnings.iter().for_each(|warning| eprintln!("Warning: {warning}"));
                if !written.findings.is_empty() {
                    doubtful.push((object, written.findings));
                }
            }
            Err(error) if error.is::<client::Refusal>() => {
                eprintln!("{error}");
                end = End::Failed;
            }
            Err(error) => {
                eprintln!("error: {error:#}");
                end = End::Failed;
            }
        }
    }
    let findings = doubts(&client, doubtful, options).await;
    findings::print(&findings, globals);
    Ok(if findings.iter().any(Finding::is_error) { End::Failed } else { end })
}

/// Applies one object; gives it back with the namespace it went to.
async fn apply_one(client: &Client, object: Object, options: &Options) -> anyhow::Result<(Object, Applied)> {
    let object = in_namespace(object, options.namespace.as_deref())?;
    let mut attempts = ATTEMPTS;
    loop {
        match try_to_apply(client, &object, options.dry_run).await {
            Err(error) if attempts > 1 && client::is_refused(&error, "Conflict") => attempts -= 1,
            applied => return applied.map(|applied| (object, applied)),
        }
    }
}

/// An object as it is, if it is there, and as it would be after being applied.
pub(super) async fn tried(
    client: &Client,
    object: Object,
    namespace: Option<&str>,
) -> anyhow::Result<(Option<Value>, Value)> {
    let object = in_namespace(object, namespace)?;
    let mut attempts = ATTEMPTS;
    loop {
        let live = client.find_object(&path_of(&object)).await?;
        match try_to_apply(client, &object, DryRun::Server).await {
            // Its status changed in between.
            Err(error) if attempts > 1 && client::is_refused(&error, "Conflict") => attempts -= 1,
            applied => {
                let after = applied?.written.map(|written| written.object).unwrap_or_default();
                return Ok((live, after));
            }
        }
    }
}

fn in_namespace(mut object: Object, asked: Option<&str>) -> anyhow::Result<Object> {
    object.namespace = resource::namespace_of(&object, asked)?;
    if object.kind.is_namespaced {
        object.value["metadata"]["namespace"] = json!(object.namespace);
    }
    Ok(object)
}

async fn try_to_apply(client: &Client, object: &Object, dry_run: DryRun) -> anyhow::Result<Applied> {
    let path = path_of(object);
    let mut wanted = object.value.clone();
    remember(&mut wanted);
    let Some(live) = client.find_object(&path).await? else {
        let written = match dry_run {
            DryRun::Client => None,
            _ => {
                let collection = collection(object.kind, Some(&object.namespace));
                Some(client.write(ask(Method::POST, &collection, dry_run, &wanted)).await?)
            }
        };
        return Ok(Applied { word: "created", written });
    };
    let applied = remembered(&live);
    let merged = control::api::three_way(object.kind, applied.as_ref(), &wanted, &live);
    let is_same = merged == live;
    if dry_run == DryRun::Client {
        return Ok(Applied { word: if is_same { "unchanged" } else { "configured" }, written: None });
    }
    // Also what is the same is sent: what there is to say about it comes back.
    let written = client.write(ask(Method::PUT, &path, dry_run, &merged)).await?;
    let stays = if dry_run == DryRun::None {
        written.object["metadata"]["resourceVersion"] == live["metadata"]["resourceVersion"]
    } else {
        written.object == live
    };
    Ok(Applied { word: if stays { "unchanged" } else { "configured" }, written: Some(written) })
}

fn ask<'a>(method: Method, path: &str, dry_run: DryRun, body: &Value) -> Ask<'a> {
    let creates_namespace = if method == Method::POST { "true" } else { "" };
    let parameters = [
        ("fieldManager", "forebay"),
        ("dryRun", dry_run.parameter()),
        ("createNamespace", creates_namespace),
    ];
    let target = with_query(path, &parameters);
    Ask { method, target, accept: JSON, body: Some((JSON, body.to_string())) }
}

/// What there is to say about objects, now that all of them are there: one that names another may have come first.
async fn doubts(client: &Client, doubtful: Vec<(Object, Vec<Value>)>, options: &Options) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (object, mut said) in doubtful {
        if options.dry_run == DryRun::None {
            let target = with_query(&path_of(&object), &[("dryRun", "All")]);
            let body = Some((MERGE_PATCH, "{}".to_owned()));
            let nothing = Ask { method: Method::PATCH, target, accept: JSON, body };
            if let Ok(written) = client.write(nothing).await {
                said = written.findings;
            }
        }
        findings.extend(said.iter().filter_map(|finding| finding_of(finding, &object)));
    }
    manifest::sort(&mut findings);
    findings
}

/// A finding as the API tells it, with its place in the manifest.
fn finding_of(told: &Value, object: &Object) -> Option<Finding> {
    let code = CODES.iter().find(|code| told["code"] == code.name)?;
    let finding = Finding::new(code, told["message"].as_str()?);
    let severities = [Severity::Error, Severity::Warning, Severity::Info];
    let severity = severities.into_iter().find(|severity| told["severity"] == severity.as_str())?;
    let finding = match told["field"].as_str() {
        Some(key) if object.annotation(key).is_some() => finding.at_annotation(object, key),
        Some(path) => finding.at(object, path),
        None => finding.on(object),
    };
    let suggestion = told["suggestion"].as_str().map(ToOwned::to_owned);
    Some(finding.with_severity(severity).maybe_suggest(suggestion))
}

// === impl DryRun ===

impl DryRun {
    fn suffix(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Client => " (dry run)",
            Self::Server => " (server dry run)",
        }
    }

    fn parameter(self) -> &'static str {
        if self == Self::Server { "All" } else { "" }
    }
}
