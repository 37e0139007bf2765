//! Tables of figures that compare with nothing: each has columns of its own.

use std::fmt;

use serde_json::{Map, Value, json};

use super::{Findings, machine};

/// What a benchmark found.
#[derive(Debug)]
pub(super) struct Tables {
    name: &'static str,
    busyness: f64,
    pub(super) tables: Vec<Table>,
}

/// Figures of one kind.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) name: &'static str,
    /// What the figures mean, in sentences.
    pub(super) notes: Vec<String>,
    pub(super) columns: &'static [&'static str],
    pub(super) rows: Vec<Row>,
}

/// What was measured, and as many figures as there are columns; nothing where there is none.
pub(super) type Row = (String, Vec<Option<f64>>);

/// A figure of how many there are.
#[expect(clippy::cast_precision_loss, reason = "counts of a benchmark")]
pub(super) fn count(n: usize) -> Option<f64> {
    Some(n as f64)
}

/// One of sorted figures, so many thousandths of all from the first; nothing of none.
pub(super) fn part(sorted: &[f64], thousandths: usize) -> Option<f64> {
    sorted.get((sorted.len() * thousandths / 1000).min(sorted.len().saturating_sub(1))).copied()
}

// === impl Tables ===

impl Tables {
    pub(super) fn new(name: &'static str) -> Self {
        Self { name, busyness: machine::busyness(), tables: Vec::new() }
    }
}

impl Findings for Tables {
    fn json(&self) -> Value {
        json!({
            "bench": self.name,
            "machine": machine::description(),
            "load_average_before": self.busyness,
            "tables": self.tables.iter().map(Table::json).collect::<Vec<_>>(),
        })
    }
}

impl fmt::Display for Tables {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.tables.iter().try_for_each(|table| writeln!(f, "{table}"))?;
        writeln!(f, "load average before: {:.1}", self.busyness)?;
        writeln!(f, "{}", machine::description())
    }
}

// === impl Table ===

impl Table {
    fn json(&self) -> Value {
        let row = |(name, figures): &Row| {
            let figures = self
                .columns
                .iter()
                .zip(figures)
                .map(|(column, figure)| ((*column).to_owned(), json!(figure)));
            let mut row: Map<String, Value> = figures.collect();
            row.insert("what".to_owned(), json!(name));
            Value::Object(row)
        };
        let rows: Vec<Value> = self.rows.iter().map(row).collect();
        json!({"table": self.name, "notes": self.notes, "rows": rows})
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self.rows.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
        writeln!(f, "{}", self.name)?;
        let heads = self.columns.iter().map(|column| format!("  {column:>8}"));
        writeln!(f, "  {:width$}{}", "", heads.collect::<String>())?;
        for (name, figures) in &self.rows {
            let cell = |(column, figure): (&&str, &Option<f64>)| {
                format!(
                    "  {:>width$}",
                    figure.map_or_else(String::new, shown),
                    width = column.chars().count().max(8)
                )
            };
            let cells = self.columns.iter().zip(figures).map(cell);
            writeln!(f, "  {name:width$}{}", cells.collect::<String>())?;
        }
        self.notes.iter().try_for_each(|note| writeln!(f, "  {note}"))
    }
}

/// As many digits as say something.
fn shown(figure: f64) -> String {
    let digits = if figure.fract() == 0.0 || figure >= 100.0 { 0 } else { usize::from(figure < 10.0) + 1 };
    format!("{figure:.digits$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_text_and_an_object() {
        let rows = vec![
            ("a fault".to_owned(), vec![Some(1.25), Some(20.0)]),
            ("b".to_owned(), vec![None, Some(123.4)]),
        ];
        let table =
            Table { name: "faults", notes: vec!["All of it.".to_owned()], columns: &["p50 ms", "n"], rows };
        let text = "\
faults
             p50 ms         n
  a fault      1.25        20
  b                       123
  All of it.
";
        assert_eq!(table.to_string(), text);
        assert_eq!(table.json()["rows"][0], json!({"what": "a fault", "p50 ms": 1.25, "n": 20.0}));
        assert_eq!(table.json()["rows"][1]["p50 ms"], Value::Null);
    }

    #[test]
    fn parts_are_counted_from_the_first() {
        let sorted: Vec<f64> = (0..100).map(f64::from).collect();
        assert_eq!(
            [part(&sorted, 500), part(&sorted, 990), part(&sorted, 1000), part(&[], 500)],
            [Some(50.0), Some(99.0), Some(99.0), None]
        );
    }
}
