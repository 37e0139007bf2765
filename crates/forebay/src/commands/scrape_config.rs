//! `forebay scrape-config`: what Prometheus has to know to collect the metrics that ServiceMonitors ask for: a job for each, as the
//! Prometheus operator has it, with the endpoints that there are now. They are written out, because a Prometheus need not be built
//! with what asks a Kubernetes.

use control::store::LabelSelector;
use manifest::kind_named;
use serde_json::{Map, Value, json};

use super::End;
use crate::client::{Client, JSON, collection};
use crate::globals::Globals;
use crate::output::{self, yaml};
use crate::runtime;

/// Print a configuration for Prometheus, with a job for each endpoint of a ServiceMonitor and the targets that it has now
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  forebay scrape-config > prometheus.yml && promtool check config prometheus.yml
  prometheus --config.file=prometheus.yml")]
pub(crate) struct Options {
    /// Only of this namespace [default: all]
    #[arg(short, long, value_name = "NAME")]
    namespace: Option<String>,
}

/// Fields of a ServiceMonitor's endpoint that need a Secret or a file to be written out first.
const LEFT_OUT: &[&str] =
    &["basicAuth", "authorization", "oauth2", "sigv4", "bearerTokenSecret", "proxyConnectHeader"];
/// Fields that Prometheus has under another name, of an endpoint and of a monitor.
const OF_ENDPOINT: &[(&str, &str)] = &[
    ("path", "metrics_path"),
    ("scheme", "scheme"),
    ("params", "params"),
    ("interval", "scrape_interval"),
    ("scrapeTimeout", "scrape_timeout"),
    ("honorLabels", "honor_labels"),
    ("honorTimestamps", "honor_timestamps"),
    ("followRedirects", "follow_redirects"),
    ("enableHttp2", "enable_http2"),
    ("proxyUrl", "proxy_url"),
    ("bearerTokenFile", "bearer_token_file"),
];
const OF_MONITOR: &[(&str, &str)] = &[
    ("sampleLimit", "sample_limit"),
    ("targetLimit", "target_limit"),
    ("labelLimit", "label_limit"),
    ("labelNameLengthLimit", "label_name_length_limit"),
    ("labelValueLengthLimit", "label_value_length_limit"),
    ("bodySizeLimit", "body_size_limit"),
];
const OF_RELABELLING: &[(&str, &str)] = &[
    ("sourceLabels", "source_labels"),
    ("separator", "separator"),
    ("targetLabel", "target_label"),
    ("regex", "regex"),
    ("modulus", "modulus"),
    ("replacement", "replacement"),
];

pub(crate) fn run(options: &Options, globals: &Globals) -> anyhow::Result<End> {
    runtime::block_on(async {
        let client = Client::find(globals)?;
        let kind = kind_named("ServiceMonitor").expect("the kind is known");
        let monitors = client.get(&collection(kind, options.namespace.as_deref()), JSON).await?;
        let of = async |name: &str| {
            let kind = kind_named(name).expect("the kind is known");
            anyhow::Ok(items(&client.get(&collection(kind, None), JSON).await?["items"]).to_vec())
        };
        let world = World { services: of("Service").await?, slices: of("EndpointSlice").await? };
        let monitors = items(&monitors["items"]);
        output::say(&yaml::print(&config(monitors, &world)))?;
        monitors.iter().flat_map(left_out).for_each(|line| eprintln!("{line}"));
        Ok(End::Done)
    })
}

/// Where targets are found.
struct World {
    services: Vec<Value>,
    slices: Vec<Value>,
}

fn items(list: &Value) -> &[Value] {
    list.as_array().map(Vec::as_slice).unwrap_or_default()
}

/// What could not be written out.
fn left_out(monitor: &Value) -> Vec<String> {
    let endpoints = monitor["spec"]["endpoints"].as_array().into_iter().flatten().enumerate();
    let fields = endpoints.flat_map(|(n, endpoint)| {
        let said = LEFT_OUT.iter().filter(|field| !endpoint[**field].is_null());
        said.map(move |field| {
            format!("warning: ServiceMonitor {}: endpoints[{n}].{field} is left out: write what it names into the file", named(monitor))
        })
    });
    fields.collect()
}

