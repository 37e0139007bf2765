//! A graph as a model: columns in, labels and probabilities out.

use std::borrow::Cow;

use super::engine::Engine;
use super::file::{self, Attribute, File, Port, PortKind};
use super::graph::{self, Plan, RunError};
use super::tensor::{Shape, Tensor};
use crate::estimator::{Hint, Part, Predictor};
use crate::fault::Fault;
use crate::rows::{Cell, Refusal, Rows, Takes};
use crate::{Data, DataType, InputProblem, Method, NamedInput, NamedOutput, Prediction, Scalar};

/// What errors call a model.
const TITLE: &str = "onnx.ModelProto";

/// Rows that a model is tried with when it is loaded.
const TRIED_ROWS: [usize; 2] = [1, 3];

/// A graph that answers for rows.
#[derive(Debug)]
pub(super) struct OnnxModel {
    engine: Engine,
    inputs: Vec<Input>,
    /// How many columns all inputs have; `None` if the file does not say.
    n_columns: Option<usize>,
    /// Whether the graph takes one row at a time.
    is_for_one_row: bool,
    outputs: Vec<NamedOutput>,
    all: Plan,
    answers: Vec<(Method, Plan)>,
    classes: Option<Data>,
    /// Which of the graph's outputs are one row with a value per row: some converters lay labels down.
    is_lying: Vec<bool>,
}

/// An input of the graph, and which columns it is made of.
#[derive(Debug)]
struct Input {
    name: String,
    /// No values of the type that it takes.
    kind: Data,
    /// Whether it is a list rather than a matrix.
    is_list: bool,
    first_column: usize,
    /// `None` for all columns there are.
    n_columns: Option<usize>,
}

// === impl OnnxModel ===

impl OnnxModel {
    pub(super) fn new(file: &File, data: &[u8]) -> Result<Self, Fault> {
        let engine = Engine::new(file, data)?;
        let names: Vec<&str> = graph::input_names(&file.graph).collect();
        let ports = file.graph.inputs.iter().filter(|port| names.contains(&port.name.as_str()));
        let mut inputs: Vec<Input> = Vec::with_capacity(names.len());
        let mut is_for_one_row = false;
        let mut first_column = 0;
        for port in ports {
            let (input, takes_one_row) = Input::read(port, first_column)?;
            if input.n_columns.is_none() && names.len() > 1 {
                let problem = format!("its input `{}` does not say how many columns it has", port.name);
                return Err(Fault::inconsistent(TITLE, problem));
            }
            first_column += input.n_columns.unwrap_or(0);
            is_for_one_row |= takes_one_row;
            inputs.push(input);
        }
        let Some(last) = inputs.last() else { return Err(Fault::inconsistent(TITLE, "it has no inputs")) };
        let n_columns = last.n_columns.map(|_| first_column);
        let ports = &file.graph.outputs;
        let mut model = Self {
            all: engine.plan(&[]),
            engine,
            n_columns,
            is_for_one_row,
            inputs,
            outputs: Vec::new(),
            answers: Vec::new(),
            classes: None,
            is_lying: vec![false; ports.len()],
        };
        let tried = model.try_out(ports)?;
        model.is_lying = tried.iter().map(|tried| tried.is_some_and(|tried| tried.is_lying)).collect();
        model.answers = methods(ports, &tried)
            .into_iter()
            .map(|(method, at)| (method, model.engine.plan(&[at])))
            .collect();
        let usable: Vec<usize> = (0..ports.len()).filter(|output| tried[*output].is_some()).collect();
        model.outputs = usable.iter().map(|output| named_output(&ports[*output])).collect();
        model.all = model.engine.plan(&usable);
        let probabilities = model.answers.iter().find(|(method, _)| *method == Method::PredictProba);
        if probabilities.is_some() {
            model.classes = classes(file);
        }
        Ok(model)
    }

    /// The names of columns: those of the inputs, unless there is just one matrix.
    pub(super) fn column_names(&self) -> Option<Vec<String>> {
        if let [input] = &self.inputs[..] {
            let is_column = matches!(input.kind, Data::Text(_)) && input.n_columns == Some(1);
            return is_column.then(|| vec![input.name.clone()]);
        }
        let names = self.inputs.iter().flat_map(|input| {
            let n = input.n_columns.unwrap_or(0);
            (0..n)
                .map(move |index| if n == 1 { input.name.clone() } else { format!("{}_{index}", input.name) })
        });
        Some(names.collect())
    }

