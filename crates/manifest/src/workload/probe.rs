//! Probes, with nothing left to a default.

use std::time::Duration;

use super::{ContainerPort, Ports, Probe, ProbeHandler};
use crate::kinds::pod;
use crate::wire::IntOrString;
use crate::{Finding, Object, Severity, codes};

/// Which probe it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    Startup,
    Readiness,
    Liveness,
}

/// The probe at this path of an object.
pub(super) fn of(
    written: &pod::Probe,
    purpose: Purpose,
    ports: &[ContainerPort],
    object: &Object,
    path: &str,
    findings: &mut Vec<Finding>,
) -> Option<Probe> {
    let mut wrong = |message: String| {
        findings.push(Finding::new(&codes::FIELD_INVALID, message).at(object, path));
    };
    let success_threshold = written.success_threshold.unwrap_or(1).max(1);
    if success_threshold > 1 && purpose != Purpose::Readiness {
        wrong(format!("successThreshold {success_threshold}: one success is enough except for readiness"));
    }
    let n_handlers = [
        written.http_get.is_some(),
        written.tcp_socket.is_some(),
        written.exec.is_some(),
        written.grpc.is_some(),
    ];
    if n_handlers.into_iter().filter(|is_there| *is_there).count() != 1 {
        wrong("a probe has one of httpGet, tcpSocket, exec and grpc".to_owned());
        return None;
    }
    let handler = handler(written, ports).map_err(wrong).ok()?;
    let without_answer = if written.grpc.is_some() {
        Some("grpc: the health service is not asked in this build, only a connection is made")
    } else if matches!(handler, ProbeHandler::Tcp { .. }) && written.http_get.is_some() {
        Some("scheme HTTPS: no answer is read in this build, only a connection is made")
    } else {
        None
    };
    findings.extend(without_answer.map(|message| {
        let finding = Finding::new(&codes::FIELD_NO_EFFECT, message).at(object, path);
        finding.with_severity(Severity::Warning)
    }));
    let seconds = |written: Option<u32>, default, least| {
        Duration::from_secs(u64::from(written.unwrap_or(default).max(least)))
    };
    Some(Probe {
        handler,
        initial_delay: seconds(written.initial_delay_seconds, 0, 0),
        period: seconds(written.period_seconds, 10, 1),
        timeout: seconds(written.timeout_seconds, 1, 1),
        success_threshold,
        failure_threshold: written.failure_threshold.unwrap_or(3).max(1),
    })
}

/// Says that a probe asks a port that its container does not have, where nothing will answer it.
pub(super) fn undeclared_port(probe: &Probe, ports: &Ports, object: &Object, path: &str) -> Option<Finding> {
    let (ProbeHandler::Http { port, .. } | ProbeHandler::Tcp { port }) = &probe.handler else { return None };
    if ports.has_number(*port) {
        return None;
    }
    let field = ["httpGet", "tcpSocket", "grpc"].into_iter().find(|field| {
        let pointer = format!("/{}/{field}", path.replace(['.', '['], "/").replace(']', ""));
        object.value.pointer(&pointer).is_some()
    });
    let path = field.map_or_else(|| path.to_owned(), |field| format!("{path}.{field}.port"));
    let message = format!("the probe asks port {port}, which its container does not have: nobody answers it");
    let finding = Finding::new(&codes::PROBE_PORT_UNDECLARED, message).at(object, &path);
    Some(finding.suggest(format!("the container has {}", ports.described().join(", "))))
}

fn handler(written: &pod::Probe, ports: &[ContainerPort]) -> Result<ProbeHandler, String> {
    if let Some(get) = &written.http_get {
        let port = number(&get.port, ports)?;
        if get.scheme.eq_ignore_ascii_case("https") {
            return Ok(ProbeHandler::Tcp { port });
        }
        let path = if get.path.is_empty() { "/".to_owned() } else { get.path.clone() };
        let is_visible = |text: &str| text.bytes().all(|byte| byte.is_ascii_graphic());
        if !path.starts_with('/') || !is_visible(&path) {
            return Err(format!("path `{path}` is not a path that begins with `/`"));
        }
        let headers = get.http_headers.iter().map(|header| (header.name.clone(), header.value.clone()));
        let headers: Vec<(String, String)> = headers.collect();
        let is_good = |(name, value): &&(String, String)| {
            !name.is_empty() && is_visible(name) && !name.contains(':') && !value.contains(char::is_control)
        };
        if let Some((name, _)) = headers.iter().find(|header| !is_good(header)) {
            return Err(format!("header `{name}` is not one that can be sent"));
        }
        return Ok(ProbeHandler::Http { port, path, headers });
    }
    if let Some(exec) = &written.exec {
        let command = exec.command.clone();
        return if command.is_empty() {
            Err("exec has no command".to_owned())
        } else {
            Ok(ProbeHandler::Exec { command })
        };
    }
    let port = written.tcp_socket.as_ref().map(|it| &it.port).or(written.grpc.as_ref().map(|it| &it.port));
    let port = port.ok_or_else(|| "the probe asks nothing".to_owned())?;
    Ok(ProbeHandler::Tcp { port: number(port, ports)? })
}

fn number(port: &IntOrString, ports: &[ContainerPort]) -> Result<u16, String> {
    let number = match port {
        IntOrString::Int(number) => u16::try_from(*number).ok(),
        IntOrString::String(name) => {
            let named = ports.iter().find(|port| port.name.as_ref() == Some(name));
            named.map(|port| port.number).or_else(|| name.parse().ok())
        }
    };
    number.filter(|number| *number > 0).ok_or_else(|| format!("port `{port}` is not one of the container"))
}
