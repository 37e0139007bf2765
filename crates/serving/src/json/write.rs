//! Writing JSON: predictions, and the few objects around them.

use std::io::Write as _;

use models::{Data, Prediction};

/// How a server writes what JSON leaves open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// As Python's `json.dumps`: `{"predictions": [1.0, 1e-05, NaN]}`, letters beyond ASCII escaped. MLflow writes so.
    Python,
    /// As orjson: `{"predictions":[1.0,0.00001,null]}`. KServe, MLServer and FastAPI write so.
    Compact,
}

/// JSON that is being written.
#[derive(Debug)]
pub(crate) struct Writer {
    bytes: Vec<u8>,
    dialect: Dialect,
    n_nulls: usize,
}

impl Writer {
    /// Nothing yet, with room for `n_bytes`.
    pub(crate) fn new(dialect: Dialect, n_bytes: usize) -> Self {
        Self { bytes: Vec::with_capacity(n_bytes), dialect, n_nulls: 0 }
    }

    /// How many numbers stand as `null`, because JSON has no way to write them.
    pub(crate) fn n_nulls(&self) -> usize {
        self.n_nulls
    }

    /// What was written.
    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// What was written, as text.
    pub(crate) fn into_text(self) -> String {
        String::from_utf8(self.bytes).expect("only texts are written")
    }

    /// Writes JSON as it is.
    pub(crate) fn raw(&mut self, json: &str) -> &mut Self {
        self.bytes.extend_from_slice(json.as_bytes());
        self
    }

    /// Writes a string.
    pub(crate) fn text(&mut self, text: &str) -> &mut Self {
        let is_plain = |byte: u8| matches!(byte, b' '..=b'~') && byte != b'"' && byte != b'\\';
        self.bytes.push(b'"');
        let mut rest = text;
        while let Some(position) = rest.bytes().position(|byte| !is_plain(byte)) {
            let (plain, special) = rest.split_at(position);
            let mut characters = special.chars();
            self.raw(plain);
            characters.next().into_iter().for_each(|character| self.character(character));
            rest = characters.as_str();
        }
        self.raw(rest).raw("\"")
    }

    /// Writes a whole number.
    pub(crate) fn long(&mut self, value: i64) -> &mut Self {
        self.raw(itoa::Buffer::new().format(value))
    }

    /// Writes a number in the fewest digits that read back as the same.
    pub(crate) fn double(&mut self, value: f64) -> &mut Self {
        // Here all dialects agree.
        if (1e-4..1e16).contains(&value.abs()) {
            return self.raw(zmij::Buffer::new().format_finite(value));
        }
        match self.dialect {
            Dialect::Python if value.is_nan() => self.raw("NaN"),
            Dialect::Python if value.is_infinite() => {
                self.raw(if value > 0.0 { "Infinity" } else { "-Infinity" })
            }
            Dialect::Compact if !value.is_finite() => {
                self.n_nulls += 1;
                self.raw("null")
            }
            Dialect::Compact if (1e-5..1e-4).contains(&value.abs()) => {
                write!(self.bytes, "{value}").expect("a Vec takes every byte");
                self
            }
            _ => {
                let start = self.bytes.len();
                // The digits of `Debug` are the shortest, with an exponent where Python's repr has one.
                write!(self.bytes, "{value:?}").expect("a Vec takes every byte");
                if self.dialect == Dialect::Python {
                    self.pad_exponent(start);
                }
                self
            }
        }
    }

    /// Writes a truth value.
    pub(crate) fn boolean(&mut self, value: bool) -> &mut Self {
        self.raw(if value { "true" } else { "false" })
    }

    /// Writes a list, each item by `write`.
    pub(crate) fn list<T>(
        &mut self,
        items: impl IntoIterator<Item = T>,
        mut write: impl FnMut(&mut Self, T),
    ) -> &mut Self {
        self.raw("[");
        for (index, item) in items.into_iter().enumerate() {
            if index > 0 {
                self.separator();
            }
            write(self, item);
        }
        self.raw("]")
    }

