//! What is in an ONNX file (`onnx.proto`), as far as it is read.

use super::problem::Problem;
use super::protobuf::{Field, Message};
use super::tensor::{Shape, Tensor};
use crate::Data;
use crate::fault::Fault;

/// Graphs inside of graphs.
const MAX_DEPTH: usize = 4;

/// Nodes of one graph.
const MAX_NODES: usize = 20_000;

/// `ModelProto`
#[derive(Debug, Default)]
pub(super) struct File {
    pub(super) producer: String,
    pub(super) producer_version: String,
    /// Versions of the sets of operators, by domain.
    pub(super) opsets: Vec<(String, i64)>,
    pub(super) graph: Graph,
}

/// `GraphProto`
#[derive(Debug, Default)]
pub(super) struct Graph {
    pub(super) nodes: Vec<Node>,
    pub(super) constants: Vec<(String, Tensor)>,
    pub(super) inputs: Vec<Port>,
    pub(super) outputs: Vec<Port>,
}

/// `NodeProto`
#[derive(Debug, Default)]
pub(super) struct Node {
    pub(super) name: String,
    pub(super) domain: String,
    pub(super) operator: String,
    /// An empty name is an input that is not given.
    pub(super) inputs: Vec<String>,
    pub(super) outputs: Vec<String>,
    pub(super) attributes: Vec<(String, Attribute)>,
}

/// `AttributeProto`
#[derive(Debug)]
pub(super) enum Attribute {
    Float(f32),
    Long(i64),
    Text(String),
    Tensor(Tensor),
    Graph(Graph),
    Floats(Vec<f32>),
    Longs(Vec<i64>),
    Texts(Vec<String>),
    /// Of a kind that no operator here takes.
    Other,
}

/// `ValueInfoProto`
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Port {
    pub(super) name: String,
    pub(super) kind: PortKind,
}

/// `TypeProto`
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) enum PortKind {
    /// The number of a type, and the lengths that are fixed; no lengths if even their number is not known.
    Tensor { datatype: i64, lengths: Option<Vec<Option<usize>>> },
    /// A sequence, a map, or nothing that is said.
    #[default]
    Other,
}

/// Reads a whole file.
pub(super) fn read(data: &[u8]) -> Result<File, Fault> {
    let mut file = File::default();
    let mut has_graph = false;
    for field in Message::new(data).fields() {
        let field = field?;
        match field.number {
            2 => file.producer = field.text()?.to_owned(),
            3 => file.producer_version = field.text()?.to_owned(),
            7 => {
                file.graph = graph(field.message()?, 0)?;
                has_graph = true;
            }
            8 => file.opsets.push(opset(field.message()?)?),
            _ => {}
        }
    }
    if has_graph { Ok(file) } else { Err(Fault::inconsistent("onnx.ModelProto", "it has no graph")) }
}

fn opset(message: Message<'_>) -> Result<(String, i64), Fault> {
    let (mut domain, mut version) = (String::new(), 0);
    for field in message.fields() {
        let field = field?;
        match field.number {
            1 => domain = field.text()?.to_owned(),
            2 => version = field.long()?,
            _ => {}
        }
    }
    Ok((domain, version))
}

fn graph(message: Message<'_>, depth: usize) -> Result<Graph, Fault> {
    if depth > MAX_DEPTH {
        return Err(Fault::TooLarge { what: "graphs inside of each other", limit: MAX_DEPTH as u64 });
    }
    let mut graph = Graph::default();
    for field in message.fields() {
        let field = field?;
        match field.number {
            1 if graph.nodes.len() == MAX_NODES => {
                return Err(Fault::TooLarge { what: "nodes in a graph", limit: MAX_NODES as u64 });
            }
            1 => graph.nodes.push(node(field.message()?, depth)?),
            5 => graph.constants.push(tensor(field.message()?)?),
            11 => graph.inputs.push(port(field.message()?)?),
            12 => graph.outputs.push(port(field.message()?)?),
            15 => return Err(Fault::unsupported("`onnx.SparseTensorProto` as an initializer")),
            _ => {}
        }
    }
    Ok(graph)
}

fn node(message: Message<'_>, depth: usize) -> Result<Node, Fault> {
    let mut node = Node::default();
    for field in message.fields() {
        let field = field?;
        match field.number {
            1 => node.inputs.push(field.text()?.to_owned()),
            2 => node.outputs.push(field.text()?.to_owned()),
            3 => node.name = field.text()?.to_owned(),
            4 => node.operator = field.text()?.to_owned(),
            5 => node.attributes.push(attribute(field.message()?, depth)?),
            7 => node.domain = field.text()?.to_owned(),
            _ => {}
        }
    }
    Ok(node)
}

