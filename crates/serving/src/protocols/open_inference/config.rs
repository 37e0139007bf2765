//! What a model takes and gives, in the words of Triton's configuration (model configuration extension of the protocol).
//!
//! Only what holds here is said. Triton's `max_batch_size` of 0 means that tensors have all their dimensions and any number
//! of rows may come at once; it is the size of joined batches where requests are joined, and then tensors are described
//! without their rows.

use std::time::Duration;

use models::DataType;
use net::StatusCode;

use super::{Described, SERVER_NAME, inputs_of, outputs_of};
use crate::call::Call;
use crate::fault::Fault;
use crate::json::write::{Dialect, Writer};
use crate::model_set::Entry;
use crate::reply::Reply;

/// The configuration of a model.
pub(crate) struct ModelConfig {
    pub(crate) name: String,
    /// What runs it.
    pub(crate) backend: &'static str,
    /// Rows of a joined batch; 0 when requests are not joined.
    pub(crate) max_batch_size: usize,
    /// How long a request waits to be joined.
    pub(crate) max_delay: Option<Duration>,
    pub(crate) inputs: Vec<Described>,
    pub(crate) outputs: Vec<Described>,
}

/// The configuration of a model, by the name that it is asked for, if it is there.
pub(crate) fn config(entry: &Entry, name: &str) -> Result<ModelConfig, Fault> {
    let ready = entry.require_ready()?;
    let without_rows = |mut described: Described| {
        if ready.batching.is_some() {
            described.shape.remove(0);
        }
        described
    };
    Ok(ModelConfig {
        name: name.to_owned(),
        backend: SERVER_NAME,
        max_batch_size: ready.batching.map_or(0, |batching| batching.max_rows),
        max_delay: ready.batching.map(|batching| batching.max_delay),
        inputs: inputs_of(entry).into_iter().map(without_rows).collect(),
        outputs: outputs_of(entry).into_iter().map(without_rows).collect(),
    })
}

/// Triton's name of a type, and its number (`inference.DataType` of `model_config.proto`).
pub(crate) fn triton_type(datatype: DataType) -> (&'static str, i32) {
    match datatype {
        DataType::Boolean => ("TYPE_BOOL", 1),
        DataType::Integer => ("TYPE_INT32", 8),
        DataType::Long => ("TYPE_INT64", 9),
        DataType::Float => ("TYPE_FP32", 11),
        DataType::Double | DataType::Any => ("TYPE_FP64", 12),
        DataType::String | DataType::Binary | DataType::Datetime => ("TYPE_STRING", 13),
    }
}

pub(super) fn page(call: &Call<'_>) -> Result<Reply, Fault> {
    let ModelConfig { name, backend, max_batch_size, max_delay, inputs, outputs } = {
        let entry = call.entry()?;
        config(entry, &call.name_of(entry))?
    };
    let mut json = Writer::new(Dialect::Compact, 512);
    json.raw("{\"name\":").text(&name).raw(",\"platform\":\"\",\"backend\":").text(backend);
    json.raw(",\"max_batch_size\":").long(max_batch_size as i64);
    json.raw(",\"input\":").list(inputs, |json, tensor| write_tensor(json, &tensor));
    json.raw(",\"output\":").list(outputs, |json, tensor| write_tensor(json, &tensor));
    if let Some(max_delay) = max_delay {
        let microseconds = i64::try_from(max_delay.as_micros()).unwrap_or(i64::MAX);
        json.raw(",\"dynamic_batching\":{\"max_queue_delay_microseconds\":").long(microseconds).raw("}");
    }
    json.raw("}");
    Ok(Reply::json(StatusCode::OK, json))
}

fn write_tensor(json: &mut Writer, Described { name, datatype, shape }: &Described) {
    json.raw("{\"name\":").text(name).raw(",\"data_type\":").text(triton_type(*datatype).0);
    json.raw(",\"dims\":").list(shape, |json, length| _ = json.long(*length)).raw("}");
}
