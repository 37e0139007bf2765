//! The columns of a batch while rows come in.

use std::collections::HashMap;

use models::{Batch, Column as Named, DataType, Values};

use super::column::{Column, Misfit};
use super::{Form, Schema};
use crate::fault::{Fault, list, nearest, quoted};
use crate::json::Scalar;

/// What a body holds.
#[derive(Debug, PartialEq)]
pub(crate) struct Decoded {
    /// The rows.
    pub(crate) batch: Batch,
    /// How they were written.
    pub(crate) form: Form,
    /// Columns that the model does not know, and that were left out. Only the first few are kept.
    pub(crate) ignored: Vec<String>,
    /// Columns that the model needs, and that were filled in as missing.
    pub(crate) filled: Vec<String>,
}

/// The columns of a batch while rows come in.
///
/// Named rows of a model that takes a matrix have the columns of their first row, in its order.
#[derive(Debug)]
pub(crate) struct Table<'s> {
    schema: &'s Schema,
    columns: Vec<Column>,
    /// Whether a column has had a value that came from the client.
    is_given: Vec<bool>,
    /// The columns of a model that takes a matrix, by name.
    found: HashMap<String, usize>,
    n_rows: usize,
    ignored: Vec<Ignored>,
    /// Whether a null says that the value is left out, so that it has its default.
    leaves_out_nulls: bool,
    /// How many more values may be filled in, which takes memory that no byte of the body stands for.
    n_fillable: usize,
}

/// A column that the model does not know.
#[derive(Debug)]
struct Ignored {
    name: String,
    /// Where it stands among the names it came with.
    index: usize,
}

/// How many ignored columns are remembered.
const MOST_IGNORED: usize = 16;
/// How many letters of their names are.
const SHOWN_LETTERS: usize = 64;
/// How many values may be filled in however short the body is.
const FILLABLE_ANYWAY: usize = 1 << 16;

impl<'s> Table<'s> {
    /// No rows yet, of a body with this many bytes.
    pub(crate) fn new(schema: &'s Schema, body_length: usize) -> Self {
        let columns: Vec<Column> = schema.fields().iter().map(|field| Column::new(field.datatype)).collect();
        Self {
            schema,
            is_given: vec![false; columns.len()],
            columns,
            found: HashMap::new(),
            n_rows: 0,
            ignored: Vec::new(),
            leaves_out_nulls: false,
            n_fillable: body_length + FILLABLE_ANYWAY,
        }
    }

    /// The same table, where a null says that the value is left out.
    pub(crate) fn leaving_out_nulls(self) -> Self {
        Self { leaves_out_nulls: true, ..self }
    }

    /// Whether a null says that the value is left out.
    pub(super) fn leaves_out_nulls(&self) -> bool {
        self.leaves_out_nulls
    }

