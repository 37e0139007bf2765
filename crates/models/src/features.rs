//! The feature step: from what a request carries to the columns that a model was fitted with.
//!
//! It is a file `forebay.yaml` in the model's folder, and declares, so nothing of it is code:
//! ```yaml
//! name: retail-sales
//! version: v1.0
//! max_batch_size: 64      # rows of requests that wait at the same time and are predicted together
//! max_batch_time: 0.002   # seconds that the first of them may wait for others
//! method: predict_proba   # what is answered when a request does not say
//! threshold: 0.3          # of two classes, the second from this probability on
//! example: {columns: [store_id, price], data: [[4, 13.9]]}
//! features:
//!   - {name: store_id, type: long}
//!   - {name: price, type: double, default: 29.99}
//!   - {name: date, type: datetime, default: "2024-01-01"}
//!   - {name: day_of_week, from: date, part: day_of_week}
//!   - {name: reduced, expression: price * (1 - 0.1 * is_member)}
//!   - {name: shop, from: store_id}
//!   - {name: currency, value: EUR}
//! ```
//!
//! A model that was saved without column names gets them here: its columns are the features in their order, or those that
//! `columns: [price, reduced]` says when there are others beside them.

mod date;
mod expression;
mod file;

use std::collections::HashSet;

use crate::rows::{Cell, Column, short};
use crate::{Batch, Columns, DataType, Field, InputError, InputProblem, Scalar, nearest};
use date::{DatePart, PARTS};
use expression::Expression;
use file::Feature;

pub(crate) use file::{FILE, Settings, batching, check_name, parse, read};

/// Columns that are given, and columns that are made of them.
#[derive(Debug)]
pub(crate) struct Features {
    given: Vec<Given>,
    made: Vec<Made>,
    /// The names of all of them, in the order of the file.
    names: Vec<String>,
    /// Which of them are the columns of the model, if the file says.
    columns: Option<Vec<String>>,
}

/// A column that a request may carry.
#[derive(Debug)]
pub(crate) struct Given {
    pub(crate) name: String,
    pub(crate) datatype: DataType,
    pub(crate) default: Option<Scalar>,
    /// Whether the model cannot do without it.
    pub(crate) is_required: bool,
    /// Whether the model takes what becomes of missing values.
    takes_missing: bool,
}

/// A column that is made here.
struct Made {
    name: String,
    of: Source,
}

/// What a column is made of.
enum Source {
    /// A part of the date in a column.
    Date {
        from: Origin,
        part: &'static DatePart,
    },
    /// A column by another name.
    Renamed {
        from: Origin,
    },
    /// Arithmetic over columns, in the order in which the expression names them.
    Computed {
        expression: Expression,
        from: Vec<Origin>,
    },
    Constant(Scalar),
}

/// A column that others are made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Origin {
    Given(usize),
    /// One that is made before.
    Made(usize),
}

/// Reads an expression and computes it of ones, which is what fuzzers do.
pub(crate) fn compute(text: &str) {
    if let Ok(expression) = Expression::parse(text) {
        expression.evaluate(|_| 1.0);
    }
}

// === impl Features ===

impl Features {
    fn new(features: &[Feature], columns: Option<Vec<String>>) -> Result<Self, String> {
        let mut names = HashSet::new();
        let (mut given, mut made) = (Vec::new(), Vec::new());
        for (index, feature) in features.iter().enumerate() {
            let problem = |problem: String| format!("features[{index}] (`{}`): {problem}", feature.name);
            if feature.name.trim().is_empty() {
                return Err(problem("the name is empty".to_owned()));
            }
            if !names.insert(&feature.name) {
                return Err(problem("the name is taken".to_owned()));
            }
            if !feature.is_made() {
                given.push(Given::new(feature).map_err(problem)?);
            }
        }
        for (index, feature) in features.iter().enumerate() {
            if feature.is_made() {
                let problem = |problem| format!("features[{index}] (`{}`): {problem}", feature.name);
                let new = Made::new(feature, &given, &made).map_err(problem)?;
                made.push(new);
            }
        }
        let names: Vec<String> = features.iter().map(|feature| feature.name.clone()).collect();
        for (index, column) in columns.iter().flatten().enumerate() {
            if !names.contains(column) {
                return Err(format!("columns[{index}]: `{column}` is none of the features"));
            }
            if columns.iter().flatten().take(index).any(|before| before == column) {
                return Err(format!("columns[{index}]: `{column}` stands there twice"));
            }
        }
        Ok(Self { given, made, names, columns })
    }

