//! gRPC over a real socket, with a client that is not ours.

use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_core::Stream;
use models::Batching;
use net::{Bytes, Drain, Limits, bind};
use prost::Message;
use serving::grpc::messages::triton::{ConfigInput, ConfigResponse, StatisticsResponse};
use serving::grpc::messages::{
    Contents, Empty, Health, HealthRequest, Index, IndexRequest, InferRequest, InferResponse, InputTensor,
    ModelMetadata, ModelName, Parameter, RepositoryModel, RequestedOutput, ServerMetadata, Truth, Value,
};
use serving::{ModelState, ServedModel, Server, ServerHandler, Settings};
use tokio::sync::mpsc;
use tokio::task::LocalSet;
use tonic::client::Grpc;
use tonic::codec::CompressionEncoding;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status, Streaming};
use tonic_prost::ProstCodec;

use crate::fixture::{get, post, served, server};

const SERVICE: &str = "inference.GRPCInferenceService";

/// A client of one server.
pub(crate) struct Client {
    channel: Channel,
}

impl Client {
    pub(crate) async fn call<Q, A>(&self, method: &str, question: Q) -> Result<A, Status>
    where
        Q: Message + Send + Sync + 'static,
        A: Message + Default + Send + Sync + 'static,
    {
        let mut client = Grpc::new(self.channel.clone());
        client.ready().await.unwrap();
        let codec: ProstCodec<Q, A> = ProstCodec::new();
        let answer =
            client.unary(tonic::Request::new(question), format!("/{method}").parse().unwrap(), codec);
        answer.await.map(tonic::Response::into_inner)
    }

    pub(crate) async fn infer(&self, question: InferRequest) -> Result<InferResponse, Status> {
        self.call(&format!("{SERVICE}/ModelInfer"), question).await
    }

    /// Asks, and tells whether the answer was kept, as the metadata say.
    async fn infer_and_kept(&self, question: InferRequest) -> (InferResponse, Option<String>) {
        let mut client = Grpc::new(self.channel.clone());
        client.ready().await.unwrap();
        let codec: ProstCodec<InferRequest, InferResponse> = ProstCodec::new();
        let path = format!("/{SERVICE}/ModelInfer").parse().unwrap();
        let answer = client.unary(tonic::Request::new(question), path, codec).await.unwrap();
        let kept = answer.metadata().get("x-forebay-cache").map(|kept| kept.to_str().unwrap().to_owned());
        (answer.into_inner(), kept)
    }

    /// Sends questions as they come from a channel, and gives the answers as they come.
    async fn stream(
        &self,
        questions: mpsc::UnboundedReceiver<InferRequest>,
    ) -> Result<Streaming<InferResponse>, Status> {
        let mut client = Grpc::new(self.channel.clone());
        client.ready().await.unwrap();
        let codec: ProstCodec<InferRequest, InferResponse> = ProstCodec::new();
        let path = format!("/{SERVICE}/ModelStreamInfer").parse().unwrap();
        let answers = client.streaming(tonic::Request::new(Questions(questions)), path, codec).await;
        answers.map(tonic::Response::into_inner)
    }
}

/// Questions as they come from a channel.
struct Questions(mpsc::UnboundedReceiver<InferRequest>);

impl Stream for Questions {
    type Item = InferRequest;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<InferRequest>> {
        self.0.poll_recv(context)
    }
}

/// Runs a test against a server of these models.
fn with_client<F: Future<Output = ()>>(
    models: Vec<ServedModel>,
    settings: Settings,
    test: impl FnOnce(Client) -> F,
) {
    with_client_of(&server(models, settings), test);
}

/// Runs a test against a server.
pub(crate) fn with_client_of<F: Future<Output = ()>>(server: &Server, test: impl FnOnce(Client) -> F) {
    with_limits(server, Limits::default(), test);
}

/// Runs a test against a server with these limits.
fn with_limits<F: Future<Output = ()>>(server: &Server, limits: Limits, test: impl FnOnce(Client) -> F) {
    with_handler(|| server.handler(), limits, test);
}

