//! The number of replicas as an object of its own: the `scale` subresource.

use http::{Method, StatusCode};
use manifest::Object;
use serde_json::{Value, json};

use super::patch::{PatchForm, patched};
use super::route::ObjectRoute;
use super::{Answer, Call, respond, validation};
use crate::ownership::{Operation, Trace};
use crate::store::{Cause, Part, Status};

impl Call<'_> {
    pub(super) fn scale(&self, route: &ObjectRoute) -> Answer {
        let object = self.api.store.get(route.kind, &route.namespace, &route.name)?;
        Ok(respond::json(StatusCode::OK, &scale_of(&object.value)))
    }

    pub(super) fn set_scale(&self, route: &ObjectRoute, method: &Method) -> Answer {
        let body = self.value()?;
        let form = match *method {
            Method::PATCH => match PatchForm::of(self.media_type(), route.kind)? {
                PatchForm::Json => Some(PatchForm::Json),
                // No list of a Scale is merged by a key.
                _ => Some(PatchForm::Merge),
            },
            _ => None,
        };
        let key = (route.kind, route.namespace.as_str(), route.name.as_str());
        let writer = self.writer(Operation::Update, route.kind, "scale")?;
        let mode = self.parameters.mode()?;
        let applied = self.api.store.modify_by(key, Part::Object, mode, Trace::By(&writer), |live| {
            let scale = match form {
                Some(form) => patched(form, route.kind, &scale_of(live), &body)?,
                None => body,
            };
            let scaled = with_scale(live, &scale, route)?;
            if let Ok(object) = Object::from_value(scaled.clone()) {
                validation::check(&object)?;
            }
            Ok(scaled)
        })?;
        Ok(respond::json(StatusCode::OK, &scale_of(&applied.object.value)))
    }
}

fn scale_of(object: &Value) -> Value {
    let (metadata, spec) = (&object["metadata"], &object["spec"]);
    json!({
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": {
            "name": metadata["name"],
            "namespace": metadata["namespace"],
            "uid": metadata["uid"],
            "resourceVersion": metadata["resourceVersion"],
            "creationTimestamp": metadata["creationTimestamp"],
        },
        "spec": {"replicas": spec["replicas"].as_u64().unwrap_or(0)},
        "status": {
            "replicas": object["status"]["replicas"].as_u64().unwrap_or(0),
            "selector": manifest::selector_text(&spec["selector"]),
        },
    })
}

/// The value of an object with the number of replicas of a Scale, which may name the revision it was read at.
fn with_scale(live: &Value, scale: &Value, route: &ObjectRoute) -> Result<Value, Status> {
    let replicas = &scale["spec"]["replicas"];
    if replicas.as_u64().is_none_or(|replicas| replicas > u64::from(i32::MAX.unsigned_abs())) {
        let cause = Cause::invalid("spec.replicas", replicas, "must be greater than or equal to 0");
        return Err(Status::invalid(route.kind, &route.name, vec![cause]));
    }
    let mut value = live.clone();
    if !value["spec"].is_object() {
        value["spec"] = json!({});
    }
    value["spec"]["replicas"] = replicas.clone();
    let revision = &scale["metadata"]["resourceVersion"];
    if revision.is_string() {
        value["metadata"]["resourceVersion"] = revision.clone();
    }
    Ok(value)
}
