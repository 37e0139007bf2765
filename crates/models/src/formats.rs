//! File formats, told by their first bytes and never by their names.

pub(crate) mod compression;
pub(crate) mod cursor;
pub(crate) mod joblib;
pub(crate) mod mlflow;
pub(crate) mod numpy;
pub(crate) mod pickle;
pub(crate) mod skops;

use crate::estimator::Step;
use crate::fault::Fault;
use crate::object::{Outline, Source};
use crate::record::{Id, Records};
use crate::sklearn;

/// A format of model files.
struct Format {
    begins: fn(&[u8]) -> bool,
    read: fn(&[u8]) -> Result<Content, Fault>,
}

/// All formats. A further one is a file and a row.
const FORMATS: &[Format] = &[
    Format { begins: skops::is_likely, read: skops::load },
    Format { begins: pickle::is_likely, read: load_pickle },
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

/// Reads a model file, compressed or not.
pub(crate) fn read(file: &[u8]) -> Result<Content, Fault> {
    let (data, compression) = compression::unpack(file)?;
    let format = FORMATS.iter().find(|format| (format.begins)(&data)).ok_or_else(|| unknown(&data))?;
    let mut content = (format.read)(&data)?;
    if let Some(compression) = compression {
        content.format = format!("{}, {compression}", content.format);
    }
    Ok(content)
}

/// Formats that are known by their first bytes, but not read.
const KNOWN_BY_NAME: &[(&str, &[u8])] = &[
    ("an HDF5 file (Keras?)", b"\x89HDF\r\n\x1a\n"),
    ("an XGBoost file of the old binary format", b"binf"),
    ("a LightGBM text file", b"tree\n"),
    ("a zip archive that is not skops (PyTorch?)", b"PK\x03\x04"),
    ("a JSON or UBJSON file", b"{"),
    ("a CatBoost file", b"CBM1"),
];

fn unknown(data: &[u8]) -> Fault {
    let known = KNOWN_BY_NAME.iter().find(|(_, magic)| data.starts_with(magic));
    let begin: String = data.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    let found =
        known.map_or_else(|| format!("it begins with the bytes {begin}"), |(name, _)| (*name).to_owned());
    Fault::UnknownFormat { found }
}

pub(crate) fn load_pickle(data: &[u8]) -> Result<Content, Fault> {
    let mut records = Records::new();
    let pickle = pickle::read(&mut cursor::Cursor::new(data), &mut records)?;
    let format = match pickle.has_joblib_arrays {
        true => "joblib".to_owned(),
        false => format!("pickle, protocol {}", pickle.protocol),
    };
    compile(records, pickle.root, data.len(), format)
}

/// Makes a model of the records of a file.
fn compile(records: Records<'_>, root: Id, n_bytes: usize, format: String) -> Result<Content, Fault> {
    let source = Source::new(records, n_bytes);
    let compiled = sklearn::compile(&source.value(root), None)?;
    Ok(Content { format, step: compiled.step, names: compiled.names, outline: source.into_outline() })
}
