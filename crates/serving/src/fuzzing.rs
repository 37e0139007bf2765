//! Readers of what comes from outside, for any bytes at all.
//!
//! A function returns if its reader keeps its promise: it does not panic, and what it makes of the bytes is not larger than
//! a fixed multiple of them.

use models::{Columns, DataType, Field, Inputs, Method, NamedInput, Scalar, Signature};

use crate::call::{Predict, Question, percent_decoded};
use crate::content::Content;
use crate::content_encoding::Encoding;
use crate::decode::Schema;
use crate::grpc::INFER;
use crate::json::{BYTE_ORDER_MARK, Reader};
use crate::prediction_log::{Sink, one_line};
use crate::protocols::open_inference::read_index_request;
use crate::protocols::{PROTOCOLS, find};
use crate::repository::check_parameters;
use crate::route::{Answer, Verb};

/// How many values may come of a byte. One is read from it, and one may be filled in.
const VALUES_PER_BYTE: usize = 2;
/// How many values may come of nothing.
const VALUES_ANYWAY: usize = 1 << 17;

/// JSON, passed over value by value.
pub fn json(data: &[u8]) {
    let mut reader = Reader::new(data);
    let _ = reader.skip().and_then(|()| reader.end());
}

/// Bodies of `/invocations`.
pub fn mlflow(data: &[u8]) {
    bodies("mlflow", Content::Json, data);
}

/// Bodies of `/invocations` that are CSV.
pub fn csv(data: &[u8]) {
    bodies("mlflow", Content::Csv, data);
}

/// Bodies of `/invocations` that are Parquet: what is given stands in for a byte here and there of a whole file, and is a
/// file itself.
pub fn parquet(data: &[u8]) {
    bodies("mlflow", Content::Parquet, data);
    let mut file = include_bytes!("decode/parquet/cases/plain.parquet").to_vec();
    for change in data.chunks_exact(3).take(16) {
        let at = usize::from(u16::from_le_bytes([change[0], change[1]])) % file.len();
        file[at] = change[2];
    }
    bodies("mlflow", Content::Parquet, &file);
}

/// Bodies of `/v1/models/…:predict`.
pub fn kserve_v1(data: &[u8]) {
    bodies("kserve_v1", Content::Json, data);
}

/// Bodies of `/v2/models/…/infer`.
pub fn open_inference(data: &[u8]) {
    bodies("open_inference", Content::Json, data);
}

/// Bodies of `/v2/models/…/infer` with bytes after their JSON. The first two bytes say where it ends.
pub fn binary_tensors(data: &[u8]) {
    let Some((length, body)) = data.split_first_chunk::<2>() else { return };
    let json_length = u16::from_le_bytes(*length).into();
    bodies("open_inference", Content::JsonThenBytes { json_length }, body);
}

/// Bodies of `/predict` and `/batch-predict`.
pub fn retail(data: &[u8]) {
    bodies("retail", Content::Json, data);
}

/// Bodies that are compressed, in the way that the first byte says.
pub fn compressed(data: &[u8]) {
    const LIMIT: usize = 100_000;
    let Some((first, bytes)) = data.split_first() else { return };
    let name = ["gzip", "zstd", "deflate"][usize::from(first % 3)];
    let encoding = Encoding::named(name).ok().flatten().expect("the name is known");
    if let Ok(plain) = encoding.decode(bytes, LIMIT) {
        assert!(plain.len() <= LIMIT);
    }
}

/// Bodies on their way into the log: what is taken for JSON is one line, and the same to whoever else reads it.
pub fn logged_json(data: &[u8]) {
    let Some(line) = one_line(data) else { return };
    assert!(line.len() <= data.len() && !line.contains('\n'));
    let parse = |json: &[u8]| serde_json::from_slice::<serde_json::Value>(json).ok();
    let data = data.strip_prefix(BYTE_ORDER_MARK).unwrap_or(data);
    assert_eq!(parse(data), parse(line.as_bytes()));
}

/// Bodies of `/v2/repository/index`, and of requests to load and unload models.
pub fn repository_index(data: &[u8]) {
    let _ = read_index_request(data);
    let _ = check_parameters(data);
}

/// URLs that events are sent to.
pub fn sink(data: &[u8]) {
    let Some(sink) = std::str::from_utf8(data).ok().and_then(|text| text.parse::<Sink>().ok()) else {
        return;
    };
    assert_eq!(sink.to_string().parse(), Ok(sink));
}

