//! Rows of numbers, read all at once: what most requests are made of.

use super::{MAX_DEPTH, Reader, Scalar, number};

/// How far the numbers of a matrix were read.
struct Scan<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    /// Reads a list of rows of numbers, each as long as the others and as `n_columns` says. Says how many columns
    /// there are, and the numbers of all rows. `None`, and nothing read, for everything else, be it JSON or not: then the
    /// values are to be read one by one.
    pub(crate) fn number_rows(&mut self, n_columns: Option<usize>) -> Option<(usize, Vec<f64>)> {
        self.all_at_once(|scan, numbers| {
            let mut expected = n_columns;
            scan.pass(b'[')?;
            loop {
                let start = numbers.len();
                scan.row(numbers)?;
                let length = numbers.len() - start;
                if *expected.get_or_insert(length) != length {
                    return None;
                }
                if !scan.goes_on()? {
                    return Some(length);
                }
            }
        })
    }

    /// Reads a list of numbers, or nothing as [`Reader::number_rows`] does.
    pub(crate) fn number_list(&mut self) -> Option<Vec<f64>> {
        self.all_at_once(Scan::row).map(|((), numbers)| numbers)
    }

    fn all_at_once<T>(
        &mut self,
        read: impl FnOnce(&mut Scan<'a>, &mut Vec<f64>) -> Option<T>,
    ) -> Option<(T, Vec<f64>)> {
        if self.depth + 2 > MAX_DEPTH {
            return None;
        }
        let mut scan = Scan { bytes: self.bytes, at: self.at };
        let mut numbers = Vec::new();
        let found = read(&mut scan, &mut numbers)?;
        self.at = scan.at;
        Some((found, numbers))
    }
}

// === impl Scan ===

impl Scan<'_> {
    /// Passes a list of numbers, of which there is at least one.
    #[inline]
    fn row(&mut self, numbers: &mut Vec<f64>) -> Option<()> {
        self.pass(b'[')?;
        loop {
            self.skip_whitespace();
            let rest = &self.bytes[self.at..];
            let (number, length) = number::plain(rest).or_else(|| any_number(rest))?;
            self.at += length;
            numbers.push(number);
            if !self.goes_on()? {
                return Some(());
            }
        }
    }

    /// Passes the comma before another item, or the end of the list.
    #[inline]
    fn goes_on(&mut self) -> Option<bool> {
        self.skip_whitespace();
        let byte = self.bytes.get(self.at)?;
        self.at += 1;
        match byte {
            b',' => Some(true),
            b']' => Some(false),
            _ => None,
        }
    }

    #[inline]
    fn pass(&mut self, byte: u8) -> Option<()> {
        self.skip_whitespace();
        let is_next = self.bytes.get(self.at) == Some(&byte);
        is_next.then(|| self.at += 1)
    }

    #[inline]
    fn skip_whitespace(&mut self) {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.bytes.get(self.at) {
            self.at += 1;
        }
    }
}

/// A number that is not plain, and its length.
fn any_number(bytes: &[u8]) -> Option<(f64, usize)> {
    match number::read(bytes).ok()? {
        (Scalar::Long(number), length) => Some((number as f64, length)),
        (Scalar::Double(number), length) => Some((number, length)),
        (Scalar::Null | Scalar::Boolean(_) | Scalar::Text(_), _) => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rows(text: &str, n_columns: Option<usize>) -> Option<(usize, Vec<f64>)> {
        let mut reader = Reader::new(text.as_bytes());
        let found = reader.number_rows(n_columns);
        match found {
            Some(_) => assert!(reader.end().is_ok(), "{text}"),
            None => assert_eq!(reader.at, 0, "{text}"),
        }
        found
    }

    /// The numbers of a nested list, one by one.
    fn one_by_one(text: &str) -> Vec<f64> {
        let mut reader = Reader::new(text.as_bytes());
        let mut numbers = Vec::new();
        let mut rows = reader.array().unwrap();
        while rows.next(&mut reader).unwrap() {
            let mut row = reader.array().unwrap();
            while row.next(&mut reader).unwrap() {
                numbers.push(match reader.scalar().unwrap() {
                    Scalar::Long(value) => value as f64,
                    Scalar::Double(value) => value,
                    other => panic!("{other:?}"),
                });
            }
        }
        reader.end().unwrap();
        numbers
    }

    #[test]
    fn rows_are_as_long_as_each_other() {
        assert_eq!(rows(" [[1, 2.5],\n[-3,4]] ", None), Some((2, vec![1.0, 2.5, -3.0, 4.0])));
        assert_eq!(rows("[[1,2],[3,4]]", Some(2)), Some((2, vec![1.0, 2.0, 3.0, 4.0])));
        assert_eq!(rows("[[1e-3, 0.12345678901234567]]", None), Some((2, vec![1e-3, 0.12345678901234567])));
        assert_eq!(rows("[[1,2]]", Some(3)), None);
        assert_eq!(rows("[[1],[2,3]]", None), None);
    }

    #[test]
    fn a_list_is_flat() {
        let mut reader = Reader::new(b"[[1, 2], 3]");
        assert_eq!(reader.number_list(), None);
        reader.array().unwrap();
        assert_eq!(reader.number_list(), Some(vec![1.0, 2.0]));
    }

    #[test]
    fn anything_else_is_left_as_it_is() {
        for text in [
            "",
            "[",
            "[]",
            "[[]]",
            "[[1",
            "[[1,",
            "[[1],",
            "[[1]",
            "[[1],2]",
            "[1,2]",
            "[[1 2]]",
            "[[1,]]",
            "[[[1]]]",
            "[[1e999]]",
            "[[null]]",
            "[[\"1\"]]",
            "[[01]]",
            "{}",
            "[[1]}",
        ] {
            assert_eq!(rows(text, None), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_read_at_once_is_what_is_read_one_by_one(
            text in "\\[(\\[-?[0-9]{1,3}(\\.[0-9]{1,18})?(, ?-?[0-9.e]{1,3}){0,3}\\],? ?){0,4}\\]"
        ) {
            if let Some((_, numbers)) = Reader::new(text.as_bytes()).number_rows(None) {
                prop_assert_eq!(numbers, one_by_one(&text));
            }
        }
    }
}
