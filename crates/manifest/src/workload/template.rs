//! Deployments and Pods to workloads.

use std::path::PathBuf;
use std::time::Duration;

use super::probe::{self, Purpose};
use super::{
    Container, ContainerPort, Ports, Program, Rollout, Stdin, Workload, arguments, environment, program,
    quantity, relative_path, rollout,
};
use crate::annotations::ZONES;
use crate::compile::names::hash;
use crate::kinds::metadata::Metadata;
use crate::kinds::pod::{self, Deployment, Pod, PodSpec};
use crate::kinds::{self};
use crate::wire::{self, Case};
use crate::{Finding, Object, Objects, codes};

/// What a replica may take to end where nobody says.
const TERMINATION_GRACE_SECONDS: u32 = 30;

/// The workload of a Deployment.
pub(super) fn of_deployment(
    object: &Object,
    objects: &Objects,
    findings: &mut Vec<Finding>,
) -> Option<Workload> {
    let spec = kinds::read_anyway::<Deployment>(object, findings)?.spec;
    let replicas = spec.replicas.unwrap_or(1);
    // What is wrong with its bounds was said when it was read.
    let rollout = rollout::resolve(&spec.strategy, replicas).unwrap_or(Rollout::Recreate);
    let template = Template {
        object,
        objects,
        metadata: spec.template.metadata,
        spec: spec.template.spec,
        path: "spec.template",
        written: object.value.pointer("/spec/template").map(ToString::to_string).unwrap_or_default(),
    };
    let workload = template.workload(findings)?;
    let min_ready = Duration::from_secs(spec.min_ready_seconds.into());
    Some(Workload { replicas, rollout, min_ready, is_paused: spec.paused, ..workload })
}

/// Says what is wrong with the template of something that pods are made of.
pub(super) fn check(object: &Object, objects: &Objects, findings: &mut Vec<Finding>) {
    let path = if object.kind.kind == "CronJob" { "spec.jobTemplate.spec.template" } else { "spec.template" };
    let written = object.value.pointer(&format!("/{}", path.replace('.', "/")));
    let read = written.map(|written| wire::read_all::<pod::Template>(written, path, Case::Exact));
    // What is wrong with its fields was said when it was written.
    let Some(template) = read.and_then(|read| read.value) else { return };
    let pod::Template { metadata, spec } = template;
    Template { object, objects, metadata, spec, path, written: String::new() }.workload(findings);
}

/// The workload of a Pod that no Deployment speaks for.
pub(super) fn of_pod(object: &Object, objects: &Objects, findings: &mut Vec<Finding>) -> Option<Workload> {
    let spec = kinds::read_anyway::<Pod>(object, findings)?.spec;
    let metadata = object.value.get("metadata").unwrap_or(&serde_json::Value::Null);
    let metadata = wire::from_value::<Metadata>(metadata, "metadata", Case::Exact).0.unwrap_or_default();
    let mut written = object.value.get("spec").cloned().unwrap_or_default();
    // Where it runs is found out when it is there already.
    if let Some(spec) = written.as_object_mut() {
        spec.remove("nodeName");
    }
    let written = written.to_string();
    Template { object, objects, metadata, spec, path: "", written }.workload(findings)
}

/// What each replica is.
struct Template<'a> {
    object: &'a Object,
    objects: &'a Objects,
    metadata: Metadata,
    spec: PodSpec,
    /// Where it stands in the object.
    path: &'static str,
    /// It as it was written, for its hash.
    written: String,
}

