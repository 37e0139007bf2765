//! Answers of HTTP/1.1 servers, read whole.
//!
//! Everything is read through [`BufRead`], whose `read_until`, `read_exact` and `read_to_end` ask again when a signal ended a
//! read. A read with a timeout is not resumed by the kernel after its process was stopped for a moment (signal(7)).

use std::io::{self, BufRead};

use serde_json::Value;

/// What came back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// Header fields, their names in lower case.
    pub fields: Vec<(String, String)>,
    /// The body.
    pub text: String,
}

impl Answer {
    /// Reads one answer to its end, by its length, its chunks or the end of the connection.
    pub(crate) fn read(reader: &mut impl BufRead, method: &str) -> io::Result<Self> {
        let status_line = line(reader)?;
        let status = status_line.split_whitespace().nth(1).and_then(|status| status.parse().ok());
        let status = status.ok_or_else(|| malformed(&status_line))?;
        let mut fields = Vec::new();
        loop {
            let line = line(reader)?;
            if line.is_empty() {
                break;
            }
            let (name, value) = line.split_once(':').ok_or_else(|| malformed(&line))?;
            fields.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
        let mut answer = Self { status, fields, text: String::new() };
        let body = answer.read_body(reader, method)?;
        answer.text = String::from_utf8_lossy(&body).into_owned();
        Ok(answer)
    }

    fn read_body(&self, reader: &mut impl BufRead, method: &str) -> io::Result<Vec<u8>> {
        let has_none = method == "HEAD" || matches!(self.status, 204 | 304);
        if has_none {
            return Ok(Vec::new());
        }
        if self.field("transfer-encoding") == Some("chunked") {
            return chunks(reader);
        }
        let mut body = Vec::new();
        match self.field("content-length") {
            None => {
                reader.read_to_end(&mut body)?;
            }
            Some(length) => {
                body.resize(length.parse().map_err(|_| malformed(length))?, 0);
                reader.read_exact(&mut body)?;
            }
        }
        Ok(body)
    }

    /// Whether the server ends the connection after it.
    pub(crate) fn ends_connection(&self) -> bool {
        self.field("connection") == Some("close")
    }

    /// A header field.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The body as JSON.
    ///
    /// # Panics
    /// When it is not.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text)
            .unwrap_or_else(|error| panic!("{error}: {} {}", self.status, self.text))
    }
}

/// The chunks of a body, and the trailer after them, which is passed over.
fn chunks(reader: &mut impl BufRead) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let size = line(reader)?;
        let size = usize::from_str_radix(&size, 16).map_err(|_| malformed(&size))?;
        let begin = body.len();
        body.resize(begin + size, 0);
        reader.read_exact(&mut body[begin..])?;
        if size == 0 {
            while !line(reader)?.is_empty() {}
            return Ok(body);
        }
        let end = line(reader)?;
        if !end.is_empty() {
            return Err(malformed(&end));
        }
    }
}

/// A line without its end.
fn line(reader: &mut impl BufRead) -> io::Result<String> {
    let mut bytes = Vec::new();
    reader.read_until(b'\n', &mut bytes)?;
    match bytes.strip_suffix(b"\r\n") {
        Some(line) => Ok(String::from_utf8_lossy(line).into_owned()),
        None => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}

fn malformed(text: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("`{text}` is no HTTP"))
}

#[cfg(test)]
mod tests {
    use std::io::{BufReader, Read};

    use super::*;

    /// A connection whose every second read is ended by a signal, as a debugger or `kill -STOP` ends them, and that gives one
    /// byte at a time.
    struct Interrupted<'a> {
        rest: &'a [u8],
        is_next: bool,
    }

    impl Read for Interrupted<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            self.is_next = !self.is_next;
            if self.is_next {
                return Err(io::ErrorKind::Interrupted.into());
            }
            self.rest.read(&mut buffer[..1])
        }
    }

    fn answer(text: &str, method: &str) -> io::Result<Answer> {
        let connection = Interrupted { rest: text.as_bytes(), is_next: false };
        Answer::read(&mut BufReader::new(connection), method)
    }

    #[test]
    fn an_answer_is_read_to_its_end_whatever_signals_come() {
        for (text, method) in [
            ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1", "GET"),
            ("HTTP/1.1 200 OK\r\n\r\nok", "GET"),
            (
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\no\r\n1\r\nk\r\n0\r\na: b\r\n\r\n",
                "GET",
            ),
        ] {
            let answer = answer(text, method).unwrap();
            assert_eq!((answer.status, answer.text.as_str()), (200, "ok"), "{text}");
        }
        let head = answer("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n", "HEAD").unwrap();
        assert_eq!((head.field("content-length"), head.text.as_str()), (Some("2"), ""));
    }

    #[test]
    fn an_answer_that_breaks_off_is_none() {
        for text in [
            "",
            "HTTP/1.1 200 OK\r\nContent-Len",
            "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\no",
            "hello\r\n\r\n",
        ] {
            assert!(answer(text, "GET").is_err(), "{text}");
        }
    }
}