fn named(monitor: &Value) -> String {
    let part = |field: &str| monitor["metadata"][field].as_str().unwrap_or_default();
    format!("{}/{}", part("namespace"), part("name"))
}

fn config(monitors: &[Value], world: &World) -> Value {
    let jobs = monitors.iter().flat_map(|monitor| {
        let endpoints = items(&monitor["spec"]["endpoints"]).iter().enumerate();
        endpoints.map(move |(n, endpoint)| job(monitor, n, endpoint, world))
    });
    json!({"global": {"scrape_interval": "30s"}, "scrape_configs": jobs.collect::<Value>()})
}

fn job(monitor: &Value, n: usize, endpoint: &Value, world: &World) -> Value {
    let spec = &monitor["spec"];
    let services = world.services.iter().filter(|service| is_selected(service, monitor));
    let targets: Vec<Value> =
        services.flat_map(|service| targets(service, spec, endpoint, &world.slices)).collect();
    let mut job = json!({
        "job_name": format!("serviceMonitor/{}/{n}", named(monitor)),
        "static_configs": targets,
    });
    renamed(&mut job, endpoint, OF_ENDPOINT);
    renamed(&mut job, spec, OF_MONITOR);
    if endpoint["tlsConfig"]["insecureSkipVerify"] == true {
        job["tls_config"] = json!({"insecure_skip_verify": true});
    }
    for (field, name) in [("relabelings", "relabel_configs"), ("metricRelabelings", "metric_relabel_configs")]
    {
        let rules = relabellings(&endpoint[field]);
        if !rules.is_empty() {
            job[name] = json!(rules);
        }
    }
    job
}

/// Whether a Service is one that a monitor selects.
fn is_selected(service: &Value, monitor: &Value) -> bool {
    let wanted = &monitor["spec"]["namespaceSelector"];
    let (namespace, names) = (&service["metadata"]["namespace"], items(&wanted["matchNames"]));
    let is_in = wanted["any"] == true
        || (names.is_empty() && *namespace == monitor["metadata"]["namespace"])
        || names.contains(namespace);
    let labels = service["metadata"]["labels"].as_object().into_iter().flatten();
    let labels = labels.filter_map(|(key, value)| Some((key.as_str(), value.as_str()?))).collect();
    let selector = LabelSelector::from_selector(&monitor["spec"]["selector"]);
    is_in && selector.is_some_and(|selector| selector.matches(&labels))
}

/// The targets behind a Service, each with its labels.
fn targets(service: &Value, spec: &Value, endpoint: &Value, slices: &[Value]) -> Vec<Value> {
    let (namespace, name) = (&service["metadata"]["namespace"], &service["metadata"]["name"]);
    let slices = slices.iter().filter(|slice| {
        slice["metadata"]["namespace"] == *namespace
            && slice["metadata"]["labels"]["kubernetes.io/service-name"] == *name
    });
    let mut found = Vec::new();
    for slice in slices {
        let ports = items(&slice["ports"]).iter().filter(|port| is_meant(port, service, endpoint));
        let ports: Vec<&Value> = ports.collect();
        for (address, port) in
            items(&slice["endpoints"]).iter().flat_map(|it| ports.iter().map(move |port| (it, port)))
        {
            let Some(ip) = address["addresses"][0].as_str() else { continue };
            let mut labels = labels(service, spec, endpoint);
            if address["targetRef"]["kind"] == "Pod" {
                labels["pod"] = address["targetRef"]["name"].clone();
            }
            found.push(json!({"targets": [format!("{ip}:{}", port["port"])], "labels": labels}));
        }
    }
    found
}

/// Whether a port of a slice is the one that an endpoint names: by the name of the Service's port, or by what it leads to.
fn is_meant(port: &Value, service: &Value, endpoint: &Value) -> bool {
    match (&endpoint["port"], &endpoint["targetPort"]) {
        (Value::String(name), _) if !name.is_empty() => port["name"] == *name,
        (_, Value::Number(number)) => port["port"] == Value::Number(number.clone()),
        (_, Value::String(name)) => items(&service["spec"]["ports"]).iter().any(|of_service| {
            of_service["targetPort"] == *name
                && of_service["name"].as_str().unwrap_or_default()
                    == port["name"].as_str().unwrap_or_default()
        }),
        _ => true,
    }
}