    /// Runs the graph with made-up rows, so that what cannot work is refused now. The lengths of the outputs' rows;
    /// `None` for those that are not one row per row.
    fn try_out(&self, ports: &[Port]) -> Result<Vec<Option<Tried>>, Fault> {
        let plan = self.engine.plan(&(0..ports.len()).collect::<Vec<_>>());
        let mut tried = vec![None; ports.len()];
        for n_rows in TRIED_ROWS {
            if self.is_for_one_row && n_rows > 1 {
                break;
            }
            let inputs: Result<Vec<Tensor>, _> =
                self.inputs.iter().map(|input| input.example(n_rows)).collect();
            let inputs = inputs.map_err(|problem| Fault::inconsistent(TITLE, problem.text))?;
            let outputs = match self.engine.run(&plan, inputs) {
                Ok(outputs) => outputs,
                // Other values might do.
                Err(error) if error.problem.is_of_values || self.n_columns.is_none() => {
                    return Ok(vec![Some(Tried { kind: None, width: None, is_lying: false }); ports.len()]);
                }
                Err(error) => return Err(Fault::inconsistent(error.node, error.problem.text)),
            };
            for ((output, tried), port) in outputs.iter().zip(&mut tried).zip(ports) {
                let width: usize = output.lengths().iter().skip(1).product();
                let is_lying = n_rows > 1 && output.lengths() == [1, n_rows];
                let is_per_row = is_lying || output.lengths().first() == Some(&n_rows);
                let width = (output.shape().rank() > 1 && !is_lying).then_some(width);
                let kind = Some(matches!(output.data(), Data::Long(_) | Data::Text(_) | Data::Integer(_)));
                *tried = is_per_row.then_some(Tried { kind, width, is_lying });
                if !is_per_row && ports.len() == 1 {
                    let problem = format!("its output `{}` has not one row per row", port.name);
                    return Err(Fault::inconsistent(TITLE, problem));
                }
            }
        }
        if tried.iter().all(Option::is_none) {
            return Err(Fault::inconsistent(TITLE, "none of its outputs has one row per row"));
        }
        Ok(tried)
    }

    fn run(&self, plan: &Plan, rows: &Rows<'_>) -> Result<Vec<Prediction>, Refusal> {
        if self.is_for_one_row && rows.n_rows() > 1 {
            let mut all: Vec<Prediction> = self.run(plan, &rows.slice(0..1))?;
            for row in 1..rows.n_rows() {
                let row = self.run(plan, &rows.slice(row..row + 1));
                let row = row.map_err(|refusal| Refusal { row: Some(0), ..refusal })?;
                all.iter_mut().zip(row).for_each(|(all, row)| all.append(row));
            }
            return Ok(all);
        }
        let inputs: Result<Vec<Tensor>, Refusal> =
            self.inputs.iter().map(|input| input.tensor(rows)).collect();
        let outputs = self.engine.run(plan, inputs?).map_err(refusal)?;
        let outputs = outputs.into_iter().zip(plan.outputs());
        outputs.map(|(tensor, output)| prediction(tensor, rows.n_rows(), self.is_lying[*output])).collect()
    }
}

/// What an output turned out to be.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Tried {
    /// Whether its values are labels; `None` if that is not known.
    kind: Option<bool>,
    width: Option<usize>,
    is_lying: bool,
}

/// An output as the graph declares it. What is no array is the scores of classes, which are a matrix here.
fn named_output(port: &Port) -> NamedOutput {
    let (datatype, n_columns) = match &port.kind {
        PortKind::Other => (DataType::Float, Some(None)),
        PortKind::Tensor { datatype, lengths } => {
            let datatype = file::no_values(*datatype).map_or(DataType::Any, |data| datatype_of(&data));
            let n_columns = match lengths.as_deref() {
                None | Some([] | [_]) => None,
                Some([_, lengths @ ..]) => {
                    Some(lengths.iter().try_fold(1_usize, |width, length| width.checked_mul((*length)?)))
                }
            };
            (datatype, n_columns)
        }
    };
    NamedOutput { name: port.name.clone(), datatype, n_columns }
}

/// The type of a column of these values.
fn datatype_of(data: &Data) -> DataType {
    match data {
        Data::Float(_) => DataType::Float,
        Data::Double(_) => DataType::Double,
        Data::Integer(_) => DataType::Integer,
        Data::Long(_) => DataType::Long,
        Data::Boolean(_) => DataType::Boolean,
        Data::Text(_) => DataType::String,
    }
}

/// Which outputs are asked for by a method's name. The first one is what the model predicts.
fn methods(ports: &[Port], tried: &[Option<Tried>]) -> Vec<(Method, usize)> {
    let first = tried.iter().position(Option::is_some).unwrap_or(0);
    let mut methods = vec![(Method::Predict, first)];
    let is_label =
        tried[first].is_some_and(|tried| tried.kind != Some(false) && tried.width.is_none_or(|it| it == 1));
    let is_probability = |output: &usize| {
        let name = ports[*output].name.to_ascii_lowercase();
        *output != first && tried[*output].is_some_and(|it| it.kind != Some(true)) && name.contains("prob")
    };
    if let Some(output) = (0..ports.len()).find(is_probability).filter(|_| is_label) {
        methods.push((Method::PredictProba, output));
    }
    methods
}

