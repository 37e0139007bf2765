//! What a model's metadata announce is what it takes and what it answers, of every fixture, in both styles, over REST and gRPC.

use std::path::{Path, PathBuf};

use net::Bytes;
use serde_json::{Value, json};
use serving::grpc::messages::{
    Contents, InferRequest, InferResponse, InputTensor, ModelMetadata, ModelName, RequestedOutput,
};
use serving::{LoadedModel, ModelState, ServedModel, ServerHandler, Settings, Style};

use crate::fixture::{answer, get, post, project, request, served, server};
use crate::grpc::{Client, with_client_of};

const N_ROWS: usize = 2;

/// A fixture: its folder, and the model that is tried.
struct Fixture {
    name: String,
    folder: PathBuf,
    model: PathBuf,
}

fn fixtures() -> Vec<Fixture> {
    let folders = ["fixtures/models", "fixtures/onnx"]
        .into_iter()
        .flat_map(|folder| project().join(folder).read_dir().unwrap().map(|entry| entry.unwrap().path()));
    let fixture = |folder: PathBuf| {
        let case: Value = serde_json::from_slice(&std::fs::read(folder.join("case.json")).ok()?).ok()?;
        let files = case["files"].as_object().into_iter().flat_map(|files| files.values());
        let files = files.map(|file| folder.join(file.as_str().unwrap()));
        let model = files.chain([folder.join("model.onnx")]).find(|file| file.exists())?;
        // A folder of MLflow's says more than the file in it.
        let model = if folder.join("MLmodel").is_file() { folder.clone() } else { model };
        let name = folder.file_name().unwrap().to_string_lossy().into_owned();
        Some(Fixture { name, folder, model })
    };
    let mut fixtures: Vec<Fixture> = folders.filter_map(fixture).collect();
    fixtures.sort_by(|a, b| a.name.cmp(&b.name));
    fixtures.dedup_by(|a, b| a.name == b.name);
    fixtures
}

/// Rows that the original library was asked for, by the names of their columns.
struct Rows {
    names: Vec<String>,
    data: Vec<Vec<Value>>,
}

impl Rows {
    fn of(folder: &Path) -> Self {
        let input: Value =
            serde_json::from_slice(&std::fs::read(folder.join("input.json")).unwrap()).unwrap();
        let list = |value: &Value| value.as_array().unwrap().clone();
        let names = list(&input["columns"]).iter().map(|name| name.as_str().unwrap().to_owned()).collect();
        let data: Vec<Vec<Value>> = list(&input["data"]).iter().map(list).collect();
        let is_whole = |row: &&Vec<Value>| row.iter().all(|value| !value.is_null());
        let mut whole: Vec<Vec<Value>> = data.iter().filter(is_whole).take(N_ROWS).cloned().collect();
        whole.extend(data.into_iter().take(N_ROWS - whole.len()));
        Self { names, data: whole }
    }

    /// The values of an input that metadata announce: of a column by name, else of those that come next.
    fn values(&self, input: &Tensor, next: &mut usize) -> Vec<Value> {
        let width = match *input.shape.as_slice() {
            [_, -1] => self.names.len(),
            [_, width] => usize::try_from(width).unwrap(),
            _ => 1,
        };
        let named = self.names.iter().position(|name| *name == input.name).filter(|_| width == 1);
        let first = named.unwrap_or(*next);
        *next = first + width;
        let rows = self.data.iter().flat_map(|row| row[first..first + width].iter().cloned());
        rows.map(|value| input.typed(value)).collect()
    }
}

/// A tensor as metadata announce it.
#[derive(Debug, Clone, PartialEq)]
struct Tensor {
    name: String,
    datatype: String,
    shape: Vec<i64>,
}

impl Tensor {
    fn read(json: &Value) -> Self {
        let text = |key: &str| json[key].as_str().unwrap().to_owned();
        let shape = json["shape"].as_array().unwrap().iter().map(|length| length.as_i64().unwrap());
        Self { name: text("name"), datatype: text("datatype"), shape: shape.collect() }
    }

    /// A value in the type that is announced.
    fn typed(&self, value: Value) -> Value {
        match (self.datatype.as_str(), value) {
            ("BYTES", value @ Value::String(_)) => value,
            ("BYTES", value) => json!(value.to_string()),
            ("BOOL", Value::Number(number)) => json!(number.as_f64() == Some(1.0)),
            ("INT64" | "INT32", Value::Number(number)) => json!(number.as_f64().unwrap() as i64),
            (_, value) => value,
        }
    }

