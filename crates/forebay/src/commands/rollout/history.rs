//! The versions of a Deployment that are remembered: its ReplicaSets.

use anyhow::bail;
use manifest::{Kind, kind_named};
use net::Method;
use serde_json::{Value, json};

use super::deployment;
use crate::client::{Ask, Client, JSON, collection, path};
use crate::output::table::Printer;
use crate::output::{self, yaml};

/// The annotation with the number of a version.
const REVISION: &str = "deployment.kubernetes.io/revision";
/// The annotation in which people say why.
const CHANGE_CAUSE: &str = "kubernetes.io/change-cause";
/// The label by which sets tell their pods apart.
const TEMPLATE_HASH: &str = "pod-template-hash";
/// The label of a set whose version could not be used.
const REFUSED: &str = "forebay.dev/refused";
const JSON_PATCH: &str = "application/json-patch+json";

/// Prints the versions of a Deployment, or one of them.
pub(super) async fn show(client: &Client, namespace: &str, name: &str, revision: u64) -> anyhow::Result<()> {
    let versions = versions(client, namespace, name).await?;
    let resource = deployment()?.resource();
    if revision > 0 {
        let set = find(&versions, revision)?;
        let template = yaml::print(&set["spec"]["template"]);
        output::say(&format!("{resource}/{name} with revision #{revision}\n{template}"))?;
        return Ok(());
    }
    let mut rows = vec![vec!["REVISION".to_owned(), "CHANGE-CAUSE".to_owned()]];
    rows.extend(versions.iter().map(|(revision, set)| vec![revision.to_string(), cause(set)]));
    output::say(&format!("{resource}/{name}\n{}", Printer::default().print(&rows)))?;
    Ok(())
}

/// Makes a Deployment what it was in an earlier version, the one before the latest for 0.
pub(super) async fn undo(client: &Client, namespace: &str, name: &str, revision: u64) -> anyhow::Result<()> {
    let kind = deployment()?;
    let target = path(kind, namespace, name);
    let live = client.get(&target, JSON).await?;
    let versions = versions(client, namespace, name).await?;
    let revision = if revision == 0 { before(&versions, kind, name)? } else { revision };
    let template = without_hash(find(&versions, revision)?["spec"]["template"].clone());
    if template == without_hash(live["spec"]["template"].clone()) {
        let resource = kind.resource();
        output::say(&format!(
            "{resource}/{name} skipped rollback (current template already matches revision {revision})\n"
        ))?;
        return Ok(());
    }
    let patch = json!([{"op": "replace", "path": "/spec/template", "value": template}]);
    let body = Some((JSON_PATCH, patch.to_string()));
    client.write(Ask { method: Method::PATCH, target, accept: JSON, body }).await?;
    output::say(&format!("{}/{name} rolled back\n", kind.resource()))?;
    Ok(())
}

/// The sets of a Deployment by the number of their version, the oldest first.
async fn versions(client: &Client, namespace: &str, name: &str) -> anyhow::Result<Vec<(u64, Value)>> {
    let owner = client.get(&path(deployment()?, namespace, name), JSON).await?;
    let kind = kind_named("ReplicaSet").ok_or_else(|| anyhow::anyhow!("this build knows no ReplicaSets"))?;
    let mut list = client.get(&collection(kind, Some(namespace)), JSON).await?;
    let items = list["items"].as_array_mut().map(std::mem::take).unwrap_or_default();
    let is_owned = |set: &Value| {
        let owners = set["metadata"]["ownerReferences"].as_array().into_iter().flatten();
        owners.into_iter().any(|reference| reference["uid"] == owner["metadata"]["uid"])
    };
    let sets = items.into_iter().filter(is_owned);
    let mut versions: Vec<(u64, Value)> = sets
        .filter_map(|set| Some((set["metadata"]["annotations"][REVISION].as_str()?.parse().ok()?, set)))
        .collect();
    versions.sort_by_key(|(revision, _)| *revision);
    Ok(versions)
}

/// The version before the latest, of those that could be used.
fn before(versions: &[(u64, Value)], kind: &Kind, name: &str) -> anyhow::Result<u64> {
    let earlier = versions.split_last().map(|(_, earlier)| earlier).unwrap_or_default();
    let before = earlier.iter().rev().find(|(_, set)| !is_refused(set));
    match before {
        Some((revision, _)) => Ok(*revision),
        None => bail!("no rollout history found for {} \"{name}\"", kind.singular()),
    }
}

fn is_refused(set: &Value) -> bool {
    set["metadata"]["labels"][REFUSED] == "true"
}

fn find(versions: &[(u64, Value)], revision: u64) -> anyhow::Result<&Value> {
    let found = versions.iter().find(|(known, _)| *known == revision);
    let Some((_, set)) = found else {
        let known: Vec<String> = versions.iter().map(|(revision, _)| revision.to_string()).collect();
        bail!("unable to find the specified revision {revision}\n  help: there are {}", known.join(", "))
    };
    Ok(set)
}

fn cause(set: &Value) -> String {
    let cause = set["metadata"]["annotations"][CHANGE_CAUSE].as_str().unwrap_or("<none>");
    if is_refused(set) {
        format!("{cause} (refused: it cannot be used as it is written)")
    } else {
        cause.to_owned()
    }
}

fn without_hash(mut template: Value) -> Value {
    if let Some(labels) = template["metadata"]["labels"].as_object_mut() {
        labels.remove(TEMPLATE_HASH);
    }
    template
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn going_back_passes_over_versions_that_were_refused() {
        let set = |revision: u64, is_refused: bool| {
            let labels = if is_refused { json!({REFUSED: "true"}) } else { json!({}) };
            (revision, json!({"metadata": {"labels": labels}}))
        };
        let kind = deployment().unwrap();
        let before = |versions: &[(u64, Value)]| before(versions, kind, "web").ok();
        assert_eq!(before(&[set(1, false), set(2, true)]), Some(1));
        assert_eq!(before(&[set(1, false), set(2, true), set(3, false)]), Some(1));
        assert_eq!(before(&[set(1, true), set(2, false)]), None);
        assert_eq!(before(&[]), None);
    }
}