    /// Writes a prediction: a list with one value, or one list of values, per row.
    pub(crate) fn prediction(&mut self, prediction: &Prediction) -> &mut Self {
        self.rows(&prediction.data, prediction.shape.n_columns)
    }

    /// Writes the first row of a prediction: a value, or a list of values.
    pub(crate) fn first_row(&mut self, prediction: &Prediction) -> &mut Self {
        let n_columns = prediction.shape.n_columns;
        let start = self.bytes.len();
        self.prediction(prediction);
        // A prediction is a list of rows; this one has a single row.
        self.bytes.remove(start);
        self.bytes.pop();
        debug_assert!(prediction.shape.n_rows == 1 || n_columns == Some(0));
        self
    }

    /// Writes the values of a prediction in one list.
    pub(crate) fn data(&mut self, data: &Data) -> &mut Self {
        self.rows(data, None)
    }

    fn rows(&mut self, data: &Data, n_columns: Option<usize>) -> &mut Self {
        match data {
            Data::Double(values) => self.nested(values, n_columns, |out, &value| _ = out.double(value)),
            // Python widens a float32 before it prints it.
            Data::Float(values) => self.nested(values, n_columns, |out, &value| _ = out.double(value.into())),
            Data::Long(values) => self.nested(values, n_columns, |out, &value| _ = out.long(value)),
            Data::Integer(values) => self.nested(values, n_columns, |out, &value| _ = out.long(value.into())),
            Data::Boolean(values) => self.nested(values, n_columns, |out, &value| _ = out.boolean(value)),
            Data::Text(values) => self.nested(values, n_columns, |out, value| _ = out.text(value)),
        }
    }

    fn nested<T>(
        &mut self,
        values: &[T],
        n_columns: Option<usize>,
        mut write: impl FnMut(&mut Self, &T),
    ) -> &mut Self {
        match n_columns {
            None => self.list(values, write),
            Some(0) => self.raw("[]"),
            Some(n_columns) => self.list(values.chunks(n_columns), |out, row| _ = out.list(row, &mut write)),
        }
    }

    fn character(&mut self, character: char) {
        let is_escaped = self.dialect == Dialect::Python || character < ' ';
        match character {
            '"' => self.raw("\\\""),
            '\\' => self.raw("\\\\"),
            '\n' => self.raw("\\n"),
            '\r' => self.raw("\\r"),
            '\t' => self.raw("\\t"),
            '\u{8}' => self.raw("\\b"),
            '\u{c}' => self.raw("\\f"),
            _ if is_escaped => self.escaped(character),
            _ => self.raw(character.encode_utf8(&mut [0; 4])),
        };
    }

    fn separator(&mut self) {
        self.raw(match self.dialect {
            Dialect::Python => ", ",
            Dialect::Compact => ",",
        });
    }

    fn escaped(&mut self, character: char) -> &mut Self {
        for unit in character.encode_utf16(&mut [0; 2]) {
            write!(self.bytes, "\\u{unit:04x}").expect("a Vec takes every byte");
        }
        self
    }

