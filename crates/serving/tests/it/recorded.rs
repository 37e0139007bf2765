//! Exchanges that were recorded of MLflow's, MLServer's and KServe's own servers, asked of ours.
//!
//! The same status and, where theirs is 200, the same body, byte by byte. What we do differently, and why, stands in
//! [`DIFFERENCES`], and nothing else differs.

use regex::Regex;
use serde_json::Value;
use serving::{ServedModel, Settings, Style};

use crate::cases::masked;
use crate::fixture::{ask, project, served, server};

/// Exchanges that we answer in our own way.
struct Difference {
    server: &'static str,
    exchanges: &'static [&'static str],
    /// The status of our answers.
    status: u16,
    why: &'static str,
}

const fn differs(
    server: &'static str,
    exchanges: &'static [&'static str],
    status: u16,
    why: &'static str,
) -> Difference {
    Difference { server, exchanges, status, why }
}

const AT_FAULT: &str =
    "the request is at fault and not the server, so that it is 400 and the text says where";
const OURS: &str = "name and version are ours";
const HEALTH: &str = "probes want a body that says more, and MLflow's clients read the status alone";
const ONE_PORT: &str = "another protocol on the same port answers here";
const LENIENT: &str =
    "people forget the content type, and curl sends a wrong one; `strict_content_type` forbids it";
const CONTENT_TYPE: &str = "415 is the status for a content type that is not read";
const SAYS_STATE: &str =
    "KServe's clients read the state from the body, MLServer's from the status; this serves both";
const SAYS_MORE: &str = "what the model takes, and its version, are known and so are said";
const REFERENCE: &str = "the reference is at /docs";
const METHOD: &str = "405 with `Allow` and a line that works helps more than 404";
const VERSIONS: &str = "a model without versions has none of this name: 404, as MLServer has it";
const NO_NAMES: &str = "the model has no names for its columns, and an order that nobody checks is a mistake that nobody sees \
                        (decision 13)";
const METHOD_NAMES: &str = "outputs may be asked for by the names of the methods in every style";

const DIFFERENCES: &[Difference] = &[
    differs("mlflow", &["health"], 200, HEALTH),
    differs("mlflow", &["version"], 200, OURS),
    differs("mlflow", &["root"], 200, ONE_PORT),
    differs(
        "mlflow",
        &["ct_param_old"],
        400,
        "a parameter that changes nothing is passed over; the body is of the old protocol",
    ),
    differs("mlflow", &["no_content_type"], 200, LENIENT),
    differs("mlserver-mlflow", &["ping", "health"], 200, HEALTH),
    differs("mlserver-mlflow", &["version"], 200, OURS),
    differs("mlserver-mlflow", &["root"], 200, ONE_PORT),
    differs(
        "mlserver-mlflow",
        &[
            "records_no_wrapper_list",
            "two_formats",
            "unknown_key",
            "empty_object",
            "ragged_row",
            "bad_json",
            "json_list",
            "json_scalar",
            "empty_body",
            "csv_bad",
        ],
        400,
        AT_FAULT,
    ),
    differs("mlserver-mlflow", &["charset_latin1", "text_plain", "octet"], 415, CONTENT_TYPE),
    differs("mlserver-mlflow", &["no_content_type"], 200, LENIENT),
    differs("mlserver-mlflow", &["v2meta"], 200, SAYS_MORE),
    differs("mlserver-sklearn", &["v2"], 200, OURS),
    differs("mlserver-sklearn", &["live", "ready", "model_ready"], 200, SAYS_STATE),
    differs("mlserver-sklearn", &["models"], 200, ONE_PORT),
    differs("mlserver-sklearn", &["meta", "meta_v"], 200, SAYS_MORE),
    differs("mlserver-sklearn", &["docs"], 404, REFERENCE),
    differs("mlserver-sklearn", &["infer_pd"], 400, NO_NAMES),
    differs(
        "mlserver-sklearn",
        &[
            "infer_bad_shape",
            "infer_bad_dtype",
            "infer_missing_inputs",
            "infer_missing_data",
            "infer_wrong_features",
            "infer_bad_json",
            "infer_empty",
        ],
        400,
        AT_FAULT,
    ),
    differs("kserve-v1", &["predict_form_ct", "predict_charset"], 200, LENIENT),
    differs(
        "kserve-v1",
        &[
            "predict_no_instances",
            "predict_empty_instances",
            "predict_wrong_features",
            "predict_list",
            "predict_strings",
        ],
        400,
        AT_FAULT,
    ),
    differs("kserve-v1", &["predict_get"], 405, METHOD),
    differs("kserve-v1", &["predict_dicts"], 400, NO_NAMES),
    differs("kserve-v1", &["metrics_path"], 200, ONE_PORT),
    differs("kserve-v2", &["v2"], 200, OURS),
    differs("kserve-v2", &["meta"], 200, SAYS_MORE),
    differs("kserve-v2", &["meta_v", "meta_badv", "infer_version"], 404, VERSIONS),
    differs("kserve-v2", &["infer_out_predict"], 200, METHOD_NAMES),
    differs("kserve-v2", &["infer_no_ct"], 200, LENIENT),
    differs("kserve-v2", &["infer_pd"], 400, NO_NAMES),
    differs(
        "kserve-v2",
        &[
            "infer_bad_shape",
            "infer_bad_dtype",
            "infer_missing_inputs",
            "infer_missing_data",
            "infer_wrong_features",
            "infer_bad_json",
            "infer_empty",
        ],
        400,
        AT_FAULT,
    ),
    differs("kserve-v2", &["repo_index", "repo_index_ready"], 200, ONE_PORT),
];

