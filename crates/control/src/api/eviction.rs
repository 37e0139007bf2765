//! Taking a pod away as far as its disruption budgets allow: the `eviction` subresource, of which `kubectl drain` makes use.

use std::sync::Arc;

use http::StatusCode;
use manifest::Object;
use serde_json::{Value, json};

use super::route::ObjectRoute;
use super::{Answer, Call, respond};
use crate::conditions;
use crate::control::kept::budget as budget_status;
use crate::store::{Cause, DeleteOptions, Details, LabelSelector, Mode, Reason, Status, metadata, ordered};

impl Call<'_> {
    pub(super) fn evict(&self, route: &ObjectRoute) -> Answer {
        let body = if self.body.is_empty() { Value::Null } else { self.value()? };
        if body["metadata"]["name"].as_str().is_some_and(|name| !name.is_empty() && name != route.name) {
            let message = format!("name in URL does not match name in Eviction object: {}", route.name);
            return Err(Status::new(Reason::BadRequest, message));
        }
        let pod = self.api.store.get(route.kind, &route.namespace, &route.name)?;
        let options = &body["deleteOptions"];
        let mode = match &options["dryRun"] {
            Value::Array(dry_run) if !dry_run.is_empty() => Mode::DryRun,
            _ => self.parameters.mode()?,
        };
        // What has ended, or was never ready, is no loss.
        let has_ended =
            ["Failed", "Pending", "Succeeded"].iter().any(|phase| pod.value["status"]["phase"] == **phase);
        if !has_ended && pod.value["metadata"].get("deletionTimestamp").is_none() {
            self.check_budgets(&pod)?;
        }
        let precondition = |field: &str| options["preconditions"][field].as_str().map(ToOwned::to_owned);
        let options = DeleteOptions {
            uid: precondition("uid"),
            resource_version: precondition("resourceVersion"),
            grace_period_seconds: options["gracePeriodSeconds"].as_u64(),
            ..DeleteOptions::default()
        };
        self.api.store.delete((route.kind, &route.namespace, &route.name), &options, mode)?;
        let success = [
            ("kind", json!("Status")),
            ("apiVersion", json!("v1")),
            ("metadata", json!({})),
            ("status", json!("Success")),
            ("code", json!(201)),
        ];
        Ok(respond::json_text(StatusCode::CREATED, ordered(&success)))
    }

    fn check_budgets(&self, pod: &Object) -> Result<(), Status> {
        let objects = self.api.store.objects();
        let selects = |budget: &Object, pod: &Object| {
            let selector = &budget.value["spec"]["selector"];
            budget.namespace == pod.namespace
                && LabelSelector::from_selector(selector)
                    .is_some_and(|selector| selector.matches(&pod.labels()))
        };
        let budgets: Vec<&Arc<Object>> =
            objects.of_kind("PodDisruptionBudget").filter(|budget| selects(budget, pod)).collect();
        let budget = match budgets.as_slice() {
            [] => return Ok(()),
            [budget] => budget,
            _ => {
                let message = "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.";
                return Err(Status::new(Reason::InternalError, message));
            }
        };
        let counted = budget_status(budget, &objects, &metadata::time(self.now));
        let number = |field: &str| counted[field].as_u64().unwrap_or(0);
        let (healthy, needed) = (number("currentHealthy"), number("desiredHealthy"));
        // A pod that does no work is missed by nobody, as long as enough others do.
        let is_missed = is_healthy(pod)
            || (budget.value["spec"]["unhealthyPodEvictionPolicy"] != "AlwaysAllow" && healthy < needed);
        if number("disruptionsAllowed") > 0 || !is_missed {
            return Ok(());
        }
        let message = "Cannot evict pod as it would violate the pod's disruption budget.";
        let cause = Cause {
            reason: "DisruptionBudget",
            message: format!(
                "The disruption budget {} needs {needed} healthy pods and has {healthy} currently",
                budget.name
            ),
            field: String::new(),
        };
        let details = Details { causes: vec![cause], ..Details::default() };
        Err(Status { details: Some(Box::new(details)), ..Status::new(Reason::TooManyRequests, message) })
    }
}

fn is_healthy(pod: &Object) -> bool {
    conditions::holds(&pod.value["status"], "Ready") && pod.value["metadata"]["deletionTimestamp"].is_null()
}