    /// What the model takes.
    pub(crate) fn schema(&self) -> &'s Schema {
        self.schema
    }

    /// How many whole rows there are.
    pub(crate) fn n_rows(&self) -> usize {
        self.n_rows
    }

    /// How many columns there are.
    pub(super) fn n_columns(&self) -> usize {
        self.columns.len()
    }

    /// How many values a column has.
    pub(super) fn n_values(&self, position: usize) -> usize {
        self.columns[position].len()
    }

    /// The position of the column that is called `name` and stands at `index` of the names in the request, which is
    /// its position if the client keeps to the model's order. `None`, and a note, when the model does not know it.
    #[inline]
    pub(super) fn position(&mut self, name: &str, index: usize) -> Option<usize> {
        let position = match self.schema.matrix() {
            None => self.schema.position(name, index),
            Some(datatype) => self.find_or_add(name, datatype),
        };
        if position.is_none() {
            self.ignore(name, index);
        }
        position
    }

    fn find_or_add(&mut self, name: &str, datatype: DataType) -> Option<usize> {
        if let Some(position) = self.found.get(name) {
            return Some(*position);
        }
        let is_first_row = self.n_rows == 0;
        is_first_row.then(|| {
            let position = self.columns.len();
            self.found.insert(name.to_owned(), position);
            self.columns.push(Column::new(datatype));
            self.is_given.push(false);
            position
        })
    }

    fn ignore(&mut self, name: &str, index: usize) {
        let is_known = self.ignored.iter().any(|ignored| ignored.name == name);
        if !is_known && self.ignored.len() < MOST_IGNORED {
            self.ignored.push(Ignored { name: name.chars().take(SHOWN_LETTERS).collect(), index });
        }
    }

    /// Adds a value to a column.
    #[inline]
    pub(super) fn push(&mut self, position: usize, value: &Scalar<'_>) -> Result<(), Misfit> {
        self.is_given[position] = true;
        self.columns[position].push(value)
    }

    /// Says that a column is there before its values come. Returns whether nobody has said so before.
    pub(super) fn give(&mut self, position: usize) -> bool {
        !std::mem::replace(&mut self.is_given[position], true)
    }

    /// Ends rows that gave values to `n_given` columns, and fills in the others.
    #[inline]
    pub(super) fn end_rows(&mut self, n_new: usize, n_given: usize, form: Form) -> Result<(), Fault> {
        self.n_rows += n_new;
        if n_given < self.columns.len() {
            self.fill(form)?;
        }
        Ok(())
    }

    /// Fills columns up to the number of rows.
    fn fill(&mut self, form: Form) -> Result<(), Fault> {
        for (position, column) in self.columns.iter_mut().enumerate() {
            let field = self.schema.fields().get(position);
            let default = field.and_then(|field| field.default.as_ref());
            let n_lacking = self.n_rows.saturating_sub(column.len());
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
    /// When columns that the model needs were never given, or there are no rows.
    pub(crate) fn finish(self, form: Form) -> Result<Decoded, Fault> {
        if self.n_rows > 0 {
            self.require_columns(form)?;
        }
        self.into_decoded(form, Vec::new())
    }

    /// The batch, where columns that were never given are missing values.
    pub(crate) fn finish_with_gaps(self, form: Form) -> Result<Decoded, Fault> {
        let lacking = self.lacking();
        self.into_decoded(form, lacking)
    }

    /// Makes sure that all columns that the model needs were given.
    pub(super) fn require_columns(&self, form: Form) -> Result<(), Fault> {
        let missing = self.lacking();
        if missing.is_empty() {
            return Ok(());
        }
        let names = || missing.iter().map(String::as_str);
        let problem = format!("missing columns: {}", list(names()));
        let mistaken =
            self.ignored.iter().find_map(|ignored| Some((ignored, nearest(&ignored.name, names())?)));
        let fault = match mistaken {
            None => Fault::input(form.place(None, None), problem),
            Some((Ignored { name, index }, meant)) => {
                let problem = format!("got {}, {problem}", quoted(name));
                let fault = Fault::input(form.place_of_name(name, *index), problem);
                fault.with_help(format!("did you mean {}?", quoted(meant)))
            }
        };
        Err(Fault { missing, ..fault })
    }

    /// The columns that the model needs, and that nobody gave.
    fn lacking(&self) -> Vec<String> {
        let fields = self.schema.fields().iter().zip(&self.is_given);
        let lacking =
            fields.filter(|(field, is_given)| !**is_given && field.required && field.default.is_none());
        lacking.map(|(field, _)| field.name.clone()).collect()
    }

    fn into_decoded(self, form: Form, filled: Vec<String>) -> Result<Decoded, Fault> {
        if self.n_rows == 0 {
            return Err(Fault::input(form.place(None, None), "there are no rows"));
        }
        let n_rows = self.n_rows;
        let values = self.columns.into_iter().map(Column::into_values);
        let batch = if self.schema.matrix().is_some() {
            interleave(values.collect(), n_rows)
        } else {
            let named = values.zip(self.schema.fields());
            Batch::table(named.map(|(values, field)| Named { name: field.name.clone(), values }).collect())
        };
        let ignored = self.ignored.into_iter().map(|ignored| ignored.name).collect();
        Ok(Decoded { batch, form, ignored, filled })
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
