//! Trees of maps, lists and values: what JSON and UBJSON files hold.

pub(crate) mod json;
pub(crate) mod ubjson;

use crate::fault::Fault;

/// One value of a file. Lists of numbers, which are most of a model, are kept as such.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Document {
    Null,
    Bool(bool),
    Number(f64),
    Text(String),
    Numbers(Vec<f64>),
    List(Vec<Document>),
    Map(Vec<(String, Document)>),
}

/// A value, and where it was found.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place<'d> {
    pub(crate) document: &'d Document,
    /// The library whose file it is, for errors.
    library: &'static str,
    key: &'d str,
}

// === impl Document ===

impl Document {
    pub(crate) fn place(&self, library: &'static str) -> Place<'_> {
        Place { document: self, library, key: "the file" }
    }

    /// The value of a key, if this is a map that has it.
    pub(crate) fn find(&self, key: &str) -> Option<&Self> {
        let Self::Map(pairs) = self else { return None };
        pairs.iter().find(|(name, _)| name == key).map(|(_, value)| value)
    }

    /// A list of values: one of numbers, as long as that is all there is.
    pub(crate) fn list(items: impl Iterator<Item = Result<Self, Fault>>) -> Result<Self, Fault> {
        let mut list = Collected::default();
        for item in items {
            list.push(item?);
        }
        Ok(list.finish())
    }
}

/// A list that is being read.
#[derive(Debug, Default)]
struct Collected {
    numbers: Vec<f64>,
    others: Vec<Document>,
}

impl Collected {
    fn push(&mut self, item: Document) {
        let number = match item {
            Document::Number(number) => Some(number),
            Document::Bool(flag) => Some(f64::from(flag)),
            Document::Null => Some(f64::NAN),
            _ => None,
        };
        match number {
            Some(number) if self.others.is_empty() => self.numbers.push(number),
            _ => {
                self.others.extend(self.numbers.drain(..).map(Document::Number));
                self.others.push(item);
            }
        }
    }

    fn finish(self) -> Document {
        if self.others.is_empty() { Document::Numbers(self.numbers) } else { Document::List(self.others) }
    }
}

// === impl Place ===

impl<'d> Place<'d> {
    /// An error about this value.
    pub(crate) fn problem(&self, problem: impl AsRef<str>) -> Fault {
        Fault::inconsistent(self.library, format!("`{}` {}", self.key, problem.as_ref()))
    }

    /// A refusal of this value, as one that this build does not know.
    pub(crate) fn unsupported(&self, help: &str) -> Fault {
        let shown = match self.document {
            Document::Text(text) => text.chars().take(60).collect(),
            Document::Number(number) => number.to_string(),
            _ => "a list".to_owned(),
        };
        let what = format!("{} with {}={shown}", self.library, self.key);
        Fault::Unsupported { what, help: Some(help.to_owned()) }
    }

    pub(crate) fn find(&self, key: &'d str) -> Option<Self> {
        let document = self.document.find(key).filter(|value| **value != Document::Null)?;
        Some(Self { document, key, ..*self })
    }

    pub(crate) fn get(&self, key: &'d str) -> Result<Self, Fault> {
        self.find(key).ok_or_else(|| self.problem(format!("has no `{key}`")))
    }

    pub(crate) fn pairs(&self) -> Result<&'d [(String, Document)], Fault> {
        match self.document {
            Document::Map(pairs) => Ok(pairs),
            _ => Err(self.problem("is no map")),
        }
    }

    pub(crate) fn text(&self) -> Result<&'d str, Fault> {
        match self.document {
            Document::Text(text) => Ok(text),
            _ => Err(self.problem("is no text")),
        }
    }

    /// A number, which may be written as a text.
    pub(crate) fn number(&self) -> Result<f64, Fault> {
        match self.document {
            Document::Number(number) => Ok(*number),
            Document::Bool(flag) => Ok(f64::from(*flag)),
            Document::Text(text) => text.trim().parse().map_err(|_| self.problem("is no number")),
            _ => Err(self.problem("is no number")),
        }
    }

    pub(crate) fn count(&self) -> Result<usize, Fault> {
        count(self.number()?).ok_or_else(|| self.problem("is no count"))
    }

    pub(crate) fn numbers(&self) -> Result<&'d [f64], Fault> {
        match self.document {
            Document::Numbers(numbers) => Ok(numbers),
            _ => Err(self.problem("is no list of numbers")),
        }
    }

    pub(crate) fn n_numbers(&self, n: usize) -> Result<&'d [f64], Fault> {
        let numbers = self.numbers()?;
        match numbers.len() == n {
            true => Ok(numbers),
            false => Err(self.problem(format!("has {} values instead of {n}", numbers.len()))),
        }
    }

    pub(crate) fn counts(&self) -> Result<Vec<usize>, Fault> {
        let counts: Option<Vec<usize>> = self.numbers()?.iter().map(|number| count(*number)).collect();
        counts.ok_or_else(|| self.problem("holds what is no count"))
    }

    /// The items of a list that is none of numbers.
    pub(crate) fn items(&self) -> Result<impl ExactSizeIterator<Item = Self> + use<'d>, Fault> {
        let items: &'d [Document] = match self.document {
            Document::List(items) => items,
            Document::Numbers(numbers) if numbers.is_empty() => &[],
            _ => return Err(self.problem("is no list")),
        };
        let place = *self;
        Ok(items.iter().map(move |document| Self { document, ..place }))
    }

    pub(crate) fn texts(&self) -> Result<Vec<String>, Fault> {
        self.items()?.map(|item| item.text().map(str::to_owned)).collect()
    }
}

/// A whole number that is not negative.
fn count(number: f64) -> Option<usize> {
    let is_count = number >= 0.0 && number.fract() == 0.0 && number < 9e15;
    is_count.then_some(number as usize)
}
