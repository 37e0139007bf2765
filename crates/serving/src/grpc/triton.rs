//! Methods that only Triton has: what a model is configured like, and what was counted of it.

use std::time::Duration;

use prost::Message;

use super::messages::triton::{
    Config, ConfigInput, ConfigOutput, ConfigResponse, DynamicBatching, InferStatistics, StatisticDuration,
    Statistics, StatisticsResponse,
};
use super::methods::{Written, alias, asked_model, named};
use crate::metrics::Metrics;
use crate::model_set::ModelSet;
use crate::protocols::open_inference::{
    Described, ModelConfig, ModelStatistics, Timed, config, statistics, triton_type,
};

/// `ModelConfig`
pub(super) fn model_config(models: &ModelSet, message: &[u8]) -> Written {
    let entry = &models.entries()[asked_model(models, message)?];
    let ModelConfig { name, backend, max_batch_size, max_delay, inputs, outputs } =
        config(entry, &alias(entry, message).unwrap_or_else(|| entry.name.clone()))?;
    let microseconds = |delay: Duration| u64::try_from(delay.as_micros()).unwrap_or(u64::MAX);
    let input = |Described { name, datatype, shape }: Described| ConfigInput {
        name,
        data_type: triton_type(datatype).1,
        dims: shape,
    };
    let output = |Described { name, datatype, shape }: Described| ConfigOutput {
        name,
        data_type: triton_type(datatype).1,
        dims: shape,
    };
    let config = Config {
        name,
        backend: backend.to_owned(),
        max_batch_size: i32::try_from(max_batch_size).unwrap_or(i32::MAX),
        input: inputs.into_iter().map(input).collect(),
        output: outputs.into_iter().map(output).collect(),
        dynamic_batching: max_delay
            .map(|delay| DynamicBatching { max_queue_delay_microseconds: microseconds(delay) }),
    };
    Ok(ConfigResponse { config: Some(config) }.encode_to_vec())
}

/// `ModelStatistics`
pub(super) fn model_statistics(models: &ModelSet, metrics: &Metrics, message: &[u8]) -> Written {
    let (name, version) = named(message)?;
    let timed = |Timed { count, nanoseconds }| Some(StatisticDuration { count, ns: nanoseconds });
    let message = |model: ModelStatistics| Statistics {
        name: model.name,
        version: model.version,
        last_inference: model.last_inference,
        inference_count: model.inference_count,
        execution_count: model.execution_count,
        inference_stats: Some(InferStatistics {
            success: timed(model.success),
            fail: timed(model.fail),
            compute_infer: timed(model.compute_infer),
            cache_hit: timed(model.cache_hit),
            cache_miss: timed(model.cache_miss),
        }),
    };
    let all = statistics(models, metrics, name.as_deref(), version.as_deref())?;
    Ok(StatisticsResponse { model_stats: all.into_iter().map(message).collect() }.encode_to_vec())
}
