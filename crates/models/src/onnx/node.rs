//! A node of a graph while it is made ready: its attributes, and what is known of its inputs.

use std::cell::RefCell;

use super::file::{self, Attribute};
use super::problem::Problem;
use super::tensor::Tensor;
use crate::fault::Fault;

/// A node that is being made ready to run.
pub(super) struct Node<'a> {
    file: &'a file::Node,
    /// The version of the set of operators it is from.
    pub(super) version: i64,
    /// All sets of operators, for graphs inside of the node.
    pub(super) opsets: &'a [(String, i64)],
    /// The inputs that are the same for all requests.
    constants: Vec<Option<&'a Tensor>>,
    /// What graphs inside of the node use from outside. They come after the inputs of the node.
    pub(super) captures: &'a [String],
    /// The attributes that were asked for. A further one would change the result without our knowledge.
    read: RefCell<Vec<&'a str>>,
}

impl<'a> Node<'a> {
    pub(super) fn new(
        file: &'a file::Node,
        version: i64,
        opsets: &'a [(String, i64)],
        constants: Vec<Option<&'a Tensor>>,
        captures: &'a [String],
    ) -> Self {
        Self { file, version, opsets, constants, captures, read: RefCell::default() }
    }

    /// What an error calls the node.
    pub(super) fn title(file: &file::Node) -> String {
        let domain = if file.domain.is_empty() { String::new() } else { format!("{}.", file.domain) };
        let name = file.outputs.first().filter(|_| file.name.is_empty()).unwrap_or(&file.name);
        format!("{domain}{} (node `{name}`)", file.operator)
    }

    pub(super) fn n_inputs(&self) -> usize {
        self.file.inputs.len()
    }

    pub(super) fn n_outputs(&self) -> usize {
        self.file.outputs.len()
    }

    /// An input that is the same for all requests.
    pub(super) fn constant(&self, input: usize) -> Option<&'a Tensor> {
        self.constants.get(input).copied().flatten()
    }

    fn find(&self, name: &'a str) -> Option<&'a Attribute> {
        self.read.borrow_mut().push(name);
        self.file.attributes.iter().find(|(known, _)| known == name).map(|(_, attribute)| attribute)
    }

    pub(super) fn has(&self, name: &'a str) -> bool {
        self.find(name).is_some()
    }

    /// Says of attributes that they make no difference here.
    pub(super) fn ignore(&self, names: &[&'a str]) {
        self.read.borrow_mut().extend_from_slice(names);
    }

    pub(super) fn find_long(&self, name: &'a str) -> Result<Option<i64>, Fault> {
        match self.find(name) {
            None => Ok(None),
            Some(Attribute::Long(long)) => Ok(Some(*long)),
            Some(_) => Err(self.wrong(name, "a whole number")),
        }
    }

    pub(super) fn long(&self, name: &'a str, default: i64) -> Result<i64, Fault> {
        Ok(self.find_long(name)?.unwrap_or(default))
    }

    pub(super) fn flag(&self, name: &'a str, default: bool) -> Result<bool, Fault> {
        Ok(self.long(name, i64::from(default))? != 0)
    }

    pub(super) fn float(&self, name: &'a str, default: f32) -> Result<f32, Fault> {
        match self.find(name) {
            None => Ok(default),
            Some(Attribute::Float(float)) => Ok(*float),
            Some(_) => Err(self.wrong(name, "a number")),
        }
    }

    pub(super) fn text(&self, name: &'a str, default: &'a str) -> Result<&'a str, Fault> {
        match self.find(name) {
            None => Ok(default),
            Some(Attribute::Text(text)) => Ok(text),
            Some(_) => Err(self.wrong(name, "a text")),
        }
    }

    pub(super) fn longs(&self, name: &'a str) -> Result<Option<&'a [i64]>, Fault> {
        match self.find(name) {
            None => Ok(None),
            Some(Attribute::Longs(longs)) => Ok(Some(longs)),
            Some(_) => Err(self.wrong(name, "whole numbers")),
        }
    }

    pub(super) fn floats(&self, name: &'a str) -> Result<Option<&'a [f32]>, Fault> {
        match self.find(name) {
            None => Ok(None),
            Some(Attribute::Floats(floats)) => Ok(Some(floats)),
            Some(_) => Err(self.wrong(name, "numbers")),
        }
    }

    pub(super) fn texts(&self, name: &'a str) -> Result<Option<&'a [String]>, Fault> {
        match self.find(name) {
            None => Ok(None),
            Some(Attribute::Texts(texts)) => Ok(Some(texts)),
            Some(_) => Err(self.wrong(name, "texts")),
        }
    }

    pub(super) fn tensor(&self, name: &'a str) -> Result<Option<&'a Tensor>, Fault> {
        match self.find(name) {
            None => Ok(None),
            Some(Attribute::Tensor(tensor)) => Ok(Some(tensor)),
            Some(_) => Err(self.wrong(name, "an array")),
        }
    }

    pub(super) fn graph(&self, name: &'a str) -> Result<&'a file::Graph, Fault> {
        match self.find(name) {
            Some(Attribute::Graph(graph)) => Ok(graph),
            _ => Err(self.wrong(name, "a graph")),
        }
    }

    /// Refuses attributes that nobody asked for.
    pub(super) fn finish(&self) -> Result<(), Fault> {
        let read = self.read.borrow();
        let unread = self.file.attributes.iter().find(|(name, _)| !read.contains(&name.as_str()));
        match unread {
            None => Ok(()),
            Some((name, _)) => Err(self.unsupported(&format!("the attribute `{name}` of "))),
        }
    }

    /// The node is fine, but not known to this build. `part` says which part of it.
    pub(super) fn unsupported(&self, part: &str) -> Fault {
        Fault::unsupported(format!(
            "{part}ONNX operator {} of version {}",
            Self::title(self.file),
            self.version
        ))
    }

    /// The node contradicts itself.
    pub(super) fn problem(&self, problem: impl Into<String>) -> Fault {
        Fault::inconsistent(Self::title(self.file), problem)
    }

    fn wrong(&self, name: &str, expected: &str) -> Fault {
        self.problem(format!("its attribute `{name}` is not {expected}"))
    }
}

/// Lets what is wrong with arrays be told as what is wrong with a node.
pub(super) trait OfNode<T> {
    fn of(self, node: &Node<'_>) -> Result<T, Fault>;
}

impl<T> OfNode<T> for Result<T, Problem> {
    fn of(self, node: &Node<'_>) -> Result<T, Fault> {
        self.map_err(|problem| node.problem(problem.text))
    }
}
