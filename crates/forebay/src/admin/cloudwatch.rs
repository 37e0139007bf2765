//! The second exposition: what is counted, under the names and with the meaning that CloudWatch has for it ("CloudWatch metrics
//! for your Application Load Balancer", and for your Network Load Balancer).
//!
//! A metric is a row of [`METRICS`]: which series of ours it sums. Its name is CloudWatch's in snake case, as exporters of
//! CloudWatch write it; sums only ever grow here, and end in `_total`. Beside CloudWatch's dimensions each series has the
//! labels of the first exposition, so that both join.

use std::collections::BTreeMap;

use plan::health::TargetState;
use plan::{LoadBalancer, LoadBalancerKind, Observed, Plan, TargetKey, resource};

use super::exposition::{Series, push_labels, series};

/// A metric of CloudWatch that sums series of ours.
struct Metric {
    kind: LoadBalancerKind,
    /// As CloudWatch calls it.
    name: &'static str,
    help: &'static str,
    is_gauge: bool,
    /// The series that are summed.
    from: &'static str,
    /// Which of them.
    counts: fn(&Series<'_>) -> bool,
}

const fn sum(
    kind: LoadBalancerKind,
    name: &'static str,
    from: &'static str,
    counts: fn(&Series<'_>) -> bool,
    help: &'static str,
) -> Metric {
    Metric { kind, name, help, is_gauge: false, from, counts }
}

fn all(_: &Series<'_>) -> bool {
    true
}

fn has(series: &Series<'_>, label: &str, value: &str) -> bool {
    series.labels.get(label).is_some_and(|known| known == value)
}

fn code_is(series: &Series<'_>, first: char) -> bool {
    series.labels.get("code").is_some_and(|code| code.starts_with(first))
}

/// Every metric that is a sum of series.
#[rustfmt::skip]
const METRICS: &[Metric] = {
    use LoadBalancerKind::{Application as Alb, Network as Nlb};
    const OWN: &str = "forebay_load_balancer_answers_total";
    const REQUESTS: &str = "forebay_requests_total";
    const OF_TARGETS: &str = "Answers of targets, by their status";
    const OF_US: &str = "Answers of the load balancer itself, by their status";
    &[
        sum(Alb, "RequestCount", "forebay_requests_routed_total", all, "Requests for which a target was chosen"),
        sum(Alb, "HTTPCode_Target_2XX_Count", REQUESTS, |it| has(it, "code_class", "2xx"), OF_TARGETS),
        sum(Alb, "HTTPCode_Target_3XX_Count", REQUESTS, |it| has(it, "code_class", "3xx"), OF_TARGETS),
        sum(Alb, "HTTPCode_Target_4XX_Count", REQUESTS, |it| has(it, "code_class", "4xx"), OF_TARGETS),
        sum(Alb, "HTTPCode_Target_5XX_Count", REQUESTS, |it| has(it, "code_class", "5xx"), OF_TARGETS),
        sum(Alb, "HTTPCode_ELB_3XX_Count", OWN, |it| code_is(it, '3'), OF_US),
        sum(Alb, "HTTPCode_ELB_4XX_Count", OWN, |it| code_is(it, '4'), OF_US),
        sum(Alb, "HTTPCode_ELB_5XX_Count", OWN, |it| code_is(it, '5'), OF_US),
        sum(Alb, "HTTPCode_ELB_500_Count", OWN, |it| has(it, "code", "500"), OF_US),
        sum(Alb, "HTTPCode_ELB_502_Count", OWN, |it| has(it, "code", "502"), OF_US),
        sum(Alb, "HTTPCode_ELB_503_Count", OWN, |it| has(it, "code", "503"), OF_US),
        sum(Alb, "HTTPCode_ELB_504_Count", OWN, |it| has(it, "code", "504"), OF_US),
        sum(Alb, "HTTP_Redirect_Count", OWN, |it| has(it, "reason", "redirect"), "Redirects of rules"),
        sum(Alb, "HTTP_Fixed_Response_Count", OWN, |it| has(it, "reason", "fixed-response"), "Fixed responses of rules"),
        sum(Alb, "DesyncMitigationMode_NonCompliant_Request_Count", OWN, |it| it.labels.get("reason").is_some_and(|reason| proxy::is_non_compliant(reason)), "Requests that two servers may read in two ways, all of which are refused"),
        sum(Alb, "TargetControlRequestRejectCount", OWN, |it| has(it, "reason", "targets-busy"), "Requests for which no target had room"),
        sum(Alb, "NewConnectionCount", "forebay_connections_total", all, "Connections of clients"),
        Metric { kind: Alb, name: "ActiveConnectionCount", help: "Connections of clients that are open", is_gauge: true, from: "forebay_open_connections", counts: all },
        sum(Alb, "ProcessedBytes", "forebay_processed_bytes_total", all, "Bytes that came from clients and went to them"),
        sum(Alb, "RejectedConnectionCount", "forebay_connections_refused_total", all, "Connections of clients that were not let in"),
        sum(Alb, "ClientTLSNegotiationErrorCount", "forebay_tls_handshake_failures_total", all, "Connections of clients on which TLS did not come about"),
        sum(Alb, "TargetConnectionErrorCount", "forebay_target_connection_failures_total", all, "Connections to targets that did not come about"),
        sum(Alb, "TargetTLSNegotiationErrorCount", "forebay_target_tls_failures_total", all, "Connections to targets on which TLS did not come about"),
        sum(Nlb, "NewFlowCount", "forebay_connections_total", all, "Flows of clients"),
        Metric { kind: Nlb, name: "ActiveFlowCount", help: "Flows of clients that are open", is_gauge: true, from: "forebay_open_connections", counts: all },
        sum(Nlb, "ProcessedBytes", "forebay_processed_bytes_total", all, "Bytes that came from clients and went to them"),
        sum(Nlb, "RejectedFlowCount", "forebay_connections_refused_total", all, "Flows of clients that were not let in"),
        sum(Nlb, "ClientTLSNegotiationErrorCount", "forebay_tls_handshake_failures_total", all, "Flows of clients on which TLS did not come about"),
        sum(Nlb, "TargetTLSNegotiationErrorCount", "forebay_target_tls_failures_total", all, "Flows to targets on which TLS did not come about"),
    ]
};

/// The exposition, from the text of the first one.
pub(super) fn text(first: &str, plan: &Plan, observed: &Observed) -> String {
    let balancers: BTreeMap<&str, &LoadBalancer> =
        plan.load_balancers.iter().map(|balancer| (balancer.name.as_str(), balancer)).collect();
    let series: Vec<Series<'_>> = series(first).collect();
    let mut text = String::new();
    for metric in METRICS {
        let mut sums: BTreeMap<Dimensions, u64> = BTreeMap::new();
        if !metric.is_of_group() {
            // What did not happen yet is known to be nothing.
            let of_kind = balancers.values().filter(|balancer| balancer.kind == metric.kind);
            sums.extend(of_kind.map(|balancer| (Dimensions::of(balancer, None, None), 0)));
        }
        for one in series.iter().filter(|one| one.name == metric.from && (metric.counts)(one)) {
            let balancer = one.labels.get("load_balancer").and_then(|name| balancers.get(name.as_str()));
            let Some(balancer) = balancer.filter(|balancer| balancer.kind == metric.kind) else { continue };
            let group = one.labels.get("target_group").map(String::as_str);
            let counted: u64 = one.value.parse().unwrap_or_default();
            *sums.entry(Dimensions::of(balancer, group, None)).or_default() += counted;
        }
        push_metric(&mut text, metric, &sums);
    }
    push_response_time(&mut text, &series, &balancers);
    push_hosts(&mut text, plan, observed);
    text
}

impl Metric {
    /// Whether the series that it sums are those of target groups.
    fn is_of_group(&self) -> bool {
        self.from.starts_with("forebay_requests") || self.from.starts_with("forebay_target")
    }
}

/// The labels of a series.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Dimensions {
    load_balancer: String,
    resource: String,
    /// Key and resource of the group.
    group: Option<(String, String)>,
    zone: Option<String>,
}

impl Dimensions {
    fn of(balancer: &LoadBalancer, group: Option<&str>, zone: Option<&str>) -> Self {
        let group = group.map(|key| {
            let known = balancer.target_group(key);
            (
                key.to_owned(),
                known.map(|group| resource::of_target_group(balancer, group)).unwrap_or_default(),
            )
        });
        Self {
            load_balancer: balancer.name.clone(),
            resource: resource::of_load_balancer(balancer),
            group,
            zone: zone.map(str::to_owned),
        }
    }