/// Runs a test against what a handler answers.
fn with_handler<F: Future<Output = ()>>(
    handler: impl FnOnce() -> ServerHandler,
    limits: Limits,
    test: impl FnOnce(Client) -> F,
) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    LocalSet::new().block_on(&runtime, async {
        let listener = bind("127.0.0.1:0".parse().unwrap(), 1).unwrap().remove(0);
        let address: SocketAddr = listener.local_addr().unwrap();
        let (drain, watch) = Drain::new();
        let serving = tokio::task::spawn_local(net::serve(listener, handler(), limits, watch));
        let endpoint = Endpoint::from_shared(format!("http://{address}")).unwrap();
        test(Client { channel: endpoint.connect().await.unwrap() }).await;
        drain.begin();
        serving.await.unwrap().unwrap();
    });
}

fn settings() -> Settings {
    Settings { compute_threads: 1, ..Settings::default() }
}

const ROWS: [f64; 8] = [6.8, 2.8, 4.8, 1.4, 6.0, 3.4, 4.5, 1.6];

fn input(datatype: &str, shape: &[i64], contents: Contents) -> InputTensor {
    InputTensor {
        name: "x".to_owned(),
        datatype: datatype.to_owned(),
        shape: shape.to_vec(),
        parameters: Default::default(),
        contents: Some(contents),
    }
}

fn doubles() -> InputTensor {
    input("FP64", &[2, 4], Contents { doubles: ROWS.to_vec(), ..Contents::default() })
}

fn question(model: &str, inputs: Vec<InputTensor>) -> InferRequest {
    InferRequest { model_name: model.to_owned(), id: "a".to_owned(), inputs, ..InferRequest::default() }
}

#[test]
fn what_is_sent_in_lists_is_answered_in_lists() {
    with_client(vec![served("iris")], settings(), |client| async move {
        let answer = client.infer(question("iris", vec![doubles()])).await.unwrap();
        let names = (answer.model_name.as_str(), answer.model_version.as_str(), answer.id.as_str());
        assert_eq!(names, ("iris", "v1", "a"));
        let output = &answer.outputs[0];
        assert_eq!((output.name.as_str(), output.datatype.as_str()), ("predict", "INT64"));
        assert_eq!(output.shape, [2, 1]);
        assert_eq!(output.contents.as_ref().unwrap().longs, [1, 1]);
        assert!(answer.raw_output_contents.is_empty());
    });
}

#[test]
fn what_is_sent_in_bytes_is_answered_in_bytes() {
    with_client(vec![served("labels")], settings(), |client| async move {
        let bytes: Vec<u8> = [5.2f32, 3.4, 1.4, 0.2].iter().flat_map(|value| value.to_le_bytes()).collect();
        let tensor = InputTensor { contents: None, ..input("FP32", &[1, 4], Contents::default()) };
        let output = |name: &str| RequestedOutput { name: name.to_owned() };
        let answer = client
            .infer(InferRequest {
                raw_input_contents: vec![bytes.into()],
                outputs: vec![output("predict"), output("predict_proba")],
                ..question("labels", vec![tensor])
            })
            .await
            .unwrap();
        assert!(answer.outputs.iter().all(|output| output.contents.is_none()));
        assert_eq!(answer.outputs[1].shape, [1, 3]);
        assert_eq!(answer.raw_output_contents[0], b"\x06\0\0\0setosa".as_slice());
        assert_eq!(answer.raw_output_contents[1].len(), 3 * 8);
    });
}

#[test]
fn columns_of_a_table_are_found_by_name() {
    with_client(vec![served("retail")], settings(), |client| async move {
        let column = |name: &str, datatype: &str, contents| InputTensor {
            name: name.to_owned(),
            ..input(datatype, &[1], contents)
        };
        let texts = Contents { texts: vec![Bytes::from("home")], ..Contents::default() };
        let long = |value| Contents { longs: vec![value], ..Contents::default() };
        let price = Contents { doubles: vec![58.2], ..Contents::default() };
        let pd = Parameter { value: Some(Value::Text("pd".to_owned())) };
        let answer = client
            .infer(InferRequest {
                parameters: [("content_type".to_owned(), pd)].into(),
                ..question(
                    "retail",
                    vec![
                        column("category", "BYTES", texts),
                        column("store_id", "INT64", long(3)),
                        column("price", "FP64", price),
                        column("promotion", "INT64", long(1)),
                    ],
                )
            })
            .await
            .unwrap();
        // The same row over REST: tests/cases/open_inference/acc_s0_11_columns.http.
        assert_eq!(answer.outputs[0].contents.as_ref().unwrap().doubles, [37.07018104518582]);
    });
}