    /// The same of this many rows.
    fn of_rows(&self, n_columns: usize) -> Vec<i64> {
        let lengths = self.shape.iter().enumerate();
        let length = |(index, length): (usize, &i64)| match (index, length) {
            (0, -1) => N_ROWS as i64,
            (_, -1) => n_columns as i64,
            (_, length) => *length,
        };
        lengths.map(length).collect()
    }
}

/// What a model is asked and answers, in a protocol.
#[derive(Debug)]
struct Metadata {
    name: String,
    inputs: Vec<Tensor>,
    outputs: Vec<Tensor>,
}

#[derive(Debug)]
struct Answer {
    name: String,
    outputs: Vec<Tensor>,
}

/// A way to ask.
enum Protocol<'p> {
    Rest(&'p ServerHandler),
    Grpc(&'p Client),
}

impl Protocol<'_> {
    async fn metadata(&self, name: &str) -> Metadata {
        match self {
            Self::Rest(handler) => {
                let path = format!("/v2/models/{name}");
                let page = answer(handler, request("GET", &path, &[], &[])).await;
                let json: Value = serde_json::from_slice(&page.body).unwrap();
                let tensors = |key: &str| json[key].as_array().unwrap().iter().map(Tensor::read).collect();
                let name = json["name"].as_str().unwrap().to_owned();
                Metadata { name, inputs: tensors("inputs"), outputs: tensors("outputs") }
            }
            Self::Grpc(client) => {
                let question = ModelName { name: name.to_owned(), version: String::new() };
                let path = "inference.GRPCInferenceService/ModelMetadata";
                let metadata: ModelMetadata = client.call(path, question).await.unwrap();
                let tensors = |tensors: Vec<serving::grpc::messages::TensorMetadata>| {
                    let tensor = |tensor: serving::grpc::messages::TensorMetadata| Tensor {
                        name: tensor.name,
                        datatype: tensor.datatype,
                        shape: tensor.shape,
                    };
                    tensors.into_iter().map(tensor).collect()
                };
                let (inputs, outputs) = (tensors(metadata.inputs), tensors(metadata.outputs));
                Metadata { name: metadata.name, inputs, outputs }
            }
        }
    }

    async fn infer(
        &self,
        name: &str,
        inputs: &[(Tensor, Vec<Value>)],
        outputs: &[&str],
    ) -> Result<Answer, String> {
        match self {
            Self::Rest(handler) => {
                let tensor = |(tensor, values): &(Tensor, Vec<Value>)| {
                    json!({
                        "name": tensor.name, "datatype": tensor.datatype, "shape": tensor.shape, "data": values
                    })
                };
                let mut body = json!({ "inputs": inputs.iter().map(tensor).collect::<Vec<_>>() });
                if !outputs.is_empty() {
                    body["outputs"] = outputs.iter().map(|name| json!({ "name": name })).collect();
                }
                let fields = [("content-type".to_owned(), "application/json".to_owned())];
                let path = format!("/v2/models/{name}/infer");
                let body = body.to_string();
                let page = answer(handler, request("POST", &path, &fields, body.as_bytes())).await;
                if page.status != 200 {
                    return Err(format!("{} {}", page.status, page.text()));
                }
                let json: Value = serde_json::from_slice(&page.body).unwrap();
                let outputs = json["outputs"].as_array().unwrap().iter().map(Tensor::read).collect();
                Ok(Answer { name: json["model_name"].as_str().unwrap().to_owned(), outputs })
            }
            Self::Grpc(client) => {
                let tensor = |(tensor, values): &(Tensor, Vec<Value>)| InputTensor {
                    name: tensor.name.clone(),
                    datatype: tensor.datatype.clone(),
                    shape: tensor.shape.clone(),
                    contents: Some(contents(&tensor.datatype, values)),
                    ..InputTensor::default()
                };
                let requested = |name: &&str| RequestedOutput { name: (*name).to_owned() };
                let question = InferRequest {
                    model_name: name.to_owned(),
                    inputs: inputs.iter().map(tensor).collect(),
                    outputs: outputs.iter().map(requested).collect(),
                    ..InferRequest::default()
                };
                let answer: InferResponse =
                    client.infer(question).await.map_err(|status| status.message().to_owned())?;
                let output = |output: serving::grpc::messages::OutputTensor| Tensor {
                    name: output.name,
                    datatype: output.datatype,
                    shape: output.shape,
                };
                Ok(Answer {
                    name: answer.model_name,
                    outputs: answer.outputs.into_iter().map(output).collect(),
                })
            }
        }
    }
}