    fn labels(&self) -> impl Iterator<Item = (&str, &str)> {
        let balancer = [
            ("load_balancer", self.load_balancer.as_str()),
            ("dimension_LoadBalancer", self.resource.as_str()),
        ];
        let group = self.group.iter().flat_map(|(key, resource)| {
            [("target_group", key.as_str()), ("dimension_TargetGroup", resource.as_str())]
        });
        let zone = self.zone.iter().map(|zone| ("dimension_AvailabilityZone", zone.as_str()));
        balancer.into_iter().chain(group).chain(zone)
    }
}

fn push_metric(text: &mut String, metric: &Metric, sums: &BTreeMap<Dimensions, u64>) {
    if sums.is_empty() {
        return;
    }
    let name = full_name(metric.kind, metric.name);
    let (kind, total) = if metric.is_gauge { ("gauge", "") } else { ("counter", "_total") };
    text.push_str(&format!("# HELP {name} {}.\n# TYPE {name} {kind}\n", metric.help));
    for (dimensions, sum) in sums {
        text.push_str(&name);
        text.push_str(total);
        push_labels(text, dimensions.labels());
        text.push_str(&format!(" {sum}\n"));
    }
}

/// `TargetResponseTime`, with the buckets that there are.
fn push_response_time(text: &mut String, series: &[Series<'_>], balancers: &BTreeMap<&str, &LoadBalancer>) {
    const FROM: &str = "forebay_target_response_seconds";
    let name = full_name(LoadBalancerKind::Application, "TargetResponseTime");
    text.push_str(&format!(
        "# HELP {name} Seconds from sending a request to the head of its response.\n# TYPE {name} histogram\n"
    ));
    for one in series {
        let Some(part) = one.name.strip_prefix(FROM) else { continue };
        let balancer = one.labels.get("load_balancer").and_then(|name| balancers.get(name.as_str()));
        let Some(balancer) = balancer.filter(|it| it.kind == LoadBalancerKind::Application) else { continue };
        let dimensions = Dimensions::of(balancer, one.labels.get("target_group").map(String::as_str), None);
        let bound = one.labels.get("le").map(|bound| ("le", bound.as_str()));
        text.push_str(&format!("{name}{part}"));
        push_labels(text, dimensions.labels().chain(bound));
        text.push_str(&format!(" {}\n", one.value));
    }
}

/// `HealthyHostCount` and `UnHealthyHostCount`, of each zone by itself.
fn push_hosts(text: &mut String, plan: &Plan, observed: &Observed) {
    for kind in [LoadBalancerKind::Application, LoadBalancerKind::Network] {
        for (cloud_name, is_counted) in [
            ("HealthyHostCount", (|state| state == TargetState::Healthy) as fn(TargetState) -> bool),
            ("UnHealthyHostCount", TargetState::is_unhealthy),
        ] {
            let mut counts: BTreeMap<Dimensions, u64> = BTreeMap::new();
            for balancer in plan.load_balancers.iter().filter(|balancer| balancer.kind == kind) {
                for group in &balancer.target_groups {
                    if group.targets.is_empty() {
                        counts.insert(Dimensions::of(balancer, Some(&group.key), None), 0);
                    }
                    for target in &group.targets {
                        let zone = target.availability_zone.as_deref();
                        let count =
                            counts.entry(Dimensions::of(balancer, Some(&group.key), zone)).or_default();
                        let key = TargetKey {
                            load_balancer: balancer.id.clone(),
                            target_group: group.key.clone(),
                            address: target.socket(),
                        };
                        let state = observed.targets.get(&key).map(|health| health.state);
                        *count += u64::from(state.is_some_and(is_counted));
                    }
                }
            }
            let help = "Targets by what health checks said last";
            let metric = Metric { kind, name: cloud_name, help, is_gauge: true, from: "", counts: all };
            push_metric(text, &metric, &counts);
        }
    }
}

/// The name in the exposition: `aws_applicationelb_httpcode_elb_5_xx_count`.
fn full_name(kind: LoadBalancerKind, name: &str) -> String {
    let mut full = match kind {
        LoadBalancerKind::Application => "aws_applicationelb_".to_owned(),
        LoadBalancerKind::Network => "aws_networkelb_".to_owned(),
    };
    let mut before = '_';
    for character in name.chars() {
        if character.is_ascii_uppercase() && (before.is_ascii_lowercase() || before.is_ascii_digit()) {
            full.push('_');
        }
        full.push(character.to_ascii_lowercase());
        before = character;
    }
    full
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_that_exporters_of_cloudwatch_give() {
        let name = |name: &str| full_name(LoadBalancerKind::Application, name);
        assert_eq!(name("RequestCount"), "aws_applicationelb_request_count");
        assert_eq!(name("HTTPCode_ELB_5XX_Count"), "aws_applicationelb_httpcode_elb_5_xx_count");
        assert_eq!(name("UnHealthyHostCount"), "aws_applicationelb_un_healthy_host_count");
        assert_eq!(
            full_name(LoadBalancerKind::Network, "ActiveFlowCount"),
            "aws_networkelb_active_flow_count"
        );
    }
}
