//! `forebay delete`: takes objects away, and waits until they are gone.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::bail;
use manifest::{Kind, kind_named};
use net::Method;
use plan::ObjectRef;
use serde::Deserialize;
use serde_json::{Value, json};

use super::End;
use crate::client::{self, Ask, Client, JSON, collection, path, with_query};
use crate::following::Following;
use crate::globals::Globals;
use crate::platform::Platform;
use crate::resource::{self, Named, Scope};
use crate::{applied, duration, findings, manifests, output, runtime};

/// Delete objects by name, by label or by the manifests they came from
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  forebay delete svc retail-api -n mlops
  forebay delete -f deploy/           also when the files are gone, if `up` took them from there
  forebay delete pods -l app=web")]
pub(crate) struct Options {
    /// What to delete: svc NAME, svc/NAME
    #[arg(value_name = "KIND NAME", required_unless_present = "filename")]
    resources: Vec<String>,

    /// Manifests whose objects are deleted: files, folders, or - for standard input
    #[arg(short, long, value_name = "PATH", conflicts_with = "resources")]
    filename: Vec<PathBuf>,

    #[command(flatten)]
    scope: Scope,

    /// All objects of the kind in the namespace
    #[arg(long)]
    all: bool,

    /// Time for a pod to end, in seconds; 0 takes it away at once
    #[arg(long, value_name = "SECONDS")]
    grace_period: Option<u32>,

    /// Say nothing of an object that is not there
    #[arg(long)]
    ignore_not_found: bool,

    /// Wait until everything is gone
    #[arg(long, default_value_t = true, action = clap::ArgAction::Set, value_name = "true|false")]
    wait: bool,

    /// How long to wait, for example 30s; 0 for as long as it takes
    #[arg(long, default_value = "0", value_parser = duration::parse)]
    timeout: Duration,
}

/// What came from a path, as the admin port tells of it.
#[derive(Debug, Deserialize)]
struct Applied {
    path: String,
    objects: Vec<AppliedObject>,
}

#[derive(Debug, Deserialize)]
struct AppliedObject {
    kind: String,
    namespace: String,
    name: String,
}

/// An object to delete.
struct Target {
    kind: &'static Kind,
    namespace: String,
    name: String,
}

pub(crate) fn run(options: &Options, globals: &Globals) -> anyhow::Result<End> {
    runtime::block_on(delete(options, globals))
}

async fn delete(options: &Options, globals: &Globals) -> anyhow::Result<End> {
    let client = Client::find(globals)?;
    let (mut targets, mut end) = if options.filename.is_empty() {
        (named(options, &client).await?, End::Done)
    } else {
        in_files(options, globals).await?
    };
    if targets.is_empty() && end == End::Done && !options.ignore_not_found {
        eprintln!("No resources found");
    }
    targets.sort_by_key(Target::holds_others);
    let mut leaving = Vec::new();
    for target in targets {
        match target.delete(&client, options).await {
            Ok(uid) => {
                output::say(&format!("{} deleted\n", Named::quoted(target.kind, &target.name)))?;
                leaving.push((target, uid));
            }
            Err(error) if options.ignore_not_found && client::is_refused(&error, "NotFound") => {}
            Err(error) if error.is::<client::Refusal>() => {
                eprintln!("{error}");
                end = End::Failed;
            }
            Err(error) => return Err(error),
        }
    }
    if options.wait && wait_until_gone(&client, &leaving, options.timeout).await? == End::TimedOut {
        return Ok(End::TimedOut);
    }
    Ok(end)
}

/// What the command line names.
async fn named(options: &Options, client: &Client) -> anyhow::Result<Vec<Target>> {
    let mut targets = Vec::new();
    let namespace = options.scope.namespace();
    for Named { kind, name } in resource::parse_for(client, &options.resources).await? {
        if let Some(name) = name {
            targets.push(Target { kind, namespace: namespace.to_owned(), name });
            continue;
        }
        if options.scope.selector.is_empty() && !options.all {
            bail!("resource(s) were provided, but no name was specified: name one, or say --all");
        }
        let path = collection(kind, Some(namespace));
        let list =
            client.get(&with_query(&path, &[("labelSelector", &options.scope.selector)]), JSON).await?;
        let names = list["items"].as_array().into_iter().flatten();
        let names = names.filter_map(|item| item["metadata"]["name"].as_str());
        targets.extend(names.map(|name| Target {
            kind,
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        }));
    }
    Ok(targets)
}