    /// The names of the model's columns: those that it was saved with, or else what the file says.
    pub(crate) fn names_of_columns(
        &self,
        own: Option<Vec<String>>,
        n_columns: Option<usize>,
    ) -> Result<Vec<String>, String> {
        let names = match (own, &self.columns) {
            (Some(own), Some(columns)) if own != *columns => {
                return Err(format!(
                    "`columns` are not those that the model was saved with: `{}`",
                    own.join("`, `")
                ));
            }
            (Some(own), _) => return Ok(own),
            (None, Some(columns)) => columns,
            (None, None) => &self.names,
        };
        match n_columns {
            Some(n_columns) if n_columns != names.len() => Err(format!(
                "the model was saved without column names and takes {n_columns} columns, and {} are declared; say which \
                 of the features they are, in the order of the model, as `columns: [{}]`",
                names.len(),
                self.names.iter().take(2).map(|name| format!("{name}, ")).collect::<String>() + "…"
            )),
            _ => Ok(names.clone()),
        }
    }

    /// Makes sure that every feature is one of these columns, which are all that the model knows, or that one of them is
    /// made of it: another one would be asked for, and do nothing.
    ///
    /// # Errors
    /// The problem, in words, with the first feature that nobody needs.
    pub(crate) fn check_needed(&self, columns: &HashSet<&str>) -> Result<(), String> {
        let needed = self.behind(columns);
        let needed: HashSet<&str> = needed.into_iter().map(|origin| self.name(origin)).collect();
        let Some(index) = self.names.iter().position(|name| !needed.contains(name.as_str())) else {
            return Ok(());
        };
        let name = &self.names[index];
        let mut known: Vec<&str> = columns.iter().copied().collect();
        known.sort_unstable();
        let not_given = known.iter().copied().filter(|column| !needed.contains(column));
        let meant = nearest(name, not_given).or_else(|| nearest(name, known.iter().copied()));
        let help = match meant {
            Some(meant) => format!("did you mean `{meant}`?"),
            None => format!("the columns of the model are {}", list(&known)),
        };
        Err(format!(
            "features[{index}] (`{name}`): the model has no such column, and none of its columns is made of it; {help}"
        ))
    }

    /// Notes which columns are needed, and which may be missing in some rows, from those of the model that must be given
    /// and those in which it takes no missing values.
    pub(crate) fn require(&mut self, required_by_model: &HashSet<&str>, not_missing: &HashSet<&str>) {
        let (needed, not_missing) = (self.behind(required_by_model), self.behind(not_missing));
        for (index, given) in self.given.iter_mut().enumerate() {
            given.is_required = given.default.is_none() && needed.contains(&Origin::Given(index));
            given.takes_missing = !not_missing.contains(&Origin::Given(index));
        }
    }

    /// The features that are these columns, and those that they are made of.
    fn behind(&self, columns: &HashSet<&str>) -> HashSet<Origin> {
        let all = (0..self.given.len()).map(Origin::Given).chain((0..self.made.len()).map(Origin::Made));
        let mut behind: HashSet<Origin> = all.filter(|origin| columns.contains(self.name(*origin))).collect();
        // What is made of others comes after them.
        for (index, made) in self.made.iter().enumerate().rev() {
            if behind.contains(&Origin::Made(index)) {
                behind.extend(made.of.origins());
            }
        }
        behind
    }

    fn name(&self, origin: Origin) -> &str {
        match origin {
            Origin::Given(index) => &self.given[index].name,
            Origin::Made(index) => &self.made[index].name,
        }
    }

    /// The columns that a request may carry.
    pub(crate) fn fields(&self) -> Vec<Field> {
        let field = |given: &Given| Field {
            name: given.name.clone(),
            datatype: given.datatype,
            required: given.is_required,
            default: given.default.clone(),
            takes_missing: given.takes_missing,
        };
        self.given.iter().map(field).collect()
    }

    /// Whether this column is given or made here.
    pub(crate) fn knows(&self, name: &str) -> bool {
        self.given.iter().any(|given| given.name == name) || self.made.iter().any(|made| made.name == name)
    }

