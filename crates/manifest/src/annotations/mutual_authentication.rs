//! What an Ingress says about client certificates, as the controller checks it (`pkg/ingress/model_build_listener.go`).

use std::collections::BTreeMap;

use plan::{ClientAuthentication, ClientVerification, TrustStore};
use serde::Deserialize;

use super::values::json;
use super::{Input, Problem};
use crate::codes;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct MutualAuthentication {
    port: u16,
    mode: String,
    trust_store: Option<String>,
    ignore_client_certificate_expiry: Option<bool>,
    advertise_trust_store_ca_names: Option<String>,
}

/// What is asked of clients, by port.
pub(super) fn mutual_authentication(
    input: &mut Input<'_>,
) -> Result<BTreeMap<u16, ClientAuthentication>, Problem> {
    let ports: Vec<MutualAuthentication> = json(input).map_err(|problem| invalid(problem.message))?;
    let mut by_port = BTreeMap::new();
    for setting in ports {
        let port = setting.port;
        if by_port.insert(port, setting.read()?).is_some() {
            return Err(invalid(format!("port {port} stands in it twice")));
        }
    }
    Ok(by_port)
}

impl MutualAuthentication {
    fn read(self) -> Result<ClientAuthentication, Problem> {
        let port = self.port;
        let advertises = match self.advertise_trust_store_ca_names.as_deref() {
            None => None,
            Some("on") => Some(true),
            Some("off") => Some(false),
            Some(other) => {
                let message = format!("port {port}: advertiseTrustStoreCaNames `{other}` is not on or off");
                return Err(invalid(message));
            }
        };
        let has_details = self.trust_store.is_some()
            || self.ignore_client_certificate_expiry.is_some()
            || advertises.is_some();
        match (self.mode.as_str(), self.trust_store) {
            ("off" | "passthrough", _) if has_details => {
                Err(invalid(format!("port {port}: only mode `verify` takes a trust store and its settings")))
            }
            ("off", _) => Ok(ClientAuthentication::Off),
            ("passthrough", _) => Ok(ClientAuthentication::Passthrough),
            ("verify", Some(trust_store)) if !trust_store.trim().is_empty() => {
                Ok(ClientAuthentication::Verify(ClientVerification {
                    trust_store: trust_store.trim().to_owned(),
                    ignores_expiry: self.ignore_client_certificate_expiry.unwrap_or_default(),
                    advertises_authorities: advertises,
                    contents: TrustStore::default(),
                }))
            }
            ("verify", _) => Err(invalid(format!("port {port}: mode `verify` needs a `trustStore`"))),
            (other, _) => Err(invalid(format!("mode `{other}` is not off, passthrough or verify"))),
        }
    }
}

fn invalid(message: String) -> Problem {
    Problem::new(&codes::MUTUAL_AUTHENTICATION_INVALID, message)
}
