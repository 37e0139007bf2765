//! The columns that a request names, and those of them that the model takes.

use std::collections::HashMap;

use super::{Form, Schema};
use crate::fault::{Fault, list, nearest, quoted};

/// The columns that a request names.
///
/// A model that takes a matrix has no names for its columns: it takes all, in the order in which they are named first.
#[derive(Debug)]
pub(crate) struct Names<'s> {
    schema: &'s Schema,
    /// Whether a column has come.
    is_given: Vec<bool>,
    /// The columns of a model that takes a matrix, by name.
    found: HashMap<String, usize>,
    ignored: Vec<Ignored>,
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

impl<'s> Names<'s> {
    /// No names yet.
    pub(super) fn new(schema: &'s Schema) -> Self {
        let is_given = vec![false; schema.fields().len()];
        Self { schema, is_given, found: HashMap::new(), ignored: Vec::new() }
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
    /// its position if the client keeps to the model's order. `None`, and a note, when there is no such column.
    #[inline]
    pub(super) fn position(&mut self, name: &str, index: usize, may_add: bool) -> Option<usize> {
        let position = match self.schema.matrix() {
            None => self.schema.position(name, index),
            Some(_) => self.find_or_add(name, may_add),
        };
        if position.is_none() {
            self.ignore(name, index);
        }
        position
    }

    fn find_or_add(&mut self, name: &str, may_add: bool) -> Option<usize> {
        let found = self.found.get(name).copied();
        if found.is_none() && may_add {
            self.found.insert(name.to_owned(), self.is_given.len());
            self.is_given.push(false);
            return Some(self.is_given.len() - 1);
        }
        found
    }

    fn ignore(&mut self, name: &str, index: usize) {
        let is_known = self.ignored.iter().any(|ignored| ignored.name == name);
        if !is_known && self.ignored.len() < MOST_IGNORED {
            self.ignored.push(Ignored { name: name.chars().take(SHOWN_LETTERS).collect(), index });
        }
    }

    /// Says that a column has come. Returns whether it is the first time.
    #[inline]
    pub(super) fn give(&mut self, position: usize) -> bool {
        !std::mem::replace(&mut self.is_given[position], true)
    }

    /// The position of a column that a header names, which it may do once.
    pub(super) fn place(&mut self, name: &str, index: usize, form: Form) -> Result<Option<usize>, Fault> {
        let position = self.position(name, index, true);
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
        let fields = self.schema.fields().iter().enumerate();
        let lacking = fields
            .filter(|(position, field)| field.required && field.default.is_none() && !is_given(*position));
        let missing: Vec<String> = lacking.map(|(_, field)| field.name.clone()).collect();
        if missing.is_empty() {
            return Ok(());
        }
        let names = || missing.iter().map(String::as_str);
        let problem = format!("missing columns: {}", list(names()));
        let mistaken =
            self.ignored.iter().find_map(|ignored| Some((ignored, nearest(&ignored.name, names())?)));
        let fault = match mistaken {
            None => Fault::input(form.place(row, None), problem),
            Some((Ignored { name, index }, meant)) => {
                let problem = format!("got {}, {problem}", quoted(name));
                let fault = Fault::input(form.place_of_name(name, *index), problem);
                fault.with_help(format!("did you mean {}?", quoted(meant)))
            }
        };
        Err(Fault { missing, ..fault })
    }

    /// Makes sure that the model knows all columns that have come.
    pub(super) fn require_known(&self, form: Form) -> Result<(), Fault> {
        let Some(Ignored { name, index }) = self.ignored.first() else { return Ok(()) };
        let known = || self.schema.fields().iter().map(|field| field.name.as_str());
        let left_out = self.schema.fields().iter().zip(&self.is_given).filter(|(_, is_given)| !**is_given);
        let meant = nearest(name, left_out.map(|(field, _)| field.name.as_str()));
        let help = match meant.or_else(|| nearest(name, known())) {
            Some(meant) => format!("did you mean {}?", quoted(meant)),
            None => format!("the model takes {}", list(known())),
        };
        let names = list(self.ignored.iter().map(|ignored| ignored.name.as_str()));
        let problem = format!("the model does not know {names}");
        Err(Fault::input(form.place_of_name(name, *index), problem).with_help(help))
    }

    /// The columns that were left out because the model does not know them. Only the first few are kept.
    pub(super) fn into_ignored(self) -> Vec<String> {
        self.ignored.into_iter().map(|ignored| ignored.name).collect()
    }
}
