//! The columns of a batch while rows come in.

use models::{Batch, Column as Named, DataType, InputError, InputProblem, PredictError, Values};

use super::column::{Column, Misfit};
use super::names::{Names, Unknown};
use super::{Form, Schema};
use crate::fault::{Cause, Fault, list, quoted};
use crate::json::Scalar;

/// What a body holds.
#[derive(Debug, PartialEq)]
pub(crate) struct Decoded {
    /// The rows.
    pub(crate) batch: Batch,
    /// How they were written.
    pub(crate) form: Form,
    /// Columns that the model does not know, and that were left out. Only the first few are kept.
    pub(crate) ignored: Vec<Unknown>,
    /// Columns that some rows lack, and in which the model takes a missing value instead. Only the first few are kept.
    pub(crate) gaps: Vec<String>,
}

impl Decoded {
    /// What a model says of the rows, at their places in the request.
    pub(crate) fn fault(&self, error: PredictError) -> Fault {
        let InputError { row, column, problem } = match error {
            PredictError::NoMethod { .. } | PredictError::NotServed { .. } => {
                return Fault::new(Cause::Input, error.to_string());
            }
            PredictError::Input(error) => error,
        };
        let fault = Fault::input(self.form.place(row, column.as_deref()), problem.to_string());
        match problem {
            InputProblem::MissingColumns { names } => Fault { missing: names, ..fault },
            InputProblem::NotFinite { .. } => fault.with_help("send a number, or impute the value before"),
            _ => fault,
        }
    }
}

/// The columns of a batch while rows come in.
#[derive(Debug)]
pub(crate) struct Table<'s> {
    names: Names<'s>,
    columns: Vec<Column>,
    n_rows: usize,
    /// Whether only declared defaults stand for what a row leaves out.
    needs_defaults: bool,
    /// How many more values may be filled in, which takes memory that no byte of the body stands for.
    n_fillable: usize,
    /// The columns that rows lack which need not, and have no default.
    gaps: Vec<usize>,
}

/// How many columns with gaps are remembered.
const MOST_GAPS: usize = 16;

/// How many values may be filled in however short the body is.
const FILLABLE_ANYWAY: usize = 1 << 16;

impl<'s> Table<'s> {
    /// No rows yet, of a body with this many bytes.
    pub(crate) fn new(schema: &'s Schema, body_length: usize) -> Self {
        Self::with_names(Names::new(schema), body_length)
    }

    /// No rows yet, under a header.
    pub(super) fn with_names(names: Names<'s>, body_length: usize) -> Self {
        let schema = names.schema();
        let column = |position: usize| {
            let field = schema.fields().get(position);
            let datatype = field.map(|field| field.datatype).or(schema.matrix()).unwrap_or(DataType::Any);
            Column::new(datatype)
        };
        Self {
            columns: (0..names.n_columns()).map(column).collect(),
            names,
            n_rows: 0,
            needs_defaults: false,
            n_fillable: body_length + FILLABLE_ANYWAY,
            gaps: Vec::new(),
        }
    }

    /// The same table, where only declared defaults stand for what a row leaves out, and for nulls.
    ///
    /// Otherwise a value that some rows leave out is missing in them, as pandas has it, if the model takes missing values
    /// there.
    pub(crate) fn needing_defaults(self) -> Self {
        Self { needs_defaults: true, ..self }
    }