/// The numbers of the types of attributes.
mod kind {
    pub(super) const FLOAT: i64 = 1;
    pub(super) const LONG: i64 = 2;
    pub(super) const TEXT: i64 = 3;
    pub(super) const TENSOR: i64 = 4;
    pub(super) const GRAPH: i64 = 5;
    pub(super) const FLOATS: i64 = 6;
    pub(super) const LONGS: i64 = 7;
    pub(super) const TEXTS: i64 = 8;
}

fn attribute(message: Message<'_>, depth: usize) -> Result<(String, Attribute), Fault> {
    let (mut name, mut said_kind) = (String::new(), 0);
    let (mut float, mut long, mut text) = (None, None, None);
    let (mut tensor_field, mut graph_field) = (None, None);
    let (mut floats, mut longs, mut texts) = (Vec::new(), Vec::new(), Vec::new());
    for field in message.fields() {
        let field = field?;
        match field.number {
            1 => name = field.text()?.to_owned(),
            2 => float = Some(field.float()?),
            3 => long = Some(field.long()?),
            4 => text = Some(field.text()?.to_owned()),
            5 => tensor_field = Some(field.message()?),
            6 => graph_field = Some(field.message()?),
            7 => field.floats(&mut floats)?,
            8 => field.longs(&mut longs)?,
            9 => texts.push(field.text()?.to_owned()),
            20 => said_kind = field.long()?,
            _ => {}
        }
    }
    // Files before ONNX IR 2 do not say the kind.
    let guessed = match (&float, &long, &text, &tensor_field, &graph_field) {
        (Some(_), ..) => kind::FLOAT,
        (_, Some(_), ..) => kind::LONG,
        (_, _, Some(_), ..) => kind::TEXT,
        (_, _, _, Some(_), _) => kind::TENSOR,
        (.., Some(_)) => kind::GRAPH,
        _ if !floats.is_empty() => kind::FLOATS,
        _ if !longs.is_empty() => kind::LONGS,
        _ if !texts.is_empty() => kind::TEXTS,
        _ => 0,
    };
    let attribute = match if said_kind == 0 { guessed } else { said_kind } {
        // What is zero or empty may be left out of the file.
        kind::FLOAT => Attribute::Float(float.unwrap_or_default()),
        kind::LONG => Attribute::Long(long.unwrap_or_default()),
        kind::TEXT => Attribute::Text(text.unwrap_or_default()),
        kind::TENSOR => Attribute::Tensor(tensor(tensor_field.unwrap_or(Message::new(&[])))?.1),
        kind::GRAPH => Attribute::Graph(graph(graph_field.unwrap_or(Message::new(&[])), depth + 1)?),
        kind::FLOATS => Attribute::Floats(floats),
        kind::LONGS => Attribute::Longs(longs),
        kind::TEXTS => Attribute::Texts(texts),
        _ => Attribute::Other,
    };
    Ok((name, attribute))
}

fn port(message: Message<'_>) -> Result<Port, Fault> {
    let mut port = Port::default();
    for field in message.fields() {
        let field = field?;
        match field.number {
            1 => port.name = field.text()?.to_owned(),
            2 => port.kind = port_kind(field.message()?)?,
            _ => {}
        }
    }
    Ok(port)
}

fn port_kind(message: Message<'_>) -> Result<PortKind, Fault> {
    for field in message.fields() {
        let field = field?;
        if field.number != 1 {
            continue;
        }
        let (mut datatype, mut lengths) = (0, None);
        for field in field.message()?.fields() {
            let field = field?;
            match field.number {
                1 => datatype = field.long()?,
                2 => lengths = Some(port_lengths(field.message()?)?),
                _ => {}
            }
        }
        return Ok(PortKind::Tensor { datatype, lengths });
    }
    Ok(PortKind::Other)
}

fn port_lengths(message: Message<'_>) -> Result<Vec<Option<usize>>, Fault> {
    let mut lengths = Vec::new();
    for field in message.fields() {
        let field = field?;
        if field.number != 1 {
            continue;
        }
        let mut length = None;
        for field in field.message()?.fields() {
            let field = field?;
            if field.number == 1 {
                // Some converters write 0 or -1 where they do not know.
                length = usize::try_from(field.long()?).ok().filter(|length| *length > 0);
            }
        }
        lengths.push(length);
    }
    Ok(lengths)
}

/// Numbers of the types of arrays.
pub(super) mod datatype {
    pub(in super::super) const FLOAT: i64 = 1;
    pub(in super::super) const UINT8: i64 = 2;
    pub(in super::super) const INT32: i64 = 6;
    pub(in super::super) const INT64: i64 = 7;
    pub(in super::super) const STRING: i64 = 8;
    pub(in super::super) const BOOL: i64 = 9;
    pub(in super::super) const DOUBLE: i64 = 11;
}

/// No value of a type, by the type's number.
pub(super) fn no_values(number: i64) -> Option<Data> {
    Some(match number {
        datatype::FLOAT => Data::Float(Vec::new()),
        datatype::DOUBLE => Data::Double(Vec::new()),
        datatype::INT32 => Data::Integer(Vec::new()),
        datatype::INT64 => Data::Long(Vec::new()),
        datatype::BOOL => Data::Boolean(Vec::new()),
        datatype::STRING => Data::Text(Vec::new()),
        _ => return None,
    })
}

