//! skops files: a zip archive with a tree of nodes as JSON, and arrays as `.npy` files beside it.
//!
//! The nodes become the same records that a pickle becomes.

use std::borrow::Cow;
use std::collections::HashMap;
use std::io::Cursor;

use serde_json::Value as Json;
use zip::ZipArchive;

use super::{Content, compile, compression, pickle::allowed};
use crate::fault::Fault;
use crate::formats::numpy::{Array, npy};
use crate::record::{Id, Instance, Record, Records};

/// The file with the tree.
const SCHEMA: &str = "schema.json";

/// Files in one archive.
const MAX_FILES: usize = 1 << 20;

/// Whether bytes begin a zip archive that has a skops tree.
pub(crate) fn is_likely(data: &[u8]) -> bool {
    data.starts_with(b"PK\x03\x04")
        && ZipArchive::new(Cursor::new(data)).is_ok_and(|archive| archive.index_for_name(SCHEMA).is_some())
}

/// Reads a skops file.
pub(crate) fn load(data: &[u8]) -> Result<Content, Fault> {
    let mut left = compression::limit(data.len());
    let files = unpack(data, &mut left)?;
    let n_bytes = files.values().map(Vec::len).sum();
    let schema = files.get(SCHEMA).ok_or_else(|| Fault::damaged(0, "the archive has no `schema.json`"))?;
    let schema: Json = serde_json::from_slice(schema)
        .map_err(|error| Fault::damaged(0, format!("`{SCHEMA}` is not understood: {error}")))?;
    let mut tree = Tree {
        records: Records::new(),
        files: &files,
        left,
        known: HashMap::new(),
        matrices: HashMap::new(),
    };
    let root = tree.node(&schema)?;
    let version = schema.get("_skops_version").and_then(Json::as_str);
    let format = version.map_or_else(|| "skops".to_owned(), |version| format!("skops {version}"));
    compile(tree.records, root, None, n_bytes, format)
}

/// All files of an archive, by name. What they unpack to is taken off `left`.
pub(crate) fn unpack(data: &[u8], left: &mut u64) -> Result<HashMap<String, Vec<u8>>, Fault> {
    let damaged =
        |error: zip::result::ZipError| Fault::damaged(0, format!("the archive is not understood: {error}"));
    let mut archive = ZipArchive::new(Cursor::new(data)).map_err(damaged)?;
    if archive.len() > MAX_FILES {
        return Err(Fault::TooLarge { what: "files in the archive", limit: MAX_FILES as u64 });
    }
    let mut files = HashMap::new();
    for index in 0..archive.len() {
        let file = archive.by_index(index).map_err(damaged)?;
        let name = file.name().map_err(damaged)?.into_owned();
        let unpacked = compression::read_bounded(file, *left)?;
        *left -= unpacked.len() as u64;
        files.insert(name, unpacked);
    }
    Ok(files)
}

struct Tree<'f> {
    records: Records<'f>,
    files: &'f HashMap<String, Vec<u8>>,
    /// Bytes that archives inside of the archive may still unpack to.
    left: u64,
    /// Nodes by their number, so that what was shared stays shared.
    known: HashMap<u64, Id>,
    /// States of sparse matrices by their file: any number of nodes may name one.
    matrices: HashMap<String, Id>,
}

impl<'f> Tree<'f> {
    /// The record of a node. Nodes nest no deeper than JSON may.
    fn node(&mut self, node: &Json) -> Result<Id, Fault> {
        let number = node.get("__id__").and_then(Json::as_u64);
        if let Some(id) = number.and_then(|number| self.known.get(&number)) {
            return Ok(*id);
        }
        let id = self.new_node(node)?;
        if let Some(number) = number {
            self.known.insert(number, id);
        }
        Ok(id)
    }

