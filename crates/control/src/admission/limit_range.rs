//! LimitRanges: what containers get that ask for nothing, and how little and how much a container, a pod or a claim may ask
//! for.

use serde_json::{Value, json};

use super::amount::{Amount, Amounts, amounts};
use super::quota::{pod_amounts, resources};
use super::{Attempt, containers, items, text};
use crate::api::validation;
use crate::store::Status;

/// Where it is noted what was filled in.
const NOTE: &str = "kubernetes.io/limit-ranger";

/// Gives containers the limits and requests that they leave open.
pub(super) fn fill(attempt: &mut Attempt<'_>) -> Result<(), Status> {
    if !attempt.is_new_pod() {
        return Ok(());
    }
    for range in attempt.neighbours("LimitRange") {
        let limits = items(&range.value["spec"]["limits"]);
        let of_containers = limits.filter(|limit| limit["type"] == "Container");
        let of_containers: Vec<&Value> = of_containers.collect();
        let mut filled = Vec::new();
        for (list, kind) in [("containers", "container"), ("initContainers", "init container")] {
            let containers = attempt.object.value["spec"].get_mut(list).and_then(Value::as_array_mut);
            for container in containers.into_iter().flatten() {
                filled.extend(fill_container(container, kind, &of_containers));
            }
        }
        if !filled.is_empty() {
            let annotations = &mut attempt.object.value["metadata"]["annotations"];
            if !annotations.is_object() {
                *annotations = json!({});
            }
            annotations[NOTE] = json!(format!("LimitRanger plugin set: {}", filled.join("; ")));
            let class = manifest::qos_class(&attempt.object.value["spec"]);
            attempt.object.value["status"]["qosClass"] = json!(class);
            validation::check(attempt.object)?;
        }
    }
    Ok(())
}

/// Fills in what one container leaves open. Tells what: `cpu, memory request for container api`.
fn fill_container(container: &mut Value, kind: &str, limits: &[&Value]) -> Vec<String> {
    let name = text(container, "name").to_owned();
    let mut told = Vec::new();
    for (field, default, word) in [("requests", "defaultRequest", "request"), ("limits", "default", "limit")]
    {
        let mut set = Vec::new();
        for (resource, amount) in limits.iter().filter_map(|limit| limit[default].as_object()).flatten() {
            let said = &mut container["resources"][field];
            if !said.is_object() {
                *said = json!({});
            }
            if said[resource].is_null() {
                said[resource] = amount.clone();
                set.push(resource.as_str());
            }
        }
        if !set.is_empty() {
            set.sort_unstable();
            told.push(format!("{} {word} for {kind} {name}", set.join(", ")));
        }
        // An empty map that was made to look into.
        if container["resources"][field].as_object().is_some_and(serde_json::Map::is_empty)
            && let Some(resources) = container["resources"].as_object_mut()
        {
            resources.remove(field);
        }
    }
    told
}

/// Refuses what asks for too little or too much.
pub(super) fn check(attempt: &mut Attempt<'_>) -> Result<(), Status> {
    let is_claim = attempt.is_a("PersistentVolumeClaim");
    if !attempt.is_new_pod() && !is_claim {
        return Ok(());
    }
    for range in attempt.neighbours("LimitRange") {
        let limits = items(&range.value["spec"]["limits"]);
        let problems: Vec<String> = limits.flat_map(|limit| problems(limit, attempt, is_claim)).collect();
        match problems.as_slice() {
            [] => {}
            [one] => return Err(attempt.forbidden(one)),
            several => return Err(attempt.forbidden(&format!("[{}]", several.join(", ")))),
        }
    }
    Ok(())
}

fn problems(limit: &Value, attempt: &Attempt<'_>, is_claim: bool) -> Vec<String> {
    let spec = &attempt.object.value["spec"];
    let of = text(limit, "type");
    let asked: Vec<(Amounts, Amounts)> = match (of, is_claim) {
        ("PersistentVolumeClaim", true) => vec![(resources(spec, "requests"), Amounts::new())],
        ("Container", false) => {
            containers(spec).map(|it| (resources(it, "requests"), resources(it, "limits"))).collect()
        }
        ("Pod", false) => vec![(pod_amounts(spec, "requests"), pod_amounts(spec, "limits"))],
        _ => return Vec::new(),
    };
    let mut found = Vec::new();
    for (requests, limits) in &asked {
        for (resource, least) in amounts(&limit["min"]) {
            let line = format!("minimum {resource} usage per {of} is {least}");
            found.extend(too_little(&line, least, requests.get(&resource), limits.get(&resource)));
        }
        for (resource, most) in amounts(&limit["max"]) {
            let line = format!("maximum {resource} usage per {of} is {most}");
            found.extend(too_much(&line, most, requests.get(&resource), limits.get(&resource), is_claim));
        }
        for (resource, most) in amounts(&limit["maxLimitRequestRatio"]) {
            let line = format!("{resource} max limit to request ratio per {of} is {most}, but");
            found.extend(too_far_apart(&line, most, requests.get(&resource), limits.get(&resource)));
        }
    }
    found
}

fn too_little(line: &str, least: Amount, request: Option<&Amount>, limit: Option<&Amount>) -> Option<String> {
    match (request, limit) {
        (None, _) => Some(format!("{line}.  No request is specified")),
        (Some(request), _) if *request < least => Some(format!("{line}, but request is {request}")),
        (_, Some(limit)) if *limit < least => Some(format!("{line}, but limit is {limit}")),
        _ => None,
    }
}

fn too_much(
    line: &str,
    most: Amount,
    request: Option<&Amount>,
    limit: Option<&Amount>,
    is_claim: bool,
) -> Option<String> {
    match (request, limit) {
        (None, _) if is_claim => Some(format!("{line}.  No request is specified")),
        (_, None) if !is_claim => Some(format!("{line}.  No limit is specified")),
        (_, Some(limit)) if *limit > most => Some(format!("{line}, but limit is {limit}")),
        (Some(request), _) if *request > most => Some(format!("{line}, but request is {request}")),
        _ => None,
    }
}

fn too_far_apart(
    line: &str,
    most: Amount,
    request: Option<&Amount>,
    limit: Option<&Amount>,
) -> Option<String> {
    let Some(request) = request.filter(|request| !request.is_zero()) else {
        return Some(format!("{line} no request is specified or request is 0"));
    };
    let Some(limit) = limit.filter(|limit| !limit.is_zero()) else {
        return Some(format!("{line} no limit is specified or limit is 0"));
    };
    let ratio = limit.ratio(*request);
    (ratio > most.ratio(Amount::of(1))).then(|| format!("{line} provided ratio is {ratio:.6}"))
}