    /// The columns of a batch with the gaps filled, and those that are made of them. Columns that the file does not
    /// know are kept as they are.
    pub(crate) fn apply<'a>(&'a self, batch: &'a Batch) -> Result<Vec<(&'a str, Column<'a>)>, InputError> {
        let n_rows = batch.n_rows;
        let Columns::Table(columns) = &batch.columns else { return Ok(Vec::new()) };
        let mut named: Vec<(&str, Column<'a>)> = Vec::with_capacity(columns.len() + self.made.len());
        let mut places = Vec::with_capacity(self.given.len());
        let mut missing = Vec::new();
        for given in &self.given {
            let column = columns.iter().find(|column| column.name == given.name);
            let column = match (column, &given.default) {
                (Some(column), Some(default)) => fill(Column::of(&column.values), default, n_rows),
                (Some(column), None) => Column::of(&column.values),
                (None, Some(default)) => constant(default, n_rows),
                (None, None) => {
                    places.push(None);
                    if given.is_required {
                        missing.push(given.name.clone());
                    }
                    continue;
                }
            };
            places.push(Some(named.len()));
            named.push((&given.name, column));
        }
        if !missing.is_empty() {
            return Err(InputError {
                row: None,
                column: None,
                problem: InputProblem::MissingColumns { names: missing },
            });
        }
        let mut made_places = Vec::with_capacity(self.made.len());
        for made in &self.made {
            let find = |origin: &Origin| -> Option<&(&str, Column<'_>)> {
                let place = match origin {
                    Origin::Given(index) => places[*index],
                    Origin::Made(index) => made_places[*index],
                };
                place.map(|place: usize| &named[place])
            };
            let column = match &made.of {
                Source::Constant(value) => Some(constant(value, n_rows)),
                Source::Renamed { from } => find(from).map(|(_, column)| column.with_rows(n_rows)),
                Source::Date { from, part } => {
                    find(from).map(|(name, column)| date_parts(column, part, n_rows, name)).transpose()?
                }
                Source::Computed { expression, from } => {
                    let columns: Vec<Option<&(&str, Column<'_>)>> = from.iter().map(find).collect();
                    Some(computed(expression, &columns, n_rows)?)
                }
            };
            made_places.push(column.as_ref().map(|_| named.len()));
            named.extend(column.map(|column| (made.name.as_str(), column)));
        }
        let others = columns.iter().filter(|column| !self.knows(&column.name));
        named.extend(others.map(|column| (column.name.as_str(), Column::of(&column.values))));
        Ok(named)
    }
}

impl Given {
    fn new(feature: &Feature) -> Result<Self, String> {
        if feature.part.is_some() {
            return Err("`part` needs `from`".to_owned());
        }
        let datatype = match feature.datatype.as_deref() {
            None => DataType::Any,
            Some(name) => name.parse()?,
        };
        let default: Option<Scalar> = feature.default.as_ref().map(Scalar::from);
        if let Some(default) = &default
            && !fits(default, datatype)
        {
            return Err(format!("the default is no `{}`", datatype.as_str()));
        }
        let name = feature.name.clone();
        Ok(Self { name, datatype, default, is_required: true, takes_missing: false })
    }
}

impl Made {
    fn new(feature: &Feature, given: &[Given], made: &[Self]) -> Result<Self, String> {
        if feature.default.is_some() || feature.datatype.is_some() {
            return Err("a feature that is made has neither `type` nor `default`".to_owned());
        }
        let find = |name: &String, what: &str| {
            let is_given = given.iter().position(|given| given.name == *name).map(Origin::Given);
            let is_made = || made.iter().position(|made| made.name == *name).map(Origin::Made);
            is_given.or_else(is_made).ok_or_else(|| {
                format!("{what} names `{name}`, which is neither a feature that is given nor one made before")
            })
        };
        let of = match (&feature.from, &feature.part, &feature.value, &feature.expression) {
            (None, None, Some(value), None) => Source::Constant(value.into()),
            (Some(from), None, None, None) => Source::Renamed { from: find(from, "`from`")? },
            (Some(from), Some(part), None, None) => {
                let names = || PARTS.iter().map(|part| part.name).collect::<Vec<_>>().join(", ");
                let known = PARTS.iter().find(|known| known.name == *part);
                let part =
                    known.ok_or_else(|| format!("`part` is `{part}`, which is none of {}", names()))?;
                Source::Date { from: find(from, "`from`")?, part }
            }
            (None, None, None, Some(text)) => {
                let expression = Expression::parse(text)?;
                let from = expression.columns.iter().map(|name| find(name, "`expression`"));
                Source::Computed { from: from.collect::<Result<_, _>>()?, expression }
            }
            _ => {
                return Err(
                    "it is made by one of `from` (and maybe `part`), `expression` and `value`".to_owned()
                );
            }
        };
        Ok(Self { name: feature.name.clone(), of })
    }
}

impl Source {
    /// The columns that it needs.
    fn origins(&self) -> Vec<Origin> {
        match self {
            Self::Date { from, .. } | Self::Renamed { from } => vec![*from],
            Self::Computed { from, .. } => from.clone(),
            Self::Constant(_) => Vec::new(),
        }
    }
}

impl std::fmt::Debug for Made {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.of {
            Source::Date { from, part } => write!(f, "{} = {} of {from:?}", self.name, part.name),
            Source::Renamed { from } => write!(f, "{} = {from:?}", self.name),
            Source::Computed { expression, .. } => write!(f, "{} = {expression:?}", self.name),
            Source::Constant(value) => write!(f, "{} = {value:?}", self.name),
        }
    }
}

