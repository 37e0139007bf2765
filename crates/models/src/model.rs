//! A model that answers.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;

use crate::estimator::{Hint, Step};
use crate::example;
use crate::fault::Fault;
use crate::features::Features;
use crate::rows::{Cell, Column, Refusal, Rows, Table, Takes};
use crate::{
    Batch, Columns, Data, DataType, Field, InputError, InputProblem, Inputs, Method, PredictError,
    Prediction, Scalar, Signature,
};

/// Rows that go through the model together, if they are narrow.
const BLOCK_ROWS: usize = 240;

/// Numbers that these rows have on their way, where one-hot columns make them wide.
const BLOCK_VALUES: usize = 1 << 20;

/// Columns that are tried out one by one, to see which of them may be missing.
const MAX_TRIED_COLUMNS: usize = 1024;

/// A loaded model. It is never changed, so many threads may ask it at once.
#[derive(Debug)]
pub struct Model {
    step: Step,
    entry: Entry,
    features: Option<Features>,
    /// Rows that go through the model together; `None` if that must be all of them.
    block_rows: Option<usize>,
    signature: Signature,
    methods: Vec<Method>,
    default_method: Method,
    example: Batch,
    description: Description,
}

/// What a model is and where it came from.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Description {
    /// Its name, if its folder says one.
    pub name: Option<String>,
    /// Its version, if its folder says one.
    pub version: Option<String>,
    /// The file format, for example `joblib, zlib` or `MLflow sklearn, skops 0.16.0`.
    pub format: String,
    /// Its estimators, the outermost first.
    pub parts: Vec<Part>,
    /// Names and versions of the libraries that wrote it, as far as the file says.
    pub libraries: Vec<(String, String)>,
    /// The model file.
    pub file: PathBuf,
    /// Bytes in the model file.
    pub file_bytes: u64,
    /// SHA-256 of the model file, in lower-case hexadecimal.
    pub sha256: String,
}

/// An estimator of a model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// How many estimators it is inside of.
    pub depth: usize,
    /// Its Python class, as `module.name`.
    pub class: String,
}

/// What a model is made of.
pub(crate) struct Assembly {
    pub(crate) step: Step,
    pub(crate) names: Option<Vec<String>>,
    pub(crate) features: Option<Features>,
    pub(crate) signature: Option<Signature>,
    pub(crate) example: Option<Batch>,
    pub(crate) method: Option<Method>,
    pub(crate) description: Description,
}

/// How the columns of a batch become those of the estimator.
#[derive(Debug)]
struct Entry {
    /// How many columns the estimator takes; `None` if it takes any number.
    n_columns: Option<usize>,
    /// Their names, if it was fitted with names.
    columns: Option<Vec<EntryColumn>>,
}

#[derive(Debug)]
struct EntryColumn {
    name: String,
    is_required: bool,
}

// === impl Model ===

impl Model {
    /// What a request may carry, and what it gets.
    #[must_use]
    pub fn signature(&self) -> &Signature {
        &self.signature
    }

    /// What the model can be asked for.
    #[must_use]
    pub fn methods(&self) -> &[Method] {
        &self.methods
    }

    /// What the model is asked for when a request does not say: what it was saved for, or else `predict`.
    #[must_use]
    pub fn default_method(&self) -> Method {
        self.default_method
    }

    /// The classes that the model tells apart, in the order of its probabilities.
    #[must_use]
    pub fn classes(&self) -> Option<&Data> {
        self.step.classes()
    }

    /// What the model is and where it came from.
    #[must_use]
    pub fn description(&self) -> &Description {
        &self.description
    }

    /// Rows that the model takes: those that were saved with it, or one that is made up.
    #[must_use]
    pub fn example(&self) -> &Batch {
        &self.example
    }

