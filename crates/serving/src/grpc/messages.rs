//! The messages of `inference.GRPCInferenceService` and `grpc.health.v1.Health`, by the numbers of their fields.
//!
//! Fields that are read nowhere are left out: what a message has beyond this is passed over.

pub mod triton;

use std::collections::HashMap;

use prost::Message;

/// A message without fields that are read.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct Empty {}

/// Says yes or no: `ServerLiveResponse`, `ServerReadyResponse`, `ModelReadyResponse`.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct Truth {
    /// `live` or `ready`.
    #[prost(bool, tag = "1")]
    pub truth: bool,
}

/// The beginning of `ModelReadyRequest`, `ModelMetadataRequest` and `ModelInferRequest`: which model is asked.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct ModelName {
    /// The name.
    #[prost(string, tag = "1")]
    pub name: String,
    /// The version; empty for any.
    #[prost(string, tag = "2")]
    pub version: String,
}

/// `ServerMetadataResponse`
#[derive(Clone, PartialEq, Eq, Message)]
pub struct ServerMetadata {
    /// The name of the server.
    #[prost(string, tag = "1")]
    pub name: String,
    /// Its version.
    #[prost(string, tag = "2")]
    pub version: String,
    /// The extensions of the protocol that it has.
    #[prost(string, repeated, tag = "3")]
    pub extensions: Vec<String>,
}

/// `ModelMetadataResponse`
#[derive(Clone, PartialEq, Eq, Message)]
pub struct ModelMetadata {
    /// The name of the model.
    #[prost(string, tag = "1")]
    pub name: String,
    /// Its versions.
    #[prost(string, repeated, tag = "2")]
    pub versions: Vec<String>,
    /// What runs it.
    #[prost(string, tag = "3")]
    pub platform: String,
    /// What it takes.
    #[prost(message, repeated, tag = "4")]
    pub inputs: Vec<TensorMetadata>,
    /// What it gives.
    #[prost(message, repeated, tag = "5")]
    pub outputs: Vec<TensorMetadata>,
}

/// `ModelMetadataResponse.TensorMetadata`
#[derive(Clone, PartialEq, Eq, Message)]
pub struct TensorMetadata {
    /// The name of the tensor.
    #[prost(string, tag = "1")]
    pub name: String,
    /// The type of its elements.
    #[prost(string, tag = "2")]
    pub datatype: String,
    /// Its shape; -1 where any length is taken.
    #[prost(int64, repeated, tag = "3")]
    pub shape: Vec<i64>,
}

/// `InferParameter`
#[derive(Clone, PartialEq, Message)]
pub struct Parameter {
    /// Its value.
    #[prost(oneof = "Value", tags = "1, 2, 3")]
    pub value: Option<Value>,
}

/// The value of a parameter.
#[derive(Clone, PartialEq, prost::Oneof)]
pub enum Value {
    /// A truth value.
    #[prost(bool, tag = "1")]
    Bool(bool),
    /// A whole number.
    #[prost(int64, tag = "2")]
    Long(i64),
    /// A text.
    #[prost(string, tag = "3")]
    Text(String),
}

/// `ModelInferRequest`
#[derive(Clone, PartialEq, Message)]
pub struct InferRequest {
    /// The name of the model.
    #[prost(string, tag = "1")]
    pub model_name: String,
    /// Its version; empty for any.
    #[prost(string, tag = "2")]
    pub model_version: String,
    /// The name of the request.
    #[prost(string, tag = "3")]
    pub id: String,
    /// What else there is to say of it.
    #[prost(map = "string, message", tag = "4")]
    pub parameters: HashMap<String, Parameter>,
    /// The tensors.
    #[prost(message, repeated, tag = "5")]
    pub inputs: Vec<InputTensor>,
    /// The outputs that are wanted.
    #[prost(message, repeated, tag = "6")]
    pub outputs: Vec<RequestedOutput>,
    /// The data of all tensors in bytes, if it is not in the tensors.
    #[prost(bytes = "bytes", repeated, tag = "7")]
    pub raw_input_contents: Vec<net::Bytes>,
}

/// `ModelInferRequest.InferInputTensor`
#[derive(Clone, PartialEq, Message)]
pub struct InputTensor {
    /// Its name.
    #[prost(string, tag = "1")]
    pub name: String,
    /// The type of its elements.
    #[prost(string, tag = "2")]
    pub datatype: String,
    /// Its shape.
    #[prost(int64, repeated, tag = "3")]
    pub shape: Vec<i64>,
    /// What else there is to say of it.
    #[prost(map = "string, message", tag = "4")]
    pub parameters: HashMap<String, Parameter>,
    /// Its data, if that is not in bytes.
    #[prost(message, optional, tag = "5")]
    pub contents: Option<Contents>,
}