fn contents(datatype: &str, values: &[Value]) -> Contents {
    let mut contents = Contents::default();
    for value in values {
        let number = value.as_f64().unwrap_or(f64::NAN);
        match datatype {
            "BYTES" => contents.texts.push(Bytes::from(value.as_str().unwrap().to_owned())),
            "BOOL" => contents.bools.push(value == &json!(true)),
            "INT64" => contents.longs.push(number as i64),
            "INT32" => contents.ints.push(number as i32),
            "FP32" => contents.floats.push(number as f32),
            _ => contents.doubles.push(number),
        }
    }
    contents
}

/// What does not agree, if anything.
async fn disagreement(protocol: &Protocol<'_>, name: &str, rows: &Rows) -> Result<(), String> {
    let metadata = protocol.metadata(name).await;
    if metadata.name != name {
        return Err(format!("the metadata are of `{}`", metadata.name));
    }
    if metadata.outputs.is_empty() {
        return Err("no output is announced".to_owned());
    }
    let mut next = 0;
    let inputs: Vec<(Tensor, Vec<Value>)> = metadata
        .inputs
        .iter()
        .map(|input| {
            let values = rows.values(input, &mut next);
            let shape = input.of_rows(values.len() / N_ROWS);
            (Tensor { shape, ..input.clone() }, values)
        })
        .collect();
    let announced = |output: &Tensor| Tensor { shape: output.of_rows(0), ..output.clone() };
    let check = |answer: Answer, expected: &[&Tensor]| {
        let expected: Vec<Tensor> = expected.iter().map(|output| announced(output)).collect();
        match answer.name == name && answer.outputs == expected {
            true => Ok(()),
            false => Err(format!("announced {expected:?}, answered {answer:?}")),
        }
    };
    let unasked = protocol.infer(name, &inputs, &[]).await?;
    let n_unasked = unasked.outputs.len().min(metadata.outputs.len());
    check(unasked, &metadata.outputs[..n_unasked].iter().collect::<Vec<_>>())?;
    for output in &metadata.outputs {
        check(protocol.infer(name, &inputs, &[&output.name]).await?, &[output])?;
    }
    let all: Vec<&str> = metadata.outputs.iter().map(|output| output.name.as_str()).collect();
    check(protocol.infer(name, &inputs, &all).await?, &metadata.outputs.iter().collect::<Vec<_>>())
}

#[test]
fn every_model_takes_and_answers_what_its_metadata_announce() {
    let fixtures = fixtures();
    assert!(fixtures.len() > 250, "{}", fixtures.len());
    let styles = [("mlserver", Style::MlServer), ("kserve", Style::KServe)];
    let served = |fixture: &Fixture, (suffix, style): (&str, Style)| ServedModel {
        name: format!("{}-{suffix}", fixture.name),
        aliases: vec![format!("alias-of-{}-{suffix}", fixture.name)],
        version: None,
        style,
        method: None,
        state: ModelState::Ready(Box::new(LoadedModel::load(&fixture.model).unwrap())),
    };
    // Each model is served once: in one style over REST, and in the other over gRPC, and the next the other way round.
    let mut problems = Vec::new();
    for chunk in fixtures.chunks(64) {
        let models = chunk.iter().flat_map(|fixture| styles.map(|style| served(fixture, style))).collect();
        let server = server(models, Settings { compute_threads: 1, ..Settings::default() });
        let handler = server.handler();
        let problems = &mut problems;
        with_client_of(&server, |client| async move {
            for fixture in chunk {
                let rows = Rows::of(&fixture.folder);
                for (suffix, _) in styles {
                    let name = format!("{}-{suffix}", fixture.name);
                    let protocols = [("REST", Protocol::Rest(&handler)), ("gRPC", Protocol::Grpc(&client))];
                    for (told, protocol) in &protocols {
                        for name in [name.clone(), format!("alias-of-{name}")] {
                            if let Err(problem) = disagreement(protocol, &name, &rows).await {
                                problems.push(format!("{name} over {told}: {problem}"));
                            }
                        }
                    }
                }
            }
        });
    }
    assert!(problems.is_empty(), "{} problems\n{}", problems.len(), problems.join("\n"));
}

