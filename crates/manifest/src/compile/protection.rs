//! What keeps a load balancer from being deleted ("Deletion protection", Application and Network Load Balancer user guides).

use plan::attributes::DELETION_PROTECTION;

use super::ingress;
use crate::annotations::values;
use crate::{Object, Objects};

/// Who says that the load balancer of an Ingress or a Service is not to be deleted, if anybody does: an annotation, or the class
/// of an Ingress, which stands above what its annotations say.
#[must_use]
pub fn deletion_protection(object: &Object, objects: &Objects) -> Option<String> {
    const KEYS: [(&str, &str); 3] = [
        ("Ingress", "alb.ingress.kubernetes.io/load-balancer-attributes"),
        ("Service", "service.beta.kubernetes.io/aws-load-balancer-attributes"),
        ("Service", "service.kubernetes.io/aws-load-balancer-attributes"),
    ];
    let is_ingress = object.kind.key == "Ingress";
    if is_ingress && let Some((params, spec)) = ingress::params_for(object, objects) {
        let mut said = spec.load_balancer_attributes.iter().rev();
        if let Some(said) = said.find(|pair| pair.key == DELETION_PROTECTION) {
            return (said.value == "true").then(|| format!("IngressClassParams `{}`", params.name));
        }
    }
    let is_on = |text: &str| {
        let attributes = values::string_map(text).unwrap_or_default();
        attributes.get(DELETION_PROTECTION).is_some_and(|value| value == "true")
    };
    let is_one = is_ingress || object.value["spec"]["type"] == "LoadBalancer";
    let mut keys =
        KEYS.into_iter().filter(|(kind, _)| is_one && object.kind.key == *kind).map(|(_, key)| key);
    keys.find(|key| object.annotation(key).is_some_and(is_on)).map(str::to_owned)
}