    /// Answers for every row of a batch.
    ///
    /// Columns are found by name where the model was fitted with names, in any order, and further ones are ignored. A
    /// batch without names must have exactly the columns of the model.
    ///
    /// # Errors
    ///
    /// When the model has no such method, or does not take the batch. An error says for how many rows, which row and
    /// which column, as far as that can be said.
    pub fn predict(&self, method: Method, batch: &Batch) -> Result<Prediction, PredictError> {
        if !self.methods.contains(&method) {
            return Err(PredictError::NoMethod { method, available: self.methods.clone() });
        }
        check_shape(batch)?;
        let rows = self.rows(batch)?;
        let n_rows = rows.n_rows();
        let block_rows = match self.block_rows {
            Some(block_rows) if block_rows < n_rows => block_rows,
            _ => return Ok(self.answer(method, rows).map_err(|refusal| self.input_error(refusal, 0))?),
        };
        let mut blocks = (0..n_rows).step_by(block_rows).map(|start| {
            let block = rows.slice(start..n_rows.min(start + block_rows));
            self.answer(method, block).map_err(|refusal| PredictError::from(self.input_error(refusal, start)))
        });
        let first = blocks.next().unwrap_or_else(|| unreachable!("there are rows"));
        blocks.try_fold(first?, |mut prediction, block| {
            let block = block?;
            prediction.shape.n_rows += block.shape.n_rows;
            prediction.data.append(block.data);
            Ok(prediction)
        })
    }

    fn rows<'a>(&'a self, batch: &'a Batch) -> Result<Rows<'a>, InputError> {
        match (&batch.columns, &self.features, &self.entry.columns) {
            (Columns::Table(_), Some(features), Some(wanted)) => {
                let mut named = features.apply(batch)?;
                pick(wanted, batch.n_rows, |_, name| {
                    let place = named.iter().position(|(known, _)| *known == name)?;
                    Some(named.swap_remove(place).1)
                })
            }
            (Columns::Table(columns), None, Some(wanted)) => {
                let mut places = None;
                pick(wanted, batch.n_rows, |index, name| {
                    let in_place = columns.get(index).filter(|column| column.name == name);
                    let column = in_place
                        .or_else(|| places.get_or_insert_with(|| by_name(columns)).get(name).copied());
                    column.map(|column| Column::of(&column.values))
                })
            }
            _ => {
                let n_columns = batch.n_columns();
                match self.entry.n_columns {
                    Some(expected) if expected != n_columns => {
                        Err(problem(InputProblem::WrongColumnCount { expected, got: n_columns }))
                    }
                    _ => Ok(Rows::of(batch)),
                }
            }
        }
    }

    fn answer(&self, method: Method, rows: Rows<'_>) -> Result<Prediction, Refusal> {
        match &self.step {
            Step::Predictor(predictor) => predictor.predict(method, rows),
            Step::Transformer(transformer) => transformed(transformer.transform(rows)?),
        }
    }

    fn input_error(&self, refusal: Refusal, first_row: usize) -> InputError {
        let name = |column: usize| match &self.entry.columns {
            Some(columns) => columns.get(column).map(|column| column.name.clone()),
            None => Some(column.to_string()),
        };
        InputError {
            row: refusal.row.map(|row| first_row + row),
            column: refusal.column.and_then(name),
            problem: refusal.problem,
        }
    }
}

fn problem(problem: InputProblem) -> InputError {
    InputError { row: None, column: None, problem }
}

/// What a transformer gives, as an answer.
fn transformed(rows: Rows<'_>) -> Result<Prediction, Refusal> {
    let n_columns = rows.n_columns();
    let all_texts = matches!(&rows, Rows::Table(table) if table.columns.iter().all(|column| matches!(column, Column::Text { .. })));
    if !all_texts {
        let matrix = rows.into_matrix(Takes::Everything, "the model")?;
        return Ok(Prediction::rows(n_columns, Data::Double(matrix.values.into_owned())));
    }
    let cells = (0..rows.n_rows()).flat_map(|row| (0..n_columns).map(move |column| (row, column)));
    let text = |(row, column)| match rows.cell(row, column) {
        Cell::Text(text) => Ok(text.to_owned()),
        _ => {
            let problem = InputProblem::WrongType { expected: "a text", got: "a missing value".to_owned() };
            Err(Refusal::at(row, column, problem))
        }
    };
    Ok(Prediction::rows(n_columns, Data::Text(cells.map(text).collect::<Result<_, _>>()?)))
}

