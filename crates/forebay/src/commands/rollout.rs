//! `forebay rollout`: how a new version comes about, and starting one anew.

mod history;

use std::time::Duration;

use anyhow::bail;
use manifest::{Kind, kind_named};
use net::Method;
use serde_json::{Value, json};

use super::End;
use crate::client::{Ask, Client, JSON, path};
use crate::following::Following;
use crate::globals::Globals;
use crate::resource::{self, Named};
use crate::{duration, output, runtime};

/// Follow a rollout, start one, or go back
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  forebay rollout status deploy/web --timeout=60s
  forebay rollout restart isvc/sklearn-iris -n staging
  forebay rollout history deploy/web
  forebay rollout undo deploy/web --to-revision=3

Exit code 124 when the time is over.")]
pub(crate) struct Options {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Wait until every replica is of the latest version
    Status {
        #[command(flatten)]
        what: What,

        /// How long to wait, for example 30s; 0 for as long as it takes
        #[arg(long, default_value = "0", value_parser = duration::parse)]
        timeout: Duration,
    },
    /// Replace every replica by a new one, a few at a time
    Restart {
        #[command(flatten)]
        what: What,
    },
    /// Show the versions that there were
    History {
        #[command(flatten)]
        what: What,

        /// Show the template of this version
        #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
        revision: u64,
    },
    /// Go back to an earlier version
    Undo {
        #[command(flatten)]
        what: What,

        /// The version to go back to; 0 for the one before
        #[arg(long, value_name = "N", default_value_t = 0)]
        to_revision: u64,
    },
}

/// Deployments.
#[derive(Debug, clap::Args)]
struct What {
    /// deploy/NAME, or isvc/NAME for the replicas of an InferenceService
    #[arg(value_name = "KIND/NAME", required = true)]
    resources: Vec<String>,

    /// Namespace
    #[arg(short, long, default_value = "default", value_name = "NAME")]
    namespace: String,
}

const STRATEGIC_PATCH: &str = "application/strategic-merge-patch+json";
/// The annotation of a pod template that makes it another one.
const RESTARTED_AT: &str = "kubectl.kubernetes.io/restartedAt";

pub(crate) fn run(options: &Options, globals: &Globals) -> anyhow::Result<End> {
    runtime::block_on(async {
        let client = Client::find(globals)?;
        match &options.action {
            Action::Status { what, timeout } => {
                for name in what.deployments()? {
                    if status(&client, &what.namespace, &name, *timeout).await? == End::TimedOut {
                        return Ok(End::TimedOut);
                    }
                }
            }
            Action::History { what, revision } => {
                for name in what.deployments()? {
                    history::show(&client, &what.namespace, &name, *revision).await?;
                }
            }
            Action::Undo { what, to_revision } => {
                for name in what.deployments_to_undo()? {
                    history::undo(&client, &what.namespace, &name, *to_revision).await?;
                }
            }
            Action::Restart { what } => {
                for name in what.deployments()? {
                    restart(&client, &what.namespace, &name).await?;
                }
            }
        }
        Ok(End::Done)
    })
}

impl What {
    /// The names of the Deployments that are meant.
    fn deployments(&self) -> anyhow::Result<Vec<String>> {
        let named = resource::parse(&self.resources)?;
        named.into_iter().map(|named| deployment_of(&named)).collect()
    }
}

impl What {
    /// The names of the Deployments that may go back: those that follow from an InferenceService would be turned again.
    fn deployments_to_undo(&self) -> anyhow::Result<Vec<String>> {
        let named = resource::parse(&self.resources)?;
        if let Some(named) = named.iter().find(|named| named.kind.kind == "InferenceService") {
            let name = named.name.as_deref().unwrap_or_default();
            bail!(
                "the Deployment of isvc/{name} follows from its spec\n  help: apply the earlier version of the InferenceService"
            );
        }
        self.deployments()
    }
}

fn deployment_of(named: &Named) -> anyhow::Result<String> {
    match (named.kind.kind, &named.name) {
        (_, None) => bail!("name one: deploy/NAME"),
        ("Deployment", Some(name)) => Ok(name.clone()),
        ("InferenceService", Some(name)) => Ok(format!("{name}-predictor-default")),
        _ => bail!(
            "no rollout of {}: it is a Deployment or an InferenceService that is rolled out",
            named.kind.plural
        ),
    }
}

fn deployment() -> anyhow::Result<&'static Kind> {
    kind_named("Deployment").ok_or_else(|| anyhow::anyhow!("this build knows no Deployments"))
}

async fn status(client: &Client, namespace: &str, name: &str, timeout: Duration) -> anyhow::Result<End> {
    let kind = deployment()?;
    client.get(&path(kind, namespace, name), JSON).await?;
    let mut following = Following::new(client, kind, namespace, name);
    let all_new = async {
        let mut said = String::new();
        loop {
            let Some(object) = following.next().await? else {
                bail!("{} was deleted during its rollout", Named::quoted(kind, name))
            };
            match progress(name, &object) {
                Progress::Done(line) => {
                    output::say(&format!("{line}\n"))?;
                    return Ok(());
                }
                Progress::Failed(why) => bail!("{why}"),
                Progress::Going(line) if line != said => {
                    output::say(&format!("{line}\n"))?;
                    said = line;
                }
                Progress::Going(_) => {}
            }
        }
    };
    if timeout.is_zero() {
        all_new.await?;
        return Ok(End::Done);
    }
    match tokio::time::timeout(timeout, all_new).await {
        Ok(result) => result.map(|()| End::Done),
        Err(_) => {
            eprintln!("error: timed out waiting for the condition");
            Ok(End::TimedOut)
        }
    }
}

