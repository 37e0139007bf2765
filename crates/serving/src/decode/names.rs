//! The columns that a request names, and those of them that the model takes.

use std::fmt;

use models::{InputProblem, nearest};

use super::{Form, Schema};
use crate::fault::{Fault, list, quoted};

/// The columns that a request names.
///
/// A model without names for its columns takes them by the numbers in their names, and no others (decision 13).
#[derive(Debug)]
pub(crate) struct Names<'s> {
    schema: &'s Schema,
    /// Whether a column has come.
    is_given: Vec<bool>,
    /// What the only column of a model without names is called in this request.
    only: Option<String>,
    ignored: Vec<Ignored>,
    /// The row that is being read, if rows name their columns.
    row: usize,
}

/// A column that the model does not know.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Unknown {
    pub(crate) name: String,
    /// The column that may have been meant: one that rows lack.
    pub(crate) meant: Option<String>,
}

/// A column that is left out because the model does not know it.
#[derive(Debug)]
struct Ignored {
    name: String,
    /// Where it stands among the names it came with.
    index: usize,
    /// The last row that it came with, if rows name their columns.
    row: usize,
}

/// How many ignored columns are remembered.
const MOST_IGNORED: usize = 16;
/// How many letters of their names are.
const SHOWN_LETTERS: usize = 64;

impl<'s> Names<'s> {
    /// No names yet.
    pub(super) fn new(schema: &'s Schema) -> Self {
        let is_given = vec![false; schema.n_columns().unwrap_or(0)];
        Self { schema, is_given, only: None, ignored: Vec::new(), row: 0 }
    }

