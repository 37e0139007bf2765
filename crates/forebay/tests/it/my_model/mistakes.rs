//! What people send at first, and what they are told.

use serde_json::{Value, json};
use testkit::Request;

use super::Mine;

/// A wrong request.
pub(super) struct Mistake {
    what: &'static str,
    status: u16,
    /// What is sent, where the model is one to which this can happen.
    request: fn(&Mine) -> Option<Request>,
    /// What the answer has to name.
    words: fn(&Mine) -> Vec<String>,
}

const MEGABYTE: usize = 1_000_000;

pub(super) const MISTAKES: &[Mistake] = &[
    Mistake {
        what: "a row has a value too few",
        status: 400,
        request: |mine| {
            let rows = &mine.golden.rows;
            let (_, short) = rows[1].split_last()?;
            Some(mine.post(&mine.v1(), &json!({ "instances": [rows[0], short] })))
        },
        words: |mine| vec!["$.instances[1]".into(), format!("expected {} value", mine.golden.columns.len())],
    },
    Mistake {
        what: "a row has a value too many",
        status: 400,
        request: |mine| {
            let mut row = mine.golden.rows[0].clone();
            row.push(json!(1.5));
            Some(mine.post(&mine.v1(), &json!({ "instances": [row] })))
        },
        words: |mine| vec!["$.instances[0]".into(), format!("expected {} value", mine.golden.columns.len())],
    },
    Mistake {
        what: "a word stands where a number belongs",
        status: 400,
        request: |mine| {
            let mut rows = mine.golden.rows[..2].to_vec();
            rows[1][number_column(mine)?] = json!("a word");
            Some(mine.post(&mine.v1(), &json!({ "instances": rows })))
        },
        words: |mine| {
            let column = number_column(mine).unwrap();
            vec![format!("$.instances[1][{column}]"), "number".into(), "a word".into()]
        },
    },
    Mistake {
        what: "a column is left out",
        status: 400,
        request: |mine| {
            let mut record = mine.record(&mine.golden.rows[0]);
            record.remove(&named_columns(mine)?[0]).unwrap();
            // A record without any columns is another mistake.
            record.insert("unasked".into(), json!(1));
            Some(mine.post("/invocations", &json!({ "dataframe_records": [record] })))
        },
        words: |mine| vec!["$.dataframe_records".into(), named_columns(mine).unwrap()[0].clone()],
    },
    Mistake {
        what: "rows without names come to a model whose columns were declared",
        status: 400,
        request: |mine| {
            let body = json!({ "instances": mine.golden.rows });
            mine.is_declared.then(|| mine.post("/invocations", &body))
        },
        words: |mine| vec!["$.instances".into(), "dataframe_split".into(), mine.golden.columns[0].clone()],
    },
    Mistake {
        what: "a feature is misspelt",
        status: 422,
        request: |mine| {
            named_columns(mine)?;
            let mut record = mine.record(&mine.golden.rows[0]);
            record.insert("no_such_feature".into(), json!(1));
            Some(mine.post("/predict", &json!({ "features": record })))
        },
        words: |_| vec!["$.features".into(), "no_such_feature".into()],
    },
    Mistake {
        what: "there are no rows",
        status: 400,
        request: |mine| Some(mine.post(&mine.v1(), &json!({ "instances": [] }))),
        words: |_| vec!["$.instances".into(), "no rows".into()],
    },
    Mistake {
        what: "there are no rows of named features",
        status: 422,
        request: |mine| Some(mine.post("/batch-predict", &json!({ "instances": [] }))),
        words: |_| vec!["$.instances".into(), "no rows".into()],
    },
    Mistake {
        what: "there are no tensors",
        status: 400,
        request: |mine| Some(mine.post(&mine.v2(), &json!({ "inputs": [] }))),
        words: |_| vec!["$.inputs".into(), "no tensors".into()],
    },
    Mistake {
        what: "the rows have the key of another protocol",
        status: 400,
        request: |mine| Some(mine.post(&mine.v1(), &json!({ "data": mine.golden.rows }))),
        words: |_| vec!["`instances`".into(), "`inputs`".into()],
    },
    Mistake {
        what: "a tensor has fewer values than its shape says",
        status: 400,
        request: |mine| {
            let mut tensors = mine.tensors();
            tensors["inputs"][0]["data"].as_array_mut().unwrap().pop();
            Some(mine.post(&mine.v2(), &tensors))
        },
        words: |mine| {
            vec!["$.inputs[0].data".into(), format!("[{}", mine.golden.rows.len()), "got fewer".into()]
        },
    },
    Mistake {
        what: "a tensor has a type that is none",
        status: 400,
        request: |mine| {
            let mut tensors = mine.tensors();
            tensors["inputs"][0]["datatype"] = json!("float64");
            Some(mine.post(&mine.v2(), &tensors))
        },
        words: |_| vec!["$.inputs[0].datatype".into(), "`FP64`".into(), "`float64`".into()],
    },
    Mistake {
        what: "the JSON breaks off",
        status: 400,
        request: |mine| Some(text(mine, &mine.v1(), "{\"instances\": [[")),
        words: |_| vec!["JSON".into(), "at byte".into()],
    },
    Mistake {
        what: "nothing is sent",
        status: 400,
        request: |mine| Some(text(mine, "/invocations", "")),
        words: |_| vec!["JSON".into(), "at byte 0".into()],
    },
    Mistake {
        what: "it is Python, not JSON",
        status: 400,
        request: |mine| Some(text(mine, "/invocations", "{'instances': [[1.0]]}")),
        words: |_| vec!["JSON".into(), "`'`".into(), "at byte 1".into()],
    },
    Mistake {
        what: "a number is greater than any",
        status: 400,
        request: |mine| Some(text(mine, &mine.v1(), "{\"instances\": [[1e999]]}")),
        words: |_| vec!["number".into(), "at byte".into()],
    },
    Mistake {
        what: "lists lie in lists without end",
        status: 400,
        request: |mine| Some(text(mine, &mine.v1(), &format!("{{\"instances\": {}", "[".repeat(MEGABYTE)))),
        words: |_| vec!["$.instances".into(), "got a list".into()],
    },
    Mistake {
        what: "objects lie in objects that nobody asked for",
        status: 422,
        request: |mine| Some(text(mine, "/predict", &"{\"a\":".repeat(MEGABYTE / 5))),
        words: |_| vec!["at byte".into()],
    },
    Mistake {
        what: "a picture is sent for rows",
        status: 400,
        request: |mine| Some(mine.post("/invocations", &Value::Null).body(&noise())),
        words: |_| vec!["JSON".into(), "at byte 0".into()],
    },
    Mistake {
        what: "a picture is sent for tensors",
        status: 400,
        request: |mine| Some(mine.post(&mine.v2(), &Value::Null).body(&noise())),
        words: |_| vec!["JSON".into(), "at byte 0".into()],
    },
    Mistake {
        what: "a picture is sent for a table",
        status: 400,
        request: |mine| Some(csv(mine, &noise())),
        words: |_| vec!["UTF-8".into()],
    },
    Mistake {
        what: "a line of a table is short",
        status: 400,
        request: |mine| {
            (mine.golden.columns.len() > 1).then(|| {
                let header = mine.golden.columns.iter().enumerate().map(|(place, name)| match mine.columns {
                    Some(_) => format!("\"{name}\""),
                    // Of a model without names a header can only say places.
                    None => format!("x{place}"),
                });
                let header: Vec<String> = header.collect();
                csv(mine, format!("{}\n1\n", header.join(",")).as_bytes())
            })
        },
        words: |mine| {
            vec!["line 2".into(), format!("expected {} fields", mine.golden.columns.len()), "got 1".into()]
        },
    },
    Mistake {
        what: "the type of what is sent is another",
        status: 415,
        request: |mine| {
            let request = Request::new("POST", mine.serving.address, &mine.v1());
            Some(request.with("content-type", "application/xml").body(b"<rows/>"))
        },
        words: |_| vec!["application/xml".into(), "application/json".into()],
    },
    Mistake {
        what: "the path has a slash for a colon",
        status: 404,
        request: |mine| Some(mine.post(&mine.path("/v1/models/", "/predict"), &json!({}))),
        words: |mine| vec!["nothing is at".into(), mine.name.clone()],
    },
    Mistake {
        what: "the path is that of another server",
        status: 404,
        request: |mine| Some(mine.post("/predictions", &json!({}))),
        words: |mine| vec!["/predictions".into(), "/predict?".into(), mine.name.clone()],
    },
    Mistake {
        what: "the model has another name",
        status: 404,
        request: |mine| Some(mine.post("/v1/models/my-model:predict", &json!({}))),
        words: |mine| vec!["`my-model`".into(), format!("`{}`", mine.name)],
    },
    Mistake {
        what: "the model of tensors has another name",
        status: 404,
        request: |mine| Some(mine.post("/v2/models/my-model/infer", &json!({}))),
        words: |mine| vec!["`my-model`".into(), format!("`{}`", mine.name)],
    },
];