    fn new_node(&mut self, node: &Json) -> Result<Id, Fault> {
        let content = || part(node, "content");
        let record = match text(node, "__loader__")? {
            "JsonNode" => return self.json(node),
            "ListNode" => Record::List(self.nodes(content()?)?),
            "TupleNode" => Record::Tuple(self.nodes(content()?)?),
            "SetNode" => Record::Set(self.nodes(content()?)?),
            "DictNode" => Record::Dict(self.pairs(content()?)?),
            "DefaultDictNode" | "_DictWithDeprecatedKeysNode" => return self.node(part(content()?, "main")?),
            "TypeNode" | "FunctionNode" => {
                let class = class(node)?;
                return self.records.class(&class);
            }
            "NdArrayNode" => Record::Array(Box::new(self.array(node)?)),
            "BytesNode" | "BytearrayNode" => Record::Bytes(Cow::Borrowed(self.file(node)?)),
            "ObjectNode" => {
                let state = node.get("content").map(|state| self.node(state)).transpose()?;
                return self.object(node, Vec::new(), state);
            }
            "TreeNode" | "LossNode" | "ReduceNode" => {
                let arguments = self.node(part(part(node, "__reduce__")?, "args")?)?;
                let arguments = self.records.sequence(arguments).map(<[Id]>::to_vec).unwrap_or_default();
                let state = self.node(content()?)?;
                return self.object(node, arguments, Some(state));
            }
            "SliceNode" => {
                let bounds = content()?;
                let bound = |key| bounds.get(key).unwrap_or(&Json::Null);
                let bounds = [bound("start"), bound("stop"), bound("step")];
                let bounds = bounds.map(|bound| self.plain(bound)).into_iter().collect::<Result<_, _>>()?;
                return self.object(node, bounds, None);
            }
            "PartialNode" => {
                let parts = content()?;
                let parts = ["func", "args", "kwds", "namespace"].map(|key| part(parts, key));
                let parts = parts.into_iter().map(|part| self.node(part?)).collect::<Result<Vec<_>, _>>()?;
                let state = self.records.add(Record::Tuple(parts))?;
                return self.object(node, Vec::new(), Some(state));
            }
            "SparseMatrixNode" => {
                let state = self.sparse(node)?;
                return self.object(node, Vec::new(), Some(state));
            }
            // What else there is has no part in answers; what it is remains known.
            _ => return self.object(node, Vec::new(), None),
        };
        self.records.add(record)
    }

    fn object(&mut self, node: &Json, arguments: Vec<Id>, state: Option<Id>) -> Result<Id, Fault> {
        let class = class(node)?;
        let arguments = self.records.add(Record::Tuple(arguments))?;
        self.records
            .add(Record::Instance(Box::new(Instance { state, ..Instance::new(class.into(), arguments) })))
    }

    fn nodes(&mut self, nodes: &Json) -> Result<Vec<Id>, Fault> {
        let nodes = nodes.as_array().ok_or_else(|| Fault::damaged(0, "a list of nodes is none"))?;
        nodes.iter().map(|node| self.node(node)).collect()
    }

    fn pairs(&mut self, nodes: &Json) -> Result<Vec<(Id, Id)>, Fault> {
        let nodes = nodes.as_object().ok_or_else(|| Fault::damaged(0, "a dict of nodes is none"))?;
        let pair = |(key, node): (&String, &Json)| {
            let key = self.records.add(Record::Text(Cow::Owned(key.clone())))?;
            Ok((key, self.node(node)?))
        };
        nodes.iter().map(pair).collect()
    }

    /// A value that is JSON inside the JSON, as Python writes it: with numbers that are none.
    fn json(&mut self, node: &Json) -> Result<Id, Fault> {
        let value = match text(node, "content")? {
            "NaN" => return self.records.add(Record::Float(f64::NAN)),
            "Infinity" => return self.records.add(Record::Float(f64::INFINITY)),
            "-Infinity" => return self.records.add(Record::Float(f64::NEG_INFINITY)),
            json => serde_json::from_str(json),
        };
        self.plain(&value.map_err(|error| Fault::damaged(0, format!("a value is not understood: {error}")))?)
    }

    fn plain(&mut self, value: &Json) -> Result<Id, Fault> {
        let record = match value {
            Json::Null => return Ok(Id::NONE),
            Json::Bool(true) => return Ok(Id::TRUE),
            Json::Bool(false) => return Ok(Id::FALSE),
            Json::Number(number) => match (number.as_i64(), number.as_f64()) {
                (Some(int), _) => Record::Int(int),
                (None, Some(float)) if number.is_f64() => Record::Float(float),
                _ => Record::HugeInt,
            },
            Json::String(text) => Record::Text(Cow::Owned(text.clone())),
            Json::Array(items) => {
                Record::List(items.iter().map(|item| self.plain(item)).collect::<Result<_, _>>()?)
            }
            Json::Object(_) => return Err(Fault::damaged(0, "a value is an object")),
        };
        self.records.add(record)
    }

