//! The number of replicas as an object of its own: the `scale` subresource.

use http::{Method, StatusCode};
use manifest::{Kind, Object};
use serde_json::{Value, json};

use super::patch::{PatchForm, patched};
use super::route::ObjectRoute;
use super::{Answer, Call, respond, validation};
use crate::ownership::{Operation, Trace};
use crate::store::{Cause, Part, Status};

impl Call<'_> {
    pub(super) fn scale(&self, route: &ObjectRoute) -> Answer {
        let object = self.api.store.get(route.kind, &route.namespace, &route.name)?;
        Ok(respond::json(StatusCode::OK, &Places::of(route.kind).scale_of(&object.value)))
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
        let places = Places::of(route.kind);
        let key = (route.kind, route.namespace.as_str(), route.name.as_str());
        let writer = self.writer(Operation::Update, route.kind, "scale")?;
        let mode = self.parameters.mode()?;
        let applied = self.api.store.modify_by(key, Part::Object, mode, Trace::By(&writer), |live| {
            let scale = match form {
                Some(form) => patched(form, route.kind, &places.scale_of(live), &body)?,
                None => body,
            };
            let scaled = places.with_scale(live, &scale, route)?;
            if let Ok(object) = Object::of_kind(route.kind, scaled.clone()) {
                validation::check(&object)?;
            }
            Ok(scaled)
        })?;
        Ok(respond::json(StatusCode::OK, &Places::of(route.kind).scale_of(&applied.object.value)))
    }
}

/// Where in an object the number of replicas stands, as JSON pointers.
struct Places {
    wanted: String,
    there: String,
    /// A selector that is text already.
    selector: Option<String>,
}

// === impl Places ===

impl Places {
    fn of(kind: &Kind) -> Self {
        let definition = kind.definition();
        let scale = definition.as_ref().map_or(&Value::Null, |definition| definition.scale());
        let place = |field: &str| scale[field].as_str().map(|path| path.replace('.', "/"));
        Self {
            wanted: place("specReplicasPath").unwrap_or_else(|| "/spec/replicas".to_owned()),
            there: place("statusReplicasPath").unwrap_or_else(|| "/status/replicas".to_owned()),
            selector: kind.is_declared().then(|| place("labelSelectorPath").unwrap_or_default()),
        }
    }

    fn scale_of(&self, object: &Value) -> Value {
        let metadata = &object["metadata"];
        let number = |place: &str| object.pointer(place).and_then(Value::as_u64).unwrap_or(0);
        let selector = match &self.selector {
            None => json!(manifest::selector_text(&object["spec"]["selector"])),
            Some(place) => object.pointer(place).filter(|text| text.is_string()).cloned().unwrap_or_default(),
        };
        let mut status = json!({"replicas": number(&self.there)});
        if !selector.is_null() {
            status["selector"] = selector;
        }
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
            "spec": {"replicas": number(&self.wanted)},
            "status": status,
        })
    }

    /// The value of an object with the number of replicas of a Scale, which may name the revision it was read at.
    fn with_scale(&self, live: &Value, scale: &Value, route: &ObjectRoute) -> Result<Value, Status> {
        let replicas = &scale["spec"]["replicas"];
        if replicas.as_u64().is_none_or(|replicas| replicas > u64::from(i32::MAX.unsigned_abs())) {
            let cause = Cause::invalid("spec.replicas", replicas, "must be greater than or equal to 0");
            return Err(Status::invalid(route.kind, &route.name, vec![cause]));
        }
        let mut value = live.clone();
        let mut place = &mut value;
        for name in self.wanted.split('/').skip(1) {
            if !place.is_object() {
                *place = json!({});
            }
            place = &mut place[name];
        }
        *place = replicas.clone();
        let revision = &scale["metadata"]["resourceVersion"];
        if revision.is_string() {
            value["metadata"]["resourceVersion"] = revision.clone();
        }
        Ok(value)
    }
}
