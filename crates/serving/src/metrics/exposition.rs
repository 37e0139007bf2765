//! Counts as Prometheus reads them: OpenMetrics 1.0, or the text format 0.0.4 that came before it.

use std::fmt::{self, Write as _};
use std::sync::Arc;
use std::time::Duration;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::{Registry, Unit};

use super::{BATCH_BOUNDS, Counted, DURATION_BOUNDS, Metrics, STATUS_CLASSES, Sums};
use crate::model_set::ModelSet;

/// A text format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exposition {
    OpenMetrics,
    Text004,
}

/// What is exposed: the sums, and what models there are.
#[derive(Debug)]
struct Scrape {
    protocols: Arc<[&'static str]>,
    sums: Vec<(Counted, Sums)>,
    logged: Option<[u64; 2]>,
    spans: Option<[u64; 2]>,
    models: Vec<ModelInfo>,
}

#[derive(Debug)]
struct ModelInfo {
    name: String,
    version: String,
    sha256: String,
    is_ready: bool,
    warm_up: Option<Duration>,
}

const NANOSECONDS: f64 = 1e9;
const MICROSECONDS: f64 = 1e6;

impl Exposition {
    /// The format that a client takes, by its `Accept`.
    pub(crate) fn of(accept: Option<&str>) -> Self {
        let wants_open_metrics = accept.is_some_and(|accept| accept.contains("application/openmetrics-text"));
        if wants_open_metrics { Self::OpenMetrics } else { Self::Text004 }
    }

    /// What `Content-Type` says of it.
    pub(crate) fn content_type(self) -> &'static str {
        match self {
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Text004 => "text/plain; version=0.0.4; charset=utf-8",
        }
    }
}

/// The text of all counts.
pub(crate) fn text(metrics: &Metrics, models: &ModelSet, exposition: Exposition) -> String {
    let models = models.entries().iter().map(|entry| ModelInfo {
        name: entry.name.clone(),
        version: entry.version.clone().unwrap_or_default(),
        sha256: entry.ready().map(|ready| ready.model.description().sha256.clone()).unwrap_or_default(),
        is_ready: entry.ready().is_some(),
        warm_up: entry.ready().map(|ready| ready.warm_up),
    });
    let mut registry = Registry::with_prefix("forebay");
    let scrape = Scrape {
        protocols: Arc::clone(&metrics.protocols),
        sums: metrics.sums(),
        logged: metrics.logged(),
        spans: metrics.spans(),
        models: models.collect(),
    };
    registry.register_collector(Box::new(metrics.tls.scrape()));
    registry.sub_registry_with_prefix("model").register_collector(Box::new(scrape));
    let mut text = String::new();
    encode(&mut text, &registry).expect("a String takes every text");
    match exposition {
        Exposition::OpenMetrics => text,
        Exposition::Text004 => as_text_004(&text),
    }
}

/// The older format names a counter with its `_total`, and knows neither units nor an end.
fn as_text_004(open_metrics: &str) -> String {
    let mut text = String::with_capacity(open_metrics.len());
    let mut lines = open_metrics.lines().peekable();
    while let Some(line) = lines.next() {
        let is_counter =
            lines.peek().is_some_and(|next| next.starts_with("# TYPE") && next.ends_with(" counter"));
        let mut words = line.splitn(4, ' ');
        match (words.next(), words.next(), words.next(), words.next()) {
            (Some("#"), Some("UNIT" | "EOF"), ..) => {}
            (Some("#"), Some("HELP"), Some(name), Some(help)) if is_counter => {
                let _ = writeln!(text, "# HELP {name}_total {help}");
            }
            (Some("#"), Some("TYPE"), Some(name), Some("counter")) => {
                let _ = writeln!(text, "# TYPE {name}_total counter");
            }
            _ => {
                let _ = writeln!(text, "{line}");
            }
        }
    }
    text
}

