//! Tables as kubectl aligns them: three spaces between columns, none at the end of a line.

use serde_json::Value;

/// Spaces between columns.
const PADDING: usize = 3;
/// A column with its padding is at least this wide.
const MIN_WIDTH: usize = 6;

/// A table that the API has sent.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Table {
    pub(crate) headers: Vec<String>,
    pub(crate) rows: Vec<Vec<String>>,
}

/// Which parts of a table are shown.
#[derive(Debug, Clone, Default)]
pub(crate) struct Shown {
    /// The columns that do not fit a narrow terminal.
    pub(crate) wide: bool,
    /// A column with the namespace before all.
    pub(crate) namespace: bool,
    /// What stands before each name, for example `service/`.
    pub(crate) prefix: String,
}

/// Prints rows below each other. Later rows keep the widths of earlier ones.
#[derive(Debug, Default)]
pub(crate) struct Printer {
    widths: Vec<usize>,
}

// === impl Table ===

impl Table {
    /// Reads a `Table` of `meta.k8s.io`.
    pub(crate) fn of(value: &Value, shown: &Shown) -> Self {
        let columns = value["columnDefinitions"].as_array().map(Vec::as_slice).unwrap_or_default();
        let is_shown = |index: &usize| shown.wide || columns[*index]["priority"].as_u64().unwrap_or(0) == 0;
        let indices: Vec<usize> = (0..columns.len()).filter(is_shown).collect();
        let header = |index: &usize| columns[*index]["name"].as_str().unwrap_or_default().to_uppercase();
        let rows = value["rows"].as_array().into_iter().flatten().map(|row| {
            let namespace = row["object"]["metadata"]["namespace"].as_str().unwrap_or_default();
            let cells = indices.iter().map(|index| {
                let is_name = columns[*index]["format"] == "name";
                let prefix = if is_name { shown.prefix.as_str() } else { "" };
                format!("{prefix}{}", cell(&row["cells"][*index]))
            });
            shown.namespace.then(|| namespace.to_owned()).into_iter().chain(cells).collect()
        });
        let namespace_header = shown.namespace.then(|| "NAMESPACE".to_owned());
        Self {
            headers: namespace_header.into_iter().chain(indices.iter().map(header)).collect(),
            rows: rows.collect(),
        }
    }
}

/// A cell on one line: what comes after it is cut, and said to be.
fn cell(value: &Value) -> String {
    let text = match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    match text.find(['\n', '\r', '\u{c}']) {
        Some(end) => format!("{}...", &text[..end]),
        None => text,
    }
}

// === impl Printer ===

impl Printer {
    /// Lines of rows.
    pub(crate) fn print(&mut self, rows: &[Vec<String>]) -> String {
        for row in rows {
            self.widths.resize(self.widths.len().max(row.len()), MIN_WIDTH);
            for (width, cell) in self.widths.iter_mut().zip(row) {
                *width = (*width).max(cell.chars().count() + PADDING);
            }
        }
        rows.iter().map(|row| self.line(row)).collect()
    }

    fn line(&self, row: &[String]) -> String {
        let mut line = String::new();
        for (index, (cell, width)) in row.iter().zip(&self.widths).enumerate() {
            line.push_str(cell);
            if index + 1 < row.len() {
                line.extend(std::iter::repeat_n(' ', width - cell.chars().count()));
            }
        }
        line.push('\n');
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;
    use serde_json::json;

    fn table() -> Value {
        let row = |name: &str, namespace: &str, age: &str| json!({"cells": [name, 3, null, age, "app=web"], "object": {"metadata": {"namespace": namespace}}});
        json!({
            "columnDefinitions": [
                {"name": "Name", "format": "name", "priority": 0}, {"name": "Up-to-date", "priority": 0},
                {"name": "A", "priority": 0}, {"name": "Age", "priority": 0}, {"name": "Selector", "priority": 1}],
            "rows": [row("retail-api", "mlops", "5m"), row("é", "default", "two\nlines")],
        })
    }

    fn printed(shown: &Shown) -> String {
        let table = Table::of(&table(), shown);
        let mut printer = Printer::default();
        printer.print(&[vec![table.headers], table.rows].concat())
    }

    #[test]
    fn acc_s3_128_columns_are_three_spaces_apart() {
        expect![[r#"
            NAME         UP-TO-DATE   A     AGE
            retail-api   3                  5m
            é            3                  two...
        "#]]
        .assert_eq(&printed(&Shown::default()));
        expect![[r#"
            NAMESPACE   NAME                 UP-TO-DATE   A     AGE      SELECTOR
            mlops       service/retail-api   3                  5m       app=web
            default     service/é            3                  two...   app=web
        "#]]
        .assert_eq(&printed(&Shown { wide: true, namespace: true, prefix: "service/".to_owned() }));
    }

    #[test]
    fn rows_that_come_later_keep_the_widths() {
        let mut printer = Printer::default();
        let row = |cells: &[&str]| vec![cells.iter().map(|cell| (*cell).to_owned()).collect()];
        assert_eq!(printer.print(&row(&["long-name", "b"])), "long-name   b\n");
        assert_eq!(printer.print(&row(&["a", "b"])), "a           b\n");
        assert_eq!(printer.print(&row(&["a-longer-name", "b"])), "a-longer-name   b\n");
    }

    #[test]
    fn an_answer_that_is_no_table_has_no_rows() {
        assert_eq!(
            Table::of(&json!({"rows": [1], "columnDefinitions": [2]}), &Shown::default()).rows,
            [vec![""]]
        );
        assert_eq!(Table::of(&json!(null), &Shown::default()), Table::default());
    }
}