/// The labels of the targets behind a Service.
fn labels(service: &Value, spec: &Value, endpoint: &Value) -> Value {
    let metadata = &service["metadata"];
    let job = spec["jobLabel"].as_str().map(|label| &metadata["labels"][label]).filter(|job| job.is_string());
    let mut labels = json!({
        "namespace": metadata["namespace"],
        "service": metadata["name"],
        "job": job.unwrap_or(&metadata["name"]),
    });
    for label in items(&spec["targetLabels"]).iter().filter_map(Value::as_str) {
        if let Value::String(value) = &metadata["labels"][label] {
            labels[sanitized(label)] = json!(value);
        }
    }
    let port = [&endpoint["port"], &endpoint["targetPort"]].into_iter().find(|port| !port.is_null());
    if let Some(port) = port {
        labels["endpoint"] = json!(port.as_str().map_or_else(|| port.to_string(), ToOwned::to_owned));
    }
    labels
}

fn renamed(to: &mut Value, from: &Value, names: &[(&str, &str)]) {
    for (field, name) in names {
        if !from[*field].is_null() {
            to[*name] = from[*field].clone();
        }
    }
}

/// A label's name as Prometheus can have it.
fn sanitized(label: &str) -> String {
    label.chars().map(|it| if it.is_ascii_alphanumeric() { it } else { '_' }).collect()
}

/// Relabellings of a user's own.
fn relabellings(written: &Value) -> Vec<Value> {
    let rules = written.as_array().into_iter().flatten().map(|rule| {
        let mut renamed_rule = Value::Object(Map::new());
        renamed(&mut renamed_rule, rule, OF_RELABELLING);
        if let Some(action) = rule["action"].as_str() {
            renamed_rule["action"] = json!(action.to_ascii_lowercase());
        }
        renamed_rule
    });
    rules.collect()
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use expect_test::expect;

    use super::*;

    fn printed() -> String {
        let monitor = json!({"metadata": {"namespace": "mlops", "name": "api"}, "spec": {
            "selector": {"matchLabels": {"app.kubernetes.io/name": "api"}}, "jobLabel": "app", "targetLabels": ["team/name"],
            "endpoints": [{"port": "http", "path": "/metrics", "interval": "15s",
                "metricRelabelings": [{"action": "Drop", "sourceLabels": ["__name__"], "regex": "go_.*"}]}]}});
        let service = |name: &str, label: &str| json!({"metadata": {"namespace": "mlops", "name": name, "labels": {"app.kubernetes.io/name": label, "team/name": "a"}}});
        let slice = json!({"metadata": {"namespace": "mlops", "labels": {"kubernetes.io/service-name": "api"}},
            "ports": [{"name": "http", "port": 8080}, {"name": "grpc", "port": 9000}],
            "endpoints": [{"addresses": ["127.78.0.1"], "targetRef": {"kind": "Pod", "name": "api-1"}}]});
        let world =
            World { services: vec![service("api", "api"), service("other", "other")], slices: vec![slice] };
        yaml::print(&config(&[monitor], &world))
    }

    #[test]
    fn a_monitor_is_a_job_with_the_endpoints_of_its_services() {
        expect![[r"
            global:
              scrape_interval: 30s
            scrape_configs:
            - job_name: serviceMonitor/mlops/api/0
              metric_relabel_configs:
              - action: drop
                regex: go_.*
                source_labels:
                - __name__
              metrics_path: /metrics
              scrape_interval: 15s
              static_configs:
              - labels:
                  endpoint: http
                  job: api
                  namespace: mlops
                  pod: api-1
                  service: api
                  team_name: a
                targets:
                - 127.78.0.1:8080
        "]]
        .assert_eq(&printed());
    }

    #[test]
    fn prometheus_takes_it() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("prometheus.yml");
        std::fs::write(&file, printed()).unwrap();
        let Ok(output) = Command::new("promtool").args(["check", "config"]).arg(&file).output() else {
            eprintln!("skipped: there is no promtool on this machine");
            return;
        };
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
}
