//! `forebay diff`: what applying manifests would change.

use std::path::PathBuf;

use manifest::Finding;
use serde_json::Value;

use super::{End, apply};
use crate::client::Client;
use crate::globals::Globals;
use crate::output::{diff, yaml};
use crate::{findings, manifests, output, runtime};

/// Show what applying manifests would change
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  forebay diff -f deploy/
  kustomize build overlays/prod | forebay diff -f -

Exit code 0 when nothing would change, 1 when something would.")]
pub(crate) struct Options {
    /// Manifests: files, folders, or - for standard input
    #[arg(short, long, value_name = "PATH", required = true)]
    filename: Vec<PathBuf>,

    /// Namespace of objects that do not say theirs
    #[arg(short, long, value_name = "NAME")]
    namespace: Option<String>,
}

/// Fields of `metadata` that say nothing of what was written.
const NOT_COMPARED: &[&str] = &["resourceVersion", "generation", "managedFields", "uid", "creationTimestamp"];

pub(crate) fn run(options: &Options, globals: &Globals) -> anyhow::Result<End> {
    runtime::block_on(async {
        let client = Client::find(globals)?;
        let manifests = manifests::read_for(&client, &options.filename).await?;
        let read = manifest::weighed(manifests.findings, client.exposure);
        findings::print(&read, globals);
        let is_broken = read.iter().any(Finding::is_error);
        let mut end = if is_broken { End::Failed } else { End::Done };
        for object in manifests.objects {
            let name = object.reference().to_string();
            match apply::tried(&client, object, options.namespace.as_deref()).await {
                Ok((before, after)) => {
                    let (before, after) = (before.map(shown).unwrap_or_default(), shown(after));
                    let hunks = diff::unified(&before, &after);
                    if !hunks.is_empty() {
                        end = End::Failed;
                        output::say(&format!("--- {name} (now)\n+++ {name} (applied)\n{hunks}"))?;
                    }
                }
                Err(error) => {
                    eprintln!("{name}: {error:#}");
                    end = End::Failed;
                }
            }
        }
        Ok(end)
    })
}

/// What of an object somebody wrote.
fn shown(mut object: Value) -> String {
    object.as_object_mut().map(|fields| fields.remove("status"));
    let is_secret = object["kind"] == "Secret";
    if let Some(metadata) = object["metadata"].as_object_mut() {
        metadata.retain(|key, _| !NOT_COMPARED.contains(&key.as_str()));
        if let Some(annotations) = metadata.get_mut("annotations").and_then(Value::as_object_mut) {
            // It repeats the object.
            annotations.remove(control::store::LAST_APPLIED);
            if annotations.is_empty() {
                metadata.remove("annotations");
            }
        }
    }
    if is_secret {
        hide(&mut object);
    }
    yaml::print(&object)
}

/// Shows that bytes of a Secret are others, and not which.
fn hide(secret: &mut Value) {
    for field in ["data", "stringData"] {
        for (_, value) in secret[field].as_object_mut().into_iter().flatten() {
            let written = value.as_str().unwrap_or_default();
            let fingerprint = written.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
                (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
            });
            *value =
                Value::String(format!("*** ({} characters, {:04x})", written.len(), fingerprint & 0xffff));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_nobody_wrote_is_no_difference_and_secrets_stay_secret() {
        let secret = |password: &str, revision: &str| {
            shown(json!({"kind": "Secret", "data": {"password": password}, "status": {},
                "metadata": {"name": "s", "resourceVersion": revision, "annotations": {control::store::LAST_APPLIED: revision}}}))
        };
        assert_eq!(secret("aHVudGVyMg==", "1"), secret("aHVudGVyMg==", "2"));
        let changed = diff::unified(&secret("aHVudGVyMg==", "1"), &secret("aHVudGVyMw==", "1"));
        assert!(changed.contains("-  password") && !changed.contains("aHVu"), "{changed}");
    }
}