/// The classes that the nodes of a classifier name.
fn classes(file: &File) -> Option<Data> {
    let attributes = file.graph.nodes.iter().rev().flat_map(|node| &node.attributes);
    let labels = |(name, attribute): &(String, Attribute)| match (name.as_str(), attribute) {
        ("classlabels_strings", Attribute::Texts(texts)) if !texts.is_empty() => {
            Some(Data::Text(texts.clone()))
        }
        ("classlabels_ints" | "classlabels_int64s", Attribute::Longs(longs)) if !longs.is_empty() => {
            Some(Data::Long(longs.clone()))
        }
        _ => None,
    };
    attributes.filter_map(labels).next()
}

fn refusal(error: RunError) -> Refusal {
    let RunError { node, problem } = error;
    let problem = InputProblem::Computation { part: node, problem: problem.text };
    Refusal { row: None, column: None, problem }
}

fn prediction(output: Tensor, n_rows: usize, is_lying: bool) -> Result<Prediction, Refusal> {
    let (rank, found) = (output.shape().rank(), output.lengths().first().copied());
    if is_lying && output.n_values() == n_rows {
        return Ok(Prediction::flat(output.into_data()));
    }
    if found != Some(n_rows) {
        let problem = format!("gives {} rows for {n_rows}", found.unwrap_or(0));
        let problem = InputProblem::Computation { part: "the graph".to_owned(), problem };
        return Err(Refusal { row: None, column: None, problem });
    }
    let width = output.lengths().iter().skip(1).product();
    let data = output.into_data();
    Ok(if rank == 1 { Prediction::flat(data) } else { Prediction::rows(width, data) })
}

impl Part for OnnxModel {
    fn n_inputs(&self) -> Option<usize> {
        self.n_columns
    }

    fn hint(&self, column: usize) -> Hint {
        let input = self.inputs.iter().rev().find(|input| input.first_column <= column);
        input.map_or_else(Hint::default, Input::hint)
    }
}

impl Predictor for OnnxModel {
    fn methods(&self) -> Vec<Method> {
        self.answers.iter().map(|(method, _)| *method).collect()
    }

    fn classes(&self) -> Option<&Data> {
        self.classes.as_ref()
    }

    fn rows_are_independent(&self) -> bool {
        // Nothing in a graph says so.
        false
    }

    fn inputs(&self) -> Vec<NamedInput> {
        let named = |input: &Input| NamedInput {
            name: input.name.clone(),
            datatype: input.hint().datatype,
            n_columns: input.n_columns,
            is_list: input.is_list,
        };
        self.inputs.iter().map(named).collect()
    }

    fn outputs(&self) -> &[NamedOutput] {
        &self.outputs
    }

    fn predict_outputs(&self, rows: Rows<'_>) -> Result<Vec<Prediction>, Refusal> {
        self.run(&self.all, &rows)
    }

    fn predict(&self, method: Method, rows: Rows<'_>) -> Result<Prediction, Refusal> {
        let plan = self.answers.iter().find(|(known, _)| *known == method);
        let (_, plan) = plan.expect("a model is asked for methods that it has");
        let mut answer = self.run(plan, &rows)?.pop().expect("the plan has one output");
        // One column is one value per row, as it is in Python before a model is converted.
        if method == Method::Predict && answer.shape.n_columns == Some(1) {
            answer.shape.n_columns = None;
        }
        Ok(answer)
    }
}

// === impl Input ===

impl Input {
    /// Reads what the file says; and whether it says that there is one row.
    fn read(port: &Port, first_column: usize) -> Result<(Self, bool), Fault> {
        let unsupported =
            |what: &str| Fault::unsupported(format!("{what} as the input `{}` of an ONNX graph", port.name));
        let PortKind::Tensor { datatype, lengths } = &port.kind else {
            return Err(unsupported("a sequence or a map"));
        };
        let Some(kind) = file::no_values(*datatype) else {
            return Err(unsupported(&format!("the type {}", file::type_name(*datatype))));
        };
        let (n_rows, n_columns, is_list) = match lengths.as_deref() {
            None => (None, None, false),
            Some([n_rows]) => (*n_rows, Some(1), true),
            Some([n_rows, n_columns]) => (*n_rows, *n_columns, false),
            Some(lengths) => return Err(unsupported(&format!("an array of {} dimensions", lengths.len()))),
        };
        if let Some(n_rows) = n_rows.filter(|n_rows| *n_rows > 1) {
            return Err(unsupported(&format!("a batch of always {n_rows} rows")));
        }
        let input = Self { name: port.name.clone(), kind, is_list, first_column, n_columns };
        Ok((input, n_rows == Some(1)))
    }

