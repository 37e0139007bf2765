//! Lines of the health check log of an Application Load Balancer ("Health check log entries", ALB user guide).

use std::net::SocketAddr;
use std::time::Duration;

use jiff::Timestamp;
use plan::health::{CheckResult, Reason};

use super::words::{label, push_word};
use crate::text;

/// A check of a target that has ended.
#[derive(Debug)]
pub(crate) struct CheckLine<'a> {
    /// What was spoken: `http`, `https`, `h2` or `grpc`.
    pub(crate) kind: &'static str,
    pub(crate) target: SocketAddr,
    /// The name of its group.
    pub(crate) group: &'a str,
    pub(crate) result: &'a CheckResult,
    /// The status of the answer, of HTTP or of gRPC.
    pub(crate) code: Option<u16>,
    pub(crate) took: Duration,
}

/// Writes a line.
pub(super) fn write(out: &mut Vec<u8>, line: &CheckLine<'_>) {
    push_word(out, line.kind);
    text::push_moment(out, Timestamp::now());
    text::push_seconds(label(out, " "), line.took);
    text::push_socket(label(out, " "), line.target);
    push_word(label(out, " "), line.group);
    push_word(out, if *line.result == CheckResult::Success { "PASS" } else { "FAIL" });
    match line.code {
        Some(code) => text::push_number(out, u64::from(code)),
        None => out.push(b'-'),
    }
    label(label(out, " "), reason_code(line)).push(b'\n');
}

/// The code that comes nearest ("Error reason codes", ALB user guide).
fn reason_code(line: &CheckLine<'_>) -> &'static str {
    let CheckResult::Failure { reason, .. } = line.result else { return "-" };
    match reason {
        Reason::ResponseCodeMismatch if line.kind == "grpc" => "GRPCUnexpectedStatus",
        Reason::ResponseCodeMismatch if line.code.is_some_and(|code| code >= 500) => "TargetError",
        Reason::ResponseCodeMismatch => "ResponseCodeMismatch",
        Reason::Timeout => "RequestTimedOut",
        Reason::FailedHealthChecks => "ConnectionReset",
        _ => "InternalError",
    }
}
