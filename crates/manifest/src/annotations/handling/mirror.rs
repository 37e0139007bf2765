//! `mirror`.

use plan::{Mirror, Percent, ServicePortName};
use serde::Deserialize;

use crate::annotations::values::yaml;
use crate::annotations::{Input, Problem};
use crate::wire::IntOrString;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct MirrorWire {
    service_name: String,
    service_port: IntOrString,
    percent: Option<i64>,
}

pub(super) fn read(input: &mut Input<'_>) -> Result<Mirror, Problem> {
    let wire: MirrorWire = yaml(input)?;
    let port = match wire.service_port {
        IntOrString::Int(number) => {
            let port = u16::try_from(number).ok().filter(|port| *port > 0);
            ServicePortName::Number(port.ok_or_else(|| format!("servicePort `{number}` is not a port"))?)
        }
        IntOrString::String(name) => match name.parse() {
            Ok(number) => ServicePortName::Number(number),
            Err(_) => ServicePortName::Name(name),
        },
    };
    let percent = wire.percent.map_or(Ok(Percent::ALL), Percent::new);
    let percent = percent.map_err(|error| format!("percent: {error}"))?;
    if wire.service_name.is_empty() {
        return Err("`serviceName` is empty".to_owned().into());
    }
    Ok(Mirror { service: wire.service_name, port, percent, target_group: None })
}