    fn hint(&self) -> Hint {
        let example = match self.kind {
            Data::Float(_) | Data::Double(_) => Scalar::Double(0.0),
            Data::Integer(_) | Data::Long(_) => Scalar::Long(0),
            Data::Boolean(_) => Scalar::Boolean(false),
            Data::Text(_) => Scalar::Text(String::new()),
        };
        Hint { datatype: datatype_of(&self.kind), example, ..Hint::default() }
    }

    fn shape(&self, n_rows: usize, n_columns: usize) -> Result<Shape, super::problem::Problem> {
        if self.is_list { Shape::new(&[n_rows]) } else { Shape::new(&[n_rows, n_columns]) }
    }

    fn example(&self, n_rows: usize) -> Result<Tensor, super::problem::Problem> {
        let shape = self.shape(n_rows, self.n_columns.unwrap_or(1))?;
        let n = shape.n_values();
        Ok(Tensor::new(
            shape,
            match self.kind {
                Data::Float(_) => Data::Float(vec![0.0; n]),
                Data::Double(_) => Data::Double(vec![0.0; n]),
                Data::Integer(_) => Data::Integer(vec![0; n]),
                Data::Long(_) => Data::Long(vec![0; n]),
                Data::Boolean(_) => Data::Boolean(vec![false; n]),
                Data::Text(_) => Data::Text(vec![String::new(); n]),
            },
        ))
    }

    /// The values of a request.
    fn tensor(&self, rows: &Rows<'_>) -> Result<Tensor, Refusal> {
        let n_columns = self.n_columns.unwrap_or_else(|| rows.n_columns());
        let shape = self.shape(rows.n_rows(), n_columns);
        let shape = shape
            .map_err(|problem| refusal(RunError { node: format!("the input `{}`", self.name), problem }))?;
        let columns = self.first_column..self.first_column + n_columns;
        let rows = if columns == (0..rows.n_columns()) {
            Cow::Borrowed(rows)
        } else {
            Cow::Owned(rows.select(&columns.clone().collect::<Vec<_>>()))
        };
        let data = self.values(&rows).map_err(|refusal| Refusal {
            column: refusal.column.map(|column| column + self.first_column),
            ..refusal
        })?;
        Ok(Tensor::new(shape, data))
    }

    fn values(&self, rows: &Rows<'_>) -> Result<Data, Refusal> {
        let numbers = || rows.borrowed().into_matrix(Takes::Everything, &self.name);
        Ok(match &self.kind {
            Data::Float(_) => Data::Float(numbers()?.values.iter().map(|value| *value as f32).collect()),
            Data::Double(_) => Data::Double(numbers()?.values.into_owned()),
            Data::Integer(_) => {
                let whole = |cell: Cell<'_>| whole(&cell).and_then(|long| i32::try_from(long).ok());
                Data::Integer(cells(rows, "a whole number of 32 bits", whole)?)
            }
            Data::Long(_) => Data::Long(cells(rows, "a whole number", |cell| whole(&cell))?),
            Data::Boolean(_) => Data::Boolean(cells(rows, "a truth value", |cell| match cell {
                Cell::Boolean(flag) => Some(flag),
                Cell::Long(long @ 0..=1) => Some(long == 1),
                // In a matrix all cells are these.
                Cell::Double(0.0) => Some(false),
                Cell::Double(1.0) => Some(true),
                _ => None,
            })?),
            Data::Text(_) => Data::Text(cells(rows, "a text", |cell| match cell {
                Cell::Text(text) => Some(text.to_owned()),
                _ => None,
            })?),
        })
    }
}

fn whole(cell: &Cell<'_>) -> Option<i64> {
    /// Up to here, numbers of 64 bits are whole ones exactly.
    const MAX: f64 = (1_u64 << 53) as f64;

    match *cell {
        Cell::Long(long) => Some(long),
        Cell::Boolean(flag) => Some(i64::from(flag)),
        Cell::Double(double) if double.fract() == 0.0 && double.abs() <= MAX => Some(double as i64),
        _ => None,
    }
}

fn cells<T>(
    rows: &Rows<'_>,
    expected: &'static str,
    value: impl Fn(Cell<'_>) -> Option<T>,
) -> Result<Vec<T>, Refusal> {
    let places = (0..rows.n_rows()).flat_map(|row| (0..rows.n_columns()).map(move |column| (row, column)));
    let value = |(row, column)| {
        let cell = rows.cell(row, column);
        let got = || InputProblem::WrongType { expected, got: cell.show() };
        value(cell).ok_or_else(|| Refusal::at(row, column, got()))
    };
    places.map(value).collect()
}
