//! Request bodies to batches: the forms in which rows come, each read straight into typed columns.
//!
//! A form is a way to write rows (lists, records, columns, CSV, tensors) and knows no protocol. What the values must be
//! is said by the model's [`Schema`]; a [`Table`] takes them column by column.
//!
//! What is allocated is bounded by the length of the body: a value has at least one byte, and the values that are left
//! out, and filled in, have a budget.

mod column;
mod csv;
mod form;
mod names;
mod parquet;
mod records;
mod rows;
mod schema;
mod table;
mod tensor;

pub(crate) use column::describe;
pub(crate) use csv::{csv, header as csv_header};
pub(crate) use form::Form;
pub(crate) use parquet::{header as parquet_header, parquet};
pub(crate) use records::{columns, read_object, records};
pub(crate) use rows::{Positions, begin_rows, list, read_values, split};
pub(crate) use schema::Schema;
pub(crate) use table::{Decoded, Table};
pub(crate) use tensor::{Data, Datatype, Elements, Json, Lists, Tensor, datatype_name, tensors};

#[cfg(test)]
mod tests;