/// What manifests describe, or did when `up` read them.
async fn in_files(options: &Options, globals: &Globals) -> anyhow::Result<(Vec<Target>, End)> {
    let (gone, there): (Vec<PathBuf>, Vec<PathBuf>) =
        options.filename.iter().cloned().partition(|path| manifests::are_gone(path));
    let manifests = match Client::find(globals) {
        Ok(client) => manifests::read_for(&client, &there).await?,
        Err(_) => manifests::read(&there)?,
    };
    findings::print(&manifests.findings, globals);
    let is_whole = !manifests.findings.iter().any(manifest::Finding::is_error);
    let mut targets = Vec::with_capacity(manifests.objects.len());
    for object in manifests.objects {
        let namespace = options.scope.namespace_of(&object)?;
        targets.push(Target { kind: object.kind, namespace, name: object.name });
    }
    for path in gone {
        targets.extend(remembered(&path, globals).await?);
    }
    Ok((targets, if is_whole { End::Done } else { End::Failed }))
}

/// What came from a path that holds nothing any more, as the platform remembers it.
async fn remembered(path: &Path, globals: &Globals) -> anyhow::Result<Vec<Target>> {
    let platform = Platform::find(&globals.state_dir())?;
    let by_path: Vec<Applied> = serde_json::from_value(platform.admin("/applied").await?)?;
    let known = applied::remembered_as(path);
    let objects = by_path.into_iter().find(|applied| applied.path == known).map(|applied| applied.objects);
    let Some(objects) = objects.filter(|objects| !objects.is_empty()) else {
        bail!(
            "`{}` holds no manifests, and nothing that runs came from there with `forebay up`",
            path.display()
        );
    };
    let references: Vec<ObjectRef> =
        objects.iter().map(|it| ObjectRef::new(&it.kind, &it.namespace, &it.name)).collect();
    eprintln!(
        "note: `{}` holds no manifests any more; of what came from there, {} still there: {}",
        path.display(),
        if references.len() == 1 {
            "1 object is".to_owned()
        } else {
            format!("{} are", applied::counted(references.len()))
        },
        applied::listed(&references)
    );
    let target =
        |it: ObjectRef| Some(Target { kind: kind_named(&it.kind)?, namespace: it.namespace, name: it.name });
    Ok(references.into_iter().filter_map(target).collect())
}

impl Target {
    /// Whether other objects go with it. It is deleted after all others, which would not be found any more.
    fn holds_others(&self) -> bool {
        self.kind.key == "Namespace"
    }

    /// Deletes the object; gives the uid of what is leaving.
    async fn delete(&self, client: &Client, options: &Options) -> anyhow::Result<Option<String>> {
        let mut body = json!({"propagationPolicy": "Background"});
        if let Some(seconds) = options.grace_period {
            body["gracePeriodSeconds"] = json!(seconds);
        }
        let ask = Ask {
            method: Method::DELETE,
            target: path(self.kind, &self.namespace, &self.name),
            accept: JSON,
            body: Some((JSON, body.to_string())),
        };
        let answer = client.write(ask).await?.object;
        let uid = |value: &Value| value.as_str().map(ToOwned::to_owned);
        Ok(uid(&answer["metadata"]["uid"]).or_else(|| uid(&answer["details"]["uid"])))
    }
}

async fn wait_until_gone(
    client: &Client,
    leaving: &[(Target, Option<String>)],
    timeout: Duration,
) -> anyhow::Result<End> {
    let all_gone = async {
        for (target, uid) in leaving {
            let mut following = Following::new(client, target.kind, &target.namespace, &target.name);
            // One with the same name and another uid is another object.
            while let Some(object) = following.next().await?
                && object["metadata"]["uid"].as_str() == uid.as_deref()
            {}
        }
        anyhow::Ok(())
    };
    if timeout.is_zero() {
        all_gone.await?;
        return Ok(End::Done);
    }
    match tokio::time::timeout(timeout, all_gone).await {
        Ok(result) => result.map(|()| End::Done),
        Err(_) => {
            eprintln!("error: timed out waiting for the condition: some of these objects are still there");
            Ok(End::TimedOut)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_namespace_goes_after_all_that_is_in_it() {
        let target = |(kind, name): (&str, &str)| Target {
            kind: kind_named(kind).unwrap(),
            namespace: "staging".to_owned(),
            name: name.to_owned(),
        };
        let written = [("Namespace", "staging"), ("Service", "b"), ("Namespace", "c"), ("Deployment", "a")];
        let mut targets = written.map(target);
        targets.sort_by_key(Target::holds_others);
        assert_eq!(targets.map(|target| target.name), ["b", "a", "staging", "c"]);
    }
}
