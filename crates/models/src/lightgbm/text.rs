//! The text format: lines of `key=value`, in blocks with empty lines between them.

use std::collections::HashMap;
use std::fmt::Display;
use std::str::FromStr;

use super::LIBRARY;
use crate::fault::Fault;

/// Whether bytes begin as a model in text does.
pub(crate) fn is_likely(data: &[u8]) -> bool {
    data.starts_with(b"tree\n") || data.starts_with(b"tree\r\n")
}

/// A block: the header, or a tree.
#[derive(Debug)]
pub(super) struct Block<'t> {
    /// What errors call it.
    name: String,
    lines: HashMap<&'t str, &'t str>,
}

/// A model's header and trees, and the categories of its columns, which are JSON.
#[derive(Debug)]
pub(super) struct Blocks<'t> {
    pub(super) header: Block<'t>,
    pub(super) trees: Vec<Block<'t>>,
    pub(super) pandas_categorical: Option<&'t str>,
}

impl<'t> Blocks<'t> {
    pub(super) fn read(text: &'t str) -> Result<Self, Fault> {
        /// What ends the trees.
        const END: &str = "end of trees";

        let mut blocks = vec![Block::new("the header".to_owned())];
        let mut is_ended = false;
        let mut lines = text.lines().map(str::trim_end).skip(1);
        for line in lines.by_ref() {
            if line == END {
                is_ended = true;
                break;
            }
            let (key, value) = line.split_once('=').unwrap_or((line, ""));
            match key {
                "" => {}
                "Tree" => blocks.push(Block::new(format!("tree {value}"))),
                _ => {
                    let block = blocks.last_mut().expect("there is the header at least");
                    block.lines.insert(key, value);
                }
            }
        }
        if !is_ended {
            return Err(Fault::damaged(text.len(), format!("`{END}` is missing")));
        }
        let pandas_categorical = lines.filter_map(|line| line.strip_prefix("pandas_categorical:")).last();
        let header = blocks.remove(0);
        Ok(Self { header, trees: blocks, pandas_categorical })
    }
}

// === impl Block ===

impl<'t> Block<'t> {
    fn new(name: String) -> Self {
        Self { name, lines: HashMap::new() }
    }

    /// An error about this block.
    pub(super) fn problem(&self, problem: impl Display) -> Fault {
        Fault::inconsistent(LIBRARY, format!("{}: {problem}", self.name))
    }

    /// Refuses a key that is not on the list: it may change answers.
    pub(super) fn check_keys(&self, known: &[&str]) -> Result<(), Fault> {
        match self.lines.keys().find(|key| !known.contains(key)) {
            None => Ok(()),
            Some(key) => Err(Fault::Unsupported {
                what: format!("{LIBRARY} with `{}` in {}", crate::rows::short(key), self.name),
                help: Some("this build does not know whether answers depend on it".to_owned()),
            }),
        }
    }

    pub(super) fn find(&self, key: &str) -> Option<&'t str> {
        self.lines.get(key).copied()
    }

    pub(super) fn get(&self, key: &str) -> Result<&'t str, Fault> {
        self.find(key).ok_or_else(|| self.problem(format!("`{key}` is missing")))
    }

    pub(super) fn value<T: FromStr>(&self, key: &str) -> Result<T, Fault> {
        self.get(key)?.parse().map_err(|_| self.problem(format!("`{key}` is no number")))
    }

    /// The values of a key, with spaces between them.
    pub(super) fn values<T: FromStr>(&self, key: &str) -> Result<Vec<T>, Fault> {
        let values = self.get(key)?.split_ascii_whitespace().map(str::parse);
        values.collect::<Result<_, _>>().map_err(|_| self.problem(format!("`{key}` holds what is no number")))
    }

    pub(super) fn n_values<T: FromStr>(&self, key: &str, n: usize) -> Result<Vec<T>, Fault> {
        let values = self.values(key)?;
        match values.len() == n {
            true => Ok(values),
            false => Err(self.problem(format!("`{key}` has {} values instead of {n}", values.len()))),
        }
    }
}
