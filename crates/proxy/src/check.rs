//! Health checks: one question to one target ("Health checks for your target groups", ALB user guide).

use std::net::SocketAddr;
use std::time::Duration;

use net::{Body, ClientConnection, ConnectError, Fields, Method, Outgoing};
use plan::health::{CheckResult, Reason};
use plan::{HealthCheck, HealthCheckPort, Matcher};

/// Asks a target how it is. Takes no longer than the check's timeout.
pub(crate) async fn check(target: SocketAddr, check: &HealthCheck) -> CheckResult {
    let port = match check.port {
        HealthCheckPort::TrafficPort => target.port(),
        HealthCheckPort::Port(port) => port,
    };
    let asked = tokio::time::timeout(check.timeout, ask(SocketAddr::new(target.ip(), port), check));
    asked.await.unwrap_or_else(|_| failure(Reason::Timeout, "Request timed out".to_owned()))
}

async fn ask(address: SocketAddr, check: &HealthCheck) -> CheckResult {
    let connection = match ClientConnection::open(address, check.timeout).await {
        Ok(connection) => connection,
        Err(error @ ConnectError::Refused { .. }) => {
            return failure(Reason::FailedHealthChecks, error.to_string());
        }
        Err(ConnectError::TimedOut { .. }) => {
            return failure(Reason::Timeout, "Request timed out".to_owned());
        }
    };
    match &check.matcher {
        Matcher::Connection => CheckResult::Success,
        // Asking in HTTP/2 is not built yet: that the port takes connections is all that can be said.
        Matcher::Grpc(_) => CheckResult::Success,
        Matcher::Http(codes) => {
            let path = check.path.as_deref().unwrap_or("/");
            match get(connection, address, path, check.timeout).await {
                Ok(status) if codes.contains(status) => CheckResult::Success,
                Ok(status) => failure(
                    Reason::ResponseCodeMismatch,
                    format!(
                        "Health checks failed with these codes: [{status}] (path {path}, expected {})",
                        codes.as_str()
                    ),
                ),
                Err(description) => {
                    failure(Reason::FailedHealthChecks, format!("Health checks failed: {description}"))
                }
            }
        }
    }
}

/// The status of a GET. The connection is closed afterwards.
async fn get(
    connection: ClientConnection,
    address: SocketAddr,
    path: &str,
    timeout: Duration,
) -> Result<u16, String> {
    let mut fields = Fields::new();
    fields.push("host", address.to_string());
    fields.push("user-agent", "ELB-HealthChecker/2.0");
    let outgoing =
        Outgoing { method: &Method::GET, target: path, fields: &fields, body: Body::Empty, timeout };
    let response = connection.send(outgoing, drop).await.map_err(|error| error.to_string())?;
    Ok(response.status.as_u16())
}

fn failure(reason: Reason, description: String) -> CheckResult {
    CheckResult::Failure { reason, description }
}
