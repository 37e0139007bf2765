//! `forebay wait`: until objects are as they are to be.

use std::time::Duration;

use anyhow::bail;
use manifest::Kind;
use serde_json::Value;
use tokio::time::{Instant, timeout_at};

use super::End;
use crate::client::{Client, JSON, collection, path, with_query};
use crate::following::Following;
use crate::globals::Globals;
use crate::output::jsonpath::{ParseError, Template};
use crate::resource::{self, Named, Scope};
use crate::{duration, output, runtime};

/// Wait until objects are ready, gone, or as a template says
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  forebay wait --for=condition=Ready isvc/sklearn-iris -n staging --timeout=60s
  forebay wait --for=delete pod/web-1
  forebay wait --for=jsonpath='{.status.readyReplicas}'=3 deploy/web

Exit code 124 when the time is over.")]
pub(crate) struct Options {
    /// What to wait for: isvc NAME, isvc/NAME, or a kind with -l or --all
    #[arg(value_name = "KIND/NAME", required = true)]
    resources: Vec<String>,

    /// condition=NAME[=VALUE], delete, create, or jsonpath=TEMPLATE[=VALUE]
    #[arg(long = "for", value_name = "WHAT")]
    goal: Goal,

    #[command(flatten)]
    scope: Scope,

    /// All objects of the kind in the namespace
    #[arg(long)]
    all: bool,

    /// How long to wait for all of them, for example 30s or 5m
    #[arg(long, default_value = "30s", value_parser = duration::parse)]
    timeout: Duration,
}

/// What is waited for.
#[derive(Debug, Clone, PartialEq)]
enum Goal {
    Condition {
        name: String,
        value: String,
    },
    Delete,
    Create,
    /// That a template has a value, or, without one, anything to say.
    JsonPath {
        template: Template,
        value: Option<String>,
    },
}

pub(crate) fn run(options: &Options, globals: &Globals) -> anyhow::Result<End> {
    runtime::block_on(async {
        let client = Client::find(globals)?;
        let named = resource::parse_for(&client, &options.resources).await?;
        let deadline = Instant::now() + options.timeout;
        let mut end = End::Done;
        for (kind, name) in objects(options, &client, named).await? {
            let following = Following::new(&client, kind, options.scope.namespace(), &name);
            let mut waiting = Waiting { goal: &options.goal, kind, name: &name, following, last: None };
            if waiting.wait(deadline).await? {
                output::say(&format!("{}/{name} condition met\n", kind.resource()))?;
            } else {
                eprintln!("{}", waiting.timed_out());
                end = End::TimedOut;
            }
        }
        Ok(end)
    })
}

/// The objects that are named.
async fn objects(
    options: &Options,
    client: &Client,
    named: Vec<Named>,
) -> anyhow::Result<Vec<(&'static Kind, String)>> {
    let mut objects = Vec::new();
    let namespace = options.scope.namespace();
    for Named { kind, name } in named {
        if let Some(name) = name {
            let may_be_missing = matches!(options.goal, Goal::Delete | Goal::Create);
            if !may_be_missing {
                client.get(&path(kind, namespace, &name), JSON).await?;
            }
            objects.push((kind, name));
            continue;
        }
        if options.scope.selector.is_empty() && !options.all {
            bail!("name an object, or say -l or --all");
        }
        let path = collection(kind, Some(namespace));
        let list =
            client.get(&with_query(&path, &[("labelSelector", &options.scope.selector)]), JSON).await?;
        let names = list["items"].as_array().into_iter().flatten();
        objects.extend(names.filter_map(|item| Some((kind, item["metadata"]["name"].as_str()?.to_owned()))));
    }
    if objects.is_empty() {
        bail!("no matching resources found");
    }
    Ok(objects)
}

/// Waiting for one object.
struct Waiting<'a> {
    goal: &'a Goal,
    kind: &'static Kind,
    name: &'a str,
    following: Following<'a>,
    /// The object as it was seen last.
    last: Option<Value>,
}

impl Waiting<'_> {
    /// Waits until a deadline; whether it was worth it. There is always time for one look.
    async fn wait(&mut self, deadline: Instant) -> anyhow::Result<bool> {
        let mut is_met = self.look().await?;
        while !is_met {
            match timeout_at(deadline, self.look()).await {
                Ok(looked) => is_met = looked?,
                Err(_) => return Ok(false),
            }
        }
        Ok(true)
    }

    /// Looks at the object, now or after its next change.
    async fn look(&mut self) -> anyhow::Result<bool> {
        let object = self.following.next().await?;
        if self.goal.is_met(object.as_ref()) {
            return Ok(true);
        }
        let is_gone = object.is_none() && self.last.is_some();
        if is_gone && *self.goal != Goal::Create {
            bail!("{} was deleted while it was waited for", Named::quoted(self.kind, self.name));
        }
        self.last = object;
        Ok(false)
    }

    fn timed_out(&self) -> String {
        let text =
            format!("error: timed out waiting for the condition on {}/{}", self.kind.plural, self.name);
        let known = self.last.as_ref().and_then(|last| self.goal.last_known(last));
        known.map_or(text.clone(), |known| format!("{text}\n  {known}"))
    }
}

// === impl Goal ===

impl std::str::FromStr for Goal {
    type Err = String;

