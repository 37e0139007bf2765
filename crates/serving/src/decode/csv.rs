//! Rows as lines of CSV (RFC 4180) under a header, with the types that the model declares, or that pandas would find.

use std::borrow::Cow;

use models::{DataType, Texts};

use super::names::Names;
use super::{Decoded, Form, Schema, Table};
use crate::fault::{Cause, Fault};
use crate::json::{BYTE_ORDER_MARK, Scalar};

/// What pandas takes for a missing value.
const MISSING: [&str; 17] = [
    "", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN", "<NA>", "N/A",
    "NA", "NULL", "NaN", "n/a", "nan",
];

/// Reads a header line and one row for each line after it.
pub(crate) fn csv(body: &[u8], schema: &Schema) -> Result<Decoded, Fault> {
    let form = Form::Lines;
    let mut lines = Lines { rest: text(body)?, line: 1 };
    let mut header = Vec::new();
    let mut first_line = FirstLine::default();
    if !lines.is_at_end() {
        lines.fields(|_, name| {
            first_line.add(name.trim());
            header.push(name.trim().to_owned());
            Ok(())
        })?;
    }
    if first_line.is_values() && schema.matrix().is_some() {
        let fault = Fault::new(Cause::Format, "expected the names of the columns, got numbers").at("line 1");
        return Err(fault.with_help("begin with a header, such as `a,b,c`"));
    }
    let mut names = Names::new(schema);
    let positions = header.iter().enumerate().map(|(index, name)| names.place(name, index, form));
    let positions: Vec<Option<usize>> = positions.collect::<Result<_, _>>()?;
    names.require(form)?;
    let mut table = Table::with_names(names, body.len());
    let (cells, n_rows) = read_cells(&mut lines, positions.len())?;
    for (cells, position) in cells.iter().zip(&positions) {
        if let Some(position) = position {
            push_cells(cells, &mut table, *position, form)?;
        }
    }
    let n_given = positions.iter().flatten().count();
    table.end_rows(n_rows, n_given, form)?;
    table.finish(form)
}

/// The names of the columns.
pub(crate) fn header(body: &[u8]) -> Result<Vec<String>, Fault> {
    let mut lines = Lines { rest: text(body)?, line: 1 };
    let mut names = Vec::new();
    if !lines.is_at_end() {
        lines.fields(|_, name| {
            names.push(name.trim().to_owned());
            Ok(())
        })?;
    }
    Ok(names)
}

fn text(body: &[u8]) -> Result<&str, Fault> {
    let body = body.strip_prefix(BYTE_ORDER_MARK).unwrap_or(body);
    std::str::from_utf8(body).map_err(|error| {
        Fault::new(Cause::Format, format!("the body is not UTF-8 at byte {}", error.valid_up_to()))
    })
}

/// What the fields of the first line are. Whole numbers may be names: pandas calls columns 0, 1, 2 if nobody else does.
#[derive(Default)]
struct FirstLine {
    has_words: bool,
    has_fractions: bool,
}

impl FirstLine {
    fn add(&mut self, field: &str) {
        self.has_words |= field.parse::<f64>().is_err();
        self.has_fractions |= field.parse::<u32>().is_err();
    }

    /// Whether they are a row of numbers where the names of the columns should be.
    fn is_values(&self) -> bool {
        self.has_fractions && !self.has_words
    }
}

/// Reads all lines into columns of text.
fn read_cells(lines: &mut Lines<'_>, n_columns: usize) -> Result<(Vec<Texts>, usize), Fault> {
    let mut columns: Vec<Texts> = (0..n_columns).map(|_| Texts::default()).collect();
    let mut n_rows = 0;
    while !lines.is_at_end() {
        let line = lines.line;
        let wrong_length = |n_fields: usize| {
            let problem = format!("expected {n_columns} fields, as the header has, got {n_fields}");
            Fault::new(Cause::Format, problem).at(format!("line {line}"))
        };
        let n_fields = lines.fields(|index, field| {
            let column = columns.get_mut(index).ok_or_else(|| wrong_length(index + 1))?;
            match MISSING.contains(&field.as_ref()) {
                true => column.push_missing(),
                false => column.push(&field),
            }
            Ok(())
        })?;
        if n_fields < n_columns {
            return Err(wrong_length(n_fields));
        }
        n_rows += 1;
    }
    Ok((columns, n_rows))
}