/// Paths.
pub fn path(data: &[u8]) {
    if let Ok(path) = std::str::from_utf8(data) {
        let _ = find(Some(Verb::Get), path);
        let _ = percent_decoded(path);
    }
}

/// Messages of `ModelInfer`.
pub fn grpc_message(data: &[u8]) {
    schemas().iter().for_each(|schema| body(&INFER, Content::Message, data, schema));
}

/// Reads a body with every route of a protocol, for models of every kind.
fn bodies(protocol: &str, content: Content, body: &[u8]) {
    let routes = PROTOCOLS.iter().filter(|known| known.name == protocol).flat_map(|protocol| protocol.routes);
    for route in routes {
        let Answer::Predict(predict) = &route.answer else { continue };
        schemas().iter().for_each(|schema| self::body(predict, content, body, schema));
    }
}

/// Reads a body for a model.
fn body(predict: &Predict, content: Content, body: &[u8], schema: &Schema) {
    let question = Question {
        not_served: &[],
        content,
        body,
        schema,
        methods: &[Method::Predict, Method::PredictProba],
        default_method: Method::Predict,
        method: None,
        default_output: "predict",
        named_outputs: &[],
        alias: None,
    };
    if let Ok(asked) = (predict.ask)(&question) {
        check_size(&asked.decoded.batch, body.len());
    }
}

fn check_size(batch: &models::Batch, body_length: usize) {
    let n_values = batch.n_rows * batch.n_columns();
    assert!(
        n_values <= VALUES_PER_BYTE * body_length + VALUES_ANYWAY,
        "{n_values} values of {body_length} bytes"
    );
    if let Columns::Table(columns) = &batch.columns {
        assert!(columns.iter().all(|column| column.values.len() == batch.n_rows), "{batch:?}");
    }
}

