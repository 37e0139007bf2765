//! Where copies of requests go, as `mirror` says of an Ingress or an InferenceService.

use std::sync::Arc;

use plan::{Handling, Mirror};

use super::actions::{At, Found};
use super::application::Group;
use super::ingress::Member;
use super::similar_services;
use super::world::World;
use crate::kinds::ingress::Ingress;
use crate::{Finding, Object, Severity, codes};

const KEY: &str = "forebay.dev/mirror";

/// The handling of an Ingress, with the target group that its mirror leads to.
pub(super) fn of_member(group: &mut Group<'_>, member: &Member) -> Option<Arc<Handling>> {
    let handling = member.handling.as_ref()?;
    let Some(mirror) = &handling.mirror else { return Some(Arc::clone(handling)) };
    let (world, namespace, service) = (group.draft.world, &member.object.namespace, &mirror.service);
    let key = if world.is_door(namespace, service) {
        let message = "mirror: the gateway of InferenceServices takes no copies: name a Service of its own";
        tell(&member.object, message.to_owned(), None, &mut group.draft.findings);
        None
    } else if world.service(namespace, service).is_none() {
        let similar = similar_services(world, namespace, service);
        tell(&member.object, missing(namespace, mirror), similar, &mut group.draft.findings);
        None
    } else {
        match group.target_group(member, service, &mirror.port, &At::Annotation(KEY)) {
            Found::Group(id) => {
                if leads_to(&member.ingress, service) {
                    let message = format!(
                        "mirror: rules of this Ingress lead to Service `{service}` too: it gets these requests twice"
                    );
                    let finding = Finding::new(&codes::MIRROR_TO_ITSELF, message);
                    group.draft.findings.push(finding.at_annotation(&member.object, KEY));
                }
                group.draft.key_of(id)
            }
            Found::NoService | Found::Wrong => None,
        }
    };
    Some(leading_to(handling, mirror, key))
}

/// The handling of an InferenceService, whose mirror leads to another one of its namespace. `key` finds the key of the target group of
/// an InferenceService, by its name or that of its Service.
pub(super) fn of_inference(
    object: &Object,
    handling: Arc<Handling>,
    key: impl FnOnce(&str) -> Option<String>,
    world: &World<'_>,
    findings: &mut Vec<Finding>,
) -> Arc<Handling> {
    let Some(mirror) = &handling.mirror else { return handling };
    let key = key(&mirror.service);
    if key.is_none() {
        let is_service = world.service(&object.namespace, &mirror.service).is_some();
        let message = match is_service {
            true => format!(
                "mirror: Service `{}` is not of an InferenceService: nothing is sent there",
                mirror.service
            ),
            false => missing(&object.namespace, mirror),
        };
        tell(object, message, None, findings);
    }
    leading_to(&handling, mirror, key)
}

/// Whether requests come to a Service by an Ingress.
fn leads_to(ingress: &Ingress, service: &str) -> bool {
    let paths = ingress.spec.rules.iter().flat_map(|rule| &rule.http.paths);
    let mut backends = paths.map(|path| &path.backend).chain(&ingress.spec.default_backend);
    backends.any(|backend| backend.service.as_ref().is_some_and(|it| it.name == service))
}

fn missing(namespace: &str, mirror: &Mirror) -> String {
    format!("mirror: Service {namespace}/{} does not exist: nothing is sent there", mirror.service)
}

fn tell(object: &Object, message: String, similar: Option<String>, findings: &mut Vec<Finding>) {
    let finding = Finding::new(&codes::BACKEND_SERVICE_MISSING, message).at_annotation(object, KEY);
    findings.push(finding.maybe_suggest(similar).with_severity(Severity::Warning));
}

fn leading_to(handling: &Handling, mirror: &Mirror, key: Option<String>) -> Arc<Handling> {
    let mirror = Some(Mirror { target_group: key, ..mirror.clone() });
    Arc::new(Handling { mirror, ..handling.clone() })
}
