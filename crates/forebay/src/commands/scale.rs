//! `forebay scale`: how many replicas there are to be.

use anyhow::bail;
use net::Method;
use serde_json::{Value, json};

use super::End;
use crate::client::{Ask, Client, JSON, MERGE_PATCH, path};
use crate::globals::Globals;
use crate::resource::{self, Named};
use crate::{output, runtime};

/// Set the number of replicas of a Deployment or an InferenceService
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  forebay scale deploy/web --replicas=3
  forebay scale isvc/sklearn-iris -n staging --replicas=2")]
pub(crate) struct Options {
    /// What to scale: deploy/NAME, isvc/NAME
    #[arg(value_name = "KIND/NAME", required = true)]
    resources: Vec<String>,

    /// How many there are to be
    #[arg(long, value_name = "N")]
    replicas: u32,

    /// Only if there are so many now
    #[arg(long, value_name = "N")]
    current_replicas: Option<u32>,

    /// Namespace
    #[arg(short, long, default_value = "default", value_name = "NAME")]
    namespace: String,
}

/// Where a kind keeps the number of its replicas, and how to ask for it.
struct Counted {
    pointer: &'static str,
    /// The path after that of the object.
    subresource: &'static str,
}

pub(crate) fn run(options: &Options, globals: &Globals) -> anyhow::Result<End> {
    runtime::block_on(async {
        let client = Client::find(globals)?;
        for named in resource::parse(&options.resources)? {
            scale(&client, &named, options).await?;
        }
        Ok(End::Done)
    })
}

async fn scale(client: &Client, named: &Named, options: &Options) -> anyhow::Result<()> {
    let Named { kind, name: Some(name) } = named else { bail!("name an object: deploy/NAME") };
    let Some(counted) = Counted::of(kind.kind) else { bail!("{} cannot be scaled", kind.plural) };
    let target = format!("{}{}", path(kind, &options.namespace, name), counted.subresource);
    let object = client.get(&target, JSON).await?;
    let current = object.pointer(counted.pointer).and_then(Value::as_u64);
    if let Some(expected) = options.current_replicas
        && current != Some(expected.into())
    {
        let current = current.map_or_else(|| "not said".to_owned(), |current| current.to_string());
        bail!("Expected replicas to be {expected}, was {current}");
    }
    let patch = counted.patch(options.replicas, &object["metadata"]["resourceVersion"]);
    let body = Some((MERGE_PATCH, patch.to_string()));
    client.write(Ask { method: Method::PATCH, target, accept: JSON, body }).await?;
    output::say(&format!("{}/{name} scaled\n", kind.resource()))?;
    Ok(())
}

// === impl Counted ===

impl Counted {
    fn of(kind: &str) -> Option<Self> {
        match kind {
            "Deployment" | "ReplicaSet" => Some(Self { pointer: "/spec/replicas", subresource: "/scale" }),
            "InferenceService" => Some(Self { pointer: "/spec/predictor/minReplicas", subresource: "" }),
            _ => None,
        }
    }

    /// The patch that sets the number, of an object at a revision.
    fn patch(&self, replicas: u32, revision: &Value) -> Value {
        let keys = self.pointer.split('/').skip(1).collect::<Vec<_>>();
        let mut patch = keys.iter().rev().fold(json!(replicas), |inner, key| json!({*key: inner}));
        patch["metadata"] = json!({"resourceVersion": revision});
        patch
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_keeps_its_number_somewhere() {
        let patch = |kind: &str| Counted::of(kind).unwrap().patch(3, &json!("7"));
        assert_eq!(
            patch("Deployment"),
            json!({"spec": {"replicas": 3}, "metadata": {"resourceVersion": "7"}})
        );
        assert_eq!(
            patch("InferenceService"),
            json!({"spec": {"predictor": {"minReplicas": 3}}, "metadata": {"resourceVersion": "7"}})
        );
        assert!(Counted::of("Service").is_none());
    }
}