impl Template<'_> {
    /// One replica of it, updated by replacing it.
    fn workload(self, findings: &mut Vec<Finding>) -> Option<Workload> {
        let spec_path = if self.path.is_empty() { "spec".to_owned() } else { format!("{}.spec", self.path) };
        if !self.spec.init_containers.is_empty() {
            let message = "init containers are not run on one machine: what they prepare has to be there";
            let path = format!("{spec_path}.initContainers");
            findings.push(Finding::new(&codes::INIT_CONTAINERS, message).at(self.object, &path));
        }
        let mut containers: Vec<Container> = Vec::new();
        for (index, written) in self.spec.containers.iter().enumerate() {
            let path = format!("{spec_path}.containers[{index}]");
            containers.extend(self.container(written, &path, findings));
        }
        let working_directory = relative_path::base_directory(self.object).map(PathBuf::from);
        let grace = self.spec.termination_grace_period_seconds.unwrap_or(TERMINATION_GRACE_SECONDS);
        Some(Workload {
            owner: self.object.reference(),
            replicas: 1,
            template_hash: self.hash(&containers),
            zones: self.zones(findings),
            labels: self.metadata.labels,
            annotations: self.metadata.annotations,
            rollout: Rollout::Recreate,
            min_ready: Duration::ZERO,
            termination_grace: Duration::from_secs(grace.into()),
            restart: self.spec.restart_policy,
            active_deadline: self.spec.active_deadline_seconds.map(|it| Duration::from_secs(it.into())),
            is_paused: false,
            containers,
            working_directory,
        })
    }

    /// The zones that replicas are spread over. There is one machine, which stands for all of them.
    fn zones(&self, findings: &mut Vec<Finding>) -> Vec<String> {
        let Some(text) = self.metadata.annotations.get(ZONES) else { return Vec::new() };
        let mut zones: Vec<String> = Vec::new();
        for zone in text.split(',').map(str::trim).filter(|zone| !zone.is_empty()) {
            let is_of_name = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
            if zone.len() > 63 || !zone.bytes().all(is_of_name) {
                let message = format!("zones: `{zone}` is not the name of a zone");
                let finding =
                    Finding::new(&codes::ANNOTATION_INVALID, message).suggest("eu-west-1a,eu-west-1b");
                let path = match self.path {
                    "" => "metadata.annotations".to_owned(),
                    path => format!("{path}.metadata.annotations"),
                };
                findings.push(finding.at(self.object, &path));
            } else if !zones.iter().any(|known| known == zone) {
                zones.push(zone.to_owned());
            }
        }
        zones
    }

    /// What was written, and what ConfigMaps and Secrets made of it; and where it starts, when that makes a difference.
    fn hash(&self, containers: &[Container]) -> String {
        let mut parts = vec![self.written.as_str()];
        if containers.iter().any(|container| relative_path::depends_on_folder(&container.program)) {
            parts.extend(relative_path::base_directory(self.object));
        }
        for (name, value) in containers.iter().flat_map(|container| &container.environment) {
            parts.extend([name.as_str(), value.as_str()]);
        }
        hash(&parts)
    }

    fn container(
        &self,
        written: &pod::Container,
        path: &str,
        findings: &mut Vec<Finding>,
    ) -> Option<Container> {
        let context = environment::Context {
            object: self.object,
            objects: self.objects,
            metadata: &self.metadata,
            service_account: self.spec.service_account_name.as_deref().unwrap_or("default"),
        };
        let environment = environment::of(written, path, &context, findings);
        let variables = environment.variables();
        let expand = |words: &[String]| words.iter().map(|word| variables.expand(word)).collect();
        let program = program::of(&written.image, expand(&written.command), expand(&written.args));
        let Some(program) = program else {
            if written.image.is_empty() {
                return None;
            }
            let message =
                format!("image `{}` cannot be run here: no image is pulled on one machine", written.image);
            let finding =
                Finding::new(&codes::IMAGE_UNSUPPORTED, message).at(self.object, &format!("{path}.image"));
            let suggestion = "image: forebay with args: [serve, MODEL], or a command that this machine has";
            findings.push(finding.suggest(suggestion));
            return None;
        };
        if let Program::Forebay { arguments } = &program {
            for (problem, fix) in arguments::problems(arguments) {
                let finding = Finding::new(&codes::WORKLOAD_INVALID, format!("args: {problem}"));
                findings.push(finding.at(self.object, &format!("{path}.args")).suggest(fix));
            }
        }
        let ports: Vec<ContainerPort> = written
            .ports
            .iter()
            .map(|port| ContainerPort { name: port.name.clone(), number: port.container_port })
            .collect();
        let own_ports = Ports::of(written);
        let of_ports = format!("{path}.ports");
        let has_broken_ports = findings.iter().any(|finding| {
            finding.is_error() && finding.field.as_deref().is_some_and(|field| field.starts_with(&of_ports))
        });
        let mut probe = |written: Option<&pod::Probe>, purpose, field: &str| {
            let path = format!("{path}.{field}");
            let mut own = Vec::new();
            let probe = probe::of(written?, purpose, &ports, self.object, &path, &mut own);
            let undeclared =
                probe.as_ref().map(|it| probe::undeclared_port(it, &own_ports, self.object, &path));
            own.extend(undeclared.into_iter().flatten());
            // A port that could not be read may be the one that is asked.
            if !has_broken_ports {
                findings.append(&mut own);
            }
            probe
        };
        let startup = probe(written.startup_probe.as_ref(), Purpose::Startup, "startupProbe");
        let readiness = probe(written.readiness_probe.as_ref(), Purpose::Readiness, "readinessProbe");
        let liveness = probe(written.liveness_probe.as_ref(), Purpose::Liveness, "livenessProbe");
        let limit = |name: &str| quantity::parse(&written.resources.limits.get(name)?.0);
        let (cpu_limit, memory_limit) = (limit("cpu"), limit("memory"));
        Some(Container {
            name: written.name.clone(),
            program,
            stdin: match (written.stdin, written.stdin_once) {
                (false, _) => Stdin::Nobody,
                (true, false) => Stdin::Anybody,
                (true, true) => Stdin::Once,
            },
            environment: environment.values,
            pod_fields: environment.pod_fields,
            ports,
            startup,
            readiness,
            liveness,
            cpu_limit,
            // Amounts are not negative, and what is larger than all memory is no limit anyway.
            memory_limit: memory_limit.map(|bytes| bytes as u64),
        })
    }
}