    /// Makes `1e-5` the `1e-05`, and `1e16` the `1e+16`, that Python writes.
    fn pad_exponent(&mut self, start: usize) {
        let Some(position) = self.bytes[start..].iter().position(|&byte| byte == b'e') else { return };
        let digits = self.bytes.split_off(start + position + 1);
        let (sign, digits) = match digits.strip_prefix(b"-") {
            Some(digits) => (b'-', digits),
            None => (b'+', digits.as_slice()),
        };
        self.bytes.push(sign);
        if digits.len() == 1 {
            self.bytes.push(b'0');
        }
        self.bytes.extend_from_slice(digits);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(dialect: Dialect, write: impl FnOnce(&mut Writer), expected: &str) {
        let mut writer = Writer::new(dialect, 0);
        write(&mut writer);
        assert_eq!(String::from_utf8(writer.into_bytes()).unwrap(), expected);
    }

    fn check_double(value: f64, python: &str, compact: &str) {
        check(Dialect::Python, |writer| _ = writer.double(value), python);
        check(Dialect::Compact, |writer| _ = writer.double(value), compact);
    }

    #[test]
    fn doubles_are_written_as_python_and_orjson_write_them() {
        check_double(1.0, "1.0", "1.0");
        check_double(-0.0, "-0.0", "-0.0");
        check_double(6.033506220862934, "6.033506220862934", "6.033506220862934");
        check_double(0.0001, "0.0001", "0.0001");
        check_double(0.000_099_9, "9.99e-05", "0.0000999");
        check_double(1e-5, "1e-05", "0.00001");
        check_double(-1.5e-7, "-1.5e-07", "-1.5e-7");
        check_double(1e15, "1000000000000000.0", "1000000000000000.0");
        check_double(1e16, "1e+16", "1e16");
        check_double(123_456_789_012_345_680.0, "1.2345678901234568e+17", "1.2345678901234568e17");
        check_double(5e-324, "5e-324", "5e-324");
        // A quarter, which both .2 and .3 are as near to.
        check_double(2_621_406_635_016_617.0 / 4.0, "655351658754154.2", "655351658754154.2");
        check_double(f64::MAX, "1.7976931348623157e+308", "1.7976931348623157e308");
        check_double(f64::NAN, "NaN", "null");
        check_double(f64::NEG_INFINITY, "-Infinity", "null");
    }

    #[test]
    fn predictions_are_nested_lists() {
        let rows = Prediction::rows(2, Data::Float(vec![0.1, 1.0, 0.5, 2.5]));
        check(
            Dialect::Python,
            |writer| _ = writer.prediction(&rows),
            "[[0.10000000149011612, 1.0], [0.5, 2.5]]",
        );
        let flat = Prediction::flat(Data::Long(vec![1, -1]));
        check(Dialect::Compact, |writer| _ = writer.prediction(&flat), "[1,-1]");
        let nothing = Prediction::flat(Data::Boolean(vec![]));
        check(Dialect::Compact, |writer| _ = writer.prediction(&nothing), "[]");
    }

    #[test]
    fn texts_are_escaped_as_much_as_each_dialect_does() {
        let text = "a\"\\\n\u{1}\u{7f}é😀";
        check(Dialect::Python, |writer| _ = writer.text(text), r#""a\"\\\n\u0001\u007f\u00e9\ud83d\ude00""#);
        check(Dialect::Compact, |writer| _ = writer.text(text), "\"a\\\"\\\\\\n\\u0001\u{7f}é😀\"");
    }

    proptest! {
        #[test]
        fn everyday_numbers_are_as_short_as_can_be(digits in -(1i64 << 53)..1i64 << 53, scale in 0..18i32) {
            let value = digits as f64 / 10f64.powi(scale);
            for dialect in [Dialect::Python, Dialect::Compact] {
                let mut writer = Writer::new(dialect, 0);
                writer.double(value);
                let written = String::from_utf8(writer.into_bytes()).unwrap();
                prop_assert_eq!(written.parse::<f64>().unwrap().to_bits(), value.to_bits());
                // Of two that are as short and as near, Python writes the even one, and Rust the upper.
                let rust = format!("{value:?}");
                prop_assert!(value.abs() < 1e-4 || written.len() == rust.len(), "{} {}", written, rust);
            }
        }

        #[test]
        fn what_is_written_reads_back(value in proptest::num::f64::NORMAL, text in any::<String>(), python in any::<bool>()) {
            let mut writer = Writer::new(if python { Dialect::Python } else { Dialect::Compact }, 0);
            writer.raw("[").double(value).raw(",").text(&text).raw("]");
            let (value_back, text_back): (f64, String) = serde_json::from_slice(&writer.into_bytes()).unwrap();
            prop_assert_eq!(value_back.to_bits(), value.to_bits());
            prop_assert_eq!(text_back, text);
        }
    }
}
