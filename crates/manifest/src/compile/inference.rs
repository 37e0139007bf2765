//! InferenceServices: which of them can be served, and how.

use std::sync::Arc;

use serde_json::{Value, json};

use super::children;
use super::serving_options::Reading;
use crate::annotations;
use crate::finding::nearest;
use crate::kinds::inference_service::{InferenceService, Model, Predictor};
use crate::kinds::{self};
use crate::{Finding, Object, Objects, Severity, codes, storage};

/// An InferenceService that can be served.
pub(super) struct Inference {
    pub(super) object: Arc<Object>,
    /// Its Deployment and its Services.
    pub(super) children: Vec<Object>,
    /// Whether it has no public host.
    pub(super) is_private: bool,
    /// Whether its own form of host is `name-namespace`, not `name.namespace`.
    pub(super) is_standard: bool,
    /// Whether our model server answers, not a container of the user's own.
    pub(super) is_ours: bool,
}

/// Formats that the model server reads.
const FORMATS: &[&str] = &["sklearn", "xgboost", "lightgbm", "mlflow", "onnx"];
/// The keys of a predictor that can hold its model.
pub(crate) const MODEL_KEYS: &[&str] = &["model", "sklearn", "xgboost", "lightgbm", "onnx"];
/// The port of the model server.
const PORT: u16 = 8080;
/// The longest name: the Services' names are made of it, and they are DNS labels.
const MAX_NAME: usize = 63 - "-predictor-default".len();
const DEPLOYMENT_MODE: &str = "serving.kserve.io/deploymentMode";
/// Its values, those with the old names included; they differ here in the form of the host only.
const MODES: &[&str] = &["Knative", "Serverless", "Standard", "RawDeployment"];
const STOP: &str = "serving.kserve.io/stop";
const ANNOTATION_PREFIXES: &[&str] =
    &["serving.kserve.io/", "serving.knative.dev/", "autoscaling.knative.dev/"];
const VISIBILITY_LABELS: &[&str] = &["networking.kserve.io/visibility", "networking.knative.dev/visibility"];

/// All InferenceServices that can be served; for the others there are findings.
pub(super) fn all(objects: &Objects, findings: &mut Vec<Finding>) -> Vec<Inference> {
    let all = objects.of_kind("InferenceService");
    all.filter_map(|object| {
        let mut own = Vec::new();
        let inference = kinds::read_anyway::<InferenceService>(object, &mut own)
            .and_then(|wire| Draft { object, objects, wire, findings: &mut own }.inference());
        let is_broken = own.iter().any(Finding::is_error);
        findings.extend(own);
        inference.filter(|_| !is_broken)
    })
    .collect()
}

struct Draft<'a> {
    object: &'a Arc<Object>,
    objects: &'a Objects,
    wire: InferenceService,
    findings: &'a mut Vec<Finding>,
}