    /// What the model takes.
    pub(crate) fn schema(&self) -> &'s Schema {
        self.names.schema()
    }

    /// How many whole rows there are.
    pub(crate) fn n_rows(&self) -> usize {
        self.n_rows
    }

    /// How many values a column has.
    pub(super) fn n_values(&self, position: usize) -> usize {
        self.columns[position].len()
    }

    /// The position of the column that is called `name` and stands at `index` of its row, if the model knows it.
    ///
    /// # Errors
    /// See [`Names::position`].
    #[inline]
    pub(super) fn position(&mut self, name: &str, index: usize, form: Form) -> Result<Option<usize>, Fault> {
        let position = self.names.position(name, index, form)?;
        let datatype = self.schema().matrix().unwrap_or(DataType::Any);
        if let Some(position) = position
            && position >= self.columns.len()
        {
            if self.n_rows > 0 {
                let problem = format!("the rows before have no column {}", quoted(name));
                return Err(Fault::input(form.place(Some(self.n_rows), Some(name)), problem));
            }
            self.columns.resize_with(position + 1, || Column::new(datatype));
        }
        Ok(position)
    }

    /// Adds a value to a column.
    #[inline]
    pub(super) fn push(&mut self, position: usize, value: &Scalar<'_>) -> Result<(), Misfit> {
        self.names.give(position);
        let default = self.names.schema().fields().get(position).and_then(|field| field.default.as_ref());
        match default {
            Some(default) if self.needs_defaults && *value == Scalar::Null => {
                self.columns[position].push_default(default)
            }
            _ => self.columns[position].push(value),
        }
    }

    /// Ends rows that gave values to `n_given` columns, and fills in the others.
    #[inline]
    pub(super) fn end_rows(&mut self, n_new: usize, n_given: usize, form: Form) -> Result<(), Fault> {
        if self.needs_defaults && n_given == 0 {
            self.names.require_known(form)?;
            let known = self.schema().names();
            let known = list(known.iter().map(String::as_str));
            let fault = Fault::input(form.place(Some(self.n_rows), None), "there is no feature");
            return Err(fault.with_help(format!("the model takes {known}")));
        }
        self.n_rows += n_new;
        if n_given < self.columns.len() {
            self.fill(form)?;
        }
        self.names.begin_row(self.n_rows);
        Ok(())
    }

    /// Fills columns up to the number of rows.
    fn fill(&mut self, form: Form) -> Result<(), Fault> {
        let fields = self.names.schema().fields();
        let takes_missing = |position: usize| fields.get(position).is_some_and(|field| field.takes_missing);
        let has_value = |position: usize| self.columns[position].len() == self.n_rows;
        let may_lack = |position: usize| !self.needs_defaults && takes_missing(position);
        let last_row = self.n_rows.saturating_sub(1);
        self.names.require_in(form, Some(last_row), |position| has_value(position) || may_lack(position))?;
        for (position, column) in self.columns.iter_mut().enumerate() {
            let field = fields.get(position);
            let default = field.and_then(|field| field.default.as_ref());
            let n_lacking = self.n_rows.saturating_sub(column.len());
            let is_gap = n_lacking > 0 && default.is_none() && field.is_some_and(|field| field.required);
            if is_gap && self.gaps.len() < MOST_GAPS && !self.gaps.contains(&position) {
                self.gaps.push(position);
            }
            if n_lacking > self.n_fillable {
                let problem = "too many values are left out to fill them in";
                return Err(
                    Fault::input(form.place(None, None), problem).with_help("send fewer rows at a time")
                );
            }
            self.n_fillable -= n_lacking;
            for _ in 0..n_lacking {
                match default {
                    Some(default) => {
                        column.push_default(default).map_err(|misfit| misfit.fault(String::new()))?;
                    }
                    None => column.push_missing(),
                }
            }
        }
        Ok(())
    }

    /// The batch.
    ///
    /// # Errors
    /// When columns that the model needs were never given, or there are no rows; where only defaults stand for what is
    /// left out, also when there are columns that the model does not know, which may be others misspelt.
    pub(crate) fn finish(self, form: Form) -> Result<Decoded, Fault> {
        if self.needs_defaults {
            self.names.require_known(form)?;
        }
        if self.n_rows > 0 {
            self.names.require(form)?;
        }
        if self.n_rows == 0 {
            return Err(Fault::input(form.place(None, None), "there are no rows"));
        }
        if self.columns.is_empty() {
            return Err(Fault::input(form.place(None, None), "there are no columns"));
        }
        let schema = self.schema();
        let gaps = self.gaps.iter().filter_map(|position| Some(schema.fields().get(*position)?.name.clone()));
        let gaps: Vec<String> = gaps.collect();
        let values = self.columns.into_iter().map(Column::into_values);
        let batch = if schema.matrix().is_some() {
            interleave(values.collect(), self.n_rows)
        } else {
            let named = values.zip(schema.fields());
            Batch::table(named.map(|(values, field)| Named { name: field.name.clone(), values }).collect())
        };
        Ok(Decoded { batch, form, ignored: self.names.into_unknown(&self.gaps), gaps })
    }
}

/// Columns of numbers as rows of numbers.
fn interleave(columns: Vec<Values>, n_rows: usize) -> Batch {
    let n_columns = columns.len();
    let mut matrix = vec![f64::NAN; n_rows * n_columns];
    for (position, column) in columns.into_iter().enumerate() {
        let places = matrix.iter_mut().skip(position).step_by(n_columns);
        match column {
            Values::Double(values) => places.zip(values).for_each(|(place, value)| *place = value),
            Values::Long(values) => places.zip(values).for_each(|(place, value)| *place = value as f64),
            Values::Boolean(values) => places.zip(values).for_each(|(place, value)| *place = value.into()),
            Values::Text(_) => {}
        }
    }
    Batch::matrix(n_columns, matrix)
}

// === impl Misfit ===

impl Misfit {
    /// The fault of a value that does not fit, at a place.
    pub(super) fn fault(self, place: String) -> Fault {
        let fault = Fault::input(place, format!("expected {}, got {}", self.expected, self.got));
        Fault { help: self.help.map(str::to_owned), ..fault }
    }
}
