//! An action that no backend leads to: one has to have its name and the port `use-annotation`.

use std::collections::HashSet;

use super::Context;
use crate::kinds::ingress::{Backend, Ingress};
use crate::{Finding, Object, codes};

const PREFIX: &str = "alb.ingress.kubernetes.io/actions.";

pub(super) fn check(context: &Context<'_>, findings: &mut Vec<Finding>) {
    for (object, _) in context.ingresses() {
        let Some(ingress) = context.world.memo.read::<Ingress>(object, &mut Vec::new()) else { continue };
        let paths = ingress.spec.rules.iter().flat_map(|rule| &rule.http.paths).map(|path| &path.backend);
        let used: HashSet<&str> = paths.chain(&ingress.spec.default_backend).filter_map(action).collect();
        for key in keys(object) {
            let name = &key[PREFIX.len()..];
            if !used.contains(name) {
                let message = format!("actions.{name} is never used: no backend leads to it");
                let finding = Finding::new(&codes::ACTION_UNUSED, message).at_annotation(object, key);
                let backend =
                    format!("backend: {{service: {{name: {name}, port: {{name: use-annotation}}}}}}");
                findings.push(finding.suggest(backend));
            }
        }
    }
}

/// The action that a backend leads to.
fn action(backend: &Backend) -> Option<&str> {
    let service = backend.service.as_ref()?;
    (service.port.name.as_deref() == Some("use-annotation")).then_some(&*service.name)
}

fn keys(object: &Object) -> impl Iterator<Item = &str> {
    let annotations = object.value.pointer("/metadata/annotations").and_then(serde_json::Value::as_object);
    let keys = annotations.into_iter().flat_map(|annotations| annotations.keys());
    keys.map(String::as_str).filter(|key| key.starts_with(PREFIX))
}
