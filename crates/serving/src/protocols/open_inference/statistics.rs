//! What was counted of models, in the words of Triton's statistics (statistics extension of the protocol).
//!
//! Only what is measured has a count: times in a queue and of reading and writing are not, so their counts are 0, and there
//! are no statistics by size of batch.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use net::StatusCode;

use crate::call::{Call, find_model, percent_decoded};
use crate::fault::Fault;
use crate::json::write::{Dialect, Writer};
use crate::metrics::{Counted, Metrics, Sums};
use crate::model_set::ModelSet;
use crate::reply::Reply;

/// The statistics of a version of a model, since it was first served.
pub(crate) struct ModelStatistics {
    pub(crate) name: String,
    pub(crate) version: String,
    /// When the last request for it came, in milliseconds of Unix time; 0 when none has.
    pub(crate) last_inference: u64,
    /// Rows that it predicted.
    pub(crate) inference_count: u64,
    /// How often it was asked, with however many rows.
    pub(crate) execution_count: u64,
    /// Requests that were answered.
    pub(crate) success: Timed,
    /// Requests that were refused, or failed.
    pub(crate) fail: Timed,
    /// Predictions.
    pub(crate) compute_infer: Timed,
    /// Searches for a kept answer that found one.
    pub(crate) cache_hit: Timed,
    /// Searches for a kept answer that found none.
    pub(crate) cache_miss: Timed,
}

/// How often something happened, and how long that took together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Timed {
    pub(crate) count: u64,
    pub(crate) nanoseconds: u64,
}

/// The statistics of a model, or of all when none is named; of one version, or of all.
pub(crate) fn statistics(
    models: &ModelSet,
    metrics: &Metrics,
    name: Option<&str>,
    version: Option<&str>,
) -> Result<Vec<ModelStatistics>, Fault> {
    let found = name.map(|name| find_model(models, Some(name), version)).transpose()?;
    let found = found.map(|position| models.entries()[position].as_ref());
    let is_meant = |counted: &Counted| {
        found.is_none_or(|entry| entry.name == counted.model)
            && version.is_none_or(|version| version == counted.version)
    };
    let sums = metrics.sums();
    let of = |counted: Counted| {
        let sums = sums.iter().find(|(known, _)| *known == counted).map(|(_, sums)| sums);
        ModelStatistics::new(counted, sums.unwrap_or(&Sums::default()))
    };
    let served = models.entries().iter().map(|entry| Counted::of(entry));
    Ok(served.filter(is_meant).map(of).collect())
}

impl ModelStatistics {
    fn new(counted: Counted, sums: &Sums) -> Self {
        let timed = |count, nanoseconds| Timed { count, nanoseconds };
        let n_requests: u64 = sums.requests.iter().flatten().sum();
        let n_successes = sums.n_successes();
        let failure_nanoseconds = sums.failure_nanoseconds;
        Self {
            name: counted.model,
            version: counted.version,
            last_inference: sums.last_request.map_or(0, unix_milliseconds),
            inference_count: sums.rows,
            execution_count: sums.executions,
            success: timed(n_successes, sums.duration_nanoseconds.saturating_sub(failure_nanoseconds)),
            fail: timed(n_requests - n_successes, failure_nanoseconds),
            compute_infer: timed(sums.executions, sums.predict_nanoseconds),
            cache_hit: timed(sums.cache_hits, sums.cache_hit_nanoseconds),
            cache_miss: timed(sums.cache_misses, sums.cache_miss_nanoseconds),
        }
    }
}

fn unix_milliseconds(instant: Instant) -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    u64::try_from(now.saturating_sub(instant.elapsed()).as_millis()).unwrap_or(u64::MAX)
}

pub(super) fn page(call: &Call<'_>) -> Result<Reply, Fault> {
    let (name, version) =
        (call.captures.model.map(percent_decoded), call.captures.version.map(percent_decoded));
    let all = statistics(call.models, call.metrics, name.as_deref(), version.as_deref())?;
    let mut json = Writer::new(Dialect::Compact, 512 * all.len());
    json.raw("{\"model_stats\":").list(all, |json, model| write(json, &model)).raw("}");
    Ok(Reply::json(StatusCode::OK, json))
}

fn write(json: &mut Writer, model: &ModelStatistics) {
    json.raw("{\"name\":").text(&model.name).raw(",\"version\":").text(&model.version);
    for (name, count) in [
        (",\"last_inference\":", model.last_inference),
        (",\"inference_count\":", model.inference_count),
        (",\"execution_count\":", model.execution_count),
    ] {
        json.raw(name).long(count.cast_signed());
    }
    let not_measured = Timed::default();
    for (name, timed) in [
        (",\"inference_stats\":{\"success\":", model.success),
        (",\"fail\":", model.fail),
        (",\"queue\":", not_measured),
        (",\"compute_input\":", not_measured),
        (",\"compute_infer\":", model.compute_infer),
        (",\"compute_output\":", not_measured),
        (",\"cache_hit\":", model.cache_hit),
        (",\"cache_miss\":", model.cache_miss),
    ] {
        json.raw(name).raw("{\"count\":").long(timed.count.cast_signed());
        json.raw(",\"ns\":").long(timed.nanoseconds.cast_signed()).raw("}");
    }
    json.raw("},\"batch_stats\":[]}");
}
