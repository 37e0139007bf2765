//! One column that is being read: what may stand in it, and what it becomes.

use std::borrow::Cow;

use models::{DataType, Scalar as Default, Texts, Values};

use crate::fault::quoted;
use crate::json::Scalar;

/// A column that is being read.
#[derive(Debug)]
pub(super) struct Column {
    datatype: DataType,
    values: Values,
    /// Whether the type is still to be found out: nothing is declared, and nothing came but missing values.
    is_undecided: bool,
}

/// Why a value may not stand in a column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Misfit {
    pub(super) expected: &'static str,
    pub(super) got: String,
    pub(super) help: Option<&'static str>,
}

impl Column {
    /// An empty column of a type.
    pub(super) fn new(datatype: DataType) -> Self {
        let values = match datatype {
            DataType::Any | DataType::Float | DataType::Double => Values::Double(Vec::new()),
            DataType::Integer | DataType::Long => Values::Long(Vec::new()),
            DataType::Boolean => Values::Boolean(Vec::new()),
            DataType::String | DataType::Binary | DataType::Datetime => Values::Text(Texts::default()),
        };
        Self { datatype, values, is_undecided: datatype == DataType::Any }
    }

    /// How many values it has.
    pub(super) fn len(&self) -> usize {
        self.values.len()
    }

    /// The values.
    pub(super) fn into_values(self) -> Values {
        self.values
    }

    /// Adds a value.
    ///
    /// # Errors
    /// When it is of a type that this column does not take.
    #[inline]
    pub(super) fn push(&mut self, value: &Scalar<'_>) -> Result<(), Misfit> {
        if self.datatype == DataType::Any {
            self.make_room_for(value)?;
        }
        match &mut self.values {
            Values::Double(values) => values.push(number(self.datatype, value)?),
            Values::Long(values) => values.push(whole_number(self.datatype, value)?),
            Values::Boolean(values) => values.push(truth(value)?),
            Values::Text(texts) => match text(self.datatype, value)? {
                Some(text) => texts.push(text),
                None => texts.push_missing(),
            },
        }
        Ok(())
    }

    /// Adds a place where a value is missing. Whole numbers and truth values become doubles, which may be missing.
    pub(super) fn push_missing(&mut self) {
        self.widen();
        match &mut self.values {
            Values::Double(values) => values.push(f64::NAN),
            Values::Text(texts) => texts.push_missing(),
            Values::Long(_) | Values::Boolean(_) => {}
        }
    }

    /// Adds the value that the signature declares for what is left out.
    pub(super) fn push_default(&mut self, default: &Default) -> Result<(), Misfit> {
        self.push(&match default {
            Default::Double(value) => Scalar::Double(*value),
            Default::Long(value) => Scalar::Long(*value),
            Default::Boolean(value) => Scalar::Boolean(*value),
            Default::Text(text) => Scalar::Text(Cow::Borrowed(text)),
        })
    }

    /// Changes the type of a column of which nothing is declared, as pandas does: the narrowest that takes all values.
    fn make_room_for(&mut self, value: &Scalar<'_>) -> Result<(), Misfit> {
        if self.is_undecided && *value != Scalar::Null {
            self.is_undecided = false;
            let n_missing = self.values.len();
            match value {
                Scalar::Text(_) => self.values = Values::Text((0..n_missing).map(|_| None).collect()),
                Scalar::Long(_) if n_missing == 0 => self.values = Values::Long(Vec::new()),
                Scalar::Boolean(_) if n_missing == 0 => self.values = Values::Boolean(Vec::new()),
                _ => {}
            }
        }
        match (&self.values, value) {
            (Values::Text(_), _)
            | (Values::Long(_), Scalar::Long(_))
            | (Values::Boolean(_), Scalar::Boolean(_)) => {}
            (_, Scalar::Text(_)) => return Err(Misfit::new("a number, as before", value)),
            _ => self.widen(),
        }
        Ok(())
    }

    fn widen(&mut self) {
        match &self.values {
            Values::Double(_) | Values::Text(_) => {}
            Values::Long(values) => {
                self.values = Values::Double(values.iter().map(|&value| value as f64).collect());
            }
            Values::Boolean(values) => {
                self.values = Values::Double(values.iter().map(|&value| value.into()).collect());
            }
        }
    }
}