/// Names as they may stand in a message.
fn list(names: &[&str]) -> String {
    /// How many of them are shown.
    const SHOWN: usize = 20;

    let shown = format!("`{}`", names[..names.len().min(SHOWN)].join("`, `"));
    match names.len().saturating_sub(SHOWN) {
        0 => shown,
        n_more => format!("{shown} and {n_more} more"),
    }
}

fn fits(value: &Scalar, datatype: DataType) -> bool {
    match datatype {
        DataType::Any => true,
        DataType::Boolean => matches!(value, Scalar::Boolean(_)),
        DataType::Integer | DataType::Long => matches!(value, Scalar::Long(_)),
        DataType::Float | DataType::Double => matches!(value, Scalar::Double(_) | Scalar::Long(_)),
        DataType::Datetime => matches!(value, Scalar::Text(text) if date::parse(text).is_some()),
        DataType::String | DataType::Binary => matches!(value, Scalar::Text(_)),
    }
}

fn constant(value: &Scalar, n_rows: usize) -> Column<'static> {
    match value {
        Scalar::Double(number) => Column::Double(vec![*number; n_rows].into()),
        Scalar::Long(long) => Column::Long(vec![*long; n_rows].into()),
        Scalar::Boolean(flag) => Column::Boolean(vec![*flag; n_rows].into()),
        Scalar::Text(text) => Column::texts(std::iter::repeat_n(Some(text.as_str()), n_rows).collect()),
    }
}

/// A column with a value in the place of those that are missing. It stays as it is if the value has another type.
fn fill<'a>(column: Column<'a>, default: &Scalar, n_rows: usize) -> Column<'a> {
    let is_missing = |row: usize| column.cell(row) == Cell::Missing;
    match (&column, default) {
        _ if !(0..n_rows).any(is_missing) => column,
        _ if (0..n_rows).all(is_missing) => constant(default, n_rows),
        (Column::Double(doubles), Scalar::Double(_) | Scalar::Long(_) | Scalar::Boolean(_)) => {
            let default = match default {
                Scalar::Double(number) => *number,
                Scalar::Long(long) => *long as f64,
                Scalar::Boolean(flag) => f64::from(*flag),
                Scalar::Text(_) => f64::NAN,
            };
            let filled = doubles.iter().map(|double| if double.is_nan() { default } else { *double });
            Column::Double(filled.collect())
        }
        (Column::Text { texts, start }, Scalar::Text(default)) => {
            Column::texts((0..n_rows).map(|row| texts.get(start + row).or(Some(default))).collect())
        }
        _ => column,
    }
}

/// What an expression gives for each row; missing where a column that it needs is.
fn computed(
    expression: &Expression,
    columns: &[Option<&(&str, Column<'_>)>],
    n_rows: usize,
) -> Result<Column<'static>, InputError> {
    for (name, column) in columns.iter().flatten() {
        if let Some((row, text)) = column.first_text(n_rows) {
            let problem =
                InputProblem::WrongType { expected: "a number", got: format!("the text `{}`", short(text)) };
            return Err(InputError { row: Some(row), column: Some((*name).to_owned()), problem });
        }
    }
    let number = |row: usize| {
        expression.evaluate(|index| columns[index].map_or(f64::NAN, |(_, column)| column.double(row)))
    };
    Ok(Column::Double((0..n_rows).map(number).collect()))
}

/// A part of each date of a column; missing where the date is.
fn date_parts(
    column: &Column<'_>,
    part: &DatePart,
    n_rows: usize,
    name: &str,
) -> Result<Column<'static>, InputError> {
    let part_of = |row: usize| {
        let cell = column.cell(row);
        let date = match cell {
            Cell::Missing => return Ok(None),
            Cell::Text(text) => date::parse(text),
            _ => None,
        };
        date.map(|date| Some((part.of)(date))).ok_or_else(|| {
            let got = match cell {
                Cell::Text(text) => format!("`{}`", short(text)),
                cell => cell.show(),
            };
            let problem = InputProblem::WrongType { expected: "an ISO 8601 date", got };
            InputError { row: Some(row), column: Some(name.to_owned()), problem }
        })
    };
    let parts: Vec<Option<i64>> = (0..n_rows).map(part_of).collect::<Result<_, _>>()?;
    Ok(match parts.iter().copied().collect::<Option<Vec<i64>>>() {
        Some(longs) => Column::Long(longs.into()),
        None => Column::Double(parts.iter().map(|part| part.map_or(f64::NAN, |part| part as f64)).collect()),
    })
}

#[cfg(test)]
mod tests;