    fn array(&mut self, node: &Json) -> Result<Array<'f>, Fault> {
        if text(node, "type")? == "numpy" {
            return npy::read(self.file(node)?);
        }
        let shape = self.node(part(node, "shape")?)?;
        let shape = super::numpy::shape_of(&self.records, shape)?;
        let mut objects = Vec::new();
        self.flatten(part(node, "content")?, shape.len(), &mut objects)?;
        Array::objects(shape, false, objects)
    }

    /// The elements of an array, which are nested lists of as many levels as there are dimensions.
    fn flatten(&mut self, nodes: &Json, n_levels: usize, objects: &mut Vec<Id>) -> Result<(), Fault> {
        let nodes = nodes.as_array().ok_or_else(|| Fault::damaged(0, "an array is no list"))?;
        for node in nodes {
            match n_levels {
                0 | 1 => objects.push(self.node(node)?),
                _ => self.flatten(part(node, "content")?, n_levels - 1, objects)?,
            }
        }
        Ok(())
    }

    /// The state of a sparse matrix: an archive of arrays, as scipy saves it.
    fn sparse(&mut self, node: &Json) -> Result<Id, Fault> {
        let name = text(node, "file")?;
        if let Some(state) = self.matrices.get(name) {
            return Ok(*state);
        }
        let files = unpack(self.file(node)?, &mut self.left)?;
        let mut state = Vec::new();
        for key in ["data", "indices", "indptr", "shape"] {
            let file = files.get(&format!("{key}.npy"));
            let file = file.ok_or_else(|| Fault::damaged(0, format!("a sparse matrix has no `{key}`")))?;
            let key = self.records.add(Record::Text(Cow::Borrowed(key)))?;
            let array = Record::Array(Box::new(npy::read(file)?.into_owned()));
            state.push((key, self.records.add(array)?));
        }
        let state = self.records.add(Record::Dict(state))?;
        self.matrices.insert(name.to_owned(), state);
        Ok(state)
    }

    fn file(&self, node: &Json) -> Result<&'f [u8], Fault> {
        let name = text(node, "file")?;
        let file = self.files.get(name);
        file.map(Vec::as_slice).ok_or_else(|| Fault::damaged(0, format!("the archive has no `{name}`")))
    }
}

/// The `module.name` of a node, if it may be named.
fn class(node: &Json) -> Result<String, Fault> {
    let class = format!("{}.{}", text(node, "__module__")?, text(node, "__class__")?);
    match allowed::may_be_named(&class) {
        true => Ok(class),
        false => Err(Fault::Forbidden { class, offset: 0 }),
    }
}

fn part<'n>(node: &'n Json, key: &str) -> Result<&'n Json, Fault> {
    node.get(key).ok_or_else(|| Fault::damaged(0, format!("a node has no `{key}`")))
}

fn text<'n>(node: &'n Json, key: &str) -> Result<&'n str, Fault> {
    part(node, key)?.as_str().ok_or_else(|| Fault::damaged(0, format!("`{key}` of a node is no text")))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    /// An archive of files.
    fn zip(files: &[(String, Vec<u8>)]) -> Vec<u8> {
        let mut archive = zip::ZipWriter::new(Cursor::new(Vec::new()));
        let options = zip::write::SimpleFileOptions::default();
        for (name, content) in files {
            archive.start_file(name.as_str(), options).unwrap();
            archive.write_all(content).unwrap();
        }
        archive.finish().unwrap().into_inner()
    }

    /// A tree of as many sparse matrices as there are names of files, each of so many zeros.
    fn matrices(names: &[&str], n_zeros: usize) -> Vec<u8> {
        let array = |n_zeros: usize| {
            let mut head = format!("{{'descr': '|i1', 'fortran_order': False, 'shape': ({n_zeros},), }}");
            head.push_str(&" ".repeat(117 - head.len()));
            let magic = b"\x93NUMPY\x01\x00\x76\x00".to_vec();
            [magic, head.into_bytes(), b"\n".to_vec(), vec![0; n_zeros]].concat()
        };
        let arrays = [("data", n_zeros), ("indices", 1), ("indptr", 1), ("shape", 1)];
        let arrays = arrays.map(|(name, n_zeros)| (format!("{name}.npy"), array(n_zeros)));
        let node = |name: &&str| {
            serde_json::json!({"__loader__": "SparseMatrixNode", "__module__": "scipy.sparse",
                "__class__": "csr_matrix", "file": name})
        };
        let nodes: Vec<Json> = names.iter().map(node).collect();
        let schema = serde_json::json!({"__loader__": "ListNode", "content": nodes}).to_string();
        let mut files = vec![(SCHEMA.to_owned(), schema.into_bytes())];
        let mut distinct = names.to_vec();
        distinct.dedup();
        files.extend(distinct.iter().map(|name| ((*name).to_owned(), zip(&arrays))));
        zip(&files)
    }

    #[test]
    fn one_inner_archive_that_many_nodes_name_is_unpacked_once() {
        // Each alone is within bounds, and a thousand copies would not be.
        let bomb = matrices(&["m.npz"; 1000], 1 << 20);
        assert!(!matches!(load(&bomb), Err(Fault::TooLarge { .. })));
    }

    #[test]
    fn many_inner_archives_share_the_bound_of_the_file() {
        let names: Vec<String> = (0..70).map(|index| format!("{index}.npz")).collect();
        let bomb = matrices(&names.iter().map(String::as_str).collect::<Vec<_>>(), 1 << 20);
        assert!(bomb.len() < 600_000, "{}", bomb.len());
        assert!(matches!(load(&bomb), Err(Fault::TooLarge { what: "unpacked bytes", .. })));
    }
}