/// A value as a double; NaN when it is missing.
#[inline]
pub(super) fn number(datatype: DataType, value: &Scalar<'_>) -> Result<f64, Misfit> {
    let number = match value {
        Scalar::Double(number) => *number,
        Scalar::Long(number) => *number as f64,
        Scalar::Null => f64::NAN,
        Scalar::Boolean(truth) => (*truth).into(),
        Scalar::Text(text) => text.trim().parse().map_err(|_| Misfit::new("a number", value))?,
    };
    match datatype {
        DataType::Float => Ok(f64::from(number as f32)),
        DataType::Integer | DataType::Long => whole_number(datatype, value).map(|whole| whole as f64),
        _ => Ok(number),
    }
}

/// Exactly the doubles that are whole and fit: casting saturates, and casting back then differs.
fn whole(number: f64) -> Option<i64> {
    (number.abs() < 2f64.powi(63) && number.fract() == 0.0).then_some(number as i64)
}

fn whole_number(datatype: DataType, value: &Scalar<'_>) -> Result<i64, Misfit> {
    let misfit = || Misfit::new("a whole number", value);
    let number = match value {
        Scalar::Long(number) => *number,
        Scalar::Double(number) if whole(*number).is_some() => *number as i64,
        Scalar::Boolean(truth) => (*truth).into(),
        // CSV may write them as `1.0`.
        Scalar::Text(text) => {
            let as_double = || text.trim().parse().ok().and_then(whole);
            text.trim().parse().ok().or_else(as_double).ok_or_else(misfit)?
        }
        Scalar::Null => {
            let help =
                "whole numbers cannot be missing: declare the column as double in the model's signature";
            return Err(Misfit { help: Some(help), ..misfit() });
        }
        Scalar::Double(_) => {
            let help = "declare the column as double in the model's signature to send fractions";
            return Err(Misfit { help: Some(help), ..misfit() });
        }
    };
    if datatype == DataType::Integer && i32::try_from(number).is_err() {
        return Err(Misfit { expected: "a whole number of 32 bits", ..misfit() });
    }
    Ok(number)
}

fn truth(value: &Scalar<'_>) -> Result<bool, Misfit> {
    match value {
        Scalar::Boolean(truth) => Ok(*truth),
        Scalar::Long(number @ 0..=1) => Ok(*number == 1),
        Scalar::Text(text) if text.eq_ignore_ascii_case("true") => Ok(true),
        Scalar::Text(text) if text.eq_ignore_ascii_case("false") => Ok(false),
        _ => Err(Misfit::new("true or false", value)),
    }
}

fn text<'a>(datatype: DataType, value: &'a Scalar<'_>) -> Result<Option<&'a str>, Misfit> {
    match value {
        Scalar::Null => Ok(None),
        Scalar::Text(text) if datatype == DataType::Datetime && !is_datetime(text) => {
            Err(Misfit::new("a date or time as ISO 8601 writes it, such as `2024-01-31T12:00:00`", value))
        }
        Scalar::Text(text) => Ok(Some(text)),
        Scalar::Long(_) | Scalar::Double(_) => {
            Err(Misfit { help: Some("write it in quotes"), ..Misfit::new("a text", value) })
        }
        Scalar::Boolean(_) => Err(Misfit::new("a text", value)),
    }
}

fn is_datetime(text: &str) -> bool {
    let text = text.trim();
    text.parse::<jiff::Timestamp>().is_ok()
        || text.parse::<jiff::civil::DateTime>().is_ok()
        || text.parse::<jiff::civil::Date>().is_ok()
}

// === impl Misfit ===

impl Misfit {
    pub(super) fn new(expected: &'static str, value: &Scalar<'_>) -> Self {
        Self { expected, got: describe(value), help: None }
    }
}