/// `ModelInferRequest.InferRequestedOutputTensor`
#[derive(Clone, PartialEq, Eq, Message)]
pub struct RequestedOutput {
    /// Its name.
    #[prost(string, tag = "1")]
    pub name: String,
}

/// `InferTensorContents`: one of the lists has the data.
#[derive(Clone, PartialEq, Message)]
pub struct Contents {
    /// BOOL
    #[prost(bool, repeated, tag = "1")]
    pub bools: Vec<bool>,
    /// INT8, INT16, INT32
    #[prost(int32, repeated, tag = "2")]
    pub ints: Vec<i32>,
    /// INT64
    #[prost(int64, repeated, tag = "3")]
    pub longs: Vec<i64>,
    /// UINT8, UINT16, UINT32
    #[prost(uint32, repeated, tag = "4")]
    pub unsigned_ints: Vec<u32>,
    /// UINT64
    #[prost(uint64, repeated, tag = "5")]
    pub unsigned_longs: Vec<u64>,
    /// FP32
    #[prost(float, repeated, tag = "6")]
    pub floats: Vec<f32>,
    /// FP64
    #[prost(double, repeated, tag = "7")]
    pub doubles: Vec<f64>,
    /// BYTES
    #[prost(bytes = "bytes", repeated, tag = "8")]
    pub texts: Vec<net::Bytes>,
}

/// `ModelInferResponse`
#[derive(Clone, PartialEq, Message)]
pub struct InferResponse {
    /// The name of the model.
    #[prost(string, tag = "1")]
    pub model_name: String,
    /// Its version.
    #[prost(string, tag = "2")]
    pub model_version: String,
    /// The name of the request.
    #[prost(string, tag = "3")]
    pub id: String,
    /// What else there is to say of it.
    #[prost(map = "string, message", tag = "4")]
    pub parameters: HashMap<String, Parameter>,
    /// The outputs.
    #[prost(message, repeated, tag = "5")]
    pub outputs: Vec<OutputTensor>,
    /// The data of all outputs in bytes, if it is not in the tensors.
    #[prost(bytes = "bytes", repeated, tag = "6")]
    pub raw_output_contents: Vec<net::Bytes>,
}

/// `ModelInferResponse.InferOutputTensor`
#[derive(Clone, PartialEq, Message)]
pub struct OutputTensor {
    /// Its name.
    #[prost(string, tag = "1")]
    pub name: String,
    /// The type of its elements.
    #[prost(string, tag = "2")]
    pub datatype: String,
    /// Its shape.
    #[prost(int64, repeated, tag = "3")]
    pub shape: Vec<i64>,
    /// What else there is to say of it.
    #[prost(map = "string, message", tag = "4")]
    pub parameters: HashMap<String, Parameter>,
    /// Its data, if that is not in bytes.
    #[prost(message, optional, tag = "5")]
    pub contents: Option<Contents>,
}

/// `RepositoryIndexRequest`
#[derive(Clone, PartialEq, Eq, Message)]
pub struct IndexRequest {
    /// Whether only models that answer are listed.
    #[prost(bool, tag = "2")]
    pub ready: bool,
}

/// `RepositoryIndexResponse`
#[derive(Clone, PartialEq, Eq, Message)]
pub struct Index {
    /// The models.
    #[prost(message, repeated, tag = "1")]
    pub models: Vec<IndexedModel>,
}

/// `RepositoryIndexResponse.ModelIndex`
#[derive(Clone, PartialEq, Eq, Message)]
pub struct IndexedModel {
    /// Its name.
    #[prost(string, tag = "1")]
    pub name: String,
    /// Its version.
    #[prost(string, tag = "2")]
    pub version: String,
    /// `READY` or `UNAVAILABLE`.
    #[prost(string, tag = "3")]
    pub state: String,
    /// Why it is so.
    #[prost(string, tag = "4")]
    pub reason: String,
}

/// `RepositoryModelLoadRequest`, `RepositoryModelUnloadRequest`
#[derive(Clone, PartialEq, Message)]
pub struct RepositoryModel {
    /// The name of the model.
    #[prost(string, tag = "2")]
    pub name: String,
    /// How it is to be loaded or unloaded; only the names are looked at.
    #[prost(map = "string, message", tag = "3")]
    pub parameters: HashMap<String, Empty>,
}

/// `grpc.health.v1.HealthCheckRequest`
#[derive(Clone, PartialEq, Eq, Message)]
pub struct HealthRequest {
    /// The service that is asked for; empty for the server.
    #[prost(string, tag = "1")]
    pub service: String,
}

/// `grpc.health.v1.HealthCheckResponse`
#[derive(Clone, PartialEq, Eq, Message)]
pub struct Health {
    /// 1 when it answers, 2 when it does not.
    #[prost(int32, tag = "1")]
    pub status: i32,
}
