//! What the listeners of a load balancer ask of their clients, and what targets are told of them.

use std::collections::BTreeMap;

use plan::header_modification::CLIENT_FIELDS;
use plan::{Attributes, ClientAuthentication, Listener, Protocol};

use super::{Group, Member, PREFIX};
use crate::{Finding, Severity, codes};

const MUTUAL_AUTHENTICATION: &str = "mutual-authentication";

impl Group<'_> {
    /// Says which fields have another name that targets are not told at all.
    pub(super) fn check_renamed_fields(&mut self, listeners: &[Listener], attributes: &Attributes) {
        for listener in listeners {
            let unused: Vec<&str> = CLIENT_FIELDS
                .iter()
                .filter(|field| !field.fact.is_told(attributes, listener))
                .filter_map(|field| field.attribute)
                .collect();
            let name = (listener.port, listener.protocol);
            let key = format!("{PREFIX}listener-attributes.{}-{}", listener.protocol.as_str(), listener.port);
            for member in self.members {
                let written = member.settings.listener_attributes.get(&name).into_iter().flatten();
                for (attribute, _) in written.filter(|(attribute, _)| unused.contains(&attribute.as_str())) {
                    let message = format!(
                        "`{attribute}` has no effect: targets of this listener are not told what it renames"
                    );
                    let finding = Finding::new(&codes::ANNOTATION_NO_EFFECT, message);
                    self.draft
                        .findings
                        .push(finding.at_annotation(&member.object, &key).with_severity(Severity::Warning));
                }
            }
        }
    }

    /// What a listener asks of clients, with the ARN of its trust store where that is known.
    pub(super) fn client_authentication(
        &mut self,
        port: u16,
        members: &[&Member],
    ) -> Option<ClientAuthentication> {
        let mut agreed = self.agreed_among(members.iter().copied(), MUTUAL_AUTHENTICATION, |member| {
            member.settings.client_authentication.get(&port).cloned()
        })?;
        let known = self.draft.world.defaults.trust_stores.as_deref();
        if let (ClientAuthentication::Verify(verification), Some(known)) = (&mut agreed, known) {
            let written = &verification.trust_store;
            match known.iter().find(|store| store.arn == *written || store.name == *written) {
                Some(store) => verification.trust_store.clone_from(&store.arn),
                None => {
                    let message = format!("trust store `{written}` is not known");
                    for member in
                        members.iter().filter(|it| it.settings.client_authentication.contains_key(&port))
                    {
                        let finding = Finding::new(&codes::TRUST_STORE_UNKNOWN, message.clone());
                        let key = format!("{PREFIX}{MUTUAL_AUTHENTICATION}");
                        self.draft.findings.push(finding.at_annotation(&member.object, &key));
                    }
                }
            }
        }
        Some(agreed)
    }

    /// Whoever asks for client certificates at a port where nobody is asked would think that somebody is kept out.
    pub(super) fn check_client_authentication(&mut self, by_port: &BTreeMap<u16, (Protocol, Vec<&Member>)>) {
        for member in self.members {
            for (port, clients) in &member.settings.client_authentication {
                let is_https = by_port.get(port).is_some_and(|(protocol, _)| *protocol == Protocol::Https);
                if !is_https && *clients != ClientAuthentication::Off {
                    let message = format!(
                        "{MUTUAL_AUTHENTICATION}: port {port} is not an HTTPS listener of the load balancer"
                    );
                    let finding = Finding::new(&codes::MUTUAL_AUTHENTICATION_INVALID, message);
                    let key = format!("{PREFIX}{MUTUAL_AUTHENTICATION}");
                    self.draft.findings.push(finding.at_annotation(&member.object, &key));
                }
            }
        }
    }
}