    /// What the model takes.
    pub(super) fn schema(&self) -> &'s Schema {
        self.schema
    }

    /// How many columns there are.
    pub(super) fn n_columns(&self) -> usize {
        self.is_given.len()
    }

    /// The position of the column that is called `name` and stands at `index` of the names in the request, which is
    /// its position if the client keeps to the model's order. `None` when the model knows the column and does not use
    /// it; `None`, and a note, when there is no such column.
    ///
    /// # Errors
    /// When the model has no names for its columns, and this one does not say where it stands.
    #[inline]
    pub(super) fn position(&mut self, name: &str, index: usize, form: Form) -> Result<Option<usize>, Fault> {
        let position = self.schema.position(name, index);
        if position.is_none() && !self.schema.has_names() {
            return self.position_without_names(name, index, form).map(Some);
        }
        if position.is_none() && !self.schema.is_unused(name) {
            self.ignore(name, index);
        }
        Ok(position)
    }

    fn position_without_names(&mut self, name: &str, index: usize, form: Form) -> Result<usize, Fault> {
        let Some(position) = self.schema.position_without_names(name) else {
            return Err(without_names(self.schema, name, form.place_of_name(name, index)));
        };
        if self.schema.n_columns() == Some(1) {
            let only = self.only.get_or_insert_with(|| name.to_owned());
            if only != name {
                let problem =
                    format!("the model takes one column, got {} and {}", quoted(only), quoted(name));
                return Err(Fault::input(form.place_of_name(name, index), problem));
            }
        }
        if position >= self.is_given.len() {
            self.is_given.resize(position + 1, false);
        }
        Ok(position)
    }

    fn ignore(&mut self, name: &str, index: usize) {
        let (row, has_room) = (self.row, self.ignored.len() < MOST_IGNORED);
        match self.ignored.iter_mut().find(|ignored| ignored.name == name) {
            Some(known) => known.row = row,
            None if has_room => {
                self.ignored.push(Ignored { name: name.chars().take(SHOWN_LETTERS).collect(), index, row });
            }
            None => {}
        }
    }

    /// Says which row is read now.
    #[inline]
    pub(super) fn begin_row(&mut self, row: usize) {
        self.row = row;
    }

    /// Says that a column has come. Returns whether it is the first time.
    #[inline]
    pub(super) fn give(&mut self, position: usize) -> bool {
        !std::mem::replace(&mut self.is_given[position], true)
    }

    /// The position of a column that a header names, which it may do once.
    pub(super) fn place(&mut self, name: &str, index: usize, form: Form) -> Result<Option<usize>, Fault> {
        let position = self.position(name, index, form)?;
        if let Some(position) = position {
            self.give_once(position, name, index, form)?;
        }
        Ok(position)
    }

    /// Says that a column has come, which must be for the first time.
    pub(super) fn give_once(
        &mut self,
        position: usize,
        name: &str,
        index: usize,
        form: Form,
    ) -> Result<(), Fault> {
        if self.give(position) {
            return Ok(());
        }
        let problem = format!("the column {} stands there twice", quoted(name));
        Err(Fault::input(form.place_of_name(name, index), problem))
    }

    /// Whether all columns that the model knows have come.
    pub(super) fn is_complete(&self) -> bool {
        self.is_given.iter().all(|is_given| *is_given)
    }

    /// Makes sure that all columns that the model needs have come.
    pub(super) fn require(&self, form: Form) -> Result<(), Fault> {
        self.require_in(form, None, |position| self.is_given[position])
    }

    /// Makes sure that a row, or the whole, has all columns that the model needs.
    pub(super) fn require_in(
        &self,
        form: Form,
        row: Option<usize>,
        is_given: impl Fn(usize) -> bool,
    ) -> Result<(), Fault> {
        let is_lacking = |position: &usize| {
            let field = self.schema.fields().get(*position);
            field.is_none_or(|field| field.required && field.default.is_none()) && !is_given(*position)
        };
        let name = |position: usize| {
            self.schema
                .fields()
                .get(position)
                .map_or_else(|| format!("x{position}"), |field| field.name.clone())
        };
        let missing: Vec<String> = (0..self.n_columns()).filter(is_lacking).map(name).collect();
        if missing.is_empty() {
            return Ok(());
        }
        let names = || missing.iter().map(String::as_str);
        let problem = format!("missing columns: {}", list(names()));
        let came_with_it = |ignored: &&Ignored| row.is_none_or(|row| ignored.row == row);
        let mut candidates = self.ignored.iter().filter(came_with_it);
        let mistaken = candidates.find_map(|ignored| Some((ignored, nearest(&ignored.name, names())?)));
        let fault = match mistaken {
            None => Fault::input(form.place(row, None), problem),
            Some((ignored, meant)) => {
                let problem = format!("got {}, {problem}", quoted(&ignored.name));
                let fault = Fault::input(ignored.place(form), problem);
                fault.with_help(format!("did you mean {}?", quoted(meant)))
            }
        };
        Err(Fault { missing, ..fault })
    }

    /// Makes sure that the model knows all columns that have come.
    pub(super) fn require_known(&self, form: Form) -> Result<(), Fault> {
        let Some(first) = self.ignored.first() else { return Ok(()) };
        let name = &first.name;
        let known = || self.schema.fields().iter().map(|field| field.name.as_str());
        let left_out = self.schema.fields().iter().zip(&self.is_given).filter(|(_, is_given)| !**is_given);
        let meant = nearest(name, left_out.map(|(field, _)| field.name.as_str()));
        let meant = meant.or_else(|| nearest(name, known())).or_else(|| nearest(name, self.schema.unused()));
        let help = match meant {
            Some(meant) => format!("did you mean {}?", quoted(meant)),
            None => format!("the model takes {}", list(known())),
        };
        let names = list(self.ignored.iter().map(|ignored| ignored.name.as_str()));
        let problem = format!("the model does not know {names}");
        Err(Fault::input(first.place(form), problem).with_help(help))
    }

    /// The columns that were left out because the model does not know them, of rows that lack the columns at these
    /// positions in part, and those that never came. Only the first few are kept.
    pub(super) fn into_unknown(self, gaps: &[usize]) -> Vec<Unknown> {
        let is_lacking = |position: usize| !self.is_given[position] || gaps.contains(&position);
        let fields = self.schema.fields().iter().enumerate();
        let lacking: Vec<&str> = fields
            .filter(|(position, _)| is_lacking(*position))
            .map(|(_, field)| field.name.as_str())
            .collect();
        let unknown = |Ignored { name, .. }: Ignored| {
            let meant = nearest(&name, lacking.iter().copied()).map(str::to_owned);
            Unknown { name, meant }
        };
        self.ignored.into_iter().map(unknown).collect()
    }
}

impl Ignored {
    fn place(&self, form: Form) -> String {
        match form {
            Form::Records(_) => form.place(Some(self.row), Some(&self.name)),
            _ => form.place_of_name(&self.name, self.index),
        }
    }
}

impl fmt::Display for Unknown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&quoted(&self.name))?;
        match &self.meant {
            Some(meant) => write!(f, " (did you mean {}?)", quoted(meant)),
            None => Ok(()),
        }
    }
}

/// The fault of a column that is named to a model that has no names.
fn without_names(schema: &Schema, name: &str, place: String) -> Fault {
    let shown: String = name.chars().take(SHOWN_LETTERS).collect();
    let problem = InputProblem::NoColumnNames { name: shown };
    let values = match schema.n_columns() {
        Some(n_columns) => format!("the {n_columns} values of each row"),
        None => "the values of each row".to_owned(),
    };
    Fault::input(place, problem.to_string()).with_help(format!(
        "send {values} as an array in the order of the columns, or declare `features` in forebay.yaml beside the model"
    ))
}