#[test]
fn acc_s0_09_mlflow_is_answered_as_mlflow_answers() {
    check("mlflow", vec![served("wine")]);
}

#[test]
fn acc_s0_11_mlserver_with_mlflow_is_answered_as_it_answers() {
    check("mlserver-mlflow", vec![served("wine")]);
}

#[test]
fn acc_s2_46_mlserver_is_answered_as_it_answers() {
    check("mlserver-sklearn", vec![served("iris")]);
}

#[test]
fn acc_s2_43_kserve_v1_is_answered_as_it_answers() {
    check("kserve-v1", vec![ServedModel { version: None, style: Style::KServe, ..served("iris") }]);
}

#[test]
fn kserve_v2_is_answered_as_it_answers() {
    check("kserve-v2", vec![ServedModel { version: None, style: Style::KServe, ..served("iris") }]);
}

fn check(recorded: &str, models: Vec<ServedModel>) {
    let handler = server(models, Settings { compute_threads: 1, ..Settings::default() }).handler();
    let file = project().join(format!("fixtures/http/{recorded}.json"));
    let exchanges: Vec<Value> = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    let differences: Vec<_> = DIFFERENCES.iter().filter(|difference| difference.server == recorded).collect();
    let mut problems = Vec::new();
    for exchange in &exchanges {
        let text = |key: &str| exchange[key].as_str().unwrap();
        let fields = exchange["fields"].as_object().unwrap().iter();
        let fields: Vec<_> =
            fields.map(|(name, value)| (name.clone(), value.as_str().unwrap().to_owned())).collect();
        let answer = ask(&handler, text("method"), text("path"), &fields, text("body").as_bytes());
        let theirs = exchange["status"].as_u64().unwrap();
        let is_same = u64::from(answer.status) == theirs
            && exchange["answer"]
                .as_str()
                .is_none_or(|body| without_numbers(body) == without_numbers(answer.text()));
        let meant = differences.iter().find(|difference| difference.exchanges.contains(&text("name")));
        let is_as_meant = meant.map_or(is_same, |meant| !is_same && answer.status == meant.status);
        if !is_as_meant {
            problems.push(format!(
                "{} ({}): theirs {theirs} {}\n  ours {} {}",
                text("name"),
                meant.map_or("no difference is meant", |meant| meant.why),
                exchange["answer"],
                answer.status,
                answer.text()
            ));
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
    let is_recorded = |name: &&str| exchanges.iter().any(|exchange| exchange["name"] == **name);
    assert!(differences.iter().flat_map(|difference| difference.exchanges).all(is_recorded));
}

/// A body without what is another from server to server: the ids, and the predictions of the wine model, for the one that
/// was recorded is another one than ours.
fn without_numbers(body: &str) -> String {
    let number = Regex::new(r"-?[0-9]+\.[0-9]{3,}(e[-+][0-9]+)?").unwrap();
    number.replace_all(&masked(body), "<number>").into_owned()
}