/// The names of the types that are not read.
pub(super) fn type_name(number: i64) -> String {
    let name = match number {
        2 => "uint8",
        3 => "int8",
        4 => "uint16",
        5 => "int16",
        10 => "float16",
        12 => "uint32",
        13 => "uint64",
        14 => "complex64",
        15 => "complex128",
        16 => "bfloat16",
        number => return format!("number {number}"),
    };
    name.to_owned()
}

/// The values of an array as the file may have them: of each type in a place of its own, or raw.
#[derive(Default)]
struct Stored<'a> {
    floats: Vec<f32>,
    longs: Vec<i64>,
    doubles: Vec<f64>,
    texts: Vec<Field<'a>>,
    raw: Option<Message<'a>>,
}

fn tensor(message: Message<'_>) -> Result<(String, Tensor), Fault> {
    let (mut name, mut datatype, mut lengths) = (String::new(), 0, Vec::new());
    let mut stored = Stored::default();
    let mut is_elsewhere = false;
    for field in message.fields() {
        let field = field?;
        match field.number {
            1 => field.longs(&mut lengths)?,
            2 => datatype = field.long()?,
            3 => return Err(Fault::unsupported("an ONNX array in segments")),
            4 => field.floats(&mut stored.floats)?,
            5 | 7 | 11 => field.longs(&mut stored.longs)?,
            6 => stored.texts.push(field),
            8 => name = field.text()?.to_owned(),
            9 => stored.raw = Some(field.message()?),
            10 => field.doubles(&mut stored.doubles)?,
            13 => is_elsewhere = true,
            14 => is_elsewhere |= field.long()? != 0,
            _ => {}
        }
    }
    if is_elsewhere {
        let what = format!("the ONNX array `{name}` in a file of its own");
        let help = Some("save the model in one file, with `save_as_external_data=False`".to_owned());
        return Err(Fault::Unsupported { what, help });
    }
    let problem = |problem: String| Fault::inconsistent(format!("ONNX array {name}"), problem);
    let lengths: Option<Vec<usize>> = lengths.iter().map(|length| usize::try_from(*length).ok()).collect();
    let shape = lengths.ok_or_else(|| Problem::new("its shape is negative")).and_then(|it| Shape::new(&it));
    let shape = shape.map_err(|error| problem(error.text))?;
    let Some(data) = stored.data(datatype)? else {
        let what = format!("the type {} of the ONNX array `{name}`", type_name(datatype));
        return Err(Fault::unsupported(what));
    };
    if data.len() != shape.n_values() {
        return Err(problem(format!("it has {} values and the shape {shape:?}", data.len())));
    }
    Ok((name, Tensor::new(shape, data)))
}

impl Stored<'_> {
    /// The values; `None` if the type is not read.
    fn data(self, datatype: i64) -> Result<Option<Data>, Fault> {
        let raw = self.raw.map(|raw| raw.bytes);
        Ok(Some(match (datatype, raw) {
            (datatype::FLOAT, Some(raw)) => Data::Float(numbers(raw, f32::from_le_bytes)),
            (datatype::FLOAT, None) => Data::Float(self.floats),
            (datatype::DOUBLE, Some(raw)) => Data::Double(numbers(raw, f64::from_le_bytes)),
            (datatype::DOUBLE, None) => Data::Double(self.doubles),
            (datatype::UINT8, Some(raw)) => Data::Integer(raw.iter().map(|byte| i32::from(*byte)).collect()),
            (datatype::UINT8, None) => Data::Integer(self.longs.iter().map(|long| *long as i32).collect()),
            (datatype::INT32, Some(raw)) => Data::Integer(numbers(raw, i32::from_le_bytes)),
            (datatype::INT32, None) => Data::Integer(self.longs.iter().map(|long| *long as i32).collect()),
            (datatype::INT64, Some(raw)) => Data::Long(numbers(raw, i64::from_le_bytes)),
            (datatype::INT64, None) => Data::Long(self.longs),
            (datatype::BOOL, Some(raw)) => Data::Boolean(raw.iter().map(|byte| *byte != 0).collect()),
            (datatype::BOOL, None) => Data::Boolean(self.longs.iter().map(|long| *long != 0).collect()),
            (datatype::STRING, _) => {
                let text = |field: &Field<'_>| field.text().map(str::to_owned);
                Data::Text(self.texts.iter().map(text).collect::<Result<_, _>>()?)
            }
            _ => return Ok(None),
        }))
    }
}

fn numbers<T, const N: usize>(raw: &[u8], number: fn([u8; N]) -> T) -> Vec<T> {
    raw.as_chunks().0.iter().map(|bytes| number(*bytes)).collect()
}
