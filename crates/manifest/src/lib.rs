//! Kubernetes YAML to a plan.
//!
//! Everything here is a pure function of text and objects: no file is opened, no clock read, no cluster asked.
//!
//! Text becomes objects ([`read()`]), objects become a plan for the data plane and the objects that InferenceServices stand
//! for ([`compile()`]), Deployments become workloads ([`workloads()`]). What is wrong, or does nothing here, becomes a
//! [`Finding`] and never stops the rest.
//!
//! ```
//! let read = manifest::read("ingress.yaml", "
//! apiVersion: networking.k8s.io/v1
//! kind: Ingress
//! metadata: {name: web, annotations: {alb.ingress.kubernetes.io/shceme: internal}}
//! spec: {ingressClassName: alb}
//! ");
//! let objects = read.objects.into_iter().collect();
//! let compiled = manifest::compile(&objects, &manifest::Defaults::default());
//! assert!(compiled.plan.load_balancer(&plan::LoadBalancerId::ingress("default", "web")).is_some());
//! let finding = &compiled.findings[0];
//! assert_eq!(finding.suggestion.as_deref(), Some("alb.ingress.kubernetes.io/scheme"));
//! assert!(manifest::render(finding, false).contains("--> ingress.yaml:4:"));
//! ```

mod annotations;
mod certificate;
mod certificate_folder;
mod compile;
mod defaults;
mod finding;
mod findings;
#[doc(hidden)]
pub mod fuzzing;
mod kinds;
mod lints;
mod object;

mod plan_json;
mod read;
mod registry;
mod schedule;
mod starred;
mod storage;
mod trust_store;
mod unmet;
mod wire;
mod workload;

pub use annotations::{Annotation, BASE_DIRECTORY, On, annotations};
pub use certificate::{
    CertificateFacts, EVENT_DAYS, FINDING_DAYS, Fault, Holds, Part, ReadPair, TEXT_LIMIT, covers,
    facts_of_der, is_trust_store, read_facts, read_pair,
};
pub use certificate_folder::{
    CertificateFolder, KeptCertificate, KeptPair, MAPS, ReadFile, others_can_read, read_folder,
};
pub use compile::{
    Compiled, Compiler, PlacedCertificate, Route, compile, deletion_protection, hosts_of, serve_option_names,
    serving_option_names,
};
pub use defaults::{Defaults, Dialect, Exposure, KnownCertificate, Named, ServiceSelection};
pub use finding::{CODES, Code, Finding, Location, Severity, codes, render, sort};
pub use findings::{findings, findings_of, findings_of_files, is_about_protection, weighed};
pub use kinds::config::{SecretFault, certificate_of};
pub use kinds::validation::{Violation, go_type, problem_of_label_key, problem_of_label_value, violations};
pub use object::{Object, Objects, Source, replaced};

pub use plan_json::{findings_json, plan_json};
pub use read::{MAX_ANNOTATIONS, NoText, Read, documents, read, read_with, text_of};
pub use registry::columns::{Column, selector_text};
pub use registry::pod::qos_class;
pub use registry::{
    Change, DEFINITION, Definition, Fill, Fixed, KINDS, Kind, Kinds, Slot, is_of_program, kind_named,
};
pub use schedule::{Schedule, ScheduleError, time_zone};
pub use starred::{ARGUMENTS_FROM, MEMORY_LIMIT, starred, starred_uri};
pub use storage::MODEL_SCHEMES;
pub use workload::{
    Container, ContainerPort, OF_PLATFORM, PodField, Probe, ProbeHandler, Program, RestartPolicy, Rollout,
    Stdin, Workload, has_program, is_of_platform, parse_quantity, workload_of, workloads,
};