/// Adds the cells of a column in the narrowest type that all of them have, when none is declared.
fn push_cells(cells: &Texts, table: &mut Table<'_>, position: usize, form: Form) -> Result<(), Fault> {
    let declared =
        table.schema().fields().get(position).map(|field| field.datatype).or(table.schema().matrix());
    let is_declared = declared != Some(DataType::Any);
    let readings: [fn(&str) -> Option<Scalar<'_>>; 3] = [
        |cell| cell.trim().parse().ok().map(Scalar::Long),
        |cell| cell.trim().parse().ok().map(Scalar::Double),
        |cell| truth(cell).map(Scalar::Boolean),
    ];
    let fits = |reading: &&fn(&str) -> Option<Scalar<'_>>| {
        cells.iter().flatten().all(|cell| reading(cell).is_some())
    };
    // Where numbers are declared, pandas' `True` and `False` are 1 and 0; where texts are, they are texts.
    let is_number =
        matches!(declared, Some(DataType::Double | DataType::Float | DataType::Integer | DataType::Long));
    let takes = if is_number { &readings[2..] } else { &readings[..] };
    let reading = takes.iter().filter(|_| !is_declared || is_number).find(fits);
    for (row, cell) in cells.iter().enumerate() {
        let value = match (cell, reading) {
            (None, _) => Scalar::Null,
            (Some(cell), Some(reading)) => reading(cell).unwrap_or(Scalar::Null),
            (Some(cell), None) => Scalar::Text(Cow::Borrowed(cell)),
        };
        table.push(position, &value).map_err(|misfit| {
            let name = table.schema().fields().get(position).map(|field| field.name.as_str());
            misfit.fault(form.place(Some(row), name))
        })?;
    }
    Ok(())
}

fn truth(cell: &str) -> Option<bool> {
    match cell {
        "true" | "True" | "TRUE" => Some(true),
        "false" | "False" | "FALSE" => Some(false),
        _ => None,
    }
}

/// The lines that are still to be read.
struct Lines<'a> {
    rest: &'a str,
    /// The number of the next line, from 1.
    line: usize,
}

impl<'a> Lines<'a> {
    /// Whether all lines were read. Passes over empty ones, as pandas does.
    fn is_at_end(&mut self) -> bool {
        while let Some(rest) = self.rest.strip_prefix('\n').or_else(|| self.rest.strip_prefix("\r\n")) {
            self.rest = rest;
            self.line += 1;
        }
        self.rest.is_empty()
    }

    /// Reads the fields of the next line, and says how many there are.
    fn fields(
        &mut self,
        mut take: impl FnMut(usize, Cow<'a, str>) -> Result<(), Fault>,
    ) -> Result<usize, Fault> {
        let mut n_fields = 0;
        loop {
            let field = match self.rest.strip_prefix('"') {
                Some(rest) => self.quoted_field(rest)?,
                None => {
                    let length = self.rest.find([',', '\n']).unwrap_or(self.rest.len());
                    let (field, rest) = self.rest.split_at(length);
                    self.rest = rest;
                    let ends_line = !rest.starts_with(',');
                    Cow::Borrowed(if ends_line { field.strip_suffix('\r').unwrap_or(field) } else { field })
                }
            };
            take(n_fields, field)?;
            n_fields += 1;
            let ending = [",", "\r\n", "\n"].into_iter().find(|ending| self.rest.starts_with(ending));
            self.rest = &self.rest[ending.map_or(0, str::len)..];
            match ending {
                Some(",") => {}
                None if !self.rest.is_empty() => {
                    let problem = "expected a comma or the end of the line after a quoted field";
                    return Err(Fault::new(Cause::Format, problem).at(format!("line {}", self.line)));
                }
                _ => {
                    self.line += 1;
                    return Ok(n_fields);
                }
            }
        }
    }

    /// Reads a field up to the quote that ends it; two quotes stand for one.
    fn quoted_field(&mut self, after_quote: &'a str) -> Result<Cow<'a, str>, Fault> {
        let mut field = Cow::Borrowed("");
        let mut rest = after_quote;
        loop {
            let Some((part, after)) = rest.split_once('"') else {
                let problem = "a quoted field does not end";
                return Err(Fault::new(Cause::Format, problem).at(format!("line {}", self.line)));
            };
            self.line += part.bytes().filter(|&byte| byte == b'\n').count();
            field += part;
            match after.strip_prefix('"') {
                Some(after) => {
                    field += "\"";
                    rest = after;
                }
                None => {
                    self.rest = after;
                    return Ok(field);
                }
            }
        }
    }
}
