//! Pods stay for five minutes on a node that is not heard of, unless they say otherwise.

use serde_json::{Value, json};

use super::{Attempt, items};
use crate::store::Status;

const GONE: [&str; 2] = ["node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"];
const SECONDS: u32 = 300;

pub(super) fn fill(attempt: &mut Attempt<'_>) -> Result<(), Status> {
    if !attempt.is_new_pod() {
        return Ok(());
    }
    let tolerations = &mut attempt.object.value["spec"]["tolerations"];
    let missing = GONE.into_iter().filter(|key| !items(tolerations).any(|it| tolerates(it, key)));
    let missing: Vec<Value> = missing
        .map(|key| json!({"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": SECONDS}))
        .collect();
    match tolerations.as_array_mut() {
        Some(tolerations) => tolerations.extend(missing),
        None => *tolerations = json!(missing),
    }
    Ok(())
}

fn tolerates(toleration: &Value, key: &str) -> bool {
    let is = |field: &str, value: &str| {
        toleration[field].is_null() || toleration[field] == "" || toleration[field] == value
    };
    is("key", key) && is("effect", "NoExecute")
}
