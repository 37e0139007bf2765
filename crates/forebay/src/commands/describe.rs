//! `forebay describe`: one object as a person wants to know it: what it says, what runs of it, what happened to it.

use serde_json::{Value, json};

use super::events::{Asked, printed};
use super::{End, logs};
use crate::client::{Client, JSON, TABLE, collection, with_query};
use crate::globals::Globals;
use crate::output::table::{Shown, Table};
use crate::output::yaml;
use crate::resource::{self, Named, Scope};
use crate::{output, runtime};

/// Show what objects say, what runs of them, and what happened to them
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  forebay describe isvc sklearn-iris -n staging
  forebay describe deploy/web
  forebay describe pods -l app=web")]
pub(crate) struct Options {
    /// What to describe: KIND, KIND NAME or KIND/NAME
    #[arg(value_name = "KIND [NAME]", required = true)]
    resources: Vec<String>,

    #[command(flatten)]
    scope: Scope,
}

/// Annotations that repeat the object, or are kept for the platform.
const NOT_SHOWN: &[&str] = &[control::store::LAST_APPLIED];

pub(crate) fn run(options: &Options, globals: &Globals) -> anyhow::Result<End> {
    runtime::block_on(async {
        let client = Client::find(globals)?;
        let named = resource::parse_for(&client, &options.resources).await?;
        let mut all = Vec::new();
        for named in &named {
            let namespace = Some(options.scope.namespace());
            let found = client.get(&named.target(namespace, &options.scope.selector, ""), JSON).await?;
            match found["items"].as_array() {
                Some(items) => all.extend(items.iter().map(|item| (named.kind, item.clone()))),
                None => all.push((named.kind, found)),
            }
        }
        if all.is_empty() {
            eprintln!("No resources found in {} namespace.", options.scope.namespace());
        }
        for (index, (kind, object)) in all.iter().enumerate() {
            let space = if index > 0 { "\n\n" } else { "" };
            let name = object["metadata"]["name"].as_str().map(ToOwned::to_owned);
            let described =
                describe(&client, &Named { kind, name }, object, options.scope.namespace()).await?;
            output::say(&format!("{space}{described}"))?;
        }
        Ok(End::Done)
    })
}

async fn describe(client: &Client, named: &Named, object: &Value, namespace: &str) -> anyhow::Result<String> {
    let mut text = head(named, object);
    text += &body(object);
    text += &conditions(&object["status"]["conditions"]);
    if let Some(selector) = logs::selector_of(named, object) {
        text += &section("Pods", &pods(client, namespace, &selector).await?);
    }
    let asked = Asked { about: Some(named), namespace: Some(namespace), types: &[] };
    let events = asked.table(client).await?;
    let events = if events.rows.is_empty() { "<none>\n".to_owned() } else { printed(&events) };
    Ok(text + &section("Events", &events))
}

/// Name, namespace, kind, and what is written beside them.
fn head(named: &Named, object: &Value) -> String {
    let metadata = &object["metadata"];
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let owners = metadata["ownerReferences"].as_array().into_iter().flatten();
    let owners = owners.map(|owner| format!("{}/{}", text(&owner["kind"]), text(&owner["name"])));
    let lines = [
        ("Name", text(&metadata["name"])),
        ("Namespace", text(&metadata["namespace"])),
        ("Kind", format!("{} ({})", named.kind.kind, named.kind.api_version())),
        ("Created", text(&metadata["creationTimestamp"])),
        ("Generation", metadata["generation"].as_u64().map(|n| n.to_string()).unwrap_or_default()),
        ("Controlled By", owners.collect::<Vec<_>>().join(", ")),
    ];
    let mut head: String = lines
        .iter()
        .filter(|(_, value)| !value.is_empty())
        .map(|(name, value)| format!("{:<15}{value}\n", format!("{name}:")))
        .collect();
    for (name, map) in [("Labels", &metadata["labels"]), ("Annotations", &metadata["annotations"])] {
        let pairs = map.as_object().into_iter().flatten();
        let pairs = pairs.filter(|(key, _)| !NOT_SHOWN.contains(&key.as_str()));
        for (index, (key, value)) in pairs.enumerate() {
            let name = if index == 0 { format!("{name}:") } else { String::new() };
            head += &format!("{name:<15}{key}={}\n", text(value).trim_end());
        }
    }
    head
}