/// What models take: numbers without names, columns with types, columns without, columns of numbers in order, one column of
/// texts without a name, and two inputs of several columns.
fn schemas() -> [Schema; 6] {
    let field = |name: &str, datatype| Field {
        name: name.to_owned(),
        datatype,
        required: true,
        default: None,
        takes_missing: false,
    };
    let optional = Field { required: false, ..field("b", DataType::Long) };
    let with_default = Field { default: Some(Scalar::Boolean(true)), ..field("c", DataType::Boolean) };
    let declared = vec![field("a", DataType::Double), optional, with_default, field("d d", DataType::String)];
    let undeclared = vec![field("a", DataType::Any), field("b", DataType::Any)];
    let numbers = vec![field("b", DataType::Double), field("a", DataType::Double)];
    let wide = ["a_0", "a_1", "b"].map(|name| field(name, DataType::Float)).to_vec();
    let inputs = [("a", 2), ("b", 1)].map(|(name, n_columns)| NamedInput {
        name: name.to_owned(),
        datatype: DataType::Float,
        n_columns: Some(n_columns),
        is_list: false,
    });
    let schema = |inputs, is_declared| {
        Schema::new(&Signature { inputs, outputs: Vec::new(), params: Vec::new(), is_declared }, true)
    };
    [
        schema(Inputs::Matrix { datatype: DataType::Double, n_columns: None }, false),
        schema(Inputs::Columns(declared), true),
        schema(Inputs::Columns(undeclared), false),
        schema(Inputs::Columns(numbers), true).in_order(),
        schema(Inputs::Columns(vec![field("text", DataType::String)]), false).without_names(),
        schema(Inputs::Columns(wide), false).with_inputs(&inputs),
    ]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use prost::Message as _;

    use crate::grpc::messages::{Contents, InferRequest, InputTensor};

    use super::*;

    /// Texts of which a body may be made, most of them broken somewhere.
    const PIECES: [&str; 44] = [
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        "\"",
        "1",
        "2.5",
        "-",
        "e",
        "null",
        "true",
        "NaN",
        "\"x\"",
        "\n",
        "[[1,2]]",
        "{\"a\":1}",
        "\"a\":",
        "\"b\":",
        "\"c\":",
        "\"d_d\":\"x\",",
        "\"dataframe_split\":",
        "\"columns\":[\"a\",\"b\"],",
        "\"columns\":[\"a\",\"c\",\"d d\"],",
        "\"data\":[[1,2],[3,4]]",
        "\"data\":[[1,true,\"x\"]]",
        "\"data\":",
        "\"dataframe_records\":",
        "\"instances\":",
        "\"inputs\":",
        "\"features\":",
        "\"outputs\":[{\"name\":\"predict\"}],",
        "\"name\":\"a\",",
        "\"shape\":[1,2],",
        "\"shape\":[2,1],",
        "\"shape\":[1000000000,4],",
        "\"datatype\":\"FP64\",",
        "\"datatype\":\"BYTES\",",
        "\"parameters\":{\"content_type\":\"pd\"},",
        "a,b,d d\n",
        "1,2,x\n",
        "\\u00e9",
        "\u{e9}",
    ];

    fn nearly_a_body() -> impl Strategy<Value = Vec<u8>> {
        prop::collection::vec(prop::sample::select(PIECES.as_slice()), 0..24)
            .prop_map(|pieces| pieces.concat().into_bytes())
    }

    proptest! {
        #[test]
        fn no_bytes_do_harm(data in prop_oneof![nearly_a_body(), prop::collection::vec(any::<u8>(), 0..64)]) {
            for read in [json, mlflow, csv, parquet, kserve_v1, open_inference, binary_tensors, retail, path, logged_json, repository_index] {
                read(&data);
            }
        }
    }

    /// A head that says where its bytes begin, and bytes, of which it may say too much or too little.
    fn nearly_binary() -> impl Strategy<Value = Vec<u8>> {
        let datatype = prop::sample::select(vec!["FP64", "FP16", "BYTES", "BOOL", "UINT64"]);
        let shape = (0..4usize, prop::sample::select(vec![1usize, 2, 4, usize::MAX]));
        (datatype, shape, 0..40usize, prop::collection::vec(any::<u8>(), 0..40)).prop_map(
            |(datatype, (n_rows, n_columns), size, mut bytes)| {
                let json = format!(
                    "{{\"inputs\":[{{\"name\":\"a\",\"shape\":[{n_rows},{n_columns}],\"datatype\":\"{datatype}\",\
                     \"parameters\":{{\"binary_data_size\":{size}}}}}]}}"
                );
                let mut data = (json.len() as u16).to_le_bytes().to_vec();
                data.extend_from_slice(json.as_bytes());
                data.append(&mut bytes);
                data
            },
        )
    }

    proptest! {
        #[test]
        fn no_binary_tensors_do_harm(data in nearly_binary()) {
            binary_tensors(&data);
        }
    }

    proptest! {
        #[test]
        fn no_urls_do_harm(url in "(http://)?[a-c@:%/?# \\[\\].0-9]{0,12}") {
            sink(url.as_bytes());
        }

        #[test]
        fn no_messages_do_harm(data in prop::collection::vec(any::<u8>(), 0..64)) {
            grpc_message(&data);
        }

        #[test]
        fn no_tensors_in_messages_do_harm(
            datatype in prop::sample::select(vec!["FP64", "BYTES", "BOOL", "UINT64", "X"]),
            shape in prop::collection::vec(prop::sample::select(vec![-1, 0, 1, 2, i64::MAX]), 0..10),
            raw in prop::collection::vec(any::<u8>(), 0..40),
            doubles in prop::collection::vec(any::<f64>(), 0..4),
        ) {
            let contents = (!doubles.is_empty()).then(|| Contents { doubles, ..Contents::default() });
            let raw_input_contents = if raw.is_empty() { Vec::new() } else { vec![raw.into()] };
            let input =
                InputTensor { name: "a".into(), datatype: datatype.into(), shape, contents, ..InputTensor::default() };
            let message = InferRequest { inputs: vec![input], raw_input_contents, ..InferRequest::default() };
            grpc_message(&message.encode_to_vec());
        }
    }

    #[test]
    fn messages_that_end_too_early_do_no_harm() {
        let recorded = include_bytes!("../tests/it/grpc/tritonclient_infer.bin");
        (0..=recorded.len()).for_each(|length| grpc_message(&recorded[..length]));
    }

    #[test]
    fn empty_tensors_take_no_memory_without_end() {
        grpc_message(&[0x2a, 0x00].repeat(5_000_000));
    }

    #[test]
    fn empty_rows_make_no_values_without_end() {
        let rows = "{},".repeat(100_000);
        for key in ["instances", "dataframe_records", "inputs"] {
            let body = format!("{{\"{key}\": [{{\"a\":1}},{rows}{{}}]}}");
            for read in [mlflow, kserve_v1, retail] {
                read(body.as_bytes());
            }
        }
    }
}
