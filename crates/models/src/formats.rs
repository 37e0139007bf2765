//! File formats, told by their first bytes and never by their names.

pub(crate) mod compression;
pub(crate) mod cursor;
pub(crate) mod document;
pub(crate) mod joblib;
pub(crate) mod mlflow;
pub(crate) mod numpy;
pub(crate) mod part;
pub(crate) mod pickle;
pub(crate) mod skops;

use crate::estimator::Step;
use crate::fault::Fault;
use crate::object::{Outline, Source};
use crate::record::{Id, Records};
use crate::{catboost, lightgbm, onnx, sklearn, xgboost};
use document::Document;

/// A format of model files.
struct Format {
    begins: fn(&[u8]) -> bool,
    /// Reads a file. The second argument is the class that the folder around it says it was saved from.
    read: fn(&[u8], Option<&str>) -> Result<Content, Fault>,
}

/// All formats. A further one is a file and a row.
const FORMATS: &[Format] = &[
    Format { begins: skops::is_likely, read: |data, _| skops::load(data) },
    Format { begins: catboost::is_likely, read: |data, _| catboost::load_cbm(data) },
    Format { begins: lightgbm::is_likely, read: lightgbm::load },
    Format { begins: onnx::is_likely, read: |data, _| onnx::load(data) },
    // Before pickles: without its magic such a file may begin with any byte.
    Format { begins: xgboost::is_binary, read: xgboost::load_binary },
    Format { begins: pickle::is_likely, read: |data, _| load_pickle(data, None) },
    Format {
        begins: document::json::is_likely,
        read: |data, class| load_document(&document::json::read(data)?, "JSON", class),
    },
    Format {
        begins: document::ubjson::is_likely,
        read: |data, class| load_document(&document::ubjson::read(data)?, "UBJSON", class),
    },
];

/// What was in a model file.
#[derive(Debug)]
pub(crate) struct Content {
    /// The format, as people call it.
    pub(crate) format: String,
    pub(crate) step: Step,
    /// The names of the columns, if the file has them.
    pub(crate) names: Option<Vec<String>>,
    /// The estimators, the outermost first.
    pub(crate) outline: Vec<Outline>,
}

/// Reads a model file, compressed or not, or a part of one.
pub(crate) fn read(file: &[u8], class: Option<&str>, part: Option<&str>) -> Result<Content, Fault> {
    let (data, compression) = compression::unpack(file)?;
    let format = FORMATS.iter().find(|format| (format.begins)(&data)).ok_or_else(|| unknown(&data))?;
    let mut content = match part {
        None => (format.read)(&data, class)?,
        Some(_) if pickle::is_likely(&data) => load_pickle(&data, part)?,
        Some(part) => {
            let help = Some("only pickles have parts".to_owned());
            return Err(Fault::Unsupported { what: format!("the part `#{part}` of this file"), help });
        }
    };
    if let Some(compression) = compression {
        content.format = format!("{}, {compression}", content.format);
    }
    Ok(content)
}

/// Formats that are known by their first bytes, but not read.
const KNOWN_BY_NAME: &[(&str, &[u8])] = &[
    ("an HDF5 file (Keras?)", b"\x89HDF\r\n\x1a\n"),
    (
        "an XGBoost file in Base64; load it in Python with XGBoost before 0.80 and save it in its binary format",
        b"bs64",
    ),
    ("an HTML page; is that the URL of the file itself?", b"<!DOCTYPE html"),
    ("an HTML page; is that the URL of the file itself?", b"<!doctype html"),
    ("a zip archive that is not skops (PyTorch?)", b"PK\x03\x04"),
];

/// What a file of no format is, in words that show nothing of it: it may be any file of this machine or of another.
fn unknown(data: &[u8]) -> Fault {
    let known = KNOWN_BY_NAME.iter().find(|(_, magic)| data.starts_with(magic));
    let found = match known {
        Some((name, _)) => name,
        None if data.is_empty() => "it is empty",
        None if is_text(data) => "it is a text",
        None => "it has the format of no library that is known",
    };
    Fault::UnknownFormat { found: found.to_owned() }
}

fn is_text(data: &[u8]) -> bool {
    let begin = &data[..data.len().min(512)];
    begin.iter().all(|byte| matches!(byte, b' '..=b'~' | b'\r' | b'\n' | b'\t' | 0x80..))
}

pub(crate) fn load_pickle(data: &[u8], part: Option<&str>) -> Result<Content, Fault> {
    let mut records = Records::new();
    let pickle = pickle::read(&mut cursor::Cursor::new(data), &mut records)?;
    let format = match pickle.has_joblib_arrays {
        true => "joblib".to_owned(),
        false => format!("pickle, protocol {}", pickle.protocol),
    };
    compile(records, pickle.root, part, data.len(), format)
}

/// Makes a model of a JSON or UBJSON file.
pub(crate) fn load_document(
    document: &Document,
    format: &str,
    class: Option<&str>,
) -> Result<Content, Fault> {
    if xgboost::is_own(document) {
        return xgboost::load(document, format, class);
    }
    if catboost::is_own(document) {
        return catboost::load_json(document);
    }
    Err(Fault::UnknownFormat {
        found: format!("it is {format} that no library is known to write as a model"),
    })
}

/// Makes a model of the records of a file, or of a part of them.
fn compile(
    records: Records<'_>,
    root: Id,
    part: Option<&str>,
    n_bytes: usize,
    format: String,
) -> Result<Content, Fault> {
    let source = Source::new(records, n_bytes);
    let root = source.value(root);
    let value = part.map_or(Ok(root), |part| part::find(&root, part))?;
    if value.object().is_err()
        && let Some(fault) = part::hint(&value)
    {
        return Err(fault);
    }
    let compiled = sklearn::compile(&value, None)?;
    Ok(Content { format, step: compiled.step, names: compiled.names, outline: source.into_outline() })
}
