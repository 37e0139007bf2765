//! What a Parquet file says of itself at its end ("File Format", parquet.apache.org, and its `parquet.thrift`).

use super::Problem;
use super::thrift::{self, Bytes, Value};

const MAGIC: &[u8] = b"PAR1";
const ENCRYPTED: &[u8] = b"PARE";

/// What a file holds.
#[derive(Debug)]
pub(super) struct Metadata {
    pub(super) columns: Vec<Column>,
    pub(super) n_rows: usize,
}

/// A column, with its pieces in the order of rows.
#[derive(Debug)]
pub(super) struct Column {
    pub(super) name: String,
    pub(super) physical: Physical,
    pub(super) meaning: Meaning,
    /// Whether values may be missing.
    pub(super) is_optional: bool,
    pub(super) chunks: Vec<Chunk>,
}

/// The values of a column in one group of rows.
#[derive(Debug)]
pub(super) struct Chunk {
    pub(super) codec: i64,
    pub(super) n_values: usize,
    pub(super) start: usize,
    pub(super) length: usize,
}

/// How values are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Physical {
    Boolean,
    Int32,
    Int64,
    Int96,
    Float,
    Double,
    Bytes,
    FixedBytes(usize),
}

/// What stored values mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Meaning {
    Plain,
    Unsigned,
    /// Days since 1970.
    Date,
    /// So many units of a second since 1970.
    Timestamp {
        per_second: i64,
    },
    /// A whole number with so many places after the point.
    Decimal {
        scale: u8,
    },
}

/// The longest fixed length of values that are read: those of decimals.
const MAX_FIXED_BYTES: usize = 16;

/// Reads the description of a file.
pub(super) fn read(file: &[u8]) -> Result<Metadata, Problem> {
    let is_parquet = file.len() >= 12 && file.starts_with(MAGIC) && file.ends_with(MAGIC);
    if !is_parquet {
        let is_encrypted = file.ends_with(ENCRYPTED);
        return Err(Problem::new(if is_encrypted { "it is encrypted" } else { "it is no Parquet file" }));
    }
    let (before, tail) = file.split_at(file.len() - 8);
    let length = Bytes { rest: tail }.array().map(u32::from_le_bytes)? as usize;
    let start = before.len().checked_sub(length).ok_or_else(|| Problem::new("its description is cut off"))?;
    let footer = thrift::structure(&mut Bytes { rest: &before[start..] })?;
    let mut columns = columns(footer.list(2))?;
    for group in footer.list(4) {
        let chunks = group.list(1);
        if chunks.len() != columns.len() {
            return Err(Problem::new("a group of rows has not all columns"));
        }
        for (column, chunk) in columns.iter_mut().zip(chunks) {
            column.chunks.push(self::chunk(chunk, group.count(3))?);
        }
    }
    let n_rows = footer.count(3).ok_or_else(|| Problem::new("it does not say how many rows it has"))?;
    let is_whole = |column: &Column| {
        let n_values = column.chunks.iter().try_fold(0_usize, |n, chunk| n.checked_add(chunk.n_values));
        n_values == Some(n_rows)
    };
    if !columns.iter().all(is_whole) {
        return Err(Problem::new("its columns have not as many values as it has rows"));
    }
    Ok(Metadata { columns, n_rows })
}

