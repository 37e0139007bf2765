//! What attributes change in header fields, read once per plan: fields of every answer, and what targets are told of clients
//! ("HTTP header modification" and "Mutual authentication with TLS", ALB user guide).

use net::{Fields, TlsSession};
use plan::header_modification::{ANSWER_FIELDS, CLIENT_FIELDS, ClientFact};
use plan::{Listener, LoadBalancer, attributes};

/// What is done to the fields of every answer, whoever gives it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AnswerFields {
    removes_server: bool,
    /// Names and values.
    set: Vec<(&'static str, String)>,
}

/// What targets are told of a client and its connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ClientFields {
    /// With the names of the fields.
    told: Vec<(String, ClientFact)>,
}

// === impl AnswerFields ===

impl AnswerFields {
    /// What the attributes of a listener say; nothing where they say nothing.
    pub(crate) fn of(listener: &Listener) -> Option<Self> {
        let set = ANSWER_FIELDS.iter().filter_map(|(name, attribute)| {
            let value = listener.attributes.get(attribute).filter(|value| !value.is_empty())?;
            Some((*name, value.to_owned()))
        });
        let set: Vec<_> = set.collect();
        let removes_server = listener.attributes.get(attributes::SERVER_FIELD) == Some("false");
        (removes_server || !set.is_empty()).then_some(Self { removes_server, set })
    }

    pub(crate) fn apply(&self, fields: &mut Fields) {
        fields.retain(|name, _| {
            let is = |known: &str| name.eq_ignore_ascii_case(known.as_bytes());
            let goes = self.removes_server && is("server");
            !goes && !self.set.iter().any(|(set, _)| is(set))
        });
        for (name, value) in &self.set {
            fields.push(name, value);
        }
    }
}

// === impl ClientFields ===

impl ClientFields {
    /// What the attributes of a load balancer and a listener say, and what goes with the listener's client certificates;
    /// nothing where nothing is told.
    pub(crate) fn of(load_balancer: &LoadBalancer, listener: &Listener) -> Option<Self> {
        let told =
            CLIENT_FIELDS.iter().filter(|field| field.fact.is_told(&load_balancer.attributes, listener));
        let told = told.map(|field| {
            let renamed = field.attribute.and_then(|attribute| listener.attributes.get(attribute));
            (renamed.unwrap_or(field.name).to_owned(), field.fact)
        });
        let told: Vec<_> = told.collect();
        (!told.is_empty()).then_some(Self { told })
    }

    /// The names of the fields, which a client cannot send.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.told.iter().map(|(name, _)| name.as_str())
    }

    pub(crate) fn tell(&self, session: &TlsSession, fields: &mut Fields) {
        for (name, fact) in &self.told {
            if let Some(value) = value(*fact, session) {
                fields.push(name, value);
            }
        }
    }
}

fn value(fact: ClientFact, session: &TlsSession) -> Option<&str> {
    let certificate = session.client_certificate();
    let facts = || certificate.and_then(net::ClientCertificate::facts);
    match fact {
        ClientFact::TlsVersion => Some(session.version()),
        ClientFact::CipherSuite => Some(session.cipher_suite()),
        ClientFact::KeyExchange => Some(session.key_exchange()),
        ClientFact::CertificateChain => certificate.map(net::ClientCertificate::chain_text),
        ClientFact::CertificateLeaf => certificate.map(net::ClientCertificate::leaf_text),
        ClientFact::SerialNumber => facts().map(|facts| facts.serial_number.as_str()),
        ClientFact::Issuer => facts().map(|facts| facts.issuer.as_str()),
        ClientFact::Subject => facts().map(|facts| facts.subject.as_str()),
        ClientFact::Validity => facts().map(|facts| facts.validity.as_str()),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use plan::{LoadBalancerKind, Protocol};

    pub(crate) fn load_balancer() -> LoadBalancer {
        let id = plan::LoadBalancerId::ingress("test", "lb");
        LoadBalancer::new(id, LoadBalancerKind::Application, "lb")
    }

    #[test]
    fn a_listener_whose_attributes_say_nothing_costs_nothing() {
        let mut listener = Listener::new(443, Protocol::Https);
        assert_eq!(AnswerFields::of(&listener), None);
        listener.attributes.set("routing.http.response.server.enabled", "true").unwrap();
        assert_eq!(AnswerFields::of(&listener), None);
    }

    #[test]
    fn fields_are_set_over_what_is_there_and_server_goes_where_it_is_off() {
        let mut listener = Listener::new(443, Protocol::Https);
        for (key, value) in [
            ("routing.http.response.server.enabled", "false"),
            ("routing.http.response.access_control_allow_origin.header_value", "https://a.example"),
            ("routing.http.response.access_control_max_age.header_value", "600"),
            ("routing.http.response.x_frame_options.header_value", "DENY"),
        ] {
            listener.attributes.set(key, value).unwrap();
        }
        let mut fields = Fields::new();
        for (name, value) in
            [("Server", "a"), ("X-Frame-Options", "SAMEORIGIN"), ("x-frame-options", "b"), ("vary", "c")]
        {
            fields.push(name, value);
        }
        AnswerFields::of(&listener).unwrap().apply(&mut fields);
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let left: Vec<String> =
            fields.iter().map(|(name, value)| format!("{}: {}", text(name), text(value))).collect();
        assert_eq!(
            left,
            [
                "vary: c",
                "access-control-allow-origin: https://a.example",
                "access-control-max-age: 600",
                "x-frame-options: DENY",
            ]
        );
    }
}
