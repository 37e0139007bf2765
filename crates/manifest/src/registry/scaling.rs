//! How many there are to be, and how many may be missing.

use serde_json::{Value, json};

use super::columns::{AGE, Column, NAME, UNKNOWN, column, count, items, number, plain, text_or};
use super::fill::{fields, set_missing};
use super::{ALL, Effect, Kind, STATUS, Words, namespaced};
use crate::kinds::validation::numbers::{INT32, Or, number as bounded};
use crate::kinds::validation::{Rules, kept};
use crate::{Object, Objects};

pub(super) static HORIZONTAL_POD_AUTOSCALER: Kind = Kind {
    short_names: &["hpa"],
    categories: ALL,
    subresources: STATUS,
    columns: AUTOSCALER_COLUMNS,
    fill,
    rules: Rules {
        required: &["spec.scaleTargetRef.kind", "spec.scaleTargetRef.name"],
        numbers: &[bounded("spec.minReplicas", 1, INT32), bounded("spec.maxReplicas", 1, INT32)],
        doubts: kept::check_autoscaler,
        ..Rules::NONE
    },
    effect: Effect::Lacking(Words {
        words: "nothing is scaled by it yet: replicas stay as many as they are",
        advice: "set the number of replicas by hand: forebay scale",
    }),
    ..namespaced("autoscaling", "v2", "HorizontalPodAutoscaler", "horizontalpodautoscalers")
};

pub(super) static POD_DISRUPTION_BUDGET: Kind = Kind {
    short_names: &["pdb"],
    subresources: STATUS,
    columns: BUDGET_COLUMNS,
    rules: Rules {
        numbers: &[
            bounded("spec.minAvailable", 0, INT32).or(Or::Percentage),
            bounded("spec.maxUnavailable", 0, INT32).or(Or::Percentage),
        ],
        doubts: kept::check_budget,
        ..Rules::NONE
    },
    ..namespaced("policy", "v1", "PodDisruptionBudget", "poddisruptionbudgets")
};

const AUTOSCALER_COLUMNS: &[Column] = &[
    NAME,
    column("Reference", |autoscaler, _| {
        let target = &autoscaler.value["spec"]["scaleTargetRef"];
        json!(format!("{}/{}", text_or(&target["kind"], ""), text_or(&target["name"], "")))
    }),
    column("Targets", |autoscaler, _| json!(targets(&autoscaler.value))),
    column("MinPods", |autoscaler, _| match &autoscaler.value["spec"]["minReplicas"] {
        Value::Null => json!("<unset>"),
        least => json!(plain(least)),
    }),
    count("MaxPods", |autoscaler, _| json!(number(&autoscaler.value["spec"]["maxReplicas"]))),
    count("Replicas", |autoscaler, _| json!(number(&autoscaler.value["status"]["currentReplicas"]))),
    AGE,
];

const BUDGET_COLUMNS: &[Column] = &[
    NAME,
    column("Min Available", |budget, _| or_not_applicable(&budget.value["spec"]["minAvailable"])),
    column("Max Unavailable", |budget, _| or_not_applicable(&budget.value["spec"]["maxUnavailable"])),
    count("Allowed Disruptions", |budget, _| json!(number(&budget.value["status"]["disruptionsAllowed"]))),
    AGE,
];

/// `cpu: 20%/70%, memory: <unknown>/80%`: for each metric what it is and what it is to be.
fn targets(autoscaler: &Value) -> String {
    let current = &autoscaler["status"]["currentMetrics"];
    let metrics = items(&autoscaler["spec"]["metrics"]);
    let shown: Vec<String> = metrics.filter_map(|metric| target(metric, current)).collect();
    if shown.is_empty() { "<none>".to_owned() } else { shown.join(", ") }
}

fn target(metric: &Value, current: &Value) -> Option<String> {
    let kind = metric["type"].as_str()?;
    let field = match kind {
        "Resource" => "resource",
        "ContainerResource" => "containerResource",
        "Pods" => "pods",
        "Object" => "object",
        "External" => "external",
        _ => return None,
    };
    let (wanted, name) = (&metric[field], name(&metric[field]));
    let is_same = |status: &&Value| status["type"] == kind && self::name(&status[field]) == name;
    let current = items(current).find(is_same).map_or(&Value::Null, |status| &status[field]["current"]);
    let (is, to_be) = match &wanted["target"]["averageUtilization"] {
        Value::Null => {
            let value =
                |of: &Value| of["averageValue"].as_str().or(of["value"].as_str()).map(ToOwned::to_owned);
            let average = if wanted["target"]["averageValue"].is_null() { "" } else { " (avg)" };
            (
                value(current),
                format!("{}{average}", value(&wanted["target"]).unwrap_or_else(|| UNKNOWN.to_owned())),
            )
        }
        utilization => {
            let is = current["averageUtilization"].as_u64().map(|percent| format!("{percent}%"));
            (is, format!("{}%", plain(utilization)))
        }
    };
    let is = is.unwrap_or_else(|| UNKNOWN.to_owned());
    Some(if kind == "Resource" { format!("{name}: {is}/{to_be}") } else { format!("{is}/{to_be}") })
}

/// What a metric measures: `cpu`, or the name of a metric of one's own.
fn name(metric: &Value) -> &str {
    metric["name"].as_str().or(metric["metric"]["name"].as_str()).unwrap_or_default()
}

fn or_not_applicable(value: &Value) -> Value {
    if value.is_null() { json!("N/A") } else { json!(plain(value)) }
}

/// Autoscalers keep one replica unless told otherwise.
fn fill(object: &mut Object, _old: Option<&Object>, _all: &Objects) {
    let spec = object.value.as_object_mut().and_then(|autoscaler| fields(autoscaler, "spec"));
    if let Some(spec) = spec {
        set_missing(spec, [("minReplicas", json!(1))]);
    }
}