#[test]
fn faults_are_told_as_over_rest() {
    with_client(vec![served("iris")], settings(), |client| async move {
        let check = async |question, code: Code, message: &str| {
            let status = client.infer(question).await.unwrap_err();
            assert_eq!((status.code(), status.message()), (code, message));
        };
        check(
            question("rose", vec![doubles()]),
            Code::NotFound,
            "no model is called `rose`; served here: `iris`",
        )
        .await;
        check(
            InferRequest { model_version: "v9".to_owned(), ..question("iris", vec![doubles()]) },
            Code::NotFound,
            "model `iris` has no version `v9`; served here: `v1`",
        )
        .await;
        check(
            question("iris", vec![InputTensor { shape: vec![3, 4], ..doubles() }]),
            Code::InvalidArgument,
            "$.inputs[0].data: expected the values of shape [3, 4], got fewer",
        )
        .await;
        check(
            question("iris", vec![InputTensor { datatype: "FP63".to_owned(), ..doubles() }]),
            Code::InvalidArgument,
            "$.inputs[0].datatype: expected one of `FP64`, `FP32`, `FP16`, `BF16`, `INT64`, `INT32`, `INT16`, \
             `INT8`, `UINT64`, `UINT32`, `UINT16`, `UINT8`, `BOOL`, `BYTES`, got `FP63`; did you mean FP64?",
        )
        .await;
        check(
            InferRequest {
                raw_input_contents: vec![Bytes::from_static(&[0; 60])],
                ..question("iris", vec![InputTensor { contents: None, ..doubles() }])
            },
            Code::InvalidArgument,
            "$.inputs[0]: tensor `x` of FP64 [2, 4]: expected 64 bytes, got 60",
        )
        .await;
        check(
            question("iris", vec![InputTensor { shape: vec![2, -4], ..doubles() }]),
            Code::InvalidArgument,
            "$.inputs[0].shape[1]: expected a whole number of elements, got the number -4",
        )
        .await;
        check(
            question("iris", vec![InputTensor { shape: vec![i64::MAX, 4], ..doubles() }]),
            Code::InvalidArgument,
            "$.inputs[0].data: expected the values of shape [9223372036854775807, 4], got fewer",
        )
        .await;
        for (method, code) in
            [("TraceSetting", Code::Unimplemented), ("RepositoryModelLoad", Code::PermissionDenied)]
        {
            let status = client.call::<_, Empty>(&format!("{SERVICE}/{method}"), Empty {}).await.unwrap_err();
            assert_eq!(status.code(), code);
        }
    });
}

#[test]
fn a_long_message_is_refused_and_the_connection_stays() {
    let settings = Settings { body_limit: 1000, ..settings() };
    with_client(vec![served("iris")], settings, |client| async move {
        let long = Contents { doubles: vec![0.5; 4000], ..Contents::default() };
        let status = client.infer(question("iris", vec![input("FP64", &[1000, 4], long)])).await.unwrap_err();
        let expected = "the message is longer than 1000 bytes; send fewer rows at a time";
        assert_eq!((status.code(), status.message()), (Code::ResourceExhausted, expected));
        assert!(client.infer(question("iris", vec![doubles()])).await.is_ok());
    });
}

/// Messages that never come.
struct Silence;

impl Stream for Silence {
    type Item = InferRequest;