/// What the object says, and its status but for its conditions. What a Secret holds is counted, not shown.
fn body(object: &Value) -> String {
    let mut text = String::new();
    let is_secret = object["kind"] == "Secret";
    for (key, value) in object.as_object().into_iter().flatten() {
        if ["apiVersion", "kind", "metadata"].contains(&key.as_str()) {
            continue;
        }
        let mut value = value.clone();
        if key == "status" {
            value.as_object_mut().map(|status| status.remove("conditions"));
        }
        if is_secret && let Some(fields) = value.as_object_mut() {
            for (_, field) in fields.iter_mut() {
                *field = json!(format!("{} characters of base64", field.as_str().unwrap_or_default().len()));
            }
        }
        let is_empty = value.as_object().is_some_and(serde_json::Map::is_empty) || value.is_null();
        if !is_empty {
            text += &section(&capitalised(key), &yaml::print(&value));
        }
    }
    text
}

/// `Ready  True  MinimumReplicasAvailable  Deployment has minimum availability.`
fn conditions(conditions: &Value) -> String {
    let rows = conditions.as_array().into_iter().flatten().map(|condition| {
        let cell = |key: &str| condition[key].as_str().unwrap_or_default().replace('\n', " ");
        ["type", "status", "reason", "message"].map(cell).to_vec()
    });
    let headers = ["TYPE", "STATUS", "REASON", "MESSAGE"].map(ToOwned::to_owned).to_vec();
    let table = Table { headers, rows: rows.collect() };
    if table.rows.is_empty() { String::new() } else { section("Conditions", &printed(&table)) }
}

async fn pods(client: &Client, namespace: &str, selector: &str) -> anyhow::Result<String> {
    let path = collection(logs::pods()?, Some(namespace));
    let value = client.get(&with_query(&path, &[("labelSelector", selector)]), TABLE).await?;
    let table = Table::of(&value, &Shown::default());
    Ok(if table.rows.is_empty() { "<none>\n".to_owned() } else { printed(&table) })
}

/// A part with its name, indented.
fn section(name: &str, text: &str) -> String {
    let lines: String = text.lines().map(|line| format!("  {line}\n")).collect();
    format!("{name}:\n{lines}")
}

fn capitalised(key: &str) -> String {
    let mut letters = key.chars();
    letters.next().into_iter().flat_map(char::to_uppercase).chain(letters).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;

    #[test]
    fn an_object_is_read_from_top_to_bottom() {
        let object = json!({
            "apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {"name": "web", "namespace": "shop", "generation": 2, "labels": {"app": "web", "b": "c"},
                "annotations": {control::store::LAST_APPLIED: "{}"}},
            "spec": {"replicas": 2},
            "status": {"replicas": 2, "conditions": [
                {"type": "Available", "status": "True", "reason": "MinimumReplicasAvailable", "message": "So it is."}]},
        });
        let kind = manifest::kind_named("deploy").unwrap();
        let named = Named { kind, name: Some("web".to_owned()) };
        let text = head(&named, &object) + &body(&object) + &conditions(&object["status"]["conditions"]);
        expect![[r#"
            Name:          web
            Namespace:     shop
            Kind:          Deployment (apps/v1)
            Generation:    2
            Labels:        app=web
                           b=c
            Spec:
              replicas: 2
            Status:
              replicas: 2
            Conditions:
              TYPE        STATUS   REASON                     MESSAGE
              Available   True     MinimumReplicasAvailable   So it is.
        "#]]
        .assert_eq(&text);
    }

    #[test]
    fn a_secret_is_not_shown() {
        let text = body(&json!({"kind": "Secret", "data": {"password": "aHVudGVyMg=="}}));
        assert_eq!(text, "Data:\n  password: 12 characters of base64\n");
    }
}