// === impl Mistake ===

impl Mistake {
    /// Sends it, if it can happen to this model, and reads what comes back.
    #[track_caller]
    pub(super) fn assert_told(&self, mine: &Mine) {
        let Some(request) = (self.request)(mine) else { return };
        let answer = request.send();
        let context = format!("{}: {}: {} {}", mine.name, self.what, answer.status, answer.text);
        assert_eq!(answer.status, self.status, "{context}");
        assert!(answer.text.len() < 2000, "{context}");
        let strings = strings(&answer.json());
        for word in (self.words)(mine) {
            assert!(strings.contains(&word), "{context}\n`{word}` is not named");
        }
    }
}

/// A gap where a number belongs: either the model takes it, as the library would, or it is told.
#[track_caller]
pub(super) fn assert_gap_is_told(mine: &Mine) {
    let Some(column) = number_column(mine) else { return };
    let mut row = mine.golden.rows[0].clone();
    row[column] = Value::Null;
    let body = json!({ "instances": [row] }).to_string();
    // Python writes a missing number as `NaN`, which is no JSON.
    for body in [body.replace("null", "NaN"), body] {
        let answer = text(mine, &mine.v1(), &body).send();
        let context = format!("{}: {} {}", mine.name, answer.status, answer.text);
        if answer.status == 200 {
            continue;
        }
        assert_eq!(answer.status, 400, "{context}");
        let told = strings(&answer.json());
        let is_named = ["missing value", "null", "NaN"].iter().any(|word| told.contains(word));
        assert!(told.contains("$.instances[0]") && is_named, "{context}");
    }
}

