//! The messages of Triton's extensions, as far as there is something to say in them.

use prost::Message;

/// `ModelConfigResponse`
#[derive(Clone, PartialEq, Eq, Message)]
pub struct ConfigResponse {
    /// The configuration.
    #[prost(message, optional, tag = "1")]
    pub config: Option<Config>,
}

/// `ModelConfig`
#[derive(Clone, PartialEq, Eq, Message)]
pub struct Config {
    /// The name of the model.
    #[prost(string, tag = "1")]
    pub name: String,
    /// What runs it.
    #[prost(string, tag = "17")]
    pub backend: String,
    /// Rows of a joined batch; 0 when requests are not joined.
    #[prost(int32, tag = "4")]
    pub max_batch_size: i32,
    /// What it takes.
    #[prost(message, repeated, tag = "5")]
    pub input: Vec<ConfigInput>,
    /// What it gives.
    #[prost(message, repeated, tag = "6")]
    pub output: Vec<ConfigOutput>,
    /// How requests are joined, if they are.
    #[prost(message, optional, tag = "11")]
    pub dynamic_batching: Option<DynamicBatching>,
}

/// `ModelInput`
#[derive(Clone, PartialEq, Eq, Message)]
pub struct ConfigInput {
    /// The name of the tensor.
    #[prost(string, tag = "1")]
    pub name: String,
    /// The number of its type.
    #[prost(int32, tag = "2")]
    pub data_type: i32,
    /// Its shape; -1 where any length is taken.
    #[prost(int64, repeated, tag = "4")]
    pub dims: Vec<i64>,
}

/// `ModelOutput`
#[derive(Clone, PartialEq, Eq, Message)]
pub struct ConfigOutput {
    /// The name of the tensor.
    #[prost(string, tag = "1")]
    pub name: String,
    /// The number of its type.
    #[prost(int32, tag = "2")]
    pub data_type: i32,
    /// Its shape; -1 where any length comes.
    #[prost(int64, repeated, tag = "3")]
    pub dims: Vec<i64>,
}

/// `ModelDynamicBatching`
#[derive(Clone, PartialEq, Eq, Message)]
pub struct DynamicBatching {
    /// How long a request waits for others.
    #[prost(uint64, tag = "2")]
    pub max_queue_delay_microseconds: u64,
}

/// `ModelStatisticsResponse`
#[derive(Clone, PartialEq, Eq, Message)]
pub struct StatisticsResponse {
    /// By model and version.
    #[prost(message, repeated, tag = "1")]
    pub model_stats: Vec<Statistics>,
}

/// `ModelStatistics`
#[derive(Clone, PartialEq, Eq, Message)]
pub struct Statistics {
    /// The name of the model.
    #[prost(string, tag = "1")]
    pub name: String,
    /// Its version.
    #[prost(string, tag = "2")]
    pub version: String,
    /// When the last request came, in milliseconds of Unix time.
    #[prost(uint64, tag = "3")]
    pub last_inference: u64,
    /// Rows that were predicted.
    #[prost(uint64, tag = "4")]
    pub inference_count: u64,
    /// How often the model was asked.
    #[prost(uint64, tag = "5")]
    pub execution_count: u64,
    /// Counts and times.
    #[prost(message, optional, tag = "6")]
    pub inference_stats: Option<InferStatistics>,
}

/// `InferStatistics`
#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub struct InferStatistics {
    /// Requests that were answered.
    #[prost(message, optional, tag = "1")]
    pub success: Option<StatisticDuration>,
    /// Requests that were refused, or failed.
    #[prost(message, optional, tag = "2")]
    pub fail: Option<StatisticDuration>,
    /// Predictions.
    #[prost(message, optional, tag = "5")]
    pub compute_infer: Option<StatisticDuration>,
    /// Searches for a kept answer that found one.
    #[prost(message, optional, tag = "7")]
    pub cache_hit: Option<StatisticDuration>,
    /// Searches for a kept answer that found none.
    #[prost(message, optional, tag = "8")]
    pub cache_miss: Option<StatisticDuration>,
}

/// `StatisticDuration`
#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub struct StatisticDuration {
    /// How often.
    #[prost(uint64, tag = "1")]
    pub count: u64,
    /// How long together.
    #[prost(uint64, tag = "2")]
    pub ns: u64,
}