impl Draft<'_> {
    fn inference(mut self) -> Option<Inference> {
        self.check_name();
        self.check_annotations();
        self.check_numbers();
        let (container, port) = self.container()?;
        let is_ours = runs_our_server(self.object, &self.wire);
        let predictor = &self.wire.spec.predictor;
        let children = children::of(self.object, predictor, &container, port);
        for child in &children {
            let existing = self.objects.get(child.kind.kind, &child.namespace, &child.name);
            if existing.is_some_and(|existing| !is_owned_by(existing, self.object)) {
                let message = format!("{} exists already and is not made of it", child.reference());
                self.findings.push(Finding::new(&codes::NAME_TAKEN, message).on(self.object));
            }
        }
        let labels = self.object.labels();
        let mode = self.object.annotation(DEPLOYMENT_MODE).unwrap_or_default();
        Some(Inference {
            object: self.object.clone(),
            children,
            is_private: VISIBILITY_LABELS.iter().any(|label| labels.get(label) == Some(&"cluster-local")),
            is_standard: matches!(mode, "Standard" | "RawDeployment"),
            is_ours,
        })
    }

    fn wrong(&mut self, path: &str, message: String) {
        self.findings.push(Finding::new(&codes::FIELD_INVALID, message).at(self.object, path));
    }

    fn check_name(&mut self) {
        let name = &self.object.name;
        let is_good =
            name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
        if !is_good || !name.starts_with(|c: char| c.is_ascii_lowercase()) || name.len() > MAX_NAME {
            let message = format!(
                "metadata.name `{name}` is not a letter followed by letters, digits and `-`, at most {MAX_NAME} in all"
            );
            self.wrong("metadata.name", message);
        }
    }

    fn check_annotations(&mut self) {
        annotations::survey_ours(self.object, self.findings);
        let annotations = self.object.value.pointer("/metadata/annotations").and_then(Value::as_object);
        for key in annotations.into_iter().flatten().map(|(key, _)| key.as_str()) {
            let is_known = ANNOTATION_PREFIXES.iter().any(|prefix| key.starts_with(prefix));
            let is_mode =
                key == DEPLOYMENT_MODE && MODES.contains(&self.object.annotation(key).unwrap_or_default());
            if !is_known || is_mode {
                continue;
            }
            let finding = Finding::new(&codes::ANNOTATION_NO_EFFECT, format!("{key} has no effect here yet"));
            let severity =
                if [STOP, DEPLOYMENT_MODE].contains(&key) { Severity::Warning } else { Severity::Info };
            self.findings.push(finding.at_annotation(self.object, key).with_severity(severity));
        }
    }

    fn check_numbers(&mut self) {
        let predictor = &self.wire.spec.predictor;
        let (min, max, canary) =
            (predictor.min_replicas, predictor.max_replicas, predictor.canary_traffic_percent);
        if let (Some(min), Some(max @ 1..)) = (min, max)
            && max < min
        {
            self.wrong(
                "spec.predictor.maxReplicas",
                format!("maxReplicas {max} is less than minReplicas {min}"),
            );
        }
        let mut without_effect = |path: &str, severity, what: &str| {
            let message = format!("`{path}` has no effect on one machine yet: {what}");
            let finding = Finding::new(&codes::FIELD_NO_EFFECT, message).at(self.object, path);
            self.findings.push(finding.with_severity(severity));
        };
        if max.is_some_and(|max| max > 0 && max != min.unwrap_or(1).max(1)) {
            without_effect("spec.predictor.maxReplicas", Severity::Info, "replicas stay at minReplicas");
        }
        if canary.is_some_and(|percent| percent < 100) {
            let what = "all traffic goes to the newest revision";
            without_effect("spec.predictor.canaryTrafficPercent", Severity::Warning, what);
        }
        if canary.is_some_and(|percent| percent > 100) {
            self.wrong("spec.predictor.canaryTrafficPercent", "a percentage is at most 100".to_owned());
        }
        if min == Some(0) {
            let message = "minReplicas is 0, and one replica is kept: scaling to zero is not built yet";
            let finding = Finding::new(&codes::SCALE_TO_ZERO, message);
            self.findings.push(finding.at(self.object, "spec.predictor.minReplicas"));
        }
    }

    /// The container that predicts, and its port.
    fn container(&mut self) -> Option<(Vec<Value>, u16)> {
        let spec = &self.wire.spec;
        if spec.transformer.is_some() {
            let message =
                "a transformer is not run in this build, and requests would reach the model untransformed";
            self.wrong("spec.transformer", message.to_owned());
            return None;
        }
        if spec.predictor.worker_spec.is_some() {
            self.wrong(
                "spec.predictor.workerSpec",
                "a model on several nodes is not run on one machine".to_owned(),
            );
            return None;
        }
        if has_model(self.object) && !spec.predictor.containers.is_empty() {
            let message = "containers beside a model are not run here: the model is served alone";
            let finding = Finding::new(&codes::FIELD_NO_EFFECT, message).with_severity(Severity::Warning);
            self.findings.push(finding.at(self.object, "spec.predictor.containers"));
        } else if !spec.predictor.containers.is_empty() {
            let Predictor { batcher, logger, .. } = &spec.predictor;
            let mut reading = Reading { object: self.object, findings: self.findings };
            reading.none_for_containers(batcher.as_ref(), logger.as_ref());
            let containers = spec.predictor.containers.clone();
            let port = containers.iter().find_map(|it| it.pointer("/ports/0/containerPort")?.as_u64());
            let port = port.and_then(|port| u16::try_from(port).ok()).unwrap_or(PORT);
            return Some((containers, port));
        }
        let (key, format, model) = self.model()?;
        Some((vec![self.model_container(&key, &format, model)?], PORT))
    }

    /// The model, the key it stands under, and its format.
    fn model(&mut self) -> Option<(String, String, Model)> {
        let Predictor { model, sklearn, xgboost, lightgbm, onnx, .. } = &mut self.wire.spec.predictor;
        let mut found = Vec::new();
        for (key, model) in [
            ("model", model),
            ("sklearn", sklearn),
            ("xgboost", xgboost),
            ("lightgbm", lightgbm),
            ("onnx", onnx),
        ] {
            found.extend(model.take().map(|model| (key, model)));
        }
        let Predictor { tensorflow, pytorch, triton, huggingface, pmml, paddle, .. } =
            &self.wire.spec.predictor;
        let others = [
            ("tensorflow", tensorflow),
            ("pytorch", pytorch),
            ("triton", triton),
            ("huggingface", huggingface),
            ("pmml", pmml),
            ("paddle", paddle),
        ];
        let other = others.into_iter().find(|(_, model)| model.is_some()).map(|(key, _)| key);
        if let Some(key) = other {
            self.unsupported(&format!("spec.predictor.{key}"), key);
            return None;
        }
        if found.len() > 1 {
            self.wrong("spec.predictor", "a predictor has one model, not several".to_owned());
            return None;
        }
        let Some((key, model)) = found.pop() else {
            self.no_model();
            return None;
        };
        let format = if key == "model" { model.model_format.name.clone() } else { key.to_owned() };
        Some((format!("spec.predictor.{key}"), format, model))
    }

    /// Says that there is no model, or that the key of one is mistyped, which is then not said a second time.
    fn no_model(&mut self) {
        let mistyped = self.findings.iter().enumerate().find_map(|(index, finding)| {
            let key = finding.field.as_deref()?.strip_prefix("spec.predictor.")?;
            let near = nearest(key, MODEL_KEYS.iter().copied())?;
            (finding.code == codes::FIELD_UNKNOWN.name).then(|| (index, key.to_owned(), near))
        });
        let Some((index, key, near)) = mistyped else {
            let is_told = |finding: &Finding| {
                finding.is_error()
                    && finding.field.as_deref().is_some_and(|it| it.starts_with("spec.predictor"))
            };
            if self.findings.iter().any(is_told) {
                return;
            }
            self.wrong("spec.predictor", "the predictor has neither a model nor containers".to_owned());
            return;
        };
        self.findings.remove(index);
        let message = format!("the predictor has neither a model nor containers, but a field `{key}`");
        let finding = Finding::new(&codes::FIELD_INVALID, message);
        self.findings.push(
            finding
                .at(self.object, &format!("spec.predictor.{key}"))
                .suggest(format!("did you mean `{near}`?")),
        );
    }

    fn unsupported(&mut self, path: &str, format: &str) {
        let message = match format {
            "" => "the model has no `modelFormat.name`".to_owned(),
            format => format!("NoSupportingRuntime: no runtime here reads the format `{format}`"),
        };
        let suggestion = match nearest(&format.to_ascii_lowercase(), FORMATS.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("formats that are read: {}", FORMATS.join(", ")),
        };
        let finding = Finding::new(&codes::FORMAT_UNSUPPORTED, message).at(self.object, path);
        self.findings.push(finding.suggest(suggestion));
    }

    fn model_container(&mut self, path: &str, format: &str, model: Model) -> Option<Value> {
        if !FORMATS.contains(&format) {
            self.unsupported(&format!("{path}.modelFormat.name"), format);
            return None;
        }
        if let Some(runtime) = &model.runtime
            && !runtime.starts_with("kserve-")
            && !runtime.starts_with("forebay")
        {
            let message = format!("NoSupportingRuntime: there is no runtime `{runtime}`; leave it out");
            let finding = Finding::new(&codes::FORMAT_UNSUPPORTED, message);
            self.findings.push(finding.at(self.object, &format!("{path}.runtime")));
            return None;
        }
        for (field, is_there) in
            [("storage", model.storage.is_some()), ("storageUris", model.storage_uris.is_some())]
        {
            if is_there {
                self.wrong(
                    &format!("{path}.{field}"),
                    format!("`{field}` is not read in this build: name the model with storageUri"),
                );
            }
        }
        let Some(storage_uri) = model.storage_uri.filter(|uri| !uri.trim().is_empty()) else {
            self.wrong(path, "the model has no `storageUri`".to_owned());
            return None;
        };
        let in_claim = storage::in_claim(storage_uri.trim(), &self.object.namespace, self.objects);
        let storage_uri = in_claim.unwrap_or(storage_uri);
        if let Some((problem, fix)) = storage::problem(storage_uri.trim()) {
            let finding = Finding::new(&codes::FIELD_INVALID, format!("storageUri {problem}"));
            self.findings.push(finding.at(self.object, &format!("{path}.storageUri")).suggest(fix));
            return None;
        }
        let mut arguments = vec!["serve".to_owned(), format!("{}={}", self.object.name, storage_uri.trim())];
        arguments.extend(["--port".to_owned(), PORT.to_string()]);
        let Predictor { batcher, logger, .. } = &self.wire.spec.predictor;
        let mut reading = Reading { object: self.object, findings: self.findings };
        reading.variables(path, &model.env);
        arguments.extend(reading.options(path, &model.args, batcher.as_ref(), logger.as_ref()));
        let mut container = json!({
            "name": "kserve-container",
            "image": "forebay",
            "args": arguments,
            "ports": [{"name": "http", "containerPort": PORT, "protocol": "TCP"}],
            "readinessProbe": model.readiness_probe.unwrap_or_else(|| children::probe(PORT, "/v2/health/ready")),
            "livenessProbe": model.liveness_probe.unwrap_or_else(|| children::probe(PORT, "/v2/health/live")),
        });
        let fields = container.as_object_mut()?;
        let optional = [
            ("env", (!model.env.is_empty()).then_some(Value::Array(model.env))),
            ("envFrom", (!model.env_from.is_empty()).then_some(Value::Array(model.env_from))),
            ("resources", model.resources),
            ("startupProbe", model.startup_probe),
        ];
        fields.extend(optional.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))));
        Some(container)
    }
}

/// Whether our model server answers: also when containers stand beside the model, which are not run.
fn runs_our_server(object: &Object, wire: &InferenceService) -> bool {
    has_model(object) || wire.spec.predictor.containers.is_empty()
}

fn has_model(object: &Object) -> bool {
    let predictor = &object.value["spec"]["predictor"];
    MODEL_KEYS.iter().any(|key| !predictor[*key].is_null())
}

/// Whether an object was made of an InferenceService.
fn is_owned_by(object: &Object, owner: &Object) -> bool {
    let owners = object.value.pointer("/metadata/ownerReferences").and_then(Value::as_array);
    owners.into_iter().flatten().any(|reference| {
        reference.get("kind").and_then(Value::as_str) == Some(owner.kind.kind)
            && reference.get("name").and_then(Value::as_str) == Some(&owner.name)
    })
}