    fn poll_next(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<InferRequest>> {
        Poll::Pending
    }
}

#[test]
fn a_message_that_does_not_come_is_not_waited_for() {
    let limits = Limits { idle_timeout: Duration::from_millis(20), ..Limits::default() };
    with_limits(&server(vec![served("iris")], settings()), limits, |client| async move {
        let mut grpc = Grpc::new(client.channel);
        grpc.ready().await.unwrap();
        let codec: ProstCodec<InferRequest, InferResponse> = ProstCodec::new();
        let path = format!("/{SERVICE}/ModelInfer").parse().unwrap();
        let status = grpc.client_streaming(tonic::Request::new(Silence), path, codec).await.unwrap_err();
        let expected = "the message did not come to its end: the body stalled";
        assert_eq!((status.code(), status.message()), (Code::InvalidArgument, expected));
    });
}

#[test]
fn a_compressed_message_is_read() {
    with_client(vec![served("iris")], settings(), |client| async move {
        let mut grpc = Grpc::new(client.channel).send_compressed(CompressionEncoding::Gzip);
        grpc.ready().await.unwrap();
        let codec: ProstCodec<InferRequest, InferResponse> = ProstCodec::new();
        let path = format!("/{SERVICE}/ModelInfer").parse().unwrap();
        let question = tonic::Request::new(question("iris", vec![doubles()]));
        let answer = grpc.unary(question, path, codec).await.unwrap().into_inner();
        assert_eq!(answer.outputs[0].contents.as_ref().unwrap().longs, [1, 1]);
    });
}

#[test]
fn answers_are_kept_for_grpc_and_rest_alike() {
    let settings = Settings { cache_bytes_per_core: 100_000, ..settings() };
    with_client(vec![served("iris")], settings, |client| async move {
        let ask = |id: &str| InferRequest { id: id.to_owned(), ..question("iris", vec![doubles()]) };
        let (first, miss) = client.infer_and_kept(ask("a")).await;
        let (second, hit) = client.infer_and_kept(ask("b")).await;
        assert_eq!((miss.as_deref(), hit.as_deref()), (Some("miss"), Some("hit")));
        assert_eq!((first.id.as_str(), second.id.as_str()), ("a", "b"));
        assert_eq!(first.outputs, second.outputs);
        let all: StatisticsResponse =
            client.call(&format!("{SERVICE}/ModelStatistics"), ModelName::default()).await.unwrap();
        let statistics = all.model_stats[0].inference_stats.unwrap();
        let counts = [statistics.cache_hit, statistics.cache_miss].map(|timed| timed.unwrap().count);
        assert_eq!(counts, [1, 1]);
    });
}

#[test]
fn calls_that_wait_at_the_same_time_are_joined() {
    let max_delay = Duration::from_millis(100);
    let settings = Settings { batching: Some(Batching { max_rows: 1000, max_delay }), ..settings() };
    let server = server(vec![served("iris")], settings);
    let handler = server.handler();
    with_client_of(&server, |client| async move {
        let client = std::rc::Rc::new(client);
        let ask = |_| {
            let client = std::rc::Rc::clone(&client);
            tokio::task::spawn_local(async move { client.infer(question("iris", vec![doubles()])).await })
        };
        let asked: Vec<_> = (0..6).map(ask).collect();
        for answer in asked {
            let answer = answer.await.unwrap().unwrap();
            assert_eq!(answer.outputs[0].contents.as_ref().unwrap().longs, [1, 1]);
        }
        let all: StatisticsResponse =
            client.call(&format!("{SERVICE}/ModelStatistics"), ModelName::default()).await.unwrap();
        let model = &all.model_stats[0];
        assert_eq!(model.inference_count, 12);
        assert!(model.execution_count < 6, "{model:?}");
    });
    let metrics = get(&handler, "/metrics");
    let line = "forebay_model_batch_rows_sum{model=\"iris\",version=\"v1\"} 12.0";
    assert!(metrics.text().lines().any(|known| known == line), "{}", metrics.text());
}

#[test]
fn a_stream_of_questions_is_answered_one_by_one() {
    with_client(vec![served("iris"), served("labels")], settings(), |client| async move {
        let (questions, asked) = mpsc::unbounded_channel();
        let mut answers = client.stream(asked).await.unwrap();
        // Each is answered before the next one is sent.
        for (id, model) in [("a", "iris"), ("b", "labels"), ("c", "iris")] {
            questions.send(InferRequest { id: id.to_owned(), ..question(model, vec![doubles()]) }).unwrap();
            let answer = answers.message().await.unwrap().unwrap();
            assert_eq!((answer.id.as_str(), answer.model_name.as_str()), (id, model));
        }
        // And several may be sent at once.
        for id in 0..20 {
            questions.send(InferRequest { id: id.to_string(), ..question("iris", vec![doubles()]) }).unwrap();
        }
        for id in 0..20 {
            assert_eq!(answers.message().await.unwrap().unwrap().id, id.to_string());
        }
        drop(questions);
        assert!(answers.message().await.unwrap().is_none());
    });
}

#[test]
fn a_stream_ends_with_the_first_question_that_has_no_answer() {
    with_client(vec![served("iris")], settings(), |client| async move {
        let (questions, asked) = mpsc::unbounded_channel();
        let mut answers = client.stream(asked).await.unwrap();
        questions.send(question("iris", vec![doubles()])).unwrap();
        questions.send(question("rose", vec![doubles()])).unwrap();
        questions.send(question("iris", vec![doubles()])).unwrap();
        assert_eq!(answers.message().await.unwrap().unwrap().model_name, "iris");
        let status = answers.message().await.unwrap_err();
        let expected = (Code::NotFound, "no model is called `rose`; served here: `iris`");
        assert_eq!((status.code(), status.message()), expected);
    });
}

#[test]
fn a_stream_that_is_silent_ends() {
    let limits = Limits { idle_timeout: Duration::from_millis(20), ..Limits::default() };
    with_limits(&server(vec![served("iris")], settings()), limits, |client| async move {
        let (_questions, asked) = mpsc::unbounded_channel();
        let mut answers = client.stream(asked).await.unwrap();
        let status = answers.message().await.unwrap_err();
        let expected = (Code::Unavailable, "the stream ends, for nothing came for too long");
        assert_eq!((status.code(), status.message()), expected);
    });
}

#[test]
fn models_are_described_and_counted_as_triton_does() {
    with_client(vec![served("labels"), served("retail")], settings(), |client| async move {
        let name = |name: &str| ModelName { name: name.to_owned(), version: String::new() };
        let answer: ConfigResponse =
            client.call(&format!("{SERVICE}/ModelConfig"), name("labels")).await.unwrap();
        let config = answer.config.unwrap();
        assert_eq!((config.name.as_str(), config.backend.as_str()), ("labels", "forebay"));
        assert_eq!((config.max_batch_size, &config.dynamic_batching), (0, &None));
        let input = ConfigInput { name: "input-0".to_owned(), data_type: 12, dims: vec![-1, 4] };
        assert_eq!(config.input, [input]);
        let outputs: Vec<_> = config
            .output
            .iter()
            .map(|output| (output.name.as_str(), output.data_type, output.dims.as_slice()))
            .collect();
        assert_eq!(outputs[..2], [("predict", 13, &[-1, 1][..]), ("predict_proba", 12, &[-1, 3][..])]);
        let method = format!("{SERVICE}/ModelStatistics");
        client.infer(question("labels", vec![doubles()])).await.unwrap();
        client
            .infer(question("labels", vec![InputTensor { shape: vec![3, 4], ..doubles() }]))
            .await
            .unwrap_err();
        let all: StatisticsResponse = client.call(&method, ModelName::default()).await.unwrap();
        let names: Vec<&str> = all.model_stats.iter().map(|model| model.name.as_str()).collect();
        assert_eq!(names, ["labels", "retail"]);
        assert_eq!((all.model_stats[1].last_inference, all.model_stats[1].execution_count), (0, 0));
        let one: StatisticsResponse = client.call(&method, name("labels")).await.unwrap();
        let [labels] = one.model_stats.as_slice() else { panic!("{one:?}") };
        assert_eq!((labels.version.as_str(), labels.inference_count, labels.execution_count), ("v1", 2, 1));
        let statistics = labels.inference_stats.unwrap();
        let counts = [statistics.success, statistics.fail, statistics.compute_infer];
        assert_eq!(counts.map(|timed| timed.unwrap().count), [1, 1, 1]);
        assert!(statistics.success.unwrap().ns >= statistics.compute_infer.unwrap().ns);
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        assert!(now.as_millis() - u128::from(labels.last_inference) < 60_000, "{labels:?}");
        let unknown = client.call::<_, StatisticsResponse>(&method, name("rose")).await.unwrap_err();
        assert_eq!(unknown.code(), Code::NotFound);
    });
}

#[test]
fn the_server_and_its_models_say_what_they_are() {
    let models = vec![served("iris"), ServedModel { state: ModelState::Loading, ..served("wine") }];
    with_client(models, settings(), |client| async move {
        let method = |name: &str| format!("{SERVICE}/{name}");
        let name = |name: &str| ModelName { name: name.to_owned(), version: String::new() };
        let live: Truth = client.call(&method("ServerLive"), Empty {}).await.unwrap();
        let ready: Truth = client.call(&method("ServerReady"), Empty {}).await.unwrap();
        let iris: Truth = client.call(&method("ModelReady"), name("iris")).await.unwrap();
        let wine: Truth = client.call(&method("ModelReady"), name("wine")).await.unwrap();
        assert_eq!([live.truth, ready.truth, iris.truth, wine.truth], [true, false, true, false]);
        let server: ServerMetadata = client.call(&method("ServerMetadata"), Empty {}).await.unwrap();
        assert_eq!((server.name.as_str(), server.extensions.len()), ("forebay", 4));
        let metadata: ModelMetadata = client.call(&method("ModelMetadata"), name("iris")).await.unwrap();
        assert_eq!((metadata.versions[0].as_str(), metadata.inputs[0].datatype.as_str()), ("v1", "FP64"));
        assert_eq!(metadata.inputs[0].shape, [-1, 4]);
        let index: Index =
            client.call(&method("RepositoryIndex"), IndexRequest { ready: false }).await.unwrap();
        let states: Vec<&str> = index.models.iter().map(|model| model.state.as_str()).collect();
        assert_eq!(states, ["READY", "UNAVAILABLE"]);
        let check = |service: &str| HealthRequest { service: service.to_owned() };
        let health: Health = client.call("grpc.health.v1.Health/Check", check("")).await.unwrap();
        assert_eq!(health.status, 2);
        let unknown = client.call::<_, Health>("grpc.health.v1.Health/Check", check("x")).await.unwrap_err();
        assert_eq!(unknown.code(), Code::NotFound);
    });
}

#[test]
fn models_are_loaded_and_unloaded() {
    let server = crate::repository::server();
    with_handler(
        || server.admin_handler(),
        Limits::default(),
        |client| async move {
            let model = |name: &str| RepositoryModel { name: name.to_owned(), ..RepositoryModel::default() };
            let version = |version: &str| InferRequest {
                model_version: version.to_owned(),
                ..question("iris", vec![doubles()])
            };
            assert_eq!(client.infer(version("2")).await.unwrap_err().code(), Code::NotFound);
            let load = format!("{SERVICE}/RepositoryModelLoad");
            client.call::<_, Empty>(&load, model("iris")).await.unwrap();
            assert_eq!(client.infer(version("")).await.unwrap().model_version, "2");
            assert_eq!(client.infer(version("1")).await.unwrap().model_version, "1");
            let unknown = client.call::<_, Empty>(&load, model("rose")).await.unwrap_err();
            let expected = (Code::NotFound, "the repository has no model `rose`");
            assert_eq!((unknown.code(), unknown.message()), expected);
            let config =
                RepositoryModel { parameters: [("config".to_owned(), Empty {})].into(), ..model("iris") };
            let refused = client.call::<_, Empty>(&load, config).await.unwrap_err();
            assert_eq!(refused.code(), Code::InvalidArgument);
            assert!(refused.message().contains("`config` is not taken"), "{}", refused.message());
            let unload = format!("{SERVICE}/RepositoryModelUnload");
            client.call::<_, Empty>(&unload, model("iris")).await.unwrap();
            assert_eq!(client.infer(version("")).await.unwrap_err().code(), Code::NotFound);
            let ready = |name: &str| ModelName { name: name.to_owned(), version: String::new() };
            let method = format!("{SERVICE}/ModelReady");
            let unloaded: Truth = client.call(&method, ready("iris")).await.unwrap();
            let never_here = client.call::<_, Truth>(&method, ready("rose")).await.unwrap_err();
            assert_eq!((unloaded.truth, never_here.code()), (false, Code::NotFound));
            let index: Index = client
                .call(&format!("{SERVICE}/RepositoryIndex"), IndexRequest { ready: false })
                .await
                .unwrap();
            let states: Vec<_> =
                index.models.iter().map(|model| (model.state.as_str(), model.reason.as_str())).collect();
            assert_eq!(states, [("READY", ""), ("UNAVAILABLE", "unloaded")]);
        },
    );
}

#[test]
fn models_are_not_loaded_on_the_port_of_predictions() {
    with_client_of(&crate::repository::server(), |client| async move {
        let model = RepositoryModel { name: "iris".to_owned(), ..RepositoryModel::default() };
        for method in ["RepositoryModelLoad", "RepositoryModelUnload"] {
            let method = format!("{SERVICE}/{method}");
            let refused = client.call::<_, Empty>(&method, model.clone()).await.unwrap_err();
            let expected = "models are not loaded and unloaded on this port; ask the admin address over HTTP, http://127.0.0.1:8081";
            assert_eq!((refused.code(), refused.message()), (Code::PermissionDenied, expected));
        }
        client.infer(question("iris", vec![doubles()])).await.unwrap();
    });
}

/// A message as `tritonclient` 2.x wrote it: the numbers of the fields are those of everyone.
#[test]
fn a_recorded_message_reads_as_it_was_meant() {
    let recorded = include_bytes!("grpc/tritonclient_infer.bin");
    let message = InferRequest::decode(recorded.as_slice()).unwrap();
    assert_eq!(
        (message.model_name.as_str(), message.model_version.as_str(), message.id.as_str()),
        ("iris", "v1", "a")
    );
    assert_eq!(message.parameters["sequence_start"].value, Some(Value::Bool(false)));
    let input = &message.inputs[0];
    assert_eq!(
        (input.name.as_str(), input.datatype.as_str(), input.shape.as_slice()),
        ("x", "FP64", [2, 4].as_slice())
    );
    assert_eq!(message.outputs[0].name, "predict");
    assert_eq!(message.raw_input_contents[0].len(), 64);
    assert_eq!(InferRequest::decode(message.encode_to_vec().as_slice()).unwrap(), message);
    with_client(vec![served("iris")], settings(), |client| async move {
        let answer = client.infer(message).await.unwrap();
        assert_eq!(answer.raw_output_contents, [[1i64, 1].map(i64::to_le_bytes).concat()]);
    });
}

#[test]
fn calls_are_counted_with_all_requests() {
    let server = server(vec![served("iris")], settings());
    let handler = server.handler();
    assert_eq!(
        post(&handler, "/v1/models/iris:predict", r#"{"instances": [[6.8, 2.8, 4.8, 1.4]]}"#).status,
        200
    );
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let calls = server.handler();
    LocalSet::new().block_on(&runtime, async {
        let listener = bind("127.0.0.1:0".parse().unwrap(), 1).unwrap().remove(0);
        let address = listener.local_addr().unwrap();
        let (drain, watch) = Drain::new();
        let serving = tokio::task::spawn_local(net::serve(listener, calls, Limits::default(), watch));
        let channel = Endpoint::from_shared(format!("http://{address}")).unwrap().connect().await.unwrap();
        Client { channel }.infer(question("iris", vec![doubles()])).await.unwrap();
        drain.begin();
        serving.await.unwrap().unwrap();
    });
    let metrics = get(&handler, "/metrics");
    let line =
        "forebay_model_requests_total{model=\"iris\",version=\"v1\",protocol=\"grpc\",status=\"2xx\"} 1";
    assert!(metrics.text().lines().any(|known| known == line), "{}", metrics.text());
}