impl Collector for Scrape {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        self.requests(describe(&mut encoder, "requests", "Requests answered", None, MetricType::Counter)?)?;
        let help = "Time from the head of a request to its answer";
        let seconds = Some(&Unit::Seconds);
        self.durations(describe(&mut encoder, "request_duration", help, seconds, MetricType::Histogram)?)?;
        let mut rows = describe(&mut encoder, "rows", "Rows predicted", None, MetricType::Counter)?;
        for (counted, sums) in self.asked() {
            rows.encode_family(&labels(counted))?.encode_counter::<NoLabelSet, _, u64>(&sums.rows, None)?;
        }
        let help = "Time spent in models";
        let mut predict = describe(&mut encoder, "predict", help, seconds, MetricType::Counter)?;
        for (counted, sums) in self.asked() {
            let seconds = sums.predict_nanoseconds as f64 / NANOSECONDS;
            predict.encode_family(&labels(counted))?.encode_counter::<NoLabelSet, _, u64>(&seconds, None)?;
        }
        let help = "Rows that were predicted together, of requests that waited to be joined";
        self.batches(describe(&mut encoder, "batch_rows", help, None, MetricType::Histogram)?)?;
        let help = "Searches for an answer that was kept from an earlier request";
        self.lookups(describe(&mut encoder, "cache_lookups", help, None, MetricType::Counter)?)?;
        let help = "Predictions that were to be logged, and whether they were";
        let mut logged = describe(&mut encoder, "log_exchanges", help, None, MetricType::Counter)?;
        for (result, count) in ["written", "dropped"].iter().zip(self.logged.iter().flatten()) {
            logged
                .encode_family(&[("result", *result)])?
                .encode_counter::<NoLabelSet, _, u64>(count, None)?;
        }
        let help = "Spans of traces, and whether a collector took them";
        let mut spans = describe(&mut encoder, "trace_spans", help, None, MetricType::Counter)?;
        for (result, count) in ["exported", "dropped"].iter().zip(self.spans.iter().flatten()) {
            spans.encode_family(&[("result", *result)])?.encode_counter::<NoLabelSet, _, u64>(count, None)?;
        }
        self.models(describe(&mut encoder, "info", "The models served", None, MetricType::Gauge)?)?;
        let help = "Time that the first prediction took, of the example and before the model was ready";
        let mut warm_up = describe(&mut encoder, "warm_up", help, seconds, MetricType::Gauge)?;
        for model in &self.models {
            let labels = [("model", model.name.as_str()), ("version", model.version.as_str())];
            if let Some(took) = model.warm_up {
                warm_up.encode_family(&labels)?.encode_gauge(&took.as_secs_f64())?;
            }
        }
        let mut ready = describe(&mut encoder, "ready", "Whether a model answers", None, MetricType::Gauge)?;
        for versions in self.models.chunk_by(|a, b| a.name == b.name) {
            let is_ready = i64::from(versions.iter().all(|model| model.is_ready));
            ready.encode_family(&[("model", versions[0].name.as_str())])?.encode_gauge(&is_ready)?;
        }
        Ok(())
    }
}

impl Scrape {
    /// The models that were asked, and what was counted of them.
    fn asked(&self) -> impl Iterator<Item = (&Counted, &Sums)> {
        self.sums
            .iter()
            .map(|(counted, sums)| (counted, sums))
            .filter(|(counted, _)| !counted.model.is_empty())
    }

    fn requests(&self, mut encoder: MetricEncoder<'_>) -> fmt::Result {
        for (counted, sums) in &self.sums {
            let [model, version] = labels(counted);
            for (protocol, classes) in self.protocols.iter().zip(&sums.requests) {
                for (class, count) in STATUS_CLASSES.iter().zip(classes).filter(|(_, count)| **count > 0) {
                    let labels = [model, version, ("protocol", *protocol), ("status", class)];
                    encoder.encode_family(&labels)?.encode_counter::<NoLabelSet, _, u64>(count, None)?;
                }
            }
        }
        Ok(())
    }

    fn durations(&self, mut encoder: MetricEncoder<'_>) -> fmt::Result {
        let bounds = DURATION_BOUNDS.iter().map(|&bound| bound as f64 / MICROSECONDS).chain([f64::INFINITY]);
        for (counted, sums) in &self.sums {
            let buckets: Vec<(f64, u64)> = bounds.clone().zip(sums.durations).collect();
            let count = sums.durations.iter().sum();
            let seconds = sums.duration_nanoseconds as f64 / NANOSECONDS;
            encoder
                .encode_family(&labels(counted))?
                .encode_histogram::<NoLabelSet>(seconds, count, &buckets, None)?;
        }
        Ok(())
    }

    fn batches(&self, mut encoder: MetricEncoder<'_>) -> fmt::Result {
        let bounds = BATCH_BOUNDS.iter().map(|&bound| bound as f64).chain([f64::INFINITY]);
        for (counted, sums) in self.asked().filter(|(_, sums)| sums.batch_rows > 0) {
            let buckets: Vec<(f64, u64)> = bounds.clone().zip(sums.batches).collect();
            let count = sums.batches.iter().sum();
            let rows = sums.batch_rows as f64;
            encoder
                .encode_family(&labels(counted))?
                .encode_histogram::<NoLabelSet>(rows, count, &buckets, None)?;
        }
        Ok(())
    }

    fn lookups(&self, mut encoder: MetricEncoder<'_>) -> fmt::Result {
        for (counted, sums) in self.asked() {
            let [model, version] = labels(counted);
            for (result, count) in [("hit", sums.cache_hits), ("miss", sums.cache_misses)] {
                // Without a cache nothing is searched for.
                if sums.cache_hits + sums.cache_misses > 0 {
                    let labels = [model, version, ("result", result)];
                    encoder.encode_family(&labels)?.encode_counter::<NoLabelSet, _, u64>(&count, None)?;
                }
            }
        }
        Ok(())
    }

    fn models(&self, mut encoder: MetricEncoder<'_>) -> fmt::Result {
        for model in &self.models {
            let labels = [
                ("model", model.name.as_str()),
                ("version", model.version.as_str()),
                ("sha256", model.sha256.as_str()),
            ];
            encoder.encode_family(&labels)?.encode_gauge(&1i64)?;
        }
        Ok(())
    }
}

/// The labels of what is counted of a version of a model.
fn labels(counted: &Counted) -> [(&str, &str); 2] {
    [("model", counted.model.as_str()), ("version", counted.version.as_str())]
}

fn describe<'e>(
    encoder: &'e mut DescriptorEncoder<'_>,
    name: &'e str,
    help: &str,
    unit: Option<&'e Unit>,
    metric_type: MetricType,
) -> Result<MetricEncoder<'e>, fmt::Error> {
    encoder.encode_descriptor(name, help, unit, metric_type)
}