/// Checks that a batch has rows, and that all its columns have as many.
fn check_shape(batch: &Batch) -> Result<(), InputError> {
    if batch.n_rows == 0 {
        return Err(problem(InputProblem::NoRows));
    }
    let unequal = |got| Err(problem(InputProblem::UnequalColumns { expected: batch.n_rows, got }));
    match &batch.columns {
        Columns::Matrix { n_columns, values }
            if batch.n_rows.checked_mul(*n_columns) != Some(values.len()) =>
        {
            unequal(values.len())
        }
        Columns::Matrix { .. } => Ok(()),
        Columns::Table(columns) => match columns.iter().find(|column| column.values.len() != batch.n_rows) {
            Some(column) => unequal(column.values.len()),
            None => Ok(()),
        },
    }
}

fn by_name(columns: &[crate::Column]) -> HashMap<&str, &crate::Column> {
    columns.iter().map(|column| (column.name.as_str(), column)).collect()
}

/// The wanted columns, in order. `find` is told where a column mostly is, and its name.
fn pick<'a>(
    wanted: &[EntryColumn],
    n_rows: usize,
    mut find: impl FnMut(usize, &str) -> Option<Column<'a>>,
) -> Result<Rows<'a>, InputError> {
    let mut columns = Vec::with_capacity(wanted.len());
    let mut missing = Vec::new();
    for (index, wanted) in wanted.iter().enumerate() {
        match find(index, &wanted.name) {
            Some(column) => columns.push(column),
            None if wanted.is_required => missing.push(wanted.name.clone()),
            None => columns.push(Column::Double(vec![f64::NAN; n_rows].into())),
        }
    }
    if missing.is_empty() {
        Ok(Rows::Table(Table { n_rows, columns }))
    } else {
        Err(problem(InputProblem::MissingColumns { names: missing }))
    }
}

// === impl Assembly ===

impl Assembly {
    /// Puts the model together: what is not declared is found out from the estimator.
    pub(crate) fn finish(mut self) -> Result<Model, Fault> {
        let methods = self.step.methods();
        let default_method = match self.method {
            Some(method) if methods.contains(&method) => method,
            Some(method) => {
                let class =
                    self.description.parts.first().map_or_else(String::new, |part| part.class.clone());
                return Err(Fault::inconsistent(
                    class,
                    format!("it is to be asked for `{method}`, which it has not"),
                ));
            }
            None => methods[0],
        };
        let n_columns = self.step.part().n_inputs();
        let names = self.names.take().or_else(|| declared_names(self.signature.as_ref(), n_columns));
        let hints: Vec<Hint> =
            (0..n_columns.unwrap_or(0)).map(|column| self.step.part().hint(column)).collect();
        let columns = names.map(|names| {
            let columns = names.into_iter().map(|name| EntryColumn { is_required: true, name });
            columns.collect::<Vec<_>>()
        });
        if self.features.is_some() && columns.is_none() {
            let problem = "it has a feature step, but was fitted without column names";
            return Err(Fault::inconsistent("forebay.yaml", problem));
        }
        let inputs = Inputs::Matrix { datatype: DataType::Double, n_columns };
        let undeclared = Signature { inputs, outputs: Vec::new(), params: Vec::new(), is_declared: false };
        let widest = self.step.widest(n_columns.unwrap_or(1)).max(1);
        let are_independent = self.step.rows_are_independent();
        let mut model = Model {
            block_rows: are_independent.then(|| (BLOCK_VALUES / widest).clamp(1, BLOCK_ROWS)),
            step: self.step,
            entry: Entry { n_columns, columns },
            features: self.features,
            signature: undeclared,
            methods,
            default_method,
            example: Batch::matrix(0, Vec::new()),
            description: self.description,
        };
        model.find_what_may_be_missing(&hints, self.signature.as_ref());
        model.describe_inputs(&hints, self.signature);
        model.choose_example(&hints, self.example);
        Ok(model)
    }
}

/// The names of a declared signature, for a model that was fitted without.
fn declared_names(signature: Option<&Signature>, n_columns: Option<usize>) -> Option<Vec<String>> {
    let Inputs::Columns(fields) = &signature?.inputs else { return None };
    (Some(fields.len()) == n_columns).then(|| fields.iter().map(|field| field.name.clone()).collect())
}