/// A value in words.
pub(crate) fn describe(value: &Scalar<'_>) -> String {
    match value {
        Scalar::Null => "null".to_owned(),
        Scalar::Boolean(truth) => format!("{truth}"),
        Scalar::Long(number) => format!("the number {number}"),
        Scalar::Double(number) => format!("the number {number:?}"),
        Scalar::Text(text) => format!("the text {}", quoted(text)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values are written as JSON; what they become is written as Rust's `Debug` does.
    #[track_caller]
    fn check(datatype: DataType, values: &str, expected: &str) {
        let mut column = Column::new(datatype);
        let mut reader = crate::json::Reader::new(values.as_bytes());
        let mut items = reader.array().unwrap();
        let mut outcome = Ok(());
        while outcome.is_ok() && items.next(&mut reader).unwrap() {
            outcome = column.push(&reader.scalar().unwrap());
        }
        let got = match outcome {
            Ok(()) => format!("{:?}", column.into_values()),
            Err(misfit) => format!("expected {}, got {}", misfit.expected, misfit.got),
        };
        assert_eq!(got, expected);
    }

    #[test]
    fn doubles_take_all_that_is_a_number() {
        check(DataType::Double, "[1, 2.5, null, \" 7.4 \", true]", "Double([1.0, 2.5, NaN, 7.4, 1.0])");
        check(DataType::Double, "[\"abc\"]", "expected a number, got the text `abc`");
        check(DataType::Float, "[0.1]", "Double([0.10000000149011612])");
    }

    #[test]
    fn whole_numbers_stay_whole() {
        check(
            DataType::Long,
            "[1, 2.0, \"3\", \"4.0\", 9007199254740993]",
            "Long([1, 2, 3, 4, 9007199254740993])",
        );
        check(DataType::Long, "[\"1.5\"]", "expected a whole number, got the text `1.5`");
        check(DataType::Long, "[1.5]", "expected a whole number, got the number 1.5");
        check(DataType::Long, "[null]", "expected a whole number, got null");
        check(
            DataType::Long,
            "[9223372036854775808]",
            "expected a whole number, got the number 9.223372036854776e18",
        );
        check(
            DataType::Integer,
            "[2147483648]",
            "expected a whole number of 32 bits, got the number 2147483648",
        );
    }

    #[test]
    fn truths_and_texts() {
        check(DataType::Boolean, "[true, 0, \"True\"]", "Boolean([true, false, true])");
        check(DataType::Boolean, "[2]", "expected true or false, got the number 2");
        check(DataType::String, "[1]", "expected a text, got the number 1");
        check(
            DataType::Datetime,
            "[\"2024-01-01\", \"2024-01-01T10:00:00Z\", \"x\"]",
            "expected a date or time as ISO 8601 writes it, such as `2024-01-31T12:00:00`, got the text `x`",
        );
    }

    #[test]
    fn undeclared_columns_are_as_narrow_as_their_values() {
        check(DataType::Any, "[1, 2]", "Long([1, 2])");
        check(DataType::Any, "[1, 2.5, null]", "Double([1.0, 2.5, NaN])");
        check(DataType::Any, "[null, 2]", "Double([NaN, 2.0])");
        check(DataType::Any, "[true, null]", "Double([1.0, NaN])");
        check(DataType::Any, "[true, false]", "Boolean([true, false])");
        check(DataType::Any, "[null]", "Double([NaN])");
        check(DataType::Any, "[1, \"2\"]", "expected a number, as before, got the text `2`");
        check(DataType::Any, "[\"a\", 2]", "expected a text, got the number 2");
    }

    #[test]
    fn undeclared_texts_may_be_missing() {
        let mut column = Column::new(DataType::Any);
        for value in [Scalar::Null, Scalar::Text("a".into()), Scalar::Null] {
            column.push(&value).unwrap();
        }
        let texts: Texts = [None, Some("a"), None].into_iter().collect();
        assert_eq!(column.into_values(), Values::Text(texts));
    }

    #[test]
    fn left_out_whole_numbers_become_doubles() {
        let mut column = Column::new(DataType::Long);
        column.push(&Scalar::Long(1)).unwrap();
        column.push_missing();
        column.push(&Scalar::Long(3)).unwrap();
        assert!(column.push(&Scalar::Double(0.5)).is_err());
        assert_eq!(format!("{:?}", column.into_values()), "Double([1.0, NaN, 3.0])");
    }
}