/// A path opened in a browser: the answer has a line to copy, and that line works.
#[track_caller]
pub(super) fn assert_browser_is_told(mine: &Mine) {
    for path in [mine.v1(), mine.v2(), "/invocations".into(), "/predict".into(), "/batch-predict".into()] {
        let answer = mine.get(&path).send();
        let context = format!("{}: {path}: {} {}", mine.name, answer.status, answer.text);
        assert_eq!((answer.status, answer.field("allow")), (405, Some("POST")), "{context}");
        let told = strings(&answer.json());
        let body =
            told.split_once("curl http://").and_then(|(_, line)| line.split_once(" -d '")).expect(&context);
        let body = body.1.rsplit_once('\'').expect(&context).0.replace(r"'\''", "'");
        let tried = text(mine, &path, &body).send();
        assert_eq!(tried.status, 200, "{context}\n{}", tried.text);
    }
}

/// More than a server reads, whoever sends it.
#[track_caller]
pub(super) fn assert_flood_is_told(mine: &Mine) {
    for path in [mine.v1(), mine.v2(), "/invocations".into(), "/predict".into()] {
        let answer = mine.post(&path, &Value::Null).body(&vec![b' '; 12 * MEGABYTE]).send();
        let context = format!("{}: {path}: {} {}", mine.name, answer.status, answer.text);
        assert_eq!(answer.status, 413, "{context}");
        assert!(strings(&answer.json()).contains("10000000"), "{context}");
    }
}

/// All texts of an answer, as people read them.
fn strings(value: &Value) -> String {
    match value {
        Value::String(text) => format!("{text}\n"),
        Value::Array(items) => items.iter().map(strings).collect(),
        Value::Object(members) => members.values().map(strings).collect(),
        _ => String::new(),
    }
}

fn text(mine: &Mine, path: &str, body: &str) -> Request {
    Request::post(mine.serving.address, path, body)
}

fn csv(mine: &Mine, body: &[u8]) -> Request {
    let request = Request::new("POST", mine.serving.address, "/invocations");
    request.with("content-type", "text/csv").body(body)
}

/// A megabyte of every byte there is.
fn noise() -> Vec<u8> {
    (0..=255).rev().cycle().take(MEGABYTE).collect()
}

/// The first column that takes numbers only.
fn number_column(mine: &Mine) -> Option<usize> {
    let Some(columns) = &mine.columns else { return Some(0) };
    columns
        .iter()
        .position(|(_, datatype)| matches!(datatype.as_str(), "double" | "float" | "long" | "integer"))
}

/// The names of the columns, where the model has names and more than one.
fn named_columns(mine: &Mine) -> Option<&Vec<String>> {
    mine.columns.as_ref().map(|_| &mine.golden.columns)
}