impl Model {
    /// Asks the model itself which columns may be missing: with an example in which one is.
    fn find_what_may_be_missing(&mut self, hints: &[Hint], declared: Option<&Signature>) {
        let Some(columns) = &self.entry.columns else { return };
        let examples: Vec<Column<'static>> = hints.iter().map(|hint| example_column(&hint.example)).collect();
        let is_taken = |columns: Vec<Column<'static>>| {
            self.answer(self.default_method, Rows::Table(Table { n_rows: 1, columns })).is_ok()
        };
        let may_be_missing = |index: usize| {
            let mut columns = examples.clone();
            columns[index] = Column::Double(vec![f64::NAN].into());
            is_taken(columns)
        };
        let can_be_tried = examples.len() <= MAX_TRIED_COLUMNS && is_taken(examples.clone());
        let is_declared = |name: &str| match declared.map(|signature| &signature.inputs) {
            Some(Inputs::Columns(fields)) => fields.iter().any(|field| field.name == name && field.required),
            _ => false,
        };
        let required: Vec<bool> = (columns.iter().zip(hints).enumerate())
            .map(|(index, (column, hint))| {
                is_declared(&column.name) || hint.is_used && !(can_be_tried && may_be_missing(index))
            })
            .collect();
        if let Some(columns) = &mut self.entry.columns {
            columns.iter_mut().zip(required).for_each(|(column, required)| column.is_required = required);
        }
    }

    fn describe_inputs(&mut self, hints: &[Hint], declared: Option<Signature>) {
        let mut signature = declared.unwrap_or_else(|| Signature { ..self.signature.clone() });
        if let Some(columns) = &self.entry.columns {
            if !signature.is_declared {
                let used = columns.iter().zip(hints).filter(|(_, hint)| hint.is_used);
                let field = |(column, hint): (&EntryColumn, &Hint)| Field {
                    name: column.name.clone(),
                    datatype: hint.datatype,
                    required: column.is_required,
                    default: None,
                };
                signature.inputs = Inputs::Columns(used.map(field).collect());
            }
            if let (Some(features), Inputs::Columns(fields)) = (&mut self.features, &mut signature.inputs) {
                let required = columns.iter().filter(|column| column.is_required).map(|column| &*column.name);
                features.require(&required.collect::<HashSet<_>>());
                fields.retain(|field| !features.knows(&field.name));
                fields.splice(0..0, features.fields());
            }
        }
        self.signature = signature;
    }

    /// Takes the example that was saved, if the model takes it, or else makes one.
    fn choose_example(&mut self, hints: &[Hint], saved: Option<Batch>) {
        if let Some(saved) = saved.filter(|saved| self.predict(self.default_method, saved).is_ok()) {
            self.example = saved;
            return;
        }
        let hint_of = |name: &str| {
            let columns = self.entry.columns.as_deref().unwrap_or_default();
            columns.iter().position(|column| column.name == name).and_then(|place| hints.get(place))
        };
        self.example = match &self.signature.inputs {
            Inputs::Matrix { n_columns, .. } if hints.is_empty() => {
                example::matrix(&vec![Hint::default(); n_columns.unwrap_or(1)])
            }
            Inputs::Matrix { .. } => example::matrix(hints),
            Inputs::Columns(fields) => {
                let value = |field: &Field| match (&field.default, hint_of(&field.name), field.datatype) {
                    (Some(default), _, _) => default.clone(),
                    (None, Some(hint), _) => hint.example.clone(),
                    (None, None, DataType::Datetime) => Scalar::Text("2024-01-01".to_owned()),
                    (None, None, DataType::String) => Scalar::Text(String::new()),
                    (None, None, _) => Scalar::Double(0.0),
                };
                example::table(fields.iter().map(|field| (field, value(field))))
            }
        };
    }
}

fn example_column(value: &Scalar) -> Column<'static> {
    match value {
        Scalar::Double(number) => Column::Double(vec![*number].into()),
        Scalar::Long(long) => Column::Long(vec![*long].into()),
        Scalar::Boolean(flag) => Column::Boolean(vec![*flag].into()),
        Scalar::Text(text) => Column::texts([Some(text.as_str())].into_iter().collect()),
    }
}