/// How far a rollout is.
#[derive(Debug, PartialEq, Eq)]
enum Progress {
    Going(String),
    Done(String),
    Failed(String),
}

/// How far the rollout of a Deployment is, in kubectl's words.
fn progress(name: &str, deployment: &Value) -> Progress {
    let (spec, status) = (&deployment["spec"], &deployment["status"]);
    let number = |value: &Value| value.as_u64().unwrap_or(0);
    let generation = number(&deployment["metadata"]["generation"]);
    let conditions = status["conditions"].as_array().into_iter().flatten();
    if let Some(refused) = conditions.clone().find(|c| c["type"] == "Accepted" && c["status"] == "False") {
        let why = refused["message"].as_str().unwrap_or_default();
        return Progress::Failed(format!("deployment \"{name}\" is not rolled out: {why}"));
    }
    if generation > number(&status["observedGeneration"]) {
        return Progress::Going("Waiting for deployment spec update to be observed...".to_owned());
    }
    let stuck = |c: &&Value| c["type"] == "Progressing" && c["reason"] == "ProgressDeadlineExceeded";
    if conditions.clone().any(|c| stuck(&c)) {
        let failure = conditions.clone().find(|c| c["type"] == "ReplicaFailure" && c["status"] == "True");
        return Progress::Failed(match failure.and_then(|failure| failure["message"].as_str()) {
            Some(why) => format!("deployment \"{name}\" is not rolled out: {why}"),
            None => format!("deployment \"{name}\" exceeded its progress deadline"),
        });
    }
    let wanted = spec["replicas"].as_u64().unwrap_or(1);
    let (all, updated) = (number(&status["replicas"]), number(&status["updatedReplicas"]));
    let available = number(&status["availableReplicas"]);
    let waiting = format!("Waiting for deployment \"{name}\" rollout to finish:");
    if updated < wanted {
        Progress::Going(format!("{waiting} {updated} out of {wanted} new replicas have been updated..."))
    } else if all > updated {
        Progress::Going(format!("{waiting} {} old replicas are pending termination...", all - updated))
    } else if available < updated {
        Progress::Going(format!("{waiting} {available} of {updated} updated replicas are available..."))
    } else {
        Progress::Done(format!("deployment \"{name}\" successfully rolled out"))
    }
}

async fn restart(client: &Client, namespace: &str, name: &str) -> anyhow::Result<()> {
    let kind = deployment()?;
    let annotations = json!({RESTARTED_AT: jiff::Timestamp::now().to_string()});
    let patch = json!({"spec": {"template": {"metadata": {"annotations": annotations}}}});
    let target = path(kind, namespace, name);
    let body = Some((STRATEGIC_PATCH, patch.to_string()));
    client.write(Ask { method: Method::PATCH, target, accept: JSON, body }).await?;
    output::say(&format!("{}/{name} restarted\n", kind.resource()))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(generation: u64, replicas: u64, updated: u64, available: u64) -> Value {
        json!({"metadata": {"generation": 2}, "spec": {"replicas": 3}, "status": {"observedGeneration": generation,
            "replicas": replicas, "updatedReplicas": updated, "availableReplicas": available}})
    }

    #[test]
    fn a_rollout_goes_through_kubectls_words() {
        let going = |text: &str| Progress::Going(text.to_owned());
        for (deployment, said) in [
            (at(1, 0, 0, 0), going("Waiting for deployment spec update to be observed...")),
            (
                at(2, 3, 1, 3),
                going(
                    "Waiting for deployment \"web\" rollout to finish: 1 out of 3 new replicas have been updated...",
                ),
            ),
            (
                at(2, 4, 3, 3),
                going(
                    "Waiting for deployment \"web\" rollout to finish: 1 old replicas are pending termination...",
                ),
            ),
            (
                at(2, 3, 3, 2),
                going(
                    "Waiting for deployment \"web\" rollout to finish: 2 of 3 updated replicas are available...",
                ),
            ),
            (at(2, 3, 3, 3), Progress::Done("deployment \"web\" successfully rolled out".to_owned())),
        ] {
            assert_eq!(progress("web", &deployment), said);
        }
        let mut stuck = at(2, 3, 1, 1);
        stuck["status"]["conditions"] =
            json!([{"type": "Progressing", "reason": "ProgressDeadlineExceeded"}]);
        assert!(matches!(progress("web", &stuck), Progress::Failed(_)));
        let failure = json!({"type": "ReplicaFailure", "status": "True", "message": "no image is pulled"});
        stuck["status"]["conditions"].as_array_mut().unwrap().push(failure);
        let said = "deployment \"web\" is not rolled out: no image is pulled";
        assert_eq!(progress("web", &stuck), Progress::Failed(said.to_owned()));
    }

    #[test]
    fn a_version_that_is_not_taken_ends_the_waiting() {
        let mut refused = at(1, 3, 0, 3);
        let why = "generation 2 cannot be used, so generation 1 goes on: spec.template: no containers";
        refused["status"]["conditions"] = json!([{"type": "Accepted", "status": "False", "message": why}]);
        let said = format!("deployment \"web\" is not rolled out: {why}");
        assert_eq!(progress("web", &refused), Progress::Failed(said));
    }
}
