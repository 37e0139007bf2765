//! Traces of requests: where `--otlp-endpoint` and the variables of OpenTelemetry send them.

use anyhow::Context as _;
use traces::{Counts, Endpoint, Settings, Tracer};

/// Options of commands that record traces.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct TraceOptions {
    /// Send traces of requests to this OpenTelemetry collector, as OTLP over HTTP in JSON: its endpoint for all signals, for
    /// example http://127.0.0.1:4318; OTEL_TRACES_SAMPLER and other variables are heeded [env: OTEL_EXPORTER_OTLP_ENDPOINT]
    #[arg(long, value_name = "URL", value_parser = Endpoint::below)]
    otlp_endpoint: Option<Endpoint>,
}

/// The variable that says where traces go, and nothing but traces.
const ENDPOINT: &str = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT";

impl TraceOptions {
    /// Who records traces, if that is wanted. What variables say and has no effect is warned of.
    pub(crate) fn open(&self, service: &str, counts: &Counts) -> anyhow::Result<Option<Tracer>> {
        let (settings, notes) =
            Settings::read(self.otlp_endpoint.as_ref(), service, |name| std::env::var(name).ok());
        for note in notes {
            tracing::warn!("{note}");
        }
        let Some(mut settings) = settings else { return Ok(None) };
        settings = settings
            .with_resource("service.instance.id", &instance())
            .with_resource("process.pid", &std::process::id().to_string());
        // Replicas are told who they are.
        for (key, variable) in [("k8s.namespace.name", "POD_NAMESPACE"), ("k8s.pod.name", "POD_NAME")] {
            if let Ok(value) = std::env::var(variable) {
                settings = settings.with_resource(key, &value);
            }
        }
        Tracer::start(settings, counts.clone()).map(Some).context("cannot send traces")
    }

    /// The variables that have replicas send theirs to where ours go.
    pub(crate) fn of_replicas(&self) -> Vec<(String, String)> {
        self.otlp_endpoint.iter().map(|endpoint| (ENDPOINT.to_owned(), endpoint.to_string())).collect()
    }
}

/// A name that no other process has had.
fn instance() -> String {
    let since_epoch = std::time::UNIX_EPOCH.elapsed().unwrap_or_default();
    format!("{:x}-{:x}", since_epoch.as_nanos(), std::process::id())
}