#[test]
fn a_graph_keeps_the_names_of_its_inputs_and_outputs() {
    let loaded = LoadedModel::load(&project().join("fixtures/onnx/logistic-of-two/model.onnx")).unwrap();
    let state = ModelState::Ready(Box::new(loaded));
    let model = ServedModel { name: "graph".to_owned(), state, ..served("iris") };
    let handler = server(vec![model], Settings { compute_threads: 1, ..Settings::default() }).handler();
    let metadata = get(&handler, "/v2/models/graph");
    let metadata: Value = serde_json::from_slice(&metadata.body).unwrap();
    let names = |key: &str| -> Vec<String> {
        let tensors = metadata[key].as_array().unwrap().iter();
        tensors.map(|tensor| tensor["name"].as_str().unwrap().to_owned()).collect()
    };
    let inputs = names("inputs");
    assert!(inputs.len() == 1 && inputs[0] != "input-0", "{metadata}");
    assert_eq!(names("outputs"), ["label", "probabilities"], "{metadata}");
}

#[test]
fn a_graph_with_two_inputs_takes_and_gives_tensors_by_their_names() {
    let folder = project().join("fixtures/onnx/towers");
    let expected: Value =
        serde_json::from_slice(&std::fs::read(folder.join("outputs.json")).unwrap()).unwrap();
    let rows: Value = serde_json::from_slice(&std::fs::read(folder.join("input.json")).unwrap()).unwrap();
    let state = ModelState::Ready(Box::new(LoadedModel::load(&folder).unwrap()));
    let model = ServedModel { name: "towers".to_owned(), state, ..served("iris") };
    let handler = server(vec![model], Settings { compute_threads: 1, ..Settings::default() }).handler();
    let values = |columns: std::ops::Range<usize>| -> Vec<&Value> {
        let rows = rows["data"].as_array().unwrap().iter();
        rows.flat_map(|row| &row.as_array().unwrap()[columns.clone()]).collect()
    };
    // The order of the inputs does not matter: they have names.
    let body = json!({ "inputs": [
        { "name": "item", "datatype": "FP32", "shape": [6, 3], "data": values(2..5) },
        { "name": "user", "datatype": "FP32", "shape": [6, 2], "data": values(0..2) },
    ] });
    let page = post(&handler, "/v2/models/towers/infer", &body.to_string());
    assert_eq!(page.status, 200, "{}", page.text());
    let answer: Value = serde_json::from_slice(&page.body).unwrap();
    for (output, (name, shape)) in [("score", [6, 1]), ("embedding", [6, 4])].into_iter().enumerate() {
        let output = &answer["outputs"][output];
        assert_eq!((&output["name"], &output["shape"]), (&json!(name), &json!(shape)));
        let expected = expected[name].as_array().unwrap().iter().flat_map(|row| row.as_array().unwrap());
        for (got, expected) in output["data"].as_array().unwrap().iter().zip(expected) {
            assert!((got.as_f64().unwrap() - expected.as_f64().unwrap()).abs() < 1e-6, "{output}");
        }
    }
    let wrong = body.to_string().replace("[6,3]", "[9,2]");
    let page = post(&handler, "/v2/models/towers/infer", &wrong);
    assert!(page.text().contains("expected the rows of 3 columns, as [2, 3], got [9, 2]"), "{}", page.text());
    let half = json!({ "inputs": [body["inputs"][1]] });
    let page = post(&handler, "/v2/models/towers/infer", &half.to_string());
    assert!(page.text().contains("missing columns: `item_0`, `item_1`, `item_2`"), "{}", page.text());
}

/// `Div` of two whole numbers by themselves, which has no answer to the row of zeros that a graph is tried with.
#[test]
fn a_graph_that_does_not_take_zeros_announces_the_outputs_that_it_declares() {
    let file = project().join("crates/models/tests/it/division.onnx");
    let state = ModelState::Ready(Box::new(LoadedModel::load(&file).unwrap()));
    let model = ServedModel { state, ..served("wine") };
    let handler = server(vec![model], Settings::default()).handler();
    let page: Value = serde_json::from_slice(&get(&handler, "/v2/models/wine").body).unwrap();
    let output = &page["outputs"][0];
    assert_eq!((&output["name"], &output["datatype"]), (&json!("y"), &json!("INT64")), "{page}");
    assert_eq!(output["shape"], json!([-1, 2]));
    let body = json!({ "inputs": [{ "name": "x", "shape": [1, 2], "datatype": "INT64", "data": [3, 4] }] });
    let answer: Value =
        serde_json::from_slice(&post(&handler, "/v2/models/wine/infer", &body.to_string()).body).unwrap();
    assert_eq!(answer["outputs"][0]["data"], json!([1, 1]), "{answer}");
}