    fn from_str(written: &str) -> Result<Self, String> {
        let (what, rest) = written.split_once('=').unwrap_or((written, ""));
        match what {
            "delete" if rest.is_empty() => Ok(Self::Delete),
            "create" if rest.is_empty() => Ok(Self::Create),
            "condition" if !rest.is_empty() => {
                let (name, value) = rest.split_once('=').unwrap_or((rest, "True"));
                Ok(Self::Condition { name: name.to_owned(), value: value.to_owned() })
            }
            "jsonpath" if !rest.is_empty() => {
                let end = rest.rfind('}').map_or(rest.len(), |end| end + 1);
                let (template, value) = rest.split_at(end);
                let template = template.parse().map_err(|error: ParseError| error.to_string())?;
                let value = match value.strip_prefix('=') {
                    Some(value) => Some(value.trim_matches(['"', '\'']).to_owned()),
                    None if value.is_empty() => None,
                    None => return Err(format!("`{value}` after the template: a value begins with =")),
                };
                Ok(Self::JsonPath { template, value })
            }
            _ => {
                Err("it is one of condition=NAME[=VALUE], delete, create, jsonpath=TEMPLATE[=VALUE]"
                    .to_owned())
            }
        }
    }
}

impl Goal {
    /// Whether an object, or that there is none, is what is waited for.
    fn is_met(&self, object: Option<&Value>) -> bool {
        match (self, object) {
            (Self::Delete, object) => object.is_none(),
            (_, None) => false,
            (Self::Create, Some(_)) => true,
            (Self::Condition { name, value }, Some(object)) => {
                let is = condition(object, name).and_then(|condition| condition["status"].as_str());
                is.is_some_and(|is| is.eq_ignore_ascii_case(value)) && is_observed(object)
            }
            (Self::JsonPath { template, value }, Some(object)) => {
                let said = template.render(object).unwrap_or_default();
                value.as_ref().map_or(!said.is_empty(), |value| *value == said)
            }
        }
    }

    /// What is known of the thing that was waited for.
    fn last_known(&self, object: &Value) -> Option<String> {
        let Self::Condition { name, .. } = self else { return None };
        let condition = condition(object, name)?;
        let text = |field: &str| condition[field].as_str().unwrap_or_default();
        let because = [text("reason"), text("message")].into_iter().filter(|part| !part.is_empty());
        let because = because.collect::<Vec<_>>().join(": ");
        Some(format!("last known: {name} is {} ({because})", text("status")))
    }
}

fn condition<'a>(object: &'a Value, name: &str) -> Option<&'a Value> {
    let mut conditions = object["status"]["conditions"].as_array()?.iter();
    conditions
        .find(|condition| condition["type"].as_str().is_some_and(|kind| kind.eq_ignore_ascii_case(name)))
}

/// Whether the status is about the object as it is now, as far as it says.
fn is_observed(object: &Value) -> bool {
    match (object["status"]["observedGeneration"].as_u64(), object["metadata"]["generation"].as_u64()) {
        (Some(observed), Some(generation)) => observed >= generation,
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn met(goal: &str, object: impl Into<Option<Value>>) -> bool {
        goal.parse::<Goal>().unwrap().is_met(object.into().as_ref())
    }

    #[test]
    fn acc_s2_39_a_condition_is_met_when_it_is_about_the_object_as_it_is() {
        let object = |generation: u32, status: &str| {
            json!({"metadata": {"generation": generation}, "status": {"observedGeneration": 2,
                "conditions": [{"type": "Ready", "status": status}]}})
        };
        assert!(met("condition=Ready", Some(object(2, "True"))));
        assert!(met("condition=ready", Some(object(1, "True"))));
        assert!(!met("condition=Ready", Some(object(3, "True"))));
        assert!(!met("condition=Ready", Some(object(2, "False"))));
        assert!(met("condition=Ready=False", Some(object(2, "False"))));
        assert!(!met("condition=Other", Some(object(2, "True"))));
        assert!(!met("condition=Ready", None));
    }

    #[test]
    fn being_there_and_being_gone() {
        assert!(met("delete", None) && !met("delete", Some(json!({}))));
        assert!(met("create", Some(json!({}))) && !met("create", None));
    }

    #[test]
    fn a_template_has_a_value_or_anything_to_say() {
        let object = || Some(json!({"status": {"phase": "Running", "n": 3}}));
        assert!(met("jsonpath={.status.phase}=Running", object()));
        assert!(met("jsonpath='{.status.n}'=3".replace('\'', "").as_str(), object()));
        assert!(met("jsonpath={.status.phase}", object()));
        assert!(!met("jsonpath={.status.nobody}", object()));
        assert!(!met("jsonpath={.status.phase}=Failed", object()));
        for wrong in ["", "condition", "delete=x", "jsonpath=", "jsonpath={.a", "jsonpath={.a}x"] {
            assert!(wrong.parse::<Goal>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_was_known_last_is_said() {
        let object = json!({"status": {"conditions": [
            {"type": "Ready", "status": "False", "reason": "PredictorNotReady", "message": "no model"}]}});
        let goal: Goal = "condition=Ready".parse().unwrap();
        assert_eq!(
            goal.last_known(&object).unwrap(),
            "last known: Ready is False (PredictorNotReady: no model)"
        );
    }
}
