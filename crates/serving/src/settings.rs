//! What an operator may change about a model server.

use models::Batching;

/// What an operator may change about a model server. Every limit has a default; none is absent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Bytes of a request body. A longer one is answered with 413.
    pub body_limit: usize,
    /// Bytes of all bodies that are read and answered at a time, compressed or not. A further one waits for a moment, and is
    /// then answered with 503; one that is longer than that alone, with 413.
    pub bodies_limit: usize,
    /// Whether a body must be sent with the content type it has. If not, one that comes with none, or with the
    /// `application/x-www-form-urlencoded` that curl sends of its own accord, is read as JSON.
    pub strict_content_type: bool,
    /// Whether `fixed_acidity` and `Fixed-Acidity` stand for a column `fixed acidity`.
    pub lenient_column_names: bool,
    /// Threads for predictions that would hold up a connection thread.
    pub compute_threads: usize,
    /// Predictions that may wait for a compute thread. When as many wait, further ones are answered with 503.
    pub compute_queue: usize,
    /// How requests for one model that wait at the same time are joined, if they are, unless the model's folder says it.
    pub batching: Option<Batching>,
    /// Bytes of answers that each core keeps for those who ask the same again; 0 for none.
    pub cache_bytes_per_core: usize,
}

impl Default for Settings {
    fn default() -> Self {
        let n_cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            body_limit: 10 * 1000 * 1000,
            bodies_limit: 256 << 20,
            strict_content_type: false,
            lenient_column_names: false,
            compute_threads: n_cores,
            compute_queue: 1024,
            batching: None,
            cache_bytes_per_core: 0,
        }
    }
}