/// The columns of a schema, all of which stand directly in its root.
fn columns(schema: &[Value<'_>]) -> Result<Vec<Column>, Problem> {
    let Some((root, elements)) = schema.split_first() else { return Err(Problem::new("it has no schema")) };
    if root.count(5) != Some(elements.len()) {
        let nested = elements.iter().find(|element| element.integer(5).is_some_and(|n| n > 0));
        let name = nested.and_then(|element| element.text(4)).unwrap_or_default();
        return Err(Problem::in_column(
            name,
            "it holds lists or structures, and a model takes single values",
        ));
    }
    elements.iter().map(column).collect()
}

fn column(element: &Value<'_>) -> Result<Column, Problem> {
    let name = element.text(4).ok_or_else(|| Problem::new("a column has no name"))?;
    if element.integer(3) == Some(2) {
        return Err(Problem::in_column(name, "it holds lists, and a model takes single values"));
    }
    let physical = match element.integer(1) {
        Some(0) => Physical::Boolean,
        Some(1) => Physical::Int32,
        Some(2) => Physical::Int64,
        Some(3) => Physical::Int96,
        Some(4) => Physical::Float,
        Some(5) => Physical::Double,
        Some(6) => Physical::Bytes,
        Some(7) => {
            let length = element.count(2).filter(|length| (1..=MAX_FIXED_BYTES).contains(length));
            Physical::FixedBytes(length.ok_or_else(|| Problem::in_column(name, "its values are too long"))?)
        }
        _ => return Err(Problem::in_column(name, "its type is not known")),
    };
    let meaning = meaning(element, physical).map_err(|problem| Problem::in_column(name, problem))?;
    let is_optional = element.integer(3) == Some(1);
    Ok(Column { name: name.to_owned(), physical, meaning, is_optional, chunks: Vec::new() })
}

/// What the values of a column mean, by its logical type, or in older files by its converted one.
fn meaning(element: &Value<'_>, physical: Physical) -> Result<Meaning, &'static str> {
    let logical = match element.get(10) {
        Some(Value::Struct(fields)) => fields.first(),
        _ => None,
    };
    let scale = |scale: Option<i64>| {
        let scale = u8::try_from(scale.unwrap_or(0)).ok().filter(|scale| *scale <= 38);
        scale.map(|scale| Meaning::Decimal { scale }).ok_or("its decimals have too many places")
    };
    let of_time = "it holds times of a day, which no model takes";
    let meaning = match (logical, element.integer(6)) {
        (Some((5, decimal)), _) => scale(decimal.integer(1))?,
        (None, Some(5)) => scale(element.integer(7))?,
        (Some((6, _)), _) | (None, Some(6)) => Meaning::Date,
        (Some((7, _)), _) | (None, Some(7 | 8)) => return Err(of_time),
        (Some((8, timestamp)), _) => {
            let unit = match timestamp.get(2) {
                Some(Value::Struct(fields)) => fields.first().map(|(id, _)| *id),
                _ => None,
            };
            let per_second = match unit {
                Some(1) => 1_000,
                Some(2) => 1_000_000,
                Some(3) => 1_000_000_000,
                _ => return Err("its times are of an unknown unit"),
            };
            Meaning::Timestamp { per_second }
        }
        (None, Some(9)) => Meaning::Timestamp { per_second: 1_000 },
        (None, Some(10)) => Meaning::Timestamp { per_second: 1_000_000 },
        (Some((10, integer)), _) if integer.get(2) == Some(&Value::Boolean(false)) => Meaning::Unsigned,
        (None, Some(11..=14)) => Meaning::Unsigned,
        (Some((12..=16, _)), _) if matches!(physical, Physical::FixedBytes(_)) => {
            return Err("its type is not read here; save it as double or as a text");
        }
        _ => Meaning::Plain,
    };
    let fits = match (meaning, physical) {
        (Meaning::Plain, Physical::FixedBytes(_)) => false,
        (Meaning::Plain, _) => true,
        (Meaning::Date, physical) => physical == Physical::Int32,
        (Meaning::Timestamp { .. }, physical) => physical == Physical::Int64,
        (Meaning::Unsigned, physical) => matches!(physical, Physical::Int32 | Physical::Int64),
        (Meaning::Decimal { .. }, physical) => {
            matches!(physical, Physical::Int32 | Physical::Int64 | Physical::Bytes | Physical::FixedBytes(_))
        }
    };
    if fits { Ok(meaning) } else { Err("its type is not read here; save it as double or as a text") }
}

fn chunk(chunk: &Value<'_>, n_rows: Option<usize>) -> Result<Chunk, Problem> {
    let cut_off = || Problem::new("its description lacks where a column is");
    if chunk.get(1).is_some() {
        return Err(Problem::new("its columns are in other files"));
    }
    let metadata = chunk.get(3).ok_or_else(cut_off)?;
    let data = metadata.count(9).ok_or_else(cut_off)?;
    let dictionary = metadata.count(11).filter(|at| *at > 0 && *at < data);
    let n_values = metadata.count(5).filter(|n| n_rows.is_none_or(|n_rows| *n == n_rows));
    Ok(Chunk {
        codec: metadata.integer(4).ok_or_else(cut_off)?,
        n_values: n_values
            .ok_or_else(|| Problem::new("a column has not as many values as there are rows"))?,
        start: dictionary.unwrap_or(data),
        length: metadata.count(7).ok_or_else(cut_off)?,
    })
}
